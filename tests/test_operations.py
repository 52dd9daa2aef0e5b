"""`operations`: requests that await their response, never more at once than the window allows."""

from __future__ import annotations

import threading
import time
import unittest
from collections.abc import Callable
from unittest import mock

from ldicomnet import timing
from ldicomnet.errors import LDicomError, LDicomTimeoutError, LDicomUsageError
from ldicomnet.operations import Operations
from ldicomnet.status import ErrorCode
from ldicomnet.timing import NEVER, Timeouts

from .support import SECONDS


def made(window: int | None, dimse: float | None = 10.0) -> Operations:
    """Operations with this window."""
    operations = Operations(Timeouts(dimse=dimse))
    operations.window = window
    return operations


class Windows(unittest.TestCase):
    """What may begin at once, in one thread."""

    def test_so_many_and_no_more(self) -> None:
        for window in (1, 2, 3, 65535):
            with self.subTest(window=window):
                operations = made(window)
                for message_id in range(window):
                    self.assertTrue(operations.begin(message_id, 1))
                for _ in range(3):
                    self.assertFalse(operations.begin(70_000, 1))
                self.assertEqual(len(operations.awaited), window)
                self.assertTrue(operations.settle(0, 1))
                self.assertTrue(operations.begin(70_000, 1))
                self.assertFalse(operations.begin(70_001, 1))

    def test_no_limit(self) -> None:
        for window in (0, None):
            operations = made(window)
            self.assertTrue(all(operations.begin(message_id, 1) for message_id in range(1000)))
            self.assertEqual(len(operations.awaited), 1000)

    def test_nothing_negotiated_enforces_nothing(self) -> None:
        """Whoever sends two requests with one ID, as was always possible, may go on doing so; the later one counts."""
        operations = made(None)
        self.assertTrue(operations.begin(7, 1))
        self.assertTrue(operations.begin(7, 3))
        self.assertFalse(operations.settle(7, 1))
        self.assertTrue(operations.settle(7, 3))
        self.assertFalse(operations.settle(7, 3))

    def test_message_ids_that_are_in_use(self) -> None:
        """PS3.7 9.1.1: with a window responses come in any order, and only the ID tells them apart."""
        for window in (0, 3):
            operations = made(window)
            self.assertTrue(operations.begin(7, 1))
            for context in (1, 3):
                with self.subTest(window=window, context=context), self.assertRaises(LDicomUsageError) as caught:
                    operations.begin(7, context)
                self.assertEqual(caught.exception.code, ErrorCode.NET_IN_PROGRESS)
                self.assertIn("message_id is 7", str(caught.exception))
            self.assertEqual(operations.awaited, {7: [1, NEVER]})
            operations.settle(7, 1)
            self.assertTrue(operations.begin(7, 1), "free again")

    def test_a_full_window_comes_before_an_id_in_use(self) -> None:
        """By the time that there is room the ID may be free."""
        operations = made(1)
        operations.begin(7, 1)
        self.assertFalse(operations.begin(7, 1))

    def test_settled_by_context_and_message_id(self) -> None:
        operations = made(3)
        operations.begin(7, 1)
        operations.begin(8, 3)
        for message_id, context in ((7, 3), (8, 1), (9, 1), (0, 0)):
            self.assertFalse(operations.settle(message_id, context))
        self.assertEqual(set(operations.awaited), {7, 8})
        self.assertTrue(operations.settle(8, 3))
        self.assertFalse(operations.settle(8, 3), "answered once")
        self.assertEqual(set(operations.awaited), {7})

    def test_what_could_not_be_sent(self) -> None:
        operations = made(1)
        operations.begin(7, 1)
        operations.forget(7)
        operations.forget(7)
        operations.forget(99)
        self.assertTrue(operations.begin(8, 1))

    def test_clear(self) -> None:
        operations = made(2)
        operations.begin(7, 1)
        operations.begin(8, 1)
        operations.clear()
        self.assertEqual(operations.awaited, {})
        self.assertEqual(operations.first(), (0, NEVER))
        self.assertTrue(operations.begin(7, 1))


class Times(unittest.TestCase):
    """The deadline of each response, on a clock that the test moves."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.enterContext(mock.patch.object(timing, "monotonic", lambda: self.now))

    def test_the_time_begins_when_it_is_sent(self) -> None:
        operations = made(None)
        operations.begin(1, 1)
        self.now += 100
        self.assertEqual(operations.first(), (1, NEVER))
        operations.sent(1)
        self.assertEqual(operations.first(), (1, 1110))

    def test_the_first_of_several(self) -> None:
        operations = made(0)
        for message_id in (1, 2, 3):
            operations.begin(message_id, 1)
        operations.sent(1)
        self.now += 4
        operations.sent(2)
        self.assertEqual(operations.first(), (1, 1010))
        operations.settle(1, 1)
        self.assertEqual(operations.first(), (2, 1014))
        operations.forget(2)
        self.assertEqual(operations.first(), (3, NEVER))
        operations.settle(3, 1)
        self.assertEqual(operations.first(), (0, NEVER))

    def test_a_response_before_its_request_was_wholly_sent(self) -> None:
        operations = made(3)
        operations.begin(1, 1)
        operations.settle(1, 1)
        operations.sent(1)
        self.assertEqual(operations.first(), (0, NEVER))

    def test_renewing(self) -> None:
        """The peer is at work: all get their time anew, and what is sent later has its own."""
        operations = made(0)
        for message_id in (1, 2, 3):
            operations.begin(message_id, 1)
        operations.sent(1)
        self.now += 8
        operations.sent(2)
        operations.renew()
        self.assertEqual(operations.first(), (1, self.now + 10))
        self.now += 5
        operations.sent(3)
        operations.settle(1, 1)
        self.assertEqual(operations.first(), (2, 1018))
        operations.settle(2, 1)
        self.assertEqual(operations.first(), (3, 1023))

    def test_renewing_shortens_nothing(self) -> None:
        operations = made(None, 100)
        operations.begin(1, 1)
        operations.sent(1)
        operations._timeouts.dimse = 1
        operations.renew()
        self.assertEqual(operations.first(), (1, 1100))

    def test_no_limit(self) -> None:
        endless = made(None, None)
        endless.begin(1, 1)
        endless.sent(1)
        endless.renew()
        self.assertEqual(endless.first(), (1, NEVER))


class Waiting(unittest.TestCase):
    """Threads that wait for room."""

    def setUp(self) -> None:
        self.ended: list[tuple[int, LDicomError | None]] = []
        self.changed = threading.Condition()

    def waiter(self, operations: Operations, message_id: int) -> threading.Thread:
        """A thread that begins in turn, and does wait."""
        entered = threading.Event()
        wait = operations._wait_for_room

        def wait_for_room() -> None:
            entered.set()
            wait()

        operations._wait_for_room = wait_for_room  # type: ignore[method-assign]

        def run() -> None:
            error = None
            try:
                operations.begin_in_turn(message_id, 1)
            except LDicomError as raised:
                error = raised
            with self.changed:
                self.ended.append((message_id, error))
                self.changed.notify_all()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.assertTrue(entered.wait(SECONDS), "it does not wait")
        operations._wait_for_room = wait  # type: ignore[method-assign]
        return thread

    def wait_for(self, count: int) -> list[tuple[int, LDicomError | None]]:
        """Who has ended, once so many have."""
        with self.changed:
            self.assertTrue(self.changed.wait_for(lambda: len(self.ended) >= count, SECONDS), self.ended)
            return list(self.ended)

    def full(self, window: int, dimse: float | None = SECONDS) -> Operations:
        """Operations without room."""
        operations = made(window, dimse)
        for message_id in range(window):
            operations.begin(message_id, 1)
        return operations

    def test_no_wait_where_there_is_room(self) -> None:
        operations = made(2)
        with mock.patch.object(operations, "_wait_for_room", side_effect=AssertionError):
            operations.begin_in_turn(1, 1)
            operations.begin_in_turn(2, 1)
        self.assertEqual(set(operations.awaited), {1, 2})

    def test_every_way_to_make_room_wakes_one(self) -> None:
        ways: tuple[Callable[[Operations], object], ...] = (
            lambda operations: operations.settle(0, 1),
            lambda operations: operations.forget(0),
            lambda operations: operations.clear(),
        )
        for number, make_room in enumerate(ways):
            with self.subTest(number=number):
                self.ended.clear()
                operations = self.full(1)
                thread = self.waiter(operations, 7)
                make_room(operations)
                self.assertEqual(self.wait_for(1), [(7, None)])
                self.assertEqual(set(operations.awaited), {7})
                thread.join(SECONDS)

    def test_what_answers_nothing_wakes_nobody(self) -> None:
        operations = self.full(1)
        thread = self.waiter(operations, 7)
        operations.settle(0, 3)
        operations.settle(5, 1)
        operations.forget(5)
        operations.renew()
        operations.sent(0)
        thread.join(0.05)
        self.assertEqual(self.ended, [])
        operations.settle(0, 1)
        self.wait_for(1)

    def test_one_for_each_that_is_settled(self) -> None:
        operations = self.full(3)
        for message_id in range(10, 20):
            self.waiter(operations, message_id)
        for count in range(1, 11):
            settled = next(iter(operations.awaited))
            operations.settle(settled, 1)
            self.assertEqual([error for _message_id, error in self.wait_for(count)], [None] * count)
            self.assertLessEqual(len(operations.awaited), 3)
        self.assertEqual({message_id for message_id, _error in self.ended}, set(range(10, 20)))

    def test_never_more_than_the_window(self) -> None:
        """Many threads that begin and settle as fast as they can."""
        operations = made(3)
        most = 0
        failed: list[BaseException] = []

        def work(first: int) -> None:
            nonlocal most
            try:
                for message_id in range(first, first + 200):
                    operations.begin_in_turn(message_id, 1)
                    operations.sent(message_id)
                    most = max(most, len(operations.awaited))
                    assert operations.settle(message_id, 1)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(first,), daemon=True) for first in range(0, 8000, 1000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
            self.assertFalse(thread.is_alive(), "somebody waits for ever")
        self.assertEqual((failed, operations.awaited), ([], {}))
        self.assertLessEqual(most, 3)

    def test_the_end_wakes_all(self) -> None:
        operations = self.full(2)
        threads = [self.waiter(operations, message_id) for message_id in range(10, 15)]
        begun = time.monotonic()
        operations.end()
        ended = self.wait_for(5)
        self.assertLess(time.monotonic() - begun, 1)
        for _message_id, error in ended:
            assert isinstance(error, LDicomUsageError), error
            self.assertEqual(error.code, ErrorCode.NET_INVALID)
        for thread in threads:
            thread.join(SECONDS)

    def test_nobody_waits_behind_the_end(self) -> None:
        """Not even who found the window full just before, though somebody else begins what cannot be sent any more."""
        operations = self.full(1)
        begin = operations.begin

        def begin_and_end(message_id: int, context: int) -> bool:
            found = begin(message_id, context)
            operations.end()
            begin(99, 1)
            return found

        with mock.patch.object(operations, "begin", begin_and_end), self.assertRaises(LDicomUsageError):
            operations.begin_in_turn(7, 1)

    def test_no_room_for_too_long(self) -> None:
        operations = self.full(1, dimse=0.05)
        begun = time.monotonic()
        with self.assertRaises(LDicomTimeoutError) as caught:
            operations.begin_in_turn(7, 1)
        self.assertTrue(0.04 < time.monotonic() - begun < 5)
        self.assertIn("window is full", str(caught.exception))
        self.assertEqual(set(operations.awaited), {0}, "what gave up leaves nothing")

    def test_no_limit_of_time(self) -> None:
        for dimse in (None, float("inf"), 1e300):
            self.ended.clear()
            operations = self.full(1, dimse)
            self.waiter(operations, 7)
            operations.settle(0, 1)
            self.assertEqual(self.wait_for(1), [(7, None)])

    def test_an_id_that_is_in_use_once_there_is_room(self) -> None:
        operations = self.full(2)
        self.waiter(operations, 1)
        operations.settle(0, 1)
        ((_message_id, error),) = self.wait_for(1)
        assert isinstance(error, LDicomUsageError)
        self.assertEqual(error.code, ErrorCode.NET_IN_PROGRESS)

    def test_who_cannot_take_the_room_leaves_it_to_the_next(self) -> None:
        """One of two waiters has an ID in use: the other begins, though it was the first that was woken."""
        operations = self.full(2)
        self.waiter(operations, 1)
        self.waiter(operations, 7)
        operations.settle(0, 1)
        self.assertEqual({message_id for message_id, _error in self.wait_for(2)}, {1, 7})
        self.assertEqual(set(operations.awaited), {1, 7})

    def test_who_fails_makes_room_for_the_next(self) -> None:
        """Several wake, one after the other, where each gives up what it began."""
        operations = self.full(1)
        for message_id in (7, 8, 9):
            self.waiter(operations, message_id)
        operations.settle(0, 1)
        for count in (1, 2, 3):
            message_id, error = self.wait_for(count)[-1]
            self.assertIsNone(error)
            operations.forget(message_id)
        self.assertEqual({message_id for message_id, _error in self.ended}, {7, 8, 9})


if __name__ == "__main__":
    unittest.main()
