"""`outbox`: one write after the other, and nothing that was left to the holder of the lock stays behind."""

from __future__ import annotations

import threading
import unittest
from collections.abc import Callable

from ldicomnet.outbox import Outbox
from ldicomnet.timing import Limits, Timeouts
from ldicomnet.transport.memory import pair

from .support import SECONDS


class Meddling:
    """A lock; `taken` is called once, just after it was taken without waiting."""

    def __init__(self, taken: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._taken: Callable[[], None] | None = taken

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """See `threading.RLock`."""
        if not self._lock.acquire(blocking, timeout):
            return False
        taken, self._taken = self._taken, None
        if taken is not None:
            taken()
        return True

    def release(self) -> None:
        """See `threading.RLock`."""
        self._lock.release()


class LeftToTheHolder(unittest.TestCase):
    """What the reader thread leaves because the lock is taken just then is done by whoever has it."""

    def test_while_somebody_asks_whose_it_is(self) -> None:
        transport, _peer = pair()
        failed: list[Exception] = []
        outbox = Outbox(transport, Timeouts(), Limits(), None, False, failed.append)
        done: list[str] = []

        def read() -> None:
            outbox.reader = threading.get_ident()
            outbox.submit(lambda: done.append("left"), 1)

        def leave() -> None:
            reader = threading.Thread(target=read)
            reader.start()
            reader.join(SECONDS)

        outbox._lock = Meddling(leave)  # type: ignore[assignment]
        self.assertFalse(outbox.is_mine)
        self.assertEqual((done, outbox.queued, failed), (["left"], 0, []))

    def test_within_a_job(self) -> None:
        transport, _peer = pair()
        outbox = Outbox(transport, Timeouts(), Limits(), None, False, lambda error: None)
        mine: list[bool] = []
        outbox.submit(lambda: mine.append(outbox.is_mine), 0)
        mine.append(outbox.is_mine)
        self.assertEqual(mine, [True, False])


if __name__ == "__main__":
    unittest.main()
