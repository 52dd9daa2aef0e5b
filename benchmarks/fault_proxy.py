"""A bad line: a TCP proxy that does to each connection what a seeded table says; knows nothing of DICOM.

    with FaultProxy(port_of_server, faults("mixed", seed=7)) as proxy:
        connect("127.0.0.1", proxy.port)

    python -m benchmarks.fault_proxy --target 11112 --table mixed --seed 7

| fault | what happens once so many bytes have passed in the direction it counts in |
|---|---|
| none | nothing |
| cut | both ends are closed |
| reset | both ends are reset (RST) |
| half-close | that direction ends, and the rest of it is dropped; the other one stands |
| stall | nothing passes in either direction for a time |
| vanish | nothing passes any more, not even the end: to the server, its peer has gone without a word |
| trickle | that direction goes byte by byte, with a pause after each |
| delay | what comes in that direction passes a time later |
| corrupt | one byte is another |

One thread serves all connections. It waits for sockets and for the next thing that is due, and for nothing else. What
it holds of a direction is bounded. The program prints a line of JSON with its port, and one with what it has done so
far for each line it is sent; it ends with its standard input.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import math
import random
import selectors
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from types import TracebackType

from benchmarks.delay_proxy import CLOSE_LIMIT, CONNECT_LIMIT, RESET_ON_CLOSE

HELD = 64 << 10
"""Bytes of a direction at which reading pauses."""
MOST_LINKS = 256
"""Connections at once; beyond, the oldest that has vanished is given up, or the next one waits."""
SERVER, CLIENT = "server", "client"
FOR_EVER = math.inf


# --- what happens to whom ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What happens to one connection."""

    kind: str = "none"
    towards: str = SERVER
    """The direction it counts bytes in, and acts on."""
    after: int = 0
    seconds: float = 0.0
    """Of a stall, a delay, and the pause behind each byte of a trickle."""
    mask: int = 0xFF
    """The bits of a byte that corrupt turns."""


@dataclass(frozen=True)
class Row:
    """A kind of fault, how often it is chosen beside the others, and how much of it."""

    weight: int
    kind: str
    longest: int = 1 << 20
    """Bytes after which it happens at the latest; small numbers are as likely as large ones."""
    seconds: tuple[float, float] = (0.0, 0.0)


TABLES = {
    "mixed": (
        Row(20, "none"),
        Row(14, "cut"),
        Row(14, "reset"),
        Row(10, "half-close"),
        Row(10, "stall", seconds=(0.2, 3.0)),
        Row(4, "vanish"),
        Row(6, "trickle", seconds=(0.0005, 0.02)),
        Row(22, "delay", seconds=(0.002, 0.06)),
    ),
    "corrupt": (Row(1, "corrupt", longest=1 << 14),),
}


def faults(table: str, seed: object) -> Iterator[Fault]:
    """What happens to the first connection, the second, and so on: the same for the same seed.

    Args:
        table: a name of `TABLES`.
        seed: whatever has a text.
    """
    rows, chance = TABLES[table], random.Random(str(seed))
    while True:
        row = chance.choices(rows, [row.weight for row in rows])[0]
        after = int(math.exp(chance.uniform(0, math.log(row.longest))))
        towards = chance.choice((SERVER, SERVER, CLIENT))
        yield Fault(row.kind, towards, after, chance.uniform(*row.seconds), chance.randint(1, 255))


# --- the proxy ---------------------------------------------------------------------------------------------------


class FaultProxy:
    """Listens on 127.0.0.1 until it is closed; then its connections are reset, and its thread has ended.

    Args:
        target_port: where connections are handed on to.
        chosen: what happens to each connection, in the order in which they come.
        target_host: where that is.
    """

    def __init__(self, target_port: int, chosen: Iterator[Fault], target_host: str = "127.0.0.1") -> None:
        self._target = (target_host, target_port)
        self._chosen = chosen
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {"chosen": Counter(), "fired": Counter()}
        self._links: dict[_Link, None] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self._wake, self._woken = socket.socketpair()
        self._is_listening = False
        self._listen()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything, and wait for it; again does nothing."""
        self._wake.close()
        self._thread.join(CLOSE_LIMIT)
        if self._thread.is_alive():
            raise RuntimeError(f"{self._thread.name} did not end within {CLOSE_LIMIT:g} s")

    def told(self) -> dict[str, object]:
        """What it has done so far: faults `chosen` and `fired` by kind, connections `open`, and how many of these have
        vanished while the server still holds its end (`vanished`)."""
        with self._lock:
            links = list(self._links)
            counts = {name: dict(counter) for name, counter in self._counts.items()}
        return counts | {"open": len(links), "vanished": sum(link.has_vanished for link in links)}

    def fired(self, kind: str) -> None:
        """A fault has happened."""
        with self._lock:
            self._counts["fired"][kind] += 1

    def forget(self, link: _Link) -> None:
        """A connection has ended."""
        with self._lock:
            self._links.pop(link, None)

    def _run(self) -> None:
        with self._woken, self._listener, self._selector:
            while self._serve():
                pass
            for link in list(self._links):
                link.end(is_reset=True)

    def _serve(self) -> bool:
        """One round: what is ready, then what is due; whether another follows."""
        until = min((link.due for link in self._links), default=FOR_EVER)
        wait = None if until == FOR_EVER else max(until - monotonic(), 0)
        for key, events in self._selector.select(wait):
            if key.fileobj is self._woken:
                return False
            if key.data is None:
                self._accept()
            else:
                link: _Link = key.data
                link.act(key.fileobj, events)
        now = monotonic()
        for link in [link for link in self._links if link.due <= now]:
            link.go_on()
        self._listen()
        return True

    def _listen(self) -> None:
        """Listen while there is room."""
        wanted = len(self._links) < MOST_LINKS
        if wanted and not self._is_listening:
            self._selector.register(self._listener, selectors.EVENT_READ)
        elif self._is_listening and not wanted:
            self._selector.unregister(self._listener)
        self._is_listening = wanted

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # it has gone again
        fault = next(self._chosen)
        with self._lock:  # before the server knows of it, so does `told`
            self._counts["chosen"][fault.kind] += 1
            link = _Link(self, client, self._target, fault, self._selector)
            self._links[link] = None
        link.go_on()
        if len(self._links) >= MOST_LINKS:
            oldest = next((link for link in self._links if link.has_vanished), None)
            if oldest:
                oldest.end(is_reset=True)


class _Pipe:
    """One direction: what was read and not yet written, and when the next of it may be."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.buffer = bytearray()
        self.passed = 0
        self.due = 0.0
        self.delay = self.pause = 0.0
        self.is_ended = self.is_shut = self.is_dropped = False

    @property
    def wants_more(self) -> bool:
        """Whether to read."""
        return not self.is_ended and len(self.buffer) < HELD

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to hand on, be it the end."""
        return not self.is_shut and (bool(self.buffer) or self.is_ended)

    def read(self) -> None:
        """Take what is there, once."""
        data = self.source.recv(HELD - len(self.buffer))
        if self.delay and not self.buffer:
            self.due = monotonic() + self.delay
        if not self.is_dropped:
            self.buffer += data
        self.is_ended = not data

    def write(self, most: int) -> None:
        """Hand on what the other end takes, up to so many bytes; and the end."""
        if self.buffer:
            sent = self.sink.send(memoryview(self.buffer)[: 1 if self.pause else most])
            del self.buffer[:sent]
            self.passed += sent
            if self.pause:
                self.due = monotonic() + self.pause
        if self.is_ended and not self.buffer:
            self.shut()

    def shut(self) -> None:
        """Hand on the end."""
        self.is_shut = True
        with contextlib.suppress(OSError):  # it has gone already
            self.sink.shutdown(socket.SHUT_WR)


class _Link:
    """One connection: two sockets, a pipe for each direction, and what happens to it."""

    def __init__(
        self,
        proxy: FaultProxy,
        client: socket.socket,
        target: tuple[str, int],
        fault: Fault,
        selector: selectors.BaseSelector,
    ) -> None:
        self._proxy, self._fault, self._selector = proxy, fault, selector
        self._client, self._server = client, socket.socket()
        for end in (client, self._server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._is_connected = self._is_over = False
        is_begun = self._server.connect_ex(target) in (0, errno.EINPROGRESS)
        self._connect_until = monotonic() + CONNECT_LIMIT if is_begun else 0.0
        self.due = self._connect_until
        """When something is to be done though no socket is ready."""
        self._stalled_until = 0.0
        self._has_fired = fault.kind == "none"
        towards_server, towards_client = _Pipe(client, self._server), _Pipe(self._server, client)
        self._pipes = (towards_server, towards_client)
        self._pipe = towards_server if fault.towards == SERVER else towards_client

    @property
    def has_vanished(self) -> bool:
        """Whether nothing passes any more."""
        return self._stalled_until == FOR_EVER

    def act(self, end: object, events: int) -> None:
        """Do what a socket is ready for."""
        if self._is_over:
            return
        try:
            if not self._is_connected and events & selectors.EVENT_WRITE:
                self._connected()
            if events & selectors.EVENT_READ:
                next(pipe for pipe in self._pipes if pipe.source is end).read()
        except BlockingIOError:
            pass
        except OSError:
            self._broken(end)
        self.go_on()

    def go_on(self) -> None:
        """Hand on what can be, let happen what is to, and wait for what comes next."""
        try:
            self._fire_if_due()
            for pipe in self._pipes:
                self._hand_on(pipe)
        except OSError:
            self.end(is_reset=True)
        is_done = all(pipe.is_shut for pipe in self._pipes)
        is_left = self.has_vanished and self._pipes[1].is_ended
        if not self._is_over and (is_done or is_left):
            self.end(is_reset=False)
        if not self._is_over and not self._is_connected and monotonic() >= self._connect_until:
            self.end(is_reset=True)
        self._watch()

    def end(self, is_reset: bool) -> None:
        """Close both ends."""
        if self._is_over:
            return
        self._is_over = True
        for end in (self._client, self._server):
            with contextlib.suppress(KeyError):
                self._selector.unregister(end)
            if is_reset:
                with contextlib.suppress(OSError):  # it has been reset from outside
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.close()
        self._proxy.forget(self)

    def _connected(self) -> None:
        error = self._server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "no connection")
        self._is_connected = True

    def _broken(self, end: object) -> None:
        """An end was reset. The other one hears of it, but of who has vanished nobody hears."""
        if end is self._client and self.has_vanished:
            self._pipes[0].is_ended = True
        else:
            self.end(is_reset=True)

    def _may_from(self, pipe: _Pipe) -> float:
        """From when on a pipe may be written to, as far as time goes."""
        return max(pipe.due, self._stalled_until)

    def _hand_on(self, pipe: _Pipe) -> None:
        while not self._is_over and self._is_connected and pipe.is_waiting and self._may_from(pipe) <= monotonic():
            try:
                pipe.write(HELD if self._has_fired or pipe is not self._pipe else self._fault.after - pipe.passed)
            except BlockingIOError:
                return
            self._fire_if_due()

    def _fire_if_due(self) -> None:
        """At the byte it counts to; corrupt waits for the next one."""
        if self._has_fired or self._is_over or not self._is_connected or self._pipe.passed < self._fault.after:
            return
        if self._fault.kind == "corrupt" and not self._pipe.buffer:
            return
        self._has_fired = True
        self._proxy.fired(self._fault.kind)
        ACTS[self._fault.kind](self)

    def _watch(self) -> None:
        """Have the selector wait for what either end can do next, and note what waits for its time instead."""
        if self._is_over:
            return
        now = monotonic()
        for end in (self._client, self._server):
            events = self._wanted(end, now)
            if end not in self._selector.get_map():
                if events:
                    self._selector.register(end, events, self)
            elif events:
                self._selector.modify(end, events, self)
            else:
                self._selector.unregister(end)
        times = [self._may_from(pipe) for pipe in self._pipes if pipe.is_waiting]
        self.due = min((time for time in times if time > now), default=FOR_EVER)
        if not self._is_connected:
            self.due = self._connect_until

    def _wanted(self, end: socket.socket, now: float) -> int:
        if not self._is_connected:
            return selectors.EVENT_WRITE if end is self._server else 0
        into, out_of = self._pipes if end is self._server else self._pipes[::-1]
        reads = selectors.EVENT_READ if out_of.wants_more else 0
        return reads | (selectors.EVENT_WRITE if into.is_waiting and self._may_from(into) <= now else 0)

    # --- the acts, one for each row of the table above ---

    def cut(self) -> None:
        """Both ends are closed."""
        self.end(is_reset=False)

    def reset(self) -> None:
        """Both ends are reset."""
        self.end(is_reset=True)

    def half_close(self) -> None:
        """The direction ends."""
        self._pipe.is_dropped = True
        self._pipe.buffer.clear()
        self._pipe.shut()

    def stall(self) -> None:
        """Nothing passes for a time."""
        self._stalled_until = monotonic() + self._fault.seconds

    def vanish(self) -> None:
        """Nothing passes any more."""
        self._stalled_until = FOR_EVER

    def trickle(self) -> None:
        """Byte by byte."""
        self._pipe.pause = self._fault.seconds

    def delay(self) -> None:
        """Later."""
        self._pipe.delay = self._fault.seconds

    def corrupt(self) -> None:
        """The next byte is another."""
        self._pipe.buffer[0] ^= self._fault.mask


ACTS: dict[str, Callable[[_Link], None]] = {
    "cut": _Link.cut,
    "reset": _Link.reset,
    "half-close": _Link.half_close,
    "stall": _Link.stall,
    "vanish": _Link.vanish,
    "trickle": _Link.trickle,
    "delay": _Link.delay,
    "corrupt": _Link.corrupt,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--target", type=int, required=True, help="port of the server on 127.0.0.1")
    parser.add_argument("--table", choices=sorted(TABLES), default="mixed")
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    with FaultProxy(options.target, faults(options.table, options.seed)) as proxy:
        print(json.dumps({"port": proxy.port}), flush=True)
        for _ in sys.stdin:
            print(json.dumps(proxy.told()), flush=True)


if __name__ == "__main__":
    main()
