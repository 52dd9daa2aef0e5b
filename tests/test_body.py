"""`body`: encoded data sets in memory and in files, read through a few buffers that are used again and again."""

from __future__ import annotations

import errno
import gc
import io
import os
import struct
import sys
import tempfile
import unittest
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from ldicomnet import LDicomDS, buffers
from ldicomnet import body as room
from ldicomnet.body import (
    Body,
    FileBody,
    MemoryBody,
    PiecesBody,
    file_error,
    whole,
    write_gathered,
)
from ldicomnet.buffers import give_buffer, make_buffer, take_buffer
from ldicomnet.errors import LDicomDataError
from ldicomnet.sinks import FileSink, Spool
from ldicomnet.status import ErrorCode

DATA = bytes(range(256)) * 20


def views(*parts: bytes) -> list[memoryview]:
    """Fragments as they come from the receive buffer."""
    return [memoryview(part) for part in parts]


class Folder(unittest.TestCase):
    """Tests with a folder of their own."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        gc.collect()  # what other tests have left is not of this one
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

    def patch_chunk(self, size: int) -> None:
        """From now on a buffer has `size` bytes, and none of another size is spare."""
        for name, value in (("CHUNK", size), ("_spare", deque(maxlen=buffers._SPARE))):
            self.enterContext(mock.patch.object(buffers, name, value))


class Bodies(Folder):
    """What memory and files have in common: the contract of `Body`."""

    def bodies(self, data: bytes) -> list[tuple[str, Body]]:
        """A body of each kind with the same bytes."""
        spool, spilled = Spool(str(self.folder), 1 << 20), Spool(str(self.folder), 0, lambda: b"a header")
        named = FileSink(str(self.folder / "named"), b"its header")
        for sink in (spool, spilled, named):
            sink.write(views(data, b""))
        return [
            ("bytes", MemoryBody(data)),
            ("bytearray", MemoryBody(bytearray(data))),
            ("one piece", PiecesBody([data])),
            ("pieces", PiecesBody([data[:7], b"", data[7:1500], data[1500:1501], data[1501:]])),
            ("a file", FileBody(self.file(data, "whole"), 0)),
            ("the rest of a file", FileBody(self.file(b"header" + data, "rest"), 6)),
            ("the middle of a file", FileBody(self.file(b"header" + data + b"behind", "middle"), 6, len(data))),
            ("a spool in memory", spool.finish()),
            ("a spool in a file", spilled.finish()),
            ("a named file", named.finish()),
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
                        self.assertEqual(whole(body), data)

    def test_chunks_are_multiples_but_for_the_last(self) -> None:
        self.patch_chunk(1000)
        for size in (2, 10, 999, 1000):
            for name, body in self.bodies(DATA):
                with self.subTest(name, size=size):
                    self.check_multiples(body, size)

    def test_chunks_are_multiples_of_more_than_a_buffer_too(self) -> None:
        self.patch_chunk(1000)
        for name, body in self.bodies(DATA):
            with self.subTest(name):
                self.check_multiples(body, 1001)

    def check_multiples(self, body: Body, size: int) -> None:
        """Every chunk but the last has a multiple of `size`."""
        lengths = [len(chunk) for chunk in body.chunks(size)]
        self.assertEqual(sum(lengths), len(DATA))
        self.assertEqual([length % size for length in lengths[:-1]], [0] * (len(lengths) - 1))

    def test_chunks_of_a_file_are_of_one_buffer(self) -> None:
        """However large the file is, one buffer is read into."""
        self.patch_chunk(1000)
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


class Failing(io.FileIO):
    """A file on a device that fails, but for the first bytes."""

    good = 0

    def readinto(self, buffer: Any) -> int:
        """Some, and then an error."""
        if self.tell() >= self.good:
            raise OSError(errno.EIO, "Input/output error")
        return super().readinto(memoryview(buffer)[: self.good]) or 0


class Files(Folder):
    """What can happen to a file."""

    def test_a_file_that_has_become_shorter(self) -> None:
        path = self.file(b"header" + DATA)
        body = FileBody(path, 6)
        for length in (0, 3, 6, 7, len(DATA)):
            os.truncate(path, length)
            for read in (lambda: list(body.chunks(16)), lambda: whole(body)):
                with self.subTest(length=length), self.assertRaises(LDicomDataError) as caught:
                    read()
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
        path = self.file(b"header" + DATA + b"behind")
        read_at = room._read_at

        def reluctant(descriptor: int, view: memoryview, position: int) -> int:
            return read_at(descriptor, view[:7], position)

        with mock.patch.object(room, "_read_at", reluctant):
            self.assertEqual(b"".join(bytes(chunk) for chunk in FileBody(path, 6, len(DATA)).chunks(100)), DATA)

    def test_a_file_that_cannot_be_read_on(self) -> None:
        body = FileBody(self.file(DATA), 0)
        with mock.patch.object(room, "_read_at", side_effect=OSError(errno.EIO, "Input/output error")):
            with self.assertRaises(LDicomDataError) as caught:
                list(body.chunks(16))
        self.assertEqual(caught.exception.code, ErrorCode.READ)
        self.assertIn(f"cannot read {body.path}: Input/output error", str(caught.exception))

    def test_a_whole_file_that_cannot_be_read_on(self) -> None:
        """By whatever reads it: the device fails, at once or when some of it has been read."""
        body = FileBody(self.file(DATA), 0)
        for good in (0, 100):
            for read in (
                lambda: whole(body),
                lambda: body.open().read(),
                lambda: list(body.open()),
                lambda: LDicomDS(body, "1.2.840.10008.1.2").dataset,
                lambda: LDicomDS(body, "1.2.840.10008.1.2.1.99").dataset,
            ):
                Failing.good = good
                with mock.patch.object(room.io, "FileIO", Failing), self.assertRaises(LDicomDataError) as caught:
                    read()
                self.assertEqual((caught.exception.code, caught.exception.status), (ErrorCode.READ, 0xA700))
                self.assertIn(f"cannot read {body.path}: Input/output error", str(caught.exception))

    def test_a_place_that_cannot_be_gone_to(self) -> None:
        body = FileBody(self.file(DATA), 0)
        with mock.patch.object(Failing, "seek", side_effect=OSError(errno.EIO, "Input/output error")):
            with mock.patch.object(room.io, "FileIO", Failing), self.assertRaises(LDicomDataError) as caught:
                body.open()
        self.assertEqual(caught.exception.code, ErrorCode.READ)

    def test_what_is_in_memory_is_not_copied(self) -> None:
        data = bytes(DATA)
        self.assertIs(whole(MemoryBody(data)), data)
        self.assertIsInstance(whole(MemoryBody(bytearray(data))), bytes)

    def test_without_preadv(self) -> None:
        """As Windows reads: the descriptor has one position, which nobody else moves."""
        body = FileBody(self.file(b"header" + DATA + b"behind"), 6, len(DATA))
        self.patch_chunk(1000)

        def read_at(descriptor: int, view: memoryview, position: int) -> int:
            os.lseek(descriptor, position, os.SEEK_SET)
            data = os.read(descriptor, len(view))
            view[: len(data)] = data
            return len(data)

        with mock.patch.object(room, "_read_at", read_at):
            for first, second in zip(body.chunks(10), body.chunks(10), strict=True):
                self.assertEqual(first, second)

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


class Buffers(Folder):
    """The buffers of 1 MiB that files are read through."""

    def setUp(self) -> None:
        super().setUp()
        self.patch_chunk(1000)

    def test_one_after_the_other_is_the_same(self) -> None:
        body = FileBody(self.file(DATA), 0)
        used = {id(chunk.obj) for _ in range(5) for chunk in body.chunks(10)}
        self.assertEqual(len(used), 1)
        self.assertEqual(len(buffers._spare), 1)

    def test_pieces_in_memory_take_one_too(self) -> None:
        body = PiecesBody([DATA[:10], DATA[10:]])
        used = {id(chunk.obj) for _ in range(5) for chunk in body.chunks(10)}
        self.assertEqual((len(used), len(buffers._spare)), (1, 1))
        abandoned = body.chunks(10)
        next(abandoned)
        del abandoned
        gc.collect()
        self.assertEqual(len(buffers._spare), 1)

    def test_two_at_once_are_two(self) -> None:
        """Each chunk stays as it is until the next one of its own file."""
        other = bytes(reversed(DATA))
        one, two = FileBody(self.file(DATA), 0).chunks(10), FileBody(self.file(other, "other"), 0).chunks(10)
        first, second = b"", b""
        for chunk, its in zip(one, two, strict=True):
            first, second = first + chunk, second + its
            self.assertIsNot(chunk.obj, its.obj)
        self.assertEqual((first, second), (DATA, other))
        self.assertEqual(len(buffers._spare), 2)

    def test_given_back_however_it_ends(self) -> None:
        path = self.file(DATA)
        body, gone = FileBody(path, 0), FileBody(path, 0)
        gone.path = str(self.folder / "gone")
        abandoned = body.chunks(10)
        next(abandoned)
        self.assertEqual(len(buffers._spare), 0)
        del abandoned
        gc.collect()
        self.assertEqual(len(buffers._spare), 1)
        os.truncate(path, 1500)
        for broken in (body, gone):
            with self.assertRaises(LDicomDataError):
                list(broken.chunks(10))
            self.assertEqual(len(buffers._spare), 1)

    def test_not_taken_before_the_first_chunk(self) -> None:
        chunks = FileBody(self.file(DATA), 0).chunks(10)
        del chunks
        self.assertEqual(len(buffers._spare), 0)

    def test_few_are_kept(self) -> None:
        taken = [take_buffer() for _ in range(20)]
        self.assertEqual(len({id(buffer) for buffer in taken}), 20)
        self.assertEqual({len(buffer) for buffer in taken}, {1000})
        for buffer in taken:
            give_buffer(buffer)
        self.assertEqual(len(buffers._spare), buffers._SPARE)


    def test_large_ones_are_no_blocks_of_the_c_library(self) -> None:
        """But they can do what small ones can; and a forked process has its own."""
        for size in (1000, 1 << 20):
            buffer = make_buffer(size)
            self.assertEqual((len(buffer), buffer[:4], buffer[7]), (size, bytes(4), 0))
            memoryview(buffer)[10:12] = b"ab"
            buffer[20:22] = buffer[10:12]
            self.assertEqual((buffer[20:22], struct.unpack_from("2s", buffer, 20)[0]), (b"ab", b"ab"))
            self.assertEqual(isinstance(buffer, bytearray), size == 1000)
            if hasattr(os, "fork") and sys.platform != "darwin":
                process = os.fork()
                if not process:
                    memoryview(buffer)[10:12] = b"xy"
                    os._exit(0)
                os.waitpid(process, 0)
                self.assertEqual(buffer[10:12], b"ab")


class Gathering(Folder):
    """`write_gathered`: all of it reaches the descriptor, whatever one call takes."""

    PARTS = (b"header", b"", *(DATA[at : at + 100] for at in range(0, len(DATA), 100)), b"", b"end")
    WHOLE = b"".join(PARTS)

    def check(self, pieces: tuple[bytes, ...] = PARTS, whole: bytes = WHOLE) -> None:
        """What is in the file once they were written."""
        path = self.folder / "written"
        with path.open("wb", buffering=0) as file:
            write_gathered(file.fileno(), [b"b", memoryview(b"efore")])
            write_gathered(file.fileno(), [memoryview(piece) for piece in pieces])
            write_gathered(file.fileno(), pieces)
        self.assertEqual(path.read_bytes(), b"before" + whole + whole)

    def test_one_call(self) -> None:
        self.check()

    def test_nothing(self) -> None:
        self.check((), b"")
        self.check((b"", b""), b"")

    def test_more_than_one_call_takes(self) -> None:
        many = tuple(DATA[at : at + 1] for at in range(3000))
        for count in (room._IOV_MAX - 1, room._IOV_MAX, room._IOV_MAX + 1, 3000):
            self.check(many[:count], DATA[:count])

    def test_without_a_gathering_write(self) -> None:
        with mock.patch.object(room, "_GATHERS", False):
            self.check()

    def partly(self, taken: int) -> Callable[..., int]:
        """A system call that takes no more than so many bytes."""
        write = os.write

        def call(descriptor: int, data: Any) -> int:
            whole = b"".join(data) if isinstance(data, list | tuple) else bytes(data)
            return write(descriptor, whole[:taken])

        return call

    @unittest.skipUnless(hasattr(os, "writev"), "this system has no writev")
    def test_a_gathering_write_that_takes_only_a_part(self) -> None:
        for taken in (0, 1, 5, 6, 7, 99, 100, 101, 106, len(self.WHOLE) - 1, len(self.WHOLE)):
            with self.subTest(taken=taken), mock.patch.object(room.os, "writev", self.partly(taken)):
                self.check()

    def test_a_write_that_takes_only_a_part(self) -> None:
        for taken in (1, 11, 100):
            with self.subTest(taken=taken), mock.patch.object(room.os, "write", self.partly(taken)):
                with mock.patch.object(room, "_GATHERS", False):
                    self.check(self.PARTS[:9], b"".join(self.PARTS[:9]))

    @unittest.skipUnless(hasattr(os, "writev"), "this system has no writev")
    def test_a_disk_that_is_full_behind_a_part(self) -> None:
        """The `OSError` is left to who knows which file it is."""
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch.object(room.os, "writev", lambda *_: 4), mock.patch.object(room.os, "write", side_effect=full):
            with (self.folder / "written").open("wb", buffering=0) as file, self.assertRaises(OSError) as caught:
                write_gathered(file.fileno(), self.PARTS)
        self.assertIs(caught.exception, full)


if __name__ == "__main__":
    unittest.main()
