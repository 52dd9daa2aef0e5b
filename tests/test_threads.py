"""`threads`: one for each connection that runs, kept for a moment for the next."""

from __future__ import annotations

import contextvars
import gc
import os
import sys
import threading
import unittest
import weakref
from collections.abc import Callable
from unittest import mock

from ldicomnet import threads
from ldicomnet.threads import Task, let_idle_end, start

from .support import SECONDS, Ends, associate_with

MARK = contextvars.ContextVar("MARK", default="fresh")


class Threads(unittest.TestCase):
    """What runs where, and what is left."""

    def setUp(self) -> None:
        let_idle_end(SECONDS)
        self.before = set(threading.enumerate())
        self.addCleanup(let_idle_end, SECONDS)

    def run_one(self, job: Callable[[], None], name: str = "one") -> Task:
        """A task that is over."""
        task = Task(job, name)
        start(task)
        task.join(SECONDS)
        return task

    def new(self) -> set[threading.Thread]:
        """The threads that were not there before."""
        return set(threading.enumerate()) - self.before

    def forever(self) -> mock._patch[float]:
        """Idle threads do not end by themselves while this holds."""
        return mock.patch.object(threads, "_LINGER", SECONDS)

    def test_on_a_daemon_with_that_name(self) -> None:
        seen: list[tuple[str, bool, bool]] = []

        def job() -> None:
            thread = threading.current_thread()
            seen.append((thread.name, thread.daemon, thread is threading.main_thread()))

        self.run_one(job, "mine")
        self.assertEqual(seen, [("mine", True, False)])

    def test_one_after_the_other_on_one_thread(self) -> None:
        seen: list[tuple[str, int]] = []
        with self.forever():
            for number in range(20):
                self.run_one(
                    lambda: seen.append((threading.current_thread().name, threading.get_ident())), f"task {number}"
                )
            self.assertEqual(len(self.new()), 1)
            self.assertEqual([name for name, _ in seen], [f"task {number}" for number in range(20)])
            self.assertEqual(len({ident for _, ident in seen}), 1)
            self.assertEqual({thread.name for thread in self.new()}, {"ldicomnet-idle"})
            let_idle_end(SECONDS)

    def test_at_once_on_threads_of_their_own(self) -> None:
        meeting = threading.Barrier(6)
        tasks = [Task(lambda: meeting.wait(SECONDS) and None, "met") for _ in range(5)]
        for task in tasks:
            start(task)
        meeting.wait(SECONDS)
        for task in tasks:
            task.join(SECONDS)
        self.assertFalse(meeting.broken)

    def test_an_idle_thread_ends_soon(self) -> None:
        self.run_one(lambda: None)
        for thread in self.new():
            thread.join(SECONDS)
        self.assertEqual(self.new(), set())
        self.assertEqual(threads._idle, [])

    def test_they_are_let_go(self) -> None:
        with self.forever():
            meeting = threading.Barrier(6)
            tasks = [Task(lambda: meeting.wait(SECONDS) and None, "met") for _ in range(5)]
            for task in tasks:
                start(task)
            meeting.wait(SECONDS)
            for task in tasks:
                task.join(SECONDS)
            self.assertEqual(len(self.new()), 5)
            let_idle_end(SECONDS)
            self.assertEqual(self.new(), set())

    def test_one_that_runs_is_not_let_go(self) -> None:
        gate = threading.Event()
        task = Task(lambda: gate.wait(SECONDS) and None, "busy")
        start(task)
        let_idle_end(0)
        self.assertEqual([thread.name for thread in self.new()], ["busy"])
        gate.set()
        task.join(SECONDS)

    def test_joining_has_an_end(self) -> None:
        gate = threading.Event()
        task = Task(lambda: gate.wait(SECONDS) and None, "busy")
        start(task)
        task.join(0.001)
        task.join(-1)
        self.assertEqual([thread.name for thread in self.new()], ["busy"])
        gate.set()
        task.join(SECONDS)
        task.join(SECONDS)

    def test_a_context_of_its_own(self) -> None:
        """As on a fresh thread: what one job sets, the next does not find."""
        seen: list[str] = []

        def job() -> None:
            seen.append(MARK.get())
            MARK.set("used")

        MARK.set("the caller's")
        self.addCleanup(MARK.set, "fresh")
        for _ in range(3):
            self.run_one(job)
        self.assertEqual(seen, ["fresh"] * 3)

    def test_nothing_of_a_job_is_kept(self) -> None:
        class Thing:
            """What a job holds."""

            def job(self) -> None:
                """Nothing."""

        with self.forever():
            thing = Thing()
            kept = weakref.ref(thing)
            self.run_one(thing.job)
            del thing
            gc.collect()
            self.assertIsNone(kept())
            self.assertEqual(len(self.new()), 1)
            let_idle_end(SECONDS)

    def test_let_go_by_a_finalizer(self) -> None:
        """What a job held may go on the idle thread, and close things there: that thread does not wait for itself."""
        gate, gone, unraisable = threading.Event(), threading.Event(), mock.Mock()

        class Thing:
            """What a job holds."""

            def job(self) -> None:
                """Not end before nobody else holds it."""
                gate.wait(SECONDS)

            def __del__(self) -> None:
                let_idle_end(SECONDS)
                gone.set()

        with mock.patch("sys.unraisablehook", unraisable):
            start(Task(Thing().job, "one"))
            gate.set()
            self.assertTrue(gone.wait(SECONDS), unraisable.mock_calls)
            for thread in self.new():
                thread.join(SECONDS)
        unraisable.assert_not_called()
        self.assertEqual(self.new(), set())

    def test_a_job_that_raises_ends_its_thread(self) -> None:
        def job() -> None:
            raise ZeroDivisionError

        with mock.patch.object(threading, "excepthook") as excepthook:
            self.run_one(job)
            for thread in self.new():
                thread.join(SECONDS)
        self.assertIs(excepthook.call_args.args[0].exc_type, ZeroDivisionError)
        self.assertEqual((self.new(), threads._idle), (set(), []))

    def test_no_thread_to_be_had(self) -> None:
        with mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
            with self.assertRaises(RuntimeError):
                start(Task(lambda: None, "none"))
        self.run_one(lambda: None)

    def test_taken_in_the_last_moment(self) -> None:
        """A thread that has waited long enough, and is taken just then, does the job."""
        ran: list[int] = []
        with mock.patch.object(threads, "_LINGER", 0.0):
            for number in range(300):
                self.run_one(lambda number=number: ran.append(number))
        self.assertEqual(ran, list(range(300)))
        for thread in self.new():
            thread.join(SECONDS)
        self.assertEqual(threads._idle, [])

    @unittest.skipUnless(hasattr(os, "fork"), "fork is not of this system")
    @unittest.skipIf(sys.platform == "darwin", "forking with threads is not safe there")
    def test_a_forked_process_makes_its_own(self) -> None:
        with self.forever():
            self.run_one(lambda: None)
            ours, theirs = os.pipe()
            process = os.fork()
            if not process:
                try:
                    self.run_one(lambda: os.write(theirs, b"ran") and None)
                finally:
                    os._exit(0)
            os.close(theirs)
            with os.fdopen(ours, "rb") as reader:
                self.assertEqual(reader.read(), b"ran")
            os.waitpid(process, 0)
            let_idle_end(SECONDS)


class Connections(Ends):
    """The threads of connections."""

    def test_the_next_association_has_the_thread_of_the_one_before(self) -> None:
        let_idle_end(SECONDS)
        before = set(threading.enumerate())
        server = self.acceptor()
        server.listen("127.0.0.1")
        with mock.patch.object(threads, "_LINGER", SECONDS):
            for number in range(10):
                client = self.requestor()
                associate_with(client, server)
                client.send_release_request()
                client.wait_for("on_close")
                server.wait_for("on_close", number + 1)
            self.assertLessEqual(len(set(threading.enumerate()) - before), 5, "two readers, their next, the accept one")
        server.server_close()
        for thread in set(threading.enumerate()) - before:
            thread.join(SECONDS)
        self.assertEqual(set(threading.enumerate()) - before, set())


if __name__ == "__main__":
    unittest.main()
