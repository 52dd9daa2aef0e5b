"""What the soak has made, what was acknowledged of it, and what became of it on the disk; knows no process or socket.

| word | what it says of a file under a final name |
|---|---|
| whole | the data set that was made for its instance, byte by byte |
| altered | another one, of an instance that went over a line which turns a byte: nobody could have known |
| cut | anything else: it ends too early, or is not what was sent |
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from benchmarks import folders

WHOLE, ALTERED, CUT = "whole", "altered", "cut"


@dataclass(frozen=True)
class Made:
    """An instance that is sent, or may be."""

    uid: str
    digest: str
    """SHA-1 of its data set."""
    may_differ: bool = False
    """Whether it goes over a line that turns a byte."""
    is_kept: bool = False
    """Whether it stays on the server's disk until the end of the run; others go once they were found whole."""


@dataclass(frozen=True)
class Found:
    """A file under a final name."""

    name: str
    uid: str = ""
    """SOP instance UID; empty if it is no DICOM file, or not up to its data set."""
    digest: str = ""


class Ledger:
    """For all threads. Times are seconds since `begin`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = monotonic()
        self._made: dict[str, Made] = {}
        self._differing: set[str] = set()
        self._swept: set[str] = set()
        self._acknowledged: dict[str, float] = {}
        self.misread: list[str] = []
        """Instances of which the client that sent it says another digest than who made it."""

    def begin(self) -> None:
        """The clock begins; what was acknowledged before has no time in the run."""
        with self._lock:
            self._began = monotonic()

    def make(self, made: Made) -> None:
        """An instance was made."""
        with self._lock:
            self._made[made.uid] = made
            if made.may_differ:
                self._differing.add(made.uid)

    def acknowledge(self, uid: str, digest: str = "") -> None:
        """A client was answered with success. UIDs that nobody made were turned on the way back, and are ignored.

        Args:
            uid: of the instance.
            digest: of the data set it sent, if it says so.
        """
        with self._lock:
            made = self._made.get(uid)
            if made is None:
                return
            self._acknowledged.setdefault(uid, monotonic() - self._began)
            if digest not in ("", made.digest) and not made.may_differ:
                self.misread.append(uid)

    def sweep(self, uid: str) -> None:
        """It was found whole, and its file is removed."""
        with self._lock:
            self._swept.add(uid)

    def made(self, uid: str) -> Made | None:
        """What was made for an instance."""
        with self._lock:
            return self._made.get(uid)

    def verdict(self, found: Found) -> str:
        """Whole, altered or cut."""
        made = self.made(found.uid)
        if made is not None and made.digest == found.digest:
            return WHOLE
        if made is not None:
            return ALTERED if made.may_differ else CUT
        return ALTERED if found.uid and self._is_near(found.uid) else CUT

    def lost(self, whole: Iterable[str]) -> list[str]:
        """Instances that were acknowledged, and that are neither whole on the disk nor were before they were swept."""
        with self._lock:
            there = self._swept.union(whole)
            return sorted(uid for uid in self._acknowledged if uid not in there | self._differing)

    def counts(self) -> dict[str, int]:
        """Instances made, acknowledged, and swept."""
        with self._lock:
            return {"made": len(self._made), "acknowledged": len(self._acknowledged), "swept": len(self._swept)}

    def times(self) -> list[float]:
        """When each acknowledgement was heard of, in order."""
        with self._lock:
            return sorted(self._acknowledged.values())

    def _is_near(self, uid: str) -> bool:
        """Whether it is that of an instance which may differ, but for one character."""
        with self._lock:
            near = [other for other in self._differing if len(other) == len(uid)]
        return any(sum(one != two for one, two in zip(uid, other, strict=True)) <= 1 for other in near)


# --- the server's folder -----------------------------------------------------------------------------------------


def is_final(path: Path) -> bool:
    """Whether a file has a final name: not that of one which is still written."""
    return not (path.name.startswith(".") or path.suffix == ".part")


def look(path: Path) -> Found | None:
    """What a file is; None if it has gone."""
    try:
        uid, _, digest = folders.stored(path)
    except FileNotFoundError:
        return None
    except ValueError:
        return Found(path.name)
    return Found(path.name, uid, digest.hex())


def files(folder: Path) -> list[Path]:
    """All within a folder and the folders in it."""
    return [path for path in folder.rglob("*") if path.is_file()]
