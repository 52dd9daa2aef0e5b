"""Whether what has begun to arrive goes on, so that a peer that drips keeps nothing alive; knows only the clock."""

from __future__ import annotations

from time import monotonic

from ..timing import NEVER, deadline

_FLOOR = 1 << 10
"""Bytes for each second below which it is given up."""


class Pace:
    """Of one thing at a time. What nobody read meanwhile is not the peer's fault, and is not counted.

    Args:
        seconds: until it must be there, or 1 KB for each of them.

    Attributes:
        until: when it is looked at next, on the monotonic clock; NEVER while nothing has begun.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.until = NEVER
        self._bytes = 0
        self._read_at = monotonic()

    def begin_read(self) -> bool:
        """Somebody reads again; whether something has begun."""
        if self.until == NEVER:
            return False
        self.until += monotonic() - self._read_at
        return True

    def end_read(self) -> None:
        """Nobody reads for now."""
        self._read_at = monotonic()

    def note(self, is_unfinished: bool, count: int) -> None:
        """So many bytes have come, and whether something that has begun is not over."""
        if not is_unfinished:
            self.until = NEVER
        elif self.until == NEVER:
            self._begin()
        else:
            self._bytes += count

    def _begin(self) -> None:
        self.until, self._bytes = deadline(self.seconds), 0

    def is_lost(self) -> bool:
        """Whether too little has come in its time."""
        if self.seconds is None or monotonic() < self.until:
            return False
        if self._bytes < _FLOOR * self.seconds:
            return True
        self._begin()
        return False
