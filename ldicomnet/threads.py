"""Threads for connections: one for each that runs, kept for a moment in case another connection comes.

To start a thread takes longer than all else that an association of one echo asks of it. Knows no connection.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import Context
from time import monotonic

from .turns import turns

_LINGER = 0.02
"""Seconds that a thread without a job waits for the next one."""
_IDLE_NAME = "ldicomnet-idle"

Job = Callable[[], None]


class Task:
    """A job for a thread of its own.

    Args:
        job: what to run.
        name: how the thread is called meanwhile.
    """

    __slots__ = ("_over", "job", "name")

    def __init__(self, job: Job, name: str) -> None:
        self.job = job
        self.name = name
        self._over = threading.Lock()
        self._over.acquire()

    def end(self) -> None:
        """The job has returned."""
        self._over.release()

    def run(self) -> None:
        """Run the job on the caller's thread instead."""
        try:
            self.job()
        finally:
            self.end()

    def join(self, seconds: float) -> bool:
        """Wait until the job has returned, but no longer than this; whether it has."""
        if not self._over.acquire(timeout=max(0.0, seconds)):
            return False
        self._over.release()
        return True


class _Kept(threading.Thread):
    """A thread that waits a moment for another task, whoever that is for.

    Attributes:
        task: the next one; None lets the thread end.
        wake: released when `task` was set.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(name=task.name, daemon=True)
        self.task: Task | None = task
        self.wake = threading.Lock()
        self.wake.acquire()

    def run(self) -> None:
        """Run tasks, each in a fresh `contextvars` context as on a fresh thread, until none comes any more."""
        turns.add()
        try:
            while self._run_task():
                if not self.wake.acquire(timeout=_LINGER) and not self._withdraw():
                    self.wake.acquire()  # somebody has just taken it
        finally:
            turns.discard()

    def _run_task(self) -> bool:
        task, self.task = self.task, None
        if task is None:
            return False
        self.name = task.name
        try:
            Context().run(task.job)
            self.name = _IDLE_NAME
            _idle.append(self)
        finally:
            task.end()
        return True

    def _withdraw(self) -> bool:
        """No longer wait for a task; False when one is about to come."""
        try:
            _idle.remove(self)
        except ValueError:
            return False
        return True


_last_use = -_LINGER
_idle: list[_Kept] = []
"""Threads that wait. Who takes one out of it, and nobody else, sets its task and wakes it."""


def is_warm() -> bool:
    """Whether a task would most likely find a thread that waits for one, or soon will."""
    return bool(_idle) or monotonic() - _last_use < _LINGER


def note_use() -> None:
    """A task does what tasks are for; one like it may come soon."""
    global _last_use
    _last_use = monotonic()


def start(task: Task) -> None:
    """Run `task` on a thread of its own, a daemon.

    What it leaves in a `threading.local` may be found by a later job, as on any thread that is used again.

    Raises:
        RuntimeError: the process may have no more threads.
    """
    try:
        thread = _idle.pop()
    except IndexError:
        _Kept(task).start()
    else:
        thread.task = task
        thread.wake.release()


def let_idle_end(seconds: float) -> None:
    """End the threads that wait for nothing but another job, and wait for that, but no longer than this."""
    until = monotonic() + seconds
    ending: list[_Kept] = []
    try:
        while True:
            thread = _idle.pop()
            thread.wake.release()
            ending.append(thread)
    except IndexError:
        pass
    for thread in ending:
        if thread is not threading.current_thread():  # where a finalizer calls, between two jobs
            thread.join(max(0.0, until - monotonic()))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # the threads are the parent's
