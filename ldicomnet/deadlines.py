"""The deadlines of one connection: which comes first, and what it was for. Knows the clock, and no connection.

Set by the reader and by whoever sends; `left`, `is_late` and `due` are the reader's.
"""

from __future__ import annotations

from enum import Enum
from threading import Lock
from time import monotonic

from .timing import NEVER, Timeouts, deadline

_FLOOR = 1 << 10
"""Bytes of payload per second below which a PDU or message that has begun is given up."""

_GRACE = 0.5
"""Seconds of reading after a deadline before it ends the connection although bytes come."""


class Wait(Enum):
    """What is waited for."""

    CLOSE = "ARTIM: the association request, or the close of the connection"
    ANSWER = "the answer to an association or release request"
    REST = "the rest of a PDU or message that has begun"
    RESPONSE = "the response to a DIMSE request"


class Deadlines:
    """Deadlines by what is waited for; those of responses by message ID."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._lock = Lock()
        self._awaited: dict[int, float] = {}
        self.artim = NEVER
        self.answer = NEVER
        self.rest = NEVER
        self._late_since = NEVER
        self._payload = 0

    def begin_close(self) -> None:
        """ARTIM, anew: the close of the connection is awaited, and nothing else any more."""
        self.artim = deadline(self._timeouts.artim)
        self.answer = self.rest = NEVER
        with self._lock:
            self._awaited.clear()

    def begin_rest(self, payload: int) -> None:
        """A PDU or message has begun; `payload` is what `goes_on` compares with. Nothing new if that runs already."""
        if self.rest == NEVER:
            self.rest = deadline(self._timeouts.pdu)
            self._payload = payload

    def goes_on(self, payload: int) -> bool:
        """Whether so much of it has come since that it may go on; then it gets its time anew."""
        if payload - self._payload < _FLOOR * (self._timeouts.pdu or 0):
            return False
        self.rest = NEVER
        self.begin_rest(payload)
        return True

    def await_response(self, message_id: int) -> None:
        """A request is about to be sent; its time begins when it is sent."""
        with self._lock:
            self._awaited[message_id] = NEVER

    def sent(self, message_id: int) -> None:
        """The request is sent; a response may even have come already."""
        with self._lock:
            if self._awaited.pop(message_id, None) is not None:
                self._awaited[message_id] = deadline(self._timeouts.dimse)

    def forget(self, message_id: int) -> None:
        """The final response has come, or the request could not be sent."""
        with self._lock:
            self._awaited.pop(message_id, None)

    def renew(self) -> None:
        """The peer is at work for us: all responses get their time anew."""
        if not self._awaited:
            return
        with self._lock:
            until = deadline(self._timeouts.dimse)
            self._awaited = {message_id: max(until, old) for message_id, old in self._awaited.items()}

    def first_response(self) -> tuple[int, float]:
        """Message ID and deadline of the response that is due first."""
        if not self._awaited:
            return 0, NEVER
        with self._lock:
            return min(self._awaited.items(), key=lambda item: item[1], default=(0, NEVER))

    def left(self) -> float | None:
        """Seconds that the reader may sleep: until the first deadline, and never so long that one which another thread
        starts meanwhile could be missed. So nothing needs to wake the reader. Negative when a deadline has passed."""
        due = min(self.artim, self.answer, self.rest, self.first_response()[1])
        longest = self._timeouts.idle_wait()
        if due == NEVER:
            return longest
        left = due - monotonic()
        return left if longest is None else min(left, longest)

    def is_late(self, left: float | None) -> bool:
        """Whether a deadline has passed and stays so although bytes come; `left` is what `left` just said.

        Bytes that wait in the kernel may be just what was waited for, after a slow hook: so they are read first, for
        a little while. A peer that sends without end does not keep a deadline from ending.
        """
        if left is None or left > 0:
            self._late_since = NEVER
            return False
        if self._late_since == NEVER:
            self._late_since = monotonic()
        return monotonic() - self._late_since > _GRACE

    def due(self) -> Wait | None:
        """What has not come in time, None for nothing."""
        now = monotonic()
        for what, when in (
            (Wait.CLOSE, self.artim),
            (Wait.ANSWER, self.answer),
            (Wait.REST, self.rest),
            (Wait.RESPONSE, self.first_response()[1]),
        ):
            if when <= now:
                return what
        return None
