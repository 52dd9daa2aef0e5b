"""Hooks that run beside the reader thread: `@background`, and the few threads of one connection that run them.

Knows neither messages nor connections.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from queue import SimpleQueue

Hook = TypeVar("Hook", bound=Callable[..., Any])


def background(hook: Hook) -> Hook:
    """Mark an `on_receive_*_request` to run on a thread of its own, while the reader thread goes on reading.

    For what takes long: a C-FIND over a slow database, a C-GET or C-MOVE with its many sub-operations. Meanwhile
    C-CANCEL, abort and release are heard, responses of the peer arrive, and `is_cancelled` tells the hook to stop.
    As many run at once as the peer may have operations outstanding (PS3.7 D.3.3.3: one, unless more were negotiated),
    but no more than `Limits.workers`, and as many again wait for one of these to return: a peer sends its next request
    as soon as it has its answer. Beyond that the reader thread runs the hook itself, and the peer waits.
    """
    hook._in_background = True  # type: ignore[attr-defined]
    return hook


def is_background(hook: object) -> bool:
    """Whether `hook` was marked."""
    function = hook.__func__ if isinstance(hook, MethodType) else hook
    if isinstance(function, FunctionType):  # a method is slow to say what it lacks
        return "_in_background" in function.__dict__
    return getattr(function, "_in_background", False)


class Workers:
    """Up to so many daemon threads, started when they are needed.

    Args:
        name: how the threads are named.
        most: how many run at once, and how many wait for one of them; may be changed at any time.
    """

    def __init__(self, name: str, most: int) -> None:
        from queue import SimpleQueue  # which most programs do not need

        self.most = most
        self._name = name
        self._lock = threading.Lock()
        self._unfinished = 0  # jobs that run, and jobs that wait
        self._threads = 0
        self._over = False
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def run(self, job: Callable[[], None]) -> bool:
        """Run `job`, which raises nothing, on one of the threads; False when too many wait already."""
        with self._lock:
            if self._over or self._unfinished >= 2 * self.most:
                return False
            if self._threads <= self._unfinished and self._threads < self.most:
                try:
                    threading.Thread(target=self._work, name=self._name, daemon=True).start()
                except RuntimeError:  # the process may have no more threads
                    return False
                self._threads += 1
            self._unfinished += 1
        self._jobs.put(job)
        return True

    def end(self) -> None:
        """Let the threads go, each when its job is done."""
        with self._lock:
            self._over = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException:  # which no job should raise
                with self._lock:
                    self._unfinished -= 1
                    self._threads -= 1
                raise
            del job  # with the data set it was for, whose temporary file must not wait for the next job
            with self._lock:
                self._unfinished -= 1
        with self._lock:
            self._threads -= 1
