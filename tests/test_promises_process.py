"""What a server promises of itself as a process: it outlives the end of its descriptors, and no peer makes it grow."""

from __future__ import annotations

import itertools
import subprocess
import sys
import unittest
from collections.abc import Callable, Iterator
from time import monotonic
from types import MappingProxyType
from typing import Any

from . import raw
from .promised import ROOT, Promised
from .raw import COMMAND, LAST, Peer, p_data, pdu, pdv
from .support import SECONDS

SLACK = 1.0
"""Seconds that a deadline may be late."""
KB, MB = 1 << 10, 1 << 20
SESSION = ["AC 1:0 3:0", "8030/1 0000", "RP"]


def well_behaved(case: unittest.TestCase, port: int) -> None:
    """An echo, answered."""
    peer = Peer.connect(port)
    peer.send(raw.request() + raw.echo() + raw.RELEASE)
    case.assertEqual(lines(peer, 3), SESSION)
    peer.close()


def lines(peer: Peer, count: int) -> list[str]:
    """So many lines of its transcript, which must come in time."""
    until = monotonic() + SECONDS
    while len(peer.transcript) < count and peer.next(until):
        pass
    return peer.transcript


HELD = "clients", "threads", "files", "objects", "descriptors"
"""What a server has as many of as before, once everybody has gone."""


def at_rest(case: unittest.TestCase, server: Promised, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """What there is when all connections have ended: soon that is what there was `before`. With the log meanwhile."""
    until, log = monotonic() + SECONDS, []
    while True:
        now = server.ask("rest")
        log += now["log"]
        held = [now[name] for name in HELD]
        if held == ([0, 2, 0, 1, now["descriptors"]] if before is None else [before[name] for name in HELD]):
            return now | {"log": log}
        case.assertLess(monotonic(), until, f"{now} before {before}")


@unittest.skipUnless(sys.platform == "linux", "descriptors are counted in /proc")
class Starved(unittest.TestCase):
    """The process has no descriptor left."""

    ARTIM = 0.8

    def test_it_waits_and_serves_once_there_is_room(self) -> None:
        with Promised({"artim": self.ARTIM}) as server:
            well_behaved(self, server.port)
            before = at_rest(self, server)
            silent = [Peer.connect(server.port) for _ in range(4)]
            self.until(lambda: server.ask("report")["clients"] == len(silent))
            begun, cpu = monotonic(), server.ask("starve")["cpu"]
            asking = Peer.connect(server.port)  # the kernel takes it, the process cannot
            asking.send(raw.request() + raw.echo() + raw.RELEASE)
            late = [Peer.connect(server.port) for _ in range(8)]
            self.closed_in_time(silent)
            now = server.ask("report")
            seconds, spent, said = monotonic() - begun, now["cpu"] - cpu, now["log"]
            self.assertLess(spent, 0.1 * max(1.0, seconds), f"seconds of CPU in {seconds:.1f}: it spins")
            self.assertEqual(lines(asking, 3), SESSION, "those that ended have made room")
            asking.close()
            server.ask("feed")
            well_behaved(self, server.port)
            self.closed_in_time(late)
            for peer in (*silent, *late):
                peer.close()
            after = at_rest(self, server, before)
            self.assertEqual(after["timeouts"], {"artim": len(silent) + len(late)})
            self.assertEqual([text[:38] for text in after["log"] + said if "accept" in text],
                             ["ERROR cannot accept connections: Too m"])  # fmt: skip
            self.assertEqual(server.stop(), 0)

    def test_a_descriptor_for_a_file_is_missing(self) -> None:
        """A700H for the object that would need one; the association goes on, and stores it once there is room."""
        with Promised({}, {"memory_data_set": 100}) as server:
            peer = Peer.connect(server.port)
            peer.send(raw.request())
            raw.answer(peer)
            server.ask("starve")
            data = raw.data_set("1.2.3", 1 << 12)
            peer.send(raw.store("1.2.3", data))
            raw.answer(peer)
            server.ask("feed")
            peer.send(raw.store("1.2.3", data, 2) + raw.RELEASE)
            self.assertEqual(lines(peer, 4), ["AC 1:0 3:0", "8001/1 A700", "8001/2 0000", "RP"])
            peer.close()
            self.assertEqual(server.ask("rest")["files"], 0)

    def closed_in_time(self, peers: list[Peer]) -> None:
        """ARTIM ends each of them."""
        until = monotonic() + self.ARTIM + SLACK
        for peer in peers:
            peer.pause(until - monotonic())
            self.assertEqual(peer.transcript, ["END"])

    def until(self, condition: Callable[[], bool]) -> None:
        """What must come in time; each look asks the process."""
        end = monotonic() + SECONDS
        while not condition():
            self.assertLess(monotonic(), end)


class Exit(unittest.TestCase):
    """The end of the program waits for no thread of the library."""

    PROGRAM = """
import sys, threading
from ldicomnet import background
from tests import raw
from tests.raw import Peer
from tests.support import Taking

entered = threading.Semaphore(0)

def never(*_):
    entered.release()
    threading.Event().wait()

class Server(Taking):
    on_receive_c_echo_request = background(never) if sys.argv[1] == "background" else never

server = Server()
server.listen("127.0.0.1")
port = server.get_host_info()[1]
peers = [Peer.connect(port) for _ in range(2)]
peers[1].send(raw.request() + raw.echo(1))
entered.acquire()
print("the end")
"""

    def test_hooks_that_never_return_and_connections_that_stand(self) -> None:
        for where in ("reader", "background"):
            with self.subTest(where):
                done = subprocess.run(
                    [sys.executable, "-c", self.PROGRAM, where],
                    cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
                )  # fmt: skip
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "the end\n", ""))


# --- memory -------------------------------------------------------------------------------------------------------

Attack = Callable[[], Iterator[bytes]]
"""What a peer sends, in pieces."""


def repeated(piece: bytes, size: int = 4 * MB, before: bytes = b"") -> Attack:
    """Bytes, and then the same piece for so many bytes altogether."""

    def attack() -> Iterator[bytes]:
        if before:
            yield before
        several = piece * max(1, 64 * KB // len(piece))
        for _ in range(max(1, size // len(several))):
            yield several

    return attack


def once(data: bytes) -> Attack:
    """Just these bytes."""
    return lambda: iter((data,))


_SMALLEST = raw.request(raw.CONTEXTS + raw.item(0x99) * 50_000)
_SUB_ITEMS = raw.request(user_information=raw.item(0x50, raw.item(0x99) * 16_000))
_SYNTAXES = raw.request(raw.context(1, raw.VERIFICATION, *["1"] * 12_000))
BEFORE: tuple[tuple[str, Attack], ...] = (
    ("nothing", once(b"")),
    ("3 bytes", once(b"\1\0\0")),
    ("a length of 4 GB", repeated(b"x" * KB, before=b"\1\0\xff\xff\xff\xff")),
    ("a data length of 4 GB", repeated(b"x" * KB, before=b"\4\0\xff\xff\xff\xff")),
    ("an abort of 4 GB", repeated(b"x" * KB, before=b"\7\0\xff\xff\xff\xff")),
    ("1 MB declared, and 100 bytes", once(pdu(1, b"x" * 100, MB))),
    ("a quarter of 1 MB declared", once(pdu(1, b"x" * (MB // 4), MB))),
    ("the smallest items", once(_SMALLEST)),
    ("the smallest sub-items", once(_SUB_ITEMS)),
    ("the smallest syntaxes", once(_SYNTAXES)),
    ("an item that runs over", once(raw.request(raw.item(0x20, b"x" * 100, 0xFFFF)))),
    ("a handshake of TLS", repeated(b"\x16\3\1\2\0\1\0\1\xfc\3\3" + bytes(500))),
    ("garbage", repeated(bytes(range(255, -1, -1)))),
    ("releases", repeated(raw.RELEASE, MB)),
    ("unknown PDUs", repeated(pdu(0x55, b"x" * 100), MB)),
    ("echoes without an association", repeated(raw.echo(), MB)),
)
"""Before an association exists."""

_FILLED = raw.request(raw.CONTEXTS + raw.item(0x99, bytes(1100)) * 236)
_OFFERS = [
    [f"{number}{place:02}" for place in range(100)] for number in range(100, 228)
]
LONGEST: tuple[tuple[str, Attack], ...] = (
    ("half", once(_FILLED[: MB // 8])),
    ("all but a byte", once(_FILLED[:-1])),
    ("the whole", once(_FILLED)),
    ("as many items as may be", once(raw.request(raw.CONTEXTS + raw.item(0x99, bytes(250)) * 1000))),
    ("all contexts, with syntaxes of their own",
     once(raw.request(b"".join(raw.context(2 * at + 1, raw.CT, *offer) for at, offer in enumerate(_OFFERS))))),
    ("all contexts, with unknown items",
     once(raw.request(b"".join(raw.context(number, raw.CT, "1.2", extra=raw.item(0x99, b"xyz") * 125)
                               for number in range(1, 256, 2))))),
)  # fmt: skip
"""Requests of about as many bytes as `Limits.association_pdu` allows."""

_STORE = p_data(pdv(3, COMMAND | LAST, raw.store_command("1.2.3")))
_PIECE = p_data(pdv(3, 0, bytes(16000)))
_ELEMENTS = raw.fragments(1, COMMAND, raw.command(*(raw.element(number, b"") for number in range(1, 8000))), 16000)
_BOMB = b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x01\x00\xff\xff\xff\xff"
WITHIN: tuple[tuple[str, Attack], ...] = (
    ("a PDU of 4 GB", repeated(b"x" * KB, before=b"\4\0\xff\xff\xff\xff")),
    ("a value of 4 GB", repeated(b"x" * KB, before=p_data(pdv(1, COMMAND, b"x" * 100, 0xFFFFFFFF)))),
    ("a command set without end", repeated(p_data(pdv(1, COMMAND, b"x" * 1000)))),
    ("a command set of empty fragments", repeated(p_data(pdv(1, COMMAND)), MB)),
    ("a command set of the smallest elements", once(b"".join(map(p_data, _ELEMENTS)))),
    ("an element of 4 GB in a command set", once(p_data(pdv(1, COMMAND | LAST, raw.element(2, b"1.2", 0xFFFFFFFF))))),
    ("a data set without end", repeated(_PIECE, before=_STORE)),
    ("a data set of fragments of one byte", repeated(p_data(pdv(3, 0, b"x")), MB, _STORE)),
    ("a data set of empty fragments", repeated(p_data(pdv(3, 0)), MB, _STORE)),
    ("many fragments in a PDU", repeated(p_data(*[pdv(3, 0, b"xy")] * 2000), MB, _STORE)),
    ("a data set of sequences", repeated(p_data(pdv(3, 0, _BOMB * 1000)), before=_STORE)),
    ("a bomb that is not inflated", once(_STORE + p_data(pdv(3, LAST, b"\xed\xc1\1\1" + bytes(16000))))),
    ("many objects", repeated(raw.store("1.2.3", bytes(16000)))),
    ("echoes, and no answer is read", repeated(raw.echo(), MB)),
    ("responses to no request", repeated(raw.message(1, raw.other_command(0x8030, raw.element(0x900, 0))), MB)),
    ("cancels of no request", repeated(raw.message(1, raw.other_command(0xFFF)), MB)),
    ("commands that do not exist", repeated(raw.message(1, raw.other_command(0x7777)), MB)),
    ("a second request", repeated(raw.request(), MB)),
    ("one context, then another", repeated(p_data(pdv(1, COMMAND, b"x" * 10)) + p_data(pdv(3, COMMAND, b"x" * 10)))),
)
"""Within an association."""


@unittest.skipUnless(sys.platform == "linux", "memory is read in /proc")
class Memory(unittest.TestCase):
    """How much one hostile connection can make a server hold, at its worst."""

    TIMES = MappingProxyType({"artim": 0.5, "pdu": 5.0, "send": 0.5})
    LIMITS = MappingProxyType({"data_set": 3 * MB, "spool": 4 * MB, "memory_data_set": MB})
    AT_ONCE = 3

    def grown(self, server: Promised, attack: Attack, before: bytes) -> float:
        """MB for each connection, at the worst moment, of some that do the same at once."""
        start = server.memory()[0]
        server.forget_peak()
        resident = server.memory()[1]
        peers = [Peer.connect(server.port) for _ in range(self.AT_ONCE)]
        sending = {peer: itertools.chain((before,), attack()) for peer in peers}
        while sending:
            for peer, pieces in tuple(sending.items()):
                data = next(pieces, None)
                if data is None or not peer.send(data, 0.3):
                    del sending[peer]
        until = monotonic() + self.TIMES["artim"] / 2
        while server.ask("unread")["bytes"] and monotonic() < until:
            pass  # where it has read all, the worst is over; and some it does not read
        anonymous, peak = server.memory()
        for peer in peers:
            peer.reset()
        return max(anonymous - start, peak - resident) / KB / self.AT_ONCE

    def check(self, attacks: tuple[tuple[str, Attack], ...], most: float, before: bytes = b"") -> None:
        """None of them takes more, and nothing of it stays; a normal client is served behind each."""
        with Promised(self.TIMES, self.LIMITS) as server:
            self.grown(server, once(raw.store("1.2.3", bytes(16000))), raw.request())
            well_behaved(self, server.port)
            rest = at_rest(self, server)
            for name, attack in attacks:
                with self.subTest(name):
                    self.assertLessEqual(self.grown(server, attack, before), most, "MB for each connection")
                    well_behaved(self, server.port)
                    self.assertNotIn("Traceback", " ".join(at_rest(self, server, rest)["log"]))

    def test_before_an_association(self) -> None:
        self.check(BEFORE, 1.0)

    def test_a_request_as_long_as_it_may_be(self) -> None:
        """Its bytes, half of them again while the buffer grows, and what is made of them."""
        self.check(LONGEST, 1.0)

    def test_within_an_association(self) -> None:
        self.check(WITHIN, 64.0, raw.request())


if __name__ == "__main__":
    unittest.main()
