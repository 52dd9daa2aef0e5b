"""The connections that a listening object has accepted: who they are, whether one more may come, and when all are gone.

Knows nothing of what they do.
"""

from __future__ import annotations

import logging
import threading
from typing import Generic, TypeVar

from . import checks
from .admission import Admission
from .timing import Limits

_log = logging.getLogger("ldicomnet.listener")
_SAID_EVERY = 1000
"""Connections turned away for one line in the log: a flood is no reason to fill the disk."""

N = TypeVar("N")


class Clients(Generic[N]):
    """Accepted connections; any thread may call.

    Attributes:
        admission: who may have an association.
        turned_away: connections that were closed at once because too many stood.
    """

    def __init__(self) -> None:
        self.admission = Admission()
        self.turned_away = 0
        self._limits = Limits()
        self._nets: list[N] = []
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    def open(self, limits: Limits) -> None:
        """From now on connections and associations may come, as many as `limits` allow."""
        self._limits = limits
        self.admission.open(limits)

    def has_room(self) -> bool:
        """Whether one more connection may come; on the accept thread, and what may not come is counted."""
        if len(self._nets) < self._limits.connections:
            return True
        if self.turned_away % _SAID_EVERY == 0:
            _log.warning("%d connections stand, and no more may; the next are closed at once", len(self._nets))
        self.turned_away += 1
        return False

    def add(self, net: N) -> None:
        """One has come."""
        with self._lock:
            self._nets.append(net)

    def discard(self, net: N) -> None:
        """One has gone, if it was there."""
        with self._lock:
            if net in self._nets:
                self._nets.remove(net)
                self._changed.notify_all()

    def at(self, index: int) -> N:
        """The one at a position."""
        with self._changed:
            return checks.entry(self._nets, index, "clients")

    def everyone(self) -> list[N]:
        """All of them, now."""
        with self._changed:
            return list(self._nets)

    def wait_for(self, count: int, seconds: float) -> bool:
        """Wait until no more than `count` are left, but no longer than `seconds`; False where there are more."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._nets) <= count, seconds)

    def __len__(self) -> int:
        return len(self._nets)
