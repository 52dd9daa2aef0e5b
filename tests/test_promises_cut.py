"""A session that breaks off at every byte, in both roles, and many sessions at once: each end is told once and in time,
nothing is left of it, and everybody else is served.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import unittest
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from ldicomnet import ErrorCode, LDicomAssociate, LDicomNet, Limits, Timeouts

from . import raw
from .leftovers import Baseline
from .raw import IMPLICIT, VERIFICATION, Peer
from .storing import Storer, Storing, be_quiet, object_of, stored_data
from .support import SECONDS, Taking, request, some

QUICK = 0.4
"""Seconds of all deadlines where a peer is silent."""
SLACK = 1.0
"""Seconds that a deadline may be late."""


class Noting(LDicomNet):
    """Notes each end that it is told of."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ends: list[tuple[LDicomNet, ErrorCode]] = []
        self.told = threading.Condition()

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        """The end of a connection."""
        with self.told:
            self.ends.append((net, error))
            self.told.notify_all()

    def wait_for_ends(self, count: int) -> None:
        """So many have been told, and soon."""
        with self.told:
            if not self.told.wait_for(lambda: len(self.ends) >= count, SECONDS):
                raise AssertionError(f"{len(self.ends)} ends were told, not {count}")


class Server(Noting):
    """Accepts everything; what is told to its connections is told to it as well."""

    def create_client(self) -> LDicomNet:
        """Of a class that notes its own end."""
        client = Accepted(self._folder)
        client.take_settings(self)
        return client


class Accepted(Taking, Noting):
    """An accepted connection."""


class Client(Noting):
    """Associates, echoes, releases; each step when the one before is answered."""

    done = False

    def on_connect(self, error: ErrorCode) -> None:
        """Associate."""
        self.send_associate_request(request((VERIFICATION, IMPLICIT)))

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        """Echo."""
        self.send_c_echo_request(1, 1)

    def on_receive_c_echo_response(self, *_: Any) -> None:
        """Release."""
        self.send_release_request()

    def on_receive_release_response(self) -> None:
        """That was all."""
        self.done = True


def reset(sock: socket.socket) -> None:
    """Go with an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def finish(sock: socket.socket) -> None:
    """Say that nothing more comes, and wait for the other end's close."""
    sock.shutdown(socket.SHUT_WR)
    while read(sock):
        pass
    sock.close()


def read(sock: socket.socket) -> bytes:
    """What is there; nothing at the end, of whatever kind."""
    try:
        return sock.recv(1 << 16)
    except ConnectionError:
        return b""


class Cut(unittest.TestCase):
    """What all of them must leave: nothing."""

    def setUp(self) -> None:
        be_quiet(self)
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.server: Server | None = None
        self.addCleanup(self.close)
        self.baseline = Baseline()

    def close(self) -> None:
        """Nobody serves any more, and nobody knows who did."""
        server, self.server = self.server, None
        if server is not None:
            server.server_close()
            server.ends.clear()

    def assert_nothing_left(self) -> None:
        """No thread, no descriptor, no object, no file."""
        self.assertEqual(os.listdir(self.folder), [])
        self.close()
        self.assertEqual(self.baseline.left(SECONDS), [])


class Acceptor(Cut):
    """The peer associates, stores an object that is spooled, echoes, releases; and breaks off."""

    PIECES = (
        raw.request(),
        raw.store("1.2.3", raw.data_set("1.2.3")),
        raw.echo(2),
        raw.RELEASE,
    )
    SESSION = b"".join(PIECES)
    ANSWERS = ("AC 1:0 3:0", "8001/1 0000", "8030/2 0000", "RP")

    def serve(self, timeouts: Timeouts) -> Server:
        """A server whose data sets all go to the temporary folder."""
        server = Server(self.folder)
        server.limits, server.timeouts = Limits(memory_data_set=4), timeouts
        server.listen("127.0.0.1")
        self.server = server
        return server

    def peer(self, server: Server, size: int) -> Peer:
        """One that has sent so many bytes of the session."""
        peer = Peer.connect(server.get_host_info()[1])
        peer.send(self.SESSION[:size])
        return peer

    def serves(self, server: Server) -> None:
        """A normal client."""
        peer = self.peer(server, len(self.SESSION))
        until = monotonic() + SECONDS
        while len(peer.transcript) < len(self.ANSWERS) and peer.next(until):
            pass
        peer.close()
        self.assertEqual(tuple(peer.transcript), self.ANSWERS)

    def check_told_once(self, server: Server, count: int) -> None:
        """Each connection, by itself and to the listening object."""
        server.wait_for_ends(count)
        self.assertEqual(len({id(net) for net, _error in server.ends}), count)
        for net, error in server.ends:
            assert isinstance(net, Accepted)
            self.assertEqual(net.ends, [(net, error)])
        self.assertEqual((len(server.ends), server.get_client_count()), (count, 0))
        self.assertEqual(server.statistics.endings.total(), count)

    def cut_everywhere(self, end: Callable[[socket.socket], None]) -> None:
        """Break off behind each byte; then a normal client is served."""
        server = self.serve(Timeouts(shutdown=2))
        for number, size in enumerate(some(range(len(self.SESSION)))):
            peer = self.peer(server, size)
            self.serves(server)  # so that this one has been accepted, too
            begun = monotonic()
            end(peer.sock)
            server.wait_for_ends(2 * number + 2)
            self.assertLess(monotonic() - begun, SLACK, f"behind {size} bytes")
        self.serves(server)
        self.check_told_once(server, 2 * len(some(self.SESSION)) + 1)

    def silent_at_borders(self) -> None:
        """At the borders of PDUs, and a few bytes before and behind them; all at once."""
        server = self.serve(Timeouts(artim=QUICK, pdu=QUICK, idle=QUICK, dimse=QUICK, release=QUICK, shutdown=2))
        ends = [sum(map(len, self.PIECES[: number + 1])) for number in range(len(self.PIECES))]
        sizes = {end + more for end in (0, *ends) for more in (-1, 0, 1, 5, 6, 7, 12) if 0 <= end + more <= ends[-1]}
        peers = [self.peer(server, size) for size in sorted(sizes)]
        self.serves(server)
        until = monotonic() + 2 * QUICK + SLACK  # an idle association is released first, and that has its time too
        for peer in peers:
            peer.pause(until - monotonic())
            self.assertIn(peer.transcript[-1], ("END", "RESET"), peer.transcript)
            peer.close()
        self.serves(server)
        self.check_told_once(server, len(peers) + 2)

    def test_closed(self) -> None:
        self.cut_everywhere(finish)
        self.assert_nothing_left()

    def test_reset(self) -> None:
        self.cut_everywhere(reset)
        self.assert_nothing_left()

    def test_silent(self) -> None:
        self.silent_at_borders()
        self.assert_nothing_left()


class Requestor(Cut):
    """The peer accepts, answers the echo and the release; and breaks off."""

    ANSWERS = (
        raw.accept(raw.answered(1, 0, IMPLICIT)),
        raw.message(1, raw.command(
            raw.element(2, VERIFICATION), raw.element(0x100, 0x8030), raw.element(0x120, 1), raw.element(0x800, 0x101),
            raw.element(0x900, 0),
        )),
        raw.RELEASED,
    )  # fmt: skip

    def setUp(self) -> None:
        super().setUp()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(SECONDS)
        self.addCleanup(self.listening.close)
        self.baseline = Baseline()

    def client(self, timeouts: Timeouts) -> Client:
        """One that has begun to connect."""
        client = Client(self.folder)
        client.timeouts = timeouts
        client.connect("", 0, *self.listening.getsockname())
        return client

    def answer(self, size: int) -> socket.socket:
        """The other end of it, when it has sent so many bytes of its answers."""
        sock, _address = self.listening.accept()
        sock.settimeout(SECONDS)
        for data in self.ANSWERS:
            head = sock.recv(6, socket.MSG_WAITALL)
            sock.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL)
            sock.sendall(data[:size])
            size -= len(data)
            if size < 0:
                break
        return sock

    def check(self, client: Client, begun: float, most: float, is_whole: bool) -> None:
        """The end was told, once, and in time; what was not whole is not a success."""
        client.wait_for_ends(1)
        self.assertLess(monotonic() - begun, most)
        client.close()
        self.assertEqual([net for net, _error in client.ends], [client])
        self.assertEqual(client.done, is_whole)
        if not is_whole:
            self.assertNotEqual(client.ends[0][1], ErrorCode.SUCCESS)
        client.ends.clear()

    def cut_everywhere(self, end: Callable[[socket.socket], None]) -> None:
        """Break off behind each byte of the answers; then a session goes well."""
        length = len(b"".join(self.ANSWERS))
        for size in (*some(range(length)), length):
            with self.subTest(size=size):
                client = self.client(Timeouts(shutdown=2))
                sock = self.answer(size)
                begun = monotonic()
                end(sock)
                self.check(client, begun, SLACK, size == length)
        del client
        self.whole()
        self.assert_nothing_left()

    def whole(self) -> None:
        """A session that nobody cuts."""
        client = self.client(Timeouts(shutdown=2))
        finish(self.answer(1 << 16))
        self.check(client, monotonic(), SLACK, True)

    def test_closed(self) -> None:
        self.cut_everywhere(finish)

    def test_reset(self) -> None:
        """The last bytes may be lost with it."""
        self.cut_everywhere(reset)

    def test_silent(self) -> None:
        timeouts = Timeouts(association=QUICK, dimse=QUICK, release=QUICK, pdu=QUICK, artim=QUICK, shutdown=2)
        first, second, third = (len(data) for data in self.ANSWERS)
        ends = (0, first, first + second)
        sizes = sorted({at + more for at in ends for more in (0, 1, 5, 6, 7)} | {first + second + third - 1})
        begun, live = monotonic(), []
        for size in sizes:
            client = self.client(timeouts)
            live.append((client, self.answer(size)))
        for client, sock in live:
            self.check(client, begun, QUICK + SLACK, is_whole=False)
            self.assertEqual(client.statistics.timeouts.total(), 1)
            while read(sock):
                pass
            sock.close()
        live.clear()
        del client, sock
        self.whole()
        self.assert_nothing_left()


class AtOnce(Storing):
    """Many good clients."""

    ASSOCIATIONS, OBJECTS, SIZE = 20, 20, 8 << 10

    def test_every_object_is_stored_as_it_was_sent(self) -> None:
        server = self.serve()
        sent = [[object_of(self.SIZE) for _ in range(self.OBJECTS)] for _ in range(self.ASSOCIATIONS)]
        clients: list[Storer] = [self.client_of(server) for _ in sent]
        self.assertEqual(server.get_client_count(), self.ASSOCIATIONS)
        statuses: list[list[int | None]] = [[] for _ in sent]

        def store(number: int) -> None:
            for instance, data in sent[number]:
                statuses[number].append(clients[number].store(instance, data))
            clients[number].end()

        threads = [threading.Thread(target=store, args=(number,)) for number in range(self.ASSOCIATIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * SECONDS)
        self.assertEqual(statuses, [[0] * self.OBJECTS] * self.ASSOCIATIONS)
        objects = {instance: data for each in sent for instance, data in each}
        self.assertEqual(self.left(), sorted(f"{instance}.dcm" for instance in objects))
        for instance, data in objects.items():
            self.assertTrue(stored_data(Path(self.path(instance))) == data, instance)


if __name__ == "__main__":
    unittest.main()
