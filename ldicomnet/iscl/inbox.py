"""What has come over an ISCL connection and waits for its reader, in order and within bounds; pure."""

from __future__ import annotations

from collections import deque
from enum import Enum

_OVERHEAD = 128
"""Bytes that an item takes beside its own, so that many small ones, or empty ones, are not for nothing."""


class Kind(Enum):
    """What it is."""

    MESSAGE = "bytes of the upper layer, whose MAC was right"
    THROUGH = "data beside it"
    PACKET = "a packet as it came, with the code of its error in front"


class Inbox:
    """Kept by whoever reads the connection below, taken by the reader of this one.

    Args:
        capacity: bytes that are kept; the caller asks `free` or `fits` before it keeps more.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[tuple[Kind, bytes]] = deque()
        self._size = 0
        self._at = 0  # how much of the first message has been read

    def __bool__(self) -> bool:
        return bool(self._items)

    @property
    def free(self) -> int:
        """Bytes that one more item may have."""
        return max(0, self._capacity - self._size - _OVERHEAD)

    def fits(self, length: int) -> bool:
        """Whether there is room for an item, which may be empty."""
        return self._size + length + _OVERHEAD <= self._capacity

    def keep(self, kind: Kind, data: bytes) -> None:
        """One more."""
        self._items.append((kind, data))
        self._size += len(data) + _OVERHEAD

    @property
    def is_message(self) -> bool:
        """Whether a message is the first."""
        return bool(self._items) and self._items[0][0] is Kind.MESSAGE

    def take(self) -> tuple[Kind, bytes]:
        """The first one, which goes."""
        kind, data = self._items.popleft()
        self._size -= len(data) + _OVERHEAD
        return kind, data

    def read_into(self, view: memoryview) -> int:
        """Of a message that is the first, as much as goes into `view`."""
        message = self._items[0][1]
        count = min(len(view), len(message) - self._at)
        view[:count] = memoryview(message)[self._at : self._at + count]
        self._at += count
        if self._at == len(message):
            self._at = 0
            self.take()
        return count
