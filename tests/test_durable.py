"""The order of system calls, by strace: what is answered with success has been flushed before, the folder as well.

A killed process loses nothing that the kernel has; a machine without power loses what is not on its disk. No test here
cuts the power: this one shows that each step that the disk needs is made, in its order, before the peer is told.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

from .storing import Process, Storer, object_of, stored_data

STRACE = ("strace", "-D", "-ff", "-y", "-s", "0")
"""-D: the process that is started is the traced one, and is ended like it; -ff: each thread has a file of its own."""
TRACED = (
    "openat,open,write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,"
    "sendto,sendmsg,sendmmsg"
)
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_NAMES = re.compile(r'<(/[^>]*)>|"(/[^"]*)"')
SIZES = (0, 100 << 10, 3 << 20)


def strace() -> str:
    """Why nothing can be traced; nothing where it can."""
    if shutil.which("strace") is None:
        return "there is no strace"
    try:
        done = subprocess.run([*STRACE, "-o", "/dev/null", "true"], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "strace does not come to an end"
    return "" if done.returncode == 0 else f"strace may not trace: {done.stderr.decode(errors='replace')[:200]}"


_REASON = strace()
REPLACED = ["create part", "write part", "fsync part", "rename part final", "fsync folder", "answer"]
LINKED = ["create part", "write part", "fsync part", "link part final", "unlink part", "fsync folder", "answer"]
KEPT = ["create part", "write part", "fsync part", "fsync final", "fsync folder", "unlink part", "answer"]


@unittest.skipIf(_REASON, _REASON)
class Order(unittest.TestCase):
    """Steps of each object, in the thread that stores it."""

    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.folder = self.root / "store"
        self.folder.mkdir()

    def trace(self, objects: list[tuple[str, bytes]], *options: str, program: tuple[str, ...] = ()) -> list[list[str]]:
        """Store these; for each of them what was done up to its answer, with "final" and "part" for its names."""
        traced = (*STRACE, "-e", f"trace={TRACED}", "-o", str(self.root / "trace"))
        more = {"program": program} if program else {}
        server = Process(self.root, self.folder, *options, through=traced, **more)
        client = Storer()
        try:
            self.assertTrue(server.port and client.open(server.port), server.errors())
            for instance, data in objects:
                self.assertEqual(client.store(instance, data), 0)
                self.assertEqual(stored_data(self.folder / f"{instance}.dcm"), data)
            client.end()
        finally:
            client.close_forced()
            self.assertEqual(server.stop(), 0)
        (reader,) = [steps for steps in self.threads() if "create part" in steps]
        return list(self.sessions(reader))[1:-1]  # without the association's answer, and the release's

    def threads(self) -> Iterator[list[str]]:
        """What each thread did: the calls that have to do with the folder, and the answers."""
        for path in self.root.glob("trace.*"):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            yield [step for line in lines for step in self.step(line)]

    def step(self, line: str) -> Iterator[str]:
        """One call, in a word or two; nothing for what failed, or is elsewhere."""
        match = _CALL.match(line)
        if match is None or match[3].startswith("-"):
            return
        name, rest = match[1], match[2] + line[match.end() :]
        if name.startswith("send"):
            yield "answer"
            return
        places = [one or other for one, other in _NAMES.findall(rest)]
        what = [self.called(place) for place in dict.fromkeys(places) if place.startswith(str(self.root))]
        if name == "openat" and "O_CREAT" not in rest:
            return
        if what:
            yield " ".join([{"openat": "create", "writev": "write"}.get(name, name), *what])

    def called(self, place: str) -> str:
        """What a path stands for."""
        path = Path(place)
        if path == self.folder:
            return "folder"
        kind = "part" if path.suffix == ".part" else "final" if path.suffix == ".dcm" else path.name
        return kind if path.parent == self.folder else f"{kind} elsewhere"

    @staticmethod
    def sessions(steps: list[str]) -> Iterator[list[str]]:
        """Cut behind each answer; writes in a row are one."""
        session: list[str] = []
        for step in steps:
            if not (session and session[-1] == step == "write part"):
                session.append(step)
            if step == "answer":
                yield session
                session = []

    def objects(self) -> list[tuple[str, bytes]]:
        """Some of different sizes."""
        return [object_of(size) for size in SIZES]

    def test_replace(self) -> None:
        objects = self.objects()
        self.assertEqual(self.trace([*objects, *objects]), [REPLACED] * len(objects) * 2)

    def test_keep(self) -> None:
        """The second time it is there already, but who has put it there may not have flushed it."""
        objects = self.objects()
        steps = self.trace([*objects, *objects], "--duplicates", "keep")
        self.assertEqual(steps[: len(objects)], [LINKED] * len(objects))
        self.assertEqual(steps[len(objects) :], [KEPT] * len(objects))

    def test_refuse(self) -> None:
        objects = self.objects()
        self.assertEqual(self.trace(objects, "--duplicates", "refuse"), [LINKED] * len(objects))

    def test_save_of_what_was_spooled(self) -> None:
        """By way of a temporary file elsewhere, which is not flushed, to one beside the final name, which is."""
        steps = self.trace(self.objects(), program=("-m", "tests.archive"))
        for each in steps:
            self.assertEqual([step for step in each if not step.endswith(" elsewhere")], REPLACED)
        self.assertTrue(any("write part elsewhere" in each for each in steps))

    def test_no_sync(self) -> None:
        """What this test sees, where it is asked for."""
        steps = self.trace(self.objects(), "--no-sync")
        self.assertEqual(steps, [["create part", "write part", "rename part final", "answer"]] * len(SIZES))


if __name__ == "__main__":
    unittest.main()
