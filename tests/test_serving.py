"""A listening object at its limits: what may come, what needs no thread, how it ends, and who is sent away how."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import unittest
from collections.abc import Callable
from time import monotonic
from typing import Any
from unittest import mock

from ldicomnet import ErrorCode, LDicomDS, LDicomError, LDicomNet, Limits, Status, Timeouts, background
from ldicomnet.message import BY_NAME, build
from ldicomnet.pdu import DataTransfer, DataValue
from ldicomnet.threads import let_idle_end

from .support import CT, EXPLICIT, SECONDS, VERIFICATION, Ends, Recorder, accept_all, request

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

    def connect(self, server: Recorder) -> socket.socket:
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

    def assert_served(self, server: Recorder) -> None:
        """A well-behaved client is served."""
        client = self.requestor()
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_connect")
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
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

    def wait_for_clients(self, server: Recorder, count: int) -> None:
        """Until so many were accepted."""
        until = monotonic() + SECONDS
        while server.get_client_count() != count:
            self.assertLess(monotonic(), until)
            threading.Event().wait(0.002)


class WithoutThreads(Connections):
    """A connection that says nothing has no thread, whether it ends or stays."""

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
        server = self.serve()
        for number in range(1, 11):
            self.connect(server).close()
            self.assertEqual(server.wait_for("on_close", number)[0], ErrorCode.SUCCESS)
        self.assertEqual(self.started, ["ldicomnet-accept"])
        self.assertEqual(server.get_client_count(), 0)
        self.assert_served(server)

    def test_one_that_is_reset(self) -> None:
        server = self.serve()
        sock = self.connect(server)
        self.wait_for_clients(server, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with self.assertNoLogs("ldicomnet", "INFO"):
            sock.close()
            server.wait_for("on_close")
        self.assertEqual(self.started, ["ldicomnet-accept"])

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

        def close_all(net: Recorder, *_: Any) -> None:
            if net is server and not waited:
                begun = monotonic()
                server.server_close()
                waited.append(monotonic() - begun)

        server.answers["on_close"] = close_all
        self.connect(server).close()
        self.assertEqual(self.answer(other), b"")
        server.wait_for("on_close", 2)
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
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_connect")
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
        pause, begun, count = threading.Event(), monotonic(), 0
        while monotonic() < begun + 1.2:
            count += 1
            client.send_c_echo_request(1, count)
            client.wait_for("on_receive_c_echo_response", count)
            pause.wait(0.1)
        self.assertTrue(client.is_associated())
        client.wait_for("on_close")
        self.assertLess(monotonic() - begun, 1.2 + 0.4 + 1)

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
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_connect")
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
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
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_connect")
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
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
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_connect")
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
        client.send_c_echo_request(1, 1)
        self.assertEqual(client.wait_for("on_receive_c_echo_response")[3], Status.SUCCESS)
        self.assertLess(took[0], 1)

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
