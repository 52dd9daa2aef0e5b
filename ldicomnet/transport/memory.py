"""A connection in memory: two transports back to back, for tests and for talking to oneself.

Knows no PDU and no socket; keeps the contract of `Transport` to the letter.
"""

from __future__ import annotations

from threading import Condition

from ..errors import LDicomTimeoutError, LDicomTransportError
from ..status import ErrorCode
from . import Address, Buffer


class _Pipe:
    """One direction: a bounded buffer."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._data = bytearray()
        self._changed = Condition()
        self._ended = False

    def read_into(self, view: memoryview, seconds: float | None) -> int:
        with self._changed:
            if not self._changed.wait_for(lambda: self._data or self._ended, seconds):
                raise LDicomTimeoutError("nothing was received in time")
            count = min(len(view), len(self._data))
            view[:count] = self._data[:count]
            del self._data[:count]
            self._changed.notify_all()
            return count

    def write(self, data: memoryview, seconds: float | None) -> None:
        while data:
            with self._changed:
                if not self._changed.wait_for(lambda: len(self._data) < self._capacity or self._ended, seconds):
                    raise LDicomTimeoutError(f"the peer has read nothing for {seconds} seconds", "send")
                if self._ended:
                    raise LDicomTransportError(ErrorCode.NET_CONNECTION_RESET, "send: the connection is closed")
                count = self._capacity - len(self._data)
                self._data += data[:count]
                data = data[count:]
                self._changed.notify_all()

    @property
    def is_at_end(self) -> bool:
        return self._ended and not self._data

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class MemoryTransport:
    """One end of a connection in memory; made by `pair`."""

    is_secure = False

    def __init__(self, incoming: _Pipe, outgoing: _Pipe, name: str, peer_name: str, send_timeout: float | None) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._host, self._peer = (name, 0), (peer_name, 0)
        self._timeout: float | None = None
        self._send_timeout = send_timeout

    def open(self, seconds: float | None) -> None:
        """It is open from the start."""

    def secure(self, seconds: float | None) -> bool:
        """Nothing to do: it has no security layer."""
        return True

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        """See `Transport.read_into`."""
        return self._incoming.read_into(view, self._timeout)

    def is_at_end(self) -> bool:
        """See `Transport.is_at_end`."""
        return self._incoming.is_at_end

    def write(self, buffers: list[Buffer], more: bool = False) -> None:
        """See `Transport.write`."""
        for buffer in buffers:
            self._outgoing.write(memoryview(buffer), self._send_timeout)

    def set_timeout(self, seconds: float | None) -> None:
        """See `Transport.set_timeout`."""
        self._timeout = seconds

    def hurry(self, seconds: float) -> None:
        """See `Transport.hurry`."""
        self._send_timeout = seconds if self._send_timeout is None else min(seconds, self._send_timeout)

    def close(self) -> None:
        """End both directions."""
        self._incoming.end()
        self._outgoing.end()

    def dispose(self) -> None:
        """Nothing is held."""

    @property
    def host(self) -> Address:
        """The name of this end."""
        return self._host

    @property
    def peer(self) -> Address:
        """The name of the other end."""
        return self._peer


def pair(capacity: int = 1 << 16, send_timeout: float | None = 10.0) -> tuple[MemoryTransport, MemoryTransport]:
    """Two connected transports; each direction holds up to `capacity` bytes that were not read."""
    there, back = _Pipe(capacity), _Pipe(capacity)
    return (
        MemoryTransport(back, there, "requestor", "acceptor", send_timeout),
        MemoryTransport(there, back, "acceptor", "requestor", send_timeout),
    )
