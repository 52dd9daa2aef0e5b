"""`wire`: the bounded cursor, and items with their lengths."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from ldicomnet.errors import LDicomProtocolError, LDicomUsageError
from ldicomnet.status import AbortReason, ErrorCode
from ldicomnet.wire import DATA_HEADER, ITEM_HEADER, PDU_HEADER, PDV_HEADER, Cursor, counted, item

from .spoiling import truncations

Read = Callable[[Cursor], Any]

READS: tuple[tuple[str, Read, str, Any, int], ...] = (
    # what is read, how, from these bytes, the value, bytes left
    ("u8", Cursor.u8, "FE 01", 0xFE, 1),
    ("u16", Cursor.u16, "12 34 56", 0x1234, 1),
    ("u32", Cursor.u32, "FF 00 00 01", 0xFF000001, 0),
    ("take", lambda cursor: cursor.take(2), "61 62 63", b"ab", 1),
    ("take nothing", lambda cursor: cursor.take(0), "61", b"", 1),
    ("rest", Cursor.rest, "61 62 63", b"abc", 0),
    ("rest of nothing", Cursor.rest, "", b"", 0),
    ("counted", Cursor.counted, "00 02 61 62 63", b"ab", 1),
    ("counted nothing", Cursor.counted, "00 00", b"", 0),
    ("item", Cursor.item, "51 FF 00 02 61 62 63", (0x51, b"ab"), 1),
    ("empty item", Cursor.item, "FF 00 00 00", (0xFF, b""), 0),
)

HEADERS = (
    (PDU_HEADER, (4, 0, 0x12345678), "04 00 12345678"),
    (PDV_HEADER, (0x12345678, 255, 3), "12345678 FF 03"),
    (DATA_HEADER, (4, 0, 18, 14, 1, 2), "04 00 00000012 0000000E 01 02"),
    (ITEM_HEADER, (0x51, 0, 4), "51 00 0004"),
)


class Reading(unittest.TestCase):
    """`Cursor` gives what is there, and one error for what is not."""

    def test_values(self) -> None:
        for name, read, data, value, left in READS:
            with self.subTest(name):
                cursor = Cursor(bytes.fromhex(data), "test")
                self.assertEqual(cursor.left, len(bytes.fromhex(data)))
                self.assertEqual(read(cursor), value)
                self.assertEqual(cursor.left, left)

    def test_short_of_any_byte(self) -> None:
        for name, read, data, _value, left in READS:
            whole = bytes.fromhex(data)
            if name.startswith("rest"):
                continue
            for short in truncations(whole[: len(whole) - left]):
                with self.subTest(name, length=len(short)), self.assertRaises(LDicomProtocolError) as caught:
                    read(Cursor(short, "the thing"))
                self.assertIn("the thing", str(caught.exception))
                self.assertEqual(caught.exception.code, ErrorCode.PDU_LENGTH)
                self.assertEqual(caught.exception.reason, AbortReason.INVALID_PARAM)

    def test_a_window_of_the_bytes(self) -> None:
        cursor = Cursor(b"abcdef", "test", 2, 4)
        self.assertEqual((cursor.left, cursor.take(2), cursor.left), (2, b"cd", 0))
        with self.assertRaises(LDicomProtocolError):
            cursor.u8()

    def test_no_more_items_than_wanted(self) -> None:
        data = item(0x99, b"ab") + item(0x98, b"") * 2
        self.assertEqual(Cursor(b"", "test").items(0), [])
        self.assertEqual(Cursor(data, "test").items(3), [(0x99, b"ab"), (0x98, b""), (0x98, b"")])
        with self.assertRaisesRegex(LDicomProtocolError, "test: more than 2 items"):
            Cursor(data, "test").items(2)

    def test_a_failed_read_moves_nothing(self) -> None:
        cursor = Cursor(b"ab", "test")
        with self.assertRaises(LDicomProtocolError):
            cursor.take(3)
        self.assertEqual(cursor.rest(), b"ab")


class Writing(unittest.TestCase):
    """Headers, counted bytes and items."""

    def test_headers(self) -> None:
        for header, values, data in HEADERS:
            with self.subTest(data=data):
                self.assertEqual(header.pack(*values), bytes.fromhex(data))
                self.assertEqual(header.unpack(bytes.fromhex(data)), values)

    def test_counted(self) -> None:
        for content in (b"", b"a", bytes(0xFFFF)):
            encoded = counted(content)
            self.assertEqual(encoded, len(content).to_bytes(2, "big") + content)
            self.assertEqual(Cursor(encoded, "test").counted(), content)

    def test_item(self) -> None:
        for content in (b"", b"a", bytes(0xFFFF)):
            encoded = item(0x99, content)
            self.assertEqual(encoded[:4], bytes((0x99, 0)) + len(content).to_bytes(2, "big"))
            self.assertEqual(Cursor(encoded, "test").item(), (0x99, content))

    def test_what_does_not_fit_a_length_of_two_bytes(self) -> None:
        with self.assertRaises(LDicomUsageError) as caught:
            item(0x57, bytes(0x10000))
        self.assertIn("57H", str(caught.exception))
        with self.assertRaises(LDicomUsageError):
            counted(bytes(0x10000))


if __name__ == "__main__":
    unittest.main()
