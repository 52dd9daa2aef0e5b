"""Why a connection ends: the first cause is the one that counts. Knows no connection."""

from __future__ import annotations

from .errors import LDicomError, LDicomTransportError
from .status import ErrorCode


class Ending:
    """The cause of one connection's end.

    Attributes:
        code: what `on_close` will be told; None as long as nothing has gone wrong and nobody has ended it.
        why: who ended it and why, in words for the log.
        timeout: the field of `Timeouts` whose time had passed, where that is the cause, else "".
    """

    __slots__ = ("code", "timeout", "why")

    def __init__(self) -> None:
        self.code: ErrorCode | None = None
        self.why = self.timeout = ""

    def by(self, code: ErrorCode, why: str, timeout: str = "") -> None:
        """This is the cause, unless there was one before."""
        if self.code is None:
            self.overrules(code, why, timeout)

    def by_error(self, error: BaseException) -> None:
        """The same of an error; one that is not the library's is a failure of it, or of the user's program."""
        if isinstance(error, LDicomError):
            self.by(error.code, str(error), error.timeout if isinstance(error, LDicomTransportError) else "")
        else:
            self.by(ErrorCode.NET_FAILURE, f"{type(error).__name__} on this side")

    def overrules(self, code: ErrorCode, why: str, timeout: str = "") -> None:
        """This is the cause, whatever was said before."""
        self.timeout = timeout  # first, for who reads them on another thread
        self.code, self.why = code, why

    def in_order(self, why: str) -> None:
        """It will end as it should; whatever goes wrong yet counts more."""
        if self.code is None:
            self.why = why
