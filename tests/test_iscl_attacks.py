"""What an enemy of ISCL tries: each attack by its name, against the pure core, the transport, or whole connections."""

from __future__ import annotations

import socket
import threading
import tracemalloc
import unittest
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic
from unittest import mock

from ldicomnet import (
    ErrorCode,
    IsclEncryption,
    IsclSigning,
    LDicomError,
    LDicomNet,
    LDicomSecurityError,
    LDicomUsageError,
    SecureMode,
    Timeouts,
)
from ldicomnet.iscl import ciphers
from ldicomnet.iscl.handshake import Client, Handshake, Server
from ldicomnet.iscl.inbox import Inbox, Kind
from ldicomnet.iscl.options import UNIQUE_KEYS, Setup, WireOptions
from ldicomnet.iscl.transfer import Transfer
from ldicomnet.iscl.wire import HEADER, MessageId, Packet, Reader, encode
from ldicomnet.transport import Buffer
from ldicomnet.transport.memory import MemoryTransport, pair

from .iscl_ends import KEY, OTHER_KEY, SETUP, THIRD_KEY, Ends, FixedCard, across, with_wire
from .support import SECONDS, Recorder, accept_all
from .support import Ends as NetEnds
from .test_iscl_transport import Threads

E = ErrorCode
NOTHING = (None,) * 8


class Secured(Recorder):
    """An end with ISCL and different keys for the two purposes."""

    def __init__(self, mode: SecureMode = SecureMode.ISCL, has_auth_key: bool = True) -> None:
        super().__init__(None, mode)
        self.timeouts = Timeouts(secure=SECONDS, shutdown=2)
        self.answers["on_receive_associate_request"] = accept_all
        if has_auth_key:
            self.set_mutual_auth_key_iscl(1, KEY)
        self.set_encrypt_key_iscl(1, OTHER_KEY)

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        self.note("on_secure_link_ready", error)


class WithCard(Secured):
    """A card has the authentication key, and so this process has none."""

    def __init__(self) -> None:
        super().__init__(has_auth_key=False)

    def internal_authenticate_iscl(self, challenge: bytes, parameter: bytes) -> bytes:
        return ciphers.des_response(KEY, challenge)

    def external_authenticate_iscl(self, challenge: bytes, response: bytes, parameter: bytes) -> ErrorCode:
        is_right = ciphers.is_same(ciphers.des_response(KEY, challenge), response)
        return E.SUCCESS if is_right else E.ISCL_LOCAL_IC_CARD


class ByHand(unittest.TestCase):
    """A peer made by hand, at the other end of a pair in memory."""

    def send(self, back: MemoryTransport, *packets: Packet) -> None:
        back.write([encode(packet, SETUP.wire, "big") for packet in packets])

    def receive(self, back: MemoryTransport, reader: Reader) -> Packet | None:
        """The next packet; None at the end."""
        buffer = bytearray(1000)
        back.set_timeout(SECONDS)
        while (packet := reader.take()) is None:
            count = back.read_into(memoryview(buffer), False)
            if not count:
                return None
            reader.feed(buffer[:count])
        return packet

    def shake(self, net: LDicomNet, is_requestor: bool, steps: int = 4) -> MemoryTransport:
        """So many of a good peer's packets; what follows is the test's."""
        there, back = pair()
        net.attach(there, requestor=is_requestor)
        self.addCleanup(net.close_forced)
        other: Handshake = (Server if is_requestor else Client)(SETUP, FixedCard())
        reader = Reader(SETUP.wire, lambda _id: 1 << 20)
        said = list(other.begin())
        while steps and not other.is_done:
            if not said:
                packet = self.receive(back, reader)
                assert packet is not None
                said += other.receive(packet).packets
            while said and steps:
                self.send(back, said.pop(0))
                steps -= 1
        return back


# --- keys ---------------------------------------------------------------------------------------------------------


class NoKey(ByHand):
    """Where a card has the authentication key, nothing is ever protected by a key of zeros, which anybody knows."""

    def test_a_peer_that_asks_for_a_key_of_its_own_for_the_message(self) -> None:
        """Whoever is between needs no key at all, if the key is made of a number that is sent and of zeros."""
        net = WithCard()
        back = self.shake(net, False)
        self.assertEqual(net.wait_for("on_secure_link_ready"), (E.SUCCESS,))
        words = IsclEncryption.DESCBC, UNIQUE_KEYS, IsclSigning.MD5, 6
        self.send(back, Packet(MessageId.TRANSMISSION_REQUEST, words))
        self.assertEqual(net.wait_for("on_close")[0], E.ISCL_MESSAGE_TRANSMISSION)

    def test_sending_with_one(self) -> None:
        for change in (
            lambda net: net.set_index_for_encrypt_iscl(UNIQUE_KEYS),
            lambda net: (
                net.set_default_signing_iscl(IsclSigning.DESMAC),
                setattr(net, "wire_options_iscl", WireOptions(desmac_key="authentication")),
            ),
        ):
            net = WithCard()
            change(net)
            with self.subTest(net.get_index_for_encrypt_iscl()), self.assertLogs("ldicomnet", "WARNING"):
                self.shake(net, False)
                self.assertEqual(net.wait_for("on_secure_link_ready"), (E.ISCL_LOCAL_IC_CARD,))
                self.assertEqual(net.wait_for("on_close")[0], E.ISCL_LOCAL_IC_CARD)

    def test_what_needs_none_works(self) -> None:
        net = WithCard()
        self.shake(net, False)
        self.assertEqual(net.wait_for("on_secure_link_ready"), (E.SUCCESS,))


class Oracle(unittest.TestCase):
    """A client answers any challenge: that must not be all that is needed to have the key of a message."""

    def test_the_answer_to_the_random_number(self) -> None:
        """As a challenge, and everything near it, where keys of messages are separate."""
        setup = with_wire(WireOptions(session_key=ciphers.separate_session_key))
        ends = Ends(replace(setup, encrypt_index=UNIQUE_KEYS))
        ends.ask(0, 100)
        request = ends.wires[1].popleft()
        ends.take(1, request)
        ends.deliver()
        random = (1).to_bytes(8, "big")  # what the sender drew first
        used = ends.sides[0]._key
        self.assertEqual(used, ciphers.separate_session_key(KEY, random))
        flipped = bytes(255 - byte for byte in random)
        for challenge in (random, random[::-1], flipped):
            response = ciphers.des_response(KEY, challenge)
            for guess in (response, response[::-1], bytes(255 - byte for byte in response)):
                self.assertNotEqual(ciphers.with_parity(guess), used)

    def test_who_wants_it_so_is_told(self) -> None:
        """With the proposed derivation, which is the default; who does not use such keys is not bothered."""
        for wire, index, expected in (
            (WireOptions(), UNIQUE_KEYS, True),
            (WireOptions(), 1, False),
            (WireOptions(session_key=ciphers.separate_session_key), UNIQUE_KEYS, False),
            (WireOptions(response=lambda key, challenge: key), UNIQUE_KEYS, False),
        ):
            with self.subTest(wire=wire, index=index):
                weaknesses = " ".join(replace(with_wire(wire), encrypt_index=index).weaknesses)
                self.assertEqual("are responses" in weaknesses, expected)

    def test_one_key_for_both(self) -> None:
        """Parity bits do not make two keys of one."""
        same = Setup(auth_keys=(KEY, *NOTHING[1:]), encrypt_keys=(None, bytes(byte ^ 1 for byte in KEY), *NOTHING[2:]))
        self.assertIn("both", " ".join(same.weaknesses))
        self.assertNotIn(KEY.hex(), " ".join(same.weaknesses).lower())
        different = Setup(auth_keys=(KEY, *NOTHING[1:]), encrypt_keys=(OTHER_KEY, THIRD_KEY, *NOTHING[2:]))
        self.assertEqual(different.weaknesses, ())


class Shown(unittest.TestCase):
    """A key is in no error, even where the arguments are the wrong way round."""

    def test_arguments_in_the_other_order(self) -> None:
        net = LDicomNet(None, SecureMode.ISCL)
        number = int.from_bytes(KEY, "big")
        for put in (net.set_mutual_auth_key_iscl, net.set_encrypt_key_iscl):
            for key in (KEY, number, bytearray(KEY), KEY.hex()):
                with self.subTest(key), self.assertRaises(LDicomUsageError) as caught:
                    put(key, 1)  # type: ignore[arg-type]
                text = str(caught.exception)
                for shown in (repr(KEY)[2:-1], str(number), KEY.hex(), "x37"):
                    self.assertNotIn(shown, text)
        for setter in (net.set_index_for_mutual_auth_iscl, net.set_index_for_encrypt_iscl):
            with self.assertRaises(LDicomUsageError) as caught:
                setter(number)
            self.assertNotIn(str(number), str(caught.exception))


# --- authentication -----------------------------------------------------------------------------------------------


class Reflected(ByHand):
    """The peer has no key, and lets us answer for it."""

    def client(self) -> tuple[Secured, MemoryTransport, Reader]:
        """One that has been asked for its authentication, and waits for the challenge."""
        net = Secured()
        back = self.shake(net, True, 2)
        reader = Reader(SETUP.wire, lambda _id: 1 << 20)
        for name in ("LINE_CHECK_RESPONSE", "AUTHENTICATION_RESPONSE"):
            packet = self.receive(back, reader)
            assert packet is not None
            if packet.message_id.name != name:
                self.assertEqual(packet.message_id.name, "AUTHENTICATION_RESPONSE")
                break
        return net, back, reader

    def test_on_a_connection_beside(self) -> None:
        """A server that knows no key sends a client's own challenge to its second connection, and gets the answer."""
        first, back, reader = self.client()
        self.send(back, Packet(MessageId.PASS_1, quantities=(b"whatever",)))
        packet = self.receive(back, reader)
        assert packet is not None
        challenge = packet.quantities[1]
        second, beside, other_reader = self.client()
        with self.assertLogs("ldicomnet", "WARNING") as logs:
            self.send(beside, Packet(MessageId.PASS_1, quantities=(challenge,)))
            answer = self.receive(beside, other_reader)
            assert answer is not None
            self.assertEqual((answer.message_id, answer.quantities), (MessageId.PASS_2, ()))
            self.assertNotEqual(answer.result, 0)
            self.assertEqual(second.wait_for("on_secure_link_ready"), (E.ISCL_LOCAL_IC_CARD,))
        self.assertIn("of this side's own", "\n".join(logs.output))
        self.assertEqual(first.count("on_secure_link_ready"), 0)

    def test_on_the_same_connection(self) -> None:
        """Our own response, and our own challenge, as the answer."""
        for pick in (0, 1):
            net, back, reader = self.client()
            self.send(back, Packet(MessageId.PASS_1, quantities=(b"whatever",)))
            packet = self.receive(back, reader)
            assert packet is not None
            with self.subTest(pick), self.assertLogs("ldicomnet", "WARNING"):
                self.send(back, Packet(MessageId.PASS_3, quantities=(packet.quantities[pick],)))
                self.assertEqual(net.wait_for("on_secure_link_ready"), (E.ISCL_LOCAL_IC_CARD,))

    def test_to_a_server(self) -> None:
        """Its challenge as response and as challenge: it has answered nothing before it is satisfied."""
        server = Server(SETUP, FixedCard())
        server.begin()
        server.receive(Packet(MessageId.LINE_CHECK_RESPONSE, (8160,)))
        step = server.receive(Packet(MessageId.AUTHENTICATION_RESPONSE))
        challenge = step.packets[0].quantities[0]
        step = server.receive(Packet(MessageId.PASS_2, quantities=(challenge, challenge)))
        assert step.error is not None
        self.assertEqual(step.error.code, E.ISCL_LOCAL_IC_CARD)
        self.assertEqual([packet.quantities for packet in step.packets], [()])

    def test_recorded_yesterday(self) -> None:
        """Responses do not fit another connection: challenges are drawn anew, and none is like another."""
        drawn = [LDicomNet(None, SecureMode.ISCL).get_challenge_iscl(KEY) for _ in range(1000)]
        self.assertEqual(len(set(drawn)), 1000)


class CardAnswers(unittest.TestCase):
    """Hooks of a site that say it in another way than with 0."""

    def verified_by(self, result: object) -> bool:
        class Card(FixedCard):
            def verify(self, challenge: bytes, response: bytes, key: bytes) -> int:
                return result  # type: ignore[return-value]

        server = Server(SETUP, Card())
        server.begin()
        server.receive(Packet(MessageId.LINE_CHECK_RESPONSE, (8160,)))
        server.receive(Packet(MessageId.AUTHENTICATION_RESPONSE))
        return server.receive(Packet(MessageId.PASS_2, quantities=(bytes(8), bytes(8)))).error is None

    def test_only_zero_is_success(self) -> None:
        """`return response == expected` would let in those who are wrong, and nobody else."""
        self.assertTrue(self.verified_by(0))
        self.assertTrue(self.verified_by(ErrorCode.SUCCESS))
        for result in (False, True, None, 1, E.ISCL_LOCAL_IC_CARD, "", b"", 0.0, "0"):
            with self.subTest(result):
                self.assertFalse(self.verified_by(result))


class Hooks(NetEnds):
    """A hook that ends the thread, as it thinks, ends the connection."""

    def test_sys_exit_in_a_card(self) -> None:
        class Quitting(Secured):
            quits = ""

            def get_challenge_iscl(self, parameter: bytes) -> bytes:
                self._quit("challenge")
                return super().get_challenge_iscl(parameter)

            def internal_authenticate_iscl(self, challenge: bytes, parameter: bytes) -> bytes:
                self._quit("internal")
                return super().internal_authenticate_iscl(challenge, parameter)

            def external_authenticate_iscl(self, challenge: bytes, response: bytes, parameter: bytes) -> ErrorCode:
                self._quit("external")
                return super().external_authenticate_iscl(challenge, response, parameter)

            def _quit(self, name: str) -> None:
                if self.quits == name:
                    raise SystemExit(1)

        for name in ("challenge", "internal", "external"):
            for number in (0, 1):
                nets = Quitting(), Quitting()
                nets[number].quits = name
                for net in nets:
                    self.addCleanup(net.close_forced)
                with self.subTest(name, number=number), self.assertLogs("ldicomnet", "WARNING"):
                    self.join(*nets)
                    self.assertEqual(nets[number].wait_for("on_secure_link_ready"), (E.ISCL_LOCAL_IC_CARD,))
                    self.assertEqual(nets[number].wait_for("on_close")[0], E.ISCL_LOCAL_IC_CARD)
                    self.assertEqual(nets[1 - number].wait_for("on_secure_link_ready"), (E.ISCL_REMOTE_IC_CARD,))
                    nets[1 - number].wait_for("on_close")


class EachStep(ByHand):
    """A peer that stops being one, after each of its packets in turn."""

    def sides(self) -> list[tuple[bool, int]]:
        return [(is_requestor, steps) for is_requestor in (True, False) for steps in range(4)]

    def attacked(self, attack: Callable[[MemoryTransport], None], seconds: float = SECONDS) -> list[ErrorCode]:
        codes = []
        for is_requestor, steps in self.sides():
            net = Secured()
            net.timeouts = Timeouts(secure=seconds, shutdown=2)
            with self.subTest(is_requestor=is_requestor, steps=steps):
                back = self.shake(net, is_requestor, steps)
                attack(back)
                code = net.wait_for("on_close")[0]
                if code:
                    self.assertEqual(net.wait_for("on_secure_link_ready"), (code,))
                self.assertEqual(net.count("on_receive_associate_request"), 0)
                codes.append(code)
        return codes

    def test_silence(self) -> None:
        with self.assertLogs("ldicomnet", "WARNING"):
            began = monotonic()
            codes = self.attacked(lambda back: None, 0.1)
        self.assertEqual(set(codes), {E.NET_TIME_OUT})
        self.assertLess(monotonic() - began, SECONDS)

    def test_leaving(self) -> None:
        """Who leaves without a word is told to nobody but a requestor."""
        with self.assertLogs("ldicomnet", "WARNING"):
            codes = self.attacked(lambda back: back.close())
        self.assertEqual(codes[4], E.SUCCESS)
        self.assertEqual({*codes[:4], *codes[5:]}, {E.NET_CONNECTION_ABORTED})

    def test_other_protocols(self) -> None:
        for data in (b"\x01\0\0\0\0\xcd\0\1\0\0" + bytes(199), b"\x16\3\1\2\0\1\0\1\xfc\3\3" + bytes(500)):
            with self.assertLogs("ldicomnet", "WARNING"):
                codes = self.attacked(lambda back, data=data: back.write([data]))  # type: ignore[misc]
            self.assertEqual(set(codes), {E.ISCL_BAD_MESSAGE_ID})

    def test_messages_too_early(self) -> None:
        """Secured ones, and the ones beside them, before anybody is authenticated."""
        for packet in (
            Packet(MessageId.THROUGH, data=b"data"),
            Packet(MessageId.DATA, data=b"data"),
            Packet(MessageId.TRANSMISSION_REQUEST, (0, 1, 0, 6)),
            Packet(MessageId.DISCONNECTION_REQUEST),
        ):
            with self.assertLogs("ldicomnet", "WARNING"):
                codes = self.attacked(lambda back, packet=packet: self.send(back, packet))  # type: ignore[misc]
            self.assertEqual(set(codes), {E.ISCL_BAD_MESSAGE_ID})

    def test_half_a_header_that_announces_much(self) -> None:
        """Refused as soon as the length is there; nothing is waited for."""
        for message_id in (MessageId.LINE_CHECK_REQUEST, MessageId.PASS_2, MessageId.DATA):
            head = bytes(4) + int(message_id).to_bytes(4, "big") + b"\x7f\xff\xff\xff" + bytes(20)
            with self.assertLogs("ldicomnet", "WARNING"):
                codes = self.attacked(lambda back, head=head: back.write([head]))  # type: ignore[misc]
            self.assertLessEqual(set(codes), {E.ISCL_BAD_LENGTH, E.ISCL_BAD_MESSAGE_ID})


# --- messages -----------------------------------------------------------------------------------------------------


class Messages(unittest.TestCase):
    """An enemy between two ends that stand."""

    def test_sent_back_to_who_wrote_it(self) -> None:
        """Both directions have the same key, so it needs one for each direction: what is told in the chapter is so.

        The first message comes back as if the peer had written it; the second has another IV by then, unless as many
        have come back. DICOM's roles are what is left: a requestor takes no request.
        """
        ends = Ends()
        packets = ends.send(0, b"a request of the requestor")
        self.assertEqual(ends.got[1], [b"a request of the requestor"])
        words = IsclEncryption.DESCBC, 1, IsclSigning.MD5, 26
        ends.take(0, Packet(MessageId.TRANSMISSION_REQUEST, words))
        for packet in packets:
            ends.take(0, packet)
        self.assertEqual(ends.got[0], [b"a request of the requestor"])

    def test_on_another_connection(self) -> None:
        """What the chapter says of it: from the first message on it is right again, and with a gap it is not."""
        messages = b"first", b"second", b"third"
        for index in (1, UNIQUE_KEYS):
            setup = replace(SETUP, encrypt_index=index)
            yesterday = Ends(setup)
            recorded = [(yesterday.send(0, each), each) for each in messages]
            for order in ((0, 1, 2), (0, 2), (1,)):
                today = Ends(setup)
                for number in order:
                    packets, message = recorded[number]
                    words = IsclEncryption.DESCBC, index, IsclSigning.MD5, len(message)
                    today.take(1, Packet(MessageId.TRANSMISSION_REQUEST, words))
                    if index == UNIQUE_KEYS:
                        random = (number + 1).to_bytes(8, "big")  # as they were drawn
                        today.take(1, Packet(MessageId.RANDOM_REQUEST, quantities=(random,)))
                    for packet in packets:
                        today.take(1, packet)
                with self.subTest(order, index=index):
                    right = {(0, 1, 2): list(messages), (0, 2): [b"first"], (1,): []}[order]
                    self.assertEqual(today.got[1], right)

    def test_a_message_whose_content_the_enemy_chose(self) -> None:
        """MD5 behind the message is no keyed MAC: he may end it early, and then all is over."""
        start = b"what is before his part, in blocks"[:32]
        inner = ciphers.pad("pkcs5", start) + ciphers.pad("pkcs5", ciphers.md5(b"", start))
        ends = Ends()
        ends.ask(0, len(inner) + 10)
        request = ends.wires[1].popleft()
        ends.take(1, Packet(request.message_id, (*request.words[:3], len(start))))
        ends.deliver()
        content = ends.sealed(0, inner + bytes(10))[0].data
        ends.take(1, Packet(MessageId.DATA, data=content[:40]))
        ends.take(1, Packet(MessageId.MAC, data=content[40:64]))
        self.assertEqual(ends.got[1], [start])
        ends.send(0, b"what follows")
        self.assertEqual(ends.got[1], [start])

    def test_the_state_of_an_end_is_kept(self) -> None:
        """What is found wrong while a message leaves stays wrong when it has left."""
        ends = Ends()
        ends.ask(0, 10)
        ends.deliver()
        self.assertTrue(ends.sides[0].may_send)
        ends.sides[0].sealed(bytes(10))
        reply = ends.take(0, Packet(MessageId.MAC, data=bytes(24)))
        assert reply.error is not None
        ends.sides[0].sent()
        self.assertTrue(ends.sides[0].is_over)

    def test_the_end_is_near_while_a_message_leaves(self) -> None:
        ends = Ends()
        ends.ask(0, 10)
        ends.deliver()
        ends.sides[0].sealed(bytes(10))
        ends.take(0, Packet(MessageId.DISCONNECTION_REQUEST))
        ends.sides[0].sent()
        self.assertTrue(ends.sides[0].is_over)

    def test_secured_packets_in_through_mode(self) -> None:
        """They are data beside the messages, and nothing else."""
        ends = Ends()
        ends.ask(0, 10)
        ends.deliver()
        packets = ends.sealed(0, bytes(10))
        whole = b"".join(encode(packet, SETUP.wire, "big") for packet in packets)
        reply = ends.take(1, Packet(MessageId.THROUGH, data=whole))
        self.assertEqual((reply.through, reply.message, ends.got[1]), (whole, None, []))
        for packet in packets:
            ends.take(1, packet)
        self.assertEqual(ends.got[1], [bytes(10)], "and the message is what it was")

    def test_key_and_algorithm_for_each_message(self) -> None:
        """Within a connection that has been good so far."""
        for words in (
            (IsclEncryption.NONE, 1, IsclSigning.MD5, 10),
            (IsclEncryption.NONE, 1, IsclSigning.NONE, 10),
            (IsclEncryption.DESCBC, 1, IsclSigning.NONE, 10),
            (IsclEncryption.DESCBC, 1, IsclSigning.DESMAC, 10),
            (IsclEncryption.DESCBC, 8, IsclSigning.MD5, 10),
            (IsclEncryption.DESCBC, 0, IsclSigning.MD5, 10),
            (IsclEncryption.DESCBC, 0xFFFFFFFF, IsclSigning.MD5, 10),
            (0xFFFFFFFF, 1, 0xFFFFFFFF, 10),
        ):
            ends = Ends()
            ends.send(0, b"good")
            with self.subTest(words):
                reply = ends.take(1, Packet(MessageId.TRANSMISSION_REQUEST, words))
                self.assertIsNotNone(reply.error)
                self.assertTrue(ends.sides[1].is_over)

    def test_another_slot_than_the_message_was_made_with(self) -> None:
        """The request is not authenticated; the MAC is."""
        ends = Ends()
        ends.ask(0, 10)
        request = ends.wires[1].popleft()
        changed = Packet(request.message_id, (request.words[0], 2, *request.words[2:]))
        ends.take(1, across(changed, SETUP.wire))
        ends.deliver()
        for packet in ends.sealed(0, bytes(10)):
            ends.take(1, packet)
        self.assertEqual(ends.got[1], [])
        error = ends.errors[1]
        assert error is not None
        self.assertEqual(error.code, E.ISCL_BAD_MAC)

    def test_every_failure_looks_alike(self) -> None:
        """Padding, length and MAC, whichever byte was changed: one code, one text, and no answer."""
        seen = set()
        made = Ends().send(0, bytes(range(40)))
        for number, packet in enumerate(made):
            for at in range(len(packet.data)):
                ends = Ends()
                ends.ask(0, 40)
                ends.deliver()
                data = bytearray(packet.data)
                data[at] ^= 0x55
                packets = [*made[:number], replace(packet, data=bytes(data)), *made[number + 1 :]]
                replies = [ends.take(1, each) for each in packets]
                self.assertEqual(ends.got[1], [])
                error = replies[-1].error
                assert error is not None
                seen.add((error.code, str(error), replies[-1].packets))
        self.assertEqual(len(seen), 1, seen)


# --- bounds -------------------------------------------------------------------------------------------------------


class Closing(Threads):
    """`close` promises a time."""

    def test_while_data_beside_do_not_leave(self) -> None:
        """A peer that does not read keeps the thread that sends them for `Timeouts.send`, and who closes for less."""
        ends, has_begun = self.isclated(pair()), threading.Event()
        write = ends[0].inner.write

        def begin(buffers: list[Buffer], more: bool = False) -> None:
            has_begun.set()
            write(buffers, more)

        with mock.patch.object(ends[0].inner, "write", begin):
            sending = self.run_beside(lambda: ends[0].send_through(bytes(8 << 20)))
            self.assertTrue(has_begun.wait(SECONDS))
        began = monotonic()
        ends[0].disconnect(0.1, lambda: None)
        self.assertLess(monotonic() - began, SECONDS / 2)
        ends[0].close()
        with self.assertRaises(LDicomError):
            sending()


class Bounds(ByHand):
    """What a peer can make this side hold."""

    def test_many_small_things_are_not_for_nothing(self) -> None:
        """Each item costs more than its bytes."""
        for data in (b"", b"x"):
            inbox, count = Inbox(1 << 20), 0
            while inbox.fits(len(data)):
                inbox.keep(Kind.THROUGH, data)
                count += 1
                self.assertLess(count, 1 << 14)
        self.assertEqual(inbox.free, 0)

    def test_empty_data_beside_without_end(self) -> None:
        """While nobody takes them, as this side's hook sends and waits for an answer."""
        net = Secured()
        net.set_max_message_length_iscl(1000)
        back = self.shake(net, True)
        net.wait_for("on_secure_link_ready")
        layer = net._iscl
        assert layer is not None
        empty = encode(Packet(MessageId.THROUGH), SETUP.wire, "big")
        transfer = layer.transfer
        assert isinstance(transfer, Transfer)
        with layer._changed:
            self.assertTrue(layer._reader.order)
            for _ in range(1 << 14):
                layer._reader.feed(empty)
                layer._digest(transfer, HEADER)
                if layer.error:
                    break
        self.assertEqual(layer.error, E.ISCL_LOCAL_LENGTH_TOO_SMALL)
        back.close()

    def test_connections_that_never_go_on(self) -> None:
        """A thousand of them may not cost much: no thread, and some kilobytes for each."""
        server = Secured()
        server.timeouts = Timeouts(secure=SECONDS, artim=SECONDS)
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        count = 100
        with ExitStack() as stack:
            self.connect(server, stack, 1)  # what is made once
            tracemalloc.start()
            stack.callback(tracemalloc.stop)
            before = tracemalloc.get_traced_memory()[0]
            self.connect(server, stack, count)
            each = (tracemalloc.get_traced_memory()[0] - before) / count
        self.assertLess(each, 24 << 10)

    def connect(self, server: LDicomNet, stack: ExitStack, count: int) -> None:
        """So many, each of which has been greeted."""
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(server.get_host_info(), SECONDS))
            self.assertEqual(len(sock.recv(HEADER, socket.MSG_WAITALL)), HEADER)


class Refused(unittest.TestCase):
    """What protects nothing is refused unless it was asked for; by each way to a connection."""

    def test_connect_listen_and_attach(self) -> None:
        for encryption, signing in (
            (IsclEncryption.NONE, IsclSigning.NONE),
            (IsclEncryption.NONE, IsclSigning.MD5),
            (IsclEncryption.DESCBC, IsclSigning.NONE),
        ):
            net = Secured()
            net.set_default_encryption_iscl(encryption)
            net.set_default_signing_iscl(signing)
            for way in (
                lambda net: net.connect("", 0, "127.0.0.1", 1),
                lambda net: net.listen("127.0.0.1"),
                lambda net: net.attach(pair()[0], requestor=True),
            ):
                with self.subTest(encryption, signing=signing), self.assertRaises(LDicomSecurityError):
                    way(net)


if __name__ == "__main__":
    unittest.main()
