"""`encoding`: data sets of pydicom's become just the bytes that pydicom writes, and large values are not copied."""

from __future__ import annotations

import copy
import unittest
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset, dcmread
from pydicom.charset import default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from ldicomnet.body import Body, MemoryBody, PiecesBody
from ldicomnet.decoding import DecodeLimits, inflate
from ldicomnet.encoding import encode, own_syntax
from ldicomnet.errors import LDicomDataError
from ldicomnet.status import ErrorCode

from .support import BIG, DEFLATED, EXPLICIT, IMPLICIT

ENCODINGS = {IMPLICIT: (True, True), EXPLICIT: (False, True), BIG: (False, False)}
LARGE = 64 << 10
JPEG = "1.2.840.10008.1.2.4.50"


def by_pydicom(dataset: Dataset, syntax: str) -> bytes:
    """What pydicom writes."""
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = ENCODINGS.get(syntax, (False, True))
    kept = copy.deepcopy(dataset)[0x00040000:]
    write_dataset(stream, kept, kept.get("SpecificCharacterSet", default_encoding))
    return stream.getvalue()


def all_of(body: Body) -> bytes:
    """The bytes of a body, which are the same by either way."""
    data = b"".join(bytes(chunk) for chunk in body.chunks(16))
    with body.open() as file:
        assert file.read() == data, "open and chunks differ"
    assert body.size == len(data), "the size is wrong"
    return data


def inflated(data: bytes) -> bytes:
    """The data set of a deflated one."""
    return inflate(MemoryBody(data), DecodeLimits())


def pieces_of(body: Body) -> list[bytes]:
    """The objects that a body refers to."""
    if isinstance(body, PiecesBody):
        return list(body._pieces)
    assert isinstance(body, MemoryBody)
    return [bytes(body.data)]


class Quiet(unittest.TestCase):
    """Tests without pydicom's opinions."""

    def setUp(self) -> None:
        self.enterContext(warnings.catch_warnings(action="ignore"))


class RealFiles(Quiet):
    """The files of pydicom's wheel."""

    def test_every_file_as_pydicom_writes_it(self) -> None:
        count = 0
        for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*.dcm")):
            try:
                dataset = dcmread(path)
                syntax = str(dataset.file_meta.TransferSyntaxUID)
                expected = by_pydicom(dataset, syntax)
            except Exception:
                continue  # pydicom does not read or write it
            count += 1
            with self.subTest(path.name):
                data = all_of(encode(dcmread(path), syntax, False))
                self.assertEqual(inflated(data) if syntax == DEFLATED else data, expected)
        self.assertGreater(count, 60)


class LargeValues(Quiet):
    """What is not copied."""

    def check(self, dataset: Dataset, syntax: str, value: bytes | None = None) -> None:
        """As pydicom writes it; the very object is in the body, and in the data set still."""
        expected = by_pydicom(dataset, syntax)
        before = {tag: dataset.get_item(tag) for tag in dataset.keys()}  # noqa: SIM118
        body = encode(dataset, syntax, False)
        self.assertEqual(all_of(body), expected)
        self.assertEqual({tag: dataset.get_item(tag) for tag in dataset.keys()}, before)  # noqa: SIM118
        if value is not None:
            self.assertTrue(any(piece is value for piece in pieces_of(body)), "it was copied")

    def test_by_representation_and_length(self) -> None:
        for vr in ("OB", "OW", "OF", "OL", "OD", "OV"):
            for length in (LARGE - 8, LARGE, LARGE + 8, 5 * LARGE):
                for syntax in (IMPLICIT, EXPLICIT, BIG):
                    with self.subTest(vr=vr, length=length, syntax=syntax):
                        dataset, value = Dataset(), bytes(length)
                        dataset.PatientID = "before"
                        dataset.add_new(0x7FE00010, vr, value)
                        dataset.add_new(0xFFFCFFFC, "OB", b"behind")
                        self.check(dataset, syntax, value if length >= LARGE else None)

    def test_odd_lengths_are_padded(self) -> None:
        for length in (LARGE - 1, LARGE + 1, 3 * LARGE + 1):
            for syntax in (IMPLICIT, EXPLICIT, BIG):
                dataset = Dataset()
                dataset.add_new(0x7FE00010, "OB", b"\1" * length)
                dataset.add_new(0xFFFCFFFC, "OB", b"behind")
                self.check(dataset, syntax)

    def test_of_other_representations(self) -> None:
        dataset = Dataset()
        dataset.add_new(0x00081190, "UR", "http://x/" + "a" * LARGE)
        dataset.add_new(0x0040A160, "UT", "text " * LARGE)
        dataset.add_new(0x00091010, "UN", bytes(2 * LARGE))
        for syntax in (IMPLICIT, EXPLICIT, BIG):
            self.check(dataset, syntax)

    def test_several_and_nested(self) -> None:
        item, dataset = Dataset(), Dataset()
        item.add_new(0x7FE00010, "OW", bytes(2 * LARGE))
        dataset.add_new(0x00880200, "SQ", [item, item])
        values = [bytes(LARGE), bytes(LARGE + 2), bytes(3 * LARGE)]
        for number, value in enumerate(values):
            dataset.add_new(0x50003000 + (number << 16) * 2, "OW", value)
        for syntax in (IMPLICIT, EXPLICIT):
            for value in values:
                self.check(dataset, syntax, value)

    def test_encapsulated(self) -> None:
        for frames in ([bytes(LARGE)], [b"\1" * 3] * 4, [bytes(LARGE - 1), bytes(5 * LARGE)]):
            dataset = Dataset()
            dataset.PixelData = encapsulate(frames)
            dataset["PixelData"].VR = "OB"
            dataset["PixelData"].is_undefined_length = True
            self.check(dataset, JPEG)

    def test_as_they_were_read(self) -> None:
        """Elements that nobody has decoded, of every encoding."""
        made = Dataset()
        made.PatientName, made.Rows, made.Columns, made.BitsAllocated = "A^B", 256, 256, 16
        made.add_new(0x7FE00010, "OW", bytes(range(256)) * 512)
        for syntax, (implicit, little) in ENCODINGS.items():
            data = by_pydicom(made, syntax)
            read = read_dataset(BytesIO(data), implicit, little)
            self.assertIsInstance(read.get_item(0x7FE00010), RawDataElement)
            self.assertEqual(all_of(encode(read, syntax, False)), data)
            self.assertIsInstance(read.get_item(0x7FE00010), RawDataElement, "it is as it was")

    def test_to_another_byte_order(self) -> None:
        dataset = Dataset()
        dataset.add_new(0x7FE00010, "OW", bytes(range(256)) * 1024)
        read = read_dataset(BytesIO(by_pydicom(dataset, EXPLICIT)), False, True)
        swapped = all_of(encode(read, BIG, False))
        back = read_dataset(BytesIO(swapped), False, False)
        self.assertEqual(all_of(encode(back, EXPLICIT, False)), by_pydicom(dataset, EXPLICIT))
        self.assertEqual(swapped[12:14], b"\1\0")
        self.assertEqual(read[0x7FE00010].value, bytes(range(256)) * 1024, "it is as it was")

    def test_values_that_are_files(self) -> None:
        """Which pydicom takes as well."""
        dataset = Dataset()
        dataset[0x7FE00010] = DataElement(0x7FE00010, "OB", BytesIO(bytes(3 * LARGE)))
        stream = DicomBytesIO()
        stream.is_implicit_VR, stream.is_little_endian = False, True
        write_dataset(stream, dataset)
        dataset[0x7FE00010].value.seek(0)
        self.assertEqual(all_of(encode(dataset, EXPLICIT, False)), stream.getvalue())

    def test_sent_again_and_again(self) -> None:
        dataset, value = Dataset(), bytes(3 * LARGE)
        dataset.add_new(0x7FE00010, "OW", value)
        first = encode(dataset, EXPLICIT, False)
        self.assertEqual([all_of(first), all_of(encode(dataset, EXPLICIT, False))], [all_of(first)] * 2)


class GroupLengths(Quiet):
    """With `NetFlags.SENDDATA_WITH_GROUP_LENGTH` each group begins with its length (retired, PS3.5 7.2)."""

    def dataset(self, charset: str = "ISO_IR 192") -> Dataset:
        """A data set of several groups, one of them large, and a name that is not ASCII."""
        dataset = Dataset()
        dataset.SpecificCharacterSet = charset
        dataset.PatientName = "\u00c4rger^Na\u00efve"
        dataset.Rows = 7
        dataset.add_new(0x7FE00010, "OW", bytes(2 * LARGE))
        return dataset

    def test_groups(self) -> None:
        for syntax, (implicit, little) in ENCODINGS.items():
            for charset in ("ISO_IR 192", "ISO_IR 100"):
                with self.subTest(syntax=syntax, charset=charset):
                    data = all_of(encode(self.dataset(charset), syntax, True))
                    stripped = b""
                    order: Any = "little" if little else "big"
                    while data:
                        group = int.from_bytes(data[:2], order)
                        self.assertEqual(data[2:4], b"\0\0")
                        self.assertEqual(data[4:8], b"\4\0\0\0" if implicit else b"UL" + (4).to_bytes(2, order))
                        length = int.from_bytes(data[8:12], order)
                        self.assertEqual(int.from_bytes(data[12:14], order), group)
                        stripped, data = stripped + data[12 : 12 + length], data[12 + length :]
                    self.assertEqual(stripped, by_pydicom(self.dataset(charset), syntax))

    def test_texts_keep_their_character_set(self) -> None:
        data = all_of(encode(self.dataset("ISO_IR 100"), EXPLICIT, True))
        self.assertEqual(read_dataset(BytesIO(data), False, True).PatientName, "\u00c4rger^Na\u00efve")

    def test_large_values_are_not_copied(self) -> None:
        dataset = self.dataset()
        value = dataset[0x7FE00010].value
        self.assertTrue(any(piece is value for piece in pieces_of(encode(dataset, EXPLICIT, True))))


class Deflated(Quiet):
    """PS3.5 Annex A.5."""

    def test_both_ways(self) -> None:
        for length in (0, 1000, 3 * LARGE):
            for number in range(4):
                dataset = Dataset()
                dataset.PatientID = "x" * number
                dataset.add_new(0x7FE00010, "OW", bytes(length))
                data = all_of(encode(dataset, DEFLATED, False))
                self.assertEqual(len(data) % 2, 0)
                self.assertEqual(inflated(data), by_pydicom(dataset, EXPLICIT))
                self.assertEqual(zlib.decompressobj(-15).decompress(data), by_pydicom(dataset, EXPLICIT))


class WhatItIs(Quiet):
    """What goes in, and what does not."""

    def test_own_syntax(self) -> None:
        dataset = Dataset()
        self.assertIsNone(own_syntax(dataset))
        for syntax, encoding in ENCODINGS.items():
            read = read_dataset(BytesIO(b""), *encoding)
            self.assertEqual(own_syntax(read), syntax)
        path = Path(pydicom.__file__).parent / "data" / "test_files" / "JPEG2000.dcm"
        self.assertEqual(own_syntax(dcmread(path)), "1.2.840.10008.1.2.4.91")

    def test_groups_that_are_left_out(self) -> None:
        dataset = Dataset()
        dataset.add_new(0x00000002, "UI", "1.2")
        dataset.PatientID = "1"
        self.assertEqual(all_of(encode(dataset, IMPLICIT, False)), bytes.fromhex("1000200002000000") + b"1 ")

    def test_an_empty_one(self) -> None:
        for syntax in (IMPLICIT, EXPLICIT, BIG):
            for group_length in (False, True):
                body = encode(Dataset(), syntax, group_length)
                self.assertEqual((body.size, all_of(body)), (0, b""))

    def test_what_cannot_be_encoded(self) -> None:
        wrong = Dataset()
        wrong.add_new(0x00280010, "US", 70000)
        nameless = Dataset()
        nameless[0x00280010] = DataElement(Tag(0x00280010), "US", "many")
        for dataset in (wrong, nameless):
            with self.assertRaises(LDicomDataError) as caught:
                encode(dataset, EXPLICIT, False)
            self.assertEqual(caught.exception.code, ErrorCode.CONVERSION)


if __name__ == "__main__":
    unittest.main()
