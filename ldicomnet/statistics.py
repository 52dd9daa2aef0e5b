"""What connections have done, in numbers; knows none of them."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from .message import BY_FIELD
from .status import ErrorCode, Status

Kind = tuple[str, Status | None]
"""The name of a message, such as "c_store_response", and its status, None for a request."""


_FIELD = 0xFFFF
_MOST_KINDS = 2000
_OTHER: dict[int, Any] = {2: ("other", None), 3: ("other", 0, 0)}
"""What counts for the rest, by the length of the keys."""


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
    """A-ASSOCIATE-RJ sent and received, by result, source and reason."""
    aborts: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    """A-ABORT by who sent it, "ours" or "theirs", source and reason."""
    timeouts: Counter[str] = field(default_factory=Counter)
    """Deadlines that passed, by the name of the `Timeouts` that they had."""
    endings: Counter[ErrorCode] = field(default_factory=Counter)
    """Connections that ended, by what `on_close` was told."""
    received: Counter[Kind] = field(default_factory=Counter)
    """Messages that arrived whole."""
    sent: Counter[Kind] = field(default_factory=Counter)
    """Messages that left whole."""
    bytes_received: int = 0
    """Bytes of command sets and data sets that came."""
    bytes_sent: int = 0
    """Bytes of command sets and data sets that left."""

    def add(self, other: Statistics) -> None:
        """Add what `other` has counted."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, Counter):
                _add(mine, theirs)
            else:
                setattr(self, each.name, mine + theirs)

    def as_dict(self) -> dict[str, Any]:
        """The same in numbers and texts, for JSON: `{"received": {"c_store_request": 7}, "bytes_sent": 0, ...}`."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: {_text(key): count for key, count in sorted(value.items(), key=repr)}
            if isinstance(value, Counter)
            else value
            for name, value in values.items()
        }


def _add(mine: Counter[Any], theirs: Counter[Any]) -> None:
    """Peers may send any number, each of which is a key: beyond some thousand they count as one."""
    for key, count in theirs.items():
        known = key in mine or len(mine) < _MOST_KINDS
        mine[key if known else _OTHER[len(key)]] += count


def _text(key: object) -> str:
    """The key of a count in words."""
    if isinstance(key, ErrorCode):
        return key.name
    if isinstance(key, tuple):
        return " ".join(_text(part) for part in key if part is not None)
    return f"{key:04X}H" if isinstance(key, Status) else str(key)


class Tally:
    """The numbers of one connection while it runs.

    Each is written by one thread at a time, the reader or whoever has the write lock, so that counting takes no lock.

    Attributes:
        connections: 1 once the connection stands.
        was_associated: whether there was an association.
        is_probe: whether the peer ended the connection without a word.
        bytes_received, bytes_sent: bytes of command sets and data sets.
        received, sent: how many messages, by `Kind.number`.
    """

    __slots__ = (
        "_aborts", "_rejects", "_timeouts", "bytes_received", "bytes_sent", "connections", "is_probe",
        "received", "sent", "was_associated",
    )  # fmt: skip

    def __init__(self) -> None:
        self.received: dict[int, int] = {}
        self.sent: dict[int, int] = {}
        self.bytes_received = self.bytes_sent = 0
        self.connections = 0
        self.was_associated = self.is_probe = False
        self._rejects: list[tuple[int, int, int]] = []
        self._aborts: list[tuple[str, int, int]] = []
        self._timeouts: list[str] = []

    def begin(self, counts: dict[int, int], kind: int) -> None:
        """The first message of a kind; what is of no known kind, or of one too many, counts as one."""
        number = kind >> 16 if kind > _FIELD else kind
        if number not in BY_FIELD or len(counts) >= _MOST_KINDS:
            kind = 0
        counts[kind] = counts.get(kind, 0) + 1

    def rejected(self, result: int, source: int, reason: int) -> None:
        """An A-ASSOCIATE-RJ was sent or received."""
        self._rejects.append((int(result), int(source), int(reason)))

    def aborted(self, whose: str, source: int, reason: int) -> None:
        """An A-ABORT was sent ("ours") or received ("theirs")."""
        self._aborts.append((whose, int(source), int(reason)))

    def late(self, timeout: str) -> None:
        """A deadline passed."""
        self._timeouts.append(timeout)

    @property
    def messages(self) -> tuple[int, int]:
        """How many messages came, and how many left."""
        return sum(self.received.copy().values()), sum(self.sent.copy().values())

    def snapshot(self, ending: ErrorCode | None = None) -> Statistics:
        """What has been counted so far; `ending` once the connection is over."""
        return Statistics(
            connections=self.connections,
            probes=int(self.is_probe),
            associations=int(self.was_associated),
            rejects=Counter(self._rejects),
            aborts=Counter(self._aborts),
            timeouts=Counter(self._timeouts),
            endings=Counter() if ending is None else Counter([ending]),
            received=_kinds(self.received),
            sent=_kinds(self.sent),
            bytes_received=self.bytes_received,
            bytes_sent=self.bytes_sent,
        )


class Ledger:
    """The numbers of one object: those of its connections that are over, and those of the running ones."""

    def __init__(self) -> None:
        self._past = Statistics()
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
                self._past.add(tally.snapshot(ending))

    def sum(self, turned_away: int) -> Statistics:
        """All of it now; `turned_away` counts what never became a connection."""
        numbers = Statistics(turned_away=turned_away)
        with self._lock:
            numbers.add(self._past)
            for tally in self._running:
                numbers.add(tally.snapshot())
        return numbers


def _kinds(counts: dict[int, int]) -> Counter[Kind]:
    named: Counter[Kind] = Counter()
    for key, count in counts.copy().items():
        number, status = (key >> 16, Status(key & 0xFFFF)) if key > 0xFFFF else (key, None)
        row = BY_FIELD.get(number)
        named[row.name if row else "other", status] += count
    return named
