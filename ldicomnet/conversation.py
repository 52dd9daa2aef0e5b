"""One association: what was negotiated, what travels on it, and the hooks of an `LDicomNet` that its engine calls.

Says in which order hooks are called and what follows when one raises. Everything that is told runs on the reader
thread, but `sent` and `progress`, which run on the thread that sends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

from . import checks
from .admission import Admission
from .associate import SMALLEST_MAXIMUM_LENGTH, LDicomAssociate
from .body import Body
from .calls import Wants
from .checks import is_tolerable_uid
from .command_set import from_dataset, to_dataset
from .dataset import LDicomDS, to_body
from .duplicates import FileTarget
from .engine import Engine
from .errors import LDicomDataError, LDicomError, LDicomProtocolError, LDicomTransportError, LDicomUsageError
from .hooks import Hooks, overrides
from .log import log_of
from .message import Message, Row, build, decode
from .negotiation import clamp_window
from .outbox import SendInfo
from .part10 import encode_header
from .pdu import (
    DICOM_APPLICATION_CONTEXT,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
)
from .sinks import FileSink, Sink, Spool, SpoolSpace, StreamSink, SupportsWrite
from .statistics import Tally
from .status import (
    AbortReason,
    AbortSource,
    Command,
    ErrorCode,
    PduType,
    RejectReason,
    RejectResult,
    RejectSource,
    Status,
)
from .timing import Limits, Timeouts
from .transport import Transport
from .upper_layer import Event
from .workers import Workers, is_background

_log = logging.getLogger("ldicomnet.net")
_CANCEL = int(Command.C_CANCEL)
_PROGRESS_EVERY = 0.05
"""Seconds between two calls of `on_progress_status` for one message, but for the last."""
_ENDED = (ErrorCode.NET_INVALID, ErrorCode.NET_NOT_CONNECTED)
_UNSTATED_MAXIMUM = 16 << 10
"""What a peer that states no maximum length is sent; PS3.8 D.1 makes the item mandatory."""


class _Beside(threading.local):
    """Of each thread: the association for which it runs a hook beside the reader thread, None for any other thread.

    The object may be connected anew by then, and what such a hook has to say is not for that association.
    """

    conversation: Conversation | None = None
    message: Message | None = None
    """What that hook was called for."""


beside = _Beside()


class Conversation:
    """The association of `net` over one connection.

    Args:
        net: whose hooks are called.
        transport: the connection.
        requestor: whether this side makes the connection.
        wants_bytes: whether `on_send_ext` is called.
        wants_progress: whether `on_progress_status` is called.
        syncs_files: whether files that `on_begin_data` names are flushed to the disk.
        folder: for temporary files of received data sets; None for the system's.
        finished: called when all is over, to call `on_close`.
        admission: says whether one more association may come; None where nobody counts.
        number: the association's number in the log.

    Attributes:
        net: whose hooks are called.
        engine: runs the connection.
        associate: the negotiated association, None before.
        command_set: the command set last received, encoded.
    """

    def __init__(
        self,
        net: Hooks,
        transport: Transport,
        requestor: bool,
        timeouts: Timeouts,
        limits: Limits,
        *,
        wants_bytes: bool,
        wants_progress: bool,
        syncs_files: bool,
        folder: str | None,
        finished: Callable[[ErrorCode, Conversation], None],
        admission: Admission | None,
        number: int,
    ) -> None:
        self.net = net
        self._limits = limits
        self._folder = folder
        self._space = SpoolSpace(limits.spool)
        self._syncs_files = syncs_files
        self._finished = finished
        self._admission = admission
        self._entered: list[tuple[str, str]] = []  # as whom it was admitted, as long as it counts
        self._log = log_of(_log, number)
        self._request: LDicomAssociate | None = None
        self.associate: LDicomAssociate | None = None
        self.command_set = b""
        self._syntaxes: dict[int, str] = {}  # accepted context IDs with their transfer syntaxes
        self._unanswered: dict[int, Message] = {}  # the peer's requests by message ID
        self._cancelled: set[int] = set()
        self._delivered: Message | None = None  # for which a hook was called last on the reader thread
        self._number = number
        self._workers: Workers | None = None  # made when a hook is to run beside the reader thread
        self._most_workers = min(1, limits.workers)
        self._wants_data = overrides(net, "on_receive_data")
        self._names_sinks = overrides(net, "on_begin_data")
        self._changes_responses = overrides(net, "on_before_send_command_set")
        self._progress_at = 0.0
        self._before: dict[int, tuple[tuple[Any, ...], Message]] = {}  # sent last of each kind; all of it but the ID
        wants = Wants(
            received=self.received if overrides(net, "on_receive") else None,
            sent=overrides(net, "on_send"),
            sent_bytes=wants_bytes,
            progress=wants_progress,
        )
        self.engine = Engine(self, transport, requestor, timeouts, limits, wants, number)
        self._send_whole = self.engine.sender.send_message

    # --- sending: the association ---------------------------------------------------------------------------------

    def request(self, associate: LDicomAssociate) -> None:
        """Send A-ASSOCIATE-RQ."""
        pdu = associate.to_request()
        request = associate.copy()

        def agreed() -> None:
            self._request = request

        self.engine.send_pdu(Event.TRANSPORT_CONFIRM, pdu, agreed)

    def accept(self, associate: LDicomAssociate) -> None:
        """Send A-ASSOCIATE-AC."""
        request = self._request
        if request is None:
            raise LDicomUsageError("there is no association request to accept", ErrorCode.NET_INVALID)
        answer = associate.copy()
        pdu = answer.to_accept(request)
        self.engine.send_pdu(Event.ASSOCIATE_ACCEPT, pdu, lambda: self._establish(answer, own=answer, peer=request))

    def reject(self, pdu: AssociateReject) -> None:
        """Send A-ASSOCIATE-RJ."""

        def agreed() -> None:
            self.engine.sender.tally.rejected(pdu.result, pdu.source, pdu.reason)
            why = f"rejected by this side: result {pdu.result}, source {pdu.source}, reason {pdu.reason}"
            self.engine.sender.ending.in_order(why)

        self.engine.send_pdu(Event.ASSOCIATE_REJECT, pdu, agreed)

    def _establish(self, negotiated: LDicomAssociate, own: LDicomAssociate, peer: LDicomAssociate) -> None:
        """From now on messages may come, and go."""
        self._syntaxes = {
            context.presentation_id: context.transfer_syntaxes[0]
            for context in negotiated.presentation_contexts
            if context.is_accepted
        }
        send_maximum = peer.get_max_length() if peer.is_max_length() else _UNSTATED_MAXIMUM
        window = None
        if own.is_async_operations() and peer.is_async_operations():
            window, performed = clamp_window(_window(own), _window(peer))  # as the requestor sees it, PS3.7 D.3.3.3
            if own is negotiated:
                window, performed = performed, window
            self._most_workers = min(performed or self._limits.workers, self._limits.workers)
        self.engine.establish(frozenset(self._syntaxes), own.get_max_length(), send_maximum, window)
        self.associate = negotiated

    @property
    def tally(self) -> Tally:
        """What it has done so far, in numbers."""
        return self.engine.sender.tally

    @property
    def is_in_hook(self) -> bool:
        """Whether the caller is one of its hooks, `on_progress_status` on the thread that sends included."""
        return self.engine.is_reader or self.engine.sender.outbox.is_mine or beside.conversation is self

    def abort_at_once(self) -> None:
        """Abort what has not ended in time; where a message is just being sent, only the connection tells the peer."""
        if not self.engine.is_over:
            self.engine.sender.late_to_end("the association")
            with contextlib.suppress(LDicomError):
                self.engine.sender.send_abort(Abort(AbortSource.USER, AbortReason.UNKNOWN), patience=0.0)
            self.engine.close_forced()

    @property
    def is_associated(self) -> bool:
        """Whether messages may be sent."""
        return self.engine.is_associated and self.associate is not None

    # --- sending: messages ----------------------------------------------------------------------------------------

    def send(self, row: Row, presentation_id: int, values: tuple[Any, ...], dataset: Any, group_length: bool) -> None:
        """Send the message of `row`; see `Services`."""
        before, message = self._before.get(row.field), None
        same = presentation_id, values[1:], dataset is None
        if before is not None and before[0] == same and isinstance(presentation_id, int):
            message = before[1].with_id(values[0])
        if message is None:
            message = self._new_message(row, presentation_id, values, dataset is not None)
        body = None if dataset is None else to_body(dataset, self._syntaxes[presentation_id], group_length)
        if self._changes_responses and message.is_response:
            message = self._changed(message)
        self._transmit(message, body)

    def _new_message(self, row: Row, presentation_id: int, values: tuple[Any, ...], has_data_set: bool) -> Message:
        """The message; kept for the next of its kind, which may differ in its ID alone, as echoes do, and the answers
        of a C-FIND."""
        self._check_context(presentation_id)
        if row.needs_dataset and not has_data_set:
            raise LDicomUsageError(f"dataset is None: a {row.name} carries a data set (PS3.7 Sections 9.3, 10.3)")
        try:
            message = build(row, presentation_id, values, has_data_set)
        except LDicomUsageError as error:
            return self._build_cleaned(row, presentation_id, values, has_data_set, error)
        if row.uid_places[1] < 0 and not row.has_list:  # what names an instance will hardly come again
            self._before[row.field] = (presentation_id, values[1:], not has_data_set), message
        return message

    def _build_cleaned(
        self, row: Row, presentation_id: int, values: tuple[Any, ...], has_data_set: bool, error: LDicomUsageError
    ) -> Message:
        """A response without what its request gave as a UID and is none; a later one may have taken its message ID."""
        requests = () if row.is_request else (self._unanswered.get(values[0]), beside.message or self._delivered)
        hostile = [value for request in requests if request and request.row for value in request.arguments()]
        cleaned = tuple(
            "" if isinstance(value, str) and value in hostile and not is_tolerable_uid(value) else value
            for value in values
        )
        if cleaned == values:
            raise error
        return build(row, presentation_id, cleaned, has_data_set)

    def send_data(self, presentation_id: int, command_set: bytes, dataset: Any, group_length: bool) -> None:
        """Send a message of any kind."""
        self._check_context(presentation_id)
        try:
            message = decode(presentation_id, command_set)
        except LDicomProtocolError as error:
            raise LDicomUsageError(f"command_set is not one: {error}") from error
        body = None if dataset is None else to_body(dataset, self._syntaxes[presentation_id], group_length)
        self._transmit(message, body)

    def _transmit(self, message: Message, body: Body | None) -> None:
        """Send; the final response to a request answers it, and not the next one, which may have the same ID."""
        if not message.kind.is_final:
            self._send_whole(message, body)
            return
        unanswered, message_id = self._unanswered, message.message_id
        request = unanswered.get(message_id)
        self._send_whole(message, body)
        if request is not None and unanswered.get(message_id) is request:
            unanswered.pop(message_id, None)
            if self._cancelled:
                self._cancelled.discard(message_id)

    def _check_context(self, presentation_id: int) -> None:
        """Raise, and say why nothing can be sent, on a context that was not accepted."""
        if isinstance(presentation_id, int) and presentation_id in self._syntaxes:
            return
        checks.number("presentation_id", presentation_id, 0xFF, ErrorCode.PDU_ID)
        self.engine.sender.check_associated()
        raise LDicomUsageError(
            f"presentation_id is {presentation_id!r}: it was not accepted in this association; "
            f"accepted are {sorted(self._syntaxes)}",
            ErrorCode.PDU_ID,
        )

    def is_cancelled(self, message_id: int) -> bool:
        """Whether the peer's request with this message ID need not be worked on any more."""
        return message_id in self._cancelled or self.engine.sender.is_ending

    def _changed(self, message: Message) -> Message:
        """The response after `on_before_send_command_set`."""
        dataset = to_dataset(message.command_set)
        self.net.on_before_send_command_set(dataset)
        try:
            return decode(message.presentation_id, from_dataset(dataset, message.has_data_set))
        except LDicomProtocolError as error:
            raise LDicomUsageError(f"on_before_send_command_set left no response: {error}") from error

    # --- told: connection and association -------------------------------------------------------------------------

    def connected(self, error: ErrorCode) -> None:
        """`on_connect`."""
        if not self._call(self.net.on_connect, error):
            self._break_off()

    def secured(self, error: ErrorCode) -> None:
        """`on_secure_link_ready`."""
        if not self._call(self.net.on_secure_link_ready, error) and not error:
            self._break_off()

    def associate_requested(self, request: AssociateRequest) -> None:
        """`on_receive_associate_request`, where the application context is DICOM's (PS3.7 A.2.1)."""
        self._request = LDicomAssociate.from_request(request)
        if request.application != DICOM_APPLICATION_CONTEXT:
            self._log.warning("application context %r is not supported; rejected", request.application)
            reject = RejectResult.PERMANENT, RejectSource.USER, RejectReason.APPLICATION
            self._call(self.net.send_associate_reject, *reject)
        elif 0 < self._request.get_max_length() < SMALLEST_MAXIMUM_LENGTH or not request.contexts:
            self._log.warning("an association without presentation contexts or room for fragments; rejected")
            self._call(self.net.send_associate_reject, RejectResult.PERMANENT, RejectSource.USER, RejectReason.UNKNOWN)
        elif why := self.net._stranger(self._request.get_calling()):
            self._log.warning("association rejected: %s", why)
            reject = RejectResult.PERMANENT, RejectSource.USER, RejectReason.CALLING
            self._call(self.net.send_associate_reject, *reject)
        elif why := self._enter(self.engine.transport.peer[0], self._request.get_calling()):
            self._log.warning("association rejected: %s", why)
            reject = RejectResult.TRANSIENT, RejectSource.PROVIDER2, RejectReason.LIMIT
            self._call(self.net.send_associate_reject, *reject)
        elif not self._call(self.net.on_receive_associate_request, self._request.copy()):
            self._break_off()

    def _enter(self, host: str, title: str) -> str:
        """Why the association may not come, "" where it may."""
        if self._admission is None:
            return ""
        why = self._admission.enter(host, title)
        if not why:
            self._entered.append((host, title))
        return why

    def associate_accepted(self, accept: AssociateAccept) -> None:
        """`on_receive_associate_accept`."""
        assert self._request is not None
        associate = LDicomAssociate.from_accept(accept, self._request)
        if 0 < associate.get_max_length() < SMALLEST_MAXIMUM_LENGTH:
            raise LDicomProtocolError(f"the peer receives PDUs of {associate.get_max_length()} bytes only (PS3.8 D.1)")
        self._establish(associate, own=self._request, peer=associate)
        if not self._call(self.net.on_receive_associate_accept, associate):
            self._break_off()

    def associate_rejected(self, reject: AssociateReject) -> None:
        """`on_receive_associate_reject`."""
        numbers = RejectResult(reject.result), RejectSource(reject.source), RejectReason(reject.reason)
        self._log.info("association rejected: result %d, source %d, reason %d", *numbers)
        self._call(self.net.on_receive_associate_reject, *numbers)

    def release_requested(self) -> None:
        """`on_receive_release_request`."""
        if not self._call(self.net.on_receive_release_request):
            self._call(self.net.send_release_response)

    def release_answered(self) -> None:
        """`on_receive_release_response`."""
        self._call(self.net.on_receive_release_response)

    def aborted(self, source: int, reason: int) -> None:
        """`on_receive_abort`."""
        self.closing()
        self._call(self.net.on_receive_abort, AbortSource(source), AbortReason(reason))

    def closing(self) -> None:
        """The association counts no longer: another one may come."""
        try:
            entered = self._entered.pop() if self._entered else None
        except IndexError:  # another thread was faster
            return
        if entered is not None and self._admission is not None:
            self._admission.leave(*entered)

    def is_busy(self) -> bool:
        """Whether a request of the peer awaits its response."""
        return bool(self._unanswered)

    def ended(self, error: ErrorCode) -> None:
        """`on_close`, here and on the listening object."""
        if self._workers is not None:
            self._workers.end()
        self._unanswered.clear()
        self.closing()
        self._finished(error, self)

    # --- told: PDUs and progress ----------------------------------------------------------------------------------

    def received(self, pdu_type: int, data: bytes) -> None:
        """`on_receive`."""
        self._call(self.net.on_receive, ErrorCode.SUCCESS, PduType(pdu_type), data)

    def sent(self, infos: list[SendInfo]) -> None:
        """`on_send`, and `on_send_ext` where the bytes were kept."""
        for info in infos:
            self._call(self.net.on_send, info.error, info.pdu_type, info.length)
            if info.data:
                self._call(self.net.on_send_ext, info)

    def progress(self, sent: int, received: int, total: int | None) -> None:
        """`on_progress_status`, not too often."""
        now = monotonic()
        if total in (sent, received) or now - self._progress_at >= _PROGRESS_EVERY:
            self._progress_at = now
            self._call(self.net.on_progress_status, sent, received, total)

    # --- told: messages -------------------------------------------------------------------------------------------

    def sink(self, message: Message) -> Sink | None:
        """Where the data set of `message` goes: what `on_begin_data` says, else memory, then a temporary file.

        Raises:
            LDicomProtocolError: an element of the command set has a malformed value.
        """
        if message.row is not None:
            message.arguments()  # what is malformed is found before anything is kept
        if len(self._unanswered) >= self._limits.unanswered and self._has_refused(message):
            message.refused = Status.REFUSED_OUT_OF_RESOURCES
            return None
        if self._names_sinks:
            try:
                target = self.net.on_begin_data(message.presentation_id, message)
                if message.refused is None and target is not None:
                    return self._named_sink(target, message)
            except (Exception, SystemExit) as error:
                self._log_failure("on_begin_data", error)
                message.refused = Status.PROCESSING_FAILURE
            if message.refused is not None:
                self._arrived(message)
                self._fail(message, message.refused)
                return None
        return Spool(self._folder, self._limits.memory_data_set, lambda: self._header(message), self._space)

    def _named_sink(self, target: object, message: Message) -> Sink:
        if isinstance(target, str | os.PathLike):
            return FileSink(checks.path(target), self._header(message), self._syncs_files)
        if isinstance(target, FileTarget):
            return target.sink(self._header(message), self._syncs_files)
        if callable(getattr(target, "write", None)):  # what wraps a file may delegate it
            return StreamSink(cast(SupportsWrite, target))
        raise LDicomUsageError(f"on_begin_data gave {target!r}: a path, a binary file object or None is wanted")

    def _header(self, message: Message) -> bytes:
        """What goes before the data set to make a DICOM file."""
        syntax = self._syntaxes[message.presentation_id]
        return encode_header(message.sop_class_uid, message.sop_instance_uid, syntax)

    def message_received(self, message: Message) -> None:
        """`on_receive_data`, then the message's own hook.

        Raises:
            LDicomProtocolError: an element of the command set has a malformed value.
        """
        if message.refused is not None:
            return
        if len(self._unanswered) >= self._limits.unanswered and not message.has_data_set and self._has_refused(message):
            return  # with a data set, `sink` has done so, and nothing of it is kept
        row, body, dataset = message.kind.row, message.body, None
        arguments: tuple[Any, ...] = message.arguments() if row else ()
        if body is not None:
            class_place, instance_place = row.uid_places if row else (-1, -1)
            dataset = LDicomDS(
                body,
                self._syntaxes[message.presentation_id],
                arguments[class_place] if class_place >= 0 else "",
                arguments[instance_place] if instance_place >= 0 else "",
            )
            message.body = None  # the data set is the hook's; a request that is not answered keeps none of it
        if row is None or row.has_dataset:
            arguments = (*arguments, dataset)
        self._arrived(message)
        hook = getattr(self.net, row.hook) if row else None
        if not is_background(hook) or not self._put_beside(message, hook, arguments, dataset):
            self._delivered = message
            self._deliver(message, hook, arguments, dataset)

    def _has_refused(self, message: Message) -> bool:
        """The program has not answered so many requests that one more would be too many to keep; others may come."""
        if not message.kind.expects_response:
            return False
        text = f"{len(self._unanswered)} requests were not answered yet, and no more may wait"
        self._log.warning("%s: %s", message, text)
        self.message_lost(message, LDicomDataError(ErrorCode.MEMORY, text))
        return True

    def _put_beside(self, *delivered: Any) -> bool:
        """Have another thread call the hooks of a message; False where too many wait for that already."""
        if self._workers is None:
            self._workers = Workers(f"ldicomnet-{self._number}-worker", self._most_workers)
        return self._workers.run(lambda: self._deliver_beside(*delivered))

    def _deliver_beside(self, *delivered: Any) -> None:
        """As `_deliver`, on a thread that may outlive the association; nothing begins any more once that is over."""
        if self.engine.is_over:
            return
        beside.conversation, beside.message = self, delivered[0]
        try:
            self._deliver(*delivered)
        finally:
            beside.conversation = beside.message = None

    def _deliver(
        self, message: Message, hook: Callable[..., None] | None, arguments: tuple[Any, ...], dataset: LDicomDS | None
    ) -> None:
        """Call the hooks of a message; an exception is logged and answered."""
        try:
            if self._wants_data:
                self.net.on_receive_data(message.presentation_id, to_dataset(message.command_set), dataset)
            if hook is None:
                self.net.on_receive_unknown(message.presentation_id, to_dataset(message.command_set), dataset)
            else:
                hook(message.presentation_id, *arguments)
        except (Exception, SystemExit) as error:
            self._log_failure(repr(message), error)
            self._fail(message, Status.PROCESSING_FAILURE)

    def message_lost(self, message: Message, error: LDicomDataError) -> None:
        """The data set of a request could not be kept: out of resources, or whatever the error says (PS3.4 B.2.3)."""
        is_normalized = message.field >= 0x0100
        self._arrived(message)
        lacks = is_normalized and error.status == Status.REFUSED_OUT_OF_RESOURCES
        self._fail(message, Status.RESOURCE_LIMITATION if lacks else error.status)

    def _arrived(self, message: Message) -> None:
        self.command_set = message.command_set
        if message.kind.expects_response:
            if self._cancelled:
                self._cancelled.discard(message.message_id)  # that was the one before with this ID
            self._unanswered[message.message_id] = message
        elif message.kind.field == _CANCEL and message.message_id in self._unanswered:
            self._cancelled.add(message.message_id)

    def _fail(self, message: Message, status: Status) -> None:
        """Answer a request that nobody answered; where no answer is possible, abort."""
        row = message.row
        if row is None or not message.expects_response:
            self._break_off()
        elif message.message_id in self._unanswered:
            self._call(self.net._answer, row, message.presentation_id, message.arguments(), status)

    # --- hooks that raise -----------------------------------------------------------------------------------------

    def _call(self, hook: Callable[..., Any], *arguments: Any) -> bool:
        """Call a hook; False when it raised, which is logged."""
        try:
            hook(*arguments)
        except (Exception, SystemExit) as error:
            self._log_failure(getattr(hook, "__name__", repr(hook)), error)
            return False
        return True

    def _log_failure(self, hook: str, error: BaseException) -> None:
        """A hook raised: its bug, but for what could not be sent because the association has ended meanwhile."""
        is_ended = not self.engine.sender.is_open or self.engine.sender.is_ending
        if isinstance(error, LDicomTransportError) or (
            isinstance(error, LDicomUsageError) and error.code in _ENDED and is_ended
        ):
            self._log.info("%s: %s", hook, error)
        else:
            self._log.error("the hook of %s failed", hook, exc_info=error)

    def _break_off(self) -> None:
        if self.engine.sender.is_broken:  # which is what made the hook fail: the reader finds out why
            return
        try:
            self.engine.sender.send_abort(Abort(AbortSource.PROVIDER, AbortReason.UNKNOWN))
        except LDicomError as error:
            self._log.info("closed after a failed hook: %s", error)
            self.engine.close_forced()


def _window(associate: LDicomAssociate) -> tuple[int, int]:
    return associate.get_invoked_operations(), associate.get_performed_operations()
