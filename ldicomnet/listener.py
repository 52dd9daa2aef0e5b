"""The accept thread and its queue: connection requests wait, first in first out, until someone takes them.

Knows neither PDUs nor `LDicomNet`.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import logging
import selectors
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from .errors import LDicomTransportError, LDicomUsageError
from .status import ErrorCode, IpType
from .timing import Limits
from .transport import Address, Parked, translate
from .transport.tcp import SocketOptions, family, plain_address

SMALLEST_BACKLOG = 1024
"""A full backlog loses connections, and a large one costs nothing."""
_PAUSE = 0.1
"""Seconds to let connections end when the process has no descriptors left."""
_SAID_EVERY = 60
"""Seconds between two lines that say so."""
_LONGEST_LOOK = 3600.0
"""Seconds; what the system waits with cannot count to the end of time."""
_MOST_SELECTED = 400
"""Connections that `select` can watch, where the system has nothing better: it has 512 in all on Windows."""
_REUSE_PORT: int = getattr(socket, "SO_REUSEPORT", 0)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger("ldicomnet.listener")


Ready = Callable[[Parked], None]


class Listener:
    """Accepts from a listening socket; `arrived` is called on the accept thread for each request, which then waits in
    `take`.

    Args:
        sock: the listening socket.
        limits: how many requests may wait.
        has_room: whether one more connection may come; else it is closed at once.
        arrived: called for each that has come.

    Raises:
        LDicomTransportError: it cannot be watched.
    """

    def __init__(
        self, sock: socket.socket, limits: Limits, has_room: Callable[[], bool], arrived: Callable[[Listener], None]
    ) -> None:
        self._limits = limits
        self._has_room = has_room
        self._arrived = arrived
        self._parked: dict[int, tuple[float, int, Ready]] = {}  # by descriptor: until when, a number, who is told
        self._order: list[tuple[float, int, int]] = []  # a heap of the same with the descriptor; some are gone already
        self._numbers = 0
        self._waiting: deque[socket.socket] = deque()
        self._closed = False
        self._said_again = 0.0  # when it may be said again that nothing is left, on the monotonic clock
        self._socket = sock
        try:
            self._wake_reader, self._wake_writer = socket.socketpair()
            self._selector = selectors.DefaultSelector()
        except OSError as error:
            self._socket.close()
            raise translate(error, "listen") from error
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._address = plain_address(self._socket.getsockname())
        self._thread = threading.Thread(target=self._run, name="ldicomnet-accept", daemon=True)

    @property
    def host(self) -> Address:
        """The address listened on, with the port that was chosen."""
        return self._address

    def start(self) -> None:
        """Begin to accept."""
        try:
            self._thread.start()
        except RuntimeError as error:  # the process may have no more threads
            self._dispose()
            raise LDicomTransportError(ErrorCode.NET_NO_BUFFERS, f"listen gets no thread: {error}") from error

    def take(self) -> socket.socket:
        """The oldest waiting request.

        Raises:
            LDicomUsageError: none waits.
        """
        try:
            return self._waiting.popleft()
        except IndexError:
            raise LDicomUsageError("no connection request is waiting", ErrorCode.NET_WOULD_BLOCK) from None

    @property
    def may_park(self) -> bool:
        """Whether the caller is the accept thread."""
        return threading.get_ident() == self._thread.ident

    def park(self, descriptor: int, until: float, ready: Ready) -> bool:
        """Watch an accepted connection from which nothing has come, so that it needs no thread; on the accept thread.

        Args:
            descriptor: its socket's.
            until: when its time has passed, on the monotonic clock.
            ready: called once, on the accept thread.

        Returns:
            False where no more can be watched.
        """
        if len(self._parked) >= _MOST_SELECTED and isinstance(self._selector, selectors.SelectSelector):
            return False
        try:
            self._selector.register(descriptor, selectors.EVENT_READ)
        except (OSError, ValueError, KeyError):
            return False
        self._numbers += 1
        self._parked[descriptor] = until, self._numbers, ready
        if len(self._order) > 2 * len(self._parked) + 100:  # most are gone again
            self._order = [(until, number, each) for each, (until, number, _ready) in self._parked.items()]
            heapq.heapify(self._order)
        else:
            heapq.heappush(self._order, (until, self._numbers, descriptor))
        return True

    def unpark(self) -> None:
        """Watch no connection any more; on the accept thread."""
        for descriptor in tuple(self._parked):
            self._give_back(descriptor, Parked.LEFT)

    def close(self) -> None:
        """Stop listening; requests that wait are closed. From any thread, any number of times."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def join(self, seconds: float | None) -> None:
        """Wait for the accept thread to end."""
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while not self._closed:
                self._watch()
        finally:
            self.unpark()
            self._dispose()

    def _watch(self) -> None:
        """Wait for something to happen, and act on it."""
        for key, _events in self._selector.select(self._left()):
            if self._closed:
                return
            if key.fileobj is self._socket:
                self._accept()
            elif key.fd in self._parked:
                self._give_back(key.fd, Parked.READABLE)
        while self._order and self._order[0][0] <= monotonic():
            _until, number, descriptor = heapq.heappop(self._order)
            if self._is_parked(descriptor, number):
                self._give_back(descriptor, Parked.LATE)

    def _left(self) -> float | None:
        """Seconds to the first deadline of a parked connection."""
        while self._order and not self._is_parked(self._order[0][2], self._order[0][1]):
            heapq.heappop(self._order)
        return min(_LONGEST_LOOK, max(0.0, self._order[0][0] - monotonic())) if self._order else None

    def _is_parked(self, descriptor: int, number: int) -> bool:
        """Whether that connection is parked still; another one may have its descriptor by now."""
        found = self._parked.get(descriptor)
        return found is not None and found[1] == number

    def _give_back(self, descriptor: int, why: Parked) -> None:
        _until, _number, ready = self._parked.pop(descriptor)
        self._selector.unregister(descriptor)
        try:
            ready(why)
        except Exception:
            _log.exception("a parked connection could not go on")

    def _accept(self) -> None:
        """Accept one connection, unless another process with the same socket was faster."""
        try:
            sock, _address = self._socket.accept()
        except BlockingIOError:
            return
        except OSError as error:
            self._refused(error)
            return
        if not self._has_room():
            sock.close()
            return
        if len(self._waiting) >= self._limits.waiting_requests:
            _log.warning("%d connection requests are waiting to be accepted; one more is closed", len(self._waiting))
            sock.close()
            return
        self._waiting.append(sock)
        self._arrived(self)

    def _refused(self, error: OSError) -> None:
        """One connection failed (its peer is gone), or the process has nothing left: then wait a little."""
        if error.errno in _EXHAUSTED:
            if monotonic() >= self._said_again:
                self._said_again = monotonic() + _SAID_EVERY
                _log.error("cannot accept connections: %s; said once in %d s", error.strerror, _SAID_EVERY)
            self._selector.unregister(self._socket)
            self._selector.select(_PAUSE)
            self._selector.register(self._socket, selectors.EVENT_READ)
        elif not self._closed:
            _log.debug("a connection was gone before it was accepted: %s", error.strerror)

    def _dispose(self) -> None:
        self._selector.close()
        for sock in (self._socket, self._wake_reader, self._wake_writer):
            sock.close()
        with contextlib.suppress(IndexError):
            while True:
                self._waiting.popleft().close()


def bind(address: Address, backlog: int, ip_type: IpType, options: SocketOptions) -> socket.socket:
    """A listening socket.

    Raises:
        LDicomTransportError: the address cannot be had.
    """
    host, port = address
    if options.reuse_port and not _REUSE_PORT:
        raise LDicomUsageError("reuse_port: this system cannot share a port", ErrorCode.NET_OPERATION_NOT_SUPPORTED)
    doing = f"listen on {host or 'all addresses'} port {port}"
    both = ip_type == IpType.IPV4_OR_IPV6
    try:
        found = _resolve(host, port, ip_type)
        sock = socket.socket(found[0], socket.SOCK_STREAM)
        try:
            if sys.platform == "win32":  # there, SO_REUSEADDR would let another program take the port over
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if options.reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, _REUSE_PORT, 1)
            if found[0] == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
            if options.receive_buffer_size > 0:  # must be set before a connection exists
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer_size)
            sock.bind(found[1])
            sock.listen(max(backlog, SMALLEST_BACKLOG))
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
    except (OSError, OverflowError, UnicodeError, ValueError) as error:
        if isinstance(error, OSError):
            raise translate(error, doing) from error
        raise LDicomTransportError(ErrorCode.NET_ARGUMENT_INCORRECT, f"{doing}: {error}") from error
    return sock


def adopt(sock: socket.socket) -> None:
    """Make a listening socket that somebody else made fit to accept from.

    Raises:
        LDicomUsageError: it is not a listening TCP socket.
    """
    try:
        is_fit = sock.type == socket.SOCK_STREAM and sock.family in (socket.AF_INET, socket.AF_INET6)
        if is_fit and hasattr(socket, "SO_ACCEPTCONN"):
            is_fit = bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        if is_fit:
            sock.setblocking(False)
    except (AttributeError, OSError) as error:
        raise LDicomUsageError(f"sock is {sock!r}: a listening TCP socket is wanted ({error})") from None
    if not is_fit:
        raise LDicomUsageError(f"sock is {sock!r}: a listening TCP socket is wanted")


def _resolve(host: str, port: int, ip_type: IpType) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    """Family and address to bind; all addresses of both families are those of a dual-stack IPv6 socket."""
    if not host and ip_type == IpType.IPV4_OR_IPV6:
        return (socket.AF_INET6, ("::", port)) if socket.has_dualstack_ipv6() else (socket.AF_INET, ("", port))
    found = socket.getaddrinfo(host or None, port, family(ip_type), socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    return found[0][0], found[0][4]
