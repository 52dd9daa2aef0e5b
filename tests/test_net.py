"""`LDicomNet` over TCP: listening, accepting, connecting, closing, and its settings."""

from __future__ import annotations

import gc
import inspect
import os
import socket
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

import ldicomnet
from ldicomnet import (
    DebugMode,
    ErrorCode,
    IpType,
    LDicomAssociate,
    LDicomDS,
    LDicomError,
    LDicomNet,
    LDicomTransportError,
    LDicomUsageError,
    NetFlags,
    PduType,
    SecureMode,
    SendInfo,
    SocketOptions,
)
from ldicomnet.body import FileBody, MemoryBody
from ldicomnet.engine import Engine
from ldicomnet.listener import Listener
from ldicomnet.threads import let_idle_end

from .support import CT, EXPLICIT, SECONDS, Ends, Recorder, accept_all, associate_with, request


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


class Listening(Ends):
    """The listening object and its clients."""

    def test_port_zero_chooses_one(self) -> None:
        server = self.acceptor()
        self.assertFalse(server.is_activated())
        server.listen("127.0.0.1", 0)
        address, port = server.get_host_info()
        self.assertEqual(address, "127.0.0.1")
        self.assertGreater(port, 0)
        self.assertTrue(server.is_activated())
        self.assertFalse(server.is_connected())

    def test_all_addresses(self) -> None:
        for host in ("", None, "*"):
            with self.subTest(host=host):
                server = self.acceptor()
                server.listen(host, 0)
                self.assertEqual(server.get_host_info()[0], "0.0.0.0")
                self.echo(server.get_host_info()[1], "127.0.0.1", IpType.IPV4)
                server.server_close()

    @unittest.skipUnless(has_ipv6(), "this machine has no IPv6")
    def test_ipv6_and_both(self) -> None:
        for kind, host, ways in (
            (IpType.IPV6, "::1", (("::1", IpType.IPV6),)),
            (IpType.IPV4_OR_IPV6, "", (("::1", IpType.IPV6), ("127.0.0.1", IpType.IPV4))),
        ):
            with self.subTest(kind=kind):
                server = self.acceptor()
                server.listen(host, 0, 5, kind)
                for address, way in ways:
                    client = self.echo(server.get_host_info()[1], address, way)
                    self.assertEqual(client.get_peer_info()[0], address)
                server.server_close()

    def echo(self, port: int, address: str, kind: IpType) -> Recorder:
        client = self.requestor()
        client.connect("", 0, address, port, kind)
        self.assertEqual(client.wait_for("on_connect"), (0,))
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
        client.send_c_echo_request(1, 1)
        client.wait_for("on_receive_c_echo_response")
        client.close()
        client.wait_for("on_close")
        return client

    def test_an_address_in_use(self) -> None:
        server, other = self.acceptor(), self.acceptor()
        server.listen("127.0.0.1", 0)
        with self.assertRaises(LDicomTransportError) as caught:
            other.listen(*server.get_host_info())
        self.assertEqual(caught.exception.code, ErrorCode.NET_ADDRESS_IN_USE)
        with self.assertRaises(LDicomUsageError):
            server.listen("127.0.0.1", 0)
        with self.assertRaises(LDicomError):
            other.listen("256.1.1.1")
        other.listen("127.0.0.1")

    def test_the_queue(self) -> None:
        """A request that is not accepted stays at the head; the next accept gets it."""
        server = Recorder()
        self.addCleanup(server.server_close)
        arrivals = threading.Semaphore(0)
        server.on_accept = lambda error: arrivals.release()  # type: ignore[method-assign]
        server.listen("127.0.0.1")
        ports = []
        for _ in range(3):
            sock = socket.create_connection(server.get_host_info(), SECONDS)
            self.addCleanup(sock.close)
            self.assertTrue(arrivals.acquire(timeout=SECONDS))
            ports.append(sock.getsockname()[1])
        for port in ports:
            client = Recorder()
            server.accept(client)
            self.assertEqual(client.get_peer_info(), ("127.0.0.1", port))
            self.assertIs(client.get_server(), server)
            with self.assertRaises(LDicomUsageError):
                server.accept(client)
        self.assertEqual(server.get_client_count(), 3)
        with self.assertRaises(LDicomUsageError) as caught:
            server.accept(Recorder())
        self.assertEqual(caught.exception.code, ErrorCode.NET_WOULD_BLOCK)
        with self.assertRaises(LDicomUsageError):
            Recorder().accept(Recorder())

    def test_clients(self) -> None:
        server = self.acceptor()
        server.listen("127.0.0.1")
        first, second = self.requestor(), self.requestor()
        for client in (first, second):
            associate_with(client, server)
        self.assertEqual(server.get_client_count(), 2)
        accepted = server.get_client(0)
        self.assertIs(type(accepted), Recorder)
        self.assertIs(accepted.timeouts, server.timeouts)
        self.assertEqual(accepted.get_peer_info(), first.get_host_info())
        with self.assertRaises(LDicomUsageError):
            server.get_client(2)
        first.close()
        error, net = server.wait_for("on_close")
        self.assertIs(net, accepted)
        self.assertEqual(error, ErrorCode.NET_CONNECTION_ABORTED, "within an association")
        self.assertEqual(server.get_client_count(), 1)
        server.close()
        second.send_c_echo_request(1, 1)
        second.wait_for("on_receive_c_echo_response")
        server.get_client(0).close()
        second.wait_for("on_close")

    def test_server_close(self) -> None:
        server = self.acceptor()
        server.listen("127.0.0.1")
        client = self.requestor()
        associate_with(client, server)
        server.server_close()
        client.wait_for("on_close")
        self.assertEqual((server.get_client_count(), server.is_activated()), (0, False))
        again = self.requestor()
        again.connect("", 0, *client.get_peer_info())
        self.assertEqual(again.wait_for("on_connect"), (ErrorCode.NET_CONNECTION_REFUSED,))

    def test_on_accept_that_raises(self) -> None:
        server = self.acceptor()
        failed = threading.Event()

        def fail(error: ErrorCode) -> None:
            failed.set()
            raise ZeroDivisionError

        server.on_accept = fail  # type: ignore[method-assign]
        server.listen("127.0.0.1")
        with self.assertLogs("ldicomnet.net", "ERROR") as logs:
            sock = socket.create_connection(server.get_host_info(), SECONDS)
            self.addCleanup(sock.close)
            self.assertTrue(failed.wait(SECONDS))
            accepted = threading.Event()

            def accept(error: ErrorCode) -> None:
                server.accept(server.create_client())
                accepted.set()

            server.on_accept = accept  # type: ignore[method-assign]
            client = self.requestor()
            client.connect("", 0, *server.get_host_info())
            self.assertTrue(accepted.wait(SECONDS))
        self.assertIn("ZeroDivisionError", "".join(logs.output))
        self.assertEqual(server.get_client(0).get_peer_info()[1], sock.getsockname()[1], "the oldest first")


    def test_listening_anew_while_a_request_comes(self) -> None:
        """What came to the old socket is gone: no bug of the hook's, and the new one serves."""
        server = self.acceptor()
        done = threading.Event()

        def accept(error: ErrorCode) -> None:
            vars(server).pop("on_accept")
            server.close_forced()
            server.listen("127.0.0.1")
            done.set()
            server.accept(server.create_client())

        server.listen("127.0.0.1")
        with self.assertNoLogs("ldicomnet", "ERROR"):
            server.on_accept = accept  # type: ignore[method-assign]
            with socket.create_connection(server.get_host_info(), SECONDS) as sock:
                self.assertTrue(done.wait(SECONDS))
                self.assertEqual(sock.recv(1), b"")
            client = self.requestor()
            client.connect("", 0, *server.get_host_info())
            self.assertEqual(client.wait_for("on_connect"), (ErrorCode.SUCCESS,))


class Connecting(Ends):
    """The requestor's side."""

    def test_refused(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        client = self.requestor()
        client.connect("", 0, "127.0.0.1", port)
        self.assertEqual(client.wait_for("on_connect"), (ErrorCode.NET_CONNECTION_REFUSED,))
        self.assertFalse(client.is_activated())
        self.assertEqual(client.names(), ["on_connect"], "what never stood is not closed")
        server = self.acceptor()
        server.listen("127.0.0.1")
        client.connect("", 0, *server.get_host_info())
        self.assertEqual(client.wait_for("on_connect", 2), (ErrorCode.SUCCESS,))

    def test_errors_of_names_and_addresses(self) -> None:
        for peer, local, kind, code in (
            ("no.such.host.invalid", "", IpType.IPV4, None),
            ("127.0.0.1", "::1", IpType.IPV4_OR_IPV6, ErrorCode.IPV4_IPV6_CONFLICT),
        ):
            with self.subTest(peer=peer):
                client = self.requestor()
                client.connect(local, 0, peer, 104, kind)
                (error,) = client.wait_for("on_connect")
                self.assertNotEqual(error, ErrorCode.SUCCESS)
                self.assertIn(error, (code,) if code else (ErrorCode.NET_HOST_NOT_FOUND, ErrorCode.NET_TRY_AGAIN))

    def test_arguments(self) -> None:
        client = self.requestor()
        for arguments in (("", 0, "", 104), ("", 0, "127.0.0.1", 65536), ("", -1, "127.0.0.1", 1), ("", 0, "h", 1, 9)):
            with self.subTest(arguments=arguments), self.assertRaises(LDicomUsageError):
                client.connect(*arguments)  # type: ignore[arg-type]

    def test_local_address_and_port(self) -> None:
        server = self.acceptor()
        server.listen("127.0.0.1")
        client = self.requestor()
        client.connect("127.0.0.1", 0, *server.get_host_info())
        client.wait_for("on_connect")
        self.assertEqual(client.get_host_info()[0], "127.0.0.1")
        self.assertEqual(client.get_peer_info(), server.get_host_info())

    def test_connect_twice(self) -> None:
        server = self.acceptor()
        server.listen("127.0.0.1")
        client = self.requestor()
        client.connect("", 0, *server.get_host_info())
        with self.assertRaises(LDicomUsageError) as caught:
            client.connect("", 0, *server.get_host_info())
        self.assertEqual(caught.exception.code, ErrorCode.NET_IS_CONNECTED)
        client.wait_for("on_connect")
        client.close()
        client.connect("", 0, *server.get_host_info())
        self.assertEqual(client.wait_for("on_connect", 2), (0,), "an object can be used again")

    def test_closing(self) -> None:
        for close in ("close", "close_forced"):
            with self.subTest(method=close):
                client, accepted = self.associated_over_tcp()
                getattr(client, close)()
                self.assertEqual(client.wait_for("on_close"), (ErrorCode.SUCCESS, client))
                accepted.wait_for("on_close")
                getattr(client, close)()
                self.assertEqual(client.count("on_close"), 1)
                with self.assertRaises(LDicomUsageError) as caught:
                    client.send_c_echo_request(1, 1)
                self.assertEqual(caught.exception.code, ErrorCode.NET_NOT_CONNECTED)

    def test_context_manager(self) -> None:
        with Recorder() as server, Recorder() as client:
            server.answers["on_receive_associate_request"] = accept_all
            server.listen("127.0.0.1")
            client.connect("", 0, *server.get_host_info())
            client.wait_for("on_connect")
        self.assertFalse(server.is_activated() or client.is_activated())
        self.assertEqual(client.count("on_close"), 1)

    def test_again_before_the_end_was_told(self) -> None:
        """Whose the old connection was, and what it counted, is not taken from the new one."""
        requestor, accepted = self.associated_over_tcp()
        server, elsewhere = accepted.get_server(), self.acceptor()
        assert isinstance(server, Recorder)
        elsewhere.listen("127.0.0.1")
        real = Engine._tell_ending

        def tell_ending(engine: Engine) -> ErrorCode:
            conversation = accepted._conversation
            if conversation is not None and conversation.engine is engine and not accepted.count("on_connect"):
                accepted.connect("", 0, *elsewhere.get_host_info())
                accepted.wait_for("on_connect")
            return real(engine)

        with mock.patch.object(Engine, "_tell_ending", tell_ending):
            requestor.send_abort(0, 0)
            self.assertEqual(server.wait_for("on_close"), (ErrorCode.NET_CONNECTION_ABORTED, accepted))
        self.assertEqual(server.get_client_count(), 0)
        self.assertEqual(server.statistics.endings, {ErrorCode.NET_CONNECTION_ABORTED: 1})
        self.assertTrue(accepted.is_connected())
        self.assertEqual(accepted.statistics.endings, {ErrorCode.NET_CONNECTION_ABORTED: 1})
        accepted.close()
        numbers = accepted.statistics
        self.assertEqual((numbers.connections, numbers.endings.total()), (2, 2))
        self.assertEqual(server.count("on_close"), 1)

    def test_accepted_once_and_then_connected_otherwise(self) -> None:
        requestor, accepted = self.associated_over_tcp()
        server = accepted.get_server()
        assert isinstance(server, Recorder)
        requestor.close()
        server.wait_for("on_close")
        self.join(self.requestor(), accepted)
        self.assertIsNone(accepted.get_server())
        accepted.close()
        self.assertEqual((server.count("on_close"), server.statistics.connections), (1, 1))

    def test_shut_down_closes_everything(self) -> None:
        client, accepted = self.associated_over_tcp()
        server = accepted.get_server()
        assert server is not None
        LDicomNet.shut_down()
        self.addCleanup(LDicomNet.start_up)
        for net in (client, accepted):
            net.wait_for("on_close")
        self.assertFalse(server.is_activated())

    def test_shut_down_waits_for_accept_threads(self) -> None:
        """Then the port is free."""
        server = self.acceptor()
        server.listen("127.0.0.1")
        address, gate, real = server.get_host_info(), threading.Event(), Listener._dispose
        self.addCleanup(gate.set)

        def slow(listener: Listener) -> None:
            gate.wait(SECONDS)
            real(listener)

        with mock.patch.object(Listener, "_dispose", slow):
            closing = threading.Thread(target=LDicomNet.shut_down)
            closing.start()
            closing.join(0.1)
            self.assertTrue(closing.is_alive())
            gate.set()
            closing.join(SECONDS)
        again = self.acceptor()
        again.listen(*address)
        self.assertFalse(closing.is_alive())

    def test_one_thread_for_each_connection_and_none_after(self) -> None:
        """Its own, by identity and name: what earlier tests have left to end by itself may come and go meanwhile."""
        let_idle_end(SECONDS)
        readers: list[threading.Thread] = []

        def note(net: Recorder, associate: LDicomAssociate) -> None:
            readers.append(threading.current_thread())
            if not associate.is_request():
                return
            accept_all(net, associate)

        server, client = self.acceptor(), self.requestor()
        server.answers["on_receive_associate_request"] = client.answers["on_receive_associate_accept"] = note
        server.listen("127.0.0.1")
        associate_with(client, server)
        accepting = server._accepting
        assert accepting is not None
        names = [f"ldicomnet-{net._conversation.engine._number}" for net in (server.get_client(0), client)]  # type: ignore[union-attr]
        mine = [each for each in threading.enumerate() if each.name.startswith("ldicomnet-")]
        self.assertEqual([each.name for each in readers], names, "a reader on each side")
        for name in names:
            self.assertEqual([each.name for each in mine if f"{each.name}-".startswith(f"{name}-")], [name])
        self.assertIn(accepting._thread, mine)
        client.close()
        server.server_close()
        for thread in (*readers, accepting._thread):
            thread.join(SECONDS)
            self.assertFalse(thread.is_alive(), thread.name)


class Settings(Ends):
    """What can be set, and read."""

    def test_socket_options(self) -> None:
        net = LDicomNet()
        default = net.get_default_socket_options()
        self.assertEqual((default.send_buffer_size, default.receive_buffer_size, default.no_delay), (0, 0, True))
        net.set_socket_options(SocketOptions(65536, 32768, False))
        self.assertEqual(net.get_socket_options(), SocketOptions(65536, 32768, False))
        server = self.acceptor()
        server.listen("127.0.0.1")
        net.connect("", 0, *server.get_host_info())
        self.addCleanup(net.close_forced)

    def test_security_modes(self) -> None:
        self.assertEqual(LDicomNet().get_secure_mode(), SecureMode.NONE)
        self.assertEqual(LDicomNet(None, 5).get_secure_mode(), SecureMode.NONE)  # type: ignore[arg-type]
        self.assertEqual(LDicomNet(None, SecureMode.TLS).get_secure_mode(), SecureMode.TLS)
        deferred = LDicomNet(defer_init=True)
        with self.assertRaises(LDicomUsageError) as caught:
            deferred.connect("", 0, "127.0.0.1", 1)
        self.assertEqual(caught.exception.code, ErrorCode.NET_NOT_INITIALISED)
        deferred.initialize(None, SecureMode.NONE)
        self.assertEqual(deferred.get_secure_mode(), SecureMode.NONE)

    def test_plain_settings(self) -> None:
        net = LDicomNet()
        self.assertEqual(net.get_flags(), NetFlags.NONE)
        net.set_flags(NetFlags.SENDDATA_WITH_GROUP_LENGTH)
        self.assertEqual(net.get_flags(), NetFlags.SENDDATA_WITH_GROUP_LENGTH)
        self.assertEqual(net.set_debug_mode(DebugMode.SEND), DebugMode.NONE)
        self.assertEqual(net.set_debug_mode(0), DebugMode.SEND)
        net.enable_optimized_send(True)
        net.enable_optimized_memory_send(False)
        self.assertTrue(net.is_optimized_memory_send_enabled())
        self.assertIn("SSL", LDicomNet.get_openssl_version())
        LDicomNet.breathe()
        self.assertEqual([net.next_message_id() for _ in range(3)], [1, 2, 3])
        self.assertEqual((net.get_queue_send(), net.get_client_count(), net.get_server()), (0, 0, None))
        with self.assertRaises(LDicomUsageError):
            net.get_command_set()

    def test_default_temp_path(self) -> None:
        self.assertEqual(LDicomNet.get_default_temp_path(), tempfile.gettempdir())
        self.addCleanup(LDicomNet.set_default_temp_path, None)
        LDicomNet.set_default_temp_path(Path("somewhere"))
        self.assertEqual(LDicomNet.get_default_temp_path(), "somewhere")

    def test_large_data_sets_go_to_a_file_in_the_path(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            requestor, acceptor = self.requestor(), Recorder(folder)
            self.addCleanup(acceptor.close_forced)
            acceptor.answers["on_receive_associate_request"] = accept_all
            acceptor.limits.memory_data_set = 1000
            self.join(requestor, acceptor)
            requestor.wait_for("on_connect")
            requestor.send_associate_request(request((CT, EXPLICIT)))
            requestor.wait_for("on_receive_associate_accept")
            data = os.urandom(200_000)
            requestor.send_c_store_request(1, 1, CT, "1.2.3", dataset=LDicomDS(MemoryBody(data), EXPLICIT))
            got = acceptor.wait_for("on_receive_c_store_request")[-1]
            self.assertIsInstance(got.body, FileBody)
            self.assertEqual(got.read(), data)
            self.assertEqual(len(os.listdir(folder)), 1)
            del got
            acceptor.calls.clear()
            requestor.wait_for("on_receive_c_store_response")
            gc.collect()
            self.assertEqual(os.listdir(folder), [], "the file goes with the object")

    def test_a_data_set_that_cannot_be_kept(self) -> None:
        requestor, acceptor = self.requestor(), Recorder("/nowhere/at/all")
        self.addCleanup(acceptor.close_forced)
        acceptor.answers["on_receive_associate_request"] = accept_all
        acceptor.limits.memory_data_set = 1000
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request((CT, EXPLICIT)))
        requestor.wait_for("on_receive_associate_accept")
        for size, status in ((200_000, 0xA700), (100, 0x0211)):
            sent = LDicomDS(MemoryBody(bytes(size)), EXPLICIT)
            requestor.send_c_store_request(1, size % 7, CT, "1.2.3", dataset=sent)
            self.assertEqual(requestor.wait_for("on_receive_c_store_response", 1 + (size == 100))[-1], status)
        self.assertEqual(acceptor.count("on_receive_c_store_request"), 1)

    def test_group_length_flag(self) -> None:
        from pydicom import Dataset

        requestor, acceptor = self.associated((CT, EXPLICIT))
        requestor.set_flags(NetFlags.SENDDATA_WITH_GROUP_LENGTH)
        dataset = Dataset()
        dataset.PatientID, dataset.StudyID = "1", "2"
        requestor.send_c_find_request(1, 1, CT, dataset=dataset)
        got = acceptor.wait_for("on_receive_c_find_request")[-1].read()
        groups = "10000000554c04000a000000100020004c4f02003120", "20000000554c04000a00000020001000534802003220"
        self.assertEqual(got.hex(), "".join(groups))


class SendEvents(Ends):
    """`on_send`, `on_send_ext`, `on_progress_status`."""

    class Noting(Recorder):
        """Notes what leaves."""

        def on_send(self, error: ErrorCode, pdu_type: PduType, length: int) -> None:
            self.note("on_send", error, pdu_type, length)

        def on_send_ext(self, info: SendInfo) -> None:
            self.note("on_send_ext", info)

        def on_progress_status(self, sent: int, received: int, total: int | None) -> None:
            self.note("on_progress_status", sent, received, total)

    def exchange(self, requestor: Recorder) -> Recorder:
        acceptor = self.acceptor()
        self.addCleanup(requestor.close_forced)
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request((CT, EXPLICIT)))
        requestor.wait_for("on_receive_associate_accept")
        requestor.send_c_store_request(1, 1, CT, "1.2.3", dataset=LDicomDS(MemoryBody(bytes(3_000_000)), EXPLICIT))
        requestor.wait_for("on_receive_c_store_response")
        return acceptor

    def test_on_send_for_each_pdu(self) -> None:
        requestor = self.Noting()
        self.exchange(requestor)
        kinds = [call[2] for call in requestor.calls if call[0] == "on_send"]
        self.assertEqual(kinds[:2], [PduType.ASSOCIATE_REQUEST, PduType.DATA_TRANSFER])
        total = sum(call[3] for call in requestor.calls if call[0] == "on_send" and call[2] == 4)
        self.assertGreater(total, 3_000_000)
        self.assertEqual(requestor.count("on_send_ext"), 0)
        self.assertEqual(requestor.count("on_progress_status"), 0)

    def test_debug_mode(self) -> None:
        requestor = self.Noting()
        requestor.set_debug_mode(DebugMode.SEND)
        self.exchange(requestor)
        infos = [call[1] for call in requestor.calls if call[0] == "on_send_ext"]
        self.assertEqual([info.data[0] for info in infos[:2]], [1, 4])
        self.assertTrue(all(len(info.data) == info.length and not info.error for info in infos))

    def test_progress(self) -> None:
        requestor = self.Noting()
        requestor.enable_progress_event = True
        self.exchange(requestor)
        told = [call[1:] for call in requestor.calls if call[0] == "on_progress_status"]
        self.assertEqual(told[-1], (3_000_000, 0, 3_000_000))
        self.assertEqual([entry[0] for entry in told], sorted(entry[0] for entry in told))

    def test_a_hook_within_a_send_may_not_send_another_message_but_may_abort(self) -> None:
        requestor = self.Noting()
        requestor.enable_progress_event = True
        errors: list[ErrorCode] = []

        def meddle(sent: int, received: int, total: int | None) -> None:
            if errors:
                return
            try:
                requestor.send_c_echo_request(1, 9, CT)
            except LDicomUsageError as error:
                errors.append(error.code)
            requestor.send_abort(0, 0)

        requestor.on_progress_status = meddle  # type: ignore[method-assign]
        acceptor = self.acceptor()
        self.addCleanup(requestor.close_forced)
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request((CT, EXPLICIT)))
        requestor.wait_for("on_receive_associate_accept")
        with self.assertRaises(LDicomUsageError):
            requestor.send_c_store_request(1, 1, CT, "1.2.3", dataset=LDicomDS(MemoryBody(bytes(9_000_000)), EXPLICIT))
        self.assertEqual(errors, [ErrorCode.NET_IN_PROGRESS])
        self.assertEqual(acceptor.wait_for("on_receive_abort"), (0, 0))


class Contract(unittest.TestCase):
    """Names and parameters of the public API."""

    def test_members(self) -> None:
        expected = {
            "initialize": ["path", "mode", "settings"],
            "listen": ["host_address", "host_port", "peers", "ip_type"],
            "connect": ["host_address", "host_port", "peer_address", "peer_port", "ip_type"],
            "accept": ["net"],
            "close": [],
            "close_forced": ["forced"],
            "server_close": [],
            "get_client": ["index"],
            "send_associate_request": ["associate"],
            "send_associate_accept": ["associate"],
            "send_associate_reject": ["result", "source", "reason"],
            "send_release_request": [],
            "send_release_response": [],
            "send_abort": ["source", "reason"],
            "send_data": ["presentation_id", "command_set", "dataset"],
            "on_connect": ["error"],
            "on_accept": ["error"],
            "on_close": ["error", "net"],
            "on_receive": ["error", "pdu_type", "buffer"],
            "on_send": ["error", "pdu_type", "length"],
            "on_receive_data": ["presentation_id", "command_set", "dataset"],
            "on_receive_unknown": ["presentation_id", "command_set", "dataset"],
            "on_progress_status": ["sent", "received", "total"],
        }
        for name, parameters in expected.items():
            with self.subTest(name=name):
                method = getattr(LDicomNet, name)
                self.assertEqual(list(inspect.signature(method).parameters)[1:], parameters)
                self.assertTrue(method.__doc__)

    def test_everything_public_has_a_docstring(self) -> None:
        for name in ldicomnet.__all__:
            thing = getattr(ldicomnet, name)
            if not inspect.isclass(thing):
                continue
            self.assertTrue(thing.__doc__, name)
            for member, value in vars(thing).items():
                if not member.startswith("_") and inspect.isfunction(value):
                    self.assertTrue(value.__doc__, f"{name}.{member}")
