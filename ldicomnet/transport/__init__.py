"""What carries bytes between two applications: the methods that TCP, and the layers on it, have in common.

Knows no PDU. `OSError` of the network is translated here and nowhere else.
"""

from __future__ import annotations

import errno
import socket
from enum import Enum
from typing import Protocol

from ..errors import LDicomTransportError
from ..status import ErrorCode

Address = tuple[str, int]
"""Host address and port."""

Buffer = bytes | bytearray | memoryview


class Parked(Enum):
    """Why a connection that was watched while nothing came is given back."""

    READABLE = "there are bytes, or their end"
    LATE = "its time has passed"
    LEFT = "nobody watches it any more"


class Transport(Protocol):
    """One connection. `write` is called by one thread at a time, `read_into` by the reader, `close` by any."""

    @property
    def is_secure(self) -> bool:
        """Whether it has a security layer, which `secure` sets up; always the same for one connection."""
        ...

    def open(self, seconds: float | None) -> None:
        """Make the connection, or raise within `seconds`; nothing to do on one that was accepted."""
        ...

    def secure(self, seconds: float | None) -> bool:
        """Set up the security layer with the peer; once, on the reader thread, before anything is read or written.

        Called only where `is_secure`; of an accepted connection, as a rule, when the peer has sent something or left,
        because until then it has no thread. A layer in which the acceptor speaks first sends that when the transport is
        made, in so few bytes that this cannot block.

        Args:
            seconds: for all of it, so that a peer that sends a byte now and then gains nothing.

        Returns:
            True once the layer stands; False where the peer has left before it said anything.

        Raises:
            LDicomSecurityError: this side refuses the peer, or the peer this side; nothing may be read or written.
            LDicomTimeoutError: it took longer than that.
            LDicomTransportError: the connection broke; NET_CONNECTION_ABORTED where the peer left in the middle.
        """
        ...

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        """Wait for bytes, read as many as are there, and return how many; 0 when the peer has ended.

        Args:
            view: where they go.
            unfinished: whether the bytes so far break off within something, so that the peer should be told at once
                that they have arrived.

        Raises:
            LDicomTimeoutError: nothing came for as long as `set_timeout` allowed.
            LDicomTransportError: the connection broke.
        """
        ...

    def is_at_end(self) -> bool:
        """Of a connection that has become readable: whether the peer has ended it, and said nothing more."""
        ...

    def write(self, buffers: list[Buffer], more: bool = False) -> None:
        """Write all of `buffers` in order; the list may be changed.

        Args:
            buffers: what to write.
            more: whether as much will follow at once, so that small pieces may wait for each other a little while.

        Raises:
            LDicomTimeoutError: the peer has not read for as long as sends may wait.
            LDicomTransportError: the connection broke.
        """
        ...

    def set_timeout(self, seconds: float | None) -> None:
        """How long `read_into` waits from now on."""
        ...

    def hurry(self, seconds: float) -> None:
        """The connection is about to end: from now on a write waits at most so long for the peer to read."""
        ...

    def close(self) -> None:
        """End the connection at once, waking whoever reads or writes; from any thread, any number of times."""
        ...

    def dispose(self) -> None:
        """Give back what the connection holds; when nobody reads or writes any more."""
        ...

    @property
    def host(self) -> Address:
        """The address on this side."""
        ...

    @property
    def peer(self) -> Address:
        """The address on the other side."""
        ...


_CODES = {
    getattr(errno, name): code
    for name, code in {
        "EACCES": ErrorCode.NET_ACCESS,
        "EPERM": ErrorCode.NET_ACCESS,
        "EADDRINUSE": ErrorCode.NET_ADDRESS_IN_USE,
        "EADDRNOTAVAIL": ErrorCode.NET_ADDRESS_NOT_AVAILABLE,
        "EAFNOSUPPORT": ErrorCode.NET_ADDRESS_NOT_SUPPORTED,
        "ECONNABORTED": ErrorCode.NET_CONNECTION_ABORTED,
        "ECONNREFUSED": ErrorCode.NET_CONNECTION_REFUSED,
        "ECONNRESET": ErrorCode.NET_CONNECTION_RESET,
        "EPIPE": ErrorCode.NET_CONNECTION_RESET,
        "EHOSTUNREACH": ErrorCode.NET_HOST_UN_REACH,
        "EINVAL": ErrorCode.NET_INVALID,
        "EISCONN": ErrorCode.NET_IS_CONNECTED,
        "EMFILE": ErrorCode.TOO_MANY_OPEN_FILES,
        "ENFILE": ErrorCode.TOO_MANY_OPEN_FILES,
        "ENETDOWN": ErrorCode.NET_DOWN,
        "ENETRESET": ErrorCode.NET_RESET,
        "ENETUNREACH": ErrorCode.NET_UN_REACH,
        "ENOBUFS": ErrorCode.NET_NO_BUFFERS,
        "ENOMEM": ErrorCode.NET_NO_BUFFERS,
        "ENOTCONN": ErrorCode.NET_NOT_CONNECTED,
        "EBADF": ErrorCode.NET_NOT_SOCKET,
        "ENOTSOCK": ErrorCode.NET_NOT_SOCKET,
        "ESHUTDOWN": ErrorCode.NET_SHUTDOWN,
        "ETIMEDOUT": ErrorCode.NET_TIME_OUT,
    }.items()
    if hasattr(errno, name)
}


def translate(error: OSError, doing: str) -> LDicomTransportError:
    """The library's error for an `OSError` of the network; `doing` says what was tried."""
    if isinstance(error, TimeoutError):
        code = ErrorCode.NET_TIME_OUT
    elif isinstance(error, socket.gaierror):
        code = ErrorCode.NET_TRY_AGAIN if error.errno == socket.EAI_AGAIN else ErrorCode.NET_HOST_NOT_FOUND
    else:
        code = _CODES.get(error.errno or 0, ErrorCode.NET_FAILURE)
    return LDicomTransportError(code, f"{doing}: {error.strerror or error}")
