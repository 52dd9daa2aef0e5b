"""`part_file`: a file that is complete or not there, and nothing that stays of one that is neither."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from ldicomnet import body as body_room
from ldicomnet import part_file as room
from ldicomnet.errors import LDicomDataError
from ldicomnet.part_file import PartFile, flush_file, write_file
from ldicomnet.status import ErrorCode

from .test_body import DATA, Folder, views

CODES = (
    # what the system says, what is said
    (errno.ENOSPC, ErrorCode.DISK_FULL),
    (errno.EDQUOT, ErrorCode.DISK_FULL),
    (errno.EMFILE, ErrorCode.TOO_MANY_OPEN_FILES),
    (errno.EACCES, ErrorCode.WRITE),
    (errno.EIO, ErrorCode.WRITE),
)


def failing(number: int) -> Any:
    """A system call that fails."""
    return mock.Mock(side_effect=OSError(number, os.strerror(number)))


class OneFile(Folder):
    """`PartFile`: its own name, then the name that is wanted."""

    def setUp(self) -> None:
        super().setUp()
        self.path = str(self.folder / "wanted.dcm")

    def tearDown(self) -> None:
        super().tearDown()
        here = [name for _process, name in room._unfinished if name.startswith(str(self.folder))]
        self.assertEqual(here, [], "nothing is kept of what is done with")

    def begun(self) -> PartFile:
        """A file that has something in it."""
        file = PartFile.beside(self.path)
        file.write([b"abc", memoryview(b"def")])
        return file

    def refuses(self, code: ErrorCode, call: Callable[..., object], *arguments: Any) -> str:
        """One error of the library's, that names the file."""
        with self.assertRaises(LDicomDataError) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.code, code)
        self.assertIn(self.path, str(caught.exception))
        return str(caught.exception)

    def test_from_the_first_byte_to_the_name(self) -> None:
        file = self.begun()
        (name,) = self.left()
        self.assertRegex(name, r"^\..+\.part$")
        file.write([])
        file.write(views(b"ghi"))
        file.close()
        self.assertEqual(self.left(), [name])
        self.assertEqual((self.folder / name).read_bytes(), b"abcdefghi")
        file.rename(self.path)
        self.assertEqual(self.left(), ["wanted.dcm"])
        self.assertEqual(Path(self.path).read_bytes(), b"abcdefghi")
        file.discard()
        self.assertEqual(self.left(), ["wanted.dcm"], "what has its name is no longer a part")

    def test_one_that_is_there_is_replaced(self) -> None:
        Path(self.path).write_bytes(b"the old one")
        file = self.begun()
        self.assertEqual(Path(self.path).read_bytes(), b"the old one")
        file.close()
        self.assertEqual(Path(self.path).read_bytes(), b"the old one")
        file.rename(self.path)
        self.assertEqual(Path(self.path).read_bytes(), b"abcdef")
        self.assertEqual(self.left(), ["wanted.dcm"])

    def test_any_two_have_names_of_their_own(self) -> None:
        files = [PartFile.beside(self.path) for _ in range(20)]
        self.assertEqual(len(self.left()), 20)
        for file in files:
            file.discard()
        self.assertEqual(self.left(), [])

    def test_two_with_one_name_in_view(self) -> None:
        """Both are whole; the last one stays."""
        one, other = self.begun(), self.begun()
        other.write([b" other"])
        for file in (other, one):
            file.close()
            file.rename(self.path)
        self.assertEqual(Path(self.path).read_bytes(), b"abcdef")
        self.assertEqual(self.left(), ["wanted.dcm"])

    def test_a_name_that_nobody_has(self) -> None:
        """The first gets it; the other is told, and is there still."""
        one, other = self.begun(), self.begun()
        other.write([b" other"])
        for file in (one, other):
            file.close()
        self.assertTrue(one.claim(self.path, durable=True))
        self.assertFalse(other.claim(self.path, durable=True))
        self.assertEqual(self.left(), sorted(["wanted.dcm", Path(other.name).name]))
        self.assertEqual(Path(self.path).read_bytes(), b"abcdef")
        self.assertEqual(Path(self.path).stat().st_nlink, 1)
        other.discard()
        self.assertEqual(self.left(), ["wanted.dcm"])

    def test_a_name_that_cannot_be_claimed(self) -> None:
        for path in (str(self.folder / "none" / "x"), str(self.folder / ("x" * 300))):
            for is_durable in (False, True):
                file = self.begun()
                file.close()
                with self.assertRaises(LDicomDataError):
                    file.claim(path, is_durable)
                self.assertEqual(self.left(), [])

    def test_flushing_what_is_there(self) -> None:
        Path(self.path).write_bytes(b"abc")
        calls: list[int] = []
        with mock.patch.object(room.os, "fsync", calls.append):
            flush_file(self.path)
        self.assertEqual(len(calls), 1 if os.name == "nt" else 2)
        with mock.patch.object(room.os, "fsync", failing(errno.EIO)):
            self.refuses(ErrorCode.WRITE, flush_file, self.path)
        Path(self.path).unlink()
        self.refuses(ErrorCode.WRITE, flush_file, self.path)

    @unittest.skipIf(os.name == "nt", "Windows has no symbolic links for everyone")
    def test_what_is_flushed_is_no_link(self) -> None:
        Path(self.path).symlink_to(self.file(b"abc"))
        self.refuses(ErrorCode.WRITE, flush_file, self.path)

    def test_discard_at_any_time(self) -> None:
        for steps in (0, 1, 2):
            file = PartFile.beside(self.path)
            for step in (lambda file=file: file.write([b"ab"]), file.close)[:steps]:
                step()
            file.discard()
            file.discard()
            self.assertEqual(self.left(), [])

    def test_discard_of_what_has_gone_already(self) -> None:
        file = self.begun()
        (name,) = self.left()
        (self.folder / name).unlink()
        file.discard()

    def test_release_hands_it_over(self) -> None:
        file = self.begun()
        file.close()
        name = file.release()
        self.assertEqual([name], [str(self.folder / one) for one in self.left()])
        self.assertEqual(Path(name).read_bytes(), b"abcdef")

    def test_in_the_folder_it_is_for(self) -> None:
        before = Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        for path in ("plain", "./dotted", str(self.folder / "whole")):
            file = PartFile.beside(path)
            self.assertEqual(len(self.left()), 1)
            file.close()
            file.rename(path)
            self.assertEqual(self.left(), [Path(path).name])
            Path(path).unlink()

    @unittest.skipIf(os.name == "nt", "Windows has no such modes")
    def test_permissions(self) -> None:
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        shared, private = PartFile.beside(self.path), PartFile(str(self.folder / "private-"), "keep", 0o600)
        modes = {path.name[:1]: path.stat().st_mode & 0o777 for path in self.folder.iterdir()}
        self.assertEqual(modes, {".": 0o640, "p": 0o600})
        shared.discard()
        private.discard()

    @unittest.skipIf(os.name == "nt", "Windows has no symbolic links for everyone")
    def test_a_link_of_that_name_is_not_followed(self) -> None:
        """Whoever may write into the folder must not choose what is overwritten."""
        outside = self.file(b"precious", "precious")
        with mock.patch.object(room, "_numbers", iter((7, 7))):
            name = f".{room._session}-{os.getpid()}-7.part"
            (self.folder / name).symlink_to(outside)
            self.refuses(ErrorCode.WRITE, PartFile.beside, self.path)
            (self.folder / name).unlink()
            (self.folder / name).symlink_to(self.folder / "nowhere")
            self.refuses(ErrorCode.WRITE, PartFile.beside, self.path)
            (self.folder / name).unlink()
        self.assertEqual((self.left(), outside.read_bytes()), (["precious"], b"precious"))

    def test_a_name_that_is_taken(self) -> None:
        with mock.patch.object(room, "_numbers", iter((7, 7))):
            first = PartFile.beside(self.path)
            self.assertIn("File exists", self.refuses(ErrorCode.WRITE, PartFile.beside, self.path))
        self.assertEqual(len(self.left()), 1, "that of the other stays")
        first.discard()

    def test_a_folder_that_is_not_there(self) -> None:
        self.path = str(self.folder / "none" / "wanted.dcm")
        self.refuses(ErrorCode.WRITE, PartFile.beside, self.path)

    def test_a_file_for_a_folder(self) -> None:
        self.path = str(self.file(b"x") / "wanted.dcm")
        self.refuses(ErrorCode.WRITE, PartFile.beside, self.path)

    def test_what_the_system_does_not_open(self) -> None:
        for number, code in CODES:
            with self.subTest(number=number), mock.patch.object(room.os, "open", failing(number)):
                self.refuses(code, PartFile.beside, self.path)
            self.assertEqual(self.left(), [])

    @unittest.skipIf(os.name == "nt", "Windows has no such modes")
    def test_a_folder_that_may_not_be_written(self) -> None:
        """Root may write wherever there are files at all."""
        self.folder.chmod(0o500)
        self.addCleanup(self.folder.chmod, 0o700)
        if not os.geteuid():
            self.path = "/proc/wanted.dcm"
        self.refuses(ErrorCode.WRITE, PartFile.beside, self.path)

    def test_what_the_system_does_not_write(self) -> None:
        call = "writev" if hasattr(os, "writev") else "write"
        for number, code in CODES:
            with self.subTest(number=number):
                file = self.begun()
                with mock.patch.object(body_room.os, call, failing(number)):
                    self.refuses(code, file.write, [b"more"])
                file.discard()
                self.assertEqual(self.left(), [])

    @unittest.skipUnless(hasattr(os, "writev"), "this system has no writev")
    def test_a_disk_that_is_full_behind_a_part(self) -> None:
        file = self.begun()
        with (
            mock.patch.object(body_room.os, "writev", lambda *_: 2),
            mock.patch.object(body_room.os, "write", failing(errno.ENOSPC)),
        ):
            self.refuses(ErrorCode.DISK_FULL, file.write, [b"more", b"and more"])
        file.discard()
        self.assertEqual(self.left(), [])

    def test_what_the_system_says_when_it_is_closed(self) -> None:
        close = os.close

        def over_quota(descriptor: int) -> None:
            close(descriptor)
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

        for is_durable in (False, True):
            file = self.begun()
            with mock.patch.object(room.os, "close", over_quota):
                self.refuses(ErrorCode.DISK_FULL, file.close, is_durable)
            self.assertEqual(self.left(), [])
            file.discard()

    def test_what_the_system_does_not_flush(self) -> None:
        file = self.begun()
        with mock.patch.object(room.os, "fsync", failing(errno.EIO)):
            with mock.patch.object(room.os, "close", wraps=os.close) as closed:
                self.refuses(ErrorCode.WRITE, file.close, True)
        self.assertEqual(closed.call_count, 1, "a descriptor is closed once, whoever else may have its number by then")
        self.assertEqual(self.left(), [])

    def test_a_name_that_cannot_be_had(self) -> None:
        (self.folder / "folder").mkdir()
        for path in (str(self.folder / "folder"), str(self.folder / "none" / "x"), str(self.folder / ("x" * 300))):
            with self.subTest(path[-10:]):
                file = PartFile.beside(self.path)
                file.close()
                with self.assertRaises(LDicomDataError) as caught:
                    file.rename(path)
                self.assertEqual(caught.exception.code, ErrorCode.WRITE)
                self.assertEqual(self.left(), ["folder"])

    def test_a_part_that_somebody_removed(self) -> None:
        file = self.begun()
        file.close()
        (name,) = self.left()
        (self.folder / name).unlink()
        self.refuses(ErrorCode.WRITE, file.rename, self.path)

    def test_descriptors_are_closed(self) -> None:
        before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else self.skipTest("no /proc")
        for steps in range(3):
            file = self.begun()
            if steps == 1:
                file.close()
            elif steps == 2:
                file.close()
                file.rename(self.path, durable=True)
            file.discard()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    @unittest.skipIf(os.name == "nt", "this system has no such flag")
    def test_children_do_not_get_the_descriptor(self) -> None:
        file = self.begun()
        self.assertFalse(os.get_inheritable(file._descriptor))
        file.discard()


class Writing(Folder):
    """`write_file`, which `LDicomDS.save` uses."""

    def setUp(self) -> None:
        super().setUp()
        self.path = str(self.folder / "saved.dcm")

    def test_header_and_chunks(self) -> None:
        for chunks in ((), (DATA,), (DATA[:7], DATA[7:9], DATA[9:])):
            for is_durable in (False, True):
                for header in (b"", b"the header"):
                    with self.subTest(chunks=len(chunks), header=header):
                        write_file(self.path, header, iter(views(*chunks)), is_durable)
                        self.assertEqual(Path(self.path).read_bytes(), header + b"".join(chunks))
                        self.assertEqual(self.left(), ["saved.dcm"])

    def test_a_chunk_is_written_before_the_next_is_asked_for(self) -> None:
        """The buffer of a file's chunks is used again."""

        def chunks() -> Iterator[memoryview]:
            buffer = bytearray(3)
            for number in range(5):
                buffer[:] = bytes((number,)) * 3
                yield memoryview(buffer)

        write_file(self.path, b"", chunks(), False)
        self.assertEqual(Path(self.path).read_bytes(), bytes(number for number in range(5) for _ in range(3)))

    def test_order_of_steps(self) -> None:
        steps: list[str] = []

        def noting(name: str) -> Any:
            call = getattr(os, name)
            return mock.patch.object(room.os, name, lambda *a, **k: (steps.append(name), call(*a, **k))[1])

        with noting("open"), noting("fsync"), noting("close"), noting("replace"):
            write_file(self.path, b"header", iter(()), True)
        self.assertEqual(steps, ["open", "fsync", "close", "open", "replace", "fsync", "close"])
        steps.clear()
        with noting("open"), noting("fsync"), noting("close"), noting("replace"):
            write_file(self.path, b"header", iter(()), False)
        self.assertEqual(steps, ["open", "close", "replace"])

    def test_a_chunk_that_cannot_be_had(self) -> None:
        """Whatever is raised is raised, and nothing stays, but for what was there before."""
        Path(self.path).write_bytes(b"before")
        for error in (LDicomDataError(ErrorCode.READ, "gone"), ZeroDivisionError(), KeyboardInterrupt()):

            def chunks(error: BaseException = error) -> Iterator[memoryview]:
                yield memoryview(b"abc")
                raise error

            with self.assertRaises(type(error)):
                write_file(self.path, b"header", chunks(), True)
            self.assertEqual((self.left(), Path(self.path).read_bytes()), (["saved.dcm"], b"before"))

    def test_every_step_that_fails(self) -> None:
        steps = ["open", "fsync", "close", "replace", *(["writev"] if hasattr(os, "writev") else [])]
        for name in steps:
            with self.subTest(name), mock.patch.object(room.os, name, failing(errno.ENOSPC)):
                with self.assertRaises(LDicomDataError) as caught:
                    write_file(self.path, b"header", iter(views(DATA)), True)
                self.assertEqual(caught.exception.code, ErrorCode.DISK_FULL)
            self.assertEqual(self.left(), [])

    @unittest.skipIf(os.name == "nt", "Windows has no way to flush a folder")
    def test_a_folder_that_cannot_be_flushed(self) -> None:
        """Some file systems have nothing to flush; otherwise it is told, though the file has its name."""
        fsync = os.fsync

        def only_files(number: int) -> Callable[[int], None]:
            def sync(descriptor: int) -> None:
                if Path(f"/dev/fd/{descriptor}").is_dir():
                    raise OSError(number, os.strerror(number))
                fsync(descriptor)

            return sync

        for number in (errno.EINVAL, errno.ENOTSUP):
            with mock.patch.object(room.os, "fsync", only_files(number)):
                write_file(self.path, b"header", iter(()), True)
        with mock.patch.object(room.os, "fsync", only_files(errno.EIO)), self.assertRaises(LDicomDataError):
            write_file(self.path, b"another", iter(()), True)
        self.assertEqual(self.left(), ["saved.dcm"])


class TheEnd(Folder):
    """What is left when the interpreter ends."""

    def run_program(self, program: str) -> str:
        """What a program prints that has the folder as its argument."""
        begin = "import os, sys\nfrom ldicomnet.part_file import PartFile\nfolder = sys.argv[1]\n"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", begin + program, str(self.folder)],
            cwd=Path(body_room.__file__).parent.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_unfinished_files_go(self) -> None:
        said = self.run_program(
            "a, b, c, d = [PartFile.beside(folder + '/' + name) for name in 'abcd']\n"
            "a.write([b'open'])\n"
            "b.close()\n"
            "c.close(); c.rename(folder + '/c')\n"
            "d.close(); d.release()\n"
            "print(len(os.listdir(folder)))\n"
        )
        self.assertEqual(said, "4\n")
        kept = self.left()
        self.assertEqual((len(kept), kept[-1]), (2, "c"))
        self.assertTrue(kept[0].endswith("-3.part"), "one that was released is its new owner's")

    def test_after_an_error_too(self) -> None:
        self.run_program("a = PartFile.beside(folder + '/a')\nsys.exit(0)\n")
        self.assertEqual(self.left(), [])

    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_a_forked_child_leaves_those_of_its_parent(self) -> None:
        said = self.run_program(
            "import warnings; warnings.simplefilter('ignore')\n"
            "a = PartFile.beside(folder + '/a')\n"
            "child = os.fork()\n"
            "if not child:\n"
            "    b = PartFile.beside(folder + '/b')\n"
            "    sys.exit(0)\n"
            "os.waitpid(child, 0)\n"
            "print(len(os.listdir(folder)))\n"
            "a.write([b'whole']); a.close(); a.rename(folder + '/a')\n"
        )
        self.assertEqual(said, "1\n", "its own goes with the child, and the other stays")
        self.assertEqual((self.left(), (self.folder / "a").read_bytes()), (["a"], b"whole"))

    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_names_of_parent_and_child_differ(self) -> None:
        said = self.run_program(
            "import warnings; warnings.simplefilter('ignore')\n"
            "child = os.fork()\n"
            "files = [PartFile.beside(folder + '/a') for _ in range(3)]\n"
            "if not child: os._exit(0)\n"
            "os.waitpid(child, 0)\n"
            "print(len(os.listdir(folder)))\n"
        )
        self.assertEqual(said, "6\n")
        self.assertEqual(len(self.left()), 3, "those of a process that ended without its exit handlers stay")

    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_a_child_does_not_discard_the_file_of_its_parent(self) -> None:
        """A copy of the object in a child is not the file's owner."""
        said = self.run_program(
            "import warnings; warnings.simplefilter('ignore')\n"
            "from ldicomnet.sinks import Spool\n"
            "spool = Spool(folder, 0)\n"
            "spool.write([memoryview(b'some')])\n"
            "body = spool.finish()\n"
            "child = os.fork()\n"
            "if not child:\n"
            "    del body, spool\n"
            "    sys.exit(0)\n"
            "os.waitpid(child, 0)\n"
            "print(len(os.listdir(folder)))\n"
        )
        self.assertEqual(said, "1\n")
        self.assertEqual(self.left(), [])


if __name__ == "__main__":
    unittest.main()
