"""`body`: encoded data sets in memory and in files, and the sink that gathers them."""

from __future__ import annotations

import errno
import gc
import io
import os
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

from ldicomnet import body as room
from ldicomnet.body import Body, FileBody, MemoryBody, Spool, file_error
from ldicomnet.errors import LDicomDataError
from ldicomnet.status import ErrorCode

DATA = bytes(range(256)) * 20


def views(*parts: bytes) -> list[memoryview]:
    """Fragments as they come from the receive buffer."""
    return [memoryview(part) for part in parts]


class Folder(unittest.TestCase):
    """Tests with a folder of their own."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.warned = self.enterContext(warnings.catch_warnings(record=True, action="always"))

    def tearDown(self) -> None:
        """Whatever was opened was closed."""
        gc.collect()
        self.assertEqual([str(one.message) for one in self.warned or () if one.category is ResourceWarning], [])

    def file(self, data: bytes, name: str = "file") -> Path:
        """A file with these bytes."""
        path = self.folder / name
        path.write_bytes(data)
        return path

    def left(self) -> list[str]:
        """What is in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


class Bodies(Folder):
    """What memory and files have in common: the contract of `Body`."""

    def bodies(self, data: bytes) -> list[tuple[str, Body]]:
        """A body of each kind with the same bytes."""
        spool, spilled = Spool(str(self.folder), 1 << 20), Spool(str(self.folder), 0, lambda: b"a header")
        for sink in (spool, spilled):
            sink.write(views(data, b""))
        return [
            ("bytes", MemoryBody(data)),
            ("bytearray", MemoryBody(bytearray(data))),
            ("a file", FileBody(self.file(data, "whole"), 0)),
            ("the rest of a file", FileBody(self.file(b"header" + data, "rest"), 6)),
            ("the middle of a file", FileBody(self.file(b"header" + data + b"behind", "middle"), 6, len(data))),
            ("a spool in memory", spool.finish()),
            ("a spool in a file", spilled.finish()),
        ]

    def test_any_number_of_times(self) -> None:
        for data in (b"", b"a", DATA):
            for name, body in self.bodies(data):
                with self.subTest(name, length=len(data)):
                    self.assertEqual(body.size, len(data))
                    for _ in range(2):
                        with body.open() as file:
                            self.assertEqual(file.read(), data)
                        self.assertEqual(b"".join(bytes(chunk) for chunk in body.chunks(16)), data)

    def test_chunks_are_multiples_but_for_the_last(self) -> None:
        with mock.patch.object(room, "_CHUNK", 1000):
            for size in (2, 10, 999, 1000, 1001, 10_000):
                for name, body in self.bodies(DATA):
                    with self.subTest(name, size=size):
                        lengths = [len(chunk) for chunk in body.chunks(size)]
                        self.assertEqual(sum(lengths), len(DATA))
                        self.assertEqual([length % size for length in lengths[:-1]], [0] * (len(lengths) - 1))

    def test_chunks_of_a_file_are_of_one_buffer(self) -> None:
        """However large the file is, one buffer is read into."""
        with mock.patch.object(room, "_CHUNK", 1000):
            chunks = FileBody(self.file(DATA), 0).chunks(10)
            self.assertEqual(len({id(chunk.obj) for chunk in chunks}), 1)

    def test_open_reads_and_seeks(self) -> None:
        for name, body in self.bodies(DATA):
            with self.subTest(name), body.open() as file:
                self.assertEqual(file.read(10), DATA[:10])
                self.assertEqual(file.tell(), 10)
                self.assertEqual((file.seek(100), file.read(3)), (100, DATA[100:103]))
                self.assertEqual((file.seek(-3, os.SEEK_CUR), file.read(1)), (100, DATA[100:101]))
                self.assertEqual((file.seek(-5, os.SEEK_END), file.read()), (len(DATA) - 5, DATA[-5:]))
                self.assertEqual(file.read(1), b"")
                self.assertEqual((file.seek(len(DATA) + 5), file.read(1)), (len(DATA) + 5, b""))
                self.assertEqual((file.seek(0), file.read()), (0, DATA))
                self.assertTrue(file.readable() and file.seekable())
            self.assertTrue(file.closed)

    def test_a_section_of_a_file(self) -> None:
        """Below the buffer: positions count from the beginning of the section."""
        file = FileBody(self.file(b"header" + DATA + b"behind"), 6, len(DATA)).open()
        assert isinstance(file, io.BufferedReader)
        section = file.raw
        rows = (
            ((10,), 10, DATA[10:14]),
            ((-2, os.SEEK_CUR), 12, DATA[12:16]),
            ((3, os.SEEK_CUR), 19, DATA[19:23]),
            ((-4, os.SEEK_END), len(DATA) - 4, DATA[-4:]),
            ((-2, os.SEEK_END), len(DATA) - 2, DATA[-2:]),
            ((2, os.SEEK_END), len(DATA) + 2, b""),
            ((-5,), 0, DATA[:4]),
            ((-1_000_000, os.SEEK_CUR), 0, DATA[:4]),
        )
        for arguments, position, data in rows:
            with self.subTest(arguments=arguments):
                self.assertEqual((section.seek(*arguments), section.tell()), (position, position))
                self.assertEqual(section.read(4), data)
                self.assertEqual(section.tell(), position + len(data))
        section.close()
        section.close()
        self.assertRaises(ValueError, section.read, 1)

    def test_two_readers_of_one_body(self) -> None:
        for name, body in self.bodies(DATA):
            with self.subTest(name), body.open() as one, body.open() as other:
                self.assertEqual((one.read(5), other.read(3), one.read(2)), (DATA[:5], DATA[:3], DATA[5:7]))


class Files(Folder):
    """What can happen to a file."""

    def test_a_file_that_has_become_shorter(self) -> None:
        path = self.file(b"header" + DATA)
        body = FileBody(path, 6)
        for length in (0, 3, 6, 7, len(DATA)):
            os.truncate(path, length)
            with self.subTest(length=length), self.assertRaises(LDicomDataError) as caught:
                list(body.chunks(16))
            self.assertEqual(caught.exception.code, ErrorCode.READ)
            self.assertIn(str(path), str(caught.exception))
            path.write_bytes(b"header" + DATA)

    def test_a_file_that_has_become_longer(self) -> None:
        path = self.file(DATA)
        body = FileBody(path, 0)
        path.write_bytes(DATA + b"more")
        self.assertEqual(b"".join(bytes(chunk) for chunk in body.chunks(16)), DATA)
        with body.open() as file:
            self.assertEqual(file.read(), DATA)

    def test_a_file_that_has_gone(self) -> None:
        path = self.file(DATA)
        body = FileBody(path, 0)
        path.unlink()
        for read, code in ((body.open, ErrorCode.OPEN), (lambda: list(body.chunks(2)), ErrorCode.READ)):
            with self.assertRaises(LDicomDataError) as caught:
                read()
            self.assertEqual(caught.exception.code, code)
            self.assertIn(str(path), str(caught.exception))

    def test_short_reads(self) -> None:
        """A system may give less than was asked for."""
        path = self.file(DATA)

        class Reluctant(io.FileIO):
            def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
                return super().readinto(memoryview(buffer)[:7]) or 0

        with mock.patch.object(Path, "open", lambda self, mode, buffering: Reluctant(self, mode)):
            self.assertEqual(b"".join(bytes(chunk) for chunk in FileBody(path, 0).chunks(100)), DATA)

    def test_errors_of_files(self) -> None:
        rows = (
            (errno.ENOSPC, ErrorCode.DISK_FULL),
            (errno.EDQUOT, ErrorCode.DISK_FULL),
            (errno.EMFILE, ErrorCode.TOO_MANY_OPEN_FILES),
            (errno.ENFILE, ErrorCode.TOO_MANY_OPEN_FILES),
            (errno.EIO, ErrorCode.SEEK),
            (None, ErrorCode.SEEK),
        )
        for number, code in rows:
            error = file_error(OSError(number, "the reason"), "cannot do it", ErrorCode.SEEK)
            self.assertEqual((type(error), error.code), (LDicomDataError, code))
            self.assertEqual(str(error), f"cannot do it: the reason [{error.code.name}]")
        self.assertIn(": strange", str(file_error(OSError("strange"), "cannot do it", ErrorCode.READ)))

    def test_a_temporary_file_goes_with_its_body(self) -> None:
        body = FileBody(self.file(DATA), 0, temporary=True)
        kept = FileBody(self.file(DATA, "kept"), 0)
        self.assertEqual(self.left(), ["file", "kept"])
        del body, kept
        gc.collect()
        self.assertEqual(self.left(), ["kept"])

    def test_a_temporary_file_that_has_gone_already(self) -> None:
        body = FileBody(self.file(DATA), 0, temporary=True)
        (self.folder / "file").unlink()
        del body
        gc.collect()

    def test_an_open_file_outlives_its_body(self) -> None:
        body = FileBody(self.file(DATA), 0, temporary=True)
        with body.open() as file:
            del body
            gc.collect()
            if os.name != "nt":
                self.assertEqual(file.read(), DATA)


class Spools(Folder):
    """The sink: memory up to a limit, then a file."""

    def spool(self, memory: int = 1000, header: bytes = b"") -> Spool:
        """A spool into the folder."""
        return Spool(str(self.folder), memory, lambda: header)

    def test_the_threshold(self) -> None:
        for length, files in ((0, 0), (999, 0), (1000, 0), (1001, 1), (5000, 1)):
            for size in (1, 7, 5000):
                with self.subTest(length=length, size=size):
                    spool = self.spool()
                    for at in range(0, length, size):
                        spool.write(views(DATA[at : min(at + size, length)]))
                    self.assertEqual(spool.size, length)
                    body = spool.finish()
                    self.assertEqual(len(self.left()), files)
                    with body.open() as file:
                        self.assertEqual(file.read(), DATA[:length])
                    del body
                    gc.collect()
                    self.assertEqual(self.left(), [])

    def test_the_header_goes_before_the_data_set(self) -> None:
        for parts in ((DATA,), (DATA[:900], DATA[900:]), (DATA[:900], DATA[900:1100], DATA[1100:])):
            spool = self.spool(header=b"the header")
            for part in parts:
                spool.write(views(part))
            body = spool.finish()
            (name,) = self.left()
            self.assertEqual((self.folder / name).read_bytes(), b"the header" + DATA)
            self.assertEqual((body.size, bytes(body.open().read())), (len(DATA), DATA))
            del body

    def test_the_header_is_not_made_for_nothing(self) -> None:
        header = mock.Mock(return_value=b"")
        spool = Spool(str(self.folder), 1000, header)
        spool.write(views(DATA[:1000]))
        header.assert_not_called()
        spool.write(views(DATA))
        spool.write(views(DATA))
        header.assert_called_once_with()
        spool.discard()

    def test_the_file_is_nobody_elses(self) -> None:
        spool = self.spool(0)
        spool.write(views(DATA))
        (name,) = self.left()
        self.assertRegex(name, r"^ldicomnet-.+\.dcm$")
        if os.name != "nt":
            self.assertEqual((self.folder / name).stat().st_mode & 0o077, 0)
        spool.discard()

    def test_fragments_are_not_kept(self) -> None:
        """The receive buffer is written anew after each call."""
        for memory in (0, 1 << 20):
            buffer = bytearray(b"first")
            spool = self.spool(memory)
            spool.write([memoryview(buffer)])
            buffer[:] = b"later"
            with spool.finish().open() as file:
                self.assertEqual(file.read(), b"first")

    def test_discard(self) -> None:
        for memory in (0, 100_000):
            spool = self.spool(memory)
            spool.write(views(DATA))
            spool.discard()
            spool.discard()
            self.assertEqual(self.left(), [])

    def test_a_gathering_write_that_takes_only_a_part(self) -> None:
        if not hasattr(os, "writev"):
            self.skipTest("this system has no writev")
        writev = os.writev

        def partly(descriptor: int, buffers: list[memoryview]) -> int:
            return writev(descriptor, [memoryview(b"".join(buffers))[:taken]])

        parts = [DATA[at : at + 100] for at in range(0, len(DATA), 100)]
        for taken in (0, 1, 99, 100, 101, len(DATA) - 1, len(DATA)):
            with self.subTest(taken=taken), mock.patch.object(room.os, "writev", partly):
                spool = self.spool(0)
                spool.write(views(*parts))
                with spool.finish().open() as file:
                    self.assertEqual(file.read(), DATA)

    def test_a_write_that_takes_only_a_part(self) -> None:
        class Reluctant(io.FileIO):
            def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
                return super().write(memoryview(data)[:11])

        with mock.patch.object(room.io, "FileIO", Reluctant):
            spool = self.spool(100, b"a header of some length")
            with mock.patch.object(room, "_IOV_MAX", 0):
                spool.write(views(DATA[:90]))
                spool.write(views(DATA[90:3000], DATA[3000:]))
            with spool.finish().open() as file:
                self.assertEqual(file.read(), DATA)

    def test_more_fragments_than_one_write_takes(self) -> None:
        spool = self.spool(0)
        spool.write(views(*(DATA[at : at + 1] for at in range(3000))))
        with spool.finish().open() as file:
            self.assertEqual(file.read(), DATA[:3000])

    def test_a_disk_that_is_full(self) -> None:
        full = OSError(errno.ENOSPC, "No space left on device")
        for module, name in ((room.tempfile, "mkstemp"), (room.os, "writev")):
            with self.subTest(name), mock.patch.object(module, name, side_effect=full):
                spool = self.spool(0)
                with self.assertRaises(LDicomDataError) as caught:
                    spool.write(views(DATA))
                self.assertEqual(caught.exception.code, ErrorCode.DISK_FULL)
                self.assertIn(str(self.folder), str(caught.exception))
                spool.discard()
                self.assertEqual(self.left(), [])

    def test_a_disk_that_is_full_when_the_file_is_closed(self) -> None:
        class Failing(io.FileIO):
            def close(self) -> None:
                if not self.closed:
                    super().close()
                    raise OSError(errno.EDQUOT, "Disk quota exceeded")

        with mock.patch.object(room.io, "FileIO", Failing):
            spool = self.spool(0)
            spool.write(views(DATA))
            with self.assertRaises(LDicomDataError) as caught:
                spool.finish()
        self.assertEqual(caught.exception.code, ErrorCode.DISK_FULL)
        self.assertEqual(self.left(), [])

    def test_a_folder_that_is_not_there(self) -> None:
        spool = Spool(str(self.folder / "none"), 0)
        with self.assertRaises(LDicomDataError) as caught:
            spool.write(views(DATA))
        self.assertEqual(caught.exception.code, ErrorCode.WRITE)

    def test_no_folder_is_the_systems(self) -> None:
        with mock.patch.object(tempfile, "tempdir", str(self.folder)):
            spool = Spool(None, 0)
            spool.write(views(DATA))
            self.assertEqual(len(self.left()), 1)
            spool.discard()


if __name__ == "__main__":
    unittest.main()
