"""`part10`: the header of a DICOM file, ours read by pydicom and pydicom's by us."""

from __future__ import annotations

import struct
import unittest
from io import BytesIO

from pydicom import Dataset, FileMetaDataset, dcmread, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ldicomnet.checks import is_uid
from ldicomnet.errors import LDicomDataError
from ldicomnet.part10 import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    FileMeta,
    decode_header,
    encode_header,
    guess_meta,
    start_of_meta,
)
from ldicomnet.status import ErrorCode

from .elements import Writer
from .spoiling import flips, replaced, truncations
from .support import BIG, EXPLICIT

IMPLICIT = "1.2.840.10008.1.2"
PREAMBLE = bytes(128) + b"DICM"
# Group 0002 typed byte by byte: length, version, class, instance, syntax, implementation (PS3.10 Table 7.1-1).
ELEMENTS = (
    "0200 0100 4F42 0000 02000000 0001",
    "0200 0200 5549 0400 312E3200",
    "0200 0300 5549 0600 312E322E3333",
    "0200 1000 5549 1200" + b"1.2.840.10008.1.2\0".hex(),
    "0200 1200 5549 0400 312E3900",
)


def group(*elements: str) -> bytes:
    """These elements behind a group length that is right for them."""
    data = bytes.fromhex("".join(elements))
    return bytes.fromhex("0200 0000 554C 0400") + len(data).to_bytes(4, "little") + data


def by_pydicom(**options: str) -> bytes:
    """A file that pydicom wrote."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = options.get("syntax", ExplicitVRLittleEndian)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.3"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4"
    dataset.file_meta.SourceApplicationEntityTitle = "SOURCE"
    dataset.file_meta.PrivateInformationCreatorUID = "1.9"
    dataset.file_meta.PrivateInformation = bytes(70_000)
    dataset.PatientName = "A^B"
    stream = BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


class Encoding(unittest.TestCase):
    """Headers that we write."""

    ROWS = (
        ("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1"),
        ("1.22", "1.2.33", IMPLICIT),
        ("1." + "2" * 62, "1." + "3" * 61, "1.2.840.10008.1.2.4.50"),
        ("", "", IMPLICIT),
    )

    def test_as_pydicom_reads_them(self) -> None:
        for uids in self.ROWS:
            with self.subTest(uids=uids):
                header = encode_header(*uids)
                dataset = dcmread(BytesIO(header))
                meta = dataset.file_meta
                self.assertEqual(dataset.preamble, bytes(128))
                found = (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID)
                self.assertEqual(found, uids)
                self.assertEqual(meta.FileMetaInformationGroupLength, len(header) - 132 - 12)
                self.assertEqual(meta.FileMetaInformationVersion, b"\0\1")
                self.assertEqual(meta.ImplementationClassUID, IMPLEMENTATION_CLASS_UID)
                self.assertEqual(meta.ImplementationVersionName, IMPLEMENTATION_VERSION_NAME)
                self.assertEqual(list(meta.keys()), sorted(meta.keys()))
                self.assertEqual(len(header) % 2, 0)

    def test_and_as_we_do(self) -> None:
        for uids in self.ROWS:
            header = encode_header(*uids)
            for behind in (b"", b"\x08\0\x16\0anything"):
                self.assertEqual(decode_header(header + behind), FileMeta(*uids, len(header)))

    def test_byte_by_byte(self) -> None:
        version = IMPLEMENTATION_VERSION_NAME.encode().ljust(len(IMPLEMENTATION_VERSION_NAME) + 1 & ~1)
        uid = IMPLEMENTATION_CLASS_UID.encode().ljust(len(IMPLEMENTATION_CLASS_UID) + 1 & ~1, b"\0")
        ours = (
            "0200 1200 5549" + len(uid).to_bytes(2, "little").hex() + uid.hex(),
            "0200 1300 5348" + len(version).to_bytes(2, "little").hex() + version.hex(),
        )
        self.assertEqual(encode_header("1.2", "1.2.33", IMPLICIT), PREAMBLE + group(*ELEMENTS[:4], *ours))

    def test_a_uid_that_does_not_fit(self) -> None:
        for uids in (("1" * 65_535, "", ""), ("", "1" * 70_000, ""), ("", "", "1" * 1_000_000)):
            with self.assertRaises(LDicomDataError) as caught:
                encode_header(*uids)
            self.assertEqual(caught.exception.code, ErrorCode.FORMAT)
        self.assertEqual(decode_header(encode_header("", "1" * 65_534, "")).sop_instance_uid, "1" * 65_534)

    def test_who_we_are(self) -> None:
        self.assertTrue(is_uid(IMPLEMENTATION_CLASS_UID))
        self.assertLessEqual(len(IMPLEMENTATION_VERSION_NAME), 16)


class Decoding(unittest.TestCase):
    """Headers of others."""

    META = ("1.2", "1.2.33", IMPLICIT)

    def test_a_header_byte_by_byte(self) -> None:
        header = PREAMBLE + group(*ELEMENTS)
        for behind in (b"", b"\x08\0\x05\0CS\0\0"):
            self.assertEqual(decode_header(header + behind), FileMeta(*self.META, len(header)))

    def test_pydicoms(self) -> None:
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            data = by_pydicom(syntax=syntax)
            meta = decode_header(data)
            self.assertEqual(meta[:3], ("1.2.3", "1.2.3.4", syntax))
            self.assertEqual(data[meta.offset : meta.offset + 4], b"\x08\0\x16\0")

    def test_what_readers_put_up_with(self) -> None:
        rows = (
            ("no preamble", group(*ELEMENTS)),
            ("no group length", PREAMBLE + bytes.fromhex("".join(ELEMENTS))),
            ("neither", bytes.fromhex("".join(ELEMENTS))),
            ("a group length that is too large", PREAMBLE + replaced(group(*ELEMENTS), 8, b"\xff\xff\xff\x7f")),
            ("a group length that is too small", PREAMBLE + replaced(group(*ELEMENTS), 8, b"\1\0\0\0")),
            ("a preamble that is not zero", b"II*\0" + bytes(124) + b"DICM" + group(*ELEMENTS)),
        )
        for name, header in rows:
            with self.subTest(name):
                self.assertEqual(decode_header(header + b"\x08\0\x05\0CS\0\0"), FileMeta(*self.META, len(header)))

    def test_in_implicit_vr(self) -> None:
        """Which the standard does not allow, and old writers did."""
        values = {2: b"1.2\0", 3: b"1.2.33", 0x10: b"1.2.840.10008.1.2\0"}
        elements = b"".join(struct.pack("<HHI", 2, number, len(value)) + value for number, value in values.items())
        length = struct.pack("<HHII", 2, 0, 4, len(elements))
        for header in (PREAMBLE + length + elements, PREAMBLE + elements, length + elements):
            self.assertEqual(decode_header(header + b"\x08\0\5\0"), FileMeta(*self.META, len(header)))
            read = dcmread(BytesIO(header), force=True).file_meta
            self.assertEqual((read.MediaStorageSOPClassUID, read.TransferSyntaxUID), ("1.2", IMPLICIT))
        with self.assertRaises(LDicomDataError) as caught:
            decode_header(PREAMBLE + struct.pack("<HHI", 2, 2, 0xFFFFFFFF) + bytes(100))
        self.assertEqual(caught.exception.code, ErrorCode.END)

    def test_what_is_not_there_is_empty(self) -> None:
        header = PREAMBLE + group(ELEMENTS[0])
        self.assertEqual(decode_header(header + b"\x08\0\x05\0"), FileMeta("", "", "", len(header)))

    def test_a_short_last_element_and_nothing_behind(self) -> None:
        for last in ("0200 1300 5348 0200 4120", "0200 1300 5348 0000"):
            header = PREAMBLE + group(*ELEMENTS, last)
            self.assertEqual(decode_header(header), FileMeta(*self.META, len(header)))

    def test_cut_at_every_byte(self) -> None:
        """At the border of two elements too: the group length says that more comes."""
        for header in (PREAMBLE + group(*ELEMENTS), encode_header("1.2", "1.3", "1.4")):
            for short in truncations(header):
                with self.subTest(length=len(short)):
                    with self.assertRaises(LDicomDataError) as caught:
                        decode_header(short)
                    expected = ErrorCode.FORMAT if len(short) < 134 else ErrorCode.END
                    self.assertEqual(caught.exception.code, expected)

    def test_any_wrong_bit_raises_one_error_or_none(self) -> None:
        header = PREAMBLE + group(*ELEMENTS)
        for spoiled in flips(header[132:]):
            try:
                meta = decode_header(PREAMBLE + spoiled)
            except LDicomDataError:
                continue
            self.assertLessEqual(meta.offset, len(header))

    def test_what_is_no_dicom_file(self) -> None:
        no_meta = (PREAMBLE, PREAMBLE + b"\x08\0\x05\0" + bytes(200), b"\x08\0\x05\0" + bytes(200))
        for data in (b"", b"DICM", bytes(200), b"\xff\xd8\xff" * 100, *no_meta):
            with self.subTest(data=data[:10]), self.assertRaises(LDicomDataError) as caught:
                decode_header(data)
            self.assertEqual(caught.exception.code, ErrorCode.FORMAT)

    def test_lengths_that_run_over(self) -> None:
        long, short = ("0200 0100 4F42 0000 FFFFFFFF 0001", "0200 0201 554E 0000 00000080"), "0200 0200 5549 FFFF 312E"
        for element in (*long, short):
            with self.subTest(element), self.assertRaises(LDicomDataError) as caught:
                decode_header(PREAMBLE + bytes.fromhex(element) + bytes(100))
            self.assertEqual(caught.exception.code, ErrorCode.END)


class Guessing(unittest.TestCase):
    """What a data set begins with, where no file meta information says more."""

    def data_set(self, syntax: str) -> bytes:
        """One that names its instance."""
        write = Writer(syntax)
        uids = write.element(0x00080016, b"UI", b"1.2\0") + write.element(0x00080018, b"UI", b"1.2.33")
        return write.element(0x00080005, b"CS", b"ISO_IR 6") + uids + write.element(0x7FE00010, b"OW", bytes(64))

    def test_syntax_and_instance(self) -> None:
        for syntax in (IMPLICIT, EXPLICIT, BIG):
            data = self.data_set(syntax)
            for position in (0, 132, 200):
                expected = FileMeta("1.2", "1.2.33", syntax, position)
                self.assertEqual(guess_meta(bytes(position) + data, position), expected)

    def test_as_pydicom_guesses(self) -> None:
        for syntax in (IMPLICIT, EXPLICIT, BIG):
            read = dcmread(BytesIO(self.data_set(syntax)), force=True)
            guessed = guess_meta(self.data_set(syntax), 0).transfer_syntax
            self.assertEqual(read.original_encoding, (guessed == IMPLICIT, guessed != BIG))

    def test_cut_and_spoilt(self) -> None:
        """Whatever it is, there is an answer, and no part of a UID."""
        for syntax in (IMPLICIT, EXPLICIT, BIG):
            for data in (*truncations(self.data_set(syntax)), *flips(self.data_set(syntax)[:60])):
                meta = guess_meta(data, 0)
                self.assertIn(meta.transfer_syntax, (IMPLICIT, EXPLICIT, BIG))
            for data in truncations(self.data_set(syntax)):
                self.assertIn(guess_meta(data, 0).sop_instance_uid, ("", "1.2.33"))

    def test_not_in_other_groups(self) -> None:
        write = Writer(EXPLICIT)
        for tag in (0x00060018, 0x00100018):
            self.assertEqual(guess_meta(write.element(tag, b"UI", b"1.2.33"), 0).sop_instance_uid, "")

    def test_where_a_file_begins(self) -> None:
        for data, expected in ((b"", 0), (PREAMBLE, 132), (PREAMBLE[:131], 0), (b"\2\0" * 100, 0)):
            self.assertEqual(start_of_meta(data), expected)


if __name__ == "__main__":
    unittest.main()
