"""TCP: one blocking socket; its time limits are the kernel's, so that a read costs one system call.

Knows no PDU. What differs between Linux, macOS and Windows is here.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
from dataclasses import dataclass
from time import monotonic

from ..errors import LDicomTimeoutError, LDicomTransportError, LDicomUsageError
from ..status import ErrorCode, IpType
from ..timing import bounded
from . import Address, Buffer, translate

_IOV_MAX = 1000
"""Buffers of one gathering write; Linux and macOS take 1,024."""
_FLOOR = 1 << 10
"""Bytes for each second below which a peer does not read."""
_IS_WINDOWS = sys.platform == "win32"
_PEEK = socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)
_AT_ONCE = struct.pack("HH" if _IS_WINDOWS else "ii", 1, 0)
"""`linger` of no time: a reset, and nothing is kept."""
_A_WHILE = 0.5
"""Seconds in which a peer that reads at all has taken what was sent last."""
_MORE = getattr(socket, "MSG_MORE", 0)
"""Linux: the kernel joins what follows to this, for at most 200 ms."""
_GATHERS = hasattr(socket.socket, "sendmsg")
_FAMILIES = {
    IpType.IPV4: socket.AF_INET,
    IpType.IPV6: socket.AF_INET6,
    IpType.IPV4_OR_IPV6: socket.AF_UNSPEC,
}


@dataclass(slots=True)
class SocketOptions:
    """Options of the sockets of a connection.

    Attributes:
        send_buffer_size: bytes of the kernel's send buffer; 0 leaves it to the system.
        receive_buffer_size: bytes of the kernel's receive buffer; 0 leaves it to the system.
        no_delay: whether small writes leave at once (Nagle's algorithm off).
        reuse_port: whether other sockets, of other processes say, may listen on the same port; the kernel then deals
            the connections out among them. Linux and macOS have it (SO_REUSEPORT).
    """

    send_buffer_size: int = 0
    receive_buffer_size: int = 0
    no_delay: bool = True
    reuse_port: bool = False

    def apply(self, sock: socket.socket) -> None:
        """Set them."""
        if self.send_buffer_size > 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer_size)
        if self.receive_buffer_size > 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer_size)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(self.no_delay))


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where a connection is made; "" and 0 on the local side mean any."""

    host_address: str
    host_port: int
    peer_address: str
    peer_port: int
    ip_type: IpType


def family(ip_type: int) -> socket.AddressFamily:
    """The address family of an `IpType`."""
    try:
        return _FAMILIES[IpType(ip_type)]
    except (KeyError, ValueError):
        raise LDicomUsageError(f"ip_type is {ip_type!r}: IPV4, IPV6 or IPV4_OR_IPV6 is wanted") from None


def plain_address(address: tuple[object, ...]) -> Address:
    """Host and port of a socket address; an IPv4 address that came through an IPv6 socket is shown as IPv4."""
    host, port = str(address[0]), int(str(address[1]))
    return host.removeprefix("::ffff:") if "." in host else host, port


class TcpTransport:
    """A TCP connection: one that was accepted (`sock`), or one that `open` makes along `route`."""

    is_secure = False

    def __init__(
        self,
        sock: socket.socket | None = None,
        route: Route | None = None,
        options: SocketOptions | None = None,
        send_timeout: float | None = None,
    ) -> None:
        self._route = route
        self._options = options or SocketOptions()
        self._send_timeout = send_timeout
        self._closed = False
        self._broken: OSError | None = None  # what a look ahead has found
        self._is_shut = False
        self._is_stuck = False  # the peer did not read what was sent
        self._wrote_at = 0.0  # when something was sent last, on the monotonic clock
        self._timeout: float | None = None
        self._host: Address | None = None
        self._peer: Address = (route.peer_address, route.peer_port) if route else ("", 0)
        self._sock = sock
        if sock is not None:
            try:
                self._set_up(sock)
            except _UNFIT as error:
                sock.close()
                raise _translate(error, "connection") from error

    def _set_up(self, sock: socket.socket) -> None:
        if sock.gettimeout() is not None:
            sock.settimeout(None)
        self._options.apply(sock)
        _set_kernel_timeout(sock, socket.SO_SNDTIMEO, self._send_timeout)
        if self._route is None:
            self._peer = plain_address(sock.getpeername())

    # --- making the connection ------------------------------------------------------------------------------------

    def open(self, seconds: float | None) -> None:
        """Try the addresses of the peer's name in turn, all within `seconds`."""
        if self._route is None:
            return
        seconds = bounded(seconds)
        until = None if seconds is None else monotonic() + seconds
        what = f"connect to {self._route.peer_address!a} port {self._route.peer_port}"
        failure = LDicomTransportError(ErrorCode.NET_HOST_NOT_FOUND, f"{what}: no address")
        for peer_family, address in _peer_addresses(self._route, what):
            try:
                self._connect(self._route, peer_family, address, until)
                return
            except TimeoutError:
                failure = LDicomTimeoutError(f"{what}: no answer within {seconds} seconds", "connect")
            except _UNFIT as error:
                failure = _translate(error, what)
            except LDicomTransportError as error:  # the local address is of the other family
                failure = error
            if self._closed:
                raise LDicomTransportError(ErrorCode.NET_BLOCKING_CANCELED, f"{what}: closed before it stood")
        raise failure

    def _connect(
        self, route: Route, peer_family: socket.AddressFamily, address: tuple[object, ...], until: float | None
    ) -> None:
        sock = socket.socket(peer_family, socket.SOCK_STREAM)
        self._sock = sock
        try:
            if self._closed:
                raise TimeoutError
            if route.host_address or route.host_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(sys.platform != "win32"))
                sock.bind(_local_address(route, peer_family))
            sock.settimeout(None if until is None else max(0.001, until - monotonic()))
            sock.connect(address)
            self._peer = plain_address(address)
            self._set_up(sock)
            if self._closed:
                raise TimeoutError
        except BaseException:
            sock.close()
            raise

    def secure(self, seconds: float | None) -> bool:
        """Nothing to do: it has no security layer."""
        return True

    # --- moving bytes ---------------------------------------------------------------------------------------------

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        """See `Transport.read_into`; an unfinished peer may keep Nagle on and wait for our delayed ACK."""
        sock = self._sock
        assert sock is not None
        try:
            if self._broken is not None:
                raise self._broken
            if unfinished and _QUICK_ACK is not None:
                sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
            if _IS_WINDOWS and not select.select([sock], [], [], self._timeout)[0]:
                raise BlockingIOError  # there, a socket whose SO_RCVTIMEO has passed is not to be used again
            return sock.recv_into(view)
        except BlockingIOError:
            raise LDicomTimeoutError("nothing was received in time") from None
        except OSError as error:
            if self._closed:
                return 0
            raise translate(error, f"receive from {_name(self._peer)}") from error

    def write(self, buffers: list[Buffer], more: bool = False) -> None:
        """See `Transport.write`: as many buffers per system call as it takes."""
        flags = _MORE if more else 0
        sock = self._sock
        assert sock is not None
        began = self._wrote_at = monotonic()
        try:
            if len(buffers) == 1:
                sent = sock.send(buffers[0], flags)
                if sent == len(buffers[0]):
                    return
                buffers = [memoryview(buffers[0])[sent:]]
            if not _GATHERS:
                self._write_rest(sock, [b"".join(buffers)], 0, began)
                return
            for start in range(0, len(buffers), _IOV_MAX):
                some = buffers[start : start + _IOV_MAX] if len(buffers) > _IOV_MAX else buffers
                left = sum(map(len, some)) - sock.sendmsg(some, (), flags)
                if left:
                    self._write_rest(sock, _tail(some, left), flags, began)
        except (BlockingIOError, TimeoutError):
            self._is_stuck = True
            raise LDicomTimeoutError(
                f"{_name(self._peer)} has read nothing, or next to nothing, for {self._send_timeout} seconds", "send"
            ) from None
        except OSError as error:
            raise translate(error, f"send to {_name(self._peer)}") from error

    def fileno(self) -> int:
        """The descriptor of an open connection, to wait for it together with others."""
        assert self._sock is not None
        return self._sock.fileno()

    def is_at_end(self) -> bool:
        """Of a connection that has become readable: whether the peer has ended it, and said nothing more."""
        assert self._sock is not None
        if not hasattr(socket, "MSG_DONTWAIT") and not select.select([self._sock], [], [], 0)[0]:
            return False
        try:
            return not self._sock.recv(1, _PEEK)
        except BlockingIOError:
            return False
        except OSError as error:
            self._broken = error
            return True

    def _write_rest(self, sock: socket.socket, buffers: list[Buffer], flags: int, began: float) -> None:
        """What one system call left; a peer that takes next to nothing is not waited for without end."""
        left, moved = sum(map(len, buffers)), 0
        while left:
            count = sock.sendmsg(buffers, (), flags) if _GATHERS else sock.send(buffers[0], flags)
            left, moved = left - count, moved + count
            if not left:
                return
            buffers = _tail(buffers, left)
            if self._send_timeout is not None and monotonic() - began >= self._send_timeout:
                if moved < _FLOOR * self._send_timeout:
                    raise TimeoutError
                began, moved = monotonic(), 0

    def set_timeout(self, seconds: float | None) -> None:
        """A quarter of a second more or less is not worth a system call."""
        if seconds is None or self._timeout is None:
            if seconds is self._timeout:
                return
        elif abs(seconds - self._timeout) < 0.25 and seconds >= 1.0:
            return
        self._timeout = seconds
        if self._sock is None or sys.platform == "win32":
            return
        try:
            _set_kernel_timeout(self._sock, socket.SO_RCVTIMEO, seconds)
        except OSError:
            return  # the reader will find out

    def hurry(self, seconds: float) -> None:
        """See `Transport.hurry`."""
        self._is_stuck = self._is_unread()
        if self._send_timeout is not None:
            seconds = min(seconds, self._send_timeout)
        self._send_timeout = seconds
        if self._sock is not None:
            with contextlib.suppress(OSError):
                _set_kernel_timeout(self._sock, socket.SO_SNDTIMEO, seconds)

    # --- ending ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Shut the socket down, which wakes its reader and writer; the descriptor stays until `dispose`."""
        self._closed = True  # before the socket is looked at, which may just be made
        sock, was_shut = self._sock, self._is_shut
        self._is_shut = sock is not None
        if sock is None or was_shut:
            return
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it never stood, or the peer was faster

    def dispose(self) -> None:
        """Close the socket. What a peer does not read the kernel would hold for many minutes, and the peer might not
        hear of the end: it gets a reset."""
        if self._sock is not None:
            _ = self.host
            if self._is_unread():
                with contextlib.suppress(OSError):
                    self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self._sock.close()

    def _is_unread(self) -> bool:
        """Whether the peer has had a while to take what was sent, and has not."""
        if self._is_stuck or self._sock is None or monotonic() - self._wrote_at <= _A_WHILE:
            return self._is_stuck
        return _unsent(self._sock) > 0

    @property
    def host(self) -> Address:
        """Own address, also when the socket is closed."""
        if self._host is None and self._sock is not None:
            try:
                self._host = plain_address(self._sock.getsockname())
            except OSError:
                return "", 0
        return self._host or ("", 0)

    @property
    def peer(self) -> Address:
        """Peer's address."""
        return self._peer


_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux: acknowledge at once. The kernel forgets it, so it is set again whenever it matters."""


_UNFIT = (OSError, OverflowError, UnicodeError, ValueError)
"""What the socket module raises for the network, and for options and names that are none."""


def _translate(error: Exception, doing: str) -> LDicomTransportError:
    if isinstance(error, OSError):
        return translate(error, doing)
    return LDicomTransportError(ErrorCode.NET_ARGUMENT_INCORRECT, f"{doing}: {error}")


def _peer_addresses(route: Route, what: str) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    """Families and addresses of the peer's name. The system's look-up has deadlines of its own."""
    if route.ip_type == IpType.IPV4:
        with contextlib.suppress(OSError, UnicodeError, ValueError):
            socket.inet_pton(socket.AF_INET, route.peer_address)  # an address needs no look-up
            return [(socket.AF_INET, (route.peer_address, route.peer_port))]
    try:
        found = socket.getaddrinfo(route.peer_address, route.peer_port, family(route.ip_type), socket.SOCK_STREAM)
    except _UNFIT as error:
        raise _translate(error, what) from error
    return [(entry[0], entry[4]) for entry in found]


def _unsent(sock: socket.socket) -> int:
    """Bytes that the peer has not acknowledged; 0 where the system does not say so."""
    if sys.platform != "linux":
        return 0
    import fcntl
    import termios

    try:
        return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, ValueError):  # it is closed
        return 0


def _name(address: Address) -> str:
    return f"{address[0]} port {address[1]}"


def _local_address(route: Route, peer_family: socket.AddressFamily) -> tuple[object, ...]:
    """The local end of `route` in the family of the peer."""
    host = route.host_address or ("::" if peer_family == socket.AF_INET6 else "0.0.0.0")
    try:
        return socket.getaddrinfo(host, route.host_port, peer_family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)[0][4]
    except socket.gaierror as error:
        raise LDicomTransportError(
            ErrorCode.IPV4_IPV6_CONFLICT, f"local address {host!r} is not of the peer's family: {error.strerror}"
        ) from error


def _tail(buffers: list[Buffer], length: int) -> list[Buffer]:
    """The last `length` bytes of `buffers`."""
    kept: list[Buffer] = []
    for buffer in reversed(buffers):
        if length <= 0:
            break
        kept.append(memoryview(buffer)[max(0, len(buffer) - length) :])
        length -= len(buffer)
    kept.reverse()
    return kept


def _set_kernel_timeout(sock: socket.socket, option: int, seconds: float | None) -> None:
    """SO_RCVTIMEO or SO_SNDTIMEO: a `timeval`, or milliseconds on Windows; zero waits without end."""
    seconds = bounded(seconds)
    if sys.platform == "win32":
        milliseconds = 0 if seconds is None else max(1, int(seconds * 1000))
        sock.setsockopt(socket.SOL_SOCKET, option, milliseconds)
        return
    microseconds = 0 if seconds is None else max(1000, int(seconds * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", *divmod(microseconds, 1_000_000)))
