"""`items`: presentation contexts and user-information sub-items, as records and as bytes."""

from __future__ import annotations

import unittest
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ldicomnet.errors import LDicomProtocolError, LDicomUsageError
from ldicomnet.items import (
    AnsweredContext,
    AsynchronousOperations,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    ImplementationClass,
    ImplementationVersion,
    MaximumLength,
    ProposedContext,
    RoleSelection,
    UnknownItem,
    UserIdentity,
    UserIdentityResponse,
    UserItem,
    decode_text,
    decode_user_information,
    encode_text,
    encode_user_information,
)

from .spoiling import flips, replaced, truncations

# PS3.8 Table D.1-1 and PS3.7 Tables D.3-1 to D.3-15: the sub-item, its bytes, and whether its content has a structure
# that cannot be cut short.
SUB_ITEMS: tuple[tuple[UserItem, str, bool], ...] = (
    (MaximumLength(16384), "51 00 0004 00004000", True),
    (MaximumLength(0), "51 00 0004 00000000", True),
    (MaximumLength(0xFFFFFFFF), "51 00 0004 FFFFFFFF", True),
    (ImplementationClass("1.2.3.44"), "52 00 0008 312E322E332E3434", False),
    (ImplementationClass(""), "52 00 0000", False),
    (AsynchronousOperations(5, 0), "53 00 0004 0005 0000", True),
    (AsynchronousOperations(0xFFFF, 1), "53 00 0004 FFFF 0001", True),
    (RoleSelection("1.2", 0, 1), "54 00 0007 0003 312E32 00 01", True),
    (RoleSelection("1.23", 1, 0), "54 00 0008 0004 312E3233 01 00", True),
    (RoleSelection("1.2", 2, 255), "54 00 0007 0003 312E32 02 FF", True),
    (ImplementationVersion("LIB_1"), "55 00 0005 4C49425F31", False),
    (ExtendedNegotiation("1.2", b"\2\0\3\1"), "56 00 0009 0003 312E32 02000301", False),
    (ExtendedNegotiation("1.2", b""), "56 00 0005 0003 312E32", False),
    (CommonExtendedNegotiation("1.2", "1.3"), "57 00 000C 0003 312E32 0003 312E33 0000", True),
    (
        CommonExtendedNegotiation("1.2", "1.3", ("1.4", "1.55")),
        "57 00 0017 0003 312E32 0003 312E33 000B 0003 312E34 0004 312E3535",
        True,
    ),
    (UserIdentity(1, True, b"name"), "58 00 000A 01 01 0004 6E616D65 0000", True),
    (UserIdentity(2, False, b"name", b"\xff\0"), "58 00 000C 02 00 0004 6E616D65 0002 FF00", True),
    (UserIdentity(77, True, b""), "58 00 0006 4D 01 0000 0000", True),
    (UserIdentityResponse(b"ok!"), "59 00 0005 0003 6F6B21", True),
    (UserIdentityResponse(b""), "59 00 0002 0000", True),
    (UnknownItem(0x60, b"\0any"), "60 00 0004 00616E79", False),
    (UnknownItem(0xFF, b""), "FF 00 0000", False),
)

# PS3.8 Tables 9-13 to 9-15 and 9-18, 9-19: the context, its item, and where its content can be cut and is whole still.
CONTEXTS: tuple[tuple[ProposedContext | AnsweredContext, str, tuple[int, ...]], ...] = (
    (ProposedContext(1, "1.2", ["1.3"]), "20 00 0012 01 00 00 00 30 00 0003 312E32 40 00 0003 312E33", ()),
    (
        ProposedContext(255, "1.2", ["1.33", "1.4"]),
        "20 00 001A FF 00 00 00 30 00 0003 312E32 40 00 0004 312E3333 40 00 0003 312E34",
        (19,),
    ),
    (AnsweredContext(1, 0, "1.3"), "21 00 000B 01 00 00 00 40 00 0003 312E33", ()),
    (AnsweredContext(7, 4, "1.3"), "21 00 000B 07 00 04 00 40 00 0003 312E33", (4,)),
    (AnsweredContext(7, 99, ""), "21 00 0008 07 00 63 00 40 00 0000", (4,)),
)

MALFORMED_PROPOSALS = (
    ("the ID is even", "02 00 00 00 30 00 0003 312E32 40 00 0003 312E33"),
    ("the ID is 0", "00 00 00 00 30 00 0003 312E32 40 00 0003 312E33"),
    ("no abstract syntax", "01 00 00 00 40 00 0003 312E33"),
    ("two abstract syntaxes", "01 00 00 00 30 00 0003 312E32 30 00 0003 312E32 40 00 0003 312E33"),
    ("no transfer syntax", "01 00 00 00 30 00 0003 312E32"),
    ("nothing but the ID", "01 00 00 00"),
)

MALFORMED_SUB_ITEMS = (
    ("maximum length of 3 bytes", "51 00 0003 004000"),
    ("maximum length of 5 bytes", "51 00 0005 0000400000"),
    ("window of 2 bytes", "53 00 0002 0001"),
    ("window of 6 bytes", "53 00 0006 000100010001"),
    ("role selection whose UID runs over", "54 00 0007 0006 312E32 00 01"),
    ("role selection without roles", "54 00 0005 0003 312E32"),
    ("role selection of nothing", "54 00 0000"),
    ("extended negotiation whose UID runs over", "56 00 0005 0004 312E32"),
    ("related classes that run over", "57 00 000E 0003 312E32 0003 312E33 0003 0001"),
    ("a related class that runs over its list", "57 00 000F 0003 312E32 0003 312E33 0003 0002 31"),
    ("identity whose primary field runs over", "58 00 000A 01 01 0008 6E616D65 0000"),
    ("identity without secondary field", "58 00 0008 01 01 0004 6E616D65"),
    ("identity response that runs over", "59 00 0005 0004 6F6B21"),
)


def decode_context(data: bytes) -> ProposedContext | AnsweredContext:
    """The context of a whole item."""
    kind: Any = {0x20: ProposedContext, 0x21: AnsweredContext}[data[0]]
    context: ProposedContext | AnsweredContext = kind.decode(data[4:])
    return context


class UserInformation(unittest.TestCase):
    """Sub-items of the user information item."""

    def test_rows(self) -> None:
        for record, text, _structured in SUB_ITEMS:
            with self.subTest(record=record):
                data = bytes.fromhex(text)
                self.assertEqual(record.encode(), data)
                self.assertEqual(decode_user_information(data), [record])
                self.assertEqual(type(decode_user_information(data)[0]), type(record))

    def test_all_at_once_keep_their_order(self) -> None:
        records = [record for record, _text, _structured in SUB_ITEMS]
        for ordered in (records, records[::-1]):
            encoded = encode_user_information(ordered)
            content = b"".join(record.encode() for record in ordered)
            self.assertEqual(encoded, b"\x50\0" + len(content).to_bytes(2, "big") + content)
            self.assertEqual(decode_user_information(encoded[4:]), ordered)

    def test_no_sub_item_at_all(self) -> None:
        self.assertEqual(decode_user_information(b""), [])
        self.assertEqual(encode_user_information([]), bytes.fromhex("50 00 0000"))

    def test_cut_at_every_byte(self) -> None:
        for record, text, structured in SUB_ITEMS:
            data = bytes.fromhex(text)
            for short in truncations(data):
                with self.subTest(record=record, length=len(short)):
                    if short:
                        self.assertRaises(LDicomProtocolError, decode_user_information, short)
                    if structured and len(short) >= 4:  # the length of the sub-item made to fit
                        fitting = replaced(short, 2, (len(short) - 4).to_bytes(2, "big"))
                        self.assertRaises(LDicomProtocolError, decode_user_information, fitting)

    def test_malformed(self) -> None:
        for name, text in MALFORMED_SUB_ITEMS:
            with self.subTest(name), self.assertRaises(LDicomProtocolError):
                decode_user_information(bytes.fromhex(text))

    def test_any_wrong_length_or_bit_raises_one_error_or_none(self) -> None:
        following = MaximumLength(1).encode()
        for record, text, _structured in SUB_ITEMS:
            data = bytes.fromhex(text)
            for spoiled in (*flips(data), *(replaced(data, 2, bytes((high, 0xFF))) for high in (0, 0x7F, 0xFF))):
                with self.subTest(record=record, data=spoiled.hex()), suppress(LDicomProtocolError):
                    for user_item in decode_user_information(spoiled + following):
                        user_item.encode()

    def test_the_reserved_byte_is_not_tested(self) -> None:
        for record, text, _structured in SUB_ITEMS:
            with self.subTest(record=record):
                self.assertEqual(decode_user_information(replaced(bytes.fromhex(text), 1, b"\xff")), [record])

    def test_bytes_after_the_related_classes_are_ignored(self) -> None:
        data = bytes.fromhex("57 00 000E 0003 312E32 0003 312E33 0000 FFFF")
        self.assertEqual(decode_user_information(data), [CommonExtendedNegotiation("1.2", "1.3")])

    def test_padding_of_uids_does_not_count(self) -> None:
        rows: tuple[tuple[str, UserItem], ...] = (
            ("52 00 0004 312E3200", ImplementationClass("1.2")),
            ("54 00 0008 0004 312E3200 01 00", RoleSelection("1.2", 1, 0)),
            ("56 00 0007 0004 312E3220 AA", ExtendedNegotiation("1.2", b"\xaa")),
        )
        for text, record in rows:
            with self.subTest(record=record):
                self.assertEqual(decode_user_information(bytes.fromhex(text)), [record])

    def test_what_is_too_long_for_an_item(self) -> None:
        many = tuple(f"1.2.{number}" for number in range(10_000))
        for record in (
            ExtendedNegotiation("1.2", bytes(0xFFFF)),
            UserIdentity(2, False, bytes(0xFFF0), bytes(0xFFF0)),
            CommonExtendedNegotiation("1.2", "1.3", many),
        ):
            with self.subTest(kind=type(record).__name__), self.assertRaises(LDicomUsageError):
                record.encode()


class PresentationContexts(unittest.TestCase):
    """Presentation context items of both association PDUs."""

    def test_rows(self) -> None:
        for record, text, _whole in CONTEXTS:
            with self.subTest(record=record):
                data = bytes.fromhex(text)
                self.assertEqual(record.encode(), data)
                self.assertEqual(decode_context(data), record)

    def test_cut_at_every_byte(self) -> None:
        for record, text, whole in CONTEXTS:
            for short in truncations(bytes.fromhex(text)[4:]):
                if len(short) not in whole:
                    with self.subTest(record=record, length=len(short)), self.assertRaises(LDicomProtocolError):
                        type(record).decode(short)

    def test_any_wrong_length_or_bit_raises_one_error_or_none(self) -> None:
        for _record, text, _whole in CONTEXTS:
            data = bytes.fromhex(text)
            for spoiled in flips(data[4:]):
                with self.subTest(data=spoiled.hex()), suppress(LDicomProtocolError):
                    decode_context(data[:4] + spoiled).encode()

    def test_malformed_proposals(self) -> None:
        for name, text in MALFORMED_PROPOSALS:
            with self.subTest(name), self.assertRaises(LDicomProtocolError) as caught:
                ProposedContext.decode(bytes.fromhex(text))
            self.assertIn("9.3.2.2", str(caught.exception))

    def test_an_accepted_context_names_one_transfer_syntax(self) -> None:
        for text in ("01 00 00 00", "01 00 00 00 40 00 0003 312E33 40 00 0003 312E34"):
            with self.subTest(text), self.assertRaises(LDicomProtocolError) as caught:
                AnsweredContext.decode(bytes.fromhex(text))
            self.assertIn("9.3.3.2", str(caught.exception))

    def test_the_transfer_syntax_of_a_refused_context_is_not_tested(self) -> None:
        for syntaxes in ("", "40 00 0000", "40 00 0003 312E33 40 00 0003 312E34"):
            for result in (1, 2, 3, 4, 200):
                with self.subTest(syntaxes, result=result):
                    context = AnsweredContext.decode(bytes((3, 0, result, 0)) + bytes.fromhex(syntaxes))
                    self.assertEqual((context.presentation_id, context.result), (3, result))

    def test_a_refused_context_without_transfer_syntax_goes_back_as_it_came(self) -> None:
        """`None` is no sub-item, and "" an empty one."""
        for text, syntax in (("21 00 0004 03 00 03 00", None), ("21 00 0008 03 00 03 00 40 00 0000", "")):
            context = decode_context(bytes.fromhex(text))
            self.assertEqual(context, AnsweredContext(3, 3, syntax))
            self.assertEqual(context.encode(), bytes.fromhex(text))

    def test_reserved_bytes_are_not_tested(self) -> None:
        for text, reserved in (("01 FF FF FF", ProposedContext), ("01 FF 00 FF", AnsweredContext)):
            abstract = "30 EE 0003 312E32" if reserved is ProposedContext else ""
            content = bytes.fromhex(text + abstract + "40 EE 0003 312E33")
            self.assertEqual(reserved.decode(content).presentation_id, 1)

    def test_sub_items_of_other_types_are_passed_over(self) -> None:
        """PS3.8 9.3.1: items of unrecognized type are ignored; they are kept."""
        for record, text, _whole in CONTEXTS:
            data, unknown = bytes.fromhex(text), bytes.fromhex("99 00 0002 FFFF")
            with self.subTest(record=record):
                longer = replaced(data, 2, (len(data) - 4 + len(unknown)).to_bytes(2, "big")) + unknown
                context = decode_context(longer)
                self.assertEqual(context.encode(), longer)
                self.assertEqual(replace(context, others=[]), record)


class Text(unittest.TestCase):
    """Text of items goes back as it came, whatever a peer put there."""

    def test_both_ways(self) -> None:
        for data in (b"", b"1.2.3", bytes(range(1, 32)), bytes(range(33, 256))):
            with self.subTest(data=data):
                self.assertEqual(encode_text(decode_text(data)), data)

    def test_padding(self) -> None:
        for data, text in ((b"1.2\0", "1.2"), (b"1.2 \0 ", "1.2"), (b" 1.2", " 1.2"), (b"\0", "")):
            self.assertEqual(decode_text(data), text)

    def test_what_latin_1_has_not_is_replaced(self) -> None:
        self.assertEqual(encode_text("a\u0416b"), b"a?b")


if __name__ == "__main__":
    unittest.main()
