"""Every deadline of `Timeouts` as it passes: in its time, by its name in errors, hooks, log and statistics, and nothing
stays of it."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import sys
import tempfile
import threading
import unittest
from contextlib import ExitStack
from time import monotonic
from typing import Any
from unittest import mock

from ldicomnet import ErrorCode, LDicomDS, LDicomError, LDicomNet, LDicomTimeoutError, Limits, Timeouts
from ldicomnet.deadlines import Deadlines

from . import raw
from .leftovers import Baseline
from .raw import Peer
from .support import CT, IMPLICIT, SECONDS, Recorder, accept_all, associate_with, request, wait_until
from .test_securing import Secured

QUICK = 0.4
"""Seconds of the deadline that passes; the others are those of the library."""
SLACK = 1.0
"""Seconds by which it may be late."""
FIELDS = [field.name for field in dataclasses.fields(Timeouts) if field.name != "idle_aborts"]
LARGE = LDicomDS.from_bytes(bytes(64 << 20), IMPLICIT, CT, "1.2.3")
TIMED_OUT = ErrorCode.NET_TIME_OUT


class Ending(Recorder):
    """Notes when a hook is told of an end, of which connection, and which deadline that says it was."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.told: list[tuple[str, ErrorCode, str, float]] = []

    def tell(self, hook: str, error: ErrorCode, net: LDicomNet) -> None:
        """A hook runs."""
        with self.changed:
            self.told.append((hook, error, net.passed_timeout, monotonic()))
            self.changed.notify_all()

    def on_connect(self, error: ErrorCode) -> None:
        """It stands, or not."""
        super().on_connect(error)
        self.tell("on_connect", error, self)

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        """It is over."""
        super().on_close(error, self)  # a Recorder keeps what it is given
        self.tell("on_close", error, net)

    def last(self, hook: str) -> tuple[ErrorCode, str, float]:
        """What a hook was told last, once it was told."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(each[0] == hook for each in self.told), SECONDS), self.calls
            return next(each[1:] for each in reversed(self.told) if each[0] == hook)


class SecuredEnding(Secured, Ending):
    """The same over a layer of security."""


class Lines(logging.Handler):
    """Keeps what the library logs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self.texts.append(record.getMessage())


class Passing(unittest.TestCase):
    """One deadline passes, and no other."""

    stack: ExitStack

    def setUp(self) -> None:
        log, self.lines = logging.getLogger("ldicomnet"), Lines()
        before = log.level, log.propagate
        log.addHandler(self.lines)
        log.setLevel(logging.INFO)
        log.propagate = False
        self.addCleanup(lambda: (log.removeHandler(self.lines), log.setLevel(before[0]),
                                 setattr(log, "propagate", before[1])))  # fmt: skip
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.baseline = Baseline()
        self.stack = self.enterContext(ExitStack())

    # --- who takes part ---------------------------------------------------------------------------------------------

    def end(self, field: str, kind: type[Ending] = Ending, **others: Any) -> Ending:
        """An end of which one deadline is short."""
        net = kind(self.folder)
        net.timeouts = Timeouts(**{field: QUICK}, **others)
        net.limits = Limits(memory_data_set=1000)
        net.answers["on_receive_associate_request"] = accept_all
        self.stack.callback(net.close_forced)
        return net

    def server(self, field: str, kind: type[Ending] = Ending, **others: Any) -> Ending:
        """One that listens."""
        net = self.end(field, kind, **others)
        net.listen("127.0.0.1")
        self.stack.callback(net.server_close)
        return net

    def peer(self, server: Ending) -> Peer:
        """A peer made by hand, associated."""
        peer = Peer.connect(server.get_host_info()[1])
        self.stack.callback(peer.close)
        peer.send(raw.request())
        self.assertTrue(peer.next(monotonic() + SECONDS))
        return peer

    def silent(self, *, full: bool = False) -> tuple[str, int]:
        """The address of a socket that says nothing; one that is `full` does not even let anyone come."""
        listening = self.stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0 if full else 5)
        address: tuple[str, int] = listening.getsockname()
        for _ in range(3 if full else 0):  # Linux takes one more than it was told
            sock = self.stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(address)
        return address

    def client_of(self, server: Ending) -> Ending:
        """The accepted object."""
        client = server.get_client(0)
        assert isinstance(client, Ending)
        return client

    # --- what is checked --------------------------------------------------------------------------------------------

    def passed(
        self, net: Ending, field: str, begun: float, hook: str = "on_close", error: ErrorCode = TIMED_OUT
    ) -> None:
        """It has passed in its time, `net` knows that it was this one, and nothing is left."""
        told, name, when = net.last(hook)
        self.assertEqual((told, name), (error, field))
        self.in_time(when - begun)
        self.assertEqual(net.statistics.timeouts, {field: 1})
        self.nothing_left(field)

    def in_time(self, seconds: float) -> None:
        """So long it took."""
        self.assertTrue(QUICK - 0.02 <= seconds <= QUICK + SLACK, seconds)

    def nothing_left(self, field: str) -> None:
        """And the log names it."""
        self.assertIn(f"(Timeouts.{field})", " ".join(self.lines.texts))
        self.stack.close()
        wait_until(lambda: not os.listdir(self.folder))
        self.assertEqual([each for each in self.baseline.left(SECONDS) if not each.startswith("objects")], [])


class EachOne(Passing):
    """By the names of the fields."""

    def test_all_of_them_are_here(self) -> None:
        tests = {name.removeprefix("test_").split("_")[0] for name in dir(self) if name.startswith("test_")}
        self.assertEqual(set(FIELDS) - tests, set())

    @unittest.skipUnless(sys.platform == "linux", "elsewhere a full backlog refuses")
    def test_connect(self) -> None:
        net, begun = self.end("connect"), monotonic()
        net.connect("", 0, *self.silent(full=True))
        self.passed(net, "connect", begun, "on_connect")

    def test_secure(self) -> None:
        """A server that says nothing."""
        net, begun = self.end("secure", SecuredEnding), monotonic()
        net.connect("", 0, *self.silent())
        self.passed(net, "secure", begun)

    def test_secure_of_a_listening_object(self) -> None:
        server, begun = self.server("secure", SecuredEnding), monotonic()
        self.stack.enter_context(socket.create_connection(server.get_host_info()))
        self.passed(server, "secure", begun)

    def test_artim_and_its_name_within_the_security_layer(self) -> None:
        server, begun = self.server("artim", SecuredEnding), monotonic()
        self.stack.enter_context(socket.create_connection(server.get_host_info()))
        self.passed(server, "artim", begun)

    def test_artim(self) -> None:
        for data in (b"", raw.request()[:-1]):
            with self.subTest(len(data)):
                server, begun = self.server("artim"), monotonic()
                sock = self.stack.enter_context(socket.create_connection(server.get_host_info()))
                sock.sendall(data)
                self.passed(server, "artim", begun)
                self.lines.texts.clear()

    def test_artim_behind_a_release(self) -> None:
        """The association ended in order, and half a PDU that comes then changes nothing about that."""
        server = self.server("artim", pdu=0.1)
        peer = self.peer(server)
        begun = monotonic()
        peer.send(raw.RELEASE + raw.echo()[:10])
        told, name, when = server.last("on_close")
        self.assertEqual((told, name), (ErrorCode.SUCCESS, ""))
        self.in_time(when - begun)
        self.assertEqual(server.statistics.timeouts, {"artim": 1})
        self.nothing_left("artim")

    def test_association(self) -> None:
        net = self.end("association")
        net.connect("", 0, *self.silent())
        net.wait_for("on_connect")
        begun = monotonic()
        net.send_associate_request(request())
        self.passed(net, "association", begun)

    def test_dimse(self) -> None:
        server, net = self.server("artim", idle=None), self.end("dimse")
        server.timeouts.artim = 30
        server.answers["on_receive_c_echo_request"] = lambda *_: None
        associate_with(net, server)
        begun = monotonic()
        net.send_c_echo_request(1, 1)
        self.passed(net, "dimse", begun)

    def test_release(self) -> None:
        server, net = self.server("connect"), self.end("release")
        server.answers["on_receive_release_request"] = lambda *_: None
        associate_with(net, server)
        begun = monotonic()
        net.send_release_request()
        self.passed(net, "release", begun)

    def test_pdu(self) -> None:
        """A message that breaks off, the beginning of which is in a temporary file."""
        server = self.server("pdu")
        peer = self.peer(server)
        begun = monotonic()
        peer.send(raw.store("1.2.3", bytes(120_000))[:-10])
        wait_until(lambda: os.listdir(self.folder))
        self.passed(server, "pdu", begun)

    def test_send(self) -> None:
        """The peer reads nothing; what is told by the error, on_close tells as well."""
        server = self.server("send")
        self.peer(server)
        net, begun = self.client_of(server), monotonic()
        with self.assertRaisesRegex(LDicomTimeoutError, r"\(Timeouts.send\)") as caught:
            net.send_c_store_request(3, 1, CT, "1.2.3", dataset=LARGE)
        self.assertEqual((caught.exception.timeout, caught.exception.code), ("send", TIMED_OUT))
        del caught
        begun_reading = server.last("on_close")[2]
        self.assertLess(begun_reading - begun, 2 * QUICK + SLACK, "what the kernel takes is not waited for")
        self.passed(server, "send", begun_reading - QUICK)

    def test_idle(self) -> None:
        for aborts in (True, False):
            with self.subTest(aborts=aborts):
                server = self.server("idle", idle_aborts=aborts)
                begun, peer = monotonic(), self.peer(server)
                self.assertTrue(peer.next(monotonic() + SECONDS))
                self.in_time(monotonic() - begun)
                self.assertEqual(peer.transcript[1:], ["ABORT 0 0" if aborts else "RQ"])
                peer.send(b"" if aborts else raw.RELEASED)
                peer.close()
                self.passed(server, "idle", begun)
                self.lines.texts.clear()

    def test_shutdown_and_a_send(self) -> None:
        """`close` lets a send finish, but not for ever; who sends is told that it was closed."""
        server = self.server("shutdown")
        self.peer(server)
        net = self.client_of(server)
        errors: list[LDicomError] = []

        def send() -> None:
            try:
                net.send_c_store_request(3, 1, CT, "1.2.3", dataset=LARGE)
            except LDicomError as error:
                errors.append(error.with_traceback(None))

        sending = threading.Thread(target=send)
        sending.start()
        wait_until(lambda: net.get_queue_send() > 0)
        begun = monotonic()
        net.close()
        self.in_time(monotonic() - begun)
        sending.join(SECONDS)
        self.assertEqual(len(errors), 1)
        self.passed(server, "shutdown", begun, error=ErrorCode.SUCCESS)

    def test_shutdown_and_a_hook(self) -> None:
        """`close` waits for a hook, but not for ever; it goes on, and so the connection has its end later."""
        server = self.server("shutdown")
        entered, goes_on = threading.Event(), threading.Event()
        server.answers["on_receive_c_echo_request"] = lambda *_: (entered.set(), goes_on.wait(SECONDS))
        peer = self.peer(server)
        peer.send(raw.echo())
        self.assertTrue(entered.wait(SECONDS))
        begun = monotonic()
        self.client_of(server).close()
        self.in_time(monotonic() - begun)
        goes_on.set()
        told, _name, _when = server.last("on_close")
        self.assertEqual(told, ErrorCode.SUCCESS)
        self.assertEqual(server.statistics.timeouts, {"shutdown": 1})
        self.nothing_left("shutdown")

    def test_shutdown_and_both(self) -> None:
        """What was waited for a send is not waited for a hook again."""
        server, seconds = self.server("shutdown"), 2 * SLACK
        server.timeouts.shutdown = seconds
        entered, goes_on = threading.Event(), threading.Event()
        server.answers["on_receive_c_echo_request"] = lambda *_: (entered.set(), goes_on.wait(SECONDS))
        self.addCleanup(goes_on.set)
        self.peer(server).send(raw.echo())
        self.assertTrue(entered.wait(SECONDS))
        net = self.client_of(server)
        net.raise_errors = False
        sending = threading.Thread(target=net.send_c_store_request, args=(3, 1, CT, "1.2.3"), kwargs={"dataset": LARGE})
        sending.start()
        wait_until(lambda: net.get_queue_send() > 0)
        begun = monotonic()
        net.close()
        self.assertLess(monotonic() - begun, seconds + SLACK)
        goes_on.set()
        sending.join(SECONDS)
        self.assertEqual(server.last("on_close")[0], ErrorCode.SUCCESS)

    def test_shutdown_and_an_association(self) -> None:
        """`drain` lets it come to its end, but not for ever."""
        server = self.server("shutdown")
        peer = self.peer(server)
        begun = monotonic()
        server.drain()
        peer.pause(SECONDS)
        self.assertEqual(peer.transcript[1:], ["ABORT 0 0", "END"])
        self.passed(server, "shutdown", begun, error=ErrorCode.SUCCESS)


class Errors(Passing):
    """Methods that wait raise it by its name, and the association goes on."""

    def test_a_full_window(self) -> None:
        server, net = self.server("connect"), self.end("dimse")
        server.answers["on_receive_c_echo_request"] = lambda *_: None
        net.connect("", 0, *server.get_host_info())
        net.wait_for("on_connect")
        associate = request()
        associate.set_async_operations(True, 1, 1)
        net.send_associate_request(associate)
        net.wait_for("on_receive_associate_accept")
        net.send_c_echo_request(1, 1)
        with self.assertRaises(LDicomError) as caught:
            net.send_c_echo_request(1, 2)
        if isinstance(caught.exception, LDicomTimeoutError):  # else the reader was quicker, and the association is over
            self.assertEqual(caught.exception.timeout, "dimse")
        self.assertEqual(net.last("on_close")[:2], (TIMED_OUT, "dimse"))

    def test_each_names_itself(self) -> None:
        error = LDicomTimeoutError("nothing came", "pdu")
        self.assertEqual((error.timeout, str(error)), ("pdu", "nothing came [NET_TIME_OUT] (Timeouts.pdu)"))
        self.assertEqual((LDicomTimeoutError("x").timeout, str(LDicomTimeoutError("x"))), ("", "x [NET_TIME_OUT]"))

    def test_an_abort_just_when_the_rest_of_a_message_is_awaited(self) -> None:
        """Behind an abort of our own nothing but ARTIM runs, at whatever moment another thread aborts."""
        server = self.server("artim", pdu=QUICK / 2)
        peer, begin_rest = self.peer(server), Deadlines.begin_rest

        def abort_first(deadlines: Deadlines, payload: int) -> None:
            if net.is_associated():
                aborting = threading.Thread(target=net.send_abort, args=(0, 0))
                aborting.start()
                aborting.join(SECONDS)
            begin_rest(deadlines, payload)

        net, begun = self.client_of(server), monotonic()
        with mock.patch.object(Deadlines, "begin_rest", abort_first):
            peer.send(raw.echo()[:-1])
            self.assertEqual(server.last("on_close")[:2], (ErrorCode.SUCCESS, ""))
        self.in_time(monotonic() - begun)
        self.assertEqual(server.statistics.timeouts, {"artim": 1})

    def test_an_ending_that_is_no_deadline(self) -> None:
        server = self.server("connect")
        net = self.end("connect")
        self.assertEqual(net.passed_timeout, "")
        associate_with(net, server)
        net.send_release_request()
        self.assertEqual(net.last("on_close")[:2], (ErrorCode.SUCCESS, ""))

    def test_one_object_after_another_connection(self) -> None:
        """The next connection has an ending of its own."""
        net = self.end("association")
        net.connect("", 0, *self.silent())
        net.wait_for("on_connect")
        net.send_associate_request(request())
        self.assertEqual(net.last("on_close")[:2], (TIMED_OUT, "association"))
        net.close()
        server = self.server("connect")
        net.connect("", 0, *server.get_host_info())
        self.assertEqual(net.passed_timeout, "")


if __name__ == "__main__":
    unittest.main()
