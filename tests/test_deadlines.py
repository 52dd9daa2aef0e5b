"""`deadlines`: which wait is over first, on a clock that the test moves."""

from __future__ import annotations

import unittest
from unittest import mock

from ldicomnet import deadlines as room
from ldicomnet import timing
from ldicomnet.deadlines import Deadlines, Wait
from ldicomnet.timing import NEVER, Timeouts


class Clock(unittest.TestCase):
    """Tests at a time of their own."""

    def setUp(self) -> None:
        self.now = 1000.0
        for module in (room, timing):
            self.enterContext(mock.patch.object(module, "monotonic", lambda: self.now))
        self.deadlines = Deadlines(Timeouts(artim=30, association=40, dimse=10, release=50, pdu=5))

    def test_nothing_is_due_at_first(self) -> None:
        self.now += 1e9
        self.assertIsNone(self.deadlines.due())

    def test_what_is_due(self) -> None:
        def response() -> None:
            self.deadlines.await_response(7)
            self.deadlines.sent(7)

        rows = (
            (Wait.CLOSE, lambda: setattr(self.deadlines, "artim", self.now + 10)),
            (Wait.ANSWER, lambda: setattr(self.deadlines, "answer", self.now + 10)),
            (Wait.REST, lambda: setattr(self.deadlines, "rest", self.now + 10)),
            (Wait.RESPONSE, response),
        )
        for what, begin in rows:
            with self.subTest(what):
                self.setUp()
                begin()
                self.now += 9.99
                self.assertIsNone(self.deadlines.due())
                self.now += 0.01
                self.assertIs(self.deadlines.due(), what)

    def test_how_long_to_wait(self) -> None:
        """Until the first deadline, and never longer than the shortest that another thread can start."""
        self.assertEqual(self.deadlines.left(), 10)
        for name, seconds, expected in (("artim", 100, 10), ("answer", 4, 4), ("rest", 2, 2), ("artim", -5, -5)):
            setattr(self.deadlines, name, self.now + seconds)
            self.assertEqual(self.deadlines.left(), expected)
        endless = Deadlines(Timeouts(artim=None, association=None, dimse=None, release=None))
        self.assertIsNone(endless.left())
        endless.rest = self.now + 3
        self.assertEqual(endless.left(), 3)

    def test_bytes_that_come_late_are_read_for_a_little_while(self) -> None:
        for left, seconds, is_late in (
            (None, 0, False),
            (1.0, 0, False),
            (0.0, 0.4, False),  # a deadline has just passed
            (-0.4, 0.2, False),
            (-0.6, 0, True),
            (0.1, 0, False),  # what was waited for has come
            (-9.0, 0.6, False),
            (-9.6, 0, True),
        ):
            with self.subTest(left=left, now=self.now):
                self.assertEqual(self.deadlines.is_late(left), is_late)
                self.now += seconds

    def test_the_rest_of_what_has_begun(self) -> None:
        self.deadlines.begin_rest(0)
        self.assertEqual(self.deadlines.rest, self.now + 5)
        self.now += 1
        self.deadlines.begin_rest(0)
        self.assertEqual(self.deadlines.rest, self.now + 4)
        self.assertFalse(self.deadlines.goes_on(5 * 1024 - 1), "less than 1 KB for each of 5 seconds")
        self.assertTrue(self.deadlines.goes_on(5 * 1024))
        self.assertEqual(self.deadlines.rest, self.now + 5)
        self.assertFalse(self.deadlines.goes_on(5 * 1024), "nothing since")
        endless = Deadlines(Timeouts(pdu=None))
        endless.begin_rest(0)
        self.assertEqual(endless.rest, NEVER)

    def test_responses(self) -> None:
        self.deadlines.await_response(1)
        self.assertEqual(self.deadlines.first_response(), (1, NEVER))
        self.deadlines.sent(1)
        self.now += 4
        self.deadlines.await_response(2)
        self.deadlines.sent(2)
        self.assertEqual(self.deadlines.first_response(), (1, 1010))
        self.deadlines.forget(1)
        self.assertEqual(self.deadlines.first_response(), (2, 1014))
        self.deadlines.forget(2)
        self.deadlines.forget(2)
        self.assertEqual(self.deadlines.first_response(), (0, NEVER))

    def test_a_response_before_its_request_was_wholly_sent(self) -> None:
        self.deadlines.await_response(1)
        self.deadlines.forget(1)
        self.deadlines.sent(1)
        self.assertEqual(self.deadlines.first_response(), (0, NEVER))

    def test_renewing(self) -> None:
        for message_id in (1, 2, 3):
            self.deadlines.await_response(message_id)
        self.deadlines.sent(1)
        self.now += 8
        self.deadlines.sent(2)
        self.deadlines.renew()
        self.assertEqual(self.deadlines.first_response()[1], self.now + 10)
        self.deadlines.forget(1)
        self.deadlines.forget(2)
        self.assertEqual(self.deadlines.first_response(), (3, NEVER))

    def test_renewing_shortens_nothing(self) -> None:
        timeouts = Timeouts(dimse=100)
        deadlines = Deadlines(timeouts)
        deadlines.await_response(1)
        deadlines.sent(1)
        timeouts.dimse = 1
        deadlines.renew()
        self.assertEqual(deadlines.first_response(), (1, 1100))

    def test_no_limit(self) -> None:
        endless = Deadlines(Timeouts(dimse=None))
        endless.await_response(1)
        endless.sent(1)
        endless.renew()
        self.now += 1e9
        self.assertIsNone(endless.due())


if __name__ == "__main__":
    unittest.main()
