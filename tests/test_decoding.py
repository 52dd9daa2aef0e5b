"""`decoding`: whatever a peer or a file may hold becomes a `pydicom.Dataset` or an `LDicomDataError`, within limits."""

from __future__ import annotations

import copy
import dataclasses
import logging
import random
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import unittest
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from unittest import mock

import pydicom
from pydicom import Dataset, dcmread

from ldicomnet import DecodeLimits, ErrorCode, LDicomDataError, LDicomDS, Status
from ldicomnet.body import FileBody, MemoryBody
from ldicomnet.dataset import to_body
from ldicomnet.decoding import inflate
from ldicomnet.part10 import encode_header
from ldicomnet.structure import SHALLOW

from .elements import CREATOR, ITEM, SEQUENCE, SEQUENCE_END, UNDEFINED, Writer, deflated, zeros
from .support import BIG, CT, DEFLATED, EXPLICIT, IMPLICIT, Ends, Recorder
from .test_dataset import path_of

UNCOMPRESSED = (IMPLICIT, EXPLICIT, BIG)
PIXELS, NAME = 0x7FE00010, 0x00100010
WHEEL = Path(pydicom.__file__).parent / "data"
LONGEST_TEXT = 400
MEGABYTE = 1 << 20


class Quiet(unittest.TestCase):
    """Tests without pydicom's opinions."""

    def setUp(self) -> None:
        self.enterContext(warnings.catch_warnings(action="ignore"))
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def refused(self, data: bytes, syntax: str = EXPLICIT, limits: DecodeLimits | None = None) -> LDicomDataError:
        """The error, which is fit to be printed and holds nothing of what was decoded."""
        made = LDicomDS.from_bytes(data, syntax)
        made.decode_limits = limits or made.decode_limits
        with self.assertRaises(LDicomDataError) as caught:
            _ = made.dataset
        error = caught.exception
        self.assertLess(len(str(error)), LONGEST_TEXT)
        self.assertTrue(str(error).isascii() and str(error).isprintable(), str(error))
        self.assertIsNone(error.__cause__)
        self.assertIsNone(error.__context__)
        self.assertEqual(error.status, 0xC000, "sending it again does not help")
        return error


def nested(syntax: str, depth: int, defined: bool, content: bytes = b"") -> bytes:
    """Sequences within each other."""
    return Writer(syntax).nested(depth, content, defined)


def hostile() -> list[tuple[str, bytes, str, ErrorCode | None]]:
    """Name, bytes, transfer syntax, and the error; None where pydicom decodes it, which its users then have to read."""
    rows: list[tuple[str, bytes, str, ErrorCode | None]] = []
    for syntax in UNCOMPRESSED:
        write = Writer(syntax)
        name = write.element(NAME, b"PN", b"A^B ")
        endless = write.element(PIXELS, b"OB", b"abcdefgh", UNDEFINED)
        rows += [
            ("nested, undefined", nested(syntax, 100_000, False), syntax, ErrorCode.FORMAT),
            ("nested, defined", nested(syntax, 100_000, True), syntax, ErrorCode.FORMAT),
            ("nested, cut off", nested(syntax, 100_000, False)[:1_000_000], syntax, ErrorCode.FORMAT),
            ("sequences where items should be", write.element(SEQUENCE, b"SQ", b"", UNDEFINED) * 99, syntax,
             ErrorCode.FORMAT),
            ("deep, with something wrong inside", nested(syntax, 20, True, _bad(syntax)), syntax, ErrorCode.FORMAT),
            ("deep and undefined, with the same", nested(syntax, 20, False, _bad(syntax)), syntax, ErrorCode.FORMAT),
            ("shallow, with the same", nested(syntax, 3, True, _bad(syntax)), syntax, None),
            ("a length over the end", write.element(NAME, b"PN", b"A^B ", 400), syntax, None),
            ("a length over the end of its parent",
             write.sequence(write.item(write.element(NAME, b"PN", b"A^B ", 40))) + name, syntax, None),
            ("a length of 4 GB", write.element(PIXELS, b"OW", b"ab", 0xFFFFFFFE), syntax, None),
            ("a value without an end", endless, syntax, ErrorCode.END),
            ("items in which a value has no end",
             write.element(SEQUENCE, b"SQ", write.item(endless) * 20_000, UNDEFINED), syntax, ErrorCode.END),
            ("the same, to be decoded later",
             write.sequence(*[write.item(endless)] * 20_000), syntax, ErrorCode.END),
            ("a sequence without an end",
             write.sequence(write.item(name), defined=False)[:-8], syntax, ErrorCode.FORMAT),
            ("an item without an end",
             write.sequence(write.item(name, False)[:-8], defined=False), syntax, ErrorCode.FORMAT),
            ("an item of length 0", write.sequence(write.item(), defined=False), syntax, None),
            ("an item over the end", write.sequence(write.mark(ITEM, 400) + name) + name, syntax, None),
            ("a delimiter for an item", write.sequence(write.mark(SEQUENCE_END, 8)) + name, syntax, None),
            ("what is no item", write.sequence(name + name) + name, syntax, None),
            ("odd lengths", write.element(NAME, b"PN", b"A^B") + name + b"\0", syntax, None),
            ("an end within a tag", name + name[:3], syntax, None),
            ("nothing", b"", syntax, None),
            ("zeros", bytes(1000), syntax, None),
            ("ones", b"\xff" * 1000, syntax, ErrorCode.END),
            ("random", random.Random(3).randbytes(4000), syntax, None),
            ("an unknown character set", write.element(0x00080005, b"CS", b"LATIN-99") + name, syntax, None),
            ("a character set of 1 MB", write.element(0x00080005, b"UT", b"A\n" * (MEGABYTE // 2)), syntax, None),
            ("a character set that is a sequence", nested(syntax, 3, True).replace(
                write.mark(SEQUENCE)[:4], write.mark(0x00080005)[:4]), syntax, ErrorCode.FORMAT),
            ("text that is none", write.element(0x00080005, b"CS", b"ISO_IR 192") + write.element(
                NAME, b"PN", b"\xff\xfe\x80\xc0"), syntax, None),
            ("private garbage", write.element(0x00090010, b"LO", b"\xff\0\n\\\\") + write.element(
                0x00091010, b"UN", b"\xfe\xff\0\xe0\xff\xff\xff\xff" * 50), syntax, None),
            ("private sequences", _private(syntax, 100), syntax, ErrorCode.FORMAT),
        ]  # fmt: skip
    write = Writer(EXPLICIT)
    rows += [
        ("an end within a length", write.element(PIXELS, b"OW")[:-3], EXPLICIT, ErrorCode.FORMAT),
        ("unknown value representations",
         write.element(NAME, b"ZZ", b"ab") + write.element(NAME, b"\n\x1b", b""), EXPLICIT, None),
        ("VR UN in VR UN", write.nested(100_000).replace(b"SQ", b"UN"), EXPLICIT, ErrorCode.FORMAT),
        ("implicit in explicit",
         write.sequence(write.item(nested(IMPLICIT, 9999, False)), defined=False, vr=b"UN"), EXPLICIT,
         ErrorCode.FORMAT),
        ("implicit, said to be explicit", nested(IMPLICIT, 100_000, False), EXPLICIT, ErrorCode.FORMAT),
        ("explicit, said to be implicit", nested(EXPLICIT, 100_000, False), IMPLICIT, ErrorCode.FORMAT),
        ("big endian, said to be little", nested(BIG, 100_000, False), EXPLICIT, ErrorCode.FORMAT),
        ("no transfer syntax there is", nested(EXPLICIT, 100_000, False), "1.2.\n\x1b[2J", ErrorCode.FORMAT),
        ("a command set before it", Writer(IMPLICIT).element(0, b"", b"abcd") + nested(EXPLICIT, 99, False), EXPLICIT,
         ErrorCode.FORMAT),
        ("group 0000 without end", bytes(MEGABYTE), EXPLICIT, None),
        ("a sequence in group 0000", nested(IMPLICIT, 100_000, False).replace(b"\x08\0\x11\x11", b"\0\0\2\0"), IMPLICIT,
         None),
    ]  # fmt: skip
    return rows


def _bad(syntax: str) -> bytes:
    """An element that pydicom cannot decode: of an unknown VR, or a number of a wrong length."""
    return Writer(syntax).element(0x00280010, b"ZZ", b"abc")


def _private(syntax: str, depth: int) -> bytes:
    """Sequences that only pydicom's private dictionary says are some, and with items that are none."""
    write, data = Writer(syntax), b""
    for _ in range(depth):
        item = write.mark(SEQUENCE, len(data)) + data
        data = write.element(0x20050010, b"LO", CREATOR) + write.element(0x20051080, b"UN", item)
    return data


class Hostile(Quiet):
    """The table."""

    def test_every_row(self) -> None:
        for name, data, syntax, code in hostile():
            with self.subTest(name, syntax=syntax):
                if code is None:
                    self.assertIsInstance(LDicomDS.from_bytes(data, syntax).dataset, Dataset)
                else:
                    self.assertEqual(self.refused(data, syntax).code, code)

    def test_every_row_deflated(self) -> None:
        for name, data, syntax, code in hostile():
            if syntax == EXPLICIT:
                with self.subTest(name):
                    packed = deflated(data)
                    if code is None:
                        self.assertIsInstance(LDicomDS.from_bytes(packed, DEFLATED).dataset, Dataset)
                    else:
                        self.assertEqual(self.refused(packed, DEFLATED).code, code)

    def test_what_was_decoded_can_be_read_and_printed(self) -> None:
        """Or pydicom raises what it likes, of a size that can be borne, and never anything that ends the process."""
        for name, data, syntax, code in hostile():
            if code is None:
                dataset = LDicomDS.from_bytes(data, syntax).dataset
                with self.subTest(name, syntax=syntax):
                    self.assertLess(max(map(len, _texts_of(dataset))), 4 * MEGABYTE)

    def test_what_was_decoded_can_be_sent_otherwise(self) -> None:
        for name, data, syntax, code in hostile():
            if code is None:
                made = LDicomDS.from_bytes(data, syntax)
                for wanted in {IMPLICIT, EXPLICIT, BIG, DEFLATED} - {syntax} if syntax in UNCOMPRESSED else ():
                    with self.subTest(name, syntax=syntax, wanted=wanted):
                        _one_kind(to_body, made, wanted, False)

    def test_identity(self) -> None:
        """The UIDs, which the library itself reads."""
        write = Writer(EXPLICIT)
        rows = (
            ("plain", write.element(0x00080018, b"UI", b"1.2\0"), "1.2"),
            ("empty", write.element(0x00080018, b"UI"), ""),
            ("absent", b"", ""),
            ("of VR UN", write.element(0x00080018, b"UN", b"1.2\0"), "1.2"),
            ("several", write.element(0x00080018, b"UI", b"1.2\\1.3\0"), None),
            ("a number", write.element(0x00080018, b"US", b"\1\0"), None),
            ("a sequence", write.sequence(write.item(), tag=0x00080018), None),
            ("half a sequence", write.sequence(b"abc", tag=0x00080018), None),
            ("bytes", write.element(0x00080018, b"OB", b"1.2\0"), None),
            ("an unknown VR", write.element(0x00080018, b"ZZ", b"1.2\0"), None),
            ("cut off", write.element(0x00080018, b"FD", b"1.2\0"), None),
        )
        for name, data, expected in rows:
            with self.subTest(name):
                made = LDicomDS.from_bytes(data, EXPLICIT)
                if expected is not None:
                    self.assertEqual(made.sop_instance_uid, expected)
                    continue
                with self.assertRaises(LDicomDataError) as caught:
                    _ = made.sop_instance_uid
                self.assertIn("SOPInstanceUID", str(caught.exception))
                _one_kind(to_body, made, IMPLICIT, False)

    def test_a_uid_that_no_file_takes(self) -> None:
        made = LDicomDS.from_bytes(b"", EXPLICIT, "1.2", "1" * 70_000)
        with self.assertRaises(LDicomDataError):
            _ = made.dataset
        self.assertLess(len(repr(LDicomDS.from_bytes(b"", "1\n" * 70_000))), LONGEST_TEXT)
        self.assertTrue(repr(LDicomDS.from_bytes(b"", "1\n\u202e")).isascii())

    def test_file_meta_information_in_a_data_set(self) -> None:
        """It does not name the transfer syntax: a bomb behind it is not inflated."""
        data = Writer(EXPLICIT).element(0x00020010, b"UI", DEFLATED.encode()) + zeros(50)
        tracemalloc.start()
        try:
            dataset = LDicomDS.from_bytes(data, EXPLICIT).dataset
            self.assertLess(tracemalloc.get_traced_memory()[1], 4 * MEGABYTE)
        finally:
            tracemalloc.stop()
        self.assertEqual(dataset.file_meta.TransferSyntaxUID, EXPLICIT)

    def test_group_0000_before_a_data_set(self) -> None:
        """As pydicom reads it, which some old files need."""
        command = Writer(IMPLICIT).element(0, b"", bytes(4)) + Writer(IMPLICIT).element(1, b"", b"\1\0\0\0")
        for syntax in UNCOMPRESSED:
            data = command + Writer(syntax).element(NAME, b"PN", b"A^B ")
            expected = dcmread(BytesIO(encode_header("", "", syntax) + data))
            self.assertEqual(list(LDicomDS.from_bytes(data, syntax).dataset), list(expected))
            self.assertEqual(len(expected), 3)


def _texts_of(dataset: Dataset) -> list[str]:
    """What printing and walking say, or the text of what they raise."""
    texts = []
    for read in (str, lambda one: str(list(one.iterall())), lambda one: str(one.walk(lambda _item, _element: None))):
        try:
            texts.append(read(dataset))
        except Exception as error:
            texts.append(str(error))
    return texts


def _one_kind(call: Callable[..., object], *arguments: object) -> None:
    """It goes well, or ends in the one kind of error."""
    try:
        call(*arguments)
    except LDicomDataError as error:
        assert len(str(error)) < LONGEST_TEXT and str(error).isprintable(), str(error)


class Depth(Quiet):
    """At the limit everything works, within the depth of calls that Python allows."""

    def test_at_the_limit(self) -> None:
        most = LDicomDS.decode_limits.depth
        for syntax in UNCOMPRESSED:
            for defined in (True, False):
                with self.subTest(syntax=syntax, defined=defined):
                    name = Writer(syntax).element(NAME, b"PN", b"A^B ")
                    made = LDicomDS.from_bytes(nested(syntax, most, defined, name), syntax)
                    self.assertEqual([element.VR for element in made.dataset.iterall()], ["SQ"] * most + ["PN"])
                    self.assertIn("A^B", str(made.dataset))
                    self.assertIn("A^B", made.dataset.to_json())
                    self.assertEqual(copy.deepcopy(made.dataset), made.dataset)
                    for wanted in (IMPLICIT, EXPLICIT, BIG, DEFLATED):
                        again = LDicomDS(to_body(made, wanted, False), wanted)
                        self.assertIn("A^B", str(again.dataset))

    def test_it_can_be_set(self) -> None:
        deep = LDicomDS.from_bytes(nested(EXPLICIT, 40, False), EXPLICIT)
        with self.assertRaises(LDicomDataError):
            _ = deep.dataset
        deep.decode_limits = DecodeLimits(depth=40)
        self.assertEqual(len(deep.dataset), 1)

    def test_deep_in_the_calls_of_its_caller(self) -> None:
        """Where Python has no calls left, there is an error and not an end of the process."""
        data, found = nested(EXPLICIT, 32, False), []

        def call(left: int) -> None:
            if left:
                call(left - 1)
            else:
                found.append(_code_of(data))

        for left in (0, sys.getrecursionlimit() - 60):
            thread = threading.Thread(target=call, args=(left,))
            thread.start()
            thread.join()
        self.assertEqual(found, [None, ErrorCode.FORMAT])

    def test_errors_of_pydicom_do_not_grow(self) -> None:
        """One element that cannot be decoded, or not be encoded, within sequences: 14 GB of text at a depth of 16."""
        for depth in (SHALLOW, SHALLOW + 1, 12, 16, 32):
            for defined in (True, False):
                data = nested(EXPLICIT, depth, defined, _bad(EXPLICIT))
                with self.subTest(depth=depth, defined=defined):
                    if depth > SHALLOW:
                        self.assertIn("Unknown Value Representation", str(self.refused(data)))
                    else:
                        texts = _texts_of(LDicomDS.from_bytes(data, EXPLICIT).dataset)
                        self.assertLess(max(map(len, texts)), 4 * MEGABYTE)
                    self._check_encoding(nested(EXPLICIT, depth, defined))

    def _check_encoding(self, data: bytes) -> None:
        wrong = LDicomDS.from_bytes(data, EXPLICIT).dataset
        list(wrong.iterall())[-1].value[0].Rows = 70_000
        tracemalloc.start()
        try:
            with self.assertRaises(LDicomDataError) as caught:
                LDicomDS.from_dataset(wrong, IMPLICIT)
            self.assertLess(tracemalloc.get_traced_memory()[1], 16 * MEGABYTE)
        finally:
            tracemalloc.stop()
        self.assertEqual(caught.exception.code, ErrorCode.CONVERSION)
        self.assertIn("cannot be encoded", str(caught.exception))
        self.assertLess(len(str(caught.exception)), LONGEST_TEXT)


def _code_of(data: bytes) -> ErrorCode | None:
    try:
        _ = LDicomDS.from_bytes(data, EXPLICIT).dataset
    except LDicomDataError as error:
        return error.code
    return None


class Number(Quiet):
    """So many elements and items, and no more."""

    def test_many(self) -> None:
        write = Writer(EXPLICIT)
        for data in (
            b"".join(write.element(tag << 16 | 0x10, b"LO") for tag in range(0x10, 0x100)),
            write.sequence(*[write.item()] * 240, defined=False),
            write.sequence(*[write.item()] * 240),
        ):
            self.assertEqual(self.refused(data, limits=DecodeLimits(elements=239)).code, ErrorCode.MEMORY)
            made = LDicomDS.from_bytes(data, EXPLICIT)
            made.decode_limits = DecodeLimits(elements=242)
            self.assertEqual(len(made.dataset), 240 if len(made.dataset) > 1 else 1)

    def test_in_group_0000(self) -> None:
        """A command set before the data set is of a bounded length; what follows is counted."""
        self.assertEqual(self.refused(bytes(MEGABYTE), limits=DecodeLimits(elements=9999)).code, ErrorCode.MEMORY)


class Limits(unittest.TestCase):
    """Where they are set."""

    def test_they_are_finite_and_do_not_change(self) -> None:
        limits = DecodeLimits()
        for field in dataclasses.fields(limits):
            self.assertIsInstance(getattr(limits, field.name), int)
            self.assertGreater(getattr(limits, field.name), 0)
            with self.assertRaises(dataclasses.FrozenInstanceError):
                setattr(limits, field.name, 1)
        with self.assertRaises(TypeError):
            DecodeLimits(5)  # type: ignore[misc]

    def test_on_the_class_and_on_an_object(self) -> None:
        class Strict(LDicomDS):
            decode_limits = DecodeLimits(depth=1)

        data = nested(EXPLICIT, 2, False)
        self.assertEqual(len(LDicomDS.from_bytes(data, EXPLICIT).dataset), 1)
        with self.assertRaises(LDicomDataError):
            _ = Strict.from_bytes(data, EXPLICIT).dataset
        lenient = Strict.from_bytes(data, EXPLICIT)
        lenient.decode_limits = LDicomDS.decode_limits
        self.assertEqual(len(lenient.dataset), 1)

    def test_no_memory_left(self) -> None:
        """Which may pass: the sender is told to try again."""
        with mock.patch("pydicom.filereader.read_dataset", side_effect=MemoryError):
            with self.assertRaises(LDicomDataError) as caught:
                _ = LDicomDS.from_bytes(b"", EXPLICIT).dataset
        expected = ErrorCode.MEMORY, Status.REFUSED_OUT_OF_RESOURCES
        self.assertEqual((caught.exception.code, caught.exception.status), expected)

    def test_an_error_is_not_kept(self) -> None:
        made = LDicomDS.from_bytes(nested(EXPLICIT, 2, False), EXPLICIT)
        made.decode_limits = DecodeLimits(depth=1)
        self.assertRaises(LDicomDataError, lambda: made.dataset)
        made.decode_limits = DecodeLimits()
        self.assertEqual(len(made.dataset), 1)

    def test_how_much_may_be_inflated(self) -> None:
        limits = DecodeLimits(inflated=1000, inflated_freely=100, inflated_times=10)
        rows = ((0, 100), (5, 100), (10, 100), (11, 110), (100, 1000), (101, 1000), (1 << 40, 1000))
        self.assertEqual([limits.most_inflated(size) for size, _most in rows], [most for _size, most in rows])


class Deflated(Quiet):
    """PS3.5 Annex A.5, from peers that mean harm and from those that do not."""

    def setUp(self) -> None:
        super().setUp()
        write = Writer(EXPLICIT)
        self.plain = write.element(NAME, b"PN", b"A^B ") + write.element(PIXELS, b"OW", bytes(100_000))
        self.packed = deflated(self.plain)

    def test_what_is_decoded(self) -> None:
        rows = {
            "as it is": self.packed,
            "padded": self.packed + b"\0",
            "trailing garbage": self.packed + b"garbage" * 100,
            "a second stream": self.packed + self.packed,
            "stored, not packed": b"".join(_stored(self.plain)),
            "in many small blocks": deflated(*(self.plain[at : at + 7] for at in range(0, len(self.plain), 7))),
        }
        for name, data in rows.items():
            with self.subTest(name):
                dataset = LDicomDS.from_bytes(data, DEFLATED).dataset
                self.assertEqual((dataset.PatientName, len(dataset.PixelData)), ("A^B", 100_000))
                self.assertEqual(dataset.file_meta.TransferSyntaxUID, DEFLATED)

    def test_whatever_is_left_for_the_last_piece(self) -> None:
        """All may have been read while some is still to come."""
        for size in range((256 << 10) - 5, (256 << 10) + 600, 5):
            self.assertEqual(len(inflate(MemoryBody(deflated(bytes(size))), DecodeLimits())), size)

    def test_what_is_not(self) -> None:
        rows = {
            "nothing": (b"", ErrorCode.END),
            "cut off": (self.packed[:-1], ErrorCode.END),
            "cut off early": (self.packed[:10], ErrorCode.END),
            "in a zlib header": (b"\x78\x9c" + self.packed, ErrorCode.FORMAT),
            "spoilt": (b"\xff" + self.packed[1:], ErrorCode.FORMAT),
            "plain": (self.plain, ErrorCode.FORMAT),
        }
        for name, (data, code) in rows.items():
            with self.subTest(name):
                self.assertEqual(self.refused(data, DEFLATED).code, code)

    def test_the_ratio_counts_where_there_is_much(self) -> None:
        size = len(self.packed)
        for inflated, freely, times, is_decoded in (
            (1 << 30, 1 << 20, 1, True),
            (1 << 30, 1000, len(self.plain) // size + 1, True),
            (1 << 30, 1000, 2, False),
            (len(self.plain), len(self.plain), 1, True),
            (len(self.plain) - 1, len(self.plain), 1000, False),
        ):
            limits = DecodeLimits(inflated=inflated, inflated_freely=freely, inflated_times=times)
            with self.subTest(limits):
                if is_decoded:
                    self.assertEqual(inflate(MemoryBody(self.packed), limits), self.plain)
                else:
                    error = self.refused(self.packed, DEFLATED, limits)
                    self.assertEqual(error.code, ErrorCode.MEMORY)
                    self.assertIn("DecodeLimits", str(error))

    def test_an_honest_segmentation(self) -> None:
        """100 MB of mask that shrink to a thousandth pass by default."""
        head = Writer(EXPLICIT).element(PIXELS, b"OW", b"", 100 * MEGABYTE)
        packed = zeros(100, head)
        self.assertGreater(100 * MEGABYTE / len(packed), 1000)
        self.assertEqual(len(inflate(MemoryBody(packed), LDicomDS.decode_limits)), 100 * MEGABYTE + len(head))

    def test_sent_otherwise(self) -> None:
        """A conversion inflates within the same limits."""
        made = LDicomDS.from_bytes(self.packed, DEFLATED)
        made.decode_limits = DecodeLimits(inflated=1000)
        with self.assertRaises(LDicomDataError):
            to_body(made, EXPLICIT, False)

    def test_from_a_file(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        path = folder / "deflated"
        path.write_bytes(b"header" + self.packed)
        body = FileBody(path, 6)
        self.assertEqual(inflate(body, DecodeLimits()), self.plain)
        path.write_bytes(b"header" + self.packed[:-5])
        with self.assertRaises(LDicomDataError):
            inflate(body, DecodeLimits())

    def test_a_bomb(self) -> None:
        """1 MB that becomes 1 GB: in a process of its own, which then says how much it took."""
        program = f"""
import resource, sys, tracemalloc
sys.path[:0] = {sys.path!r}
from ldicomnet import DecodeLimits, LDicomDataError, LDicomDS
from tests.elements import zeros
import pydicom.filereader, pydicom.dataset
bomb = zeros(1024)
made = LDicomDS.from_bytes(bomb, {DEFLATED!r})
made.decode_limits = DecodeLimits(inflated_freely=32 << 20, inflated_times=16)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tracemalloc.start()
try:
    made.dataset
except LDicomDataError as error:
    peak = tracemalloc.get_traced_memory()[1]
    print(len(bomb), error.code.name, peak >> 20, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(done.stderr, "")
        size, code, traced, resident = done.stdout.split()
        self.assertLess(int(size), MEGABYTE + MEGABYTE // 20)
        self.assertEqual(code, "MEMORY")
        self.assertLess(int(traced), 32 + 6)
        self.assertLess(int(resident), 32 + 6)


def _stored(data: bytes) -> list[bytes]:
    """RFC 1951 blocks that are not compressed."""
    pieces = [data[at : at + 0xFFFF] for at in range(0, len(data), 0xFFFF)]
    heads = [
        bytes((piece is pieces[-1],)) + len(piece).to_bytes(2, "little") + (len(piece) ^ 0xFFFF).to_bytes(2, "little")
        for piece in pieces
    ]
    return [head + piece for head, piece in zip(heads, pieces, strict=True)]


class Wheel(Quiet):
    """The files of pydicom's wheel: the same data set as pydicom gives, or an error where it raises one."""

    def test_every_file(self) -> None:
        refused, count = set(), 0
        for path in sorted(WHEEL.rglob("*")):
            if not path.is_file() or path.suffix == ".py":
                continue
            try:
                loaded = LDicomDS.load(path)
            except LDicomDataError:
                refused.add(path.name)
                continue
            count += 1
            with self.subTest(file=path.name):
                expected = dcmread(path, force=True)
                self.assertEqual(_elements_of(loaded.dataset), _elements_of(expected))
                self.assertEqual(loaded.dataset.original_encoding, expected.original_encoding)
                self.assertEqual(loaded.dataset.original_character_set, expected.original_character_set)
                self.assertEqual(loaded.dataset.preamble, bytes(128))
                if "TransferSyntaxUID" in expected.file_meta:
                    self.assertEqual(loaded.dataset.file_meta.TransferSyntaxUID, loaded.transfer_syntax)
        self.assertGreater(count, 150)
        others = {name for name in refused if not name.endswith(OTHER_FILES)}
        self.assertLessEqual(others, {"README", "no_meta.dcm"}, "which are none")


OTHER_FILES = (".txt", ".md", ".json", ".dump", ".icc", ".gz", ".pyc", ".typed")


def _elements_of(dataset: Dataset) -> list[object]:
    """Every element, or the error that reading it gives."""
    found: list[object] = []
    for tag in dataset.keys():  # noqa: SIM118 - iterating decodes every element
        try:
            found.append(dataset[tag])
        except Exception as error:
            found.append((tag, type(error), str(error)))
    return found


MUTATED = (
    "rtplan.dcm", "test-SR.dcm", "reportsi.dcm", "MR_small_implicit.dcm", "liver_expb_1frame.dcm", "image_dfl.dcm",
    "UN_sequence.dcm", "nested_priv_SQ.dcm", "JPEG2000.dcm", "waveform_ecg.dcm", "badVR.dcm",
)  # fmt: skip
WORDS = (b"\xff\xff\xff\xff", bytes(4), b"SQ\0\0", b"UN\0\0", b"\xfe\xff\0\xe0", b"\xfe\xff\xdd\xe0", b"\xfe\xff\r\xe0")


class Mutations(Quiet):
    """Real data sets, spoilt at random: a data set or one kind of error, and what is read of it is pydicom's."""

    def test_a_thousand(self) -> None:
        chance = random.Random(11)
        loaded = [LDicomDS.load(path_of(name)) for name in MUTATED]
        sources = [(made.read()[: 1 << 14 if made.transfer_syntax != DEFLATED else None], made) for made in loaded]
        decoded = 0
        for number in range(1000):
            data, source = chance.choice(sources)
            made = LDicomDS.from_bytes(_spoilt(data, chance), source.transfer_syntax)
            with self.subTest(number=number):
                try:
                    dataset = made.dataset
                except LDicomDataError as error:
                    self.assertLess(len(str(error)), LONGEST_TEXT)
                    self.assertTrue(str(error).isprintable() and str(error).isascii())
                    continue
                decoded += 1
                _one_kind(getattr, made, "sop_instance_uid")
                if number % 5 == 0:
                    self.assertLess(max(map(len, _texts_of(dataset))), 4 * MEGABYTE)
                    if made.transfer_syntax in UNCOMPRESSED:
                        _one_kind(to_body, made, EXPLICIT if made.transfer_syntax == IMPLICIT else IMPLICIT, False)
        self.assertGreater(decoded, 500)


def _spoilt(data: bytes, chance: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 2, 5, 20))):
        at, what = chance.randrange(len(spoilt)), chance.random()
        if what < 0.4:
            spoilt[at] = chance.randrange(256)
        elif what < 0.6:
            spoilt[at : at + 4] = chance.choice(WORDS)
        elif what < 0.75 and len(spoilt) > 100:
            del spoilt[at : at + chance.randrange(1, 64)]
        elif what < 0.9:
            start = chance.randrange(len(spoilt))
            spoilt[at:at] = spoilt[start : start + chance.randrange(1, 200)]
        elif at > 100:
            del spoilt[at:]
    return bytes(spoilt)


class OverAConnection(Quiet, Ends):
    """A hook that decodes what it gets: the error is its to answer, and the association goes on."""

    def test_the_next_one_is_stored(self) -> None:
        good = LDicomDS.load(path_of("CT_small.dcm"))
        rows = [(data, code) for _name, data, syntax, code in hostile() if syntax == EXPLICIT and code is not None]

        def store(net: Recorder, *arguments: object) -> None:
            presentation_id, message_id, sop_class, sop_instance, _priority, _ae, _id, dataset = arguments
            try:
                status = Status.SUCCESS if dataset.dataset.PatientName else Status.FAILURE  # type: ignore[attr-defined]
            except LDicomDataError as error:
                status = error.status
            net.send_c_store_response(presentation_id, message_id, sop_class, sop_instance, status)  # type: ignore[arg-type]

        requestor, acceptor = self.associated((CT, EXPLICIT))
        acceptor.answers["on_receive_c_store_request"] = store
        sent = 0
        for data, _code in rows:
            for dataset, expected in ((LDicomDS.from_bytes(data, EXPLICIT), 0xC000), (good, Status.SUCCESS)):
                sent += 1
                requestor.send_c_store_request(1, sent, CT, f"1.2.{sent}", dataset=dataset)
                answer = requestor.wait_for("on_receive_c_store_response", sent)
                self.assertEqual((answer[1], answer[4]), (sent, expected))
        self.assertGreater(sent, 20)
        self.assertEqual(acceptor.count("on_close"), 0)


if __name__ == "__main__":
    unittest.main()
