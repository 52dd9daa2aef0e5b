"""ISCL packets: what is written is read again, in every way of writing it, and nothing else is."""

from __future__ import annotations

import unittest
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ldicomnet import ErrorCode, LDicomSecurityError
from ldicomnet.iscl.options import LONGEST_DATA, WireOptions
from ldicomnet.iscl.wire import HEADER, LAYOUTS, NAK, MessageId, Packet, Reader, encode, header, layout

from .iscl_ends import WIRES

WORDS = st.integers(0, 0xFFFFFFFF)
ORDERS = ("big", "little")


@st.composite
def packets(draw: st.DrawFn) -> tuple[Packet, WireOptions]:
    """Any packet, and how it is written."""
    options = draw(st.sampled_from(WIRES))
    message_id = draw(st.sampled_from(MessageId))
    shape = layout(message_id, options)
    result = draw(st.sampled_from((0, 1, NAK))) if shape.has_result else 0
    words = tuple(draw(WORDS) for _ in range(shape.words))
    if result:
        return Packet(message_id, words, result=result), options
    quantities = tuple(draw(st.binary(min_size=8, max_size=8)) for _ in range(shape.quantities))
    longest = LONGEST_DATA if shape.is_counted else 500 if shape.is_raw else 0
    return Packet(message_id, words, quantities, draw(st.binary(max_size=longest)), result), options


def reader(options: WireOptions = WIRES[0], most: int = 1000) -> Reader:
    return Reader(options, lambda _id: most)


class Codec(unittest.TestCase):
    """Packets, there and back."""

    @given(packets(), st.sampled_from(ORDERS), st.integers(1, 40))
    def test_there_and_back(self, made: tuple[Packet, WireOptions], order: str, step: int) -> None:
        packet, options = made
        if options.byte_order not in ("auto", order):
            order = options.byte_order
        data = encode(packet, options, order)
        found = reader(options)
        for start in range(0, len(data), step):
            self.assertIsNone(found.take())
            found.feed(data[start : start + step])
        self.assertEqual(found.take(), packet)
        self.assertEqual((found.order, found.raw), (order, data))
        self.assertFalse(found.is_unfinished)
        self.assertIsNone(found.take())

    def test_vector(self) -> None:
        """A line check request, as the record has it."""
        made = encode(Packet(MessageId.LINE_CHECK_REQUEST, (0x100, 8160)), WireOptions(), "big")
        self.assertEqual(made[:HEADER].hex(), "000000000011000100000008" + "00000000" * 5)
        self.assertEqual(made[HEADER:].hex(), "0000010000001fe0")

    def test_where_a_result_is(self) -> None:
        packet = Packet(MessageId.AUTHENTICATION_RESPONSE, result=NAK)
        for where, at in (("option", 12), ("error", 20), ("content", 32)):
            made = encode(packet, WireOptions(result_in=where), "big")
            with self.subTest(where):
                self.assertEqual([start for start in range(0, len(made), 4) if made[start] == 0xFF], [at])

    def test_quantities_turn_only_where_they_are_numbers(self) -> None:
        packet = Packet(MessageId.PASS_1, quantities=(b"12345678",))
        for kind, order, expected in (
            ("bytes", "little", b"12345678"),
            ("numbers", "big", b"12345678"),
            ("numbers", "little", b"87654321"),
        ):
            made = encode(packet, WireOptions(quantities=kind), order)
            with self.subTest(kind, order=order):
                self.assertEqual(made[HEADER:], expected)

    def test_a_failure_needs_no_content(self) -> None:
        for message_id, shape in LAYOUTS.items():
            if shape.has_result:
                found = reader()
                found.feed(header(message_id, 0, "big", option=NAK))
                with self.subTest(message_id.name):
                    self.assertEqual(found.take(), Packet(message_id, result=NAK))

    def test_unused_words_are_not_looked_at(self) -> None:
        data = bytearray(encode(Packet(MessageId.DATA, data=b"data"), WireOptions(), "big"))
        for at in (0, 4):
            data[16 + 8 * (at > 0) : 16 + 8 * (at > 0) + 4] = b"\xab\xcd\xef\x01"
        data[:4] = b"\xff" * 4
        found = reader()
        found.feed(bytes(data))
        self.assertEqual(found.take(), Packet(MessageId.DATA, data=b"data"))


class Orders(unittest.TestCase):
    """The byte order of the peer."""

    def test_no_id_is_one_in_both(self) -> None:
        known = {int(each) for each in MessageId}
        turned = {int.from_bytes(each.to_bytes(4, "big"), "little") for each in known}
        self.assertFalse(known & turned)

    def test_it_stays_as_it_was_first(self) -> None:
        found = reader()
        for order in ("little", "big"):
            found.feed(encode(Packet(MessageId.DISCONNECTION_REQUEST), WireOptions(), order))
        self.assertIsNotNone(found.take())
        with self.assertRaises(LDicomSecurityError):
            found.take()

    def test_a_site_may_fix_it(self) -> None:
        found = reader(WireOptions(byte_order="little"))
        found.feed(encode(Packet(MessageId.DISCONNECTION_REQUEST), WireOptions(), "big"))
        with self.assertRaises(LDicomSecurityError):
            found.take()


class Refused(unittest.TestCase):
    """What is no packet, as early as it shows, and before anything is held for it."""

    def error(self, data: bytes, most: int = 1000) -> LDicomSecurityError:
        found = reader(most=most)
        found.feed(data)
        with self.assertRaises(LDicomSecurityError) as caught:
            while found.take() is not None:
                pass
        return caught.exception

    def test_eight_bytes_are_enough(self) -> None:
        self.assertEqual(self.error(bytes(8)).code, ErrorCode.ISCL_BAD_MESSAGE_ID)

    def test_other_protocols_are_named(self) -> None:
        self.assertIn("DICOM without", str(self.error(bytes.fromhex("01000000 00cd0001 0000"))))
        self.assertIn("TLS", str(self.error(bytes.fromhex("16030100 c8010000 c403"))))

    def test_lengths(self) -> None:
        """Each other than the one that is right; what is raw only has a largest."""
        for message_id, shape in LAYOUTS.items():
            right = 4 * shape.words + 8 * shape.quantities + 4 * shape.is_counted
            for length in {0, right - 1, right + 1, right + 4, 999, 1001, 0xFFFFFFFF} - {right, -1}:
                if shape.is_raw and length <= 1000:
                    continue
                data = header(message_id, length, "big") + bytes(min(length, 2000))
                with self.subTest(message_id.name, length=length):
                    self.assertEqual(self.error(data).code, ErrorCode.ISCL_BAD_LENGTH)

    def test_counted_data(self) -> None:
        for count in (0, 3, 5, 0xFFFFFFFF):
            content = bytes(8) + count.to_bytes(4, "big") + b"data"
            data = header(MessageId.AUTHENTICATION_REQUEST, len(content), "big") + content
            with self.subTest(count=count):
                self.assertEqual(self.error(data).code, ErrorCode.ISCL_BAD_LENGTH)

    def test_a_long_length_is_refused_before_its_bytes_come(self) -> None:
        data = header(MessageId.DATA, 1001, "big")
        self.assertEqual(self.error(data).code, ErrorCode.ISCL_BAD_LENGTH)

    def test_raw_messages_before_authentication(self) -> None:
        for message_id in (MessageId.DATA, MessageId.MAC, MessageId.THROUGH):
            with self.subTest(message_id.name):
                error = self.error(header(message_id, 0, "big"), most=-1)
                self.assertEqual(error.code, ErrorCode.ISCL_BAD_MESSAGE_ID)

    def test_garbage(self) -> None:
        """Whatever comes, it is a packet or one error."""
        random = Random(7)
        samples = [
            encode(Packet(message_id, (1,) * shape.words, (b"8 bytes.",) * shape.quantities, b""), WIRES[0], order)
            for message_id, shape in LAYOUTS.items()
            for order in ORDERS
        ]
        for _ in range(3000):
            data = bytearray(random.choice(samples) + random.choice(samples))
            for _change in range(random.randint(1, 4)):
                data[random.randrange(len(data))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
            found = reader(random.choice(WIRES))
            found.feed(bytes(data))
            try:
                while found.take() is not None:
                    pass
            except LDicomSecurityError as error:
                self.assertIn(error.code, (ErrorCode.ISCL_BAD_MESSAGE_ID, ErrorCode.ISCL_BAD_LENGTH))


if __name__ == "__main__":
    unittest.main()
