"""`LDicomNet` with ISCL: both roles, in memory and over TCP; each setting, each mismatch, each peer that is none."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import unittest
from collections.abc import Callable
from random import Random
from time import monotonic
from typing import Any

from ldicomnet import (
    AbortSource,
    ErrorCode,
    IsclEncryption,
    IsclMutualAuthentication,
    IsclSigning,
    IsclStatus,
    LDicomDS,
    LDicomError,
    LDicomNet,
    LDicomSecurityError,
    LDicomTransportError,
    LDicomUsageError,
    SecureMode,
    Status,
    Timeouts,
    background,
)
from ldicomnet.iscl.options import UNIQUE_KEYS, WireOptions
from ldicomnet.iscl.wire import HEADER, NAK, MessageId, Packet, encode, header
from ldicomnet.transport import Buffer
from ldicomnet.transport.memory import MemoryTransport, pair

from .iscl_ends import KEY, OTHER_KEY, SAFE, THIRD_KEY, UNSAFE
from .leftovers import Baseline
from .support import CT, EXPLICIT, SECONDS, Ends, Recorder, accept_all, request

E = ErrorCode


class Secured(Recorder):
    """An end with ISCL, and keys in the slots 1 and 2."""

    def __init__(self, path: str | None = None, mode: SecureMode = SecureMode.ISCL) -> None:
        super().__init__(path, mode)
        for index, key in ((1, KEY), (2, OTHER_KEY)):
            self.set_mutual_auth_key_iscl(index, key)
            self.set_encrypt_key_iscl(index, key)

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        self.note("on_secure_link_ready", error)

    def on_non_secure_send_iscl(self, error: ErrorCode, item_type: int, length: int) -> None:
        self.note("on_non_secure_send_iscl", error, item_type, length)

    def on_non_secure_received_iscl(self, error: ErrorCode, buffer: bytes) -> None:
        self.note("on_non_secure_received_iscl", error, buffer)
        self.answers.get("on_non_secure_received_iscl", lambda *_arguments: None)(self, error, buffer)


class Changing(MemoryTransport):
    """Whoever is between: everything that one end sends goes through `change`."""

    change: Callable[[bytes], bytes] = staticmethod(lambda data: data)

    def write(self, buffers: list[Buffer], more: bool = False) -> None:
        super().write([self.change(b"".join(buffers))], more)


class Iscl(Ends):
    """Two ends."""

    def secured(self, timeouts: Timeouts | None = None) -> Secured:
        net = Secured()
        net.answers["on_receive_associate_request"] = accept_all
        net.timeouts = timeouts or Timeouts(secure=SECONDS, shutdown=2)
        self.addCleanup(net.close_forced)
        return net

    def both(
        self, setup: Callable[[Secured], Any] = lambda net: None, other: Callable[[Secured], Any] | None = None
    ) -> tuple[Secured, Secured]:
        """Requestor and acceptor, set up and not connected."""
        nets = self.secured(), self.secured()
        for net, each in zip(nets, (setup, other or setup), strict=True):
            each(net)
        return nets

    def stand(self, nets: tuple[Secured, Secured], tcp: bool = False) -> tuple[Secured, Secured]:
        """Connect them; the end that accepts is another one over TCP."""
        requestor, acceptor = nets
        if tcp:
            acceptor.listen("127.0.0.1")
            requestor.connect("", 0, *acceptor.get_host_info())
            requestor.wait_for("on_secure_link_ready")
            client = acceptor.get_client(0)
            assert isinstance(client, Secured)
            self.addCleanup(client.close_forced)
            return requestor, client
        self.join(requestor, acceptor)
        return requestor, acceptor

    def associate(self, nets: tuple[Secured, Secured], tcp: bool = False) -> tuple[Secured, Secured]:
        requestor, acceptor = self.stand(nets, tcp)
        for net in (requestor, acceptor):
            self.assertEqual(net.wait_for("on_secure_link_ready"), (E.SUCCESS,))
        requestor.send_associate_request(request())
        requestor.wait_for("on_receive_associate_accept")
        return requestor, acceptor

    def echo(self, requestor: Secured, message_id: int = 7) -> None:
        answered = requestor.count("on_receive_c_echo_response")
        requestor.send_c_echo_request(1, message_id)
        answer = requestor.wait_for("on_receive_c_echo_response", answered + 1)
        self.assertEqual((answer[1], answer[3]), (message_id, Status.SUCCESS))

    def codes(self, nets: tuple[Secured, Secured]) -> tuple[ErrorCode, ErrorCode]:
        """What both are told when no link comes about."""
        found = tuple(net.wait_for("on_secure_link_ready")[0] for net in nets)
        for net, code in zip(nets, found, strict=True):
            self.assertEqual(net.wait_for("on_close")[0], code)
            self.assertEqual(net.get_error_secure(), code)
            self.assertEqual(net.get_status_iscl(), IsclStatus.FAILED)
        return found[0], found[1]


class Works(Iscl):
    """Associations, in every setting."""

    def test_in_memory_and_over_tcp(self) -> None:
        for tcp in (False, True):
            requestor, acceptor = self.associate(self.both(), tcp)
            with self.subTest(tcp=tcp):
                self.echo(requestor)
                self.assertEqual(
                    requestor.names()[:3], ["on_connect", "on_secure_link_ready", "on_receive_associate_accept"]
                )
                self.assertEqual(acceptor.names()[:2], ["on_secure_link_ready", "on_receive_associate_request"])
                self.assertEqual(requestor.get_status_iscl(), IsclStatus.READY)
                self.assertTrue(requestor.is_iscl_queue_empty())
                requestor.send_release_request()
                for net in (requestor, acceptor):
                    self.assertEqual(net.wait_for("on_close")[0], E.SUCCESS)
                    self.assertEqual((net.get_status_iscl(), net.get_error_secure()), (IsclStatus.CLOSED, E.SUCCESS))

    def test_every_safe_setting(self) -> None:
        for encryption, signing in SAFE:
            for index in (1, 2, UNIQUE_KEYS):

                def setup(
                    net: Secured, encryption: int = encryption, signing: int = signing, index: int = index
                ) -> None:
                    net.set_default_encryption_iscl(encryption)
                    net.set_default_signing_iscl(signing)
                    net.set_index_for_encrypt_iscl(index)
                    net.set_index_for_mutual_auth_iscl(2)
                    net.set_max_comm_block_length_iscl(100)
                    net.set_max_message_length_iscl(300)

                with self.subTest(encryption=encryption, signing=signing, index=index):
                    requestor, acceptor = self.associate(self.both(setup))
                    self.echo(requestor)
                    for net in (requestor, acceptor):
                        self.assertEqual(net.get_peer_encryption_iscl(), encryption)
                        self.assertEqual(net.get_peer_mac_iscl(), signing)
                        self.assertEqual(net.get_comm_block_length_iscl(), 100)
                        self.assertTrue(0 < net.get_peer_requested_message_length_iscl() <= 300)

    def test_what_is_refused_unless_told(self) -> None:
        for encryption, signing in UNSAFE:

            def setup(net: Secured, encryption: int = encryption, signing: int = signing) -> None:
                net.set_default_encryption_iscl(encryption)
                net.set_default_signing_iscl(signing)

            nets = self.both(setup)
            with self.subTest(encryption=encryption, signing=signing):
                with self.assertRaises(LDicomSecurityError) as caught:
                    nets[0].connect("", 0, "127.0.0.1", 1)
                self.assertEqual(caught.exception.code, E.ISCL_MESSAGE_TRANSMISSION)
                with self.assertRaises(LDicomSecurityError):
                    nets[1].listen("127.0.0.1")
                self.assertFalse(nets[0].is_activated() or nets[1].is_activated())
                for net in nets:
                    net.allows_unkeyed_iscl = True
                requestor, _acceptor = self.associate(nets)
                self.echo(requestor)

    def test_what_is_on_the_wire(self) -> None:
        """Names that are sent are not to be read there, but where there is no encryption."""
        for encryption in (IsclEncryption.DESCBC, IsclEncryption.NONE):
            seen = bytearray()

            def setup(net: Secured, encryption: int = encryption) -> None:
                net.set_default_encryption_iscl(encryption)
                net.set_default_signing_iscl(IsclSigning.DESMAC)

            class Tapped(Changing):
                change = staticmethod(lambda data, seen=seen: bytes(seen.extend(data) or data))  # type: ignore[func-returns-value]

            nets = self.both(setup)
            there, back = pair()
            there.__class__ = Tapped
            nets[1].attach(back, requestor=False)
            nets[0].attach(there, requestor=True)
            nets[0].wait_for("on_secure_link_ready")
            nets[0].send_associate_request(request())
            nets[0].wait_for("on_receive_associate_accept")
            with self.subTest(encryption=encryption):
                self.assertEqual(b"REQUESTOR" in seen, encryption == IsclEncryption.NONE)

    def test_stores_of_all_sizes(self) -> None:
        """Over TCP, larger than a message, a PDU, and what stays in memory; both ends have what was sent."""
        requestor, acceptor = self.both(lambda net: net.set_max_message_length_iscl(40_000))
        got: dict[int, bytes] = {}

        def keep(net: LDicomNet, context: int, message_id: int, *rest: Any) -> None:
            got[message_id] = rest[-1].read()
            net.send_c_store_response(context, message_id, CT, f"1.2.{message_id}", Status.SUCCESS)

        acceptor.answers["on_receive_c_store_request"] = keep
        requestor, _client = self.associate((requestor, acceptor), tcp=True)
        sent = {}
        for number, size in enumerate((100, 20_000, 70_000, 2_000_000), 1):
            sent[number] = b"\x10\x00\x10\x00UN\x00\x00" + size.to_bytes(4, "little") + Random(number).randbytes(size)
            dataset = LDicomDS.from_bytes(sent[number], EXPLICIT, CT, f"1.2.{number}")
            requestor.send_c_store_request(3, number, CT, f"1.2.{number}", 0, "", 0, dataset)
            self.assertEqual(requestor.wait_for("on_receive_c_store_response", number)[-1], Status.SUCCESS)
        self.assertEqual(got, sent)

    def test_both_ends_send_at_once(self) -> None:
        """Threads and hooks of both; nothing is lost, and nobody waits for ever."""
        for tcp in (False, True):
            nets = self.associate(self.both(), tcp)
            count = 30

            def send(net: Secured, count: int = count) -> None:
                for number in range(count):
                    net.send_c_echo_request(1, number + 1)

            threads = [threading.Thread(target=send, args=(net,), daemon=True) for net in nets]
            for thread in threads:
                thread.start()
            with self.subTest(tcp=tcp):
                for net in nets:
                    net.wait_for("on_receive_c_echo_response", count)
                    net.wait_for("on_receive_c_echo_request", count)
                for thread in threads:
                    thread.join(SECONDS)
                    self.assertFalse(thread.is_alive())

    def test_threads_and_hooks_of_both_ends_store_at_once(self) -> None:
        """Large messages both ways, from threads, from the reader threads, and beside them: as much as there is."""
        size, count = 70_000, 4
        data = b"\x10\x00\x10\x00UN\x00\x00" + size.to_bytes(4, "little") + bytes(size)

        def store(net: LDicomNet, message_id: int) -> None:
            dataset = LDicomDS.from_bytes(data, EXPLICIT, CT, f"1.2.{message_id}")
            net.send_c_store_request(3, message_id, CT, f"1.2.{message_id}", 0, "", 0, dataset)

        class Storing(Secured):
            def on_receive_c_echo_request(self, presentation_id: int, message_id: int, *rest: Any) -> None:
                self.send_c_echo_response(presentation_id, message_id, rest[0], Status.SUCCESS)
                store(self, 1000 + message_id)

            @background
            def on_receive_c_store_request(self, presentation_id: int, message_id: int, *rest: Any) -> None:
                self.note("stored", message_id, rest[-1].size)
                self.send_c_store_response(presentation_id, message_id, CT, f"1.2.{message_id}", Status.SUCCESS)

        for tcp in (False, True):
            nets = Storing(), Storing()
            for net in nets:
                net.answers["on_receive_associate_request"] = accept_all
                net.timeouts = Timeouts(secure=SECONDS, shutdown=2)
                net.set_max_message_length_iscl(30_000)
                self.addCleanup(net.close_forced)
            requestor, acceptor = self.associate(nets, tcp)
            threads = [
                threading.Thread(target=job, args=(net, number + 1), daemon=True)
                for net in (requestor, acceptor)
                for number in range(count)
                for job in (store, lambda net, number: net.send_c_echo_request(1, 100 + number))
            ]
            for thread in threads:
                thread.start()
            with self.subTest(tcp=tcp):
                for net in (requestor, acceptor):
                    net.wait_for("stored", 2 * count)
                    net.wait_for("on_receive_c_store_response", 2 * count)
                    found = sorted(call[1:] for call in net.calls if call[0] == "stored")
                    ids = [*range(1, count + 1), *range(1101, 1101 + count)]
                    self.assertEqual(found, [(each, len(data)) for each in ids])
                for thread in threads:
                    thread.join(SECONDS)
                    self.assertFalse(thread.is_alive())

    def test_authentication_data(self) -> None:
        requestor, acceptor = self.both(
            lambda net: net.set_auth_data_iscl(b"HOSPITAL A"), lambda net: net.set_auth_data_iscl(b"B" * 128)
        )
        self.associate((requestor, acceptor))
        self.assertEqual(requestor.get_peer_auth_data_iscl(), b"B" * 128)
        self.assertEqual(acceptor.get_peer_auth_data_iscl(), b"HOSPITAL A")

    def test_another_wire(self) -> None:
        options = WireOptions(
            name="site", byte_order="little", result_in="content", padding="x923", message_unit="write"
        )

        def setup(net: Secured) -> None:
            net.wire_options_iscl = options

        with self.assertLogs("ldicomnet.iscl", "INFO") as logs:
            requestor, _acceptor = self.associate(self.both(setup), tcp=True)
            self.echo(requestor)
        self.assertIn("(site)", logs.output[0])

    def test_a_listening_object_gives_its_settings_on(self) -> None:
        server = self.secured()
        server.set_mutual_auth_key_iscl(8, THIRD_KEY)
        server.set_index_for_mutual_auth_iscl(8)
        client = server.create_client()
        self.assertEqual(client.get_index_for_mutual_auth_iscl(), 8)
        requestor = self.secured()
        requestor.set_mutual_auth_key_iscl(8, THIRD_KEY)
        requestor, _client = self.associate((requestor, server), tcp=True)
        self.echo(requestor)

    def test_a_card(self) -> None:
        """The three operations are the site's; no key needs to be set."""

        class Card(Secured):
            def __init__(self) -> None:
                super(Secured, self).__init__(None, SecureMode.ISCL)
                self.set_encrypt_key_iscl(1, KEY)

            def get_challenge_iscl(self, parameter: bytes) -> bytes:
                self.note("get_challenge_iscl", parameter)
                return b"challeng"

            def internal_authenticate_iscl(self, challenge: bytes, parameter: bytes) -> bytes:
                self.note("internal_authenticate_iscl", challenge, parameter)
                return challenge[::-1]

            def external_authenticate_iscl(self, challenge: bytes, response: bytes, parameter: bytes) -> ErrorCode:
                self.note("external_authenticate_iscl", challenge, response, parameter)
                return E.SUCCESS if response == challenge[::-1] else E.ISCL_LOCAL_IC_CARD

        nets = Card(), Card()
        for net in nets:
            net.answers["on_receive_associate_request"] = accept_all
            self.addCleanup(net.close_forced)
        requestor, acceptor = self.associate(nets)
        self.echo(requestor)
        for net in (requestor, acceptor):
            self.assertEqual(net.wait_for("get_challenge_iscl"), (bytes(8),))
            self.assertEqual(net.wait_for("internal_authenticate_iscl"), (b"challeng", bytes(8)))
            self.assertEqual(net.wait_for("external_authenticate_iscl"), (b"challeng", b"gnellahc", bytes(8)))

    def test_packets_for_who_wants_them(self) -> None:
        class Curious(Secured):
            def on_received_iscl_packet(self, error: ErrorCode, buffer: bytes) -> None:
                self.note("packet", error, int.from_bytes(buffer[4:8], "big"))

        requestor, acceptor = Curious(), self.secured()
        self.addCleanup(requestor.close_forced)
        self.associate((requestor, acceptor))
        ids = [call[2] for call in requestor.calls if call[0] == "packet"]
        expected = [
            MessageId.LINE_CHECK_REQUEST, MessageId.AUTHENTICATION_REQUEST, MessageId.PASS_1, MessageId.PASS_3,
            MessageId.TRANSMISSION_RESPONSE, MessageId.TRANSMISSION_REQUEST, MessageId.DATA, MessageId.MAC,
        ]  # fmt: skip
        self.assertEqual(ids, expected)

    def test_used_again(self) -> None:
        """An object connects anew, and its getters tell of the new connection."""
        requestor, acceptor = self.both()
        for number in (1, 2):
            self.join(requestor, acceptor)
            requestor.wait_for("on_secure_link_ready", number)
            acceptor.wait_for("on_secure_link_ready", number)
            requestor.close()
            for net in (requestor, acceptor):
                net.wait_for("on_close", number)


class Mismatches(Iscl):
    """What each side is told, and what can be read afterwards."""

    def test_authentication_keys(self) -> None:
        for tcp in (False, True):
            nets = self.both(other=lambda net: net.set_mutual_auth_key_iscl(1, THIRD_KEY))
            if tcp:
                nets[1].listen("127.0.0.1")
                nets[0].connect("", 0, *nets[1].get_host_info())
                self.assertEqual(nets[0].wait_for("on_secure_link_ready"), (E.ISCL_REMOTE_IC_CARD,))
                self.assertEqual(nets[1].wait_for("on_close")[0], E.ISCL_LOCAL_IC_CARD)
            else:
                self.join(*nets)
                self.assertEqual(self.codes(nets), (E.ISCL_REMOTE_IC_CARD, E.ISCL_LOCAL_IC_CARD))

    def test_an_empty_slot(self) -> None:
        nets = self.both()
        nets[1].set_mutual_auth_key_iscl(3, THIRD_KEY)
        nets[1].set_index_for_mutual_auth_iscl(3)
        self.join(*nets)
        self.assertEqual(self.codes(nets), (E.ISCL_LOCAL_IC_CARD, E.ISCL_REMOTE_IC_CARD))

    def test_version(self) -> None:
        nets = self.both()
        nets[0].wire_options_iscl = WireOptions(version_word=0x200)
        self.join(*nets)
        self.assertEqual(self.codes(nets), (E.ISCL_BAD_VERSION, E.ISCL_RECEIVED_NAK))

    def test_authentication_data(self) -> None:
        nets = self.both(lambda net: net.set_auth_data_iscl(b"one"), lambda net: net.set_auth_data_iscl(b"two"))
        for net in nets:
            net.wire_options_iscl = WireOptions(auth_data_agrees=True)
        self.join(*nets)
        self.assertEqual(self.codes(nets), (E.ISCL_MESSAGE_TRANSMISSION, E.ISCL_RECEIVED_NAK))
        self.assertEqual(nets[0].get_peer_auth_data_iscl(), b"two")

    def refused(self, setup: Callable[[Secured], Any], sender: ErrorCode, receiver: ErrorCode) -> Secured:
        """The first message of the requestor is refused."""
        nets = self.stand(self.both(setup, lambda net: None))
        nets[0].wait_for("on_secure_link_ready")
        with self.assertRaises(LDicomSecurityError) as caught:
            nets[0].send_associate_request(request())
        self.assertEqual(caught.exception.code, sender)
        for net, code in zip(nets, (sender, receiver), strict=True):
            self.assertEqual(net.wait_for("on_close")[0], code)
            self.assertEqual((net.get_error_secure(), net.get_status_iscl()), (code, IsclStatus.FAILED))
        self.assertEqual(nets[1].count("on_receive_associate_request"), 0)
        return nets[1]

    def test_encryption_and_mac(self) -> None:
        def setup(net: Secured) -> None:
            net.set_default_encryption_iscl(IsclEncryption.NONE)
            net.set_default_signing_iscl(IsclSigning.DESMAC)

        receiver = self.refused(setup, E.ISCL_RECEIVED_NAK, E.ISCL_MESSAGE_TRANSMISSION)
        self.assertEqual(receiver.get_peer_encryption_iscl(), IsclEncryption.NONE)
        self.assertEqual(receiver.get_peer_mac_iscl(), IsclSigning.DESMAC)

    def test_length(self) -> None:
        nets = self.stand(self.both(other=lambda net: net.set_max_message_length_iscl(100)))
        nets[0].wait_for("on_secure_link_ready")
        with self.assertRaises(LDicomSecurityError) as caught:
            nets[0].send_associate_request(request())
        self.assertEqual(caught.exception.code, E.ISCL_PEER_LENGTH_TOO_SMALL)
        self.assertEqual(nets[1].wait_for("on_close")[0], E.ISCL_LOCAL_LENGTH_TOO_SMALL)
        self.assertGreater(nets[1].get_peer_requested_message_length_iscl(), 100)

    def test_encryption_keys(self) -> None:
        """The sender has sent it all before the receiver finds out, and is told nothing."""
        nets = self.stand(self.both(other=lambda net: net.set_encrypt_key_iscl(1, THIRD_KEY)))
        nets[0].wait_for("on_secure_link_ready")
        nets[0].send_associate_request(request())
        self.assertEqual(nets[1].wait_for("on_close")[0], E.ISCL_BAD_MAC)
        self.assertEqual(nets[0].wait_for("on_close")[0], E.NET_CONNECTION_ABORTED)
        self.assertEqual(nets[1].count("on_receive_associate_request"), 0)

    def test_an_empty_encryption_slot(self) -> None:
        def setup(net: Secured) -> None:
            net.set_encrypt_key_iscl(5, THIRD_KEY)
            net.set_index_for_encrypt_iscl(5)

        self.refused(setup, E.ISCL_RECEIVED_NAK, E.ISCL_MESSAGE_TRANSMISSION)

    def test_changed_on_the_way(self) -> None:
        """Each kind of change ends the connection with its code; no hook sees what was changed."""

        def flip(message_id: MessageId, at: int) -> Callable[[bytes], bytes]:
            def change(data: bytes) -> bytes:
                place = data.find(message_id.to_bytes(4, "big"))
                if place < 0:
                    return data
                found = bytearray(data)
                found[place - 4 + at] ^= 1
                return bytes(found)

            return change

        for message_id, at, code in (
            (MessageId.DATA, 40, E.ISCL_BAD_MAC),
            (MessageId.MAC, 40, E.ISCL_BAD_MAC),
            (MessageId.MAC, 32 + 23, E.ISCL_BAD_MAC),
            (MessageId.MAC, 11, E.ISCL_BAD_LENGTH),
            (MessageId.MAC, 7, E.ISCL_BAD_MESSAGE_ID),
            (MessageId.TRANSMISSION_REQUEST, 35, E.ISCL_MESSAGE_TRANSMISSION),
        ):
            nets = self.both()
            there, back = pair()
            there.__class__ = Changing
            there.change = flip(message_id, at)  # type: ignore[attr-defined]
            nets[1].attach(back, requestor=False)
            nets[0].attach(there, requestor=True)
            nets[0].wait_for("on_secure_link_ready")
            try:
                nets[0].send_associate_request(request())
            except LDicomError:
                pass
            with self.subTest(message_id.name, at=at):
                self.assertEqual(nets[1].wait_for("on_close")[0], code)
                self.assertEqual(nets[1].count("on_receive_associate_request"), 0)
                nets[0].wait_for("on_close")


    def test_changed_within_an_association(self) -> None:
        """The association is aborted by the provider, on the side that has found out (PS3.15 B.2)."""
        nets = self.both()
        there, back = pair()
        there.__class__ = Changing
        nets[1].attach(back, requestor=False)
        nets[0].attach(there, requestor=True)
        nets[0].wait_for("on_secure_link_ready")
        nets[0].send_associate_request(request())
        nets[0].wait_for("on_receive_associate_accept")
        self.echo(nets[0])
        place = HEADER + 8

        def flip(data: bytes) -> bytes:
            is_body = data[4:8] == MessageId.DATA.to_bytes(4, "big")
            return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] if is_body else data

        there.change = flip  # type: ignore[attr-defined]
        nets[0].send_c_echo_request(1, 8)
        self.assertEqual(nets[1].wait_for("on_receive_abort")[0], AbortSource.PROVIDER)
        self.assertEqual(nets[1].wait_for("on_close")[0], E.ISCL_BAD_MAC)
        self.assertEqual(nets[1].count("on_receive_c_echo_request"), 1)
        nets[0].wait_for("on_close")


class Peers(Iscl):
    """Peers that are none, over TCP."""

    def listening(self, secure: float = SECONDS) -> Secured:
        server = self.secured(Timeouts(secure=secure, artim=SECONDS, shutdown=2))
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        return server

    def raw(self, server: Secured) -> socket.socket:
        return self.enterContext(socket.create_connection(server.get_host_info(), SECONDS))

    def test_a_server_speaks_first(self) -> None:
        raw = self.raw(self.listening())
        self.assertEqual(raw.recv(40, socket.MSG_WAITALL)[4:8], bytes.fromhex("00110001"))

    def test_silence_and_dripping(self) -> None:
        for drips in (False, True):
            server = self.listening(secure=0.3)
            raw = self.raw(server)
            if drips:
                raw.sendall(bytes.fromhex("00000000001100"))
            began = monotonic()
            with self.subTest(drips=drips):
                self.assertEqual(server.wait_for("on_close")[0], E.NET_TIME_OUT)
                self.assertLess(monotonic() - began, SECONDS / 2)

    def test_plain_dicom_on_an_iscl_port(self) -> None:
        """One that waits for nothing before it asks, and one of ours, which hears the greeting first."""
        server = self.listening()
        with self.assertLogs("ldicomnet", "WARNING") as logs:
            self.raw(server).sendall(bytes.fromhex("010000000044 0001") + bytes(66))
            self.assertEqual(server.wait_for("on_close")[0], E.ISCL_BAD_MESSAGE_ID)
        self.assertTrue(any("DICOM without a security layer" in line for line in logs.output), logs.output)
        plain = Recorder()
        self.addCleanup(plain.close_forced)
        plain.connect("", 0, *server.get_host_info())
        self.assertNotEqual(plain.wait_for("on_close")[0], E.SUCCESS)
        server.wait_for("on_close", 2)

    def test_iscl_on_a_plain_port(self) -> None:
        server = Recorder()
        server.timeouts = Timeouts(artim=0.3)
        self.addCleanup(server.server_close)
        server.listen("127.0.0.1")
        requestor = self.secured(Timeouts(secure=5))
        requestor.connect("", 0, *server.get_host_info())
        self.assertEqual(requestor.wait_for("on_secure_link_ready")[0], E.NET_CONNECTION_ABORTED)

    def test_garbage(self) -> None:
        server = self.listening()
        for number, data in enumerate((bytes(64), b"GET / HTTP/1.1\r\n\r\n", Random(3).randbytes(1000)), 1):
            self.raw(server).sendall(data)
            self.assertEqual(server.wait_for("on_close", number)[0], E.ISCL_BAD_MESSAGE_ID)

    def test_an_association_cannot_be_asked_for_before(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            requestor = self.secured()
            requestor.connect("", 0, *silent.getsockname())
            requestor.wait_for("on_connect")
            with self.assertRaisesRegex(LDicomUsageError, "on_secure_link_ready"):
                requestor.send_associate_request(request())
            began = monotonic()
            requestor.close()
            self.assertLess(monotonic() - began, SECONDS / 2)

    def test_nothing_is_left(self) -> None:
        """No thread, no descriptor, no object of the library, whatever came; the first round imports what is needed."""
        for each in (self.round, self.round):
            baseline = Baseline()
            each()
        self.assertEqual(baseline.left(SECONDS), [])

    def round(self) -> None:
        """Peers that are none, one that does what it should, and one that is cut off within a message."""
        server = Secured()
        server.answers["on_receive_associate_request"] = accept_all
        server.timeouts = Timeouts(secure=0.3, shutdown=2)
        server.listen("127.0.0.1")
        peers = [b"", bytes(7), bytes(64), header(MessageId.LINE_CHECK_RESPONSE, 4, "big"), b"\0" * 5]
        for data in peers:
            with socket.create_connection(server.get_host_info(), SECONDS) as raw:
                raw.sendall(data)
        silent = socket.create_connection(server.get_host_info(), SECONDS)
        with Secured() as net:
            net.connect("", 0, *server.get_host_info())
            net.wait_for("on_secure_link_ready")
            net.send_associate_request(request())
            net.wait_for("on_receive_associate_accept")
            self.echo(net)
            net.send_release_request()
            net.wait_for("on_close")
        server.wait_for("on_close", len(peers) + 2)
        silent.close()
        server.server_close()


class Through(Iscl):
    """Data beside DICOM."""

    def test_both_ways(self) -> None:
        for tcp in (False, True):
            nets = self.associate(self.both(), tcp)
            for one, other in (nets, nets[::-1]):
                data = b"\x04beside" * 5000
                one.send_non_secure_iscl(data)
                with self.subTest(tcp=tcp):
                    self.assertEqual(one.wait_for("on_non_secure_send_iscl"), (E.SUCCESS, 4, len(data)))
                    self.assertEqual(other.wait_for("on_non_secure_received_iscl"), (E.SUCCESS, data))
            self.echo(nets[0])

    def test_before_an_association_and_in_hooks(self) -> None:
        requestor, acceptor = self.stand(self.both())
        for net in (requestor, acceptor):
            net.wait_for("on_secure_link_ready")
        acceptor.answers["on_non_secure_received_iscl"] = lambda net, _error, data: net.send_non_secure_iscl(
            b"re: " + data
        )
        requestor.send_non_secure_iscl(b"hello")
        self.assertEqual(requestor.wait_for("on_non_secure_received_iscl"), (E.SUCCESS, b"re: hello"))

    def test_while_messages_are_sent(self) -> None:
        requestor, acceptor = self.associate(self.both(), tcp=True)

        def beside() -> None:
            for number in range(50):
                requestor.send_non_secure_iscl(bytes([number]) * 1000)

        thread = threading.Thread(target=beside, daemon=True)
        thread.start()
        for number in range(20):
            self.echo(requestor, number + 1)
        thread.join(SECONDS)
        got = [acceptor.wait_for("on_non_secure_received_iscl", number + 1)[1] for number in range(50)]
        self.assertEqual(got, [bytes([number]) * 1000 for number in range(50)])

    def test_misuse(self) -> None:
        plain = Recorder()
        with self.assertRaises(LDicomUsageError) as caught:
            plain.send_non_secure_iscl(b"data")
        self.assertEqual(caught.exception.code, E.BAD_SECURE_MODE)
        net = self.secured()
        with self.assertRaises(LDicomTransportError):
            net.send_non_secure_iscl(b"data")
        nets = self.associate(self.both(lambda net: net.set_max_message_length_iscl(1000)))
        for wrong in (b"", bytes(1001), "text", None):
            with self.subTest(type(wrong)), self.assertRaises(LDicomUsageError):
                nets[0].send_non_secure_iscl(wrong)  # type: ignore[arg-type]
        self.assertEqual(nets[0].count("on_non_secure_send_iscl"), 0)
        nets[0].raise_errors = False
        nets[0].close()
        self.assertEqual(nets[0].send_non_secure_iscl(b"data"), E.NET_CONNECTION_RESET)
        self.assertEqual(nets[0].wait_for("on_non_secure_send_iscl")[0], E.NET_CONNECTION_RESET)

    def test_a_hook_that_fails(self) -> None:
        nets = self.associate(self.both())
        nets[1].answers["on_non_secure_received_iscl"] = lambda *_arguments: 1 / 0
        with self.assertLogs("ldicomnet.iscl", "ERROR"):
            nets[0].send_non_secure_iscl(b"data")
            nets[1].wait_for("on_non_secure_received_iscl")
            self.echo(nets[0])


class Ending(Iscl):
    """The end is agreed on; one that is refused may be forced."""

    def test_close_is_agreed_on(self) -> None:
        for side in (0, 1):
            nets = self.associate(self.both())
            nets[side].close()
            self.assertEqual(nets[side].wait_for("on_close")[0], E.SUCCESS)
            self.assertEqual(nets[1 - side].wait_for("on_close")[0], E.NET_CONNECTION_ABORTED)
            for net in nets:
                self.assertEqual(net.get_status_iscl(), IsclStatus.CLOSED)

    def test_close_in_a_hook_and_forced(self) -> None:
        for name in ("close", "close_forced"):
            nets = self.associate(self.both())
            nets[1].answers["on_receive_c_echo_request"] = lambda net, *_arguments, name=name: getattr(net, name)()
            began = monotonic()
            nets[0].send_c_echo_request(1, 1)
            self.assertEqual(nets[1].wait_for("on_close")[0], E.SUCCESS)
            self.assertEqual(nets[0].wait_for("on_close")[0], E.NET_CONNECTION_ABORTED)
            self.assertLess(monotonic() - began, SECONDS / 2)

    def refusing(self) -> tuple[Secured, MemoryTransport]:
        """A connection whose peer answers all but wants no end of it."""
        requestor, acceptor = self.both()
        there, back = pair()
        there.__class__ = Refusing
        acceptor.attach(back, requestor=False)
        requestor.attach(there, requestor=True)
        acceptor.wait_for("on_secure_link_ready")
        requestor.wait_for("on_secure_link_ready")
        return acceptor, there

    def test_refused(self) -> None:
        acceptor, _there = self.refusing()
        with self.assertRaises(LDicomSecurityError) as caught:
            acceptor.close()
        self.assertEqual(caught.exception.code, E.ISCL_PEER_REFUSES_CLOSE)
        self.assertEqual(acceptor.get_error_secure(), E.ISCL_PEER_REFUSES_CLOSE)
        self.assertTrue(acceptor.is_connected())
        acceptor.send_non_secure_iscl(b"still here")
        acceptor.close_forced()
        self.assertEqual(acceptor.wait_for("on_close")[0], E.SUCCESS)

    def test_refused_to_who_leaves_its_block(self) -> None:
        acceptor, _there = self.refusing()
        with self.assertRaises(LDicomSecurityError), acceptor:
            pass
        acceptor.wait_for("on_close")
        self.assertFalse(acceptor.is_connected())

    def test_no_answer(self) -> None:
        """A peer that does not answer is not waited for longer than `timeouts.shutdown`."""
        nets = self.stand(self.both())
        for net in nets:
            net.wait_for("on_secure_link_ready")
            net.timeouts.shutdown = 0.3
        waiting = threading.Event()
        self.addCleanup(waiting.set)
        held = threading.Event()

        def hold(_net: Secured, _error: ErrorCode, _data: bytes) -> None:
            held.set()
            waiting.wait(SECONDS)

        nets[1].answers["on_non_secure_received_iscl"] = hold
        nets[0].send_non_secure_iscl(b"hold")
        self.assertTrue(held.wait(SECONDS))
        began = monotonic()
        nets[0].close()
        self.assertLess(monotonic() - began, SECONDS / 2)
        self.assertEqual(nets[0].wait_for("on_close")[0], E.SUCCESS)
        waiting.set()

    def test_shut_down(self) -> None:
        nets = self.associate(self.both(), tcp=True)
        LDicomNet.shut_down()
        for net in nets:
            net.wait_for("on_close")

    def test_drain(self) -> None:
        server = self.secured()
        requestor, _client = self.associate((self.secured(), server), tcp=True)
        requestor.send_release_request()
        server.drain(SECONDS)
        self.assertEqual(requestor.wait_for("on_close")[0], E.SUCCESS)


class Refusing(MemoryTransport):
    """Of an answer to a disconnection request it makes a refusal."""

    def write(self, buffers: list[Buffer], more: bool = False) -> None:
        data = b"".join(buffers)
        if data[4:8] == MessageId.DISCONNECTION_RESPONSE.to_bytes(4, "big"):
            data = encode(Packet(MessageId.DISCONNECTION_RESPONSE, result=NAK), WireOptions(), "big")
        super().write([data], more)

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        """The request becomes data beside, so that the end behind it does not close."""
        count = super().read_into(view, unfinished)
        data = bytes(view[:count])
        if data == header(MessageId.DISCONNECTION_REQUEST, 0, "big"):
            super().write([encode(Packet(MessageId.DISCONNECTION_RESPONSE, result=NAK), WireOptions(), "big")])
            return self.read_into(view, unfinished)
        return count


class Members(unittest.TestCase):
    """What can be set, and what cannot."""

    def setUp(self) -> None:
        self.net = LDicomNet(None, SecureMode.ISCL)

    def test_defaults(self) -> None:
        net = self.net
        self.assertEqual((net.get_index_for_mutual_auth_iscl(), net.get_index_for_encrypt_iscl()), (1, 1))
        self.assertEqual((net.get_comm_block_length_iscl(), net.get_peer_auth_data_iscl()), (8160, b""))
        self.assertEqual((net.get_peer_encryption_iscl(), net.get_peer_mac_iscl()), (0, 0))
        self.assertEqual((net.get_peer_requested_message_length_iscl(), net.get_status_iscl()), (0, IsclStatus.IDLE))
        self.assertEqual((net.get_error_secure(), net.is_iscl_queue_empty()), (E.SUCCESS, True))
        self.assertEqual(net.wire_options_iscl.name, "profile A")
        self.assertFalse(net.allows_unkeyed_iscl)

    def test_what_is_set_is_got(self) -> None:
        net = self.net
        for setting, value in (
            (net.set_index_for_mutual_auth_iscl, 8),
            (net.set_index_for_encrypt_iscl, 0x10),
            (net.set_max_comm_block_length_iscl, 4096),
            (net.set_max_message_length_iscl, 1),
            (net.set_mutual_auth_alg_iscl, IsclMutualAuthentication.THREE_PASS_FOUR_WAY),
            (net.set_auth_data_iscl, b"x"),
        ):
            self.assertEqual(setting(value), E.SUCCESS)  # type: ignore[operator]
        self.assertEqual((net.get_index_for_mutual_auth_iscl(), net.get_index_for_encrypt_iscl()), (8, 0x10))
        self.assertEqual(net.get_comm_block_length_iscl(), 4096)

    def test_what_cannot_be_set(self) -> None:
        net = self.net
        for setting, values, code in (
            (net.set_max_comm_block_length_iscl, (63, 65505, -1, "8160", None), E.ISCL_BAD_COMM_BLOCK_LENGTH),
            (net.set_max_message_length_iscl, (0, -1, 1 << 27, None), E.ISCL_BAD_LENGTH),
            (net.set_mutual_auth_alg_iscl, (1, -1, None), E.ISCL_BAD_MUTUAL_AUTH_METHOD),
            (net.set_default_encryption_iscl, (1, 0x1441, None), E.PARAMETER),
            (net.set_default_signing_iscl, (1, 0x1212, None), E.PARAMETER),
            (net.set_auth_data_iscl, (b"", bytes(129), "text", None), E.PARAMETER),
            (net.set_index_for_mutual_auth_iscl, (0, 9, 0x10, None), E.PARAMETER),
            (net.set_index_for_encrypt_iscl, (0, 9, 0x11, None), E.PARAMETER),
        ):
            for value in values:
                with self.subTest(setting.__name__, value=value), self.assertRaises(LDicomUsageError) as caught:
                    setting(value)  # type: ignore[arg-type]
                self.assertEqual(caught.exception.code, code)
        for set_key in (net.set_mutual_auth_key_iscl, net.set_encrypt_key_iscl):
            for index, key in ((0, KEY), (9, KEY), ("1", KEY), (1, b"short"), (1, 1 << 64), (1, 0), (1, bytes(8))):
                with self.subTest(index=index, key=key), self.assertRaises(LDicomUsageError):
                    set_key(index, key)  # type: ignore[arg-type]
        with self.assertRaises(LDicomUsageError):
            net.wire_options_iscl = "profile A"  # type: ignore[assignment]

    def test_codes_instead_of_exceptions(self) -> None:
        self.net.raise_errors = False
        self.assertEqual(self.net.set_max_comm_block_length_iscl(1), E.ISCL_BAD_COMM_BLOCK_LENGTH)
        self.assertEqual(self.net.connect("", 0, "127.0.0.1", 1), E.ISCL_MESSAGE_TRANSMISSION)

    def test_no_keys(self) -> None:
        """It is said before a connection is made."""
        for set_key, code in (
            (None, E.ISCL_MESSAGE_TRANSMISSION),
            (self.net.set_encrypt_key_iscl, E.ISCL_LOCAL_IC_CARD),
        ):
            if set_key is not None:
                set_key(1, KEY)
            for job in (lambda: self.net.listen("127.0.0.1"), lambda: self.net.connect("", 0, "127.0.0.1", 1)):
                with self.assertRaises(LDicomSecurityError) as caught:
                    job()
                self.assertEqual(caught.exception.code, code)
        self.assertFalse(self.net.is_activated())

    def test_deferred(self) -> None:
        """Keys may come before `initialize`, or after it."""
        net = LDicomNet(defer_init=True)
        net.set_mutual_auth_key_iscl(1, KEY)
        with self.assertRaises(LDicomUsageError):
            net.listen("127.0.0.1")
        net.initialize(None, SecureMode.ISCL)
        with self.assertRaises(LDicomSecurityError):
            net.listen("127.0.0.1")
        net.set_encrypt_key_iscl(1, KEY)
        net.listen("127.0.0.1")
        self.addCleanup(net.close)
        self.assertEqual(net.get_secure_mode(), SecureMode.ISCL)

    def test_a_server_whose_clients_have_the_keys(self) -> None:
        """Where the program makes the objects that accept, the listening one needs no keys."""

        class Server(LDicomNet):
            def create_client(self) -> LDicomNet:
                client = Secured()
                client.timeouts = self.timeouts
                return client

        server = Server(None, SecureMode.ISCL)
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        net = Secured()
        self.addCleanup(net.close_forced)
        net.connect("", 0, *server.get_host_info())
        self.assertEqual(net.wait_for("on_secure_link_ready"), (E.SUCCESS,))

    def test_it_is_imported_by_who_wants_it(self) -> None:
        program = (
            "import sys, ldicomnet; ldicomnet.LDicomNet().get_status_iscl();"
            "print([name for name in sys.modules if 'cryptography' in name or name.startswith('ldicomnet.iscl.')])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.stdout.strip(), done.stderr), ("['ldicomnet.iscl.members']", ""))


if __name__ == "__main__":
    unittest.main()
