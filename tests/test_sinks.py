"""`sinks`: where data sets go as they arrive: memory and then a file, a named file, a file object of the user's."""

from __future__ import annotations

import errno
import gc
import io
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from ldicomnet import body as body_room
from ldicomnet import part_file as part_room
from ldicomnet.errors import LDicomDataError
from ldicomnet.sinks import FileSink, Sink, Spool, StreamSink
from ldicomnet.status import ErrorCode

from .test_body import DATA, Folder, views

FULL = OSError(errno.ENOSPC, "No space left on device")
OVER_QUOTA = OSError(errno.EDQUOT, "Disk quota exceeded")
NO_PERMISSION = PermissionError(errno.EACCES, "Permission denied")


def failing_close(error: OSError) -> Any:
    """The system's close that closes, and then complains."""
    close = os.close

    def call(descriptor: int) -> None:
        close(descriptor)
        raise error

    return mock.patch.object(part_room.os, "close", call)


class Sinks(Folder):
    """Tests of one sink and what is left of it."""

    def refuses(self, code: ErrorCode, call: Any, *arguments: Any) -> str:
        """One error of the library's."""
        with self.assertRaises(LDicomDataError) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.code, code)
        return str(caught.exception)

    def is_done_with(self) -> None:
        """No file is noted for the interpreter's end."""
        self.assertEqual([name for _process, name in part_room._unfinished if str(self.folder) in name], [])


class Contract(Sinks):
    """What all kinds have in common."""

    def sinks(self) -> list[tuple[str, Sink]]:
        """One of each kind."""
        return [
            ("memory", Spool(str(self.folder), 1 << 20)),
            ("memory, then a file", Spool(str(self.folder), 100, lambda: b"header")),
            ("a file", Spool(str(self.folder), 0)),
            ("a named file", FileSink(str(self.folder / "named"), b"header")),
            ("a stream", StreamSink(io.BytesIO())),
        ]

    def test_sizes(self) -> None:
        for parts in ((), (b"",), (b"a", b"", b"bcd"), (DATA[:90], DATA[90:], b"x")):
            for name, sink in self.sinks():
                with self.subTest(name, parts=len(parts)):
                    self.assertEqual(sink.size, 0)
                    for count, part in enumerate(parts, 1):
                        sink.write(views(part))
                        self.assertEqual(sink.size, sum(map(len, parts[:count])))
                    self.assertEqual(sink.finish().size, sum(map(len, parts)))

    def test_any_number_of_fragments(self) -> None:
        for name, sink in self.sinks():
            with self.subTest(name):
                sink.write([])
                sink.write(views(b"ab", b"", b"c"))
                sink.write(views(*(DATA[at : at + 1] for at in range(3000))))
                self.assertEqual(sink.size, 3003)
                body = sink.finish()
                self.assertEqual(body.size, 3003)
                if name != "a stream":
                    with body.open() as file:
                        self.assertEqual(file.read(), b"abc" + DATA[:3000])

    def test_fragments_are_not_kept(self) -> None:
        """The receive buffer is written anew after each call."""
        for name, sink in self.sinks():
            if name == "a stream":
                continue
            with self.subTest(name):
                buffer = bytearray(b"first")
                sink.write([memoryview(buffer)])
                buffer[:] = b"later"
                with sink.finish().open() as file:
                    self.assertEqual(file.read(), b"first")

    def test_discard_leaves_nothing(self) -> None:
        for parts in ((), (b"",), (b"a",), (DATA, DATA)):
            for name, sink in self.sinks():
                with self.subTest(name, parts=len(parts)):
                    for part in parts:
                        sink.write(views(part))
                    sink.discard()
                    sink.discard()
                    self.assertEqual(self.left(), [])
                    self.is_done_with()

    def test_an_empty_data_set(self) -> None:
        for name, sink in self.sinks():
            with self.subTest(name):
                body = sink.finish()
                self.assertEqual(body.size, 0)
                if name != "a stream":
                    self.assertEqual(body.open().read(), b"")
                    self.assertEqual(list(body.chunks(2)), [])
        self.assertEqual(self.left(), [], "not even for a header")


class Spools(Sinks):
    """Memory up to a limit, then a temporary file."""

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
        self.assertRegex(name, r"^ldicomnet-.+\.part$")
        if os.name != "nt":
            self.assertEqual((self.folder / name).stat().st_mode & 0o077, 0)
        spool.discard()

    def test_a_temporary_file_goes_with_its_body(self) -> None:
        spool = self.spool(0)
        spool.write(views(DATA))
        body = spool.finish()
        del spool
        gc.collect()
        self.assertEqual(len(self.left()), 1)
        self.is_done_with()
        del body
        gc.collect()
        self.assertEqual(self.left(), [])

    def test_a_gathering_write_that_takes_only_a_part(self) -> None:
        if not hasattr(os, "writev"):
            self.skipTest("this system has no writev")
        writev = os.writev

        def partly(descriptor: int, buffers: list[memoryview]) -> int:
            return writev(descriptor, [memoryview(b"".join(buffers))[:taken]])

        parts = [DATA[at : at + 100] for at in range(0, len(DATA), 100)]
        for taken in (0, 1, 99, 100, 101, len(DATA) - 1, len(DATA)):
            with self.subTest(taken=taken), mock.patch.object(body_room.os, "writev", partly):
                spool = self.spool(0)
                spool.write(views(*parts))
                with spool.finish().open() as file:
                    self.assertEqual(file.read(), DATA)

    def test_a_write_that_takes_only_a_part(self) -> None:
        write = os.write
        with mock.patch.object(body_room.os, "write", lambda descriptor, data: write(descriptor, data[:11])):
            spool = self.spool(100, b"a header of some length")
            with mock.patch.object(body_room, "_GATHERS", False):
                spool.write(views(DATA[:90]))
                spool.write(views(DATA[90:3000], DATA[3000:]))
            with spool.finish().open() as file:
                self.assertEqual(file.read(), DATA)

    def test_a_disk_that_is_full(self) -> None:
        call = "writev" if hasattr(os, "writev") else "write"
        for module, name in ((part_room.os, "open"), (body_room.os, call)):
            with self.subTest(name), mock.patch.object(module, name, side_effect=FULL):
                spool = self.spool(0)
                said = self.refuses(ErrorCode.DISK_FULL, spool.write, views(DATA))
                self.assertIn(str(self.folder), said)
                spool.discard()
                self.assertEqual(self.left(), [])
                self.is_done_with()

    def test_a_disk_that_is_full_in_the_middle(self) -> None:
        call = "writev" if hasattr(os, "writev") else "write"
        spool = self.spool(100)
        spool.write(views(DATA[:90]))
        spool.write(views(DATA))
        with mock.patch.object(body_room.os, call, side_effect=FULL):
            self.refuses(ErrorCode.DISK_FULL, spool.write, views(DATA))
        self.assertEqual(len(self.left()), 1)
        spool.discard()
        self.assertEqual(self.left(), [])
        self.is_done_with()

    def test_a_disk_that_is_full_when_the_file_is_closed(self) -> None:
        spool = self.spool(0)
        spool.write(views(DATA))
        with failing_close(OVER_QUOTA):
            self.refuses(ErrorCode.DISK_FULL, spool.finish)
        self.assertEqual(self.left(), [])
        spool.discard()
        self.is_done_with()

    def test_a_header_that_cannot_be_made(self) -> None:
        spool = Spool(str(self.folder), 0, mock.Mock(side_effect=ZeroDivisionError))
        self.assertRaises(ZeroDivisionError, spool.write, views(DATA))
        spool.discard()
        self.assertEqual(self.left(), [])

    def test_a_folder_that_is_not_there(self) -> None:
        spool = Spool(str(self.folder / "none"), 0)
        self.refuses(ErrorCode.WRITE, spool.write, views(DATA))
        spool.discard()

    def test_a_folder_that_may_not_be_written(self) -> None:
        with mock.patch.object(part_room.os, "open", side_effect=NO_PERMISSION):
            spool = self.spool(0)
            self.assertIn("Permission denied", self.refuses(ErrorCode.WRITE, spool.write, views(DATA)))
            spool.discard()

    def test_no_folder_is_the_systems(self) -> None:
        with mock.patch.object(tempfile, "tempdir", str(self.folder)):
            spool = Spool(None, 0)
            spool.write(views(DATA))
            self.assertEqual(len(self.left()), 1)
            spool.discard()


class Named(Sinks):
    """A file of a given name, complete or not there."""

    def setUp(self) -> None:
        super().setUp()
        self.path = str(self.folder / "1.2.3.dcm")

    def sink(self, *parts: bytes) -> FileSink:
        """A sink with these bytes."""
        sink = FileSink(self.path, b"header")
        for part in parts:
            sink.write(views(part))
        return sink

    def test_not_there_before_it_is_complete(self) -> None:
        sink = self.sink()
        self.assertEqual(self.left(), [], "nothing has come")
        for part in (DATA[:10], DATA[10:]):
            sink.write(views(part))
            (name,) = self.left()
            self.assertRegex(name, r"^\..+\.part$")
        body = sink.finish()
        self.assertEqual(self.left(), ["1.2.3.dcm"])
        self.assertEqual(Path(self.path).read_bytes(), b"header" + DATA)
        self.assertEqual((body.size, body.open().read()), (len(DATA), DATA))
        self.assertEqual(b"".join(map(bytes, body.chunks(2))), DATA)
        self.is_done_with()
        sink.discard()
        del body, sink
        gc.collect()
        self.assertEqual(self.left(), ["1.2.3.dcm"], "it is the user's")

    def test_one_that_is_there_is_replaced_at_the_end(self) -> None:
        for ending in ("finish", "discard"):
            Path(self.path).write_bytes(b"the old one")
            sink = self.sink(DATA)
            self.assertEqual(Path(self.path).read_bytes(), b"the old one")
            getattr(sink, ending)()
            expected = b"header" + DATA if ending == "finish" else b"the old one"
            self.assertEqual((Path(self.path).read_bytes(), self.left()), (expected, ["1.2.3.dcm"]))

    def test_two_to_one_path(self) -> None:
        """Neither sees the other, both are whole, and the later one stays."""
        one, other = self.sink(b"one" * 50), self.sink(b"other" * 10)
        one.write(views(b"!"))
        other.finish()
        self.assertEqual(Path(self.path).read_bytes(), b"header" + b"other" * 10)
        one.finish()
        self.assertEqual((Path(self.path).read_bytes(), self.left()), (b"header" + b"one" * 50 + b"!", ["1.2.3.dcm"]))

    def test_in_the_current_folder(self) -> None:
        before = Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        self.path = "plain.dcm"
        self.sink(DATA).finish()
        self.assertEqual(self.left(), ["plain.dcm"])

    def test_a_folder_that_is_not_there(self) -> None:
        self.path = str(self.folder / "none" / "x.dcm")
        sink = self.sink()
        self.assertIn(self.path, self.refuses(ErrorCode.WRITE, sink.write, views(DATA)))
        sink.discard()

    def test_paths_that_are_folders_or_nothing(self) -> None:
        (self.folder / "folder").mkdir()
        before = Path.cwd()
        os.chdir(self.folder)  # for the path that is empty
        self.addCleanup(os.chdir, before)
        for path in (str(self.folder / "folder"), f"{self.folder / 'folder'}{os.sep}", "", "x" * 300):
            with self.subTest(path=path):
                self.path = path
                self.refuses(ErrorCode.WRITE, self.sink(DATA).finish)
                self.assertEqual(self.left(), ["folder"])
                self.is_done_with()

    def test_what_cannot_be_opened(self) -> None:
        for error, code in ((NO_PERMISSION, ErrorCode.WRITE), (FULL, ErrorCode.DISK_FULL)):
            with mock.patch.object(part_room.os, "open", side_effect=error):
                sink = self.sink()
                self.refuses(code, sink.write, views(DATA))
                sink.discard()
            self.assertEqual(self.left(), [])

    def test_a_disk_that_is_full(self) -> None:
        """At the first byte, and in the middle."""
        call = "writev" if hasattr(os, "writev") else "write"
        for parts in ((), (DATA,)):
            sink = self.sink(*parts)
            with mock.patch.object(body_room.os, call, side_effect=FULL):
                self.assertIn(self.path, self.refuses(ErrorCode.DISK_FULL, sink.write, views(DATA)))
            sink.discard()
            self.assertEqual(self.left(), [])
            self.is_done_with()

    def test_a_disk_that_is_full_at_the_end(self) -> None:
        """When it is closed, and when it gets its name; nothing stays, whether it is discarded then or not."""
        for patch in (failing_close(OVER_QUOTA), mock.patch.object(part_room.os, "replace", side_effect=FULL)):
            sink = self.sink(DATA)
            with patch:
                self.refuses(ErrorCode.DISK_FULL, sink.finish)
            self.assertEqual(self.left(), [])
            self.is_done_with()
            sink.discard()

    def test_durable(self) -> None:
        """The file is flushed before it has its name, and the folder then; only where that is wanted."""
        steps: list[str] = []

        def noting(name: str) -> Any:
            call = getattr(os, name)
            return mock.patch.object(part_room.os, name, lambda *a: (steps.append(name), call(*a))[1])

        flush = [] if os.name == "nt" else ["fsync"]
        for is_durable, expected in ((True, ["fsync", "replace", *flush]), (False, ["replace"])):
            steps.clear()
            sink = FileSink(self.path, b"header", is_durable)
            sink.write(views(DATA))
            with noting("fsync"), noting("replace"):
                sink.finish()
            self.assertEqual(steps, expected)

    def test_a_disk_that_is_full_when_it_is_flushed(self) -> None:
        sink = FileSink(self.path, b"header", True)
        sink.write(views(DATA))
        with mock.patch.object(part_room.os, "fsync", side_effect=FULL):
            self.refuses(ErrorCode.DISK_FULL, sink.finish)
        self.assertEqual(self.left(), [])
        self.is_done_with()

    def test_short_writes(self) -> None:
        write = os.write
        with mock.patch.object(body_room, "_GATHERS", False):
            with mock.patch.object(body_room.os, "write", lambda descriptor, data: write(descriptor, data[:7])):
                self.sink(DATA[:1000], DATA[1000:1003], DATA[1003:]).finish()
        self.assertEqual(Path(self.path).read_bytes(), b"header" + DATA)


class Streams(Sinks):
    """A binary file object of the user's."""

    def test_what_it_gets(self) -> None:
        file = io.BytesIO(b"....before")
        file.seek(4)
        sink = StreamSink(file)
        sink.write(views(b"abc", b"", b"def"))
        sink.write(views(b"ghi"))
        sink.finish()
        self.assertFalse(file.closed)
        self.assertEqual(file.getvalue(), b"....abcdefghi")

    def test_what_it_got_stays_with_it(self) -> None:
        file = io.BytesIO()
        sink = StreamSink(file)
        sink.write(views(b"abc"))
        sink.discard()
        self.assertEqual((file.closed, file.getvalue()), (False, b"abc"))

    def test_a_raw_file_that_takes_only_a_part(self) -> None:
        class Reluctant(io.FileIO):
            def write(self, data: Any) -> int:
                return super().write(memoryview(data)[:7])

        with Reluctant(self.folder / "raw", "wb") as file:
            sink = StreamSink(file)
            sink.write(views(DATA[:1000], DATA[1000:]))
            self.assertEqual((sink.size, sink.finish().size), (len(DATA), len(DATA)))
        self.assertEqual((self.folder / "raw").read_bytes(), DATA)

    def test_one_that_says_nothing(self) -> None:
        """None for all: what many a `write` of one's own returns."""
        taken: list[bytes] = []

        class Plain:
            def write(self, data: memoryview) -> None:
                taken.append(bytes(data))

        StreamSink(Plain()).write(views(b"abc", b"", b"def"))
        self.assertEqual(b"".join(taken), b"abcdef")

    def test_one_that_fails(self) -> None:
        for error, code in (
            (FULL, ErrorCode.DISK_FULL),
            (BrokenPipeError(errno.EPIPE, "Broken pipe"), ErrorCode.WRITE),
            (OSError("strange"), ErrorCode.WRITE),
            (ValueError("I/O operation on closed file"), ErrorCode.WRITE),
            (TypeError("a str is wanted"), ErrorCode.WRITE),
            (ZeroDivisionError(), ErrorCode.WRITE),
        ):
            with self.subTest(error=error):
                sink = StreamSink(mock.Mock(write=mock.Mock(side_effect=error)))
                said = self.refuses(code, sink.write, views(DATA))
                self.assertIn("on_begin_data", said)
                self.assertIn(getattr(error, "strerror", "") or str(error), said)
                sink.discard()

    def test_files_that_take_no_bytes(self) -> None:
        closed = io.BytesIO()
        closed.close()
        with (self.folder / "text").open("w") as text, (self.folder / "text").open("rb") as readable:
            for file in (closed, text, readable):
                self.refuses(ErrorCode.WRITE, StreamSink(file).write, views(DATA))  # type: ignore[arg-type]

    def test_one_that_never_takes_anything(self) -> None:
        """Not for ever: the reader thread would never read again."""
        calls = 0

        class Stuck:
            def write(self, data: memoryview) -> int:
                nonlocal calls
                calls += 1
                if calls > 10_000:
                    raise AssertionError("it is asked again and again")
                return 0

        self.assertIn("on_begin_data", self.refuses(ErrorCode.WRITE, StreamSink(Stuck()).write, views(DATA)))
        self.assertLessEqual(calls, 10_000)

    def test_answers_that_are_no_counts(self) -> None:
        for answer in ("7", b"7", [7], 1.5, -1, -3):
            sink = StreamSink(mock.Mock(write=mock.Mock(side_effect=[answer] + [OSError("asked again")] * 3)))
            with self.subTest(answer=answer):
                self.refuses(ErrorCode.WRITE, sink.write, views(DATA))

    def test_the_body_is_elsewhere(self) -> None:
        sink = StreamSink(io.BytesIO())
        sink.write(views(DATA))
        body = sink.finish()
        self.assertEqual(body.size, len(DATA))
        for read in (body.open, lambda: list(body.chunks(2))):
            self.assertIn("on_begin_data", self.refuses(ErrorCode.READ, read))


if __name__ == "__main__":
    unittest.main()
