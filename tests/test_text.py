"""`text`: what others wrote fits on one line, and says nothing but what it says."""

from __future__ import annotations

import struct
import unittest
import zlib

from ldicomnet.text import reason, shown


class Shown(unittest.TestCase):
    """Text of peers and files."""

    def test_rows(self) -> None:
        rows = (
            ("", ""),
            ("1.2.840", "1.2.840"),
            ("two words", "two words"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\x1b[2J\0\x7f", "\\x1b[2J\\x00\\x7f"),
            ("\u202eright\u2028", "\\u202eright\\u2028"),
            ("\udcff\U0001f600", "\\udcff\\U0001f600"),
        )
        for text, expected in rows:
            self.assertEqual(shown(text), expected)

    def test_its_length_is_bounded(self) -> None:
        self.assertEqual(shown("a" * 200), "a" * 200)
        for text in ("a" * 201, "a" * 10_000_000, "\0" * 300, "\U0001f600" * 199):
            self.assertLessEqual(len(shown(text)), 203)
            self.assertTrue(shown(text).endswith("..."))


class Reason(unittest.TestCase):
    """What other libraries raise."""

    def test_kind_and_text(self) -> None:
        self.assertEqual(reason(ValueError("it\nis")), "ValueError: it\\nis")
        self.assertEqual(reason(MemoryError()), "MemoryError")
        self.assertEqual(reason(struct.error("few")), "struct.error: few")
        self.assertEqual(reason(zlib.error("bad")), "zlib.error: bad")

    def test_the_first_of_several(self) -> None:
        """pydicom raises one from the other, each with the text of those before."""
        error: Exception = KeyError("first")
        for number in range(50):
            try:
                raise ValueError(f"{number}: {error}" * 2) from error
            except ValueError as raised:
                error = raised if number < 5 else error
        self.assertEqual(reason(error), "KeyError: 'first'")


if __name__ == "__main__":
    unittest.main()
