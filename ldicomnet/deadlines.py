"""The deadlines of one connection: which comes first, and what it was for. Knows the clock, and no connection.

Set by the reader and by whoever sends; `left`, `is_late`, `due` and `quiet_until` are the reader's.
"""

from __future__ import annotations

from enum import Enum
from time import monotonic

from .operations import Operations
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
    IDLE = "any message"


_FIELDS = {Wait.CLOSE: "artim", Wait.REST: "pdu", Wait.RESPONSE: "dimse", Wait.IDLE: "idle"}
"""The field of `Timeouts` that each has; that of an answer depends on to what."""


class Deadlines:
    """Deadlines by what is waited for; those of responses are in `operations`.

    Attributes:
        quiet_until: until then a read that waits for `wait` seconds misses no deadline.
        wait: how long a read may wait, in seconds, as it was last worked out.
    """

    def __init__(self, timeouts: Timeouts, operations: Operations) -> None:
        self._timeouts = timeouts
        self._operations = operations
        self._longest = NEVER if (longest := timeouts.idle_wait()) is None else longest
        self.artim = NEVER
        self.answer = NEVER
        self.rest = NEVER
        self.idle = NEVER
        self.quiet_until = -NEVER
        self.wait: float | None = None
        self._late_since = NEVER
        self._payload = 0
        self._answer_field = ""

    def begin_close(self) -> None:
        """ARTIM, anew: the close of the connection is awaited, and nothing else any more."""
        self.artim = deadline(self._timeouts.artim)
        self.answer = self.rest = self.idle = NEVER
        self._operations.clear()

    def begin_idle(self, since: float | None = None) -> None:
        """The association stands, or was last busy at the point `since`."""
        seconds = self._timeouts.idle
        self.idle = deadline(seconds) if since is None else NEVER if seconds is None else since + seconds

    def begin_rest(self, payload: int) -> None:
        """A PDU or message has begun; `payload` is what `goes_on` compares with. Nothing new if that runs already."""
        if self.rest == NEVER:
            self.rest = deadline(self._timeouts.pdu)
            self._payload = payload
            self.quiet_until = -NEVER if self.wait is None else min(self.quiet_until, self.rest - self.wait)

    def begin_answer(self, field: str) -> None:
        """The answer to a request of ours is awaited, for as long as this field of `Timeouts` says; "" for none."""
        self._answer_field = field
        self.answer = deadline(getattr(self._timeouts, field)) if field else NEVER

    def name_of(self, due: Wait) -> str:
        """The field of `Timeouts` whose time has passed."""
        return self._answer_field if due is Wait.ANSWER else _FIELDS[due]

    def goes_on(self, payload: int) -> bool:
        """Whether so much of it has come since that it may go on; then it gets its time anew."""
        if payload - self._payload < _FLOOR * (self._timeouts.pdu or 0):
            return False
        self.rest = NEVER
        self.begin_rest(payload)
        return True

    def left(self, is_idle: bool = False) -> float | None:
        """Seconds that the reader may sleep: until the first deadline, and never so long that one which another thread
        starts meanwhile could be missed. So nothing needs to wake the reader. Negative when a deadline has passed.

        Until `quiet_until` it need not be asked again: another thread's deadline comes after the shortest of the times
        that threads start, and half of that is how long a read then waits. With `is_idle` it is the whole of it.
        """
        now = monotonic()
        due = min(self.artim, self.answer, self.rest, self.idle, self._operations.first()[1])
        longest = self._longest
        most = longest if is_idle else longest / 2
        left = min(due - now, most)
        self.wait = None if left == NEVER else left
        self.quiet_until = min(due, now + longest) - left if left < NEVER else NEVER
        return self.wait

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
            (Wait.RESPONSE, self._operations.first()[1]),
            (Wait.IDLE, self.idle),
        ):
            if when <= now:
                return what
        return None
