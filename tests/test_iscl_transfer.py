"""ISCL messages without a network: each setting there and back, each mismatch, everything that can be changed on the
way, and two who ask at once."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from dataclasses import replace
from random import Random

from ldicomnet import ErrorCode, IsclSigning, IsclStatus
from ldicomnet.iscl import ciphers
from ldicomnet.iscl.options import UNIQUE_KEYS, Setup, WireOptions
from ldicomnet.iscl.transfer import Units
from ldicomnet.iscl.wire import NAK, MessageId, Packet

from .iscl_ends import KEY, OTHER_KEY, SAFE, SETUP, UNSAFE, WIRES, Ends, with_wire

E = ErrorCode
LENGTHS = (1, 7, 8, 9, 64, 8159, 8160, 8161, 20000)


class ThereAndBack(unittest.TestCase):
    """Messages in both directions, in every setting."""

    def exchange(self, setup: Setup, order: str = "big", lengths: tuple[int, ...] = LENGTHS) -> Ends:
        random = Random(8)
        ends = Ends(setup, order=order)
        sent: list[list[bytes]] = [[], []]
        for length in lengths:
            for side in (0, 1):
                sent[side].append(random.randbytes(length))
                ends.send(side, sent[side][-1])
        self.assertEqual(ends.errors, [None, None])
        self.assertEqual(ends.got, sent[::-1])
        self.assertEqual([side.status for side in ends.sides], [IsclStatus.READY] * 2)
        return ends

    def test_every_way_of_writing_it(self) -> None:
        for wire in WIRES:
            for encryption, signing in SAFE + UNSAFE:
                for index in (1, 3, UNIQUE_KEYS):
                    setup = with_wire(wire, encryption=encryption, signing=signing, encrypt_index=index)
                    order = wire.byte_order if wire.byte_order != "auto" else "big"
                    with self.subTest(wire=wire, encryption=encryption, signing=signing, index=index):
                        self.exchange(setup, order, (1, 8, 20, 9000))

    def test_lengths(self) -> None:
        for encryption, signing in SAFE:
            with self.subTest(encryption=encryption, signing=signing):
                self.exchange(replace(SETUP, encryption=encryption, signing=signing))

    def test_every_key_of_its_own(self) -> None:
        """The two sides need not use the same slot."""
        ends = Ends(SETUP, replace(SETUP, encrypt_index=3))
        for side in (0, 1):
            ends.send(side, b"message")
        self.assertEqual((ends.got, ends.errors), ([[b"message"]] * 2, [None, None]))

    def test_blocks(self) -> None:
        """No data packet is longer than was agreed on; the message is cut, and the MAC comes last."""
        ends = Ends(replace(SETUP, block_length=64))
        packets = ends.send(0, bytes(200))
        self.assertEqual([len(packet.data) for packet in packets], [64, 64, 64, 16, 24])
        self.assertEqual([packet.message_id for packet in packets], [MessageId.DATA] * 4 + [MessageId.MAC])

    def test_vectors(self) -> None:
        """The message of section 1.12 of the record that was measured, in packets."""
        message = b"DICOM ISCL test message"
        for signing, mac in (
            (IsclSigning.MD5, "59f583f70ae8041af945e10aa5c4b36bdb6e7329226c688e"),
            (IsclSigning.DESMAC, "ddb0f7f27c41986db3575da908700bc2"),
        ):
            ends = Ends(replace(SETUP, signing=signing, encrypt_keys=(KEY, *[None] * 7)))
            ends.ask(0, len(message))
            request = ends.wires[1][0]
            ends.deliver()
            data, last = ends.sealed(0, message)
            with self.subTest(signing=signing):
                self.assertEqual(request.words, (0x1212, 1, signing, 23))
                self.assertEqual(data.data.hex(), "d37c525c0ccb31af82efaebb87c26e38ffb98be8c605904a")
                self.assertEqual(last.data.hex(), mac)

    def test_the_iv_goes_on(self) -> None:
        """The same message twice looks different, in each direction by itself; where it does not go on, the same."""
        for chain, distinct in (("per-direction", 2), ("shared", 4), ("none", 1)):
            ends = Ends(with_wire(WireOptions(iv_chain=chain)))
            found = {ends.send(side, b"the same")[0].data for _ in range(2) for side in (0, 1)}
            with self.subTest(chain):
                self.assertEqual(len(found), distinct)
                self.assertEqual(ends.errors, [None, None])

    def test_session_keys_differ(self) -> None:
        ends = Ends(with_wire(WireOptions(iv_chain="none"), encrypt_index=UNIQUE_KEYS))
        found = {ends.send(0, b"the same")[0].data for _ in range(5)}
        self.assertEqual((len(found), ends.errors), (5, [None, None]))

    def test_a_weak_session_key_is_not_sent(self) -> None:
        made = iter([bytes.fromhex("0101010101010101"), bytes.fromhex("01FE01FE01FE01FE"), KEY, OTHER_KEY])
        keys = dict.fromkeys([], b"")

        def derive(_secret: bytes, random: bytes) -> bytes:
            if random not in keys:
                keys[random] = next(made)
            return keys[random]

        ends = Ends(with_wire(WireOptions(session_key=derive), encrypt_index=UNIQUE_KEYS))
        ends.send(0, b"message")
        self.assertEqual((ends.got[1], ends.errors, len(keys)), ([b"message"], [None, None], 3))

    def test_a_second_md5(self) -> None:
        """PS3.15 B.2: a receiver accepts both orders, whatever the second one is."""

        def keyed(secret: bytes, message: bytes) -> bytes:
            return ciphers.md5(secret, ciphers.encrypt_block(secret, secret) + message)

        both = WireOptions(md5_variants=(keyed, ciphers.md5))
        ends = Ends(SETUP, with_wire(both))
        ends.send(0, b"plain")
        self.assertEqual((ends.got[1], ends.errors[1]), ([b"plain"], None))
        ends.send(1, b"keyed")
        assert ends.errors[0] is not None
        self.assertEqual(ends.errors[0].code, E.ISCL_BAD_MAC)

    def test_through(self) -> None:
        """Beside a message, in its middle, and longer than a block."""
        ends = Ends(replace(SETUP, block_length=64))
        ends.ask(0, 100)
        ends.deliver()
        packets = ends.sealed(0, b"m" * 100)
        beside = Packet(MessageId.THROUGH, data=b"t" * 1000)
        for packet in (beside, packets[0], beside, *packets[1:], beside):
            ends.take(1, packet)
        self.assertEqual((ends.got[1], ends.through[1]), ([b"m" * 100], [b"t" * 1000] * 3))


class Mismatches(unittest.TestCase):
    """What the receiver refuses, what both sides are told, and what the receiver can read afterwards."""

    def check(self, sender: Setup, receiver: Setup, theirs: ErrorCode, ours: ErrorCode, length: int = 100) -> None:
        """A request in both directions: by who connected, and by who accepted."""
        for setups, side in (((sender, receiver), 0), ((receiver, sender), 1)):
            ends = Ends(*setups)
            ends.send(side, bytes(length))
            errors = [None if error is None else error.code for error in ends.errors]
            with self.subTest(side=side):
                self.assertEqual((errors[side], errors[1 - side]), (theirs, ours))
                self.assertEqual([each.status for each in ends.sides], [IsclStatus.FAILED] * 2)
                found = ends.sides[1 - side]
                self.assertEqual(found.peer_encryption, sender.encryption)
                self.assertEqual(found.peer_signing, sender.signing)
                self.assertEqual(found.peer_length, length)
                self.assertEqual(ends.got, [[], []])

    def test_encryption_and_mac(self) -> None:
        for one in SAFE + UNSAFE:
            for other in SAFE:
                if one != other:
                    sender = replace(SETUP, encryption=one[0], signing=one[1])
                    receiver = replace(SETUP, encryption=other[0], signing=other[1])
                    self.check(sender, receiver, E.ISCL_RECEIVED_NAK, E.ISCL_MESSAGE_TRANSMISSION)

    def test_unknown_algorithms(self) -> None:
        ends = Ends()
        ends.take(0, Packet(MessageId.TRANSMISSION_REQUEST, (0x9999, 1, 0x8888, 10)))
        assert ends.errors[0] is not None
        self.assertEqual(ends.errors[0].code, E.ISCL_MESSAGE_TRANSMISSION)
        self.assertEqual((ends.sides[0].peer_encryption, ends.sides[0].peer_signing), (0x9999, 0x8888))

    def test_length(self) -> None:
        small = replace(SETUP, message_length=99)
        self.check(SETUP, small, E.ISCL_PEER_LENGTH_TOO_SMALL, E.ISCL_LOCAL_LENGTH_TOO_SMALL)

    def test_an_empty_slot(self) -> None:
        self.check(replace(SETUP, encrypt_index=3), replace(SETUP, encrypt_keys=(KEY, *[None] * 7)),
                   E.ISCL_RECEIVED_NAK, E.ISCL_MESSAGE_TRANSMISSION)  # fmt: skip

    def test_what_a_request_may_hold(self) -> None:
        for words, code in (
            ((0x1212, 0, 0x1441, 10), E.ISCL_BAD_OPTION),
            ((0x1212, 9, 0x1441, 10), E.ISCL_BAD_OPTION),
            ((0x1212, 0x11, 0x1441, 10), E.ISCL_BAD_OPTION),
            ((0x1212, 1, 0x1441, 0), E.ISCL_BAD_LENGTH),
            ((0x1212, 1, 0x1441, 0xFFFFFFFF), E.ISCL_LOCAL_LENGTH_TOO_SMALL),
        ):
            ends = Ends()
            reply = ends.take(1, Packet(MessageId.TRANSMISSION_REQUEST, words))
            assert reply.error is not None
            with self.subTest(words):
                self.assertEqual((reply.error.code, reply.packets[0].result), (code, NAK))
                self.assertEqual(reply.packets[0].words, (1 << 20,))

    def test_another_key_in_the_slot(self) -> None:
        """It cannot be decrypted, and that looks like a wrong MAC."""
        for encryption, signing in SAFE:
            setup = replace(SETUP, encryption=encryption, signing=signing)
            ends = Ends(setup, replace(setup, encrypt_keys=(KEY, *[None] * 7)))
            ends.send(0, b"message")
            assert ends.errors[1] is not None
            self.assertEqual((ends.errors[1].code, ends.got[1]), (E.ISCL_BAD_MAC, []))

    def test_without_a_mac_it_is_a_decryption_that_fails(self) -> None:
        setup = replace(SETUP, signing=IsclSigning.NONE)
        ends = Ends(setup, replace(setup, encrypt_keys=(KEY, *[None] * 7)))
        ends.send(0, b"message")
        assert ends.errors[1] is not None
        self.assertEqual((ends.errors[1].code, ends.got[1]), (E.ISCL_DECRYPT, []))

    def test_answers_that_are_none(self) -> None:
        for packet, code in (
            (Packet(MessageId.TRANSMISSION_RESPONSE, (10,), result=1), E.ISCL_BAD_OPTION),
            (Packet(MessageId.TRANSMISSION_RESPONSE, result=NAK), E.ISCL_RECEIVED_NAK),
            (Packet(MessageId.TRANSMISSION_RESPONSE, (9,), result=NAK), E.ISCL_PEER_LENGTH_TOO_SMALL),
            (Packet(MessageId.TRANSMISSION_RESPONSE, (10,), result=NAK), E.ISCL_RECEIVED_NAK),
            (Packet(MessageId.RANDOM_RESPONSE), E.ISCL_BAD_MESSAGE_ID),
        ):
            ends = Ends()
            ends.sides[0].want(10)
            reply = ends.take(0, packet)
            assert reply.error is not None
            with self.subTest(packet=packet):
                self.assertEqual((reply.error.code, reply.packets), (code, ()))

    def test_random_numbers(self) -> None:
        unique = replace(SETUP, encrypt_index=UNIQUE_KEYS)
        request = Packet(MessageId.TRANSMISSION_REQUEST, (0x1212, UNIQUE_KEYS, 0x1441, 10))
        for packet, code in (
            (Packet(MessageId.DATA, data=bytes(8)), E.ISCL_SESSION_KEY_EXPECTED),
            (Packet(MessageId.MAC, data=bytes(8)), E.ISCL_SESSION_KEY_EXPECTED),
            (Packet(MessageId.DISCONNECTION_REQUEST), E.ISCL_SESSION_KEY_EXPECTED),
            (request, E.ISCL_SESSION_KEY_EXPECTED),
            (Packet(MessageId.RANDOM_REQUEST, result=1), E.ISCL_REMOTE_IC_CARD),
        ):
            ends = Ends(unique)
            ends.take(1, request)
            reply = ends.take(1, packet)
            assert reply.error is not None
            with self.subTest(packet=packet):
                self.assertEqual(reply.error.code, code)
        ends = Ends()
        reply = ends.take(1, Packet(MessageId.RANDOM_REQUEST, quantities=(bytes(8),)))
        assert reply.error is not None
        self.assertEqual(reply.error.code, E.ISCL_BAD_MESSAGE_ID)
        for result, code in ((NAK, E.ISCL_RECEIVED_NAK), (1, E.ISCL_BAD_OPTION)):
            ends = Ends(unique)
            ends.sides[0].want(10)
            ends.take(0, Packet(MessageId.TRANSMISSION_RESPONSE, (10,)))
            reply = ends.take(0, Packet(MessageId.RANDOM_RESPONSE, result=result))
            assert reply.error is not None
            self.assertEqual(reply.error.code, code)

    def test_a_random_number_that_makes_a_weak_key(self) -> None:
        wire = WireOptions(session_key=lambda _key, _random: bytes.fromhex("0101010101010101"))
        ends = Ends(replace(SETUP, encrypt_index=UNIQUE_KEYS), with_wire(wire))
        ends.send(0, b"message")
        codes = [None if error is None else error.code for error in ends.errors]
        self.assertEqual(codes, [E.ISCL_RECEIVED_NAK, E.ISCL_BAD_OPTION])


class Changed(unittest.TestCase):
    """Everything between the two that an enemy may change: no byte of it is believed."""

    MESSAGE = b"what is sent, longer than two blocks"

    def fails(self, change: Callable[[list[Packet]], list[Packet]], setup: Setup = SETUP) -> ErrorCode:
        """The receiver's error, when the packets of a message are changed."""
        ends = Ends(setup)
        ends.ask(0, len(self.MESSAGE))
        ends.deliver()
        for packet in change(ends.sealed(0, self.MESSAGE)):
            ends.take(1, packet)
            if ends.errors[1] is not None:
                break
        self.assertEqual(ends.got[1], [])
        assert ends.errors[1] is not None
        self.assertEqual(ends.wires[0], type(ends.wires[0])(), "nothing is told to the peer")
        return ends.errors[1].code

    def test_every_byte(self) -> None:
        """Data, padding or MAC: the one error."""
        for encryption, signing in SAFE:
            setup = with_wire(WireOptions(desmac_key="authentication"), encryption=encryption, signing=signing)
            packets = Ends(setup)
            packets.ask(0, len(self.MESSAGE))
            packets.deliver()
            for place, packet in enumerate(packets.sealed(0, self.MESSAGE)):
                for at in range(len(packet.data)):

                    def change(sent: list[Packet], place: int = place, at: int = at) -> list[Packet]:
                        data = bytearray(sent[place].data)
                        data[at] ^= 0x10
                        return [*sent[:place], replace(sent[place], data=bytes(data)), *sent[place + 1 :]]

                    with self.subTest(signing=signing, encryption=encryption, place=place, at=at):
                        self.assertEqual(self.fails(change, setup), E.ISCL_BAD_MAC)

    def test_desmac_of_the_key_that_encrypts(self) -> None:
        """The weakness that the documentation tells of: CBC with a zero IV ends in the block that is the MAC, whatever
        was changed before. From the second message on, the IV is another one."""
        setup = replace(SETUP, signing=IsclSigning.DESMAC)
        self.assertIn("DESMAC", " ".join(setup.weaknesses))
        found = []
        for warm in (False, True):
            ends = Ends(setup)
            if warm:
                ends.send(0, b"before")
            ends.ask(0, len(self.MESSAGE))
            ends.deliver()
            data, mac = ends.sealed(0, self.MESSAGE)
            changed = bytes([data.data[0] ^ 1]) + data.data[1:]
            for packet in (replace(data, data=changed), mac):
                ends.take(1, packet)
            found.append(ends.errors[1] is None)
        self.assertEqual(found, [True, False])

    def test_padding_and_mac_look_alike(self) -> None:
        """The last block of data has the padding, that of the MAC its own; the text is the same as well."""
        texts = set()
        for place, at in ((0, 0), (0, 31), (0, 39), (1, 0), (1, 23)):
            ends = Ends()
            ends.ask(0, len(self.MESSAGE))
            ends.deliver()
            packets = ends.sealed(0, self.MESSAGE)
            data = bytearray(packets[place].data)
            data[at] ^= 1
            packets[place] = replace(packets[place], data=bytes(data))
            for packet in packets:
                ends.take(1, packet)
            texts.add(str(ends.errors[1]))
        self.assertEqual(len(texts), 1)

    def test_lengths(self) -> None:
        def shorter(sent: list[Packet]) -> list[Packet]:
            return [replace(sent[0], data=sent[0].data[:-8]), *sent[1:]]

        def longer(sent: list[Packet]) -> list[Packet]:
            return [replace(sent[0], data=sent[0].data + bytes(8)), *sent[1:]]

        def short_mac(sent: list[Packet]) -> list[Packet]:
            return [sent[0], replace(sent[1], data=sent[1].data[:-8])]

        def empty(sent: list[Packet]) -> list[Packet]:
            return [replace(sent[0], data=b"")]

        for change in (shorter, longer, short_mac, empty, lambda sent: sent[1:]):
            self.assertEqual(self.fails(change), E.ISCL_BAD_LENGTH)

    def test_another_length_that_fills_as_many_blocks(self) -> None:
        """All is as it should be, but that fewer bytes were sent than announced."""
        ends = Ends()
        ends.ask(0, 23)
        ends.deliver()
        for packet in ends.sealed(0, b"x" * 17):
            ends.take(1, packet)
        assert ends.errors[1] is not None
        self.assertEqual((ends.errors[1].code, ends.got[1]), (E.ISCL_BAD_MAC, []))

    def test_order(self) -> None:
        self.assertEqual(self.fails(lambda sent: [sent[0], sent[0]]), E.ISCL_BAD_LENGTH)
        self.assertEqual(self.fails(lambda sent: [Packet(MessageId.DISCONNECTION_REQUEST)]), E.ISCL_BAD_MESSAGE_ID)
        self.assertEqual(
            self.fails(lambda sent: [Packet(MessageId.TRANSMISSION_REQUEST, (0x1212, 1, 0x1441, 9))]),
            E.ISCL_BAD_MESSAGE_ID,
        )

    def test_replayed_and_left_out(self) -> None:
        """The IV that goes on finds both."""
        for again in (True, False):
            ends = Ends()
            first = ends.send(0, self.MESSAGE)
            ends.ask(0, len(self.MESSAGE))
            ends.deliver()
            second = ends.sealed(0, self.MESSAGE)
            if not again:
                ends.sides[1].status = IsclStatus.READY
                ends.sides[1]._incoming = None
                ends.ask(0, len(self.MESSAGE))
                ends.deliver()
                second = ends.sealed(0, self.MESSAGE)
            for packet in first if again else second:
                ends.take(1, packet)
            with self.subTest(again=again):
                assert ends.errors[1] is not None
                self.assertEqual((ends.errors[1].code, len(ends.got[1])), (E.ISCL_BAD_MAC, 1))

    def test_nothing_is_told_before_the_mac(self) -> None:
        ends = Ends()
        ends.ask(0, len(self.MESSAGE))
        ends.deliver()
        data, mac = ends.sealed(0, self.MESSAGE)
        self.assertIsNone(ends.take(1, data).message)
        self.assertEqual(ends.take(1, mac).message, self.MESSAGE)

    def test_messages_out_of_place(self) -> None:
        """At rest only a request, data beside, and the end may come."""
        for message_id in MessageId:
            if message_id in (MessageId.TRANSMISSION_REQUEST, MessageId.THROUGH, MessageId.DISCONNECTION_REQUEST):
                continue
            ends = Ends()
            reply = ends.take(0, Packet(message_id, (1,) * 4, (bytes(8),) * 2, b"data"))
            with self.subTest(message_id.name):
                assert reply.error is not None
                self.assertEqual((reply.error.code, reply.message), (E.ISCL_BAD_MESSAGE_ID, None))


class AtOnce(unittest.TestCase):
    """Two who ask at the same time."""

    def test_the_requestor_wins_and_then_yields(self) -> None:
        for wire, winner in ((WireOptions(), 0), (WireOptions(collision_winner="acceptor"), 1)):
            ends, loser = Ends(with_wire(wire)), 1 - winner
            for side in (0, 1):
                ends.ask(side, 7)
            ends.deliver()
            with self.subTest(winner=winner):
                self.assertEqual(ends.sides[winner].status, IsclStatus.SENDING)
                self.assertEqual(ends.sides[loser].status, IsclStatus.RECEIVING)
                self.assertTrue(ends.sides[winner].owes_turn)
                ends.wires[loser] += ends.sealed(winner, b"winners")
                ends.ask(winner, 5)  # which waits until it was the loser's turn
                ends.deliver()
                self.assertEqual(ends.sides[loser].status, IsclStatus.SENDING)
                ends.wires[winner] += ends.sealed(loser, b"loser's")
                ends.deliver()
                self.assertEqual(ends.sides[winner].status, IsclStatus.SENDING)
                self.assertFalse(ends.sides[winner].owes_turn)
                self.assertEqual((ends.got[loser], ends.got[winner]), ([b"winners"], [b"loser's"]))
                self.assertEqual(ends.errors, [None, None])

    def test_no_room(self) -> None:
        """A request for which there is none is not answered before there is; then the message comes whole."""
        ends = Ends()
        ends.ask(0, 100)
        reply = ends.take(1, ends.wires[1].popleft(), room=99)
        self.assertEqual((reply.packets, ends.sides[1].status), ((), IsclStatus.READY))
        self.assertFalse(ends.sides[1].may_ask, "the requestor's request counts more")
        self.assertEqual(ends.sides[1].resume(99).packets, ())
        ends.wires[0] += ends.sides[1].resume(100).packets
        ends.deliver()
        self.assertEqual(ends.sides[0].status, IsclStatus.SENDING)
        ends.wires[1] += ends.sealed(0, bytes(100))
        ends.deliver()
        self.assertEqual((ends.got[1], ends.errors), ([bytes(100)], [None, None]))

    def test_no_room_with_who_wins(self) -> None:
        """Its own request may go before, and the other asks again."""
        ends = Ends()
        ends.ask(1, 6)
        ends.take(0, ends.wires[0].popleft(), room=0)
        self.assertTrue(ends.sides[0].may_ask)
        ends.send(0, b"first")
        self.assertEqual(ends.sides[1].status, IsclStatus.SENDING)
        ends.wires[0] += ends.sealed(1, b"second")
        ends.deliver()
        self.assertEqual((ends.got, ends.errors), ([[b"second"], [b"first"]], [None, None]))

    def test_one_who_sends_without_end(self) -> None:
        """The other comes in between, although the next request is always there when a message is over."""
        for busy in (0, 1):
            ends = Ends()
            ends.ask(busy, 4)
            ends.deliver()
            ends.ask(1 - busy, 4)
            order = []
            for _ in range(4):
                [sender] = [side for side in (0, 1) if ends.sides[side].status == IsclStatus.SENDING]
                order.append(sender)
                ends.wires[1 - sender] += ends.sealed(sender, b"more")
                if sender == busy:
                    ends.ask(busy, 4)
                ends.deliver()
            with self.subTest(busy):
                self.assertIn(1 - busy, order[:3])
                self.assertEqual(ends.errors, [None, None])

    def test_a_turn_that_is_not_taken(self) -> None:
        ends = Ends()
        for side in (0, 1):
            ends.ask(side, 7)
        ends.deliver()
        ends.sealed(0, b"winners")
        self.assertEqual(ends.sides[0].want(5), ())
        self.assertEqual(ends.sides[0].press()[0].words[3], 5)

    def test_random_walks(self) -> None:
        """Both sides send whatever they have whenever they may, with packets on their way for any time."""
        for seed in range(30):
            random = Random(seed)
            index = random.choice((1, UNIQUE_KEYS))
            chain = random.choice(("per-direction", "shared", "none"))
            ends = Ends(with_wire(WireOptions(iv_chain=chain), encrypt_index=index, block_length=64))
            plans = [[random.randbytes(random.randint(1, 300)) for _ in range(20)] for _ in (0, 1)]
            unsent, wanted = [list(plan) for plan in plans], [False, False]
            for _ in range(100_000):
                side = random.randrange(2)
                if random.random() < 0.6 and ends.wires[side]:
                    ends.take(side, ends.wires[side].popleft(), random.choice((0, 1 << 20)))
                elif ends.sides[side].status == IsclStatus.SENDING:
                    ends.wires[1 - side] += ends.sealed(side, unsent[side].pop(0))
                    wanted[side] = False
                elif unsent[side] and not wanted[side]:
                    ends.ask(side, len(unsent[side][0]))
                    wanted[side] = True
                else:
                    ends.wires[1 - side] += ends.sides[side].resume(1 << 20).packets
                self.assertEqual(ends.errors, [None, None], seed)
                if not any(unsent) and not any(ends.wires):
                    break
            with self.subTest(seed):
                self.assertEqual(ends.got, plans[::-1])


class Disconnecting(unittest.TestCase):
    """The end, agreed on or refused."""

    def test_agreed(self) -> None:
        for side in (0, 1):
            ends = Ends()
            ends.wires[1 - side].append(ends.sides[side].disconnect())
            ends.deliver()
            self.assertEqual([each.status for each in ends.sides], [IsclStatus.CLOSED] * 2)
            self.assertTrue(ends.sides[0].is_over)

    def test_both_at_once(self) -> None:
        ends = Ends()
        for side in (0, 1):
            ends.wires[1 - side].append(ends.sides[side].disconnect())
        for side in (0, 1):
            ends.take(side, ends.wires[side].popleft())
        self.assertEqual([each.status for each in ends.sides], [IsclStatus.CLOSED] * 2)

    def test_refused(self) -> None:
        ends = Ends()
        ends.sides[0].disconnect()
        reply = ends.take(0, Packet(MessageId.DISCONNECTION_RESPONSE, result=NAK))
        self.assertEqual((reply.error, ends.sides[0].status, ends.sides[0].is_refused), (None, IsclStatus.READY, True))
        ends.send(0, b"goes on")
        self.assertEqual(ends.got[1], [b"goes on"])

    def test_what_is_wanted_meanwhile_is_asked_for_when_the_end_is_refused(self) -> None:
        ends = Ends()
        ends.sides[0].disconnect()
        ends.ask(0, 5)
        self.assertFalse(ends.wires[1])
        reply = ends.take(0, Packet(MessageId.DISCONNECTION_RESPONSE, result=NAK))
        self.assertEqual([packet.message_id for packet in reply.packets], [MessageId.TRANSMISSION_REQUEST])

    def test_a_request_meanwhile_is_answered_when_the_end_is_refused(self) -> None:
        ends = Ends()
        ends.sides[0].disconnect()
        ends.ask(1, 5)
        ends.deliver()
        self.assertEqual(ends.sides[1].status, IsclStatus.SEND_REQUESTED)
        ends.take(0, Packet(MessageId.DISCONNECTION_RESPONSE, result=NAK))
        ends.wires[1] += ends.sides[0].resume(100).packets
        ends.deliver()
        self.assertEqual(ends.sides[1].status, IsclStatus.SENDING)

    def test_answers_that_nobody_asked_for(self) -> None:
        ends = Ends()
        reply = ends.take(0, Packet(MessageId.DISCONNECTION_RESPONSE))
        assert reply.error is not None
        self.assertEqual(reply.error.code, E.ISCL_BAD_MESSAGE_ID)


class Unit(unittest.TestCase):
    """What one message is."""

    PDUS = (b"\1\0\0\0\0\4" + b"abcd", b"\4\0\0\0\0\0", b"\4\0\0\0\1\0" + bytes(256))

    def test_pdus(self) -> None:
        """However they are written, each is a message; those that are longer are several."""
        self.assertEqual(list(Units("pdu", 1000).cut(b"".join(self.PDUS))), list(self.PDUS))
        short = list(Units("pdu", 100).cut(b"".join(self.PDUS)))
        self.assertEqual([len(piece) for piece in short], [10, 6, 100, 100, 62])

    def test_a_pdu_in_pieces(self) -> None:
        units = Units("pdu", 1000)
        data = b"".join(self.PDUS)
        found = [*units.cut(data[:50]), *units.cut(data[50:]), *units.cut(self.PDUS[0])]
        self.assertEqual([len(piece) for piece in found], [10, 6, 34, 228, 10])

    def test_whatever_is_written(self) -> None:
        data = b"".join(self.PDUS)
        self.assertEqual(list(Units("write", 1000).cut(data)), [data])
        self.assertEqual([len(piece) for piece in Units("write", 200).cut(data)], [200, 78])

    def test_nothing_is_held_back(self) -> None:
        """Whatever is written leaves, be it a PDU or not."""
        random = Random(9)
        for _ in range(200):
            units, data = Units("pdu", random.randint(1, 50)), random.randbytes(random.randint(0, 300))
            cut = random.randint(0, len(data))
            self.assertEqual(b"".join([*units.cut(data[:cut]), *units.cut(data[cut:])]), data)


if __name__ == "__main__":
    unittest.main()
