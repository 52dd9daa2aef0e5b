"""`checks`: what callers may pass, and the one error that names the argument for what they may not."""

from __future__ import annotations

import unittest
from pathlib import PurePosixPath
from typing import Any

from pydicom.uid import UID

from ldicomnet import checks
from ldicomnet.errors import LDicomUsageError
from ldicomnet.status import ErrorCode, Priority

UIDS = (
    # text, whether it is a UID, whether one puts up with it
    ("1.2.840.10008.1.1", True, True),
    ("0", True, True),
    ("0.0", True, True),
    ("1" * 64, True, True),
    ("1.02", False, True),
    ("1" * 65, False, False),
    ("", False, False),
    ("1.2\n", False, False),
    ("1.2 ", False, False),
    ("1.2\0", False, False),
    ("1.2/3", False, False),
    ("1.a", False, False),
    ("-1.2", False, False),
    ("\u00b2.1", False, False),
    ("\u0661.2", False, False),
)
NO_UIDS = ("1.2.", ".1", "1..2", ".", "..", "1.2.03", 1, 1.2, None, b"1.2", ["1.2"], ("1.2",))

TITLES = (("A", "A"), (" AB  ", "AB"), ("A B", "A B"), ("~!\"'", "~!\"'"), ("ABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOP"),
          (" ABCDEFGHIJKLMNOP ", "ABCDEFGHIJKLMNOP"))  # fmt: skip
NO_TITLES = ("", " ", "A" * 17, "A\\B", "A\nB", "A\tB", "A\x7f", "A\0", "\u00c4E", None, 5, b"AE", ["A"])


class Checks(unittest.TestCase):
    """Each check on both sides of its border."""

    def refuses(self, check: Any, *arguments: Any) -> LDicomUsageError:
        """The check raises, and names the argument and the value."""
        with self.assertRaises(LDicomUsageError) as caught:
            check("the_argument", *arguments)
        self.assertIn("the_argument", str(caught.exception))
        return caught.exception

    def test_uids(self) -> None:
        for text, strictly, tolerably in UIDS:
            with self.subTest(text):
                self.assertEqual((checks.is_uid(text), checks.is_tolerable_uid(text)), (strictly, tolerably))
                if strictly:
                    self.assertEqual(checks.uid("the_argument", text), text)
                else:
                    self.refuses(checks.uid, text)

    def test_what_is_no_uid(self) -> None:
        for value in NO_UIDS:
            with self.subTest(value=value):
                self.refuses(checks.uid, value)

    def test_a_tolerable_uid_has_digits(self) -> None:
        """File names are made of UIDs, and "." and ".." are folders."""
        for text in (".", "..", "..."):
            self.assertFalse(checks.is_tolerable_uid(text), text)

    def test_a_uid_of_pydicom_becomes_plain_text(self) -> None:
        self.assertIs(type(checks.uid("the_argument", UID("1.2.3"))), str)

    def test_titles(self) -> None:
        for text, title in TITLES:
            self.assertEqual(checks.title("the_argument", text), title)
        for value in NO_TITLES:
            with self.subTest(value=value):
                self.refuses(checks.title, value)

    def test_numbers(self) -> None:
        for value in (0, 7, 255, Priority.HIGH, True):
            number = checks.number("the_argument", value, 255)
            self.assertEqual((number, type(number)), (value, int))
        for value in (-1, 256, 1.0, "1", None, b"\1", [1]):
            with self.subTest(value=value):
                self.assertEqual(self.refuses(checks.number, value, 255).code, ErrorCode.PARAMETER)
        self.assertEqual(self.refuses(checks.number, -1, 255, ErrorCode.PDU_ID).code, ErrorCode.PDU_ID)

    def test_octets(self) -> None:
        for value in (b"", b"\0\xff", bytearray(b"ab"), memoryview(b"ab"), bytes(0xFFFF)):
            octets = checks.octets("the_argument", value)
            self.assertEqual((octets, type(octets)), (bytes(value), bytes))
        for wrong in (bytes(0x10000), "text", 5, None, 1.5, ["a"]):
            with self.subTest(value=str(wrong)[:20]):
                self.refuses(checks.octets, wrong)

    def test_paths(self) -> None:
        for value in ("a", "", "/a/b.dcm", "\u00e4.dcm", PurePosixPath("a/b"), "a" * 5000):
            path = checks.path(value)
            self.assertEqual((path, type(path)), (str(value), str))
        for wrong in ("a\0b", "\0", b"a", PurePosixPath("a\0b"), None, 5, ["a"], "\ud800", object()):
            with self.subTest(value=wrong), self.assertRaises(LDicomUsageError) as caught:
                checks.path(wrong)
            self.assertIn("path is", str(caught.exception))

    def test_folders(self) -> None:
        for value in ("a", "", PurePosixPath("a/b")):
            self.assertEqual(checks.folder("the_argument", value), str(value))
        for wrong in (None, 5, ["a"], object()):
            self.refuses(checks.folder, wrong)

    def test_entries(self) -> None:
        for index in (0, 2):
            self.assertEqual(checks.entry("abc", index, "letters"), "abc"[index])
        for wrong in (-1, 3, "0", None, 1.0):
            with self.subTest(index=wrong), self.assertRaises(LDicomUsageError) as caught:
                checks.entry("abc", wrong, "letters")
            self.assertIn("letters", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
