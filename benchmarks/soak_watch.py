"""What the soak looks at: the server as a process, once a second; and its folder, swept of what was found whole."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time

from benchmarks import procfs
from benchmarks.soak_ledger import ALTERED, CUT, WHOLE, Ledger, files, is_final, look

PERIOD = 1.0
SWEEP_PERIOD = 5.0
OLD = 10.0
"""Seconds after which a file is swept: nobody writes it any more."""
AT_REST_LIMIT, AT_REST_AGAIN = 20.0, 0.2
"""Seconds: for a server to let go of what nobody uses any more, and between two looks."""


@dataclass(frozen=True)
class Counts:
    """What a process holds."""

    threads: int
    descriptors: int
    anonymous: int
    """Bytes."""

    @classmethod
    def of(cls, pid: int) -> Counts:
        """Now; zeros where nobody knows."""
        return cls(procfs.threads(pid), procfs.descriptors(pid), procfs.anonymous_bytes(pid))


@dataclass(frozen=True)
class Sample:
    """A moment of the run."""

    at: float
    """Seconds since the first."""
    threads: int
    descriptors: int
    anonymous: int
    vanished: int
    """Connections whose client has vanished without a word, and which the server still holds."""


class Watch:
    """Samples the server and sweeps its folder, from `start` to `stop`.

    Args:
        pid: of the server.
        vanished: asks the bad lines.
        folder: what the server stores to.
        ledger: knows what was made, and is told what is swept.
    """

    def __init__(self, pid: int, vanished: Callable[[], int], folder: Path, ledger: Ledger) -> None:
        self._pid, self._vanished = pid, vanished
        self._sweeper = Sweeper(folder, ledger)
        self._over = threading.Event()
        self._began = monotonic()
        self._threads = [
            threading.Thread(target=self._every, args=(work, period), name=f"soak-{name}", daemon=True)
            for name, work, period in (("sample", self._sample, PERIOD), ("sweep", self._sweeper.sweep, SWEEP_PERIOD))
        ]
        self.samples: list[Sample] = []
        self.errors: list[str] = []
        """Of the soak itself."""

    def start(self) -> None:
        """Begin."""
        self._began = monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _every(self, work: Callable[[], None], period: float) -> None:
        try:
            while not self._over.wait(period):
                work()
        except Exception as error:
            self.errors.append(f"{threading.current_thread().name}: {error!r}")

    def _sample(self) -> None:
        now = Counts.of(self._pid)
        at = monotonic() - self._began
        self.samples.append(Sample(at, now.threads, now.descriptors, now.anonymous, self._vanished()))


class Sweeper:
    """Looks at files once they are old enough; those that are whole go, but for those that are to be kept."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._folder, self._ledger = folder, ledger
        self._seen: set[tuple[str, int]] = set()

    def sweep(self) -> None:
        """Once over the folder."""
        before = time() - OLD
        for path in files(self._folder):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue  # it had not its final name yet
            if is_final(path) and state.st_mtime < before and (path.name, state.st_mtime_ns) not in self._seen:
                self._look(path, state.st_mtime_ns)

    def _look(self, path: Path, when: int) -> None:
        found = look(path)
        if found is None:
            return
        made = self._ledger.made(found.uid)
        if made is None or made.is_kept or self._ledger.verdict(found) != WHOLE:
            self._seen.add((path.name, when))  # what is not whole is judged at the end
            return
        self._ledger.sweep(found.uid)
        path.unlink()


def judge(folder: Path, ledger: Ledger) -> dict[str, list[str]]:
    """What is on the disk at the end: UIDs of what is whole; names of what is altered, cut, or without a final name."""
    sorted_out: dict[str, list[str]] = {WHOLE: [], ALTERED: [], CUT: [], "parts": []}
    for path in files(folder):
        if not is_final(path):
            sorted_out["parts"].append(path.name)
            continue
        found = look(path)
        if found is not None:
            verdict = ledger.verdict(found)
            sorted_out[verdict].append(found.uid if verdict == WHOLE else found.name)
    return sorted_out


def temporary_files(pid: int) -> list[str]:
    """Files of a process in the temporary folder that have no name of their own yet."""
    return [path.name for path in Path(tempfile.gettempdir()).glob(f"*-{pid}-*.part")]


def at_rest(pid: int, baseline: Counts | None = None) -> Counts:
    """What a process holds once it is back at a baseline, or after a while all the same.

    Args:
        pid: the process.
        baseline: what it held before; None waits until two looks are the same.
    """
    until, pause = monotonic() + AT_REST_LIMIT, threading.Event()
    now = Counts.of(pid)
    while monotonic() < until:
        pause.wait(AT_REST_AGAIN)
        before, now = now, Counts.of(pid)
        if baseline is None and (before.threads, before.descriptors) == (now.threads, now.descriptors):
            return now
        if baseline and now.threads <= baseline.threads and now.descriptors <= baseline.descriptors:
            return now
    return now
