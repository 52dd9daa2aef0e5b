"""`log`: every record carries the number of its association."""

from __future__ import annotations

import logging
import unittest

from ldicomnet.log import log_of


class Log(unittest.TestCase):
    """`log_of`."""

    def test_records_are_numbered(self) -> None:
        with self.assertLogs("ldicomnet", "DEBUG") as caught:
            log_of(logging.getLogger("ldicomnet.engine"), 7).info("said %s", "%d{}\n")
            log_of(logging.getLogger("ldicomnet.net"), 8).error("failed")
        told = [(one.name, one.association, one.getMessage()) for one in caught.records]  # type: ignore[attr-defined]
        self.assertEqual(told, [("ldicomnet.engine", 7, "[7] said %d{}\n"), ("ldicomnet.net", 8, "[8] failed")])


if __name__ == "__main__":
    unittest.main()
