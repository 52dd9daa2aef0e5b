"""The soak's well-behaved client: once a second an association, a C-ECHO, a C-STORE and the release, straight."""

from __future__ import annotations

import hashlib
import selectors
import threading
from time import monotonic

from benchmarks import canned, crowd
from benchmarks.soak_ledger import Ledger, Made

PERIOD = 1.0
LIMIT = 10.0
"""Seconds after which it has not been served."""
FIRST = 1_000_000
"""Its number as a visitor of the crowd, which its instances are called after."""


class Probe:
    """From `start` to `stop`.

    Args:
        port: the server's.
        ledger: is told what it stored.
    """

    def __init__(self, port: int, ledger: Ledger) -> None:
        self._port, self._ledger = port, ledger
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="soak-probe", daemon=True)
        self.seconds: list[float] = []
        """Of each that was served."""
        self.failures: list[str] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for the last."""
        self._over.set()
        self._thread.join(2 * LIMIT)

    def _work(self) -> None:
        number = FIRST
        while not self._over.wait(PERIOD):
            began = monotonic()
            why = self.once(number)
            if why:
                self.failures.append(why)
            else:
                self.seconds.append(monotonic() - began)
            number += 1

    def once(self, number: int) -> str:
        """One visit; why it was not served, if so."""
        uid = f"{crowd.ROOT}.{10000 + number}.1"
        data = canned.tiny_image(uid, f"{crowd.ROOT}.{10000 + number}", 1)
        self._ledger.make(Made(uid, hashlib.sha1(data).hexdigest()))
        visitor = crowd.Visitor(number, 1)
        until = monotonic() + LIMIT
        with visitor.socket, selectors.DefaultSelector() as selector:
            visitor.connect(self._port)
            selector.register(visitor.socket, visitor.events)
            while not visitor.is_done and (left := until - monotonic()) > 0:
                for _, events in selector.select(left):
                    visitor.act(events, is_open=True)
                selector.modify(visitor.socket, visitor.events)
        if visitor.answered == 2:  # the echo and the object
            self._ledger.acknowledge(uid)
        return visitor.why or ("" if visitor.is_done else f"not served within {LIMIT:g} s")
