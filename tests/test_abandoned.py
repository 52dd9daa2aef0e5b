"""`remove_abandoned_files`: what killed processes left goes, and nothing else does, however it is named or made."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from ldicomnet import ErrorCode, LDicomDataError, LDicomUsageError, remove_abandoned_files
from ldicomnet import part_file as room
from ldicomnet.part_file import PartFile

from .storing import PART_NAME, ROOT, Process, Storer, object_of, stored_data

SESSION = "0123456789ab"
HOUR = 3600.0
PROGRAM = "import sys, ldicomnet; print(*sorted(ldicomnet.remove_abandoned_files(sys.argv[1])))"


def gone() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def name_of(process: int, number: int = 0, prefix: str = ".", session: str = SESSION) -> str:
    """What a process calls a file that is not complete."""
    return f"{prefix}{session}-{process}-{number}.part"


@unittest.skipIf(os.name == "nt", "Windows does not say without harm whether a process lives")
class Abandoned(unittest.TestCase):
    """Each rule; what must be older than who looks is looked at by a process that begins later."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.gone = gone()

    def plant(self, name: str, hours: float = 0) -> Path:
        """A file, written so many hours before now."""
        path = self.folder / name
        path.write_bytes(b"half of it")
        at = path.stat().st_mtime - hours * HOUR
        os.utime(path, (at, at))
        return path

    def left(self) -> list[str]:
        """What is in the folder."""
        return sorted(os.listdir(self.folder))

    def look(self) -> list[str]:
        """What a process removes that begins now."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(self.folder)],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_of_a_process_that_has_ended(self) -> None:
        names = [name_of(self.gone), name_of(self.gone, 12), name_of(self.gone, 3, "ldicomnet-")]
        names.append(name_of(4_000_000_000))  # no process can have that number
        for name in names:
            self.plant(name)
        self.assertEqual(self.look(), sorted(names))
        self.assertEqual(self.left(), [])
        self.assertEqual(self.look(), [])

    def test_names_that_are_not_quite_ours(self) -> None:
        good = name_of(self.gone)
        names = [
            good + "x", "x" + good, good[1:], "." + good, good + "\n", good.upper(), good.replace(".part", "_part"),
            name_of(self.gone, session=SESSION[:-1]), name_of(self.gone, session=SESSION + "0"),
            name_of(self.gone, session="0123456789aG"), name_of(self.gone, prefix="ldicomnet"),
            name_of(self.gone, prefix=".ldicomnet-"), name_of(self.gone, prefix="other-"),
            "1.2.3.dcm", ".part", "x.part",
            *(f".{SESSION}-{rest}.part" for rest in (
                f"{self.gone}", f"{self.gone}-", f"{self.gone}-01", f"{self.gone}-0-0", f"{self.gone}-3x",
                f"{self.gone}-\N{ARABIC-INDIC DIGIT THREE}", f"0{self.gone}-0", f"+{self.gone}-0", "-1-0", "0-0",
                "99999999999-0",
            )),
        ]  # fmt: skip
        for name in names:
            self.plant(name, hours=1)
        self.assertEqual(self.look(), [])
        self.assertEqual(self.left(), sorted(names))

    def test_names_that_are_ours(self) -> None:
        """Those that are given have the form that is looked for."""
        for prefix in (f"{self.folder}{os.sep}.", f"{self.folder}{os.sep}ldicomnet-"):
            file = PartFile(prefix, "test")
            name = Path(file.name).name
            self.assertTrue(room._PART.fullmatch(name))
            self.assertTrue(PART_NAME.fullmatch(name))
            file.discard()

    def test_of_a_process_that_lives(self) -> None:
        """It began before it wrote the file; whoever looks began later."""
        names = [name_of(os.getpid()), name_of(os.getpid(), 1, "ldicomnet-")]
        for name in names:
            self.plant(name)
        self.assertEqual(self.look(), [])
        self.assertEqual(self.left(), sorted(names))

    def test_our_own(self) -> None:
        """Those that are being written, however old they are."""
        file = PartFile.beside(str(self.folder / "x"))
        os.utime(file.name, (1, 1))
        self.assertEqual(remove_abandoned_files(self.folder), [])
        file.write([b"whole"])
        file.close()
        file.rename(str(self.folder / "x"))
        self.assertEqual((self.left(), (self.folder / "x").read_bytes()), (["x"], b"whole"))

    def test_our_own_number_before_us(self) -> None:
        """A server in a container has the same number each time."""
        self.plant(name_of(os.getpid()), hours=1)
        self.assertEqual(remove_abandoned_files(self.folder), [name_of(os.getpid())])

    @unittest.skipUnless(sys.platform == "linux", "when a process began is Linux's to tell")
    def test_a_number_that_was_given_again(self) -> None:
        """The process that has it began after the file was written."""
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            self.plant(name_of(other.pid, 0), hours=1)
            self.plant(name_of(other.pid, 1))
            self.assertEqual(self.look(), [name_of(other.pid, 0)])
            self.assertEqual(self.left(), [name_of(other.pid, 1)])
            other.kill()

    @unittest.skipUnless(sys.platform == "linux", "when a process began is Linux's to tell")
    def test_what_is_not_older_than_we_are(self) -> None:
        """Another host, or another container, may be writing it."""
        self.plant(name_of(self.gone), hours=-1)
        self.assertEqual(self.look(), [])
        self.plant(name_of(self.gone, 1))
        with mock.patch.object(room, "_process", return_value=("R", self.folder.stat().st_mtime - HOUR)):
            self.assertEqual(remove_abandoned_files(self.folder), [])
        self.assertEqual(len(self.left()), 2)

    @unittest.skipUnless(sys.platform == "linux", "what is a zombie is Linux's to tell")
    def test_a_process_that_nobody_has_asked_about(self) -> None:
        """A zombie has ended, though it has its number still."""
        zombie = subprocess.Popen([sys.executable, "-c", ""])
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        os.kill(zombie.pid, 0)
        self.plant(name_of(zombie.pid))
        self.assertEqual(self.look(), [name_of(zombie.pid)])
        zombie.wait()

    def test_a_process_of_another_user(self) -> None:
        """It lives, whatever may not be asked of it."""
        self.plant(name_of(self.gone), hours=1)
        for error, removed in ((PermissionError(1, "no"), []), (ProcessLookupError(3, "no"), [name_of(self.gone)])):
            with mock.patch.object(room.os, "kill", side_effect=error):
                self.assertEqual(remove_abandoned_files(self.folder), removed)

    def test_without_what_linux_tells(self) -> None:
        """Who lives keeps what is his, and who is gone does not."""
        self.plant(name_of(self.gone), hours=1)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            self.plant(name_of(other.pid), hours=1)
            with mock.patch.object(room, "_process", return_value=("", None)):
                self.assertEqual(remove_abandoned_files(self.folder), [name_of(self.gone)])
            self.assertEqual(self.left(), [name_of(other.pid)])
            other.kill()

    def test_files_of_another_user(self) -> None:
        self.plant(name_of(self.gone), hours=1)
        with mock.patch.object(room.os, "geteuid", return_value=os.geteuid() + 1):
            self.assertEqual(remove_abandoned_files(self.folder), [])
        self.assertEqual(len(self.left()), 1)

    def test_what_is_no_plain_file(self) -> None:
        (self.folder / name_of(self.gone, 0)).mkdir()
        os.mkfifo(self.folder / name_of(self.gone, 1))
        self.assertEqual(self.look(), [])
        self.assertEqual(len(self.left()), 2)

    def test_links(self) -> None:
        """Neither what a link points at goes, nor the link."""
        with tempfile.TemporaryDirectory() as elsewhere:
            precious = Path(elsewhere, name_of(self.gone, 9))
            precious.write_bytes(b"precious")
            os.utime(precious, (1, 1))
            (self.folder / name_of(self.gone, 0)).symlink_to(precious)
            (self.folder / name_of(self.gone, 1)).symlink_to(Path(elsewhere, "nowhere"))
            (self.folder / name_of(self.gone, 2)).symlink_to(elsewhere)
            self.assertEqual(self.look(), [])
            self.assertEqual((len(self.left()), precious.read_bytes()), (3, b"precious"))

    def test_not_below(self) -> None:
        (self.folder / "sub").mkdir()
        below = self.folder / "sub" / name_of(self.gone)
        below.write_bytes(b"")
        os.utime(below, (1, 1))
        self.assertEqual(self.look(), [])
        self.assertTrue(below.exists())

    def test_what_goes_meanwhile(self) -> None:
        """Between the look into the folder and at the file, and between that and the removal."""
        for call in ("stat", "unlink"):
            names = {self.plant(name_of(self.gone, number), hours=1).name for number in range(3)}
            real, others = getattr(os, call), {name_of(self.gone, 1)}

            def first_somebody_else(name: str, real=real, others=others, **keywords: object) -> object:  # type: ignore[no-untyped-def]
                if name in others:
                    others.discard(name)
                    (self.folder / name).unlink()
                return real(name, **keywords)

            with mock.patch.object(room.os, call, first_somebody_else):
                self.assertEqual(set(remove_abandoned_files(self.folder)), names - {name_of(self.gone, 1)})
            self.assertEqual(self.left(), [])

    def test_what_may_not_be_removed(self) -> None:
        self.plant(name_of(self.gone), hours=1)
        with mock.patch.object(room.os, "unlink", side_effect=PermissionError(13, "no")):
            self.assertEqual(remove_abandoned_files(self.folder), [])

    def test_many_at_once(self) -> None:
        """Each file is removed by one of them, and none of them stumbles."""
        names = [self.plant(name_of(self.gone, number), hours=1).name for number in range(200)]
        removed: list[str] = []
        barrier = threading.Barrier(8)

        def look() -> None:
            barrier.wait(10)
            removed.extend(remove_abandoned_files(self.folder))

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        self.assertEqual((sorted(removed), self.left()), (sorted(names), []))

    def test_folders(self) -> None:
        """None is the system's for temporary files; a link to a folder is that folder."""
        name = self.plant(name_of(self.gone, prefix="ldicomnet-"), hours=1).name
        with mock.patch.object(tempfile, "tempdir", str(self.folder)):
            self.assertEqual(remove_abandoned_files(), [name])
        self.plant(name, hours=1)
        with tempfile.TemporaryDirectory() as other:
            link = Path(other, "link")
            link.symlink_to(self.folder)
            self.assertEqual(remove_abandoned_files(str(link)), [name])

    def test_folders_that_are_none(self) -> None:
        for folder in (self.folder / "none", self.plant("file")):
            with self.assertRaises(LDicomDataError) as caught:
                remove_abandoned_files(folder)
            self.assertEqual(caught.exception.code, ErrorCode.OPEN)
            self.assertIn(str(folder), str(caught.exception))
        for wrong in (5, "a\0b"):
            self.assertRaises(LDicomUsageError, remove_abandoned_files, wrong)

    def test_no_descriptor_is_left(self) -> None:
        if not Path("/proc/self/fd").is_dir():
            self.skipTest("no /proc")
        self.plant(name_of(self.gone), hours=1)
        before = len(os.listdir("/proc/self/fd"))
        remove_abandoned_files(self.folder)
        with mock.patch.object(room.os, "scandir", side_effect=OSError(5, "no")):
            self.assertRaises(LDicomDataError, remove_abandoned_files, self.folder)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_where_nothing_can_be_asked(self) -> None:
        self.plant(name_of(self.gone), hours=1)
        with mock.patch.object(room.sys, "platform", "win32"):
            self.assertEqual(remove_abandoned_files(self.folder), [])


def write_for_ever(folder: str, numbers: multiprocessing.SimpleQueue) -> None:  # type: ignore[type-arg]
    """Begin a file in a process that is killed then."""
    file = PartFile.beside(str(Path(folder, "x")))
    file.write([b"half"])
    numbers.put(os.getpid())
    signal.pause()


@unittest.skipIf(os.name == "nt", "Windows does not say without harm whether a process lives")
class Sample(unittest.TestCase):
    """`store_scp.py` looks when it starts."""

    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder = self.root / "store"
        self.folder.mkdir()

    def test_what_a_killed_process_really_left(self) -> None:
        context = multiprocessing.get_context("spawn")
        numbers = context.SimpleQueue()
        killed = [context.Process(target=write_for_ever, args=(str(self.folder), numbers)) for _ in range(3)]
        for process in killed:
            process.start()
        for _ in killed:
            numbers.get()
        numbers.close()
        lives, *rest = killed
        for process in rest:
            process.kill()
            process.join()
        self.assertEqual(len(os.listdir(self.folder)), 3)
        server = Process(self.root, self.folder)
        self.assertEqual([name.split("-")[1] for name in os.listdir(self.folder)], [str(lives.pid)])
        lives.kill()
        lives.join()
        self.assertEqual((server.stop(), server.errors()), (0, ""))

    def test_of_both_folders_and_several_workers(self) -> None:
        process = gone()
        for number in range(20):
            (self.folder / name_of(process, number)).write_bytes(b"half")
        (self.folder / "1.2.3.dcm").write_bytes(b"whole")
        (self.root / "spool").mkdir()
        (self.root / "spool" / name_of(process, 0, "ldicomnet-")).write_bytes(b"half")
        server = Process(self.root, self.folder, "-v", "--workers", "3")
        self.addCleanup(server.kill)
        client = Storer()
        self.addCleanup(client.close_forced)
        self.assertTrue(client.open(server.port))  # a worker that accepts has looked
        instance, data = object_of(1000)
        self.assertEqual(client.store(instance, data), 0)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(["1.2.3.dcm", f"{instance}.dcm"]))
        self.assertEqual(stored_data(self.folder / f"{instance}.dcm"), data)
        self.assertEqual(os.listdir(self.root / "spool"), [])
        client.end()
        self.assertEqual(server.stop(), 0)
        said = server.errors()
        self.assertEqual(sum(said.count(name_of(process, number)) for number in range(20)), 20, said)
        self.assertNotIn("Traceback", said)

    def test_a_folder_that_cannot_be_read(self) -> None:
        """It serves all the same."""
        spool = self.root / "spool"
        spool.mkdir()
        self.folder.chmod(stat.S_IWUSR | stat.S_IXUSR)
        through = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        try:
            server = Process(self.root, self.folder, "--no-sync", through=through)
        except FileNotFoundError:
            self.skipTest("root may read anything, and there is no setpriv")
        self.addCleanup(server.kill)
        client = Storer()
        self.addCleanup(client.close_forced)
        self.assertTrue(client.open(server.port))
        self.assertEqual(client.store(*object_of(1000)), 0)
        client.end()
        self.assertEqual(server.stop(), 0)
        expected = r"\AW: cannot look for unfinished files in .*: Permission denied \[OPEN\]\n\Z"
        self.assertRegex(server.errors(), expected)


if __name__ == "__main__":
    unittest.main()
