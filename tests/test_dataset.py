"""`LDicomDS`: real files as they are, lazily decoded, converted between the uncompressed syntaxes, saved atomically."""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import tracemalloc
import unittest
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pydicom
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from ldicomnet import Command, ErrorCode, LDicomDataError, LDicomDS, LDicomUsageError, Status
from ldicomnet.body import MemoryBody
from ldicomnet.dataset import to_body, to_command_set
from ldicomnet.part10 import encode_header

from .elements import UNDEFINED, Writer
from .support import BIG, DEFLATED, EXPLICIT, IMPLICIT

UNCOMPRESSED = {
    "CT_small.dcm": EXPLICIT,
    "MR_small_bigendian.dcm": BIG,
    "rtplan.dcm": IMPLICIT,
    "image_dfl.dcm": DEFLATED,
    "ExplVR_BigEnd.dcm": BIG,
}


def path_of(name: str) -> Path:
    """A file of pydicom's wheel."""
    found = get_testdata_file(name, download=False)
    assert found is not None, name
    return Path(str(found))


class RealFiles(unittest.TestCase):
    """The files of pydicom's wheel."""

    def test_every_file_is_read_as_pydicom_reads_it(self) -> None:
        root = Path(pydicom.__file__).parent / "data"
        count = 0
        for path in sorted(root.rglob("*")):
            if not path.is_file():
                continue
            try:
                loaded = LDicomDS.load(path)
            except LDicomDataError:
                continue
            count += 1
            with self.subTest(file=path.name):
                data = path.read_bytes()
                self.assertTrue(data.endswith(loaded.read()))
                self.assertEqual(loaded.size, len(loaded.read()))
                expected = dcmread(path, force=True, stop_before_pixels=True)
                if "TransferSyntaxUID" in expected.file_meta:
                    self.assertEqual(loaded.transfer_syntax, expected.file_meta.TransferSyntaxUID)
                if loaded.transfer_syntax != DEFLATED:
                    self.assertEqual(loaded.read()[:2], _first_group(expected, loaded.transfer_syntax))
        self.assertGreater(count, 150)

    def test_load_reads_no_pixels(self) -> None:
        path = path_of("CT_small.dcm")
        with mock.patch("ldicomnet.body.FileBody.open", side_effect=AssertionError("read")):
            loaded = LDicomDS.load(path)
            self.assertEqual(loaded.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2")
            self.assertEqual(loaded.size, 38870)

    def test_decoded_once_and_kept(self) -> None:
        loaded = LDicomDS.load(path_of("CT_small.dcm"))
        self.assertIs(loaded.dataset, loaded.dataset)
        self.assertEqual(loaded.dataset.PatientName, "CompressedSamples^CT1")
        self.assertEqual(loaded.dataset.file_meta.TransferSyntaxUID, EXPLICIT)

    def test_conversions_of_real_files(self) -> None:
        for name in UNCOMPRESSED:
            source = LDicomDS.load(path_of(name))
            self.assertEqual(source.transfer_syntax, UNCOMPRESSED[name])
            for syntax in (IMPLICIT, EXPLICIT, BIG, DEFLATED):
                with self.subTest(file=name, to=syntax):
                    body = to_body(source, syntax, group_length=False)
                    converted = LDicomDS(body, syntax, source.sop_class_uid, source.sop_instance_uid)
                    back = LDicomDS(
                        to_body(converted, source.transfer_syntax, False), source.transfer_syntax
                    )
                    _compare(self, source.dataset, back.dataset)
                    if "PixelData" in source.dataset and source.dataset["PixelData"].VR == "OW":
                        swapped = (syntax == BIG) != (source.transfer_syntax == BIG)
                        self.assertEqual(_is_swapped(source.dataset.PixelData, converted.dataset.PixelData), swapped)

    def test_an_odd_deflated_data_set_is_padded(self) -> None:
        odd = LDicomDS.load(path_of("image_dfl.dcm"))
        self.assertEqual(odd.size % 2, 1)
        with to_body(odd, DEFLATED, False).open() as file:
            self.assertEqual(file.read(), odd.read() + b"\0")

    def test_refusals(self) -> None:
        compressed = LDicomDS.load(path_of("JPEG2000.dcm"))
        self.assertIs(to_body(compressed, compressed.transfer_syntax, False), compressed.body)
        for syntax in (IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.4.50"):
            for given in (compressed, path_of("JPEG2000.dcm"), dcmread(path_of("JPEG2000.dcm"))):
                with self.subTest(to=syntax, given=type(given)), self.assertRaises(LDicomUsageError) as caught:
                    to_body(given, syntax, False)
                self.assertEqual(caught.exception.code, ErrorCode.TRANSFER_SYNTAX_NOT_SUPPORTED)

    def test_files_that_are_none(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cases = {
                "empty": b"",
                "text": b"hello" * 100,
                "only a prefix": bytes(128) + b"DICM",
                "cut off": path_of("CT_small.dcm").read_bytes()[:200],
            }
            for name, data in cases.items():
                path = Path(folder, name)
                path.write_bytes(data)
                with self.subTest(case=name), self.assertRaises(LDicomDataError):
                    LDicomDS.load(path)
            with self.assertRaises(LDicomDataError) as caught:
                LDicomDS.load(Path(folder, "absent"))
            self.assertEqual(caught.exception.code, ErrorCode.OPEN)

    def test_hostile_files(self) -> None:
        """File meta information that lies, and what is behind it."""
        meta, write = encode_header("1.2", "1.2.3", EXPLICIT), Writer(EXPLICIT)
        no_syntax = bytes(128) + b"DICM" + write.element(0x00020002, b"UI", b"1.2\0")
        uids = write.element(0x00080016, b"UI", b"1.2\0") + write.element(0x00080018, b"UI", b"1.3\0")
        deep = write.nested(100_000)
        cases: dict[str, tuple[bytes, ErrorCode | None, ErrorCode | None]] = {
            "a length over the end": (meta[:132] + write.element(0x00020002, b"UI", b"", 0xFFFE), ErrorCode.END, None),
            "4 GB": (meta[:132] + write.element(0x00020001, b"OB", b"", UNDEFINED), ErrorCode.END, None),
            "4 GB and much behind": (
                meta[:132] + write.element(0x00020001, b"OB", bytes(1 << 21), UNDEFINED), ErrorCode.END, None),
            "a UID of 1 MB": (meta + write.element(0x00020003, b"UT", b"1" * 900_000) + uids, None, ErrorCode.FORMAT),
            "a transfer syntax of control characters": (encode_header("1.2", "1.3", "\n\x1b") + uids, None, None),
            "many elements": (meta + write.element(0x00020102, b"OB") * 50_000 + uids, None, None),
            "too many": (meta + write.element(0x00020102, b"OB") * 100_000 + uids, ErrorCode.END, None),
            "nested": (meta + deep, None, ErrorCode.FORMAT),
            "nested, without meta information": (deep, ErrorCode.FORMAT, None),
            "nested, before the instance": (deep.replace(b"\x11\x11", b"\6\0") + uids, ErrorCode.FORMAT, None),
            "nested, behind the instance": (uids + deep, None, ErrorCode.FORMAT),
            "nested, without transfer syntax": (no_syntax + uids + deep, None, ErrorCode.FORMAT),
            "no transfer syntax, no preamble": (no_syntax[132:] + bytes(100), ErrorCode.FORMAT, None),
            "a preamble and no meta information": (bytes(128) + b"DICM" + uids, None, None),
            "deflated, cut off": (encode_header("1.2", "1.3", DEFLATED), None, ErrorCode.END),
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            for name, (data, code, later) in cases.items():
                path = Path(folder, "hostile")
                path.write_bytes(data)
                with self.subTest(name):
                    self.assertEqual(self._code(LDicomDS.load, path), code)
                    if code is None:
                        self.assertEqual(self._code(getattr, LDicomDS.load(path), "dataset"), later)

    def _code(self, call: Callable[..., object], *arguments: object) -> ErrorCode | None:
        """The code of the error, which is of one kind."""
        with warnings.catch_warnings(action="ignore"):
            try:
                call(*arguments)
            except LDicomDataError as error:
                self.assertTrue(str(error).isprintable() and len(str(error)) < 1000, str(error))
                return error.code
        return None

    def test_a_file_that_does_not_name_its_transfer_syntax(self) -> None:
        path = path_of("meta_missing_tsyntax.dcm")
        loaded = LDicomDS.load(path)
        self.assertEqual(loaded.transfer_syntax, IMPLICIT)
        self.assertEqual(list(loaded.dataset), list(dcmread(path)))

    def test_a_file_decides_nothing_about_memory(self) -> None:
        """Neither a length that is not there, nor a deflated data set behind file meta information in implicit VR."""
        uid, packer = DEFLATED.encode(), zlib.compressobj(wbits=-zlib.MAX_WBITS)
        deflated = packer.compress(bytes(4 << 20)) + packer.flush()
        cases = {
            "a length of 4 GB": bytes.fromhex("08001600 fffffff0") + bytes(100),
            "a data set of 4 MB": bytes(128) + b"DICM" + struct.pack("<HHI", 2, 0x10, len(uid)) + uid + deflated,
        }
        for name, data in cases.items():
            with self.subTest(case=name), tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "file.dcm")
                path.write_bytes(data)
                self.assertLess(self._peak_of_loading(path), 1 << 20)

    def _peak_of_loading(self, path: Path) -> int:
        """Bytes that are allocated at most while a file is looked at, which may be none."""
        tracemalloc.start()
        try:
            with warnings.catch_warnings(action="ignore"), contextlib.suppress(LDicomDataError):
                LDicomDS.load(path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_garbage_is_one_error_on_demand(self) -> None:
        nested = bytes.fromhex("08001111 5351 0000 ffffffff" + "feff00e0 ffffffff") * 5000
        for data, syntax in ((nested, EXPLICIT), (b"no deflate stream", DEFLATED)):
            with self.subTest(syntax=syntax):
                with self.assertRaises(LDicomDataError) as caught:
                    _ = LDicomDS(MemoryBody(data), syntax).dataset
                self.assertEqual(caught.exception.code, ErrorCode.FORMAT)


def _first_group(dataset: Dataset, syntax: str) -> bytes:
    group = min(tag.group for tag in dataset.keys())  # noqa: SIM118
    return group.to_bytes(2, "big" if syntax == BIG else "little")


def _is_swapped(before: bytes, after: bytes) -> bool:
    if before == after:
        return False
    assert before[0::2] == after[1::2] and before[1::2] == after[0::2]
    return True


def _compare(case: unittest.TestCase, first: Dataset, second: Dataset) -> None:
    """Two data sets are the same, but for retired group lengths and what implicit syntaxes forget of a VR."""
    for element in first:
        if element.tag.element == 0 or element.VR != second[element.tag].VR:
            continue
        case.assertEqual(element.value, second[element.tag].value)


class Saving(unittest.TestCase):
    """A file appears complete, or not at all."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.source = LDicomDS.load(path_of("CT_small.dcm"))

    def test_bytes_are_preserved(self) -> None:
        target = self.folder / "saved.dcm"
        for durable in (True, False):
            self.source.save(target, durable=durable)
            self.assertEqual(target.read_bytes()[:132], bytes(128) + b"DICM")
            again = LDicomDS.load(target)
            self.assertEqual(again.read(), self.source.read())
            self.assertEqual(again.sop_instance_uid, self.source.sop_instance_uid)
            self.assertEqual(dcmread(target).file_meta.TransferSyntaxUID, EXPLICIT)
        self.assertEqual(os.listdir(self.folder), ["saved.dcm"])

    def test_order_of_a_durable_save(self) -> None:
        steps: list[str] = []
        real = {"fsync": os.fsync, "replace": os.replace}
        with (
            mock.patch("os.fsync", lambda fd: (steps.append("fsync"), real["fsync"](fd))[1]),
            mock.patch("os.replace", lambda a, b: (steps.append("rename"), real["replace"](a, b))[1]),
        ):
            self.source.save(self.folder / "saved.dcm")
        self.assertEqual(steps, ["fsync", "rename", "fsync"])

    def test_a_failure_leaves_nothing(self) -> None:
        with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            with self.assertRaises(LDicomDataError) as caught:
                self.source.save(self.folder / "saved.dcm")
        self.assertEqual(caught.exception.code, ErrorCode.DISK_FULL)
        self.assertEqual(os.listdir(self.folder), [])
        with self.assertRaises(LDicomDataError):
            self.source.save(self.folder / "absent" / "saved.dcm")

    def test_a_failure_leaves_what_was_there(self) -> None:
        target = self.folder / "saved.dcm"
        target.write_bytes(b"before")
        for call in ("os.fsync", "os.replace", "os.writev", "os.open"):
            if hasattr(os, call[3:]):
                with mock.patch(call, side_effect=OSError(28, "No space left on device")):
                    self.assertRaises(LDicomDataError, LDicomDS.from_bytes(b"ab", IMPLICIT, "1.2", "1.3").save, target)
        self.assertEqual((os.listdir(self.folder), target.read_bytes()), (["saved.dcm"], b"before"))

    def test_over_the_file_it_comes_from(self) -> None:
        target = self.folder / "saved.dcm"
        self.source.save(target)
        loaded = LDicomDS.load(target)
        loaded.save(target)
        self.assertEqual(LDicomDS.load(target).read(), self.source.read())

    def test_a_file_that_vanished(self) -> None:
        path = self.folder / "original.dcm"
        self.source.save(path)
        loaded = LDicomDS.load(path)
        path.unlink()
        with self.assertRaises(LDicomDataError):
            loaded.save(self.folder / "copy.dcm")
        with self.assertRaises(LDicomDataError):
            loaded.read()
        self.assertEqual(os.listdir(self.folder), [])


class FromBytes(unittest.TestCase):
    """`from_bytes`: what is encoded already is not looked at."""

    def setUp(self) -> None:
        self.source = LDicomDS.load(path_of("CT_small.dcm"))
        self.data = self.source.read()

    def test_it_is_what_was_given(self) -> None:
        for data in (self.data, bytearray(self.data), b"", b"no data set at all"):
            made = LDicomDS.from_bytes(data, EXPLICIT, "1.2", "1.3")
            self.assertEqual((made.read(), made.size, made.transfer_syntax), (bytes(data), len(data), EXPLICIT))
            self.assertEqual((made.sop_class_uid, made.sop_instance_uid, made.file_name), ("1.2", "1.3", "1.3.dcm"))
            self.assertIs(to_body(made, EXPLICIT, False), made.body)

    def test_what_it_is_an_instance_of_is_read_from_it(self) -> None:
        made = LDicomDS.from_bytes(self.data, EXPLICIT)
        uids = self.source.sop_class_uid, self.source.sop_instance_uid
        self.assertEqual((made.sop_class_uid, made.sop_instance_uid), uids)
        self.assertEqual(made.dataset.PatientName, "CompressedSamples^CT1")

    def test_saved(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            LDicomDS.from_bytes(self.data, EXPLICIT).save(Path(folder, "a.dcm"))
            again = LDicomDS.load(Path(folder, "a.dcm"))
            self.assertEqual((again.read(), again.transfer_syntax), (self.data, EXPLICIT))
            self.assertEqual(again.sop_instance_uid, self.source.sop_instance_uid)

    def test_converted(self) -> None:
        body = to_body(LDicomDS.from_bytes(self.data, EXPLICIT), IMPLICIT, False)
        _compare(self, self.source.dataset, LDicomDS(body, IMPLICIT).dataset)

    def test_misuse(self) -> None:
        for wrong in ("text", None, 5, memoryview(b"ab"), [1, 2], self.source):
            with self.subTest(type(wrong)), self.assertRaises(LDicomUsageError) as caught:
                LDicomDS.from_bytes(wrong, EXPLICIT)  # type: ignore[arg-type]
            self.assertIn("data is", str(caught.exception))

    def test_garbage_is_one_error_on_demand(self) -> None:
        made = LDicomDS.from_bytes(b"no deflate stream", DEFLATED)
        with self.assertRaises(LDicomDataError):
            _ = made.sop_instance_uid


class FromDatasets(unittest.TestCase):
    """`from_dataset`."""

    def test_encodings(self) -> None:
        dataset = Dataset()
        dataset.PatientID = "1"
        dataset.SOPInstanceUID = "1.2.3"
        for syntax in (None, IMPLICIT, EXPLICIT, BIG, DEFLATED):
            made = LDicomDS.from_dataset(dataset, syntax)
            self.assertEqual(made.transfer_syntax, syntax or IMPLICIT)
            self.assertEqual(made.dataset.PatientID, "1")
            self.assertEqual(made.sop_instance_uid, "1.2.3")

    def test_the_file_meta_information_says_the_syntax(self) -> None:
        made = LDicomDS.from_dataset(dcmread(path_of("CT_small.dcm")))
        self.assertEqual(made.transfer_syntax, EXPLICIT)
        self.assertEqual(made.read(), LDicomDS.load(path_of("CT_small.dcm")).read())

    def test_what_cannot_be_encoded(self) -> None:
        dataset = Dataset()
        dataset.add_new(0x00280010, "US", 70000)
        with self.assertRaises(LDicomDataError) as caught:
            LDicomDS.from_dataset(dataset, EXPLICIT)
        self.assertEqual(caught.exception.code, ErrorCode.CONVERSION)

    def test_command_sets(self) -> None:
        for command, is_request in ((Command.C_STORE, True), (Command.C_MOVE, False), (Command.C_CANCEL, True)):
            made = LDicomDS.init_cs(command, is_request)
            self.assertEqual(made.get_info_cs(), (command, is_request))
        self.assertEqual(LDicomDS.init_cs(Command.C_ECHO, False).dataset.Status, Status.SUCCESS)
        with self.assertRaises(LDicomUsageError):
            LDicomDS.init_cs(Command.C_CANCEL, False)
        with self.assertRaises(LDicomUsageError):
            LDicomDS.load(path_of("CT_small.dcm")).get_info_cs()

    def test_command_sets_that_are_none(self) -> None:
        """A wrong field is no field; what cannot be decoded at all is the fault of the data."""
        write = Writer(IMPLICIT)
        rows = (
            (b"", LDicomUsageError),
            (write.element(0x00000100, b"US", b"\1"), LDicomUsageError),
            (write.element(0x00000100, b"US"), LDicomUsageError),
            (write.element(0x00000100, b"US", b"\1\0\2\0"), LDicomUsageError),
            (write.element(0x00000100, b"US", b"\1\0", UNDEFINED), LDicomDataError),
            (write.element(0x00000100, b"US", b"\1\0") + write.nested(100_000), LDicomDataError),
            (b"\0\0\0", LDicomDataError),
        )
        for data, kind in rows:
            made = LDicomDS.from_bytes(data, "")
            with self.subTest(data=data[:20]), self.assertRaises((LDicomUsageError, LDicomDataError)) as caught:
                made.get_info_cs()
            self.assertIs(type(caught.exception), kind)
            self.assertTrue(str(caught.exception).isprintable())
            if kind is LDicomDataError:
                with self.assertRaises(LDicomDataError):
                    to_command_set(made, False)
