"""ISCL's line connection check and authentication: both roles against each other, and each mismatch on both sides."""

from __future__ import annotations

import unittest
from dataclasses import replace

from ldicomnet import ErrorCode, IsclStatus
from ldicomnet.iscl.handshake import Client, Server
from ldicomnet.iscl.options import Setup, WireOptions
from ldicomnet.iscl.wire import NAK, MessageId, Packet

from .iscl_ends import KEY, OTHER_KEY, SETUP, THIRD_KEY, WIRES, FixedCard, Shaken, with_wire

E = ErrorCode


class Succeeds(unittest.TestCase):
    """What both sides know afterwards."""

    def test_order_of_messages(self) -> None:
        shaken = Shaken()
        self.assertEqual(
            shaken.names,
            [
                "LINE_CHECK_REQUEST", "LINE_CHECK_RESPONSE", "AUTHENTICATION_REQUEST", "AUTHENTICATION_RESPONSE",
                "PASS_1", "PASS_2", "PASS_3", "COMPLETION",
            ],
        )  # fmt: skip
        self.assertEqual(shaken.errors, [None, None])
        for end in (shaken.server, shaken.client):
            self.assertTrue(end.is_done)
            self.assertEqual(end.status, IsclStatus.READY)

    def test_every_way_of_writing_it(self) -> None:
        for wire in WIRES:
            for server_data, client_data in ((b"S", b"C" * 128), (b"", b"")):
                shaken = Shaken(with_wire(wire, auth_data=server_data), with_wire(wire, auth_data=client_data))
                carries = wire.auth_data_in != "none"
                with self.subTest(wire=wire):
                    self.assertEqual(shaken.errors, [None, None])
                    self.assertEqual(shaken.client.peer_data, server_data if carries else b"")
                    self.assertEqual(shaken.server.peer_data, client_data if carries else b"")

    def test_the_smaller_block_counts(self) -> None:
        for server, client in ((8160, 8160), (64, 65504), (65504, 64), (1000, 999)):
            shaken = Shaken(replace(SETUP, block_length=server), replace(SETUP, block_length=client))
            with self.subTest(server=server, client=client):
                self.assertEqual({shaken.server.block_length, shaken.client.block_length}, {min(server, client)})

    def test_the_server_says_which_key(self) -> None:
        cards = FixedCard(), FixedCard()
        shaken = Shaken(replace(SETUP, auth_index=2), replace(SETUP, auth_index=1), cards)
        self.assertEqual(shaken.errors, [None, None])
        self.assertEqual((shaken.server.key_index, shaken.client.key_index), (2, 2))
        self.assertEqual([card.keys for card in cards], [[OTHER_KEY], [OTHER_KEY]])

    def test_responses_are_des_of_the_challenges(self) -> None:
        passes = [packet.quantities for packet in Shaken().sent[4:7]]
        respond = SETUP.wire.response
        self.assertEqual(passes[0], (b"\1" * 8,))
        self.assertEqual(passes[1], (respond(KEY, b"\1" * 8), b"\1" * 8))
        self.assertEqual(passes[2], (respond(KEY, b"\1" * 8),))

    def test_another_response_function(self) -> None:
        wire = WireOptions(response=lambda key, challenge: bytes(a ^ b for a, b in zip(key, challenge, strict=True)))
        self.assertEqual(Shaken(with_wire(wire), with_wire(wire)).errors, [None, None])
        self.assertEqual(Shaken(with_wire(wire), SETUP).errors, [E.ISCL_LOCAL_IC_CARD, E.ISCL_REMOTE_IC_CARD])


class Mismatches(unittest.TestCase):
    """Server's and client's error."""

    def check(self, shaken: Shaken, server: ErrorCode | None, client: ErrorCode | None) -> None:
        self.assertEqual(shaken.errors, [server, client])
        for end, error in ((shaken.server, server), (shaken.client, client)):
            self.assertFalse(end.is_done and error is not None)
            if error is not None:
                self.assertEqual(end.status, IsclStatus.FAILED)

    def test_version(self) -> None:
        other = with_wire(WireOptions(version_word=0x200))
        self.check(Shaken(SETUP, other), E.ISCL_RECEIVED_NAK, E.ISCL_BAD_VERSION)

    def test_layout_of_the_line_check(self) -> None:
        other = with_wire(WireOptions(line_check_layout="length,version"))
        self.check(Shaken(SETUP, other), E.ISCL_RECEIVED_NAK, E.ISCL_BAD_VERSION)

    def test_keys(self) -> None:
        other = replace(SETUP, auth_keys=(THIRD_KEY, *SETUP.auth_keys[1:]))
        self.check(Shaken(SETUP, other), E.ISCL_LOCAL_IC_CARD, E.ISCL_REMOTE_IC_CARD)
        self.check(Shaken(other, SETUP), E.ISCL_LOCAL_IC_CARD, E.ISCL_REMOTE_IC_CARD)

    def test_a_server_without_the_key(self) -> None:
        """One that believes everything is found out by the client."""
        forging = FixedCard(with_wire(WireOptions(response=lambda _key, _challenge: b"a guess!")).wire)
        forging.verify = lambda *_arguments: 0  # type: ignore[method-assign]
        shaken = Shaken(cards=(forging, FixedCard()))
        self.check(shaken, E.ISCL_REMOTE_IC_CARD, E.ISCL_LOCAL_IC_CARD)

    def test_cards_that_fail(self) -> None:
        local, remote = E.ISCL_LOCAL_IC_CARD, E.ISCL_REMOTE_IC_CARD
        for broken in ("challenge", "respond", "verify"):
            with self.subTest(broken):
                self.check(Shaken(cards=(FixedCard(broken=broken), FixedCard())), local, remote)
                self.check(Shaken(cards=(FixedCard(), FixedCard(broken=broken))), remote, local)

    def test_cards_that_give_what_is_no_challenge(self) -> None:
        for given in (b"", b"seven b", b"nine byte", None, 7, "8 chars."):
            card = FixedCard()
            card.challenge = lambda _key, given=given: given  # type: ignore[method-assign,assignment,misc]
            with self.subTest(given):
                self.check(Shaken(cards=(card, FixedCard())), E.ISCL_LOCAL_IC_CARD, E.ISCL_REMOTE_IC_CARD)

    def test_authentication_data_that_have_to_agree(self) -> None:
        wire = WireOptions(auth_data_agrees=True)
        server, client = with_wire(wire, auth_data=b"one"), with_wire(wire, auth_data=b"two")
        self.check(Shaken(server, server), None, None)
        shaken = Shaken(server, client)
        self.check(shaken, E.ISCL_RECEIVED_NAK, E.ISCL_MESSAGE_TRANSMISSION)
        self.assertEqual(shaken.client.peer_data, b"one")  # which says why

    def changed(self, message_id: MessageId, **changes: object) -> Shaken:
        """A handshake in which one packet is another one."""
        return Shaken(
            change=lambda packet: replace(packet, **changes) if packet.message_id == message_id else packet  # type: ignore[arg-type]
        )

    def test_what_a_peer_may_send(self) -> None:
        nak, bad = E.ISCL_RECEIVED_NAK, E.ISCL_BAD_OPTION
        ids = MessageId
        for message_id, changes, server, client in (
            (ids.LINE_CHECK_REQUEST, {"words": (0x100, 63)}, nak, E.ISCL_BAD_COMM_BLOCK_LENGTH),
            (ids.LINE_CHECK_REQUEST, {"words": (0x100, 65505)}, nak, E.ISCL_BAD_COMM_BLOCK_LENGTH),
            (ids.LINE_CHECK_RESPONSE, {"words": (63,)}, E.ISCL_BAD_COMM_BLOCK_LENGTH, None),
            (ids.LINE_CHECK_RESPONSE, {"words": (8161,)}, E.ISCL_BAD_COMM_BLOCK_LENGTH, None),
            (ids.LINE_CHECK_RESPONSE, {"result": 5}, bad, None),
            (ids.AUTHENTICATION_REQUEST, {"words": (1, 1)}, nak, E.ISCL_BAD_MUTUAL_AUTH_METHOD),
            (ids.AUTHENTICATION_REQUEST, {"words": (0, 0)}, nak, bad),
            (ids.AUTHENTICATION_REQUEST, {"words": (0, 9)}, nak, bad),
            (ids.AUTHENTICATION_REQUEST, {"data": bytes(129)}, nak, E.ISCL_BAD_LENGTH),
            (ids.AUTHENTICATION_RESPONSE, {"data": bytes(129)}, E.ISCL_BAD_LENGTH, None),
            (ids.AUTHENTICATION_RESPONSE, {"result": NAK}, nak, None),
            (ids.AUTHENTICATION_RESPONSE, {"result": 1}, bad, None),
            (ids.PASS_1, {"result": 1}, None, E.ISCL_REMOTE_IC_CARD),
            (ids.PASS_2, {"result": NAK}, E.ISCL_REMOTE_IC_CARD, None),
            (ids.PASS_3, {"result": 2}, None, E.ISCL_REMOTE_IC_CARD),
            (ids.COMPLETION, {"result": NAK}, E.ISCL_REMOTE_IC_CARD, None),
        ):
            with self.subTest(message_id.name, **changes):  # type: ignore[arg-type]
                self.assertEqual(self.changed(message_id, **changes).errors, [server, client])

    def test_every_message_in_every_wrong_place(self) -> None:
        """And nothing of it is believed."""
        for role, expected in ((Server, Server.EXPECTED), (Client, Client.EXPECTED)):
            for place, (right, _name) in enumerate(expected):
                for wrong in MessageId:
                    if wrong == right:
                        continue
                    end = role(SETUP, FixedCard())
                    for packet in [each for each in Shaken().sent if (each.message_id in dict(expected))][:place]:
                        self.assertIsNone(end.receive(packet).error)
                    step = end.receive(Packet(wrong, (0,) * 4, (bytes(8),) * 2))
                    with self.subTest(role.__name__, place=place, wrong=wrong.name):
                        assert step.error is not None
                        self.assertEqual((step.error.code, step.packets), (E.ISCL_BAD_MESSAGE_ID, ()))
                        self.assertFalse(end.is_done)

    def test_an_empty_slot(self) -> None:
        """The card is asked all the same: a real one has keys of its own."""
        empty = Setup(encrypt_keys=SETUP.encrypt_keys)
        cards = FixedCard(), FixedCard()
        Shaken(empty, empty, cards)
        self.assertEqual([card.keys for card in cards], [[bytes(8)], [bytes(8)]])


if __name__ == "__main__":
    unittest.main()
