"""Odd calls at odd times: each ends in one error or none, and leaves what was there as it was."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

from ldicomnet import (
    ErrorCode,
    IpType,
    LDicomAssociate,
    LDicomDS,
    LDicomError,
    LDicomNet,
    LDicomTransportError,
    LDicomUsageError,
    SecureMode,
    SocketOptions,
    Timeouts,
)
from ldicomnet.body import FileBody, MemoryBody

from .support import CT, EXPLICIT, IMPLICIT, SECONDS, VERIFICATION, Ends, Recorder, accept_all, associate_with, request


class HalfSent(Ends):
    """A message that breaks off in its middle ends the connection: nothing else may go into it."""

    class Breaking:
        """A body that fails after its first megabyte."""

        size = 8 << 20

        def open(self) -> BinaryIO:
            raise AssertionError

        def chunks(self, size: int) -> Iterator[memoryview]:
            yield memoryview(bytes((1 << 20) // size * size))
            raise MemoryError

    def test_by_any_exception(self) -> None:
        requestor, acceptor = self.associated((CT, EXPLICIT))
        with self.assertRaises(MemoryError):
            requestor.send_c_store_request(1, 1, CT, "1.2", dataset=LDicomDS(self.Breaking(), EXPLICIT))
        self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.NET_FAILURE)
        acceptor.wait_for("on_close")
        with self.assertRaises(LDicomUsageError):
            requestor.send_c_echo_request(1, 2, CT)

    def test_by_a_file_that_became_shorter(self) -> None:
        requestor, acceptor = self.associated((CT, EXPLICIT))
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(6 << 20)
            body = FileBody(Path(file.name), 0)
            file.truncate(3 << 20)
            with self.assertRaises(LDicomError) as caught:
                requestor.send_c_store_request(1, 1, CT, "1.2", dataset=LDicomDS(body, EXPLICIT))
        self.assertEqual(caught.exception.code, ErrorCode.READ)
        self.assertEqual(acceptor.wait_for("on_receive_abort"), (0, 0))

    def test_by_what_a_progress_hook_calls(self) -> None:
        for verb, code in (("send_release_request", ErrorCode.NET_IN_PROGRESS), ("close", None)):
            with self.subTest(verb=verb):
                requestor, acceptor = self.requestor(), self.acceptor()
                requestor.enable_progress_event = True
                codes: list[ErrorCode] = []

                def meddle(*_: Any, net: Recorder = requestor, verb: str = verb, codes: Any = codes) -> None:
                    started = time.monotonic()
                    try:
                        getattr(net, verb)()
                    except LDicomUsageError as error:
                        codes.append(error.code)
                    self.assertLess(time.monotonic() - started, 2)

                requestor.on_progress_status = meddle  # type: ignore[method-assign]
                self.join(requestor, acceptor)
                requestor.wait_for("on_connect")
                requestor.send_associate_request(request((CT, EXPLICIT)))
                requestor.wait_for("on_receive_associate_accept")
                sent = LDicomDS(MemoryBody(bytes(3 << 20)), EXPLICIT)
                if code is None:
                    with self.assertRaises(LDicomError):
                        requestor.send_c_store_request(1, 1, CT, "1.2", dataset=sent)
                else:
                    requestor.send_c_store_request(1, 1, CT, "1.2", dataset=sent)
                    acceptor.wait_for("on_receive_c_store_request")
                    self.assertEqual(set(codes), {code})


class WithinASend(Ends):
    """`on_progress_status` closes more than its own connection, and does not wait for itself."""

    def within(self, verb: Callable[[Recorder], object]) -> tuple[float, LDicomError | None]:
        """Seconds that `verb` of the listening object took within a send of an accepted one, and how the send ended."""
        _requestor, end = self.associated_over_tcp((CT, EXPLICIT))
        server = end.get_server()
        assert isinstance(server, Recorder)
        end.close()
        took: list[float] = []

        def call(*_: Any) -> None:
            if not took:
                begun = time.monotonic()
                verb(server)
                took.append(time.monotonic() - begun)

        def prepare() -> Recorder:
            client = Recorder.create_client(server)
            client.enable_progress_event = True
            client.on_progress_status = call  # type: ignore[method-assign]
            return client

        server.create_client = prepare  # type: ignore[method-assign]
        requestor = self.requestor()
        associate_with(requestor, server, (CT, EXPLICIT))
        try:
            sent = LDicomDS(MemoryBody(bytes(3 << 20)), EXPLICIT)
            server.get_client(server.get_client_count() - 1).send_c_store_request(1, 1, CT, "1.2", dataset=sent)
        except LDicomError as error:
            return took[0], error
        requestor.wait_for("on_receive_c_store_request")
        return took[0], None

    def test_closing_all_that_were_accepted(self) -> None:
        took, error = self.within(LDicomNet.server_close)
        self.assertLess(took, 2)
        self.assertIsInstance(error, LDicomError)

    def test_closing_all_of_the_process(self) -> None:
        took, error = self.within(lambda _server: LDicomNet.shut_down())
        self.assertLess(took, 2)
        self.assertIsInstance(error, LDicomError)

    def test_letting_them_finish(self) -> None:
        took, error = self.within(lambda server: server.drain(SECONDS))
        self.assertLess(took, 2)
        self.assertIsNone(error, "the send goes on")


class AtTheWrongTime(Ends):
    """What is refused changes nothing."""

    def test_a_second_answer(self) -> None:
        requestor, acceptor = self.associated((VERIFICATION, IMPLICIT))
        other = LDicomAssociate(False)
        other.default()
        with self.assertRaises(LDicomUsageError):
            acceptor.send_associate_accept(other)
        requestor.send_c_echo_request(1, 1)
        self.assertEqual(requestor.wait_for("on_receive_c_echo_response")[-1], 0)

    def test_a_second_request(self) -> None:
        requestor, acceptor = self.requestor(), self.acceptor()
        gate = threading.Event()
        self.addCleanup(gate.set)

        def accept(net: LDicomNet, associate: LDicomAssociate) -> None:
            gate.wait(SECONDS)
            accept_all(net, associate)

        acceptor.answers["on_receive_associate_request"] = accept
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request((VERIFICATION, IMPLICIT)))
        with self.assertRaises(LDicomUsageError):
            requestor.send_associate_request(request(("1.2.3", EXPLICIT)))
        gate.set()
        (accepted,) = requestor.wait_for("on_receive_associate_accept")
        self.assertEqual(accepted.get_abstract(1), VERIFICATION)

    def test_a_request_before_the_connection_stands(self) -> None:
        server, client = self.acceptor(), self.requestor()
        server.listen("127.0.0.1")
        gate = threading.Event()
        real = socket.getaddrinfo

        def slow(*arguments: Any) -> Any:
            gate.wait(SECONDS)
            return real(*arguments)

        with mock.patch("socket.getaddrinfo", slow):
            client.connect("", 0, "localhost", server.get_host_info()[1])
            with self.assertRaises(LDicomUsageError) as caught:
                client.send_associate_request(request())
            self.assertEqual(caught.exception.code, ErrorCode.NET_NOT_CONNECTED)
            gate.set()
            self.assertEqual(client.wait_for("on_connect"), (0,))

    def test_two_threads_that_connect_one_object(self) -> None:
        server, client = self.acceptor(), self.requestor()
        server.listen("127.0.0.1")
        gate, refused = threading.Barrier(8), []

        def connect() -> None:
            gate.wait()
            try:
                client.connect("", 0, *server.get_host_info())
            except LDicomUsageError as error:
                refused.append(error.code)

        threads = [threading.Thread(target=connect) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        self.assertEqual(refused, [ErrorCode.NET_IS_CONNECTED] * 7)

    def test_breathing_after_a_shut_down(self) -> None:
        LDicomNet.shut_down()
        server = self.acceptor()
        server.listen("127.0.0.1")
        started = time.monotonic()
        LDicomNet.breathe(0.05)
        self.assertGreaterEqual(time.monotonic() - started, 0.05)

    def test_breathing_without_end(self) -> None:
        ending = threading.Timer(0.05, LDicomNet.shut_down)
        ending.start()
        LDicomNet.breathe(float("inf"))
        ending.join(SECONDS)


class WhatCannotBeHad(Ends):
    """Failures of the system and settings that are none: always told, never left hanging."""

    def test_a_connection_that_cannot_be_made(self) -> None:
        server = self.acceptor()
        server.listen("127.0.0.1")
        rows = (
            ("a local name that is none", "x" * 70, SocketOptions(), Timeouts()),
            ("a buffer beyond all bounds", "", SocketOptions(send_buffer_size=1 << 31), Timeouts()),
        )
        for name, local, options, timeouts in rows:
            with self.subTest(name):
                client = self.requestor()
                client.set_socket_options(options)
                client.timeouts = timeouts
                client.connect(local, 0, *server.get_host_info())
                self.assertNotEqual(client.wait_for("on_connect"), (0,))

    def test_times_beyond_all_bounds(self) -> None:
        server, client = self.acceptor(), self.requestor()
        client.timeouts = Timeouts(connect=float("inf"), send=float("inf"), dimse=1e300, shutdown=5)
        server.listen("127.0.0.1")
        client.connect("", 0, *server.get_host_info())
        self.assertEqual(client.wait_for("on_connect"), (0,))
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
        client.send_c_echo_request(1, 1)
        client.wait_for("on_receive_c_echo_response")

    def test_closed_while_it_connects(self) -> None:
        client = self.requestor()
        gate = threading.Event()

        def slow(*_: Any) -> Any:
            gate.wait(SECONDS)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]

        with mock.patch("socket.getaddrinfo", slow):
            client.connect("", 0, "somewhere", 104)
            client.close_forced()
            gate.set()
            self.assertEqual(client.wait_for("on_connect"), (ErrorCode.NET_BLOCKING_CANCELED,))

    def test_the_next_address_where_the_local_one_does_not_fit(self) -> None:
        server, client = self.acceptor(), self.requestor()
        server.listen("127.0.0.1")
        port = server.get_host_info()[1]
        real = socket.getaddrinfo

        def both(host: str, *rest: Any) -> Any:
            if host != "archive":
                return real(host, *rest)
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            ]

        with mock.patch("socket.getaddrinfo", both):
            client.connect("127.0.0.1", 0, "archive", port, IpType.IPV4_OR_IPV6)
            self.assertEqual(client.wait_for("on_connect"), (0,))

    def test_a_listening_object_without_descriptors_or_threads(self) -> None:
        server = self.acceptor()
        for target, error in (
            ("socket.socketpair", OSError(24, "Too many open files")),
            ("threading.Thread.start", RuntimeError("can't start new thread")),
        ):
            with self.subTest(target):
                with mock.patch(target, side_effect=error), self.assertRaises(LDicomTransportError):
                    server.listen("127.0.0.1")
                self.assertFalse(server.is_activated())
                server.close()
        server.listen("127.0.0.1")

    def test_a_connection_without_a_thread(self) -> None:
        server, client = self.acceptor(), self.requestor()
        server.listen("127.0.0.1")
        with mock.patch("ldicomnet.threads.start", side_effect=RuntimeError("can't start new thread")):
            with self.assertRaises(LDicomTransportError):
                client.connect("", 0, *server.get_host_info())
        self.assertFalse(client.is_activated())
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_connect")

    def test_arguments_of_other_types(self) -> None:
        requestor, _acceptor = self.associated()
        sent = LDicomDS(MemoryBody(b"\0\0"), EXPLICIT)
        calls = (
            lambda: requestor.send_c_echo_request([1], 1),
            lambda: requestor.send_c_echo_request(1.0, 1),
            lambda: requestor.send_c_store_request(3, 1, CT, "1.2", dataset="\0"),
            lambda: requestor.send_data(1, None, None),
            lambda: requestor.send_associate_request(None),
            lambda: LDicomNet().listen("127.0.0.1", ip_type="x"),
            lambda: LDicomNet().listen(5),
            lambda: LDicomNet().connect("", 0, "127.0.0.1\0x", 104),
            lambda: LDicomNet().get_client(None),
            lambda: LDicomNet().set_flags("x"),
            lambda: LDicomNet().set_debug_mode("x"),
            lambda: LDicomNet().set_socket_options(None),
            lambda: LDicomNet(5),
            lambda: LDicomAssociate(True).add_context(CT, None),
            lambda: request().accept(None),
            lambda: sent.save("\0"),
            lambda: LDicomDS.load(None),
            lambda: LDicomDS.from_dataset(None),
            lambda: LDicomDS.init_cs("x", True),
        )
        for number, call in enumerate(calls):
            with self.subTest(number=number), self.assertRaises(LDicomUsageError):
                call()  # type: ignore[no-untyped-call]
        requestor.send_c_echo_request(1, 1)
        requestor.wait_for("on_receive_c_echo_response")


class NothingStays(Ends):
    """Temporary files."""

    def store(self, folder: str) -> tuple[Recorder, Recorder]:
        requestor, acceptor = self.requestor(), Recorder(folder)
        self.addCleanup(acceptor.close_forced)
        acceptor.limits.memory_data_set = 1000
        acceptor.answers["on_receive_associate_request"] = accept_all
        acceptor.answers["on_receive_c_store_request"] = lambda *_: None
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request((CT, EXPLICIT)))
        requestor.wait_for("on_receive_associate_accept")
        requestor.send_c_store_request(1, 1, CT, "1.2", dataset=LDicomDS(MemoryBody(bytes(9000)), EXPLICIT))
        acceptor.wait_for("on_receive_c_store_request")
        return requestor, acceptor

    def test_of_a_request_that_is_never_answered(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            requestor, acceptor = self.store(folder)
            acceptor.calls.clear()
            requestor.send_c_echo_request(1, 2, CT)
            requestor.wait_for("on_receive_c_echo_response")
            gc.collect()
            self.assertEqual(os.listdir(folder), [])

    def test_objects_that_never_listened_share_nothing(self) -> None:
        """One that is just being drained keeps no other from it, nor what was forked meanwhile."""
        one, other = LDicomNet(), LDicomNet()
        with one._clients._changed, one._clients.admission._lock:
            draining = threading.Thread(target=lambda: (other.drain(0), other.server_close()), daemon=True)
            draining.start()
            draining.join(SECONDS)
        self.assertFalse(draining.is_alive())

    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_a_fork_leaves_them_alone(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _requestor, acceptor = self.store(folder)
            dataset = acceptor.wait_for("on_receive_c_store_request")[-1]
            program = (
                "import os, sys, pathlib; from ldicomnet.body import FileBody\n"
                "body = FileBody(pathlib.Path(sys.argv[1]), 0, temporary=True)\n"
                "child = os.fork()\n"
                "if not child: sys.exit(0)\n"
                "os.waitpid(child, 0); print(os.path.exists(sys.argv[1]))"
            )
            path = os.path.join(folder, "kept")  # noqa: PTH118
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(dataset.read())
            command = [sys.executable, "-W", "ignore", "-c", program, path]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
            self.assertEqual(done.stdout, "True\n")
            self.assertFalse(os.path.exists(path), "its own process removes it")  # noqa: PTH110


class Clients(unittest.TestCase):
    """`create_client` makes an object of the same class, however that is made."""

    class Plain(LDicomNet):
        """No `__init__` of its own."""

    class Alone(LDicomNet):
        """One without parameters."""

        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []

    class Needy(LDicomNet):
        """One that must be given something."""

        def __init__(self, archive: str) -> None:
            super().__init__()
            self.archive = archive

    def test_each_kind(self) -> None:
        plain = self.Plain("/tmp", SecureMode.NONE)
        plain.raise_errors = False
        made = plain.create_client()
        self.assertIs(type(made), self.Plain)
        self.assertFalse(made.raise_errors)
        self.assertIs(made.timeouts, plain.timeouts)
        alone = self.Alone()
        lonely = alone.create_client()
        assert isinstance(lonely, self.Alone)
        self.assertIsNot(lonely.seen, alone.seen)
        needy = self.Needy("here").create_client()
        assert isinstance(needy, self.Needy)
        self.assertEqual(needy.archive, "here")
        self.assertFalse(needy.is_activated())
