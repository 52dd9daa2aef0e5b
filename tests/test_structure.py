"""`structure`: the walk says how deep a data set is, and pydicom's reader never goes deeper than that."""

from __future__ import annotations

import logging
import random
import tracemalloc
import unittest
import warnings
from io import BytesIO
from typing import Any
from unittest import mock

from pydicom import Dataset, Sequence, filereader
from pydicom.filereader import read_dataset

from ldicomnet.decoding import _meanings
from ldicomnet.errors import LDicomDataError
from ldicomnet.status import ErrorCode
from ldicomnet.structure import Walk

from .elements import CREATOR, ITEM, SEQUENCE, SEQUENCE_END, UNDEFINED, Gambler, Writer
from .support import BIG, EXPLICIT, IMPLICIT

SYNTAXES = (IMPLICIT, EXPLICIT, BIG)
PIXELS = 0x7FE00010


def depth(data: bytes, syntax: str = EXPLICIT, most: int = 1 << 30, elements: int = 1 << 30) -> int:
    """What the walk says."""
    return Walk(data, syntax != BIG, _meanings(), most, elements).depth(0, syntax == IMPLICIT)


class Depths(unittest.TestCase):
    """Data sets as they should be."""

    def test_sequences_within_each_other(self) -> None:
        for syntax in SYNTAXES:
            write = Writer(syntax)
            name = write.element(0x00100010, b"PN", b"A^B ")
            for defined in (True, False):
                for levels in (0, 1, 2, 31, 32, 33, 20_000):
                    data = name + write.nested(levels, name, defined) + name
                    with self.subTest(syntax=syntax, defined=defined, levels=levels):
                        self.assertEqual(depth(data, syntax), levels)

    def test_beside_each_other(self) -> None:
        for syntax in SYNTAXES:
            write = Writer(syntax)
            for defined in (True, False):
                item = write.item(write.nested(2, b"", defined), defined)
                data = write.sequence(*[item] * 5, defined=defined) * 3
                self.assertEqual(depth(data, syntax), 3)
                self.assertEqual(depth(data + write.nested(7, b"", not defined), syntax), 7)

    def test_values_are_passed_over(self) -> None:
        """Whatever they look like."""
        for syntax in SYNTAXES:
            write = Writer(syntax)
            nested = write.nested(5)
            for vr in (b"OB", b"OW", b"UT", b"LO"):
                self.assertEqual(depth(write.element(PIXELS, vr, nested), syntax), 0)
            fragments = write.item() + write.item(nested) + write.mark(SEQUENCE_END)
            self.assertEqual(depth(write.element(PIXELS, b"OB", fragments, UNDEFINED) + nested, syntax), 5)

    def test_what_the_dictionary_says(self) -> None:
        implicit, explicit = Writer(IMPLICIT), Writer(EXPLICIT)
        item, long = explicit.item(), explicit.item(bytes(1 << 16))
        rows = (
            ("unknown, with items", implicit.sequence(item, defined=False, tag=0x00991010), IMPLICIT, 1),
            ("unknown, of a defined length", implicit.sequence(item, tag=0x00991010), IMPLICIT, 0),
            ("of a repeating group", implicit.sequence(item, tag=0x50042600), IMPLICIT, 1),
            ("of a repeating group, undefined", implicit.sequence(defined=False, tag=0x50042600), IMPLICIT, 1),
            ("UN, undefined", explicit.sequence(item, defined=False, tag=0x00991010, vr=b"UN"), EXPLICIT, 1),
            ("UN, known", explicit.sequence(item, vr=b"UN"), EXPLICIT, 1),
            ("UN, unknown", explicit.sequence(item, tag=0x00991010, vr=b"UN"), EXPLICIT, 0),
            ("UN, too long to be looked up", explicit.sequence(long, vr=b"UN"), EXPLICIT, 0),
        )
        for name, data, syntax, expected in rows:
            with self.subTest(name):
                self.assertEqual(depth(data, syntax), expected)

    def test_private_creators(self) -> None:
        """A private value is a sequence where its creator is in the data set, before it or behind it."""
        for syntax in SYNTAXES:
            write = Writer(syntax)
            creator = write.element(0x20050010, b"LO", CREATOR)
            other = write.element(0x20050010, b"LO", b"SOMEONE ELSE")
            inner = write.element(0x20051080, b"UN", write.item(write.nested(2)))
            outer = write.element(0x20051080, b"UN", write.item(inner + write.nested(3)))
            in_inner = write.element(0x20051080, b"UN", write.item(creator + inner))
            with self.subTest(syntax):
                self.assertEqual([depth(data, syntax) for data in (inner, outer, other + outer)], [0, 0, 0])
                self.assertEqual([depth(data, syntax) for data in (creator + inner, inner + creator)], [3, 3])
                self.assertEqual([depth(data, syntax) for data in (creator + outer, outer + creator)], [4, 4])
                self.assertEqual([depth(data, syntax) for data in (in_inner, creator + in_inner)], [0, 4])
                sequence = write.sequence(write.item(inner), write.item(creator))
                self.assertEqual(depth(sequence + write.nested(2), syntax), 4)

    def test_implicit_within_explicit(self) -> None:
        """Within VR UN (PS3.5 6.2.2), and where writers go over to it."""
        implicit, explicit = Writer(IMPLICIT), Writer(EXPLICIT)
        for inner in (implicit.nested(4), implicit.nested(4, b"", True)):
            for defined in (True, False):
                self.assertEqual(depth(explicit.sequence(explicit.item(inner, defined), defined=defined, vr=b"UN")), 5)
            self.assertEqual(depth(inner, EXPLICIT), 4)
            self.assertEqual(depth(explicit.element(0x00100010, b"PN", b"A^B ") + inner, EXPLICIT), 4)

    def test_explicit_that_was_called_implicit(self) -> None:
        self.assertEqual(depth(Writer(EXPLICIT).nested(4), IMPLICIT), 4)


class Refusals(unittest.TestCase):
    """What is refused, and what that costs."""

    def check(self, data: bytes, code: ErrorCode, word: str, **limits: int) -> None:
        """It is, with a text that says where the limit is."""
        with self.assertRaises(LDicomDataError) as caught:
            depth(data, **limits)
        self.assertEqual(caught.exception.code, code)
        self.assertIn(word, str(caught.exception))

    def test_too_deep(self) -> None:
        write = Writer()
        for defined in (True, False):
            self.assertEqual(depth(write.nested(32, b"", defined), most=32), 32)
            self.check(write.nested(33, b"", defined), ErrorCode.FORMAT, "DecodeLimits.depth", most=32)

    def test_too_many(self) -> None:
        write = Writer()
        rows = (
            ("elements of two bytes of length", b"".join(write.element(0x00090000 + n, b"LO") for n in range(100))),
            ("elements of four", b"".join(write.element(0x00090000 + n, b"UT") for n in range(100))),
            ("items", write.sequence(*[write.item()] * 100, defined=False)),
            ("fragments", write.element(PIXELS, b"OB", write.item() * 100 + write.mark(SEQUENCE_END), UNDEFINED)),
        )
        for name, data in rows:
            with self.subTest(name):
                self.check(data, ErrorCode.MEMORY, "DecodeLimits.elements", elements=99)
                self.assertIn(depth(data, elements=102), (0, 1))
        self.check(Writer(IMPLICIT).mark(SEQUENCE) * 100, ErrorCode.MEMORY, "DecodeLimits.elements", elements=99)

    def test_no_end(self) -> None:
        """Where pydicom would leave out what is around it, and look for the end again from every item."""
        write = Writer()
        value = write.element(PIXELS, b"OB", b"abcdefgh", UNDEFINED)
        in_defined = write.sequence(write.item(value))
        for data in (value, write.sequence(write.item(value, False), defined=False)[:-8], in_defined):
            self.check(data, ErrorCode.END, "without an end")
        self.assertEqual(depth(value + write.mark(SEQUENCE_END)), 0)

    def test_fragments_that_are_walked_again_and_again(self) -> None:
        """The chain of each of n values runs over all that follow: n * n / 2 steps, but for the limit."""
        write = Writer()
        link = write.mark(ITEM, 20) + write.mark(SEQUENCE_END) + write.element(PIXELS, b"OB", b"", UNDEFINED)
        self.check(link[16:] + link * 1000, ErrorCode.MEMORY, "DecodeLimits.elements", elements=100_000)

    def test_it_takes_no_memory(self) -> None:
        write = Writer()
        item = write.item(write.element(0x00080100, b"SH", b"A") + write.nested(3, b"", True), False)
        data = write.sequence(*[item] * 5000, defined=False) + write.element(PIXELS, b"OW", bytes(8 << 20))
        _meanings()
        tracemalloc.start()
        try:
            self.assertEqual(depth(data), 4)
            self.assertLess(tracemalloc.get_traced_memory()[1], 50_000)
        finally:
            tracemalloc.stop()


class AsPydicomReads(unittest.TestCase):
    """Data sets at random, most of them wrong: pydicom goes no deeper than the walk."""

    def setUp(self) -> None:
        self.enterContext(warnings.catch_warnings(action="ignore"))
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.level = self.deepest = 0
        self.read_sequence = filereader.read_sequence
        self.enterContext(mock.patch("pydicom.filereader.read_sequence", self._counting))

    def _counting(self, *arguments: Any, **named: Any) -> Any:
        self.level += 1
        self.deepest = max(self.deepest, self.level)
        try:
            return self.read_sequence(*arguments, **named)
        finally:
            self.level -= 1

    def _depth_of(self, dataset: Dataset, outer: int = 0) -> int:
        """What is there when everything has been read."""
        deepest = outer
        for tag in list(dataset.keys()):
            try:
                element = dataset[tag]
            except Exception:
                continue  # pydicom's errors of elements are not our subject
            if element.VR == "SQ" and element.value and isinstance(element.value, Sequence):
                deepest = max(deepest, *(self._depth_of(item, outer + 1) for item in element.value))
        return deepest

    def test_never_deeper(self) -> None:
        gambler, seen = Gambler(random.Random(1)), [0, 0]
        for number in range(1500):
            syntax = gambler.random.choice(SYNTAXES)
            data = gambler.data_set(syntax)
            called = syntax if gambler.random.random() < 0.95 else EXPLICIT
            try:
                walked = depth(data, called)
            except LDicomDataError:
                continue
            self.deepest = 0
            try:
                dataset = read_dataset(BytesIO(data), called == IMPLICIT, called != BIG)
            except Exception:
                dataset = Dataset()
            found = max(self.deepest, self._depth_of(dataset))
            with self.subTest(number=number, syntax=syntax, called=called, data=data.hex()):
                self.assertGreaterEqual(walked, found)
            seen[walked == found] += 1
        self.assertGreater(seen[True], 1000, "it says much more than there is")


if __name__ == "__main__":
    unittest.main()
