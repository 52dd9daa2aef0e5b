"""The requests of ours that await their response: by message ID, never more at once than the window allows.

PS3.7 Section 6.1 and Annex D.3.3.3 (asynchronous operations window). Knows the clock and no connection; its methods
may be called from any thread.
"""

from __future__ import annotations

import threading

from .errors import LDicomTimeoutError, LDicomUsageError
from .status import ErrorCode
from .timing import NEVER, Timeouts, bounded, deadline

Awaited = list[float]
"""Of one operation: the context ID, and the deadline of its response."""


class Operations:
    """Outstanding operations of one association.

    Attributes:
        window: how many may be outstanding at once, 0 for any number; None where none was negotiated: then it is the
            caller who keeps to one at a time.
        is_over: whether the association is.
        awaited: context ID and deadline of each outstanding operation, by message ID; to look at.

    What takes room is done under a lock, what only ends or times an operation is one step of a dictionary.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.window: int | None = None
        self._timeouts = timeouts
        self._lock = threading.RLock()  # `end` may come within a signal handler
        self._freed: threading.Condition | None = None  # made by whoever waits first
        self.is_over = False
        self.awaited: dict[int, Awaited] = {}
        self._renewed = -NEVER

    def begin(self, message_id: int, context: int) -> bool:
        """A request is about to be sent; its time begins when it is sent. False: the window is full.

        Raises:
            LDicomUsageError: one with this message ID is outstanding, so that their responses could not be told apart.
        """
        awaited, window = self.awaited, self.window
        if window is None:
            awaited[message_id] = [context, NEVER]
            return True
        with self._lock:
            if window and len(awaited) >= window:
                return False
            if message_id not in awaited:
                awaited[message_id] = [context, NEVER]
                return True
        raise LDicomUsageError(
            f"message_id is {message_id}, which another request has that was not answered yet (PS3.7 9.1.1)",
            ErrorCode.NET_IN_PROGRESS,
        )

    def begin_in_turn(self, message_id: int, context: int) -> None:
        """As `begin`; waits until the window has room.

        Raises:
            LDicomUsageError: the association ended meanwhile, or the message ID is in use.
            LDicomTimeoutError: no response came for so long that there is none to be expected.
        """
        try:
            while not self.begin(message_id, context):
                self._wait_for_room()
                if self.is_over:
                    raise LDicomUsageError("the association ended while a request waited", ErrorCode.NET_INVALID)
        except BaseException:
            self._wake_one()  # it may have been woken for room that it does not take
            raise

    def _wake_one(self) -> None:
        with self._lock:
            if self._freed is not None:
                self._freed.notify()

    def _wait_for_room(self) -> None:
        longest = bounded(self._timeouts.dimse)
        with self._lock:
            if self._freed is None:
                self._freed = threading.Condition(self._lock)
            is_full = not self.is_over and len(self.awaited) >= (self.window or NEVER)
            if is_full and not self._freed.wait(longest):
                raise LDicomTimeoutError(f"no response for {longest} seconds, and the window is full", "dimse")

    def sent(self, message_id: int) -> None:
        """The request is sent; a response may even have come already."""
        found = self.awaited.get(message_id)
        if found is not None:
            found[1] = deadline(self._timeouts.dimse)

    def settle(self, message_id: int, context: int) -> bool:
        """The final response has come; False where it answers none of our requests."""
        found = self.awaited.get(message_id)
        if found is None or found[0] != context:
            return False
        self.awaited.pop(message_id, None)
        if self.window is not None:
            self._wake_one()
        return True

    def forget(self, message_id: int) -> None:
        """The request could not be sent."""
        if self.awaited.pop(message_id, None) is not None:
            self._wake_one()

    def renew(self) -> None:
        """The peer is at work for us: all responses get their time anew."""
        self._renewed = deadline(self._timeouts.dimse)

    def clear(self) -> None:
        """No response is awaited any more."""
        with self._lock:
            self.awaited.clear()
            if self._freed is not None:
                self._freed.notify_all()

    def end(self) -> None:
        """The association is over: nothing begins any more, and nobody waits."""
        with self._lock:
            self.is_over = True
        self.clear()

    def first(self) -> tuple[int, float]:
        """Message ID and deadline of the response that is due first."""
        if not self.awaited:
            return 0, NEVER
        awaited = self.awaited.copy()  # which no other thread changes
        if not awaited:
            return 0, NEVER
        message_id = min(awaited, key=lambda each: awaited[each][1])
        return message_id, max(awaited[message_id][1], self._renewed)
