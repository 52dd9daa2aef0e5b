"""What connections have done, in numbers; knows none of them."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from .message import BY_FIELD
from .status import ErrorCode, Status

Named = tuple[str, Status | None]
"""The name of a message, such as "c_store_response", and its status, None for a request."""


_FIELD = 0xFFFF
_MOST_KINDS = 2000

K = TypeVar("K")


@dataclass(slots=True)
class Statistics:
    """Counts since an object was made; of a listening object, of all connections that it has accepted.

    What `LDicomNet.statistics` gives is a snapshot, which does not change any more.
    """

    connections: int = 0
    """Connections that stood, the probes among them."""
    probes: int = 0
    """Connections that ended before a byte came, as health probes and port scanners make them."""
    turned_away: int = 0
    """Connections that were closed at once, because too many stood (`Limits.connections`)."""
    associations: int = 0
    """Associations that were established."""
    rejects: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    """A-ASSOCIATE-RJ sent and received, by result, source and reason; beyond some thousand as (0, 0, 0)."""
    aborts: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    """A-ABORT by who sent it, "ours" or "theirs", source and reason."""
    timeouts: Counter[str] = field(default_factory=Counter)
    """Deadlines that passed, by the name of the `Timeouts` that they had."""
    endings: Counter[ErrorCode] = field(default_factory=Counter)
    """Connections that ended, by what `on_close` was told."""
    received: Counter[Named] = field(default_factory=Counter)
    """Messages that arrived whole."""
    sent: Counter[Named] = field(default_factory=Counter)
    """Messages that left whole."""
    bytes_received: int = 0
    """Bytes of command sets and data sets that came."""
    bytes_sent: int = 0
    """Bytes of command sets and data sets that left."""

    def as_dict(self) -> dict[str, Any]:
        """The same in numbers and texts, for JSON: `{"received": {"c_store_request": 7}, "bytes_sent": 0, ...}`."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: {_text(key): count for key, count in sorted(value.items(), key=repr)}
            if isinstance(value, Counter)
            else value
            for name, value in values.items()
        }


def _text(key: object) -> str:
    """The key of a count in words."""
    if isinstance(key, ErrorCode):
        return key.name
    if isinstance(key, tuple):
        return " ".join(_text(part) for part in key if part is not None)
    return f"{key:04X}H" if isinstance(key, Status) else str(key)


class Tally:
    """The numbers of one connection while it runs, or of several that are over.

    Each is written by one thread at a time, the reader or whoever has the write lock, so that counting takes no lock.

    Attributes:
        connections: how many stood.
        probes: how many of them the peer ended without a word.
        associations: how many associations there were.
        bytes_received, bytes_sent: bytes of command sets and data sets.
        received, sent: how many messages, by `Kind.number`.
        endings: how many ended, by why.
    """

    __slots__ = (
        "_aborts", "_rejects", "_timeouts", "associations", "bytes_received", "bytes_sent", "connections", "endings",
        "probes", "received", "sent",
    )  # fmt: skip

    def __init__(self) -> None:
        self.received: dict[int, int] = {}
        self.sent: dict[int, int] = {}
        self.bytes_received = self.bytes_sent = 0
        self.connections = self.probes = self.associations = 0
        self.endings: dict[ErrorCode, int] = {}
        self._rejects: dict[tuple[int, int, int], int] = {}
        self._aborts: dict[tuple[str, int, int], int] = {}
        self._timeouts: dict[str, int] = {}

    def count(self, counts: dict[int, int], kind: int) -> None:
        """One more message of a kind."""
        if kind in counts:
            counts[kind] += 1
        else:
            self.begin(counts, kind)

    def begin(self, counts: dict[int, int], kind: int) -> None:
        """The first message of a kind; what is of no known kind, or of one too many, counts as one."""
        number = kind >> 16 if kind > _FIELD else kind
        if number not in BY_FIELD or len(counts) >= _MOST_KINDS:
            kind = 0
        counts[kind] = counts.get(kind, 0) + 1

    def rejected(self, result: int, source: int, reason: int) -> None:
        """An A-ASSOCIATE-RJ was sent or received."""
        _count(self._rejects, (int(result), int(source), int(reason)))

    def aborted(self, whose: str, source: int, reason: int) -> None:
        """An A-ABORT was sent ("ours") or received ("theirs")."""
        _count(self._aborts, (whose, int(source), int(reason)))

    def late(self, timeout: str) -> None:
        """A deadline passed."""
        _count(self._timeouts, timeout)

    def add(self, other: Tally) -> None:
        """Add what a connection that is over has counted. Peers may send any number, each of which is a key: beyond
        some thousand they count as one."""
        self.connections += other.connections
        self.probes += other.probes
        self.associations += other.associations
        self.bytes_received += other.bytes_received
        self.bytes_sent += other.bytes_sent
        _add(self.received, other.received, 0)
        _add(self.sent, other.sent, 0)
        if other._rejects:
            _add(self._rejects, other._rejects, (0, 0, 0))
        if other._aborts:
            _add(self._aborts, other._aborts, ("other", 0, 0))
        if other._timeouts:
            _add(self._timeouts, other._timeouts, "other")
        if other.endings:
            _add(self.endings, other.endings, ErrorCode.NET_FAILURE)

    @property
    def messages(self) -> tuple[int, int]:
        """How many messages came, and how many left."""
        return sum(self.received.copy().values()), sum(self.sent.copy().values())

    def snapshot(self) -> Statistics:
        """What has been counted so far."""
        return Statistics(
            connections=self.connections,
            probes=self.probes,
            associations=self.associations,
            rejects=Counter(self._rejects.copy()),
            aborts=Counter(self._aborts.copy()),
            timeouts=Counter(self._timeouts.copy()),
            endings=Counter(self.endings.copy()),
            received=_kinds(self.received),
            sent=_kinds(self.sent),
            bytes_received=self.bytes_received,
            bytes_sent=self.bytes_sent,
        )


class Ledger:
    """The numbers of one object: those of its connections that are over, and those of the running ones."""

    def __init__(self) -> None:
        self._past = Tally()
        self._running: set[Tally] = set()
        self._lock = threading.Lock()

    def open(self, tally: Tally) -> None:
        """A connection begins."""
        with self._lock:
            self._running.add(tally)

    def close(self, tally: Tally, ending: ErrorCode | None = None) -> None:
        """It is over, if it was not already: why, where it ever stood."""
        with self._lock:
            if tally in self._running:
                self._running.discard(tally)
                self._past.add(tally)
                if ending is not None:
                    _count(self._past.endings, ending)

    def sum(self, turned_away: int) -> Statistics:
        """All of it now; `turned_away` counts what never became a connection."""
        total = Tally()
        with self._lock:
            total.add(self._past)
            for tally in self._running:
                total.add(tally)
        numbers = total.snapshot()
        numbers.turned_away = turned_away
        return numbers


def _count(counts: dict[K, int], key: K) -> None:
    counts[key] = counts.get(key, 0) + 1


def _add(mine: dict[K, int], theirs: dict[K, int], rest: K) -> None:
    for key, count in theirs.copy().items():
        known = key in mine or len(mine) < _MOST_KINDS
        mine[key if known else rest] = mine.get(key if known else rest, 0) + count


def _kinds(counts: dict[int, int]) -> Counter[Named]:
    named: Counter[Named] = Counter()
    for key, count in counts.copy().items():
        number, status = (key >> 16, Status(key & 0xFFFF)) if key > 0xFFFF else (key, None)
        row = BY_FIELD.get(number)
        named[row.name if row else "other", status] += count
    return named
