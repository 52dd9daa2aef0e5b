"""A crowd at the door: N associations at one instant, from one neutral client of selectors and canned PDUs.

    crowd.py --port P --n N [--stores N] [--limit S]

Everyone connects at once and asks for an association. When all have been answered, or nothing more has been for a
while (a server that serves a few at a time lets the others wait), it prints one line, HELD and a count, and waits for
a line on standard input: now the server's memory can be read. Then each sends one echo, some small images one after
the other, and releases. It prints one line of JSON: `n` associations served to their end, `held` of them at once,
`stored` objects, `seconds` without the pause, `why` of the most frequent failure.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import sys
from collections import Counter, deque
from time import perf_counter

from benchmarks import canned

QUIET = 2.0
"""Seconds without an answer after which those who wait are not waited for; SYNs are repeated after one second."""
ECHO_CONTEXT, STORE_CONTEXT = 1, 3
ROOT = "1.2.826.0.1.3680043.10.1999"
REQUEST = canned.associate_request([(ECHO_CONTEXT, canned.VERIFICATION), (STORE_CONTEXT, canned.MR_IMAGE)])
RELEASE = canned.pdu(canned.RELEASE_RQ)


def script(number: int, stores: int) -> deque[bytes]:
    """The requests of one association; every image is another instance."""
    requests = deque([canned.echo_request(ECHO_CONTEXT, 1)])
    for image in range(1, stores + 1):
        instance = f"{ROOT}.{10000 + number}.{image}"
        command = canned.store_command(STORE_CONTEXT, image + 1, canned.MR_IMAGE, instance)
        data = canned.p_data(STORE_CONTEXT, canned.tiny_image(instance, f"{ROOT}.{10000 + number}", image), False)
        requests.append(command + data)
    return requests


class Visitor:
    """One association."""

    def __init__(self, number: int, stores: int) -> None:
        self._requests = script(number, stores)
        self._wanted = len(self._requests)
        self._unsent = REQUEST
        self._received = bytearray()
        self._is_released = False
        self.is_held = self.is_done = False
        self.answered = 0
        self.why = ""
        self.socket = socket.socket()
        self.socket.setblocking(False)

    def connect(self, port: int) -> None:
        """Begin to connect."""
        self.socket.connect_ex(("127.0.0.1", port))

    @property
    def events(self) -> int:
        """What to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def act(self, events: int, is_open: bool) -> None:
        """Write and read what can be; ends with `is_done`."""
        try:
            if events & selectors.EVENT_WRITE:
                self._flush()
            if events & selectors.EVENT_READ:
                self._read(is_open)
        except OSError as error:
            self._end(type(error).__name__)

    def go_on(self) -> None:
        """The next request, or the release; it is sent when it can be."""
        self._unsent = self._requests.popleft() if self._requests else RELEASE
        self._is_released = self._unsent is RELEASE

    def _end(self, why: str) -> None:
        self.is_done, self.why = True, why

    def _flush(self) -> None:
        try:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            pass

    def _read(self, is_open: bool) -> None:
        data = self.socket.recv(65536)
        self._received += data
        for kind, body in canned.take_pdus(self._received):
            self._take(kind, body, is_open)
            if self.is_done:
                return
        if self._unsent:
            self._flush()
        if not data:
            self._end("closed by the server")

    def _take(self, kind: int, body: bytes, is_open: bool) -> None:
        if kind == canned.ASSOCIATE_AC and not self.is_held:
            self.is_held = True
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if is_open:
                self.go_on()
        elif kind == canned.P_DATA and canned.status(body[canned.PDV_HEADER.size :]) == 0:
            self.answered += 1
            self.go_on()
        elif kind == canned.RELEASE_RP and self._is_released:
            self._end("" if self.answered == self._wanted else "answers missing")
        else:
            self._end({canned.ASSOCIATE_RJ: "rejected", canned.ABORT: "aborted"}.get(kind, f"unexpected PDU {kind}"))


class Crowd:
    """All of them, and the clock."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._visitors = [Visitor(number, options.stores) for number in range(options.n)]
        self._selector = selectors.DefaultSelector()
        self._deadline = perf_counter() + options.limit

    def run(self) -> dict[str, object]:
        """What came of it."""
        began = perf_counter()
        for visitor in self._visitors:
            visitor.connect(self._options.port)
            self._selector.register(visitor.socket, visitor.events, visitor)
        answered = self._settle(set(self._visitors), is_open=False)
        held = sum(visitor.is_held for visitor in self._visitors)
        print("HELD", held, flush=True)
        sys.stdin.readline()
        opened = perf_counter()
        self._deadline += opened - answered
        waiting = {visitor for visitor in self._visitors if not visitor.is_done}
        for visitor in waiting:
            if visitor.is_held:
                visitor.go_on()
                self._selector.modify(visitor.socket, visitor.events, visitor)
        ended = self._settle(waiting, is_open=True)
        return self._result(held, answered - began + ended - opened)

    def _settle(self, waiting: set[Visitor], is_open: bool) -> float:
        """Serve until all are done, or before the gate opens, all have an answer; when the last thing happened."""
        last = perf_counter()
        while waiting and (limit := self._deadline - perf_counter()) > 0:
            ready = self._selector.select(limit if is_open else min(limit, QUIET))
            if not ready:
                break
            for key, events in ready:
                visitor: Visitor = key.data
                visitor.act(events, is_open)
                if visitor.is_done:
                    self._selector.unregister(visitor.socket)
                    visitor.socket.close()
                else:
                    self._selector.modify(visitor.socket, visitor.events, visitor)
                if visitor.is_done or (visitor.is_held and not is_open):
                    waiting.discard(visitor)
            last = perf_counter()
        return last

    def _result(self, held: int, seconds: float) -> dict[str, object]:
        failed = [visitor for visitor in self._visitors if visitor.why or not visitor.is_done]
        reasons = Counter(visitor.why or "out of time" for visitor in failed)
        return {
            "n": len(self._visitors) - len(failed),
            "held": held,
            "stored": sum(max(visitor.answered - 1, 0) for visitor in self._visitors),
            "seconds": seconds,
            "why": ", ".join(f"{count} {why}" for why, count in reasons.most_common(1)),
        }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--n", type=int, default=1000, help="associations")
    parser.add_argument("--stores", type=int, default=5, help="images in each")
    parser.add_argument("--limit", type=float, default=60, help="seconds for all")
    print(json.dumps(Crowd(parser.parse_args()).run()), flush=True)


if __name__ == "__main__":
    main()
