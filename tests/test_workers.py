"""`workers`: hooks beside the reader thread, on few threads that are made when they are needed."""

from __future__ import annotations

import functools
import threading
import unittest
import weakref
from collections.abc import Callable
from types import MethodType
from unittest import mock

from ldicomnet import LDicomNet, background
from ldicomnet.workers import Workers, is_background

from .support import SECONDS


class Marks(unittest.TestCase):
    """`@background`."""

    def test_a_marked_hook(self) -> None:
        class Net(LDicomNet):
            @background
            def on_receive_c_find_request(self, *arguments: object) -> None:  # type: ignore[override]
                """Slow."""

        self.assertTrue(is_background(Net.on_receive_c_find_request))
        self.assertTrue(is_background(Net().on_receive_c_find_request))
        self.assertFalse(is_background(Net().on_receive_c_echo_request))
        self.assertFalse(is_background(None))

    def test_whatever_can_be_called_may_be_marked(self) -> None:
        class Hook:
            def __call__(self, *arguments: object) -> None:
                """Do nothing."""

        class Wrapping:
            """Delegates what it is asked, as decorators do."""

            def __init__(self, hook: Callable[..., None]) -> None:
                self.hook = hook

            def __call__(self, *arguments: object) -> None:
                self.hook(*arguments)

            def __getattr__(self, name: str) -> object:
                return getattr(self.hook, name)

        def plain(*_arguments: object) -> None:
            pass

        def marked(*_arguments: object) -> None:
            pass

        background(marked)
        self.assertFalse(is_background(Hook()))
        self.assertTrue(is_background(background(Hook())))
        self.assertTrue(is_background(background(type("Marked", (Hook,), {}))()))
        for hook, expected in ((plain, False), (marked, True)):
            self.assertEqual(is_background(Wrapping(hook)), expected)
            self.assertEqual(is_background(MethodType(Wrapping(hook), object())), expected)
            self.assertEqual(is_background(MethodType(hook, object())), expected)
            self.assertFalse(is_background(functools.partial(hook)))

    def test_it_is_the_same_function(self) -> None:
        def hook() -> None:
            """What it does."""

        self.assertIs(background(hook), hook)

    def test_a_hook_of_one_object(self) -> None:
        net = LDicomNet()
        net.on_receive_c_echo_request = background(lambda *_: None)  # type: ignore[method-assign]
        self.assertTrue(is_background(net.on_receive_c_echo_request))

    def test_an_overriding_hook_is_not_marked(self) -> None:
        class Net(LDicomNet):
            @background
            def on_receive_c_find_request(self, *arguments: object) -> None:  # type: ignore[override]
                """Slow."""

        class Quick(Net):
            def on_receive_c_find_request(self, *arguments: object) -> None:  # type: ignore[override]
                """Not slow."""

        self.assertFalse(is_background(Quick().on_receive_c_find_request))


class Threads(unittest.TestCase):
    """Who runs what."""

    def setUp(self) -> None:
        self.name = f"worker of {self.id()}"
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        self.ran = threading.Semaphore(0)

    def workers(self, most: int) -> Workers:
        """Workers that end with the test."""
        workers = Workers(self.name, most)
        self.addCleanup(workers.end)
        return workers

    def occupy(self, workers: Workers) -> bool:
        """A job that runs until the gate opens, and has begun."""
        begun = threading.Event()

        def job() -> None:
            begun.set()
            self.gate.wait(SECONDS)

        is_taken = workers.run(job)
        if is_taken:
            self.assertTrue(begun.wait(SECONDS))
        return is_taken

    def threads(self) -> list[threading.Thread]:
        """The threads of this test."""
        return [thread for thread in threading.enumerate() if thread.name == self.name]

    def join(self) -> None:
        """All threads of the test end."""
        for thread in self.threads():
            thread.join(SECONDS)
            self.assertFalse(thread.is_alive())

    def test_no_thread_before_the_first_job(self) -> None:
        self.workers(5)
        self.assertEqual(self.threads(), [])

    def test_a_job_runs_beside(self) -> None:
        workers, ran = self.workers(1), threading.Event()
        idents: list[int] = []

        def job() -> None:
            idents.append(threading.get_ident())
            ran.set()

        self.assertTrue(workers.run(job))
        self.assertTrue(ran.wait(SECONDS))
        self.assertNotEqual(idents, [threading.get_ident()])

    def fill(self, workers: Workers, count: int) -> list[bool]:
        """Which of so many more jobs are taken; none of them is run by the caller."""
        return [workers.run(self.wait) for _ in range(count)]

    def wait(self) -> None:
        """A job that nobody runs before the gate opens."""
        self.assertNotEqual(threading.current_thread(), threading.main_thread())
        self.ran.release()

    def test_so_many_at_once_and_as_many_wait(self) -> None:
        for most in (0, 1, 4):
            with self.subTest(most=most):
                self.gate.clear()
                workers = self.workers(most)
                self.assertEqual([self.occupy(workers) for _ in range(most)], [True] * most)
                self.assertEqual(self.fill(workers, most + 2), [True] * most + [False] * 2)
                self.assertFalse(self.ran.acquire(blocking=False))
                self.assertEqual(len(self.threads()), most)
                self.assertTrue(all(thread.daemon for thread in self.threads()))
                self.gate.set()
                workers.end()
                self.join()
                self.assertEqual([self.ran.acquire(blocking=False) for _ in range(most)], [True] * most)

    def test_jobs_run_at_the_same_time(self) -> None:
        workers = self.workers(3)
        meeting = threading.Barrier(4)
        for _ in range(3):
            self.assertTrue(workers.run(lambda: meeting.wait(SECONDS) and None))
        meeting.wait(SECONDS)

    def test_threads_are_used_again(self) -> None:
        workers, done = self.workers(5), threading.Semaphore(0)
        for _ in range(50):
            self.assertTrue(workers.run(done.release))
            self.assertTrue(done.acquire(timeout=SECONDS))
        self.assertLessEqual(len(self.threads()), 5)

    def test_a_job_that_is_done_is_not_held(self) -> None:
        """With it goes what it was for, though its thread waits for the next."""
        gone, workers = threading.Event(), self.workers(1)
        data = type("Data", (), {})()
        weakref.finalize(data, gone.set)
        self.assertTrue(workers.run(lambda held=data: None))  # type: ignore[misc]
        del data
        self.assertTrue(gone.wait(SECONDS))

    def test_the_most_may_be_changed(self) -> None:
        workers = self.workers(1)
        self.assertEqual([self.occupy(workers), *self.fill(workers, 2)], [True, True, False])
        workers.most = 3
        self.assertEqual([self.occupy(workers), self.occupy(workers)], [True, True])
        self.assertTrue(self.ran.acquire(blocking=False), "what waited has run first")
        self.assertEqual(self.fill(workers, 4), [True] * 3 + [False])
        workers.most = 1
        self.assertEqual(self.fill(workers, 1), [False])

    def test_no_thread_to_be_had(self) -> None:
        workers = self.workers(2)
        with mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
            self.assertFalse(workers.run(lambda: None))
        self.assertEqual([self.occupy(workers), self.occupy(workers)], [True, True])

    def test_the_end(self) -> None:
        workers = self.workers(3)
        ran: list[int] = []
        self.occupy(workers)
        self.occupy(workers)
        workers.end()
        self.assertFalse(workers.run(lambda: ran.append(1)))
        self.assertEqual(len(self.threads()), 2, "what runs may finish")
        self.gate.set()
        self.join()
        self.assertEqual(ran, [])

    def test_what_was_taken_before_the_end_runs(self) -> None:
        for _ in range(20):
            workers, ran = self.workers(1), threading.Event()
            self.assertTrue(workers.run(ran.set))
            workers.end()
            self.assertTrue(ran.wait(SECONDS))

    def test_ends_twice(self) -> None:
        workers = self.workers(1)
        self.occupy(workers)
        workers.end()
        workers.end()
        self.gate.set()
        self.join()


if __name__ == "__main__":
    unittest.main()
