"""How a connection gets its security layer, whichever that is: in time, told once, and before anything else."""

from __future__ import annotations

import socket
import threading
import unittest
from collections.abc import Callable
from time import monotonic
from typing import Any

from ldicomnet import (
    ErrorCode,
    LDicomError,
    LDicomSecurityError,
    LDicomTimeoutError,
    LDicomTransportError,
    LDicomUsageError,
    Timeouts,
)
from ldicomnet.transport import Buffer, Transport
from tests.support import SECONDS, Ends, Recorder, accept_all, request

HELLO = b"hello"


class Layer:
    """A security layer of one word each way; `refuses` says what is wrong with it. All else is the transport below."""

    is_secure = True

    def __init__(self, below: Transport, refuses: Callable[[], None]) -> None:
        self._below = below
        self._refuses = refuses

    def secure(self, seconds: float | None) -> bool:
        until = None if seconds is None else monotonic() + seconds
        self._below.write([HELLO])
        heard = b""
        while len(heard) < len(HELLO):
            left = None if until is None else until - monotonic()
            if left is not None and left <= 0:
                raise LDicomTimeoutError("the word was not heard in time")
            self._below.set_timeout(left)
            buffer = bytearray(len(HELLO) - len(heard))
            count = self._below.read_into(memoryview(buffer), True)
            if not count and not heard:
                return False
            if not count:
                raise LDicomTransportError(ErrorCode.NET_CONNECTION_ABORTED, "the peer left in the middle")
            heard += buffer[:count]
        if heard != HELLO:
            raise LDicomSecurityError(ErrorCode.TLS_UNEXPECTED_MESSAGE, "another word was heard")
        self._refuses()
        return True

    def write(self, buffers: list[Buffer], more: bool = False) -> None:
        self._below.write(buffers, more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)


class Secured(Recorder):
    """An end with that layer on all its connections."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.refuses: Callable[[], None] = lambda: None

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        self.note("on_secure_link_ready", error)
        if "on_secure_link_ready" in self.answers:
            self.answers["on_secure_link_ready"](self, error)

    def _layered(self, transport: Transport, requestor: bool) -> Transport:
        return Layer(transport, self.refuses)

    def create_client(self) -> Secured:
        client = super().create_client()
        assert isinstance(client, Secured)
        client.refuses = self.refuses
        return client


class Securing(Ends):
    """Over memory and over TCP."""

    def secured(self, timeouts: Timeouts | None = None) -> Secured:
        net = Secured()
        net.answers["on_receive_associate_request"] = accept_all
        net.timeouts = timeouts or Timeouts()
        self.addCleanup(net.close_forced)
        return net

    def listening(self, timeouts: Timeouts | None = None) -> Secured:
        net = self.secured(timeouts)
        net.listen("127.0.0.1")
        self.addCleanup(net.server_close)
        return net

    def raw(self, server: Secured) -> socket.socket:
        return self.enterContext(socket.create_connection(server.get_host_info(), SECONDS))

    def test_both_sides_are_told_and_then_associate(self) -> None:
        requestor, acceptor = self.secured(), self.secured()
        self.join(requestor, acceptor)
        for net in (requestor, acceptor):
            self.assertEqual(net.wait_for("on_secure_link_ready"), (ErrorCode.SUCCESS,))
        requestor.send_associate_request(request())
        requestor.wait_for("on_receive_associate_accept")
        self.assertEqual(requestor.names()[:2], ["on_connect", "on_secure_link_ready"])
        self.assertEqual(acceptor.names()[:2], ["on_secure_link_ready", "on_receive_associate_request"])

    def test_nothing_can_be_sent_before(self) -> None:
        requestor, acceptor = self.secured(), self.secured()
        errors: list[LDicomError] = []

        def hasty(net: Recorder, error: ErrorCode) -> None:
            with self.assertRaises(LDicomUsageError) as caught:
                net.send_associate_request(request())
            errors.append(caught.exception)

        requestor.answers["on_connect"] = hasty
        self.join(requestor, acceptor)
        self.assertEqual(requestor.wait_for("on_secure_link_ready"), (ErrorCode.SUCCESS,))
        self.assertEqual([error.code for error in errors], [ErrorCode.NET_NOT_CONNECTED])
        self.assertIn("on_secure_link_ready", str(errors[0]))
        requestor.send_associate_request(request())
        requestor.wait_for("on_receive_associate_accept")

    def test_plain_connections_are_not_told(self) -> None:
        told: list[ErrorCode] = []
        requestor, acceptor = self.requestor(), self.acceptor()
        requestor.on_secure_link_ready = told.append  # type: ignore[method-assign]
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request())
        requestor.wait_for("on_receive_associate_accept")
        self.assertEqual(told, [])

    def test_a_refusal_is_told_once_and_ends_it(self) -> None:
        def refuse() -> None:
            raise LDicomSecurityError(ErrorCode.TLS_ACCESS_DENIED, "not you")

        for requests in (True, False):
            with self.subTest(requests=requests):
                refuser, other = self.secured(), self.secured()
                refuser.refuses = refuse
                with self.assertLogs("ldicomnet.engine", "WARNING") as logs:
                    self.join(*((refuser, other) if requests else (other, refuser)))
                    code, net = refuser.wait_for("on_close")
                self.assertEqual((code, net), (ErrorCode.TLS_ACCESS_DENIED, refuser))
                self.assertEqual(refuser.wait_for("on_secure_link_ready"), (ErrorCode.TLS_ACCESS_DENIED,))
                self.assertEqual(refuser.count("on_secure_link_ready"), 1)
                mine = [line for line in logs.output if "not you" in line]
                self.assertEqual(len(mine), 1, logs.output)
                self.assertEqual(refuser.statistics.endings, {ErrorCode.TLS_ACCESS_DENIED: 1})
                self.assertEqual(refuser.statistics.connections, 1)
                other.wait_for("on_close")

    def test_another_word_on_either_side(self) -> None:
        server = self.listening()
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            self.raw(server).sendall(b"HELLO WORLD")
            self.assertEqual(server.wait_for("on_close")[0], ErrorCode.TLS_UNEXPECTED_MESSAGE)

    def test_a_failure_of_the_layer_itself(self) -> None:
        """Or of a hook that the layer calls, and that thinks it ends its thread."""
        for kind in (ZeroDivisionError, SystemExit):

            def fail(kind: type[BaseException] = kind) -> None:
                raise kind

            refuser, other = self.secured(), self.secured()
            refuser.refuses = fail
            with self.subTest(kind), self.assertLogs("ldicomnet.engine", "WARNING") as logs:
                self.join(refuser, other)
                self.assertEqual(refuser.wait_for("on_close")[0], ErrorCode.NET_FAILURE)
            self.assertIn(kind.__name__, "".join(logs.output))
            self.assertEqual(refuser.wait_for("on_secure_link_ready"), (ErrorCode.NET_FAILURE,))

    def test_the_hook_raises(self) -> None:
        def fail(_net: Recorder, _error: ErrorCode) -> None:
            raise ZeroDivisionError

        for requests in (True, False):
            with self.subTest(requests=requests), self.assertLogs("ldicomnet.net", "ERROR"):
                failing, other = self.secured(), self.secured()
                failing.answers["on_secure_link_ready"] = fail
                self.join(*((failing, other) if requests else (other, failing)))
                failing.wait_for("on_close")
                other.wait_for("on_close")

    def test_a_silent_client_costs_its_time_and_no_thread(self) -> None:
        server = self.listening(Timeouts(secure=0.3))
        before = threading.active_count()
        began = monotonic()
        with self.assertLogs("ldicomnet.engine", "WARNING") as logs:
            silent = [self.raw(server) for _ in range(3)]
            while server.get_client_count() < 3:
                self.assertLess(monotonic(), began + SECONDS)
            clients = [server.get_client(number) for number in range(3)]
            self.assertLessEqual(threading.active_count(), before + 1)
            server.wait_for("on_close", 3)
        self.assertEqual(len(logs.output), 3, logs.output)
        self.assertLess(monotonic() - began, 5)
        self.assertEqual(server.statistics.timeouts, {"secure": 3})
        self.assertEqual(server.statistics.endings, {ErrorCode.NET_TIME_OUT: 3})
        for client in clients:
            assert isinstance(client, Secured)
            self.assertEqual(client.wait_for("on_secure_link_ready"), (ErrorCode.NET_TIME_OUT,))
        del silent

    def test_artim_ends_it_too(self) -> None:
        server = self.listening(Timeouts(artim=0.3))
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            peer = self.raw(server)
            server.wait_for("on_close")
        self.assertEqual(server.statistics.timeouts, {"artim": 1})
        del peer

    def test_a_trickle_gains_no_time(self) -> None:
        server = self.listening(Timeouts(secure=0.5))
        began = monotonic()
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            peer = self.raw(server)
            peer.sendall(HELLO[:1])
            peer.settimeout(0.2)
            with self.assertRaises(OSError):
                peer.recv(100)  # the server's word
                while peer.send(b"") == 0:
                    peer.recv(1)
            server.wait_for("on_close")
        self.assertLess(monotonic() - began, 3)
        self.assertEqual(server.statistics.timeouts, {"secure": 1})

    def test_a_silent_server(self) -> None:
        listener = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        requestor = self.secured(Timeouts(secure=0.3))
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            requestor.connect("", 0, *listener.getsockname())
            self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)
        self.assertEqual(requestor.names(), ["on_connect", "on_secure_link_ready", "on_close"])
        self.assertEqual(requestor.statistics.timeouts, {"secure": 1})

    def test_a_server_that_closes_at_once(self) -> None:
        listener = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        requestor = self.secured()
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            requestor.connect("", 0, *listener.getsockname())
            sock = listener.accept()[0]
            sock.recv(100)
            sock.close()
            self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.NET_CONNECTION_ABORTED)
        self.assertEqual(requestor.wait_for("on_secure_link_ready"), (ErrorCode.NET_CONNECTION_ABORTED,))

    def test_probes_stay_quiet(self) -> None:
        server = self.listening()
        with self.assertNoLogs("ldicomnet", "INFO"):
            for count in (1, 2, 3):
                self.raw(server).close()
                _error, client = server.wait_for("on_close", count)
                self.assertEqual(client.count("on_secure_link_ready"), 0)
        self.assertEqual(server.statistics.probes, 3)
        self.assertEqual(server.statistics.endings.total(), 3)

    def test_a_peer_that_leaves_in_the_middle(self) -> None:
        server = self.listening()
        with self.assertLogs("ldicomnet.engine", "WARNING") as logs:
            peer = self.raw(server)
            peer.sendall(HELLO[:2])
            peer.shutdown(socket.SHUT_WR)
            self.assertEqual(server.wait_for("on_close")[0], ErrorCode.NET_CONNECTION_ABORTED)
        self.assertEqual(len(logs.output), 1)
        self.assertEqual(server.statistics.probes, 0)

    def test_closed_meanwhile_by_this_side(self) -> None:
        listener = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        requestor = self.secured()
        with self.assertNoLogs("ldicomnet.engine", "WARNING"):
            requestor.connect("", 0, *listener.getsockname())
            peer = listener.accept()[0]
            self.addCleanup(peer.close)
            peer.recv(100)  # it waits for our word now
            began = monotonic()
            requestor.close_forced()
            self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.SUCCESS)
        self.assertLess(monotonic() - began, 2)
        self.assertEqual(requestor.wait_for("on_secure_link_ready"), (ErrorCode.NET_BLOCKING_CANCELED,))


if __name__ == "__main__":
    unittest.main()
