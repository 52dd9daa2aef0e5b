"""How the security layer of one connection comes to stand: under a deadline of its own, told once, and in one line.

Knows that a transport has such a layer, and neither TLS nor ISCL.
"""

from __future__ import annotations

import logging
from time import monotonic

from .calls import Calls
from .deadlines import Deadlines
from .errors import LDicomError, LDicomTimeoutError, LDicomTransportError, LDicomUsageError
from .sender import Sender
from .status import ErrorCode
from .timing import NEVER, Timeouts, deadline
from .transport import Transport


class Securing:
    """The security layer of one connection; on a connection that has none, there is nothing to do.

    Args:
        calls: who is told.
        transport: the connection.
        requestor: whether this side made it.
        sender: has the cause of its end, and its numbers.
        deadlines: has ARTIM, which ends this too on an accepted connection.
        timeouts: how long it may take.
        log: where to say why it failed.

    Attributes:
        is_ready: whether PDUs may be sent and read.
        until: when it must stand, on the monotonic clock.
    """

    __slots__ = (
        "_calls", "_deadlines", "_has_begun", "_log", "_requestor", "_sender", "_timeouts", "_transport", "is_ready",
        "until",
    )  # fmt: skip

    def __init__(
        self,
        calls: Calls,
        transport: Transport,
        requestor: bool,
        sender: Sender,
        deadlines: Deadlines,
        timeouts: Timeouts,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._calls = calls
        self._transport = transport
        self._requestor = requestor
        self._sender = sender
        self._deadlines = deadlines
        self._timeouts = timeouts
        self._log = log
        self._has_begun = False
        self.is_ready = False
        self.until = NEVER

    def begin(self) -> None:
        """The connection stands, and from now on its time counts."""
        self._has_begun = True
        if self._transport.is_secure:
            self.until = deadline(self._timeouts.secure)
        else:
            self.is_ready = True

    def check_ready(self) -> None:
        """Raise unless PDUs may be sent.

        Raises:
            LDicomUsageError: the connection, or its security layer, does not stand yet.
        """
        if not self.is_ready:
            what = "security layer of the connection" if self._has_begun else "connection"
            hook = " (on_secure_link_ready tells it)" if self._has_begun else ""
            raise LDicomUsageError(f"the {what} does not stand yet{hook}", ErrorCode.NET_NOT_CONNECTED)

    def set_up(self) -> bool:
        """Set it up, on the reader thread; True when PDUs may be sent and read."""
        if self.is_ready:
            return True
        try:
            stands = self._agree()
        except (Exception, SystemExit) as error:  # of a hook too
            self._fail(error)
            return False
        if not stands:
            self._sender.ending.by(ErrorCode.SUCCESS, "closed by the peer")
            return False
        self.is_ready = True
        self._calls.secured(ErrorCode.SUCCESS)
        return True

    def _agree(self) -> bool:
        """Whether both sides agree; False where the peer of an accepted connection left without a word."""
        until = min(self.until, self._deadlines.artim)
        left = until - monotonic()
        if left <= 0:
            raise LDicomTimeoutError("the peer has said nothing in time")
        stands = self._transport.secure(None if left == NEVER else left)
        if self._sender.ending.code is not None:
            raise LDicomTransportError(ErrorCode.NET_BLOCKING_CANCELED, "closed before its security layer stood")
        if not stands and self._requestor:
            raise LDicomTransportError(ErrorCode.NET_CONNECTION_ABORTED, "the peer closed the connection at once")
        return stands

    def _fail(self, error: BaseException) -> None:
        """One line, the hook, and then the connection ends; who just resets it, as scanners do, gets neither."""
        ending, code = self._sender.ending, error.code if isinstance(error, LDicomError) else ErrorCode.NET_FAILURE
        if ending.code is not None:  # closed by this side, and whatever followed from that
            self._log.info("closed before its security layer stood: %s", ending.why)
            self._calls.secured(ErrorCode.NET_BLOCKING_CANCELED)
            return
        if isinstance(error, LDicomTimeoutError):
            error.timeout = "secure" if self.until <= self._deadlines.artim else "artim"
            self._sender.tally.late(error.timeout)
        ending.by_error(error)
        if code == ErrorCode.NET_CONNECTION_RESET and not self._requestor:
            return
        has_trace = not isinstance(error, LDicomError)
        self._log.warning("no secure link with %s port %s: %s", *self._transport.peer, error, exc_info=has_trace)
        self._calls.secured(code)
