"""What an engine tells, and which of it costs something: the interface between a connection and its association."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .errors import LDicomDataError
from .message import Message
from .outbox import SendInfo
from .pdu import AssociateAccept, AssociateReject, AssociateRequest
from .sinks import Sink
from .status import ErrorCode


class Calls(Protocol):
    """Whom the engine calls; all on the reader thread, but `sent` and `progress` on the thread that sends."""

    def connected(self, error: ErrorCode) -> None:
        """The connection that was asked for stands, or could not be made."""

    def secured(self, error: ErrorCode) -> None:
        """The security layer of a connection stands, or could not be set up; not called on one that has none."""

    def associate_requested(self, request: AssociateRequest) -> None:
        """A-ASSOCIATE indication."""

    def associate_accepted(self, accept: AssociateAccept) -> None:
        """A-ASSOCIATE confirmation, accepted."""

    def associate_rejected(self, reject: AssociateReject) -> None:
        """A-ASSOCIATE confirmation, rejected."""

    def release_requested(self) -> None:
        """A-RELEASE indication."""

    def release_answered(self) -> None:
        """A-RELEASE confirmation."""

    def aborted(self, source: int, reason: int) -> None:
        """A-ABORT or A-P-ABORT indication."""

    def sink(self, message: Message) -> Sink | None:
        """Where a data set that begins goes; None for nowhere."""
        ...

    def message_received(self, message: Message) -> None:
        """P-DATA indication of a whole message."""

    def message_lost(self, message: Message, error: LDicomDataError) -> None:
        """A message whose data set could not be kept."""

    def closing(self) -> None:
        """The association is over, and the close of the connection is awaited; from the thread that ended it."""

    def is_busy(self) -> bool:
        """Whether a request of the peer awaits its response."""
        ...

    def sent(self, infos: list[SendInfo]) -> None:
        """These PDUs left, or did not."""

    def progress(self, sent: int, received: int, total: int | None) -> None:
        """Bytes of the message that is being sent or received."""

    def ended(self, error: ErrorCode) -> None:
        """The connection is over; the last call."""


@dataclass(frozen=True, slots=True)
class Wants:
    """The calls that are not paid for unless someone wants them."""

    received: Callable[[int, bytes], None] | None = None
    """Every received PDU, before anything is made of it."""
    sent: bool = False
    sent_bytes: bool = False
    progress: bool = False
