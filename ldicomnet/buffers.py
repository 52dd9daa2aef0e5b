"""Buffers: large ones come from the system and go back to it, and a few stay warm. Knows no PDU and no file.

A large block that the C library has given back once makes it keep as much in each of its arenas, of which a process
with many threads has many: after some hours that is more than all connections hold. So large buffers are none of its.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmap import mmap

    Writable = bytearray | mmap
    """What a buffer is; both are sequences of octets, and can be cut by slices."""

CHUNK = 1 << 20
"""Bytes of the buffers that stay warm."""
_SPARE = 4
_LARGE = 128 << 10
"""Bytes from which the C library on Linux, too, asks the system at first."""
_spare: deque[Writable] = deque(maxlen=_SPARE)


def make_buffer(size: int) -> Writable:
    """A buffer of zeros."""
    if size < _LARGE:
        return bytearray(size)
    import mmap  # not before something is large

    if hasattr(mmap, "MAP_ANONYMOUS"):  # private, or a forked process would have the same memory
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


def take_buffer(size: int = 0) -> Writable:
    """A buffer of 1 MiB, or of `size` where that is more; warm where one is spare, since fresh memory costs more than
    the reading."""
    if size <= CHUNK:
        with contextlib.suppress(IndexError):
            return _spare.pop()
    return make_buffer(max(size, CHUNK))


def give_buffer(buffer: Writable) -> None:
    """It is spare again."""
    if len(buffer) == CHUNK:
        _spare.append(buffer)
