"""A listening object at its limits: what may come, what needs no thread, how it ends, and who is sent away how."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import unittest
from collections.abc import Callable
from time import monotonic
from typing import Any
from unittest import mock

from ldicomnet import (
    ErrorCode,
    LDicomAssociate,
    LDicomDS,
    LDicomError,
    LDicomNet,
    Limits,
    Status,
    Timeouts,
    background,
)
from ldicomnet.message import BY_NAME, build
from ldicomnet.pdu import DataTransfer, DataValue
from ldicomnet.threads import let_idle_end

from .support import CT, EXPLICIT, SECONDS, VERIFICATION, Ends, Recorder, accept_all, associate_with, request

OBJECT = LDicomDS.from_bytes(b"\x10\0\x10\0PN\4\0A^B ", EXPLICIT, CT, "1.2.3")
RELEASE = b"\5\0\0\0\0\4\0\0\0\0"
LIMIT = b"\3\0\0\0\0\4\0\2\3\2"
"""A-ASSOCIATE-RJ: transient, service provider (presentation), local limit exceeded."""


class Serving(Ends):
    """Tests with a listening object and plain sockets."""

    def serve(self, timeouts: Timeouts | None = None, **limits: int | None) -> Recorder:
        """A listening object."""
        server = self.acceptor()
        server.timeouts = timeouts or Timeouts()
        server.limits = Limits(**limits)  # type: ignore[arg-type]
        self.addCleanup(server.server_close)
        server.listen("127.0.0.1")
        return server

    def connect(self, server: LDicomNet) -> socket.socket:
        """A plain connection to it."""
        sock = socket.create_connection(server.get_host_info(), SECONDS)
        self.addCleanup(sock.close)
        return sock

    def associate(self, server: Recorder, calling: str = "WIRE") -> socket.socket:
        """One on which an association was requested."""
        sock = self.connect(server)
        asked = request((VERIFICATION, "1.2.840.10008.1.2"))
        asked.set_calling(calling)
        sock.sendall(asked.to_request().encode())
        return sock

    def answer(self, sock: socket.socket) -> bytes:
        """The next PDU, or nothing at the end."""
        head = sock.recv(6, socket.MSG_WAITALL)
        return head + sock.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL) if head else b""

    def assert_served(self, server: LDicomNet) -> None:
        """A well-behaved client is served."""
        client = self.requestor()
        associate_with(client, server)
        client.send_c_echo_request(1, 1)
        self.assertEqual(client.wait_for("on_receive_c_echo_response")[3], Status.SUCCESS)
        client.close()


class Associations(Serving):
    """More than may stand: rejected after the request was read, never met with silence."""

    def test_more_than_may(self) -> None:
        server = self.serve(associations=2)
        first, second = self.associate(server), self.associate(server)
        self.assertEqual([self.answer(sock)[0] for sock in (first, second)], [2, 2])
        third = self.associate(server)
        self.assertEqual(self.answer(third), LIMIT)
        third.close()
        first.sendall(RELEASE)
        self.answer(first)
        first.close()
        server.wait_for("on_close", 2)
        self.assertEqual(self.answer(self.associate(server))[0], 2, "there is room again")
        self.assertEqual(server.statistics.rejects, {(2, 3, 2): 1})

    def test_of_one_title_or_host(self) -> None:
        for limits in ({"associations_of_title": 1}, {"associations_of_host": 1}):
            with self.subTest(limits):
                server = self.serve(**limits)
                self.assertEqual(self.answer(self.associate(server, "A"))[0], 2)
                self.assertEqual(self.answer(self.associate(server, "A")), LIMIT)
                expected = 2 if "associations_of_title" in limits else 3
                self.assertEqual(self.answer(self.associate(server, "B"))[0], expected)

    def test_silent_connections_are_no_associations(self) -> None:
        server = self.serve(associations=1)
        for _ in range(20):
            self.connect(server)
        self.assert_served(server)

    def test_one_after_the_other(self) -> None:
        """A released association, a rejected and an aborted one count no longer, though their peers have not closed."""
        server = self.serve(associations_of_title=1)
        for end in (RELEASE, b"\7\0\0\0\0\4\0\0\0\0"):
            for _ in range(20):
                sock = self.associate(server)
                self.assertEqual(self.answer(sock)[0], 2)
                sock.sendall(end)
                self.assertIn(self.answer(sock)[:1], (b"\6", b""))
        server.answers["on_receive_associate_request"] = lambda net, _: net.send_associate_reject(1, 1, 7)
        for _ in range(5):
            self.assertEqual(self.answer(self.associate(server)), b"\3\0\0\0\0\4\0\1\1\7")

    def test_the_hook_is_not_asked(self) -> None:
        server = self.serve(associations=0)
        sock = self.associate(server)
        self.assertEqual(self.answer(sock), LIMIT)
        sock.close()
        server.wait_for("on_close")
        self.assertEqual(server.count("on_receive_associate_request"), 0)

    def test_one_that_the_hook_rejects_does_not_stay(self) -> None:
        server = self.serve(associations=1)
        server.answers["on_receive_associate_request"] = lambda net, _: net.send_associate_reject(1, 1, 7)
        for number in range(1, 4):
            sock = self.associate(server)
            self.assertEqual(self.answer(sock), b"\3\0\0\0\0\4\0\1\1\7")
            sock.close()
            server.wait_for("on_close", number)


class Connections(Serving):
    """Connections altogether."""

    def test_more_than_may(self) -> None:
        server = self.serve(connections=3)
        kept = [self.connect(server) for _ in range(3)]
        self.wait_for_clients(server, 3)
        with self.assertLogs("ldicomnet.listener", "WARNING"):
            for _ in range(5):
                self.assertEqual(self.answer(self.connect(server)), b"", "closed at once")
        self.assertEqual(server.statistics.turned_away, 5)
        kept[0].close()
        server.wait_for("on_close")
        self.assert_served(server)

    def wait_for_clients(self, server: LDicomNet, count: int) -> None:
        """Until so many were accepted."""
        until = monotonic() + SECONDS
        while server.get_client_count() != count:
            self.assertLess(monotonic(), until)
            threading.Event().wait(0.002)


class Plain(LDicomNet):
    """A listening object with the hooks that most have."""

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        accept_all(self, associate)


class WithoutThreads(Connections):
    """A connection that says nothing has no thread, whether it ends or stays."""

    def plain(self) -> Plain:
        """A listening object whose `on_close` is the default."""
        server = Plain()
        self.addCleanup(server.server_close)
        server.listen("127.0.0.1")
        return server

    def wait_until(self, condition: Callable[[], object]) -> None:
        """What nobody tells of."""
        until, pause = monotonic() + SECONDS, threading.Event()
        while not condition():
            self.assertLess(monotonic(), until)
            pause.wait(0.002)

    def setUp(self) -> None:
        let_idle_end(SECONDS)
        self.enterContext(mock.patch("ldicomnet.threads.is_warm", lambda: False))
        self.started: list[str] = []
        real = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            self.started.append(thread.name)
            real(thread)

        self.enterContext(mock.patch("threading.Thread.start", start))

    def test_a_health_probe(self) -> None:
        server = self.plain()
        for number in range(1, 11):
            self.connect(server).close()
            self.wait_until(lambda number=number: server.statistics.endings == {ErrorCode.SUCCESS: number})
        self.assertEqual((server.statistics.probes, self.started), (10, ["ldicomnet-accept"]))
        self.assertEqual(server.get_client_count(), 0)
        self.assert_served(server)

    def test_a_hook_at_the_end_has_a_thread(self) -> None:
        """A slow `on_close` holds up its own connection and no other."""
        gate = threading.Event()
        server = self.serve()
        self.addCleanup(gate.set)
        server.answers["on_close"] = lambda net, *_: net is not server and gate.wait(SECONDS)
        accepted: list[LDicomNet] = []
        made = server.create_client

        def create() -> Recorder:
            client = made()
            accepted.append(client)
            return client

        server.create_client = create  # type: ignore[method-assign]
        self.connect(server).close()
        self.wait_until(lambda: len(accepted) == 1)
        client = accepted[0]
        assert isinstance(client, Recorder)
        client.wait_for("on_close")
        self.assert_served(server)

    def test_without_artim(self) -> None:
        """No deadline, or one so far away that the system cannot wait for it."""
        for artim in (None, 3e6, 1e300):
            with self.subTest(artim=artim):
                server = self.serve(Timeouts(artim=artim))
                self.connect(server)
                self.wait_for_clients(server, 1)
                self.assert_served(server)

    def test_where_only_select_is_to_be_had(self) -> None:
        """It watches few, and the rest have their threads."""
        self.enterContext(mock.patch("selectors.DefaultSelector", selectors.SelectSelector))
        self.enterContext(mock.patch("ldicomnet.listener._MOST_SELECTED", 3))
        server = self.serve()
        sockets = [self.connect(server) for _ in range(8)]
        self.wait_for_clients(server, 8)
        self.assertEqual(len(self.started), 1 + 5)
        for sock in sockets:
            sock.sendall(request().to_request().encode())
            self.assertEqual(self.answer(sock)[0], 2)

    def test_closing_starts_no_threads(self) -> None:
        for close in ("server_close", "drain"):
            with self.subTest(close):
                self.started.clear()
                server = self.plain()
                sockets = [self.connect(server) for _ in range(50)]
                self.wait_until(lambda server=server: server.get_client_count() == 50)
                getattr(server, close)()
                self.assertEqual([self.answer(sock) for sock in sockets], [b""] * 50)
                self.assertEqual(self.started, ["ldicomnet-accept"])

    def test_what_is_watched_leaves_nothing_when_it_ends(self) -> None:
        server = self.plain()
        for number in range(1, 401):
            self.connect(server).close()
            self.wait_until(lambda number=number: server.statistics.endings.total() == number)
        assert server._listener is not None
        self.assertEqual(server._listener._parked, {})
        self.assertLess(len(server._listener._order), 150)

    def test_one_that_is_reset(self) -> None:
        server = self.plain()
        sock = self.connect(server)
        self.wait_until(lambda: server.get_client_count() == 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with self.assertNoLogs("ldicomnet", "INFO"):
            sock.close()
            self.wait_until(lambda: server.statistics.endings)
        self.assertEqual(server.statistics.endings, {ErrorCode.NET_CONNECTION_RESET: 1})
        self.assertEqual((server.statistics.probes, self.started), (1, ["ldicomnet-accept"]))

    def test_many_silent_ones(self) -> None:
        server = self.serve(Timeouts(artim=0.5))
        sockets = [self.connect(server) for _ in range(100)]
        self.wait_for_clients(server, 100)
        self.assertEqual(self.started, ["ldicomnet-accept"])
        self.assert_served(server)
        begun = monotonic()
        for sock in sockets:
            self.assertEqual(self.answer(sock), b"", "closed by ARTIM")
        self.assertLess(monotonic() - begun, 0.5 + 1)
        server.wait_for("on_close", 101)
        self.assertEqual(server.statistics.timeouts, {"artim": 100})
        self.assertEqual(server.statistics.endings[ErrorCode.NET_TIME_OUT], 100)

    def test_artim_runs_from_the_connection(self) -> None:
        """The first byte, which wakes a thread, does not start it anew."""
        server = self.serve(Timeouts(artim=0.4))
        begun = monotonic()
        sock = self.connect(server)
        threading.Timer(0.3, sock.sendall, [b"\1"]).start()
        self.assertEqual(self.answer(sock), b"")
        self.assertLess(monotonic() - begun, 0.4 + 0.25)

    def test_the_first_byte_brings_the_thread(self) -> None:
        server = self.serve()
        sock = self.connect(server)
        self.wait_for_clients(server, 1)
        sock.sendall(request().to_request().encode())
        self.assertEqual(self.answer(sock)[0], 2)
        self.assertEqual(len(self.started), 2)

    def test_closed_by_this_side(self) -> None:
        for close in ("close", "close_forced"):
            with self.subTest(close):
                server = self.serve()
                sock = self.connect(server)
                self.wait_for_clients(server, 1)
                begun = monotonic()
                getattr(server.get_client(0), close)()
                self.assertEqual(self.answer(sock), b"")
                server.wait_for("on_close")
                self.assertLess(monotonic() - begun, 1)

    def test_when_listening_ends_they_stay(self) -> None:
        server = self.serve()
        sock = self.connect(server)
        self.wait_for_clients(server, 1)
        server.close()
        sock.sendall(request().to_request().encode())
        self.assertEqual(self.answer(sock)[0], 2)
        self.assertEqual(server.get_client_count(), 1)

    def test_closing_all_of_them(self) -> None:
        server = self.serve()
        sockets = [self.connect(server) for _ in range(20)]
        self.wait_for_clients(server, 20)
        begun = monotonic()
        server.server_close()
        self.assertLess(monotonic() - begun, 1)
        self.assertEqual([self.answer(sock) for sock in sockets], [b""] * 20)
        server.wait_for("on_close", 20)

    def test_from_the_hook_of_another(self) -> None:
        """on_close of a probe runs on the accept thread, which may close what it watches, and waits for nothing."""
        server = self.serve()
        other = self.connect(server)
        self.wait_for_clients(server, 1)
        waited: list[float] = []
        closed = threading.Event()

        def close_all(net: Recorder, *_: Any) -> None:
            if net is server and not closed.is_set():
                begun = monotonic()
                server.server_close()
                waited.append(monotonic() - begun)
                closed.set()

        server.answers["on_close"] = close_all
        self.connect(server).close()
        self.assertEqual(self.answer(other), b"")
        server.wait_for("on_close", 2)
        self.assertTrue(closed.wait(SECONDS))
        self.assertLess(waited[0], 1)

    def test_a_hook_of_ones_own_is_not_relied_on(self) -> None:
        """It could keep the accept thread for ever: then each connection has its thread at once."""

        class Slow(Recorder):
            """Accepts the first, and never comes back."""

            def on_accept(self, error: ErrorCode) -> None:
                super().on_accept(error)
                self.note("accepted")
                gate.wait(SECONDS)

        gate = threading.Event()
        server = Slow()
        server.answers["on_receive_associate_request"] = accept_all
        self.addCleanup(server.server_close)
        self.addCleanup(gate.set)
        server.listen("127.0.0.1")
        sock = self.connect(server)
        server.wait_for("accepted")
        sock.sendall(request().to_request().encode())
        self.assertEqual(self.answer(sock)[0], 2)

    def test_no_thread_to_be_had(self) -> None:
        server = self.serve()
        sock = self.connect(server)
        self.wait_for_clients(server, 1)
        with mock.patch("ldicomnet.threads.start", side_effect=RuntimeError("can't start new thread")):
            sock.sendall(b"\1\0")
            self.assertEqual(server.wait_for("on_close")[0], ErrorCode.NET_NO_BUFFERS)
        with contextlib.suppress(ConnectionError):
            self.assertEqual(self.answer(sock), b"")
        self.assert_served(server)

    @unittest.skipUnless(os.path.isdir("/proc/self/fd"), "descriptors are counted in /proc")  # noqa: PTH112
    def test_nothing_is_left(self) -> None:
        server = self.serve()
        self.assert_served(server)
        server.wait_for("on_close")
        before = len(os.listdir("/proc/self/fd"))
        for number in range(2, 102):
            self.connect(server).close()
            server.wait_for("on_close", number)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class Idle(Serving):
    """Associations without messages."""

    def test_it_is_released(self) -> None:
        server = self.serve(Timeouts(idle=0.3))
        begun = monotonic()
        sock = self.associate(server)
        self.assertEqual(self.answer(sock)[0], 2)
        self.assertEqual(self.answer(sock), RELEASE)
        self.assertTrue(0.25 < monotonic() - begun < 1.3)
        sock.sendall(b"\6\0\0\0\0\4\0\0\0\0")
        self.assertEqual(server.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)
        self.assertEqual(server.statistics.timeouts, {"idle": 1})
        self.assertEqual(server.statistics.aborts, {})

    def test_or_aborted(self) -> None:
        server = self.serve(Timeouts(idle=0.2, idle_aborts=True))
        sock = self.associate(server)
        self.assertEqual(self.answer(sock)[0], 2)
        self.assertEqual(self.answer(sock)[0], 7)
        self.assertEqual(server.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)

    def test_a_release_that_is_not_answered(self) -> None:
        server = self.serve(Timeouts(idle=0.2, release=0.3))
        sock = self.associate(server)
        self.assertEqual([self.answer(sock)[0] for _ in range(3)], [2, 5, 7])
        server.wait_for("on_close")
        self.assertEqual(server.statistics.timeouts, {"idle": 1, "release": 1})

    def test_messages_keep_it(self) -> None:
        client = self.requestor()
        client.timeouts = Timeouts(idle=0.4)
        server = self.serve(Timeouts(idle=0.4))
        associate_with(client, server)
        pause, begun, count = threading.Event(), monotonic(), 0
        while monotonic() < begun + 1.2:
            count += 1
            client.send_c_echo_request(1, count)
            client.wait_for("on_receive_c_echo_response", count)
            pause.wait(0.1)
        self.assertTrue(client.is_associated())
        client.wait_for("on_close")
        self.assertLess(monotonic() - begun, 1.2 + 0.4 + 1)

    def test_half_a_message_keeps_it(self) -> None:
        """That has a deadline of its own."""
        server = self.serve(Timeouts(idle=0.2, pdu=SECONDS))
        sock = self.associate(server)
        self.assertEqual(self.answer(sock)[0], 2)
        echo = build(BY_NAME["c_echo_request"], 1, (1, VERIFICATION), False).command_set
        pdu = DataTransfer([DataValue(1, True, True, echo)]).encode()
        sock.sendall(pdu[:20])
        threading.Event().wait(0.6)
        sock.sendall(pdu[20:])
        self.assertEqual(self.answer(sock)[0], 4)

    def test_waiting_for_a_hook_costs_nothing(self) -> None:
        """The reader wakes when the idle time might have passed, not a thousand times a second."""
        gate, reads = threading.Event(), 0
        self.addCleanup(gate.set)

        class Working(Recorder):
            """Answers late."""

            @background
            def on_receive_c_echo_request(self, *arguments: Any) -> None:  # type: ignore[override]
                """In its own time."""
                self.note("begun")
                gate.wait(SECONDS)
                self.send_c_echo_response(*arguments, Status.SUCCESS)

        server = Working()
        self.addCleanup(server.server_close)
        server.answers["on_receive_associate_request"] = accept_all
        server.timeouts = Timeouts(idle=0.1)
        server.listen("127.0.0.1")
        client = self.requestor()
        associate_with(client, server)
        client.send_c_echo_request(1, 1)
        accepted = server.get_client(0)
        assert isinstance(accepted, Working) and accepted._conversation is not None
        accepted.wait_for("begun")
        transport = accepted._conversation.engine.transport
        real = transport.read_into

        def read_into(*arguments: Any) -> int:
            nonlocal reads
            reads += 1
            return real(*arguments)

        transport.read_into = read_into  # type: ignore[method-assign]
        threading.Event().wait(0.6)
        self.assertLess(reads, 30)
        gate.set()
        client.wait_for("on_receive_c_echo_response")

    def test_a_hook_at_work_keeps_it(self) -> None:
        """And an operation of ours that has not been answered."""
        gate = threading.Event()
        self.addCleanup(gate.set)

        class Working(Recorder):
            """Answers late."""

            @background
            def on_receive_c_store_request(self, *arguments: Any) -> None:  # type: ignore[override]
                """In its own time."""
                gate.wait(SECONDS)
                self.send_c_store_response(*arguments[:4], Status.SUCCESS)

        server, client = Working(), self.requestor()
        self.addCleanup(server.server_close)
        server.answers["on_receive_associate_request"] = accept_all
        server.timeouts = client.timeouts = Timeouts(idle=0.15)
        server.listen("127.0.0.1")
        associate_with(client, server)
        client.send_c_store_request(3, 1, CT, "1.2.3", dataset=OBJECT)
        threading.Event().wait(0.5)
        self.assertTrue(client.is_associated())
        gate.set()
        self.assertEqual(client.wait_for("on_receive_c_store_response")[4], Status.SUCCESS)
        client.wait_for("on_close")


class Draining(Serving):
    """`drain`: no more come, those who are there finish, and nobody is waited for without end."""

    def drained(self, server: Recorder, seconds: float | None = None) -> tuple[threading.Thread, list[float]]:
        """`drain` on a thread, and how long it took."""
        took: list[float] = []

        def drain() -> None:
            begun = monotonic()
            server.drain(seconds)
            took.append(monotonic() - begun)

        thread = threading.Thread(target=drain)
        thread.start()
        self.addCleanup(thread.join, SECONDS)
        return thread, took

    def test_without_connections(self) -> None:
        server = self.serve()
        begun = monotonic()
        server.drain()
        self.assertLess(monotonic() - begun, 1)
        self.assertFalse(server.is_activated())

    def test_an_association_finishes(self) -> None:
        server = self.serve()
        client = self.requestor()
        associate_with(client, server)
        thread, _took = self.drained(server, SECONDS)
        self.wait_until(lambda: not server.is_activated())
        with self.assertRaises(OSError):
            self.connect(server)
        for number in (1, 2):
            client.send_c_store_request(3, number, CT, f"1.2.{number}", dataset=OBJECT)
            client.wait_for("on_receive_c_store_response", number)
        self.assertTrue(thread.is_alive())
        client.send_release_request()
        self.assertEqual(client.wait_for("on_close")[0], ErrorCode.SUCCESS)
        thread.join(SECONDS)
        self.assertFalse(thread.is_alive())
        self.assertEqual(server.get_client_count(), 0)
        self.assertEqual(server.statistics.endings, {ErrorCode.SUCCESS: 1})

    def test_what_has_not_ended_by_then_is_aborted(self) -> None:
        server = self.serve()
        sock = self.associate(server)
        self.assertEqual(self.answer(sock)[0], 2)
        begun = monotonic()
        server.drain(0.2)
        self.assertTrue(0.2 <= monotonic() - begun < 1.2)
        self.assertEqual(self.answer(sock), b"\7\0\0\0\0\4\0\0\0\0")
        self.assertEqual((server.get_client_count(), server.count("on_close")), (0, 1))

    def test_connections_without_an_association_are_closed_at_once(self) -> None:
        server = self.serve()
        silent = self.connect(server)
        associated = self.associate(server)
        self.assertEqual(self.answer(associated)[0], 2)
        _thread, _took = self.drained(server, SECONDS)
        self.assertEqual(self.answer(silent), b"")
        associated.sendall(RELEASE)
        self.assertEqual(self.answer(associated)[0], 6)
        associated.close()

    def test_who_asks_now_is_rejected(self) -> None:
        server = self.serve()
        hold, held = threading.Event(), threading.Event()
        self.addCleanup(hold.set)

        def slow(net: Recorder, associate: Any) -> None:
            held.set()
            hold.wait(SECONDS)
            accept_all(net, associate)

        server.answers["on_receive_associate_request"] = slow
        first = self.associate(server)
        self.assertTrue(held.wait(SECONDS))
        server._clients.admission.close()
        self.assertEqual(self.answer(self.associate(server)), LIMIT)
        hold.set()
        self.assertEqual(self.answer(first)[0], 2)

    def test_in_a_hook(self) -> None:
        """A connection does not wait for itself."""
        server = self.serve()
        took: list[float] = []

        def drain(net: Recorder, context: int, message_id: int, sop_class: str) -> None:
            begun = monotonic()
            server.drain(SECONDS)
            took.append(monotonic() - begun)
            net.send_c_echo_response(context, message_id, sop_class, Status.SUCCESS)

        server.answers["on_receive_c_echo_request"] = drain
        client = self.requestor()
        associate_with(client, server)
        client.send_c_echo_request(1, 1)
        self.assertEqual(client.wait_for("on_receive_c_echo_response")[3], Status.SUCCESS)
        self.assertLess(took[0], 1)

    def test_all_together_and_not_one_after_the_other(self) -> None:
        """Hooks that never return are not waited for, each in its turn."""
        gate = threading.Event()
        server = self.serve(Timeouts(shutdown=0.3))
        self.addCleanup(gate.set)
        server.answers["on_receive_c_echo_request"] = lambda *_: gate.wait(SECONDS)
        clients = []
        for _ in range(6):
            client = self.requestor()
            associate_with(client, server)
            client.send_c_echo_request(1, 1)
            clients.append(client)
        begun = monotonic()
        server.drain(0.2)
        self.assertLess(monotonic() - begun, 0.2 + 0.3 + 0.5)
        for client in clients:
            client.wait_for("on_receive_abort")
        self.assertLess(monotonic() - begun, 0.2 + 0.3 + 0.8)

    def test_times_that_the_system_cannot_count(self) -> None:
        for seconds in (float("inf"), 1e12, -5.0):
            with self.subTest(seconds=seconds):
                server = self.serve()
                sock = self.associate(server)
                self.assertEqual(self.answer(sock)[0], 2)
                thread, _took = self.drained(server, seconds)
                if seconds > 0:
                    sock.sendall(RELEASE)
                    self.assertEqual(self.answer(sock)[0], 6)
                sock.close()
                thread.join(SECONDS)
                self.assertFalse(thread.is_alive())

    def test_again_after_it(self) -> None:
        server = self.serve()
        server.drain()
        server.listen("127.0.0.1")
        self.assert_served(server)

    def test_an_object_that_does_not_listen_is_closed(self) -> None:
        client, _end = self.associated_over_tcp()
        client.drain(1)
        self.assertFalse(client.is_connected())

    def test_codes_instead_of_errors(self) -> None:
        net = LDicomNet()
        net.raise_errors = False
        self.assertEqual(net.drain(), ErrorCode.SUCCESS)

    def wait_until(self, condition: Callable[[], object]) -> None:
        """What nobody tells of."""
        until, pause = monotonic() + SECONDS, threading.Event()
        while not condition():
            self.assertLess(monotonic(), until)
            pause.wait(0.002)


class SlowReaders(Serving):
    """A peer that takes a few bytes now and then keeps a send no longer than one that takes none."""

    def test_a_send_that_creeps(self) -> None:
        server = self.serve(Timeouts(send=0.4))
        ended: list[tuple[float, LDicomError]] = []
        begun = threading.Event()

        def flood(net: Recorder, *_: Any) -> None:
            start = monotonic()
            begun.set()
            big = LDicomDS.from_bytes(bytes(64 << 20), EXPLICIT, CT, "1.2.3")
            try:
                net.send_c_store_request(3, 1, CT, "1.2.3", dataset=big)
            except LDicomError as error:
                ended.append((monotonic() - start, error))

        server.answers["on_receive_c_echo_request"] = flood
        sock = self.connect(server)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(request().to_request().encode())
        self.assertEqual(self.answer(sock)[0], 2)
        command = build(BY_NAME["c_echo_request"], 1, (1, VERIFICATION), False).command_set
        sock.sendall(DataTransfer([DataValue(1, True, True, command)]).encode())
        self.assertTrue(begun.wait(SECONDS))
        until, pause = monotonic() + SECONDS, threading.Event()
        with contextlib.suppress(ConnectionError):
            while not ended and monotonic() < until:
                sock.recv(16)
                pause.wait(0.02)
        server.wait_for("on_close")
        seconds, error = ended[0]
        self.assertEqual(error.code, ErrorCode.NET_TIME_OUT)
        self.assertLess(seconds, 0.4 + 1.5)
        self.assertEqual(server.statistics.timeouts, {"send": 1})


if __name__ == "__main__":
    unittest.main()
