"""Storing where the system fails: each call in turn in this process, then full disks, limits and folders that are real.

After whatever failed, nothing torn stands under a final name, no temporary file and no descriptor is left, the peer has
been told a failure, the association goes on, and the next object is stored.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from ldicomnet import LDicomDataError, LDicomDS, LDicomNet, Status
from ldicomnet import body as body_room
from ldicomnet import part_file as part_room

from . import raw
from .archive import Archive
from .raw import CT
from .storing import (
    CALLS,
    CANNOT_PROCESS,
    LOG_LINE,
    Call,
    Faults,
    Process,
    Storer,
    Storing,
    Way,
    be_quiet,
    fails,
    fails_late,
    is_short,
    object_of,
    stored_data,
)
from .support import DEFLATED

A700 = Status.REFUSED_OUT_OF_RESOURCES
ERRORS = (
    # what the system says, what the peer is told
    (errno.ENOSPC, A700),
    (errno.EDQUOT, A700),
    (errno.EIO, A700),
    (errno.EROFS, A700),
    (errno.EACCES, A700),
    (errno.EPERM, A700),
    (errno.EMFILE, A700),
    (errno.ENFILE, A700),
    (errno.ENOMEM, A700),
    (errno.ENOENT, A700),
    (errno.EBUSY, A700),
    (errno.EFBIG, CANNOT_PROCESS),
    (errno.ENAMETOOLONG, CANNOT_PROCESS),
    (errno.EILSEQ, CANNOT_PROCESS),
)
SMALL, LARGE = 1 << 10, 300 << 10
FIRST, SECOND = 0, 1
Objects = tuple[str, tuple[bytes, bytes]]
"""An instance and two versions of it."""


def descriptors() -> int:
    """How many this process has; 0 where the system does not tell."""
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0


class EachCall(Storing):
    """A reference session is counted, and run again once for each of its calls, with that call failing."""

    def setUp(self) -> None:
        super().setUp()
        be_quiet(self)

    def archive(self) -> LDicomNet:
        """The server that saves from its hook."""
        server = Archive(self.folder, self.spools)
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        return server

    def objects(self) -> Objects:
        """One instance: a version that is there before, and the one that is sent while calls fail."""
        instance, first = object_of(SMALL)
        return instance, (first, raw.data_set(instance, LARGE))

    def prepare(self, client: Storer, objects: Objects) -> None:
        """The first version is there, and nothing else."""
        instance, versions = objects
        self.assertEqual(client.store(instance, versions[FIRST]), Status.SUCCESS)
        self.assertEqual(stored_data(self.path(instance)), versions[FIRST])

    def check(self, client: Storer, objects: Objects, ways: dict[Call, Way]) -> tuple[int, list[Call]]:
        """Send the second version with these calls failing; its status, and the calls made. Nothing is torn or left."""
        instance, versions = objects
        self.prepare(client, objects)
        before, faults = descriptors(), Faults(ways)
        with faults.in_place():
            status = client.store(instance, versions[SECOND])
        assert status is not None, "the association ended"
        self.assertEqual(self.left(), [f"{instance}.dcm"])
        self.wait_until(lambda: not self.left(self.spools))  # what was spooled goes when its hook has ended
        self.assertEqual(descriptors(), before)
        self.assertEqual([name for _process, name in part_room._unfinished], [])
        found = stored_data(self.path(instance))
        self.assertIn(found, versions)
        if status == Status.SUCCESS:
            self.assertEqual(found, versions[SECOND])
        return status, faults.calls

    def reference(self, client: Storer, objects: Objects) -> list[Call]:
        """The calls of storing the second version."""
        status, calls = self.check(client, objects, {})
        self.assertEqual(status, Status.SUCCESS)
        return calls

    def kinds(self) -> Iterator[tuple[str, Storer, Objects]]:
        """A client of each kind of server, with gathering writes and without, and what it sends."""
        for gathers in (True, False) if body_room._GATHERS else (False,):
            with mock.patch.object(body_room, "_GATHERS", gathers):
                for kind, server in (
                    ("replace", self.serve()),
                    ("keep", self.serve("--duplicates", "keep")),
                    ("save", self.archive()),
                ):
                    instance, (first, second) = self.objects()
                    objects = instance, (second if kind == "keep" else first, second)
                    yield kind if gathers else f"{kind}, piece by piece", self.client_of(server), objects
                    self.path(instance).unlink()

    def test_one_call_fails(self) -> None:
        for kind, client, objects in self.kinds():
            calls = self.reference(client, objects)
            self.assertGreater(len(calls), 7)
            for call in calls:
                if call[0] == "unlink":  # what cannot be removed stays; see below
                    continue
                for error, told in ERRORS:
                    with self.subTest(kind, call=call, error=errno.errorcode[error]):
                        status, made = self.check(client, objects, {call: fails(error)})
                        is_harmless = call not in made or call[0] == "close_folder"  # nothing is written through it
                        self.assertEqual(status, Status.SUCCESS if is_harmless else told)

    def test_a_call_fails_when_its_work_is_done(self) -> None:
        """The file may have its name then, and success is not answered."""
        for kind, client, objects in self.kinds():
            for call in self.reference(client, objects):
                if call[0] in ("fsync", "fsync_folder", "replace", "write", "writev"):
                    with self.subTest(kind, call=call):
                        status, calls = self.check(client, objects, {call: fails_late(errno.EIO)})
                        self.assertEqual(status, A700 if call in calls else Status.SUCCESS)

    def test_short_writes(self) -> None:
        """A write takes only a half: one of them, or one and the next fails, or every one."""
        for kind, client, objects in self.kinds():
            writes = [call for call in self.reference(client, objects) if call[0].startswith("write")]
            self.assertGreater(len(writes), 0)
            for call in writes:
                following = ("write", call[1] + 1 if call[0] == "write" else 1)
                with self.subTest(kind, call=call):
                    self.assertEqual(self.check(client, objects, {call: is_short})[0], Status.SUCCESS)
                    ways = {call: is_short, following: fails(errno.ENOSPC)}
                    status, calls = self.check(client, objects, ways)
                    self.assertEqual(status, A700 if following in calls else Status.SUCCESS)
            every = {("writev", 0): is_short, ("write", 0): is_short}
            self.assertEqual(self.check(client, objects, every)[0], Status.SUCCESS)

    def test_a_write_that_takes_nothing(self) -> None:
        """It is not asked for ever."""
        for kind, client, objects in self.kinds():
            with self.subTest(kind):
                ways = {("writev", 0): takes_nothing, ("write", 0): takes_nothing}
                self.assertEqual(self.check(client, objects, ways)[0], A700)

    def test_the_folder_is_not_flushed(self) -> None:
        """The file keeps its name, whole: what it replaced is gone already. But nobody is told that it is safe."""
        for kind, client, (instance, versions) in self.kinds():
            last = [call for call in self.reference(client, (instance, versions)) if call[0] == "fsync_folder"][-1]
            with self.subTest(kind):
                status, _calls = self.check(client, (instance, versions), {last: fails(errno.EIO)})
                self.assertEqual((status, stored_data(self.path(instance))), (A700, versions[SECOND]))
                self.assertEqual(client.store(instance, versions[SECOND]), Status.SUCCESS, "sent again, it is")

    def test_the_folder_cannot_be_opened(self) -> None:
        """That is known before anything has its name."""
        for kind, client, (instance, versions) in self.kinds():
            last = [call for call in self.reference(client, (instance, versions)) if call[0] == "open"][-1]
            with self.subTest(kind):
                status, _calls = self.check(client, (instance, versions), {last: fails(errno.EMFILE)})
                self.assertEqual((status, stored_data(self.path(instance))), (A700, versions[FIRST]))

    def test_a_new_name_where_the_first_stays(self) -> None:
        """Nothing of that name is there: the name is given by a link, and each call of that fails in turn."""
        for options in (("--duplicates", "keep"), ("--duplicates", "refuse")):
            client, (instance, versions) = self.client_of(self.serve(*options)), self.objects()
            faults = Faults()
            with faults.in_place():
                self.assertEqual(client.store(instance, versions[SECOND]), Status.SUCCESS)
            self.assertIn(("link", 1), faults.calls)
            for call in faults.calls:
                for error, told in ERRORS:
                    with self.subTest(options, call=call, error=errno.errorcode[error]):
                        self.path(instance).unlink(missing_ok=True)
                        is_harmless = call[0] in ("unlink", "close_folder")
                        status = self.one_link_fails(client, instance, versions[SECOND], {call: fails(error)})
                        self.assertIn(status, (Status.SUCCESS if is_harmless else told, Status.SUCCESS))
            self.path(instance).unlink()

    def one_link_fails(self, client: Storer, instance: str, data: bytes, ways: dict[Call, Way]) -> int:
        """One call fails; what has the name is whole, and what has none is gone, but where that cannot be."""
        before, faults = descriptors(), Faults(ways)
        with faults.in_place():
            status = client.store(instance, data)
        assert status is not None
        for path in self.folder.glob(".*.part"):
            self.assertIn(("unlink", 1), ways)
            path.unlink()
        part_room._unfinished.clear()
        self.assertIn(self.left(), ([], [f"{instance}.dcm"]) if status else ([f"{instance}.dcm"],))
        self.assertEqual(descriptors(), before)
        if self.left():
            self.assertEqual(stored_data(self.path(instance)), data)
        return status if set(ways) & set(faults.calls) else Status.SUCCESS

    def test_what_cannot_be_removed(self) -> None:
        """It stays, under a name that is no one's, and is tried again when the interpreter ends."""
        client, (instance, versions) = self.client_of(self.serve()), self.objects()
        with Faults({("unlink", 0): fails(errno.EROFS), ("fsync", 1): fails(errno.EIO)}).in_place():
            self.assertEqual(client.store(instance, versions[SECOND]), A700)
        ((_process, name),) = part_room._unfinished
        self.assertEqual(self.left(), [Path(name).name])
        self.assertEqual(client.store(instance, versions[FIRST]), Status.SUCCESS)
        part_room._remove_unfinished()
        self.assertEqual(self.left(), [f"{instance}.dcm"])
        part_room._unfinished.clear()

    def test_a_temporary_name_that_is_taken(self) -> None:
        """By a file or by a link: neither is touched, and the next object has another name."""
        client, (instance, data) = self.client_of(self.serve()), object_of(SMALL)
        precious = self.spools / "precious"
        precious.write_bytes(b"precious")
        for plant in (lambda path: path.write_bytes(b"mine"), lambda path: path.symlink_to(precious)):
            with mock.patch.object(part_room, "_numbers", iter((7, 8))):
                taken = self.folder / f".{part_room._session}-{os.getpid()}-7.part"
                plant(taken)
                self.assertEqual(client.store(instance, data), A700)
                self.assertIn(taken.name, self.left())
                self.assertIn(taken.read_bytes(), (b"mine", b"precious"))
                self.assertEqual(client.store(instance, data), Status.SUCCESS)
            taken.unlink()
        self.assertEqual((precious.read_bytes(), self.left()), (b"precious", [f"{instance}.dcm"]))

    def test_the_calls_are_seen(self) -> None:
        """What the other tests rely on: every call of these rooms that changes a file goes through the stand-in."""
        client, objects = self.client_of(self.serve()), self.objects()
        names = [name for name, _turn in self.reference(client, objects)]
        plain = [name for name, before in zip(names, ["", *names], strict=False) if name != before]
        write = "writev" if body_room._GATHERS else "write"
        self.assertEqual(plain, ["open", write, "fsync", "close", "open", "replace", "fsync_folder", "close_folder"])
        for room in (part_room, body_room):
            text = Path(room.__file__ or "").read_text(encoding="utf-8")
            for name in ("rename", "truncate", "sendfile", "pwrite", "remove", "open_code", "symlink", "fdatasync"):
                self.assertNotIn(f"os.{name}(", text, f"{CALLS} does not have it")


def takes_nothing(name: str, real: Callable[..., Any], *arguments: Any) -> int:
    """A write that takes nothing, and says no more."""
    return 0


class Real(unittest.TestCase):
    """Tests with the sample as a process, to which the system itself says no."""

    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder = self.root / "store"
        self.folder.mkdir()

    def start(self, *options: str, through: tuple[str, ...] = ()) -> tuple[Process, Storer]:
        """The server, and a client of it."""
        server = Process(self.root, self.folder, "-v", *options, through=through)
        self.addCleanup(self.finish, server)
        if not server.port:
            self.skipTest(f"the server does not start so here: {server.errors()[-300:]}")
        client = Storer()
        self.addCleanup(client.close_forced)
        self.assertTrue(client.open(server.port))
        return server, client

    def finish(self, server: Process) -> None:
        """It ends in order; its log is one plain line for each thing, without a traceback."""
        if not server.port:
            server.kill()
            return
        self.assertEqual(server.stop(), 0)
        for line in server.errors().splitlines():
            self.assertRegex(line, LOG_LINE)
            self.assertTrue(line.isprintable(), ascii(line))

    def stored(self, client: Storer, size: int = SMALL) -> None:
        """The next object is stored."""
        instance, data = object_of(size)
        self.assertEqual(client.store(instance, data), Status.SUCCESS)
        self.assertEqual(stored_data(self.folder / f"{instance}.dcm"), data)

    def refused(self, client: Storer, status: int, size: int = SMALL) -> None:
        """An object is not stored, and nothing of it stays."""
        before = set(self.folder.iterdir()) if self.folder.is_dir() else set()
        self.assertEqual(client.store(*object_of(size)), status)
        self.assertEqual(set(self.folder.iterdir()) if self.folder.is_dir() else set(), before)


class RealFaults(Real):
    """Folders, permissions, limits."""

    def test_a_folder_that_has_gone(self) -> None:
        _server, client = self.start()
        self.stored(client)
        away = self.folder.rename(self.root / "away")
        self.refused(client, A700)
        self.folder.write_bytes(b"a file in its place")
        self.refused(client, A700)
        self.folder.unlink()
        away.rename(self.folder)
        self.stored(client)

    def test_a_folder_of_the_final_name(self) -> None:
        """Sending it again does not change that; with `refuse` it is a duplicate like any other."""
        for options, status in (
            ((), CANNOT_PROCESS),
            (("--duplicates", "refuse"), Status.DUPLICATE_INSTANCE),
            (("--duplicates", "keep"), Status.DUPLICATE_INSTANCE),
        ):
            _server, client = self.start(*options)
            instance, data = object_of(SMALL)
            (self.folder / f"{instance}.dcm").mkdir()
            self.assertEqual(client.store(instance, data), status)
            self.assertEqual(list((self.folder / f"{instance}.dcm").iterdir()), [])
            self.stored(client)

    @unittest.skipUnless(hasattr(os, "geteuid"), "this system has no such modes")
    def test_a_folder_without_permission(self) -> None:
        through: tuple[str, ...] = ()
        if not os.geteuid():  # root may write anywhere, but for this
            through = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
            if shutil.which("setpriv") is None:
                self.skipTest("root may write anywhere, and there is no setpriv")
        _server, client = self.start(through=through)
        self.stored(client)
        for mode in (0o500, 0o000, 0o600, 0o300):  # 300: it may be written, but not opened to be flushed
            self.folder.chmod(mode)
            self.assertEqual(client.store(*object_of(SMALL)), A700)
            self.folder.chmod(0o700)
            self.assertEqual([path.name for path in self.folder.iterdir() if path.suffix != ".dcm"], [])
            self.stored(client)

    @unittest.skipUnless(sys.platform == "linux", "the limits of another process are Linux's")
    def test_too_many_open_files(self) -> None:
        import resource

        server, client = self.start()
        self.stored(client)
        number = server.process.pid
        taken = {int(path.name) for path in Path(f"/proc/{number}/fd").iterdir()}
        _soft, hard = resource.prlimit(number, resource.RLIMIT_NOFILE)
        free = next(each for each in range(4096) if each not in taken)
        for room in (0, 0, 1):  # one is enough: the folder is opened when the file is closed
            resource.prlimit(number, resource.RLIMIT_NOFILE, (free + room, hard))
            try:
                if room == 0:
                    self.refused(client, A700)
                else:
                    self.stored(client)
            finally:
                resource.prlimit(number, resource.RLIMIT_NOFILE, (hard, hard))
            self.stored(client)

    @unittest.skipUnless(sys.platform == "linux", "the limits of another process are Linux's")
    def test_a_file_that_is_too_large(self) -> None:
        """Sending it again does not make it smaller."""
        import resource

        server, client = self.start()
        number = server.process.pid
        resource.prlimit(number, resource.RLIMIT_FSIZE, (200 << 10, resource.RLIM_INFINITY))
        self.stored(client, 100 << 10)
        for size in (250 << 10, 3 << 20):
            self.refused(client, CANNOT_PROCESS, size)
            self.stored(client, 100 << 10)
        resource.prlimit(number, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.stored(client, 3 << 20)


def own_mounts() -> tuple[str, ...]:
    """A command that gives a program mounts of its own; nothing where the machine does not allow it."""
    if sys.platform != "linux" or not all(map(shutil.which, ("unshare", "nsenter", "mount"))):
        return ()
    command = ("unshare", "--mount") if not os.geteuid() else ("unshare", "--map-root-user", "--mount")
    try:
        probe = [*command, "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
        done = subprocess.run(probe, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return command if done.returncode == 0 else ()


class SmallDisk(Real):
    """A file system of 2 MB of its own, seen by the server alone."""

    SIZE = "2m"

    def setUp(self) -> None:
        super().setUp()
        command = own_mounts()
        if not command:
            self.skipTest("mount namespaces are not to be had here")
        script = f'mount -t tmpfs -o size={self.SIZE} none "$0" && exec "$@"'
        self.server, self.client = self.start(through=(*command, "sh", "-c", script, str(self.folder)))
        self.inside = Path(f"/proc/{self.server.process.pid}/root{self.folder}")

    def in_its_mounts(self, *command: str) -> None:
        """Run a command where the server is."""
        number = str(self.server.process.pid)
        whose = () if not os.geteuid() else ("--user", "--preserve-credentials")
        done = ["nsenter", "--target", number, "--mount", *whose, "--", *command]
        subprocess.run(done, check=True, capture_output=True, timeout=20)

    def test_full(self) -> None:
        sent = {}
        for _ in range(3):
            status = 0
            while not status:
                instance, data = object_of(LARGE)
                told = self.client.store(instance, data)
                assert told is not None
                status = told
                sent[instance] = data if not status else b""
            self.assertEqual(status, A700)
            names = sorted(path.name for path in self.inside.iterdir())
            self.assertEqual(names, sorted(f"{instance}.dcm" for instance, data in sent.items() if data))
            self.assertEqual(self.client.store(*object_of(LARGE)), A700, "still")
            instance = next(instance for instance, data in sent.items() if data)
            (self.inside / f"{instance}.dcm").unlink()
            sent[instance] = b""
        for path in self.inside.iterdir():
            self.assertEqual(stored_data(path), sent[path.name.removesuffix(".dcm")])
        self.assertEqual(self.client.store(*object_of(LARGE)), Status.SUCCESS)

    def test_one_larger_than_all_of_it(self) -> None:
        self.assertEqual(self.client.store(*object_of(5 << 20)), A700)
        self.assertEqual(list(self.inside.iterdir()), [])
        self.assertEqual(self.client.store(*object_of(LARGE)), Status.SUCCESS)

    def test_read_only_for_a_while(self) -> None:
        self.in_its_mounts("mount", "-o", "remount,ro", str(self.folder))
        self.assertEqual(self.client.store(*object_of(SMALL)), A700)
        self.in_its_mounts("mount", "-o", "remount,rw", str(self.folder))
        self.assertEqual(list(self.inside.iterdir()), [])
        self.assertEqual(self.client.store(*object_of(SMALL)), Status.SUCCESS)


class Statuses(unittest.TestCase):
    """What the peer is told of an error."""

    def test_of_what_the_system_says(self) -> None:
        for number, status in ERRORS:
            error = body_room.file_error(OSError(number, "no"), "cannot", body_room.ErrorCode.WRITE)
            self.assertEqual(error.status, status, errno.errorcode[number])

    def test_of_other_errors(self) -> None:
        self.assertEqual(LDicomDataError(body_room.ErrorCode.READ, "no").status, A700)
        with self.assertRaises(LDicomDataError) as caught:
            LDicomDS.from_bytes(b"x", raw.IMPLICIT, CT, "../x").file_name  # noqa: B018
        self.assertEqual(caught.exception.status, Status.INVALID_OBJECT_INSTANCE)
        with self.assertRaises(LDicomDataError) as caught:
            LDicomDS.from_bytes(b"\xff" * 9, DEFLATED, CT, "1.2").dataset  # noqa: B018
        self.assertEqual(caught.exception.status, CANNOT_PROCESS)


if __name__ == "__main__":
    unittest.main()
