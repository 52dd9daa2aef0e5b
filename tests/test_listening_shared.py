"""One port, several listeners: a socket that was inherited, SO_REUSEPORT, and the processes of samples/store_scp.py."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

from ldicomnet import ErrorCode, LDicomTransportError, LDicomUsageError, SocketOptions

from . import raw
from .support import SECONDS, Ends, Recorder, request

ROOT = Path(__file__).resolve().parent.parent
IN_TIME = 10.0
"""Seconds in which all processes of the sample have to end."""
HAS_PROC = Path("/proc/self/stat").exists()
LIVED = 1.25
"""Seconds after which a worker that dies is replaced, and a little more."""


def wait_until(condition: Callable[[], Any], what: str, seconds: float = IN_TIME) -> Any:
    """The first true value of `condition`, which must come in time."""
    until = monotonic() + seconds
    while not (value := condition()):
        if monotonic() > until:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        threading.Event().wait(0.02)
    return value


def is_refused(port: int) -> bool:
    """Whether nobody listens on a port."""
    try:
        socket.create_connection((raw.LOOPBACK, port), 5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # it stopped just while this one waited to be accepted
    return False


class Shared(Ends):
    """Several listening objects in this process."""

    def listening_socket(self) -> socket.socket:
        """A socket as a service manager would hand it over."""
        sock = socket.create_server((raw.LOOPBACK, 0))
        self.addCleanup(sock.close)
        return sock

    def server(self, options: SocketOptions | None = None) -> Recorder:
        """A listening object to be, closed with its connections at the end."""
        net = self.acceptor()
        self.addCleanup(net.server_close)
        if options is not None:
            net.set_socket_options(options)
        return net

    def client(self, port: int) -> Recorder:
        """A client with an association that has had an echo."""
        net = self.requestor()
        net.connect("", 0, raw.LOOPBACK, port)
        self.assertEqual(net.wait_for("on_connect"), (ErrorCode.SUCCESS,))
        net.send_associate_request(request())
        net.wait_for("on_receive_associate_accept")
        net.send_c_echo_request(1, 1)
        net.wait_for("on_receive_c_echo_response")
        return net

    def assert_both_serve(self, first: Recorder, second: Recorder, port: int) -> None:
        """Connections come to both in the end, and to the other alone once one has closed."""
        clients = []
        until = monotonic() + SECONDS
        while not (first.get_client_count() and second.get_client_count()):
            self.assertLess(monotonic(), until, "one of the two got no connection")
            clients.append(self.client(port))
        wait_until(lambda: first.get_client_count() + second.get_client_count() == len(clients), "one object for each")
        first.close()
        before = second.get_client_count()
        for _ in range(3):
            clients.append(self.client(port))
        wait_until(lambda: second.get_client_count() == before + 3, "three more")
        for client in clients:  # those of the first stand, although it does not listen any more
            client.send_c_echo_request(1, 2)
            client.wait_for("on_receive_c_echo_response", 2)
            client.send_release_request()
            self.assertEqual(client.wait_for("on_close")[0], ErrorCode.SUCCESS)


class ListenOn(Shared):
    """`listen_on`."""

    def test_an_inherited_socket(self) -> None:
        sock = self.listening_socket()
        address = sock.getsockname()
        server = self.server()
        self.assertEqual(server.listen_on(sock), ErrorCode.SUCCESS)
        self.assertTrue(server.is_activated())
        self.assertEqual(server.get_host_info(), address)
        client = self.client(address[1])
        self.assertIs(server.get_client(0).get_server(), server)
        server.close()
        self.assertEqual(sock.fileno(), -1, "it is the object's, which closes it")
        client.send_c_echo_request(1, 2)
        client.wait_for("on_receive_c_echo_response", 2)
        self.assertTrue(is_refused(address[1]))

    def test_from_another_process_by_its_number(self) -> None:
        """As systemd and supervisors do it: only the descriptor is handed over."""
        sock = self.listening_socket()
        address, number = sock.getsockname(), sock.detach()
        server = self.server()
        server.listen_on(socket.socket(fileno=number))
        self.client(address[1])

    def test_a_request_that_came_before(self) -> None:
        """Connections that wait in the socket already are not lost."""
        sock = self.listening_socket()
        early = [raw.Peer.connect(sock.getsockname()[1]) for _ in range(3)]
        server = self.server()
        server.listen_on(sock)
        for peer in early:
            self.addCleanup(peer.close)
            peer.send(raw.request())
            peer.next(monotonic() + SECONDS)
            self.assertEqual(peer.transcript, ["AC 1:0 3:0"])

    def test_two_share_a_socket(self) -> None:
        sock = self.listening_socket()
        other = sock.dup()
        first, second = self.server(), self.server()
        # Whoever is free takes the next: hold the first where it accepts, until the second has had its turn.
        first.listen_on(sock)
        second.listen_on(other)
        port = second.get_host_info()[1]
        for one, other in ((first, second), (second, first)):
            with self.busy(one, port):
                client = self.client(port)
                wait_until(lambda: (one.get_client_count(), other.get_client_count()) == (0, 1), "the other's turn")  # noqa: B023
                client.close_forced()
                wait_until(lambda: not (first.get_client_count() or second.get_client_count()), "the end of it")
        self.assert_both_serve(first, second, port)

    @contextlib.contextmanager
    def busy(self, server: Recorder, port: int) -> Iterator[None]:
        """While `server` accepts a connection and does not come back from it, the other has to take what comes."""
        held, go_on, went_on = threading.Event(), threading.Event(), threading.Event()
        other_took = []
        original = server.on_accept

        def hold(error: ErrorCode) -> None:
            held.set()
            go_on.wait(SECONDS)
            original(error)
            went_on.set()

        server.on_accept = hold  # type: ignore[method-assign]
        try:
            until = monotonic() + SECONDS
            while not held.is_set():
                self.assertLess(monotonic(), until, "it never got a connection")
                peer = raw.Peer.connect(port)
                self.addCleanup(peer.close)
                other_took.append(peer)
                held.wait(0.05)
            server.on_accept = original  # type: ignore[method-assign]
            for peer in other_took:
                peer.close()
            wait_until(lambda: not any(net.get_client_count() for net in self.nets), "the end of the probes")
            yield
        finally:
            server.on_accept = original  # type: ignore[method-assign]
            go_on.set()
        self.assertTrue(went_on.wait(SECONDS))
        wait_until(lambda: not server.get_client_count(), "the end of the probe that was held")

    def setUp(self) -> None:
        self.nets: list[Recorder] = []

    def server(self, options: SocketOptions | None = None) -> Recorder:
        net = super().server(options)
        self.nets.append(net)
        return net

    def test_refused(self) -> None:
        server = self.server()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
            socket.socket() as plain,
            self.listening_socket() as listening,
            socket.create_connection(listening.getsockname()) as connected,
        ):
            datagram.bind((raw.LOOPBACK, 0))
            accepted, _address = listening.accept()
            closed = socket.create_server((raw.LOOPBACK, 0))
            closed.close()
            unfit: list[Any] = [datagram, plain, connected, accepted, closed, None, 5, "socket", object()]
            if hasattr(socket, "AF_UNIX"):
                unfit += self.enterContext(_pair())
            with accepted:
                for what in unfit:
                    with self.subTest(what=what):
                        with self.assertRaises(LDicomUsageError):
                            server.listen_on(what)
                        self.assertFalse(server.is_activated())
            self.assertGreaterEqual(connected.fileno(), 0, "what is refused stays the caller's")
        server.raise_errors = False
        self.assertNotEqual(server.listen_on(None), ErrorCode.SUCCESS)  # type: ignore[arg-type]
        server.raise_errors = True
        server.listen_on(self.listening_socket())

    def test_what_is_refused_stays_as_it_was(self) -> None:
        with self.listening_socket() as listening, socket.create_connection(listening.getsockname()) as connected:
            server, busy = self.server(), self.server()
            busy.listen(raw.LOOPBACK)
            for net, sock in ((server, connected), (busy, listening)):
                with self.assertRaises(LDicomUsageError):
                    net.listen_on(sock)
            self.assertEqual((connected.getblocking(), listening.getblocking()), (True, True))

    def test_refused_by_an_object_in_use(self) -> None:
        server = self.server()
        server.listen(raw.LOOPBACK)
        client = self.client(server.get_host_info()[1])
        accepted = server.get_client(0)
        for net in (server, client, accepted):
            sock = self.listening_socket()
            with self.assertRaises(LDicomUsageError) as raised:
                net.listen_on(sock)
            self.assertEqual(raised.exception.code, ErrorCode.NET_IS_CONNECTED)
            self.assertGreaterEqual(sock.fileno(), 0, "what is refused stays the caller's")
            self.assertTrue(net.is_activated())
        client.send_c_echo_request(1, 2)
        client.wait_for("on_receive_c_echo_response", 2)

    def test_again_after_close(self) -> None:
        server = self.server()
        for _ in range(3):
            sock = self.listening_socket()
            port = sock.getsockname()[1]
            server.listen_on(sock)
            self.client(port).close_forced()
            server.server_close()
            self.assertFalse(server.is_activated())


@contextlib.contextmanager
def _pair() -> Iterator[list[socket.socket]]:
    one, two = socket.socketpair()
    with one, two:
        yield [one, two]


class ReusePort(Shared):
    """`SocketOptions(reuse_port=True)`."""

    @unittest.skipUnless(hasattr(socket, "SO_REUSEPORT"), "this system has no SO_REUSEPORT")
    def test_two_objects_on_one_port(self) -> None:
        first, second = (self.server(SocketOptions(reuse_port=True)) for _ in range(2))
        first.listen(raw.LOOPBACK)
        port = first.get_host_info()[1]
        second.listen(raw.LOOPBACK, port)
        self.assertEqual(second.get_host_info()[1], port)
        if sys.platform == "linux":  # which deals connections out; elsewhere the last may get all of them
            self.assert_both_serve(first, second, port)
        else:
            self.client(port)

    @unittest.skipUnless(hasattr(socket, "SO_REUSEPORT"), "this system has no SO_REUSEPORT")
    def test_only_where_both_want_it(self) -> None:
        for wants in ((False, False), (True, False), (False, True)):
            with self.subTest(wants=wants):
                first, second = (self.server(SocketOptions(reuse_port=want)) for want in wants)
                first.listen(raw.LOOPBACK)
                port = first.get_host_info()[1]
                with self.assertRaises(LDicomTransportError) as raised:
                    second.listen(raw.LOOPBACK, port)
                self.assertEqual(raised.exception.code, ErrorCode.NET_ADDRESS_IN_USE)
                self.assertFalse(second.is_activated())
                self.client(port)
                first.server_close()
                second.listen(raw.LOOPBACK, port)
                self.client(port)
                second.server_close()

    def test_without_the_system_having_it(self) -> None:
        server = self.server(SocketOptions(reuse_port=True))
        with mock.patch("ldicomnet.listener._REUSE_PORT", 0):
            with self.assertRaises(LDicomUsageError) as raised:
                server.listen(raw.LOOPBACK)
        self.assertEqual(raised.exception.code, ErrorCode.NET_OPERATION_NOT_SUPPORTED)
        self.assertIn("reuse_port", str(raised.exception))
        self.assertFalse(server.is_activated())
        server.set_socket_options(SocketOptions())
        server.listen(raw.LOOPBACK)
        self.client(server.get_host_info()[1])


# --- the sample ---------------------------------------------------------------------------------------------------


class Service:
    """`samples/store_scp.py` in processes of its own, which all are ended at the end."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        program = str(ROOT / "samples" / "store_scp.py")
        self.errors = folder / "errors"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, program, "--drain", "0.3", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                start_new_session=True,  # so that whatever it leaves can be found
            )
        self.watchdog = threading.Timer(60, self.kill)
        self.watchdog.daemon = True
        self.watchdog.start()

    def listening(self) -> tuple[str, int]:
        """What it says that it listens on."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (\S+) port (\d+)\n", line)
        if found is None:
            raise AssertionError(f"{line!r} {self.errors.read_text()}")
        return found[1], int(found[2])

    def family(self) -> dict[int, str]:
        """Process numbers and command lines of its session, itself included; zombies are not."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid and fields[0] not in "ZX":
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        return found

    def workers(self, count: int, without: int = 0) -> set[int]:
        """Process numbers of its workers, once there are so many; one that was just forked is not known for one yet."""

        def found() -> set[int] | None:
            numbers = {number for number, line in self.family().items() if "spawn_main" in line}
            return numbers if len(numbers) == count and without not in numbers else None

        workers = wait_until(found, f"{count} workers")
        assert isinstance(workers, set)
        return workers

    def end(self) -> int:
        """SIGTERM to the first process; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(IN_TIME)

    def kill(self) -> None:
        """Whatever is left of it."""
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Leave nothing."""
        self.watchdog.cancel()
        self.kill()
        self.process.wait(IN_TIME)
        assert self.process.stdout is not None
        self.process.stdout.close()


@unittest.skipUnless(HAS_PROC, "the processes of a session are looked up in /proc")
class Workers(unittest.TestCase):
    """`--workers`."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.stored = self.folder / "stored"
        self.stored.mkdir()

    def service(self, *arguments: str) -> Service:
        """The sample, told where to listen unless the arguments do."""
        bind = () if "--bind" in arguments else ("--bind", raw.LOOPBACK)
        port = () if arguments and arguments[-1].isdigit() and arguments[-2:-1] != ("--workers",) else ("0",)
        service = Service(self.folder, *bind, "--no-sync", "-od", str(self.stored), *arguments, *port)
        self.addCleanup(service.close)
        return service

    def associate(self, port: int) -> raw.Peer:
        """An association by hand."""
        peer = raw.Peer.connect(port)
        self.addCleanup(peer.close)
        peer.send(raw.request())
        self.expect(peer, "AC 1:0 3:0")
        return peer

    def expect(self, peer: raw.Peer, line: str) -> None:
        peer.next(monotonic() + IN_TIME)
        self.assertEqual(peer.transcript[-1:], [line])

    def store(self, peer: raw.Peer) -> None:
        """One object, and it is there."""
        instance = raw.instance_uid()
        peer.send(raw.store(instance, raw.data_set(instance, 4096)))
        self.expect(peer, "8001/1 0000")
        self.assertTrue((self.stored / f"{instance}.dcm").exists())

    def release(self, peer: raw.Peer) -> None:
        peer.send(raw.RELEASE)
        self.expect(peer, "RP")
        peer.close()

    def assert_gone(self, service: Service) -> None:
        """No process is left, nor a file that was begun."""
        wait_until(lambda: not service.family(), f"the end of {service.family()}")
        self.assertEqual([name for name in os.listdir(self.stored) if not name.endswith(".dcm")], [])

    def test_two_workers(self) -> None:
        service = self.service("--workers", "2")
        host, port = service.listening()
        self.assertEqual(host, raw.LOOPBACK)
        self.assertGreater(port, 0)
        peers = [self.associate(port) for _ in range(8)]
        for _ in range(2):
            for peer in peers:
                self.store(peer)
        self.assertEqual(len(os.listdir(self.stored)), 16)
        service.workers(2)
        for peer in peers[:4]:
            self.release(peer)
        # The other four stand when the signal comes.
        self.assertEqual(service.end(), 0, service.errors.read_text())
        self.assert_gone(service)
        for peer in peers[4:]:
            peer.next(monotonic() + IN_TIME)
            self.assertTrue(peer.ended or peer.transcript[-1].startswith("ABORT"), peer.transcript)
        self.assertEqual(service.errors.read_text(), "")
        self.assertTrue(is_refused(port))

    def test_who_is_at_work_may_finish(self) -> None:
        """SIGTERM: nobody new, and time for those who are there; the second one ends it at once."""
        for workers in (("--workers", "2"), ()):
            with self.subTest(workers=workers):
                service = self.service(*workers, "--drain=20")
                _host, port = service.listening()
                peer = self.associate(port)
                service.process.send_signal(signal.SIGTERM)
                wait_until(lambda port=port: is_refused(port), "the end of listening")
                self.store(peer)
                self.store(peer)
                self.release(peer)
                self.assertEqual(service.process.wait(IN_TIME), 0, service.errors.read_text())
                self.assert_gone(service)

    def test_a_signal_to_all_of_them(self) -> None:
        """As service managers send it: it is still the first one for each."""
        service = self.service("--workers", "2", "--drain=20")
        _host, port = service.listening()
        peer = self.associate(port)
        os.killpg(service.process.pid, signal.SIGTERM)
        wait_until(lambda: is_refused(port), "the end of listening")
        self.store(peer)
        self.release(peer)
        self.assertEqual(service.process.wait(IN_TIME), 0, service.errors.read_text())
        self.assert_gone(service)

    def test_a_second_signal(self) -> None:
        service = self.service("--drain=60")
        _host, port = service.listening()
        self.associate(port)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(port), "the end of listening")
        service.process.send_signal(signal.SIGINT)
        self.assertEqual(service.process.wait(IN_TIME), -signal.SIGINT)

    def test_a_worker_is_killed(self) -> None:
        service = self.service("--workers", "2")
        _host, port = service.listening()
        began = monotonic()
        first = service.workers(2)
        self.store(self.associate(port))
        wait_until(lambda: monotonic() - began > LIVED, "the time that a worker has to live")
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        # The service goes on: with the worker that is left, then with a new one.
        peer = self.associate(port)
        self.store(peer)
        new = service.workers(2, without=victim) - first
        self.assertEqual(len(new), 1)
        for _ in range(4):
            self.store(self.associate(port))
        self.assertIn("exit status -9", service.errors.read_text())
        os.kill(max(first), signal.SIGKILL)  # the new one serves alone
        peer = self.associate(port)
        self.store(peer)
        self.release(peer)
        self.assertEqual(service.end(), 0, service.errors.read_text())
        self.assert_gone(service)

    def test_the_first_process_is_killed(self) -> None:
        service = self.service("--workers", "2")
        _host, port = service.listening()
        peer = self.associate(port)
        self.store(peer)
        service.workers(2)
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait(IN_TIME)
        self.assert_gone(service)
        peer.next(monotonic() + IN_TIME)
        self.assertTrue(peer.ended or peer.transcript[-1].startswith("ABORT"), peer.transcript)
        self.assertTrue(is_refused(port))

    def test_interrupted_by_ctrl_c(self) -> None:
        """A terminal sends SIGINT to all of them."""
        service = self.service("--workers", "2")
        _host, port = service.listening()
        self.store(self.associate(port))
        service.workers(2)
        for _ in range(8):  # whichever of them is free takes one: both are up when all are served
            self.store(self.associate(port))
        os.killpg(service.process.pid, signal.SIGINT)
        self.assertEqual(service.process.wait(IN_TIME), 0, service.errors.read_text())
        self.assert_gone(service)

    def test_one_for_each_core(self) -> None:
        service = self.service("--workers", "0")
        _host, port = service.listening()
        cores = len(os.sched_getaffinity(0))
        if cores > 1:
            service.workers(cores)
        else:
            self.assertEqual(list(service.family()), [service.process.pid])
        peer = self.associate(port)
        self.store(peer)
        self.release(peer)
        self.assertEqual(service.end(), 0, service.errors.read_text())
        self.assert_gone(service)

    def test_one_is_no_other_process(self) -> None:
        service = self.service("--workers", "1")
        _host, port = service.listening()
        self.store(self.associate(port))
        self.assertEqual(list(service.family()), [service.process.pid])
        self.assertEqual(service.end(), 0, service.errors.read_text())
        self.assert_gone(service)

    def test_bind(self) -> None:
        if sys.platform == "linux":  # where all of 127.0.0.0/8 is here
            service = self.service("--workers", "2", "--bind", "127.0.0.2")
            host, port = service.listening()
            self.assertEqual(host, "127.0.0.2")
            self.assertTrue(is_refused(port))
            socket.create_connection(("127.0.0.2", port), 5).close()
            self.assertEqual(service.end(), 0, service.errors.read_text())
        service = self.service("--workers", "2", "--bind", "*")
        host, port = service.listening()
        self.assertEqual(host, "0.0.0.0")
        self.store(self.associate(port))
        self.assertEqual(service.end(), 0, service.errors.read_text())
        self.assert_gone(service)

    def test_a_port_in_use(self) -> None:
        with socket.create_server((raw.LOOPBACK, 0)) as other:
            port = other.getsockname()[1]
            for workers in ("1", "2"):
                with self.subTest(workers=workers):
                    service = self.service("--workers", workers, str(port))
                    self.assertEqual(service.process.wait(IN_TIME), 1)
                    errors = service.errors.read_text()
                    self.assertEqual(errors.count("\n"), 1, errors)
                    self.assertIn(str(port), errors)
                    self.assertIn("in use", errors)
                    self.assert_gone(service)

    def test_an_address_that_is_not_here(self) -> None:
        for workers in ("1", "2"):
            for address in ("192.0.2.1", "no.such.host.invalid"):
                with self.subTest(workers=workers, address=address):
                    service = self.service("--workers", workers, "--bind", address)
                    self.assertEqual(service.process.wait(IN_TIME), 1)
                    errors = service.errors.read_text()
                    self.assertEqual(errors.count("\n"), 1, errors)
                    self.assertIn(address, errors)

    def test_wrong_numbers(self) -> None:
        for text in ("-1", "x", "", "1.5", "257", "\u0663"):
            with self.subTest(workers=text):
                service = self.service(f"--workers={text}")
                self.assertEqual(service.process.wait(IN_TIME), 2)
                errors = service.errors.read_text()
                self.assertIn("error: argument --workers", errors)
                self.assertIn("is not a number from 0 to 256", errors)


if __name__ == "__main__":
    unittest.main()
