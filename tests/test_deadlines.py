"""`deadlines`: which wait is over first, and that no reader sleeps past it, on a clock that the test moves."""

from __future__ import annotations

import random
import unittest
from unittest import mock

from ldicomnet import deadlines as room
from ldicomnet import engine as engine_room
from ldicomnet import timing
from ldicomnet.calls import Wants
from ldicomnet.deadlines import Deadlines, Wait
from ldicomnet.engine import Engine
from ldicomnet.errors import LDicomTimeoutError
from ldicomnet.operations import Operations
from ldicomnet.timing import NEVER, Limits, Timeouts, deadline
from ldicomnet.transport.tcp import TcpTransport
from ldicomnet.upper_layer import Event


class Clock(unittest.TestCase):
    """Tests at a time of their own."""

    def setUp(self) -> None:
        self.now = 1000.0
        for module in (room, timing, engine_room):
            self.enterContext(mock.patch.object(module, "monotonic", lambda: self.now))
        self.timeouts = Timeouts(artim=30, association=40, dimse=10, release=50, pdu=5)
        self.operations, self.deadlines = self.made(self.timeouts)

    def made(self, timeouts: Timeouts) -> tuple[Operations, Deadlines]:
        """What one connection has."""
        operations = Operations(timeouts)
        return operations, Deadlines(timeouts, operations)


class Due(Clock):
    """Which wait is over."""

    def test_nothing_is_due_at_first(self) -> None:
        self.now += 1e9
        self.assertIsNone(self.deadlines.due())

    def test_what_is_due(self) -> None:
        def response() -> None:
            self.operations.begin(7, 1)
            self.operations.sent(7)

        rows = (
            (Wait.CLOSE, lambda: setattr(self.deadlines, "artim", self.now + 10)),
            (Wait.ANSWER, lambda: setattr(self.deadlines, "answer", self.now + 10)),
            (Wait.REST, lambda: setattr(self.deadlines, "rest", self.now + 10)),
            (Wait.RESPONSE, response),
        )
        for what, begin in rows:
            with self.subTest(what):
                self.operations, self.deadlines = self.made(self.timeouts)
                begin()
                self.now += 9.99
                self.assertIsNone(self.deadlines.due())
                self.now += 0.01
                self.assertIs(self.deadlines.due(), what)

    def test_the_close_is_all_that_is_awaited_then(self) -> None:
        self.deadlines.answer = self.deadlines.rest = self.now + 1
        self.operations.begin(7, 1)
        self.operations.sent(7)
        self.deadlines.begin_close()
        self.now += 29.99
        self.assertIsNone(self.deadlines.due())
        self.now += 0.01
        self.assertIs(self.deadlines.due(), Wait.CLOSE)

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
        _operations, endless = self.made(Timeouts(pdu=None))
        endless.begin_rest(0)
        self.assertEqual(endless.rest, NEVER)


class Left(Clock):
    """How long a read may wait, and until when that need not be asked again."""

    def check(self, is_idle: bool, left: float | None, quiet: float) -> None:
        """What is said now; `quiet` counts from now."""
        self.assertEqual(self.deadlines.left(is_idle), left)
        self.assertEqual(self.deadlines.wait, left)
        self.assertAlmostEqual(self.deadlines.quiet_until - self.now, quiet)

    def test_asked_at_first(self) -> None:
        self.assertLess(self.deadlines.quiet_until, 0)

    def test_idle_as_long_as_another_thread_cannot_be_missed(self) -> None:
        self.check(True, 10, 0)

    def test_at_work_half_of_that(self) -> None:
        """So that for the other half it need not be asked again."""
        self.check(False, 5, 5)

    def test_the_first_deadline(self) -> None:
        for name, seconds, left, quiet, left_idle in (
            ("artim", 100, 5, 5, 10),
            ("answer", 9, 5, 4, 9),
            ("rest", 5, 5, 0, 5),
            ("answer", 4, 4, 0, 4),
            ("rest", 2, 2, 0, 2),
            ("artim", -5, -5, 0, -5),
        ):
            with self.subTest(name=name, seconds=seconds):
                setattr(self.deadlines, name, self.now + seconds)
                self.check(False, left, quiet)
                self.check(True, left_idle, 0)

    def test_a_response_counts(self) -> None:
        self.operations.begin(1, 1)
        self.operations.sent(1)
        self.now += 7
        self.check(False, 3, 0)
        self.operations.settle(1, 1)
        self.check(False, 5, 5)

    def test_without_any_limit(self) -> None:
        timeouts = Timeouts(artim=None, association=None, dimse=None, release=None, idle=None, pdu=3)
        self.operations, self.deadlines = self.made(timeouts)
        self.check(False, None, NEVER)
        self.deadlines.begin_rest(0)
        self.assertLess(self.deadlines.quiet_until, self.now, "a read that waits without end would miss it")
        self.check(False, 3, 0)
        self.now += 3.5
        self.check(False, -0.5, 0)

    def test_what_has_begun_shortens_the_quiet(self) -> None:
        self.check(False, 5, 5)
        self.now += 1
        self.deadlines.begin_rest(0)
        self.assertAlmostEqual(self.deadlines.quiet_until, self.now, msg="a read of 5 seconds just ends in time")
        self.deadlines.rest = NEVER
        self.timeouts.pdu = 60
        self.deadlines.left()
        quiet = self.deadlines.quiet_until
        self.deadlines.begin_rest(0)
        self.assertEqual(self.deadlines.quiet_until, quiet, "60 seconds are out of sight")


class Waiting(TcpTransport):
    """Reads on the test's clock: what other threads do meanwhile is done, and how long it waits is checked."""

    def __init__(self, case: Reader) -> None:
        super().__init__()
        self.case = case

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        """Wait until the next bytes, but no longer than allowed."""
        return self.case.read(NEVER if self._timeout is None else self._timeout)


class Stub:
    """What the reader asks `Inbound`."""

    is_unfinished = is_inside_message = stopped = False
    payload = 0

    def room(self) -> memoryview:
        """Not used."""
        return memoryview(b"")

    def rest(self) -> None:
        """Nothing is held."""


class Reader(Clock):
    """`Engine._receive` with `Deadlines`: whoever sets a deadline, no read goes on for long behind it."""

    SLACK = 0.3

    def run_one(self, seed: int) -> str:
        """One connection's life, by chance; how it ended."""
        self.random = random.Random(seed)
        draw = self.random
        times = (None, 0.2, 1.0, 2.0, 7.0, 30.0, 100.0)
        self.timeouts = Timeouts(**{
            name: draw.choice(times) for name in ("artim", "association", "dimse", "release", "pdu")
        })
        transport = Waiting(self)
        self.engine = Engine(
            mock.Mock(), transport, False, self.timeouts, Limits(), Wants(), seed
        )
        self.engine._inbound = self.inbound = Stub()  # type: ignore[assignment]
        self.engine._machine.react(Event.TRANSPORT_INDICATION)
        self.deadlines, self.operations = self.engine._deadlines, self.engine._operations
        self.message_id = 0
        self.pace = draw.choice((0.01, 0.3, 3.0, 40.0))
        due = self.deadlines.due

        def due_and_not_too_early() -> Wait | None:
            found = due()
            self.assertEqual(found is None, self.first_due() > self.now)
            return found

        self.enterContext(mock.patch.object(self.deadlines, "due", due_and_not_too_early))
        for _ in range(draw.choice((20, 200))):
            if not self.engine._receive(self.inbound.is_unfinished):
                return "expired"
            self.act_as_reader()
        return "went on"

    def first_due(self) -> float:
        """The first deadline there is."""
        deadlines = self.deadlines
        return min(deadlines.artim, deadlines.answer, deadlines.rest, self.operations.first()[1])

    def read(self, seconds: float) -> int:
        """One read."""
        draw, begun = self.random, self.now
        end = begun + seconds
        arrival = begun + draw.expovariate(1 / self.pace)
        if draw.random() < 0.02:
            arrival = NEVER
        self.check_sleep(begun, end)
        while draw.random() < 0.4:
            moment = self.now + draw.expovariate(1 / self.pace)
            if moment >= min(arrival, end):
                break
            self.now = moment
            self.act_as_another()
            self.check_sleep(begun, end)
        if min(arrival, end) == NEVER:
            return 1  # nothing limits it
        self.now = min(arrival, end)
        if arrival <= end:
            return 1
        raise LDicomTimeoutError("nothing")

    def check_sleep(self, begun: float, end: float) -> None:
        """A read that goes on until then misses nothing that is set now."""
        self.assertLessEqual(end, max(self.first_due(), begun) + self.SLACK)

    def act_as_another(self) -> None:
        """What other threads start while the reader sleeps."""
        draw = self.random
        match draw.randrange(4):
            case 0 | 1:
                self.message_id += 1
                self.operations.begin(self.message_id, 1)
                self.operations.sent(self.message_id)
            case 2:
                self.deadlines.answer = deadline(draw.choice((self.timeouts.association, self.timeouts.release, None)))
            case 3 if draw.random() < 0.2:
                self.deadlines.begin_close()

    def act_as_reader(self) -> None:
        """What the reader does with what came, hooks that send included."""
        draw, inbound = self.random, self.inbound
        if draw.random() < 0.3:
            self.now += draw.expovariate(1 / self.pace)  # a slow hook
        inbound.is_unfinished = inbound.is_inside_message = draw.random() < 0.6
        inbound.payload += draw.choice((0, 1, 1 << 10, 1 << 20))
        match draw.randrange(6):
            case 0:
                self.operations.renew()
            case 1 | 2:
                for message_id in tuple(self.operations.awaited)[: draw.randrange(3)]:
                    self.operations.settle(message_id, 1)
            case 3:
                self.deadlines.answer = NEVER
            case 4:
                self.act_as_another()

    def test_no_deadline_is_missed(self) -> None:
        ends = [self.run_one(seed) for seed in range(400)]
        self.assertGreater(ends.count("expired"), 50)
        self.assertGreater(ends.count("went on"), 50)

    def test_an_idle_connection_is_ended_in_time(self) -> None:
        """Each deadline alone, set by another thread just after the reader fell asleep, without a byte."""
        for name, seconds in (("dimse", 1.0), ("dimse", 30.0), ("association", 3.0), ("release", 7.0), ("artim", 2.0)):
            with self.subTest(name=name, seconds=seconds):
                self.random = random.Random(1)
                self.timeouts = Timeouts(**{name: seconds})
                transport = Waiting(self)
                self.engine = Engine(mock.Mock(), transport, False, self.timeouts, Limits(), Wants(), 0)
                self.engine._inbound = Stub()  # type: ignore[assignment]
                self.engine._machine.react(Event.TRANSPORT_INDICATION)
                self.deadlines, self.operations = self.engine._deadlines, self.engine._operations
                begun = self.now
                reads: list[float] = []

                def read(
                    wait: float, name: str = name, seconds: float = seconds, reads: list[float] = reads,
                    begun: float = begun,
                ) -> int:  # fmt: skip
                    reads.append(wait)
                    if len(reads) == 1:
                        self.now += 0.01
                        if name == "dimse":
                            self.operations.begin(1, 1)
                            self.operations.sent(1)
                        elif name == "artim":
                            self.deadlines.begin_close()
                        else:
                            self.deadlines.answer = deadline(seconds)
                        self.now -= 0.01
                    self.now += wait
                    raise LDicomTimeoutError("nothing")

                with mock.patch.object(self, "read", read):
                    self.assertEqual(self.engine._receive(False), 0)
                self.assertTrue(seconds <= self.now - begun <= seconds + self.SLACK, self.now - begun)
                self.assertLess(len(reads), 10, "it does not poll")

    def test_bytes_without_end_keep_no_deadline_from_ending_it(self) -> None:
        """Half a second is what late bytes are read for."""
        self.random = random.Random(1)
        self.timeouts = Timeouts(artim=3.0)
        self.engine = Engine(mock.Mock(), Waiting(self), False, self.timeouts, Limits(), Wants(), 0)
        self.engine._inbound = Stub()  # type: ignore[assignment]
        self.engine._machine.react(Event.TRANSPORT_INDICATION)
        self.deadlines, self.operations = self.engine._deadlines, self.engine._operations
        self.deadlines.begin_close()
        begun, count = self.now, 0

        def read(_seconds: float) -> int:
            self.now += 0.01
            return 1

        with mock.patch.object(self, "read", read):
            while self.engine._receive(False):
                count += 1
                self.assertLess(count, 1000)
        self.assertTrue(3.0 <= self.now - begun <= 3.6, self.now - begun)

    def test_it_is_seldom_asked_while_bytes_come(self) -> None:
        """What `quiet_until` is for."""
        self.random = random.Random(1)
        self.engine = Engine(mock.Mock(), Waiting(self), False, Timeouts(), Limits(), Wants(), 0)
        self.engine._inbound = Stub()  # type: ignore[assignment]
        self.deadlines, self.operations = self.engine._deadlines, self.engine._operations

        def read(_seconds: float) -> int:
            self.now += 0.001
            return 1

        left = self.deadlines.left
        with mock.patch.object(self, "read", read), mock.patch.object(self.deadlines, "left", wraps=left) as asked:
            for _ in range(30_000):  # half a minute
                self.engine._receive(False)
        self.assertLess(asked.call_count, 10)


if __name__ == "__main__":
    unittest.main()
