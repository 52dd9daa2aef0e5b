"""Deadlines and caps, each by the name under which `SECURITY.md` promises it, on connections that are real ones."""

from __future__ import annotations

import ast
import os
import socket
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

import ldicomnet
from ldicomnet import ErrorCode, LDicomDS, LDicomError, LDicomTimeoutError, LDicomUsageError, Limits, Status, Timeouts
from ldicomnet.message import BY_NAME, build

from . import raw
from .leftovers import Baseline
from .raw import COMMAND, LAST, Peer, p_data, pdv
from .storing import be_quiet
from .support import CT, IMPLICIT, SECONDS, VERIFICATION, Ends, Recorder, accept_all, request

QUICK = 0.3
"""Seconds of a deadline that passes."""
SLACK = 1.0
"""Seconds by which it may be late."""
DAY = 86400.0


class Promises(Ends):
    """Ends whose log is not wanted, and what they leave behind."""

    def setUp(self) -> None:
        be_quiet(self)

    def serve(self, timeouts: Timeouts | None = None, limits: Limits | None = None, **keywords: Any) -> Recorder:
        """A server that accepts every association."""
        server = self.acceptor()
        server.timeouts, server.limits = timeouts or Timeouts(), limits or Limits()
        for name, value in keywords.items():
            setattr(server, name, value)
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        return server

    def peer(self, server: Recorder) -> Peer:
        """A connection to it, made by hand."""
        peer = Peer.connect(server.get_host_info()[1])
        self.addCleanup(peer.close)
        return peer

    def check_lines(self, peer: Peer, *expected: str) -> None:
        """The whole of what it was answered so far, and nothing else."""
        until = monotonic() + SECONDS
        while len(peer.transcript) < len(expected) and peer.next(until):
            pass
        self.assertEqual(peer.transcript, list(expected))

    def check_in_time(self, begun: float, seconds: float) -> None:
        """A deadline has passed just now."""
        self.assertTrue(seconds - 0.01 <= monotonic() - begun <= seconds + SLACK, monotonic() - begun)


# --- deadlines ----------------------------------------------------------------------------------------------------


class Connecting(Promises):
    """The `connect` deadline."""

    def full(self) -> tuple[str, int]:
        """An address where connections are neither made nor refused: its backlog is full."""
        listening = socket.socket()
        self.addCleanup(listening.close)
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address: tuple[str, int] = listening.getsockname()
        for _ in range(3):  # Linux takes one more than it was told
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.setblocking(False)
            sock.connect_ex(address)
        return address

    def time_out(self, address: tuple[str, int]) -> None:
        """Once there, in vain; then the same object connects to somebody else."""
        net = Recorder()
        net.timeouts.connect = QUICK
        begun = monotonic()
        net.connect("", 0, *address)
        self.assertTrue(net.is_activated())
        self.assertEqual(net.wait_for("on_connect"), (ErrorCode.NET_TIME_OUT,))
        self.check_in_time(begun, QUICK)
        net.close()
        self.assertFalse(net.is_activated())
        self.assertEqual((net.statistics.timeouts, net.statistics.connections), ({"connect": 1}, 0))
        server = Recorder()
        server.listen("127.0.0.1")
        net.connect("", 0, *server.get_host_info())
        self.assertEqual(net.wait_for("on_connect", 2), (ErrorCode.SUCCESS,))
        net.close()
        server.server_close()
        self.assertEqual(net.names(), ["on_connect", "on_connect", "on_close"])
        self.assertEqual((net.statistics.timeouts, net.statistics.connections), ({"connect": 1}, 1))

    @unittest.skipUnless(sys.platform == "linux", "elsewhere a full backlog refuses")
    def test_nobody_answers(self) -> None:
        address = self.full()
        baseline = Baseline()
        self.time_out(address)
        self.assertEqual(baseline.left(SECONDS), [])


class Closing(Promises):
    """ARTIM in Sta13: the peer does not close, whoever has aborted."""

    def check(self, server: Recorder, peer: Peer, begun: float, answers: list[str], error: ErrorCode) -> None:
        """The connection is closed when ARTIM has passed."""
        peer.pause(QUICK + SLACK)
        self.check_in_time(begun, QUICK)
        self.assertEqual(peer.transcript, answers)
        self.assertEqual(server.wait_for("on_close")[0], error)
        self.assertEqual(server.statistics.timeouts, {"artim": 1})
        self.assertEqual(server.get_client_count(), 0)

    def associated_peer(self, timeouts: Timeouts | None = None) -> tuple[Recorder, Peer]:
        """An association made by hand."""
        server = self.serve(timeouts or Timeouts(artim=QUICK))
        peer = self.peer(server)
        peer.send(raw.request())
        self.check_lines(peer, "AC 1:0 3:0")
        return server, peer

    def test_after_an_abort_of_the_provider(self) -> None:
        server, peer = self.associated_peer()
        begun = monotonic()
        peer.send(raw.pdu(0x55))
        self.check(server, peer, begun, ["AC 1:0 3:0", "ABORT 2 1", "END"], ErrorCode.PDU_TYPE)

    def test_after_an_abort_of_the_user(self) -> None:
        server, peer = self.associated_peer()
        begun = monotonic()
        server.get_client(0).send_abort(0, 0)
        self.check(server, peer, begun, ["AC 1:0 3:0", "ABORT 0 0", "END"], ErrorCode.SUCCESS)

    def test_half_a_pdu_where_there_is_no_artim(self) -> None:
        """Then what has begun is timed as everywhere."""
        server, peer = self.associated_peer(Timeouts(artim=None, pdu=QUICK))
        server.get_client(0).send_abort(0, 0)
        self.check_lines(peer, "AC 1:0 3:0", "ABORT 0 0")
        begun = monotonic()
        peer.send(raw.echo()[:9])
        peer.pause(QUICK + SLACK)
        self.check_in_time(begun, QUICK)
        server.wait_for("on_close")
        self.assertEqual(server.statistics.timeouts, {"pdu": 1})

    def test_bytes_do_not_keep_it_open(self) -> None:
        """What comes in Sta13 is ignored, and starts nothing anew; two of them are answered (AA-7)."""
        server, peer = self.associated_peer()
        begun = monotonic()
        server.get_client(0).send_abort(0, 0)
        while monotonic() < begun + QUICK + SLACK and peer.send(raw.echo() + raw.RELEASE, 0.1):
            peer.pause(0.02)
            if peer.ended:
                break
        self.assertLess(monotonic() - begun, QUICK + SLACK)
        server.wait_for("on_close")
        self.assertEqual(server.statistics.timeouts, {"artim": 1})


class Held:
    """Keeps the connection of a sender: its progress hook waits until it is let go."""

    def __init__(self, net: Recorder) -> None:
        self.is_held, self.go = threading.Event(), threading.Event()
        net.on_progress_status = self.wait  # type: ignore[method-assign]

    def wait(self, sent: int, received: int, total: int | None) -> None:
        """Within the send."""
        if sent:
            self.is_held.set()
            self.go.wait(SECONDS)


class Sending(Promises):
    """A send waits for another one: for `send` seconds, and where it is an answer, only beyond `waiting_sends`."""

    SIZE = len(build(BY_NAME["c_echo_response"], 1, (1, VERIFICATION, Status.SUCCESS), False).command_set)

    def held(self, timeouts: Timeouts, limits: Limits) -> tuple[Recorder, Peer, Held, threading.Thread]:
        """An association made by hand, on which the server's side is in the middle of a send of its own."""
        server = self.serve(timeouts, limits, enable_progress_event=True)
        peer = self.peer(server)
        peer.send(raw.request())
        self.check_lines(peer, "AC 1:0 3:0")
        client = server.get_client(0)
        assert isinstance(client, Recorder)
        held = Held(client)
        self.addCleanup(held.go.set)
        data = LDicomDS.from_bytes(raw.data_set("1.2.3"), IMPLICIT)
        sending = threading.Thread(target=lambda: client.send_c_store_request(3, 1, CT, "1.2.3", dataset=data))
        sending.start()
        self.addCleanup(sending.join, SECONDS)
        self.assertTrue(held.is_held.wait(SECONDS))
        return client, peer, held, sending

    def test_another_send_has_kept_the_connection(self) -> None:
        client, peer, held, sending = self.held(Timeouts(send=QUICK), Limits())
        begun = monotonic()
        with self.assertRaisesRegex(LDicomTimeoutError, f"another send has kept the connection for {QUICK} seconds"):
            client.send_c_echo_request(1, 2)
        self.check_in_time(begun, QUICK)
        held.go.set()
        sending.join(SECONDS)
        peer.send(raw.echo(7))
        self.check_lines(peer, "AC 1:0 3:0", "0001/1", "8030/7 0000")  # what was refused has not left

    def test_answers_wait_up_to_waiting_sends(self) -> None:
        """Beyond it the reader waits, and reads no more; the time is `send`, and the error is the hook's."""
        room, entered, left = 3, list[int](), list[int]()
        errors: list[LDicomError] = []
        client, peer, held, _sending = self.held(Timeouts(send=QUICK), Limits(waiting_sends=room * self.SIZE + 1))

        def answer(net: Recorder, context: int, message_id: int, sop_class: str) -> None:
            entered.append(message_id)
            before = net.get_queue_send()
            try:
                net.send_c_echo_response(context, message_id, sop_class, Status.SUCCESS)
            except LDicomError as error:
                errors.append(error)
                net.note("waited", tuple(left), tuple(entered))
                held.go.set()
                return
            left.append(message_id)
            self.assertEqual(net.get_queue_send() - before, self.SIZE)

        client.answers["on_receive_c_echo_request"] = answer
        peer.send(b"".join(raw.echo(number) for number in range(2, room + 4)))
        self.assertEqual(client.wait_for("waited"), ((2, 3, 4), (2, 3, 4, 5)))
        self.assertRegex(str(errors[0]), "another send has kept the connection")
        self.check_lines(peer, "AC 1:0 3:0", "0001/1", *(f"8030/{number} 0000" for number in (2, 3, 4, 6)))
        self.assertEqual(len(errors), 1)

    def test_no_answer_is_lost_by_waiting(self) -> None:
        client, peer, held, _sending = self.held(Timeouts(), Limits(waiting_sends=1))
        entered, left = threading.Event(), threading.Event()

        def answer(net: Recorder, context: int, message_id: int, sop_class: str) -> None:
            entered.set()
            net.send_c_echo_response(context, message_id, sop_class, Status.SUCCESS)
            left.set()

        client.answers["on_receive_c_echo_request"] = answer
        peer.send(raw.echo(2) + raw.echo(3))
        self.assertTrue(entered.wait(SECONDS))
        self.assertFalse(left.wait(0.1), "the first has waited already")
        held.go.set()
        self.check_lines(peer, "AC 1:0 3:0", "0001/1", "8030/2 0000", "8030/3 0000")


_WALL = {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime", "clock_gettime", "datetime", "now", "today"}


def _clocks(path: Path) -> list[ast.AST]:
    """Where a room imports or asks a clock."""
    found: list[ast.AST] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names) if {"time", "datetime"} & {each.name for each in names}:
                found.append(node)
            case ast.ImportFrom(module="time" | "datetime"):
                found.append(node)
            case ast.Call(ast.Attribute(attr=name)) if name in _WALL:
                found.append(node)
    return found


class WallClock(Promises):
    """The system's time is set while associations stand.

    What these show is that nothing in Python that the library uses looks at that clock; how the kernel times a socket's
    SO_RCVTIMEO and a lock, which is what the readers wait in, is the kernel's, and not by that clock either.
    """

    def test_no_room_looks_at_it(self) -> None:
        """But for the ages of files that others have left, which are the file system's times, and for the dates of
        certificates, which are the wall clock's."""
        folder = Path(ldicomnet.__file__).parent
        rooms = [path for path in sorted(folder.rglob("*.py")) if path.parent.name != "tls"]
        found = [(path.name, ast.unparse(node)) for path in rooms for node in _clocks(path)]
        self.assertEqual({text for _name, text in found}, {"from time import monotonic"})
        self.assertGreater(len(found), 5)

    def test_it_jumps(self) -> None:
        """By a day, both ways: what is due comes in its time, and what is not does not."""
        real, real_ns = time.time, time.time_ns
        for jump in (DAY, -DAY):
            with self.subTest(jump=jump):
                server = self.serve(Timeouts(artim=QUICK))
                standing = self.peer(server)
                standing.send(raw.request())
                self.check_lines(standing, "AC 1:0 3:0")
                begun, silent = monotonic(), self.peer(server)
                with (
                    mock.patch("time.time", lambda jump=jump: real() + jump),
                    mock.patch("time.time_ns", lambda jump=jump: real_ns() + int(jump) * 10**9),
                ):
                    silent.pause(QUICK + SLACK)
                    self.assertEqual(silent.transcript, ["END"])
                    self.check_in_time(begun, QUICK)
                    standing.send(raw.echo())
                    self.check_lines(standing, "AC 1:0 3:0", "8030/1 0000")
                    self.assertEqual(server.statistics.timeouts, {"artim": 1})
                server.server_close()


# --- caps ---------------------------------------------------------------------------------------------------------


class Lazy(Recorder):
    """Takes its connection requests later."""

    def on_accept(self, error: ErrorCode) -> None:
        """Not now."""
        self.note("on_accept")


class Caps(Promises):
    """Limits by their names."""

    def test_waiting_requests(self) -> None:
        server = Lazy()
        server.answers["on_receive_associate_request"] = accept_all
        server.limits.waiting_requests = 2
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        first, second = self.peer(server), self.peer(server)
        server.wait_for("on_accept", 2)
        third = self.peer(server)
        third.pause(SECONDS)
        self.assertEqual(third.transcript, ["END"])
        for peer in (first, second):
            server.accept(server.create_client())
            peer.send(raw.request())
            self.check_lines(peer, "AC 1:0 3:0")
        with self.assertRaises(LDicomUsageError):
            server.accept(server.create_client())
        self.peer(server)
        server.wait_for("on_accept", 3)  # there is room again

    def test_waiting_operations(self) -> None:
        """Requests of hooks wait for the window; one more is an error that says so, and the others leave."""
        errors: list[LDicomError] = []

        def send(net: Recorder, _associate: Any) -> None:
            for message_id in range(1, 6):
                try:
                    net.send_c_echo_request(1, message_id)
                except LDicomError as error:
                    errors.append(error)
            net.note("sent")

        requestor, acceptor = self.requestor(), self.acceptor()
        requestor.limits.waiting_operations = 2
        requestor.answers["on_receive_associate_accept"] = send
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        associate = request()
        associate.set_async_operations(True, 1, 1)
        acceptor.answers["on_receive_c_echo_request"] = lambda *_: None  # no answer makes room
        requestor.send_associate_request(associate)
        requestor.wait_for("sent")
        for error in errors:
            self.assertIsInstance(error, LDicomUsageError)
            self.assertIn("2 requests are waiting for the operations window already", str(error))
        self.assertEqual(len(errors), 2)

    def test_unanswered(self) -> None:
        """A peer that goes on asking a program that answers later; what was answered makes room."""
        server = self.serve(limits=Limits(unanswered=2))
        asked = threading.Semaphore(0)
        server.answers["on_receive_c_echo_request"] = lambda *_: asked.release()
        server.answers["on_receive_n_get_request"] = lambda *_: asked.release()
        peer = self.peer(server)
        peer.send(raw.request())
        self.check_lines(peer, "AC 1:0 3:0")
        get = raw.message(1, raw.other_command(0x110, raw.element(3, VERIFICATION), raw.element(0x1001, "1.2.3")))
        peer.send(raw.echo(5) + raw.echo(2) + raw.echo(3) + get)
        self.check_lines(peer, "AC 1:0 3:0", "8030/3 A700", "8110/1 0213")
        server.get_client(0).send_c_echo_response(1, 5, VERIFICATION, Status.SUCCESS)
        peer.send(raw.echo(4))
        for _ in range(3):
            self.assertTrue(asked.acquire(timeout=SECONDS))
        server.get_client(0).send_c_echo_response(1, 4, VERIFICATION, Status.SUCCESS)
        self.check_lines(peer, "AC 1:0 3:0", "8030/3 A700", "8110/1 0213", "8030/5 0000", "8030/4 0000")

    def test_unanswered_with_a_data_set(self) -> None:
        """What is refused is not kept either: no file of its name, no temporary file, and no hook is asked."""
        server = self.serve(limits=Limits(unanswered=1, memory_data_set=10))
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        asked: list[str] = []

        def name(_net: Recorder, _context: int, message: Any) -> str:
            asked.append(message.sop_instance_uid)
            return str(folder / message.sop_instance_uid)

        with mock.patch.object(Recorder, "on_begin_data", name):
            peer = self.peer(server)
            server.answers["on_receive_c_store_request"] = lambda *_: None
            peer.send(raw.request() + raw.store("1.2.1", bytes(100), 1) + raw.store("1.2.2", bytes(100), 2))
            self.check_lines(peer, "AC 1:0 3:0", "8001/2 A700")
        self.assertEqual(asked, ["1.2.1"])
        self.assertEqual([file.name for file in folder.iterdir()], ["1.2.1"])

    def test_association_pdu(self) -> None:
        """The request of a requestor, and the accept of an acceptor."""
        length = len(raw.request()) - 6
        for more, expected in ((0, "AC 1:0 3:0"), (-1, "ABORT 0 0")):
            with self.subTest(more=more):
                peer = self.peer(self.serve(limits=Limits(association_pdu=length + more)))
                peer.send(raw.request())
                self.check_lines(peer, expected)

    def test_association_pdu_of_an_acceptor(self) -> None:
        for most, hook in ((1000, "on_receive_associate_accept"), (100, "on_receive_abort")):
            with self.subTest(most=most):
                requestor, acceptor = self.requestor(), self.acceptor()
                requestor.limits = Limits(association_pdu=most)
                self.join(requestor, acceptor)
                requestor.wait_for("on_connect")
                requestor.send_associate_request(request())
                requestor.wait_for(hook)

    def test_pdu_tolerance(self) -> None:
        """Bytes over the maximum that was announced; what is over does not abort what came before."""
        maximum = 4096
        for tolerance, over, expected in (
            (None, 6, "8030/1 0000"),
            (None, 7, "ABORT 2 6"),
            (0, 0, "8030/1 0000"),
            (0, 1, "ABORT 2 6"),
            (100, 100, "8030/1 0000"),
            (100, 101, "ABORT 2 6"),
        ):
            with self.subTest(tolerance=tolerance, over=over):
                server = self.serve(limits=Limits() if tolerance is None else Limits(pdu_tolerance=tolerance))
                server.answers["on_receive_associate_request"] = self.accept_with(maximum)
                peer = self.peer(server)
                peer.send(raw.request())
                head = raw.echo_command()
                filler = raw.element(0xFFFF, bytes(maximum + over - 6 - len(head) - 8))
                peer.send(p_data(pdv(1, COMMAND | LAST, raw.command(head[12:], filler))))
                self.check_lines(peer, "AC 1:0 3:0", expected)

    @staticmethod
    def accept_with(maximum: int) -> Callable[..., None]:
        """An answer that announces so much."""

        def accept(net: Recorder, associate: Any) -> None:
            answer = associate.accept(lambda uid: ldicomnet.ANY_TRANSFER)
            answer.set_max_length(True, maximum)
            net.send_associate_accept(answer)

        return accept


class Spooling(Promises):
    """`spool`: what is too much is refused with A700H, and the association goes on."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.kept: list[LDicomDS] = []
        self.keeps = False

    def store(self, net: Recorder, context: int, message_id: int, sop_class: str, instance: str, *rest: Any) -> None:
        """The hook; it may keep what it was given."""
        net.calls.clear()  # it notes what it was given, and so keeps it
        if self.keeps:
            self.kept.append(rest[-1])
        net.send_c_store_response(context, message_id, sop_class, instance, Status.SUCCESS)

    def check(self, peer: Peer, message_id: int, size: int, status: str) -> None:
        """One object."""
        instance = raw.instance_uid()
        peer.transcript.clear()
        peer.send(raw.store(instance, raw.data_set(instance, size), message_id))
        self.check_lines(peer, f"8001/{message_id} {status}")

    def test_spool(self) -> None:
        server = Recorder(self.folder)
        server.answers.update(on_receive_associate_request=accept_all, on_receive_c_store_request=self.store)
        server.limits = Limits(memory_data_set=1000, spool=10_000)
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        peer = self.peer(server)
        peer.send(raw.request())
        self.check_lines(peer, "AC 1:0 3:0")
        self.check(peer, 1, 8192, "0000")
        self.check(peer, 2, 16384, "A700")
        self.check(peer, 3, 8192, "0000")
        self.keeps = True
        self.check(peer, 4, 8192, "0000")
        self.check(peer, 5, 8192, "A700")  # what the program still holds counts
        self.check(peer, 6, 512, "0000")  # but not what fits in memory
        self.assertEqual(len(os.listdir(self.folder)), 1)
        self.keeps = False
        self.kept.clear()
        self.check(peer, 7, 8192, "0000")
        peer.transcript.clear()
        peer.send(raw.RELEASE)
        self.check_lines(peer, "RP")
        peer.close()
        server.server_close()
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
