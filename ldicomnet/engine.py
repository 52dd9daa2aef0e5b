"""One connection at work: the reader thread, its deadlines, and the effects of the upper layer machine.

Turns what the reader finds into events, and the effects of the machine into PDUs, deadlines and calls; what leaves is
`sender`'s. Knows no `LDicomNet`: whom it calls is a `Calls`. No lock is held while a user's method runs.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from time import monotonic

from . import threads
from .calls import Calls, Wants
from .deadlines import Deadlines, Wait
from .errors import (
    LDicomDataError,
    LDicomError,
    LDicomProtocolError,
    LDicomSecurityError,
    LDicomTimeoutError,
    LDicomUsageError,
)
from .inbound import Inbound
from .log import log_of
from .machine import Machine
from .message import Message
from .operations import Operations
from .pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Pdu,
    ReleaseRequest,
    ReleaseResponse,
    check_counts,
    decode_content,
)
from .securing import Securing
from .sender import Sender
from .sinks import Sink
from .status import AbortReason, AbortSource, ErrorCode, PduType, RejectReason, RejectResult, RejectSource, Status
from .threads import Task
from .timing import NEVER, Limits, Timeouts
from .transport import Parked, Transport
from .upper_layer import RECEIVES_DATA, Action, Effect, Event, State

Park = Callable[[float, Callable[[Parked], None]], bool]
"""Watches a connection until a point on the monotonic clock, and then calls back; False where it cannot."""
_log = logging.getLogger("ldicomnet.engine")
_EVENTS: dict[int, Event] = {
    PduType.ASSOCIATE_REQUEST: Event.ASSOCIATE_RQ_PDU,
    PduType.ASSOCIATE_ACCEPT: Event.ASSOCIATE_AC_PDU,
    PduType.ASSOCIATE_REJECT: Event.ASSOCIATE_RJ_PDU,
    PduType.RELEASE_REQUEST: Event.RELEASE_RQ_PDU,
    PduType.RELEASE_RESPONSE: Event.RELEASE_RP_PDU,
    PduType.ABORT: Event.ABORT_PDU,
}
_NO_HARM = (None, ErrorCode.SUCCESS, ErrorCode.NET_CONNECTION_RESET, ErrorCode.NET_NOT_CONNECTED)
_MOST_ABORTS = 3
_MOMENT = 0.5  # seconds in which a reader that is not kept by a hook has ended
_BULK = 8 << 10
"""Bytes of a read that show a stream which needs no acknowledgement at once."""


class Engine:
    """Runs one connection; made by `LDicomNet` for each.

    Args:
        calls: who is called.
        transport: the connection, open or to be opened.
        requestor: whether this side makes the connection.
        timeouts: how long each wait may take.
        limits: how much the peer may make us hold.
        wants: which of the calls that are not paid for otherwise are wanted.
        number: the association's number in the log.

    Attributes:
        sender: the writing half.
        is_over: whether the last call was made.
    """

    def __init__(
        self,
        calls: Calls,
        transport: Transport,
        requestor: bool,
        timeouts: Timeouts,
        limits: Limits,
        wants: Wants,
        number: int,
    ) -> None:
        self._calls = calls
        self._transport = transport
        self._requestor = requestor
        self._timeouts = timeouts
        self._limits = limits
        self._log = log_of(_log, number)
        self._wants = wants
        self._inbound = Inbound(self, limits)
        self._inbound.raw = wants.received
        self._machine = Machine(requestor)
        self._operations = Operations(timeouts)
        self._deadlines = Deadlines(timeouts, self._operations)
        self.sender = Sender(
            calls, transport, self._machine, self._deadlines, self._operations, timeouts, limits, wants, self._stop,
            self._log,
        )  # fmt: skip
        self._link = Securing(calls, transport, requestor, self.sender, self._deadlines, timeouts, self._log)
        self._abort_reason: int = AbortReason.UNEXPECTED
        self._connected = self.is_over = False
        self._aborts = 0
        self._last_count = 0  # bytes of the last read
        self._read_at = -NEVER
        self._number = number
        self._task: Task | None = None  # the reader thread's
        self._ends_anywhere: Callable[[], bool] | None = None

    # --- what the face asks ---------------------------------------------------------------------------------------

    def start(self, park: Park | None = None, ends_anywhere: Callable[[], bool] | None = None) -> None:
        """Begin: the reader thread makes the connection, or awaits the association request on an accepted one.

        Args:
            park: watches an accepted connection until the first byte comes, and then calls back; until then it has no
                thread.
            ends_anywhere: says whether the last call may be made on the thread that watches.

        Raises:
            RuntimeError: the process may have no more threads.
        """
        self._machine.react(Event.ASSOCIATE_REQUEST if self._requestor else Event.TRANSPORT_INDICATION)
        if not self._requestor:
            self._stands()
            self._deadlines.begin_close()
        self._task = Task(self._run, f"ldicomnet-{self._number}")
        self._ends_anywhere = ends_anywhere
        if park is not None and not threads.is_warm():
            self.sender.outbox.reader = threading.get_ident()  # the accept thread stands in for the reader
            if park(min(self._deadlines.artim, self._link.until), self._go_on):
                return
        threads.start(self._task)

    def _go_on(self, why: Parked) -> None:
        """A parked connection, on the accept thread; where nothing is to be read, no thread is needed for the end."""
        assert self._task is not None
        is_over = why is Parked.LATE or self._transport.is_at_end()
        if why is Parked.LATE and self._link.is_ready:
            self._expire_artim()
        if not (is_over and self._ends_anywhere is not None and self._ends_anywhere()):
            try:
                threads.start(self._task)
                return
            except RuntimeError as error:  # the process may have no more threads
                self.sender.ending.by(ErrorCode.NET_NO_BUFFERS, f"the connection gets no thread: {error}")
                self.sender.cut()
        self._task.run()

    @property
    def is_connected(self) -> bool:
        """Whether the transport connection stands."""
        return self._connected and not self.is_over

    @property
    def is_associated(self) -> bool:
        """Whether an association is established and not being released."""
        return self._machine.state == State.STA6

    @property
    def is_reader(self) -> bool:
        """Whether the caller is this connection's reader thread."""
        return self.sender.outbox.is_reader

    @property
    def transport(self) -> Transport:
        """The connection below."""
        return self._transport

    def establish(self, contexts: frozenset[int], receive_maximum: int, send_maximum: int, window: int | None) -> None:
        """The association's accepted contexts, the maximum PDU lengths of both sides, and how many operations of ours
        may be outstanding (see `Operations.window`); before it begins."""
        threads.note_use()
        self.sender.tally.associations = 1
        self._deadlines.begin_idle()
        self.sender.establish(send_maximum, window)
        self._inbound.establish(contexts, receive_maximum)

    def send_pdu(self, event: Event, pdu: Pdu, agreed: Callable[[], None] | None = None) -> None:
        """See `Sender.send_pdu`; once the connection stands.

        Raises:
            LDicomUsageError: it does not stand yet.
        """
        self._link.check_ready()
        self.sender.send_pdu(event, pdu, agreed)

    def close(self) -> None:
        """End the connection: sends that are under way may finish first, for a bounded time."""
        outbox, seconds = self.sender.outbox, self._timeouts.shutdown_wait()
        until = monotonic() + seconds
        if outbox.is_reader or outbox.is_mine:
            self.close_forced()
            return
        may_write = outbox.acquire(seconds)
        if not may_write:
            self.sender.late_to_end("a send")
        self.close_forced()
        if may_write:
            outbox.release()
        left = max(until - monotonic(), min(seconds, _MOMENT))
        if not self.join(left) and may_write:
            self.sender.late_to_end("a hook")
        threads.let_idle_end(left)

    def join(self, seconds: float) -> bool:
        """Wait for the last call to be over; not within a call, nor within a send, which the reader would wait for."""
        task = None if self.is_reader or self.sender.outbox.is_mine else self._task
        return task is None or task.join(seconds)

    def close_forced(self) -> None:
        """End the connection at once; waits for nothing, and takes neither the write lock nor the state lock."""
        self.sender.ending.by(ErrorCode.SUCCESS, "closed by this side")
        self.sender.cut()

    def _stop(self) -> None:
        self._inbound.stopped = True

    # --- the reader thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        self.sender.outbox.reader = threading.get_ident()
        try:
            if self._open():
                self._read()
        except LDicomError as error:
            self._lose(error)
        except Exception:
            self._log.exception("the reader failed")
            self.sender.ending.overrules(ErrorCode.NET_FAILURE, "the reader failed")
        finally:
            self._finish()
            self.sender.outbox.reader = 0  # the thread may be another connection's next

    def _open(self) -> bool:
        """AE-1, which AE-5 has no need of; True when there is something to read."""
        if not self._requestor:
            return self._link.set_up()
        try:
            self._transport.open(self._timeouts.connect)
        except Exception as error:
            self._log.info("%s", error, exc_info=not isinstance(error, LDicomError))
            self.is_over = True
            self.sender.ending.by_error(error)
            if isinstance(error, LDicomTimeoutError):
                self.sender.tally.late("connect")
            self._calls.connected(error.code if isinstance(error, LDicomError) else ErrorCode.NET_FAILURE)
            return False
        self._stands()
        self._calls.connected(ErrorCode.SUCCESS)
        return self._link.set_up()

    def _stands(self) -> None:
        self._connected = True
        self._link.begin()
        self.sender.tally.connections = 1

    def _read(self) -> None:
        inbound, machine, tells_progress = self._inbound, self._machine, self._wants.progress
        is_unfinished = False
        while machine.state is not State.STA1 and not inbound.stopped:
            count = self._receive(is_unfinished)
            if not count:
                self._closed_by_peer()
                return
            is_unfinished = inbound.received(count)
            if tells_progress and inbound.is_inside_message:
                self._calls.progress(0, inbound.bytes_of_message, None)

    def _receive(self, is_unfinished: bool) -> int:
        """Bytes read into the room of `inbound`; 0 at the end. Whatever deadline comes first is kept.

        Args:
            is_unfinished: whether what came before breaks off within a PDU or message.
        """
        deadlines, transport = self._deadlines, self._transport
        if is_unfinished:
            deadlines.begin_rest(self._inbound.payload)
        if not is_unfinished or (self._machine.state is State.STA13 and deadlines.artim != NEVER):
            deadlines.rest = NEVER  # asked last, since another thread may have just aborted
        wants_ack = is_unfinished and self._last_count < _BULK
        is_idle = False
        self._read_at = now = monotonic()
        while True:
            if is_idle or now >= deadlines.quiet_until:
                if deadlines.idle != NEVER:
                    deadlines.begin_idle(max(self._read_at, self.sender.sent_at))
                left = deadlines.left(is_idle and not is_unfinished)
                if deadlines.is_late(left) and self._expire():
                    return 0
                transport.set_timeout(left if left is None else max(left, 0.001))
            try:
                self._last_count = count = transport.read_into(self._inbound.room(), wants_ack)
                return count
            except LDicomTimeoutError:
                if self._expire():
                    return 0
                self._inbound.rest()
                is_idle, now = True, monotonic()

    def _expire(self) -> bool:
        """Act on the deadlines that have passed; True when the connection is over."""
        due = self._deadlines.due()
        if due is Wait.CLOSE:
            self._expire_artim()
            return True
        if due is Wait.REST and self._deadlines.goes_on(self._inbound.payload):
            return False
        arriving = self._inbound.is_inside_message and (self._deadlines.rest != NEVER or self._timeouts.pdu is None)
        if due is Wait.RESPONSE and arriving:  # then that is what counts
            self._operations.renew()
            return False
        if due is Wait.IDLE and self._is_kept():
            return False
        if due is not None:
            self._give_up(due)
        return due is not None

    def _is_kept(self) -> bool:
        """What to do about an association without messages: whether it goes on, at least until it is released."""
        is_arriving = self._inbound.is_unfinished  # which has a deadline of its own
        if is_arriving or self._operations.awaited or self._calls.is_busy() or self._machine.state is not State.STA6:
            self._read_at = monotonic()
        self._deadlines.begin_idle(max(self._read_at, self.sender.sent_at))
        if self._deadlines.idle > monotonic():
            return True
        if self._timeouts.idle_aborts:
            return False
        self._deadlines.idle = NEVER
        self.sender.tally.late("idle")
        why = f"released by this side: no message for {self._timeouts.idle} seconds"
        self.sender.ending.by(ErrorCode.NET_TIME_OUT, why, "idle")
        self._log.info("no message for %s seconds (Timeouts.idle); released", self._timeouts.idle)
        with contextlib.suppress(LDicomUsageError):  # another thread was faster
            self.sender.send_pdu(Event.RELEASE_REQUEST, ReleaseRequest())
        return True

    def _expire_artim(self) -> None:
        """AA-2."""
        if self._machine.state == State.STA2:
            why = f"no association request within {self._timeouts.artim} seconds"
            self.sender.ending.by(ErrorCode.NET_TIME_OUT, why, "artim")
            self._log.warning("%s (Timeouts.artim); closed", why)
        else:
            self._log.info("the peer has not closed within %s seconds (Timeouts.artim); closed", self._timeouts.artim)
        self.sender.tally.late("artim")
        self._perform(self._machine.react(Event.ARTIM_EXPIRED), None)

    def _give_up(self, due: Wait) -> None:
        """A deadline of ours, which PS3.8 does not know: abort, and do not wait for the peer to close."""
        which = f" (message {self._operations.first()[0]})" if due is Wait.RESPONSE else ""
        name, why = self._deadlines.name_of(due), f"{due.value}{which} did not come in time"
        self.sender.ending.overrules(ErrorCode.NET_TIME_OUT, why, name)
        self.sender.tally.late(name)
        self._log.warning("%s (Timeouts.%s); aborted", why, name)
        with contextlib.suppress(LDicomUsageError):  # no association yet, or none any more
            self._perform(self._machine.react(Event.ABORT_REQUEST), None)

    def _closed_by_peer(self) -> None:
        state, ending = self._machine.state, self.sender.ending
        if ending.code is None and self.sender.is_broken:
            ending.by(ErrorCode.NET_CONNECTION_RESET, "the connection broke")
            self._log.warning("the connection broke (%s)", state.name)
        elif ending.code is None and state not in (State.STA1, State.STA2, State.STA13):
            ending.by(ErrorCode.NET_CONNECTION_ABORTED, "the peer closed the connection within an association")
            self._log.warning("the peer closed the connection within an association (%s)", state.name)
        ending.by(ErrorCode.SUCCESS, ending.why or "closed by the peer")
        if state != State.STA1:
            self._machine.react(Event.TRANSPORT_CLOSED)

    def _lose(self, error: LDicomError) -> None:
        """The connection broke."""
        ending = self.sender.ending
        if ending.code is not None:
            return
        if self._machine.state in (State.STA1, State.STA13):
            ending.by(ErrorCode.SUCCESS, ending.why or "closed by the peer")
            return
        ending.by_error(error)
        if ending.timeout:
            self.sender.tally.late(ending.timeout)
        self._log.log(logging.DEBUG if self._is_probe else logging.WARNING, "%s", error)
        if isinstance(error, LDicomSecurityError) and self.sender.tally.associations:  # PS3.15 B.12: integrity lost
            self._calls.aborted(AbortSource.PROVIDER, AbortReason.UNKNOWN)

    def _finish(self) -> None:
        """The end of the reader thread: nothing is left behind, then the last call."""
        self._transport.close()
        self._inbound.end()
        self._machine.end()
        self.sender.end()
        if self.sender.outbox.acquire(self._timeouts.shutdown_wait()):
            self.sender.outbox.release()
        self._transport.dispose()
        self.is_over = True
        if self._connected:
            self._calls.ended(self._tell_ending())

    def _tell_ending(self) -> ErrorCode:
        """One line: who ended it, why, and how far it got; what said nothing is not worth a line."""
        ending, tally = self.sender.ending, self.sender.tally
        code = ending.code or ErrorCode.SUCCESS
        tally.probes = int(self._is_probe)
        tally.bytes_received = self._inbound.payload
        if self._log.isEnabledFor(level := logging.DEBUG if tally.probes else logging.INFO):
            self._log.log(
                level,
                "connection with %s port %s ended: %s (%s); %d messages received, %d sent",
                *self._transport.peer, ending.why or "closed", code.name, *tally.messages,
            )  # fmt: skip
        return code

    @property
    def _is_probe(self) -> bool:
        """Whether the peer connected and said nothing."""
        return not self._requestor and not self._inbound.has_begun and self.sender.ending.code in _NO_HARM

    # --- what the reader finds: Inbound's Events ------------------------------------------------------------------

    def data_pdu(self) -> bool:
        """P-DATA-TF begin: DT-2 and AR-6 take them."""
        if self._machine.state in RECEIVES_DATA and not self.sender.is_broken:
            return True
        if self.sender.is_broken:
            return False
        action = self._machine.react_to_peer(Event.P_DATA_PDU)
        if Effect.INDICATE in action.effects:
            return True
        self._unexpected(action, PduType.DATA_TRANSFER)
        return False

    def control_pdu(self, pdu_type: int, content: bytes) -> None:
        """One of the other six PDUs; an A-ASSOCIATE-AC may be more than the association can live with."""
        try:
            pdu = decode_content(pdu_type, content)
            check_counts(pdu, self._limits.contexts, self._limits.user_items)
        except LDicomProtocolError as error:
            self.invalid(error)
            return
        acceptable = not isinstance(pdu, AssociateRequest) or bool(pdu.version & 1)
        self.sender.has_queued = False
        action = self._machine.react_to_peer(_EVENTS[pdu_type], acceptable)
        self.sender.await_answer()
        self._forget_unfinished()
        if self._machine.state == State.STA12:
            self.sender.send_release_response_if_agreed(ReleaseResponse())
        if Effect.INDICATE not in action.effects:
            self._unexpected(action, pdu.pdu_type)
            return
        try:
            self._perform(action, pdu)
        except LDicomProtocolError as error:
            self.invalid(error)

    def invalid(self, error: LDicomProtocolError) -> None:
        """Event 19."""
        state = self._machine.state
        self._abort_reason = error.reason
        self.sender.ending.by_error(error)
        if state != State.STA13:
            self._log.warning("the peer sent an invalid PDU in %s: %s", state.name, error)
        action = self._machine.react_to_peer(Event.INVALID_PDU)
        self._forget_unfinished()
        self._perform(action, None)

    def _forget_unfinished(self) -> None:
        """No way leads back to where Table 9-10 takes P-DATA: a message that was interrupted will not be finished."""
        if self._machine.state not in RECEIVES_DATA:
            self._inbound.forget()

    def _unexpected(self, action: Action, pdu_type: PduType) -> None:
        """A PDU that this state does not allow, or that it ignores."""
        self._abort_reason = AbortReason.UNEXPECTED
        if Effect.SEND_ABORT in action.effects and self.sender.ending.code is None:
            self.sender.ending.by(ErrorCode.PDU_TYPE, f"the peer sent an unexpected {pdu_type.name} PDU")
            self._log.warning("the peer sent an unexpected %s PDU; aborted", pdu_type.name)
        self._perform(action, None)

    def sink(self, message: Message) -> Sink | None:
        """Where a data set goes."""
        self.sender.has_queued = False
        return self._calls.sink(message)

    def message(self, message: Message) -> None:
        """A whole message: a response renews or ends the wait for it."""
        self.sender.has_queued = False
        tally, kind = self.sender.tally, message.kind
        tally.count(tally.received, kind.number)
        tally.bytes_received = self._inbound.payload
        if kind.is_final or self._operations.awaited:
            self._settle(message)
        if self._wants.progress and message.body is not None:
            self._calls.progress(0, message.body.size, message.body.size)
        try:
            self._calls.message_received(message)
        except LDicomProtocolError as error:
            self.invalid(error)

    def message_lost(self, message: Message, error: LDicomDataError) -> None:
        """A message without its data set."""
        self.sender.has_queued = False
        self._settle(message)
        level = logging.INFO if error.status == Status.DUPLICATE_INSTANCE else logging.ERROR
        self._log.log(level, "%s: %s", message, error)
        self._calls.message_lost(message, error)

    def _settle(self, message: Message) -> None:
        """A final response ends the wait for it; anything else shows that the peer is at work: a pending response, or
        a request of its own, such as the C-STOREs of our C-GET."""
        if not message.kind.is_final:
            self._operations.renew()
        elif self._operations.settle(message.message_id, message.presentation_id):
            self.sender.send_in_turn()
        else:
            self._log.info("%s answers no request of ours", message)

    # --- effects --------------------------------------------------------------------------------------------------

    def _perform(self, action: Action, pdu: Pdu | None) -> None:
        """Do what the machine says, in its order."""
        for effect in action.effects:
            _EFFECTS[effect](self, action, pdu)

    def _indicate(self, _action: Action, pdu: Pdu | None) -> None:
        calls = self._calls
        match pdu:
            case AssociateRequest():
                calls.associate_requested(pdu)
            case AssociateAccept():
                calls.associate_accepted(pdu)
            case AssociateReject(result, source, reason):
                self.sender.tally.rejected(result, source, reason)
                why = f"rejected by the peer: result {result}, source {source}, reason {reason}"
                self.sender.ending.in_order(why)
                calls.associate_rejected(pdu)
            case ReleaseRequest():
                self.sender.ending.in_order("released by the peer")
                calls.release_requested()
            case ReleaseResponse():
                calls.release_answered()
            case Abort(source, reason):
                self.sender.ending.by(
                    ErrorCode.NET_CONNECTION_ABORTED, f"aborted by the peer: source {source}, reason {reason}"
                )
                self.sender.tally.aborted("theirs", source, reason)
                self._log.warning("the peer aborted: source %d, reason %d", source, reason)
                calls.aborted(source, reason)

    def _indicate_abort(self, _action: Action, _pdu: Pdu | None) -> None:
        self._calls.aborted(AbortSource.PROVIDER, self._abort_reason)

    def _start_artim(self, _action: Action, _pdu: Pdu | None) -> None:
        self._deadlines.begin_close()
        self._calls.closing()

    def _stop_artim(self, _action: Action, _pdu: Pdu | None) -> None:
        self._deadlines.artim = NEVER
        if self._machine.state is State.STA13:  # another thread has aborted meanwhile: that is timed
            self._deadlines.begin_close()

    def _send_reject(self, _action: Action, _pdu: Pdu | None) -> None:
        """AE-6, not acceptable: the protocol version is not ours."""
        why = "the peer's protocol version is not supported"
        self.sender.ending.overrules(ErrorCode.NET_VERSION_NOT_SUPPORTED, why)
        self._log.warning("the peer's protocol version is not supported; rejected")
        reject = AssociateReject(RejectResult.PERMANENT, RejectSource.PROVIDER1, RejectReason.VERSION)
        self.sender.write_own(reject)

    def _send_abort(self, action: Action, _pdu: Pdu | None) -> None:
        """AA-1 is the user's abort, AA-7 and AA-8 are the provider's (PS3.8 9.3.8); garbage gets no answer for ever."""
        self._aborts += 1
        if self._aborts > _MOST_ABORTS:
            return
        if action.name == "AA-1":
            self.sender.write_own(Abort(AbortSource.USER, AbortReason.UNKNOWN))
        else:
            self.sender.write_own(Abort(AbortSource.PROVIDER, self._abort_reason))


_EFFECTS: dict[Effect, Callable[[Engine, Action, Pdu | None], None]] = {
    Effect.SEND_REJECT: Engine._send_reject,
    Effect.SEND_ABORT: Engine._send_abort,
    Effect.INDICATE: Engine._indicate,
    Effect.INDICATE_ABORT: Engine._indicate_abort,
    Effect.START_ARTIM: Engine._start_artim,
    Effect.STOP_ARTIM: Engine._stop_artim,
    Effect.CLOSE: lambda engine, _action, _pdu: engine.sender.cut(),
}
