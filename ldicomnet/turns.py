"""How long a thread may run on while others wait for the interpreter: the longer, the more threads there are.

Each thread that waits wakes at the end of every such time to ask for its turn (`sys.setswitchinterval`, 5 ms where
nobody has set it). Of 1,000 connections with something to do at once, the asking alone takes more than one core.
Knows only how many threads there are.
"""

from __future__ import annotations

import os
import sys
import threading

_USUAL = 5_000
"""Microseconds, what the interpreter begins with."""
_EACH = 50
"""Microseconds more for each thread: those that wait wake no more than 20,000 times a second in all."""
_LONGEST = 50_000
"""Microseconds; a hook that calculates must not keep the others for longer."""
_STEP = 64
"""Threads more or fewer that are worth a change."""


class Turns:
    """The threads that run, counted; any thread may call. A program that sets an interval of its own keeps it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._given = _USUAL

    def add(self) -> None:
        """One thread more."""
        with self._lock:
            self._threads += 1
            self._give()

    def discard(self) -> None:
        """One thread fewer."""
        with self._lock:
            self._threads -= 1
            self._give()

    def forget(self) -> None:
        """The threads are gone, and who held the lock with them: in the child of a fork."""
        self._lock = threading.Lock()
        self._threads = 0
        self._give()

    def _give(self) -> None:
        wanted = min(max(_USUAL, self._threads // _STEP * _STEP * _EACH), _LONGEST)
        if wanted == self._given or round(sys.getswitchinterval() * 1e6) != self._given:
            return
        sys.setswitchinterval(wanted / 1e6)
        self._given = wanted


turns = Turns()
"""Of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=turns.forget)
