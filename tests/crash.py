"""The storage SCP sample under load, killed with SIGKILL at random moments, and started again on the same folder.

`python -m tests.crash --kills N --seed S` kills it N times; the suite does for some seconds (`test_crash`). Behind each
kill no file under a final name may be cut or changed, and each object that was acknowledged with 0000 must be there;
behind each start no temporary file may be left, and nothing else may have changed.

What this does not test is the loss of power: what a killed process has written stays with the kernel. That it is on the
disk before the answer is shown by the order of the system calls, in `test_durable`.
"""

from __future__ import annotations

import argparse
import itertools
import queue
import random
import re
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ldicomnet import Duplicates, LDicomDS, LDicomError, Status

from . import raw
from .storing import PART_NAME, Process, Storer

CLIENTS = 3
LONGEST = 0.15
"""Seconds of work before a kill, at most."""
SIZES = (0, 0, 8 << 10, 60 << 10, 300 << 10, 2 << 20)
"""Bytes of pixel data of the objects."""
OFTEN = 0.25
"""How many of the objects are sent again and again under one name, by each client its own."""
_EXPECTED = re.compile(r"^E: \[\d+\] <c_store_request, .*: there is another file of that name \[WRITE\]$")
"""What the server may have to say."""
ROOT_UID = "1.2.826.0.1.3680043.9.7433.77"


class Broken(AssertionError):
    """What was promised was not kept."""


@dataclass
class Instance:
    """What is known of one instance: the versions that may be there, oldest first, and whether one has to be."""

    versions: list[bytes] = field(default_factory=list)
    is_acknowledged: bool = False

    def sent(self, data: bytes) -> None:
        """A version is on its way."""
        if data not in self.versions:
            self.versions.append(data)

    def stored(self, data: bytes) -> None:
        """It was acknowledged, so that no older one may be there."""
        self.versions, self.is_acknowledged = [data], True


class Crashes:
    """One folder, and the servers that store into it one after the other.

    Attributes:
        counts: what has happened so far.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._folder = root / "store"
        self._folder.mkdir()
        self._random = random.Random(seed)
        self._noise = self._random.randbytes(2 * max(SIZES))
        self._known: dict[str, Instance] = {}
        self._before: set[str] = set()
        self._numbers = itertools.count(1)
        self._wrong: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.counts: Counter[str] = Counter()

    def kill_once(self) -> None:
        """Start, work, kill, look.

        Raises:
            Broken: a promise was not kept.
        """
        how = self._random.choice(list(Duplicates))
        server = self._start(how)
        delay, stop = self._random.uniform(0, LONGEST), threading.Event()
        clients = [
            threading.Thread(target=self._send, args=(server.port, how, number, self._random.randrange(1 << 32)))
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        stop.wait(delay)
        server.kill()
        for client in clients:
            client.join()
        self.counts["kills"] += 1
        while not self._wrong.empty():
            raise Broken(self._wrong.get())
        self._look()

    def end(self) -> None:
        """Start once more, and end in order.

        Raises:
            Broken: a promise was not kept.
        """
        status = self._start(Duplicates.REPLACE).stop()
        self._look()
        if status:
            raise Broken(f"exit status {status}")

    def _start(self, how: Duplicates) -> Process:
        """A server; it has to be clean, and to leave everything but temporary files alone."""
        before = self._names()
        server = Process(self._root, self._folder, "--duplicates", how.value)
        after = self._names()
        wrong = [line for line in server.errors().splitlines() if not _EXPECTED.search(line)]
        if not server.port or wrong:
            server.kill()
            raise Broken(f"it did not start well: {wrong}")
        if after != {name for name in before if not PART_NAME.fullmatch(name)}:
            server.kill()
            raise Broken(f"before the start {sorted(before)}, after it {sorted(after)}")
        self.counts["temporary files removed"] += len(before - after)
        return server

    def _names(self) -> set[str]:
        return {path.name for path in self._folder.iterdir()}

    # --- the clients ----------------------------------------------------------------------------------------------

    def _send(self, port: int, how: Duplicates, number: int, seed: int) -> None:
        """One client, until the server is gone."""
        client, own = Storer(), random.Random(seed)
        try:
            is_open = client.open(port)
            while is_open:
                instance = self._name(how, number, own)
                known = self._known.setdefault(instance, Instance())
                is_open = self._store(client, how, instance, known, self._data(how, instance, known, own))
        except (queue.Empty, Broken) as error:
            self._wrong.put(f"client {number}: {error!r}")
        finally:
            client.close_forced()

    def _name(self, how: Duplicates, number: int, own: random.Random) -> str:
        """A new instance, or the one that this client sends again and again."""
        if own.random() < OFTEN:
            return f"{ROOT_UID}.0.{number}"
        return f"{ROOT_UID}.1.{next(self._numbers)}"

    def _data(self, how: Duplicates, instance: str, known: Instance, own: random.Random) -> bytes:
        """What is sent: where the first version stays, that one half of the time."""
        if how is not Duplicates.REPLACE and known.is_acknowledged and own.random() < 0.5:
            return known.versions[0]
        size, start = own.choice(SIZES), own.randrange(max(SIZES)) & ~1
        pixels = raw.element(0x10, self._noise[start : start + size], group=0x7FE0)
        return raw.data_set(instance) + raw.element(0x20, f"{own.random():.14f}", group=0x10) + pixels

    def _store(self, client: Storer, how: Duplicates, instance: str, known: Instance, data: bytes) -> bool:
        """One object; False when the server is gone."""
        is_there, is_same = known.is_acknowledged, known.versions == [data]
        if how is Duplicates.REPLACE or not is_there:
            known.sent(data)
        status = client.store(instance, data)
        if status is None:
            return False
        expected = Status.SUCCESS
        if is_there and (how is Duplicates.REFUSE or (how is Duplicates.KEEP and not is_same)):
            expected = Status.DUPLICATE_INSTANCE
        if status != expected:
            raise Broken(f"{instance} was answered {status:04X}H, not {expected:04X}H ({how.value})")
        self.counts["acknowledged" if not status else "refused"] += 1
        if not status:
            known.stored(data)
        return True

    # --- what is there --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Each file is what was sent, and what was acknowledged is there."""
        names = self._names()
        for name in names:
            if not PART_NAME.fullmatch(name):
                self._check(name)
        missing = {each for each, known in self._known.items() if known.is_acknowledged and f"{each}.dcm" not in names}
        if missing:
            raise Broken(f"acknowledged, and not there: {sorted(missing)}")
        for instance in list(self._known):
            name = f"{instance}.dcm"
            is_old = name in self._before and instance.startswith(f"{ROOT_UID}.1.")
            if is_old or name not in names:  # what has outlived a kill and a start makes room
                del self._known[instance]
                (self._folder / name).unlink(missing_ok=True)
        self._before = names

    def _check(self, name: str) -> None:
        """One file under a final name; from now on it is known which version that is."""
        known = self._known.get(name.removesuffix(".dcm"))
        if known is None:
            raise Broken(f"{name} was never sent")
        path = self._folder / name
        try:
            loaded = LDicomDS.load(path)
            data, uids = loaded.read(), (loaded.sop_class_uid, f"{loaded.sop_instance_uid}.dcm", loaded.transfer_syntax)
        except LDicomError as error:
            raise Broken(f"{name} of {path.stat().st_size} bytes: {error}") from error
        if data not in known.versions or uids != (raw.CT, name, raw.IMPLICIT):
            raise Broken(f"{name} is not what was sent: {path.stat().st_size} bytes")
        self.counts["stored, and the answer was lost"] += not (known.is_acknowledged and len(known.versions) == 1)
        known.stored(data)


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", metavar="N", type=int, default=1000, help="how often (default: 1000)")
    parser.add_argument("--seed", metavar="S", type=int, default=1, help="of the moments and objects (default: 1)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as root:
        crashes = Crashes(Path(root), options.seed)
        try:
            for _ in range(options.kills):
                crashes.kill_once()
            crashes.end()
        except Broken as error:
            print(f"seed {options.seed}, after {crashes.counts['kills']} kills: {error}", file=sys.stderr)
            return 1
        finally:
            print(", ".join(f"{count} {what}" for what, count in crashes.counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
