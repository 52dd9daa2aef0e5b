"""`on_progress_status` on both sides, and what ends a message in its middle: from it, and from another thread."""

from __future__ import annotations

import gc
import os
import socket
import tempfile
import threading
import unittest
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

from ldicomnet import (
    ANY_TRANSFER,
    AbortReason,
    AbortSource,
    ErrorCode,
    LDicomAssociate,
    LDicomDS,
    LDicomError,
    LDicomNet,
    Message,
    SocketOptions,
    Status,
)
from ldicomnet.part10 import encode_header
from ldicomnet.threads import let_idle_end
from ldicomnet.transport.memory import pair
from ldicomnet.transport.tcp import TcpTransport

from . import raw
from .support import CT, EXPLICIT, IMPLICIT, SECONDS, Ends, Recorder, associate_with, request

MB = 1 << 20
LARGE = 64 * MB
AT_ONCE = 2.0
"""Seconds within which a message that is being sent has to break off."""
LONGEST = 16384
BATCH = MB // (LONGEST - 6) * (LONGEST - 6)
"""Bytes that leave between two reports, in PDUs of 16 KB."""
ABORT = raw.abort(AbortSource.USER, AbortReason.UNKNOWN)
EVERY = 0.05
"""Seconds between two reports."""
OFTEN = 1.02 * EVERY
FDS = Path("/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd")


class Reporter(Recorder):
    """Notes its progress, and keeps no data sets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reports: list[tuple[int, int, int | None]] = []
        self.then: Callable[[], None] = lambda: None

    def create_client(self) -> Recorder:
        client = super().create_client()
        assert isinstance(client, Reporter)
        client.reports = self.reports
        return client

    def on_progress_status(self, sent: int, received: int, total: int | None) -> None:
        self.reports.append((sent, received, total))
        self.then()

    def on_begin_data(self, presentation_id: int, message: Message) -> Any:
        return None if message.name != "c_store_request" else Nowhere()


class Nowhere:
    """A file object that keeps nothing."""

    def write(self, data: memoryview) -> int:
        """Say that all was written."""
        return len(data)


class Clock:
    """A clock that goes on by so many seconds whenever it is read."""

    def __init__(self, step: float) -> None:
        self.now, self.step, self.reads = 1000.0, step, 0

    def __call__(self) -> float:
        self.now += self.step
        self.reads += 1
        return self.now


def accepted(net: LDicomNet, associate: LDicomAssociate) -> None:
    """An answer to `on_receive_associate_request`."""
    net.send_associate_accept(associate.accept(lambda uid: ANY_TRANSFER, max_length=LONGEST))


def stored(net: Recorder, context: int, message_id: int, sop_class: str, instance: str, *_: Any) -> None:
    """An answer to `on_receive_c_store_request`."""
    net.send_c_store_response(context, message_id, sop_class, instance, Status.SUCCESS)


class Progress(Ends):
    """What is told, with ends that talk over TCP."""

    def ends(self, sender: bool, receiver: bool) -> tuple[Reporter, Reporter]:
        """Both ends, each of which is told or not."""
        server, client = Reporter(), Reporter()
        for net, enabled in ((server, receiver), (client, sender)):
            self.addCleanup(net.server_close)
            net.enable_progress_event = enabled
        server.answers |= {"on_receive_associate_request": accepted, "on_receive_c_store_request": stored}
        server.listen("127.0.0.1")
        associate_with(client, server)
        return client, server

    def send(self, client: Reporter, size: int, number: int = 1) -> None:
        """One object, to its answer."""
        dataset = LDicomDS.from_bytes(bytes(size), EXPLICIT)
        client.send_c_store_request(3, number, CT, "1.2.3", dataset=dataset)
        self.assertEqual(client.wait_for("on_receive_c_store_response", number)[-1], Status.SUCCESS)

    def test_both_sides(self) -> None:
        for size in (2, 8192, 16378, 16380, BATCH, BATCH + 2, 5 * MB):
            with self.subTest(size=size), mock.patch("ldicomnet.conversation.monotonic", Clock(OFTEN)):
                client, server = self.ends(True, True)
                self.send(client, size)
                sent, received = client.reports, server.reports
                self.assertEqual([report[1:] for report in sent], [(0, size)] * len(sent))
                self.assertEqual(sent[-1], (size, 0, size))
                self.assert_rises([report[0] for report in sent], size)
                self.assertEqual(len(sent), -(-size // BATCH), "one for each write")
                self.assertEqual({(report[0], report[2]) for report in received[:-1]} - {(0, None)}, set())
                self.assertEqual(received[-1], (0, size, size))
                self.assert_rises([report[1] for report in received], size)

    def assert_rises(self, told: list[int], size: int) -> None:
        self.assertEqual(told, sorted(told))
        self.assertEqual(told.count(size), 1, "the end is told once")
        self.assertGreaterEqual(told[0], 0)

    def test_each_message_ends_with_its_total(self) -> None:
        client, server = self.ends(True, True)
        with mock.patch("ldicomnet.conversation.monotonic", Clock(0)):
            for number in (1, 2, 3):
                self.send(client, number * 1000, number)
        self.assertEqual(client.reports, [(size, 0, size) for size in (1000, 2000, 3000)])
        self.assertEqual([report for report in server.reports if report[2]], [(0, n, n) for n in (1000, 2000, 3000)])

    def test_an_empty_data_set(self) -> None:
        client, server = self.ends(True, True)
        self.send(client, 0)
        self.assertEqual(client.reports, [(0, 0, 0)])
        self.assertEqual(server.reports[-1:], [(0, 0, 0)])

    def test_no_data_set(self) -> None:
        client, server = self.ends(True, True)
        client.send_c_echo_request(1, 1)
        client.wait_for("on_receive_c_echo_response")
        self.assertEqual((client.reports, server.reports), ([], []))

    def test_from_a_file(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        path, size = folder / "sent.dcm", 3 * MB
        header = encode_header(CT, "1.2.3", EXPLICIT)
        path.write_bytes(header)
        os.truncate(path, len(header) + size)
        client, _server = self.ends(True, False)
        with mock.patch("ldicomnet.conversation.monotonic", Clock(OFTEN)):
            client.send_c_store_request(3, 1, CT, "1.2.3", dataset=str(path))
        self.assertEqual(client.reports[-1], (size, 0, size))
        self.assert_rises([report[0] for report in client.reports], size)

    def test_not_too_often(self) -> None:
        """At a standing clock the first and the last; then one for each twentieth of a second."""
        writes = 21
        for step, reports in ((0.0, 2), (OFTEN / 5, 5), (OFTEN / 2, 11), (OFTEN, writes), (1.0, writes)):
            with self.subTest(step=step):
                client, server = self.ends(True, False)
                clock = Clock(step)
                with mock.patch("ldicomnet.conversation.monotonic", clock):
                    self.send(client, writes * BATCH)
                self.assertEqual(clock.reads, writes)
                self.assertEqual(len(client.reports), reports)
                self.assertEqual(server.reports, [])

    def test_not_too_often_for_the_receiver(self) -> None:
        for step, most in ((0.0, 2), (EVERY / 10, None)):
            with self.subTest(step=step):
                client, server = self.ends(False, True)
                clock = Clock(step)
                with mock.patch("ldicomnet.conversation.monotonic", clock):
                    self.send(client, 8 * MB)
                self.assertEqual(server.reports[-1], (0, 8 * MB, 8 * MB))
                self.assertLessEqual(len(server.reports), most or clock.reads / 9 + 2)
                self.assertEqual(client.reports, [])

    def test_not_enabled(self) -> None:
        client, server = self.ends(False, False)
        with mock.patch("ldicomnet.conversation.monotonic", clock := Clock(1)):
            self.send(client, 3 * MB)
        self.assertEqual((client.reports, server.reports, clock.reads), ([], [], 0))

    def test_a_hook_that_raises(self) -> None:
        client, server = self.ends(True, True)

        def fail() -> None:
            raise ValueError("mine")

        client.then = fail
        with self.assertLogs("ldicomnet", "ERROR"):
            self.send(client, 3 * MB)
        client.then = lambda: None
        self.send(client, 1000, 2)
        self.assertEqual(server.reports[-1], (0, 1000, 1000))


class Watched(TcpTransport):
    """Tells when a part of a data set is about to be written."""

    writing: threading.Event

    def write(self, buffers: list[Any], more: bool = False) -> None:
        if len(buffers) > 4:
            self.writing.set()
        super().write(buffers, more)


class Ending(Ends):
    """A message that is being sent is broken off."""

    def setUp(self) -> None:
        gc.collect()
        let_idle_end(SECONDS)
        self.threads, self.descriptors = set(threading.enumerate()), len(os.listdir(FDS))
        self.errors: list[BaseException | None] = []
        Watched.writing = threading.Event()
        self.enterContext(mock.patch("ldicomnet.net.TcpTransport", Watched))

    def associate(self, small_buffers: bool) -> tuple[Reporter, socket.socket]:
        """Our side, and the socket of a peer that has accepted the association and does not read of itself."""
        net = Reporter()
        self.addCleanup(net.close_forced)
        net.enable_progress_event = True
        if small_buffers:
            net.set_socket_options(SocketOptions(send_buffer_size=32 << 10))
        with socket.socket() as listening:
            if small_buffers:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
            listening.bind((raw.LOOPBACK, 0))
            listening.listen()
            net.connect("", 0, *listening.getsockname())
            listening.settimeout(SECONDS)
            peer = listening.accept()[0]
        self.addCleanup(peer.close)
        net.wait_for("on_connect")
        net.send_associate_request(request())
        peer.settimeout(SECONDS)
        received = b""
        while len(received) < 6 or len(received) < 6 + int.from_bytes(received[2:6], "big"):
            received += peer.recv(1 << 16)
        peer.sendall(raw.accept(raw.answered(1, 0, IMPLICIT), raw.answered(3, 0, EXPLICIT)))
        net.wait_for("on_receive_associate_accept")
        return net, peer

    def send(self, net: Reporter) -> threading.Thread:
        """Send a large body from a thread, which notes the errors of the call."""

        def work() -> None:
            try:
                net.send_c_store_request(3, 1, CT, "1.2.3", dataset=LDicomDS.from_bytes(bytes(LARGE), EXPLICIT))
                self.errors.append(None)
            except BaseException as error:
                self.errors.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def assert_ended(self, net: Reporter, peer: socket.socket, thread: threading.Thread, began: float) -> None:
        """The call has raised one error of ours, at once, and nothing is left."""
        thread.join(SECONDS)
        self.assertLess(monotonic() - began, AT_ONCE)
        self.assertEqual(len(self.errors), 1)
        self.assertIsInstance(self.errors[0], LDicomError, repr(self.errors[0]))
        peer.close()
        net.wait_for("on_close")
        until = monotonic() + SECONDS
        for left in set(threading.enumerate()) - self.threads:
            left.join(max(0.0, until - monotonic()))
        self.assertEqual(set(threading.enumerate()) - self.threads, set())
        self.assertFalse(net.is_activated())
        self.assertEqual(net.get_queue_send(), 0)
        self.assertEqual(len(os.listdir(FDS)), self.descriptors)
        self.assertEqual(net.count("on_close"), 1)
        with self.assertRaises(LDicomError):
            net.send_c_echo_request(1, 2)

    def test_by_another_thread_while_the_peer_reads_nothing(self) -> None:
        ways: dict[str, Callable[[Reporter], Any]] = {
            "abort": lambda net: net.send_abort(AbortSource.USER, AbortReason.UNKNOWN),
            "close_forced": lambda net: net.close_forced(),
        }
        for name, end in ways.items():
            with self.subTest(way=name):
                self.setUp()
                net, peer = self.associate(small_buffers=True)
                thread = self.send(net)
                self.assertTrue(Watched.writing.wait(SECONDS))
                self.assertGreaterEqual(net.get_queue_send(), LARGE)
                began = monotonic()
                end(net)
                self.assertLess(monotonic() - began, AT_ONCE)
                self.assert_ended(net, peer, thread, began)
                self.assertEqual(net.wait_for("on_close")[0], ErrorCode.SUCCESS, "it was ours to end it")

    def test_by_the_peer_that_goes(self) -> None:
        net, peer = self.associate(small_buffers=True)
        thread = self.send(net)
        self.assertTrue(Watched.writing.wait(SECONDS))
        began = monotonic()
        peer.close()
        self.assert_ended(net, peer, thread, began)
        self.assertNotEqual(net.wait_for("on_close")[0], ErrorCode.SUCCESS)

    def test_from_within_on_progress_status(self) -> None:
        ways: dict[str, Callable[[Reporter], Any]] = {
            "abort": lambda net: net.send_abort(AbortSource.USER, AbortReason.UNKNOWN),
            "close_forced": lambda net: net.close_forced(),
            "close": lambda net: net.close(),
        }
        for name, end in ways.items():
            with self.subTest(way=name):
                self.setUp()
                net, peer = self.associate(small_buffers=False)
                times: list[float] = []

                def then(end: Callable[[Reporter], Any] = end, net: Reporter = net) -> None:
                    times.append(monotonic())  # noqa: B023
                    end(net)

                net.then = then
                thread = self.send(net)
                received = self.read(peer, BATCH + BATCH // 2)  # and no more
                thread.join(SECONDS)
                self.assertEqual(len(times), 1, "the message goes no further")
                self.assertEqual(len(net.reports), 1)
                self.assertEqual(received.endswith(ABORT), name == "abort")
                self.assertLess(len(received), BATCH + (64 << 10))
                self.assert_ended(net, peer, thread, times[0])
                self.assertEqual(net.wait_for("on_close")[0], ErrorCode.SUCCESS)

    def read(self, peer: socket.socket, size: int) -> bytes:
        """So many bytes, or up to an abort or the end of the connection."""
        received = bytearray()
        try:
            while len(received) < size and not received.endswith(ABORT):
                data = peer.recv(1 << 18)
                if not data:
                    break
                received += data
        except ConnectionError:
            pass
        return bytes(received)

    def test_abort_on_a_line_that_is_full(self) -> None:
        """The peer has stopped to read just behind a message: nobody writes, and the abort cannot leave."""
        capacity = 1 << 15
        there, back = pair(capacity, 2.5)
        net = self.requestor()
        net.attach(there, requestor=True)
        net.wait_for("on_connect")
        net.send_associate_request(request())
        back.set_timeout(SECONDS)
        back.read_into(memoryview(bytearray(capacity)), False)
        back.write([raw.accept(raw.answered(1, 0, IMPLICIT), raw.answered(3, 0, EXPLICIT))])
        net.wait_for("on_receive_associate_accept")
        net.send_c_store_request(3, 1, CT, "1.2.3", dataset=LDicomDS.from_bytes(bytes(100), EXPLICIT))
        view = memoryview(bytearray(capacity))
        rest = back.read_into(view, False) - 100
        for number in (2, 3, 4):
            size = (10000, 10000, capacity - 2 * 10000 - 3 * rest)[number - 2]
            net.send_c_store_request(3, number, CT, "1.2.3", dataset=LDicomDS.from_bytes(bytes(size), EXPLICIT))
        began = monotonic()
        net.raise_errors = False
        net.send_abort(AbortSource.USER, AbortReason.UNKNOWN)
        self.assertLess(monotonic() - began, AT_ONCE)


if __name__ == "__main__":
    unittest.main()
