"""The soak's hostile client: half PDUs, garbage, silent sockets; one connection of a table row each, seeded."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from benchmarks import canned
from benchmarks.crowd import ECHO_CONTEXT, ROOT, STORE_CONTEXT
from benchmarks.crowd import REQUEST as ASSOCIATE
from benchmarks.delay_proxy import RESET_ON_CLOSE

SHARE = 0.01
"""Hostile connections for each association of a good client."""
MOST = 16
"""Hostile connections at once."""
LIMIT = 20.0
"""Seconds after which a connection that the server should end is given up; the timers of all servers are 5 seconds."""
DRIP = 0.5
"""Seconds between two bytes of a drip."""
HUGE = 0xFFFFFFF0
INSTANCE = f"{ROOT}.666.1"
"""Never acknowledged, since it is never whole."""
Pieces = list[bytes]


def _garbage(chance: random.Random) -> Pieces:
    return [chance.randbytes(chance.randint(1, 5000))]


def _half_request(chance: random.Random) -> Pieces:
    return [ASSOCIATE[: chance.randint(1, len(ASSOCIATE) - 1)]]


def _huge(kind: int) -> Pieces:
    return [canned.PDU_HEADER.pack(kind, HUGE) + bytes(1000)]


def _half_message(chance: random.Random) -> Pieces:
    command = canned.store_command(STORE_CONTEXT, 1, canned.MR_IMAGE, INSTANCE)
    data = canned.p_data(STORE_CONTEXT, canned.tiny_image(INSTANCE, ROOT, 1), False)
    whole = command + data
    return [ASSOCIATE, whole[: chance.randint(1, len(whole) - 1)]]


def _half_data(chance: random.Random) -> Pieces:
    """The command set and the first of two fragments, each PDU whole: a message without its end."""
    command = canned.store_command(STORE_CONTEXT, 1, canned.MR_IMAGE, INSTANCE)
    first = canned.tiny_image(INSTANCE, ROOT, 1)[: chance.randint(1, 5000)]
    fragment = canned.PDV_HEADER.pack(len(first) + 2, STORE_CONTEXT, 0) + first
    return [ASSOCIATE, command + canned.pdu(canned.P_DATA, fragment)]


def _turned(chance: random.Random) -> Pieces:
    """An echo with one byte turned, the association standing; the length of its PDU is left alone."""
    echo = bytearray(canned.echo_request(ECHO_CONTEXT, 1))
    echo[chance.randrange(canned.PDU_HEADER.size, len(echo))] ^= chance.randint(1, 255)
    return [ASSOCIATE, bytes(echo)]


@dataclass(frozen=True)
class Row:
    """A kind of visit: what is sent, and how it ends: left to the server ("wait"), "close", "reset" or "half-close"."""

    name: str
    pieces: Callable[[random.Random], Pieces]
    endings: tuple[str, ...]


ROWS = (
    Row("silent", lambda chance: [], ("wait", "wait", "close", "half-close")),
    Row("garbage", _garbage, ("wait", "close", "reset", "half-close")),
    Row("half a request", _half_request, ("wait", "close", "reset", "half-close")),
    Row("a request that drips", lambda chance: [ASSOCIATE], ("drip",)),
    Row("a huge request", lambda chance: _huge(canned.ASSOCIATE_RQ), ("wait", "close")),
    Row("a huge P-DATA", lambda chance: [ASSOCIATE, *_huge(canned.P_DATA)], ("wait", "reset")),
    Row("half a C-STORE", _half_message, ("wait", "close", "reset", "half-close")),
    Row("a C-STORE without end", _half_data, ("wait", "close", "reset", "half-close")),
    Row("a turned byte", _turned, ("close", "reset")),
    Row("P-DATA first", lambda chance: [canned.echo_request(1, 1)], ("wait", "close")),
    Row("two requests", lambda chance: [ASSOCIATE, ASSOCIATE], ("wait", "close")),
    Row("a browser", lambda chance: [b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n"], ("wait", "half-close")),
)


@dataclass
class Visits:
    """What came of them."""

    kinds: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    """Seconds that the server took to end those that were left to it."""
    unended: list[str] = field(default_factory=list)
    """What it did not end."""


class Hostile:
    """Comes as often as it is owed, each time in a thread of its own.

    Args:
        port: the server's.
        seed: of what is drawn.
    """

    def __init__(self, port: int, seed: str) -> None:
        self._port, self._seed = port, seed
        self._chance = random.Random(f"hostile {seed}")
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._count = 0
        self.visits = Visits()

    def visit(self, associations: int) -> None:
        """Come again, if so many associations of good clients ask for it and not too many visits are under way."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        while self._count < 1 + int(associations * SHARE) and len(self._threads) < MOST:
            self._count += 1
            row = self._chance.choice(ROWS)
            visit = random.Random(f"visit {self._seed} {self._count}")
            thread = threading.Thread(target=self._run, args=(row, visit), name="soak-hostile", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Wait for the last ones."""
        self._over.set()
        for thread in self._threads:
            thread.join(2 * LIMIT)

    def told(self) -> Visits:
        """What came of all so far."""
        with self._lock:
            return Visits(Counter(self.visits.kinds), list(self.visits.waits), list(self.visits.unended))

    def _run(self, row: Row, chance: random.Random) -> None:
        ending = chance.choice(row.endings)
        name = f"{row.name}, {ending}"
        wait = None
        try:
            with socket.create_connection(("127.0.0.1", self._port), LIMIT) as connection:
                wait = self._act(connection, row.pieces(chance), ending)
                if ending == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            is_unended = False
        except TimeoutError:
            is_unended = True
        except OSError:
            is_unended = False  # the server has had enough of it, as it may
        with self._lock:
            self.visits.kinds[name] += 1
            if wait is not None:
                self.visits.waits.append(wait)
            if is_unended:
                self.visits.unended.append(name)

    def _act(self, connection: socket.socket, pieces: Pieces, ending: str) -> float | None:
        """Send, and end as the row says; how long the server took to end it, where that is left to it."""
        for number, piece in enumerate(pieces):
            if number:
                _await_accept(connection)
            self._send(connection, piece, DRIP if ending == "drip" else 0.0)
        if ending in ("close", "reset"):
            return None
        if ending == "half-close":
            connection.shutdown(socket.SHUT_WR)
        began = monotonic()
        _await_end(connection, began + LIMIT)
        return monotonic() - began

    def _send(self, connection: socket.socket, piece: bytes, pause: float) -> None:
        if not pause:
            connection.sendall(piece)
            return
        until = monotonic() + LIMIT
        for place in range(len(piece) - 1):  # not the last byte: it is never whole
            connection.sendall(piece[place : place + 1])
            if self._over.wait(pause) or monotonic() >= until:
                return


def _await_accept(connection: socket.socket) -> None:
    """The association stands, or there is none to be had."""
    received = bytearray()
    while not any(kind == canned.ASSOCIATE_AC for kind, _ in canned.take_pdus(received)):
        data = connection.recv(65536)
        if not data:
            raise ConnectionError("no association")
        received += data


def _await_end(connection: socket.socket, until: float) -> None:
    """Read until the server ends it; a reset is an end.

    Raises:
        TimeoutError: it does not.
    """
    try:
        while True:
            connection.settimeout(max(until - monotonic(), 0.001))
            if not connection.recv(65536):
                return
    except TimeoutError:
        raise
    except OSError:
        return
