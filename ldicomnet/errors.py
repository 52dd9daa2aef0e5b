"""The exceptions of the library, by whose fault it is; knows only the numbers.

Methods raise these; hooks are told the `code`. `OSError` never leaves the library: the transport translates it.
"""

from __future__ import annotations

from .status import AbortReason, ErrorCode, Status

CANNOT_PROCESS = Status(0xC000)
"""What cannot be stored as it is, however often it is sent: "cannot understand" of PS3.4 B.2.3, which has no name."""

_WRONG_FOR_EVER = (ErrorCode.FORMAT, ErrorCode.END, ErrorCode.RANGE, ErrorCode.COMPRESSION, ErrorCode.CONVERSION)
"""Codes of what is wrong with the data themselves."""


class LDicomError(Exception):
    """Base of all errors of the library.

    Attributes:
        code: the `ErrorCode`, in the numbering of the original library.
    """

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(f"{text} [{code.name}]")
        self.code = code


class LDicomUsageError(LDicomError, ValueError):
    """The caller's fault: a wrong argument, or a call that the state of the connection does not allow."""

    def __init__(self, text: str, code: ErrorCode = ErrorCode.PARAMETER) -> None:
        super().__init__(code, text)


class LDicomProtocolError(LDicomError):
    """The peer's fault: bytes that PS3.7 or PS3.8 do not allow.

    Attributes:
        reason: the `AbortReason` to give to the peer, PS3.8 Section 9.3.8.
    """

    def __init__(
        self,
        text: str,
        reason: AbortReason = AbortReason.INVALID_PARAM,
        code: ErrorCode = ErrorCode.FORMAT,
    ) -> None:
        super().__init__(code, text)
        self.reason = reason


class LDicomTransportError(LDicomError):
    """The network's fault: the connection could not be made, or broke.

    Attributes:
        timeout: the field of `Timeouts` whose time had passed, such as "send", where that is what went wrong; the text
            names it too. Else "".
    """

    def __init__(self, code: ErrorCode, text: str, timeout: str = "") -> None:
        super().__init__(code, text)
        self.timeout = timeout

    def __str__(self) -> str:
        return f"{super().__str__()} (Timeouts.{self.timeout})" if self.timeout else super().__str__()


class LDicomTimeoutError(LDicomTransportError):
    """A deadline passed; `timeout` is "" only where a transport was told how long to wait, and its caller knows why."""

    def __init__(self, text: str, timeout: str = "") -> None:
        super().__init__(ErrorCode.NET_TIME_OUT, text, timeout)


class LDicomDataError(LDicomError):
    """The data's fault: a file or data set that cannot be read, decoded, converted or written.

    Attributes:
        status: what the sender of the data is told (PS3.4 B.2.3): A700H where sending it again may succeed, C000H where
            it never will, 0111H where there is another of that name, 0117H where it has no name.
    """

    def __init__(self, code: ErrorCode, text: str, status: Status | None = None) -> None:
        super().__init__(code, text)
        usual = CANNOT_PROCESS if code in _WRONG_FOR_EVER else Status.REFUSED_OUT_OF_RESOURCES
        self.status = usual if status is None else status


class LDicomSecurityError(LDicomError):
    """A security layer could not be set up, or refused the peer."""
