"""The storage SCP sample killed with SIGKILL: at random moments under load, and right before each of its calls.

The kernel keeps what a killed process has written; that it is on the disk is `test_durable`'s to show.
"""

from __future__ import annotations

import os
import tempfile
import unittest
from pathlib import Path
from time import monotonic

from ldicomnet import Status

from . import raw
from .crash import Crashes
from .storing import PART_NAME, Process, Storer, object_of, stored_data
from .support import SHARE

SECONDS = max(4.0, 12.0 * SHARE)
"""How long it is killed at random; `python -m tests.crash` does it as often as one likes."""
LEAST = 8 if SHARE == 1 else 2
SEED = 20261121


@unittest.skipIf(os.name == "nt", "Windows has no SIGKILL")
class AtRandom(unittest.TestCase):
    """Three clients at work, and what is acknowledged stays."""

    def test_for_some_seconds(self) -> None:
        crashes = Crashes(Path(self.enterContext(tempfile.TemporaryDirectory())), SEED)
        until = monotonic() + SECONDS
        while monotonic() < until or crashes.counts["kills"] < LEAST:
            crashes.kill_once()
        crashes.end()
        counts = crashes.counts
        self.assertGreater(counts["acknowledged"], counts["kills"], "the kills came in the middle of work")


@unittest.skipIf(os.name == "nt", "Windows has no SIGKILL")
class BeforeEachCall(unittest.TestCase):
    """The server kills itself before its first call, the next one before its second, and so on, on one folder."""

    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder = self.root / "store"
        self.folder.mkdir()

    def run_to_call(self, number: int, instance: str, data: bytes, *options: str) -> int | None:
        """What the server answered before it ended."""
        server = Process(self.root, self.folder, *options, program=("-m", "tests.killed", str(number)))
        client = Storer()
        try:
            if not server.port:
                return None
            self.assertEqual([name for name in os.listdir(self.folder) if PART_NAME.fullmatch(name)], [])
            return client.store(instance, data) if client.open(server.port) else None
        finally:
            client.close_forced()
            server.kill()
            self.assertNotIn("Traceback", server.errors())

    def check(self, *options: str, first: int) -> list[tuple[bool, bool]]:
        """Up to the call that is not made any more; for each, whether the object was there, and a part of one."""
        seen = []
        instance, old = object_of(1 << 10)
        versions = [old, raw.data_set(instance, 300 << 10)]
        path, status = self.folder / f"{instance}.dcm", None
        for number in range(first, 100):
            status = self.run_to_call(number, instance, versions[1], *options)
            if status is not None:
                break
            parts = [name for name in os.listdir(self.folder) if name != path.name]
            self.assertTrue(all(PART_NAME.fullmatch(name) for name in parts), parts)
            seen.append((path.exists(), bool(parts)))
            if path.exists():
                self.assertIn(stored_data(path), versions[1:])
                path.unlink()
        self.assertEqual((status, stored_data(path)), (Status.SUCCESS, versions[1]))
        return seen

    def test_replacing(self) -> None:
        """A part, then none and the whole file, which is answered after that."""
        seen = self.check(first=0)
        self.assertGreater(len(seen), 8)
        self.assertEqual({(False, False), (False, True), (True, False)}, set(seen))

    def test_with_a_link(self) -> None:
        """Between the link and the removal of the first name, both are there."""
        seen = self.check("--duplicates", "keep", first=4)
        self.assertEqual({(False, False), (False, True), (True, True), (True, False)}, set(seen))


if __name__ == "__main__":
    unittest.main()
