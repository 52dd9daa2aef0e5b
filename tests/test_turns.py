"""How long a thread may run on while others wait: longer for many, and as before when these are gone."""

from __future__ import annotations

import sys
import threading
import unittest

from ldicomnet import threads
from ldicomnet.turns import Turns


class LongerForMany(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(0.005)
        self.turns = Turns()

    def _add(self, threads: int) -> None:
        for _ in range(threads):
            self.turns.add()

    def _discard(self, threads: int) -> None:
        for _ in range(threads):
            self.turns.discard()

    def test_a_few_change_nothing(self) -> None:
        self._add(127)
        self.assertAlmostEqual(sys.getswitchinterval(), 0.005)

    def test_it_grows_with_them_up_to_a_limit(self) -> None:
        for more, seconds in ((128, 0.0064), (384, 0.0256), (512, 0.05), (10_000, 0.05)):
            self._add(more)
            with self.subTest(more=more):
                self.assertAlmostEqual(sys.getswitchinterval(), seconds)

    def test_it_is_as_before_when_they_are_gone(self) -> None:
        self._add(1000)
        self._discard(1000)
        self.assertAlmostEqual(sys.getswitchinterval(), 0.005)

    def test_an_interval_of_the_program_stays(self) -> None:
        sys.setswitchinterval(0.002)
        self._add(1000)
        self.assertAlmostEqual(sys.getswitchinterval(), 0.002)

    def test_an_interval_that_the_program_sets_later_stays(self) -> None:
        self._add(1000)
        sys.setswitchinterval(0.002)
        self._discard(1000)
        self.assertAlmostEqual(sys.getswitchinterval(), 0.002)

    def test_in_the_child_of_a_fork_there_are_none(self) -> None:
        self._add(1000)
        self.turns.forget()
        self.assertAlmostEqual(sys.getswitchinterval(), 0.005)


class ThreadsAreCounted(unittest.TestCase):
    def test_a_hundred_and_thirty_connections_at_once(self) -> None:
        """By the threads that run them, and no longer than these live."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        threads.let_idle_end(5)
        before = sys.getswitchinterval()
        leave, come = threading.Event(), threading.Barrier(141)

        def job() -> None:
            come.wait(20)
            leave.wait(20)

        tasks = [threads.Task(job, "counted") for _ in range(140)]
        for task in tasks:
            threads.start(task)
        come.wait(20)
        during = sys.getswitchinterval()
        leave.set()
        for task in tasks:
            task.join(20)
        threads.let_idle_end(5)
        self.assertGreater(during, before)
        self.assertAlmostEqual(sys.getswitchinterval(), before)
