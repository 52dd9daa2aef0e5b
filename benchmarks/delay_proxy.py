"""A longer line: a TCP proxy that hands on every byte, and every end, a fixed time after it came; nothing else.

    with DelayProxy(port_of_server, 0.010) as proxy:
        connect("127.0.0.1", proxy.port)  # 20 ms there and back

Each direction of a connection has a thread that reads and notes when what it read is due, and one that waits for that
time and writes. What is under way is bounded, far above what a delay of some milliseconds can hold, so that the
throughput is not. The delay counts from the arrival and does not add up over a stream. An end of one direction
(half-close) and a reset are handed on in the same order, as late. Opening a connection is not delayed.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter
from types import TracebackType

MOST_UNDER_WAY = 64 << 20
"""Bytes in one direction of a connection at which reading pauses."""
READ_SIZE = 256 << 10
CONNECT_LIMIT, CLOSE_LIMIT = 5.0, 10.0
"""Seconds: for the server to take a connection, and for a thread to end when it has to."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""Value of SO_LINGER."""


class DelayProxy:
    """Listens on 127.0.0.1 until it is closed; then its connections are reset, and all its threads have ended.

    Args:
        target_port: where connections are handed on to.
        seconds_each_way: the delay of each direction.
        target_host: where that is.
    """

    def __init__(self, target_port: int, seconds_each_way: float, target_host: str = "127.0.0.1") -> None:
        self._target = (target_host, target_port)
        self._delay = seconds_each_way
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self._wake, self._woken = socket.socketpair()
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="delay-proxy-accept", daemon=True)
        self._thread.start()

    def __enter__(self) -> DelayProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._links)

    def close(self) -> None:
        """End everything, and wait for it; again does nothing."""
        self._wake.close()
        _join(self._thread)
        with self._lock:
            links = list(self._links)
        for link in links:
            link.reset()
        for link in links:
            link.join()

    def _accept(self) -> None:
        with self._woken, self._listener, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while all(key.fileobj is not self._woken for key, _ in selector.select()):
                try:
                    client, _ = self._listener.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    continue  # it has gone again
                self._hand_on(client)

    def _hand_on(self, client: socket.socket) -> None:
        client.setblocking(True)
        try:
            server = socket.create_connection(self._target, CONNECT_LIMIT)
        except OSError:
            with client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, server, self._delay, self._forget)
        with self._lock:
            self._links.add(link)
        link.start()

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)


class _Link:
    """One connection: two sockets, and a pipe for each direction. The last thread to end closes the sockets."""

    def __init__(
        self, client: socket.socket, server: socket.socket, delay: float, on_end: Callable[[_Link], None]
    ) -> None:
        self._ends = (client, server)
        self._on_end = on_end
        self._lock = threading.Lock()
        self._pipes = (_Pipe(client, server, delay), _Pipe(server, client, delay))
        works = [work for pipe in self._pipes for work in (pipe.read, pipe.write)]
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"delay-proxy-{work.__name__}", daemon=True)
            for work in works
        ]
        self._running = len(self._threads)

    def start(self) -> None:
        """Begin to hand on."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the threads."""
        for thread in self._threads:
            _join(thread)

    def reset(self) -> None:
        """End both directions without delay; to whom it is still open, the connection is reset."""
        with self._lock:
            if not self._running:
                return
            for end in self._ends:
                with contextlib.suppress(OSError):  # it may have been reset from outside
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RD)  # wakes whoever reads, and tells the peer nothing
            for pipe in self._pipes:
                pipe.drop()

    def _run(self, work: Callable[[], bool]) -> None:
        try:
            if not work():
                self.reset()
        finally:
            with self._lock:
                self._running -= 1
                is_last = not self._running
                for end in self._ends if is_last else ():
                    end.close()
            if is_last:
                self._on_end(self)


class _Pipe:
    """One direction: what was read and when it is due. Its two works say False when the connection is to be reset."""

    def __init__(self, source: socket.socket, sink: socket.socket, delay: float) -> None:
        self._source, self._sink, self._delay = source, sink, delay
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._under_way = 0
        self._is_dropped = self._is_writing = False

    def read(self) -> bool:
        """Note what comes, up to the end (no bytes) or the reset (None)."""
        while True:
            try:
                data: bytes | None = self._source.recv(READ_SIZE)
            except OSError:
                data = None
            due = perf_counter() + self._delay
            with self._changed:
                self._waiting.append((due, data))
                self._under_way += len(data or b"")
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._is_dropped or self._under_way < MOST_UNDER_WAY)
                if not data or self._is_dropped:
                    return True

    def write(self) -> bool:
        """Write what was noted, each when it is due."""
        try:
            while (data := self._next()) is not None:
                if not data:
                    self._sink.shutdown(socket.SHUT_WR)
                    return True
                self._sink.sendall(data)
        except OSError:
            pass
        return False

    def drop(self) -> None:
        """Forget what is under way and end both works."""
        with self._changed:
            self._is_dropped = True
            self._changed.notify_all()
            if self._is_writing:
                with contextlib.suppress(OSError):
                    self._sink.shutdown(socket.SHUT_RDWR)  # wakes a write that the peer lets wait

    def _next(self) -> bytes | None:
        """Wait for what is next, and until it is due."""
        with self._changed:
            self._is_writing = False
            while not self._is_dropped:
                rest = self._waiting[0][0] - perf_counter() if self._waiting else None
                if rest is None or rest > 0:
                    self._changed.wait(rest)
                    continue
                _, data = self._waiting.popleft()
                self._under_way -= len(data or b"")
                self._changed.notify_all()
                self._is_writing = bool(data)
                return data
        return None


def _join(thread: threading.Thread) -> None:
    thread.join(CLOSE_LIMIT)
    if thread.is_alive():
        raise RuntimeError(f"{thread.name} did not end within {CLOSE_LIMIT:g} s")
