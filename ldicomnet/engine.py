"""One connection at work: the reader thread, the two locks, the deadlines; does what the upper layer machine says.

Turns the effects of `upper_layer` into bytes, deadlines and calls, and what the reader finds into events. Knows no
`LDicomNet`: whom it calls is a `Calls`. Lock order: write, then state; neither is held while a user's method runs.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from .body import Body, Spool
from .calls import Calls, Wants
from .deadlines import Deadlines, Wait
from .errors import LDicomDataError, LDicomError, LDicomProtocolError, LDicomTimeoutError, LDicomUsageError
from .inbound import Inbound
from .log import log_of
from .message import Message
from .outbound import Buffer, batches
from .outbox import Outbox
from .pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Pdu,
    ReleaseRequest,
    ReleaseResponse,
    decode_content,
)
from .status import AbortReason, AbortSource, ErrorCode, PduType, RejectReason, RejectResult, RejectSource
from .timing import NEVER, Limits, Timeouts, deadline
from .transport import Transport
from .upper_layer import Action, Effect, Event, State, UpperLayer

_EVENTS = {
    PduType.ASSOCIATE_REQUEST: Event.ASSOCIATE_RQ_PDU,
    PduType.ASSOCIATE_ACCEPT: Event.ASSOCIATE_AC_PDU,
    PduType.ASSOCIATE_REJECT: Event.ASSOCIATE_RJ_PDU,
    PduType.RELEASE_REQUEST: Event.RELEASE_RQ_PDU,
    PduType.RELEASE_RESPONSE: Event.RELEASE_RP_PDU,
    PduType.ABORT: Event.ABORT_PDU,
}
_SENDS_DATA = (State.STA6, State.STA8)
_RELEASING = (State.STA7, State.STA10, State.STA11)
_MOST_ABORTS = 3


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
        self._log = log_of("ldicomnet.engine", number)
        self._wants = wants
        self._inbound = Inbound(self, limits)
        self._inbound.raw = wants.received
        told = calls.sent if wants.sent or wants.sent_bytes else None
        self._outbox = Outbox(transport, timeouts, limits, told, wants.sent_bytes, self._answer_failed)
        self._machine = UpperLayer(requestor)
        self._state_lock = threading.Lock()
        self._peer_maximum = 0
        self._deadlines = Deadlines(timeouts)
        self._ending: ErrorCode | None = None  # why the connection ends, once that is known
        self._abort_reason: int = AbortReason.UNEXPECTED
        self._connected = False
        self._aborts = 0
        self._release_agreed = False  # the answer to a release request waits for Sta12
        self._sending_message = False
        self._interrupted = False  # an abort waits for the message that is being sent
        self._over = False
        self._done = threading.Event()
        self._reader = 0
        self._thread = threading.Thread(target=self._run, name=f"ldicomnet-{number}", daemon=True)

    # --- what the face asks ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: the reader thread makes the connection, or awaits the association request on an accepted one."""
        self._react(Event.ASSOCIATE_REQUEST if self._requestor else Event.TRANSPORT_INDICATION)
        self._thread.start()

    @property
    def is_connected(self) -> bool:
        """Whether the transport connection stands."""
        return self._connected and not self._over

    @property
    def is_over(self) -> bool:
        """Whether the last call was made."""
        return self._over

    @property
    def is_associated(self) -> bool:
        """Whether an association is established and not being released."""
        return self._machine.state == State.STA6

    @property
    def queued(self) -> int:
        """Bytes of the message that is being sent, and of those that wait for it."""
        return self._outbox.queued

    @property
    def is_reader(self) -> bool:
        """Whether the caller is this connection's reader thread."""
        return threading.get_ident() == self._reader

    @property
    def transport(self) -> Transport:
        """The connection below."""
        return self._transport

    def establish(self, contexts: frozenset[int], receive_maximum: int, send_maximum: int) -> None:
        """The association's accepted contexts and the maximum PDU lengths of both sides; before it begins."""
        self._peer_maximum = send_maximum
        self._inbound.establish(contexts, receive_maximum)

    def check_associated(self) -> None:
        """Raise unless messages may be sent.

        Raises:
            LDicomUsageError: there is no association.
        """
        if self._machine.state not in _SENDS_DATA:
            raise LDicomUsageError("there is no association to send on", ErrorCode.NET_INVALID)

    def send_pdu(self, event: Event, pdu: Pdu, agreed: Callable[[], None] | None = None) -> None:
        """Send the PDU of a local primitive; `agreed` is called when the machine allows it, before it leaves.

        Raises:
            LDicomUsageError: the primitive is not possible in this state.
            LDicomTransportError: it could not be sent.
        """
        if not self._connected:
            raise LDicomUsageError("the connection does not stand yet", ErrorCode.NET_NOT_CONNECTED)
        data = pdu.encode()
        self._outbox.submit(lambda: self._send_primitive(event, data, agreed), len(data), self.is_reader)

    def send_abort(self, abort: Abort) -> None:
        """Send A-ABORT; a message that is being sent breaks off at the end of a PDU.

        Raises:
            LDicomUsageError: there is no association to abort.
            LDicomTransportError: it could not be sent; the connection is closed all the same.
        """
        if self._machine.state in (State.STA1, State.STA2, State.STA13):
            raise LDicomUsageError("there is no association to abort", ErrorCode.NET_INVALID)
        self._interrupted = True
        if self._ending is None:
            self._ending = ErrorCode.SUCCESS
        if not self._outbox.acquire(self._timeouts.shutdown_wait()):
            self._cut()
            return
        try:
            self._send_primitive(Event.ABORT_REQUEST, abort.encode())
        finally:
            self._outbox.release()

    def send_message(self, message: Message, body: Body | None) -> None:
        """Send a whole message; other threads' PDUs come before or after it, never within.

        Raises:
            LDicomUsageError: there is no association.
            LDicomDataError: the body could not be read; if that was in its middle, the association was aborted.
            LDicomTransportError: it could not be sent.
        """
        size = len(message.command_set) + (body.size if body else 0)
        self._outbox.submit(lambda: self._send_message(message, body), size, self.is_reader)

    def close(self) -> None:
        """End the connection: sends that are under way may finish first, for a bounded time."""
        if self.is_reader or self._outbox.is_mine:
            self.close_forced()
            return
        seconds = self._timeouts.shutdown_wait()
        may_write = self._outbox.acquire(seconds)
        self.close_forced()
        if may_write:
            self._outbox.release()
        self.join(seconds)

    def join(self, seconds: float) -> None:
        """Wait for the last call to be over; not within a call."""
        if not self.is_reader:
            self._done.wait(max(0.0, seconds))

    def close_forced(self) -> None:
        """End the connection at once; waits for nothing and takes no lock."""
        if self._ending is None:
            self._ending = ErrorCode.SUCCESS
        self._cut()

    def _cut(self) -> None:
        """Read and write nothing any more."""
        self._inbound.stopped = True
        self._transport.close()

    # --- the reader thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._reader = threading.get_ident()
        try:
            if self._open():
                self._read()
        except LDicomError as error:
            self._lose(error)
        except Exception:
            self._log.exception("the reader failed")
            self._ending = ErrorCode.NET_FAILURE
        finally:
            self._finish()

    def _open(self) -> bool:
        """AE-1 or AE-5; True when there is something to read."""
        if not self._requestor:
            self._connected = True
            self._start_artim()
            return True
        try:
            self._transport.open(self._timeouts.connect)
        except Exception as error:
            self._log.info("%s", error, exc_info=not isinstance(error, LDicomError))
            self._over = True
            self._calls.connected(error.code if isinstance(error, LDicomError) else ErrorCode.NET_FAILURE)
            return False
        self._connected = True
        self._calls.connected(ErrorCode.SUCCESS)
        return True

    def _read(self) -> None:
        inbound = self._inbound
        while self._machine.state != State.STA1 and not inbound.stopped:
            count = self._receive(inbound.room())
            if not count:
                self._closed_by_peer()
                return
            inbound.received(count)
            if self._wants.progress and inbound.is_inside_message:
                self._calls.progress(0, inbound.bytes_of_message, None)

    def _receive(self, view: memoryview) -> int:
        """Bytes read into `view`; 0 at the end. Whatever deadline comes first is kept."""
        unfinished = self._inbound.is_inside_pdu or self._inbound.is_inside_message
        if unfinished:
            self._deadlines.begin_rest(self._inbound.payload)
        else:
            self._deadlines.rest = NEVER
        while True:
            left = self._deadlines.left()
            if self._deadlines.is_late(left) and self._expire():
                return 0
            self._transport.set_timeout(left if left is None else max(left, 0.001))
            try:
                return self._transport.read_into(view, unfinished)
            except LDicomTimeoutError:
                if self._expire():
                    return 0
                self._inbound.rest()
                view = self._inbound.room()

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
            self._deadlines.renew()
            return False
        if due is not None:
            self._give_up(due)
        return due is not None

    def _expire_artim(self) -> None:
        """AA-2."""
        if self._machine.state == State.STA2:
            self._ending = ErrorCode.NET_TIME_OUT
            self._log.warning("no association request within %s seconds; closed", self._timeouts.artim)
        self._perform(self._react(Event.ARTIM_EXPIRED), None)

    def _give_up(self, due: Wait) -> None:
        """A deadline of ours, which PS3.8 does not know: abort, and do not wait for the peer to close."""
        self._ending = ErrorCode.NET_TIME_OUT
        which = f" (message {self._deadlines.first_response()[0]})" if due is Wait.RESPONSE else ""
        self._log.warning("%s%s did not come in time; aborted", due.value, which)
        with contextlib.suppress(LDicomUsageError):  # no association yet, or none any more
            self._perform(self._react(Event.ABORT_REQUEST), None)

    def _closed_by_peer(self) -> None:
        state = self._machine.state
        if self._ending is None:
            expected = state in (State.STA1, State.STA2, State.STA13)
            self._ending = ErrorCode.SUCCESS if expected else ErrorCode.NET_CONNECTION_ABORTED
            if not expected:
                self._log.warning("the peer closed the connection within an association (%s)", state.name)
        if state != State.STA1:
            self._react(Event.TRANSPORT_CLOSED)

    def _lose(self, error: LDicomError) -> None:
        """The connection broke."""
        if self._ending is not None:
            return
        if self._machine.state in (State.STA1, State.STA13):
            self._ending = ErrorCode.SUCCESS
            return
        self._ending = error.code
        self._log.warning("%s", error)

    def _finish(self) -> None:
        """The end of the reader thread: nothing is left behind, then the last call."""
        self._transport.close()
        self._inbound.discard()
        with self._state_lock:
            self._machine.state = State.STA1
        self._outbox.discard()
        if self._outbox.acquire(self._timeouts.shutdown_wait()):
            self._outbox.release()
        self._transport.dispose()
        self._over = True
        ending = self._ending or ErrorCode.SUCCESS
        try:
            if self._connected:
                self._log.info("connection with %s port %s ended: %s", *self._transport.peer, ending.name)
                self._calls.ended(ending)
        finally:
            self._done.set()

    # --- what the reader finds: Inbound's Events ------------------------------------------------------------------

    def data_pdu(self) -> bool:
        """A P-DATA-TF begins: DT-2 and AR-6 take it."""
        action = self._react(Event.P_DATA_PDU, by_peer=True)
        if Effect.INDICATE in action.effects:
            return True
        self._unexpected(action, PduType.DATA_TRANSFER)
        return False

    def control_pdu(self, pdu_type: int, content: bytes) -> None:
        """One of the other six PDUs; an A-ASSOCIATE-AC may be more than the association can live with."""
        try:
            pdu = decode_content(pdu_type, content)
        except LDicomProtocolError as error:
            self.invalid(error)
            return
        acceptable = not isinstance(pdu, AssociateRequest) or bool(pdu.version & 1)
        action = self._react(_EVENTS[PduType(pdu_type)], acceptable, by_peer=True)
        self._deadlines.answer = deadline(self._answer_time())
        if self._machine.state == State.STA12 and self._release_agreed:
            self.send_pdu(Event.RELEASE_RESPONSE, ReleaseResponse())
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
        if self._ending is None:
            self._ending = error.code
        if state != State.STA13:
            self._log.warning("the peer sent an invalid PDU in %s: %s", state.name, error)
        self._perform(self._react(Event.INVALID_PDU, by_peer=True), None)

    def _unexpected(self, action: Action, pdu_type: PduType) -> None:
        """A PDU that this state does not allow, or that it ignores."""
        self._abort_reason = AbortReason.UNEXPECTED
        if Effect.SEND_ABORT in action.effects and self._ending is None:
            self._ending = ErrorCode.PDU_TYPE
            self._log.warning("the peer sent an unexpected %s PDU; aborted", pdu_type.name)
        self._perform(action, None)

    def spool(self, message: Message) -> Spool:
        """The sink for a data set."""
        return self._calls.spool(message)

    def message(self, message: Message) -> None:
        """A whole message: a response renews or ends the wait for it."""
        self._settle(message)
        if self._wants.progress and message.body is not None:
            self._calls.progress(0, message.body.size, message.body.size)
        try:
            self._calls.message_received(message)
        except LDicomProtocolError as error:
            self.invalid(error)

    def message_lost(self, message: Message, error: LDicomDataError) -> None:
        """A message without its data set."""
        self._settle(message)
        self._log.error("%s: %s", message, error)
        self._calls.message_lost(message, error)

    def _settle(self, message: Message) -> None:
        """A final response ends the wait for it; anything else shows that the peer is at work: a pending response, or
        a request of its own, such as the C-STOREs of our C-GET."""
        if message.is_final:
            self._deadlines.forget(message.message_id)
        else:
            self._deadlines.renew()

    # --- effects --------------------------------------------------------------------------------------------------

    def _react(self, event: Event, acceptable: bool = True, by_peer: bool = False) -> Action:
        """One step of the machine, under the state lock. A peer's event that cannot happen closes the connection."""
        with self._state_lock:
            try:
                return self._machine.react(event, acceptable)
            except LDicomUsageError:
                if not by_peer:
                    raise
        raise LDicomProtocolError(
            f"the peer sent a PDU before the association was requested ({event.name})", AbortReason.UNEXPECTED
        )

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
            case AssociateReject():
                calls.associate_rejected(pdu)
            case ReleaseRequest():
                calls.release_requested()
            case ReleaseResponse():
                calls.release_answered()
            case Abort(source, reason):
                if self._ending is None:
                    self._ending = ErrorCode.NET_CONNECTION_ABORTED
                self._log.warning("the peer aborted: source %d, reason %d", source, reason)
                calls.aborted(source, reason)

    def _indicate_abort(self, _action: Action, _pdu: Pdu | None) -> None:
        self._calls.aborted(AbortSource.PROVIDER, self._abort_reason)

    def _start_artim(self, _action: Action | None = None, _pdu: Pdu | None = None) -> None:
        self._deadlines.begin_close()

    def _stop_artim(self, _action: Action, _pdu: Pdu | None) -> None:
        self._deadlines.artim = NEVER

    def _send_reject(self, _action: Action, _pdu: Pdu | None) -> None:
        """AE-6, not acceptable: the protocol version is not ours."""
        self._ending = ErrorCode.NET_VERSION_NOT_SUPPORTED
        self._log.warning("the peer's protocol version is not supported; rejected")
        reject = AssociateReject(RejectResult.PERMANENT, RejectSource.PROVIDER1, RejectReason.VERSION)
        self._write_own(reject)

    def _send_abort(self, action: Action, _pdu: Pdu | None) -> None:
        """AA-1 is the user's abort, AA-7 and AA-8 are the provider's (PS3.8 9.3.8); garbage gets no answer for ever."""
        self._aborts += 1
        if self._aborts > _MOST_ABORTS:
            return
        if action.name == "AA-1":
            self._write_own(Abort(AbortSource.USER, AbortReason.UNKNOWN))
        else:
            self._write_own(Abort(AbortSource.PROVIDER, self._abort_reason))

    def _write_own(self, pdu: Abort | AssociateReject) -> None:
        """A PDU that the machine makes the reader send: waits for other senders a bounded time, then just closes."""
        if not self._outbox.acquire(self._timeouts.shutdown_wait()):
            self._cut()
            return
        try:
            self._outbox.write([pdu.encode()])
        except LDicomError as error:
            self._log.info("%s could not be sent: %s", pdu.pdu_type.name, error)
            self._cut()
        finally:
            self._outbox.release()

    # --- sending --------------------------------------------------------------------------------------------------

    def _answer_failed(self, error: Exception) -> None:
        self._log.warning("an answer could not be sent: %s", error, exc_info=not isinstance(error, LDicomError))

    def _send_primitive(self, event: Event, data: bytes, agreed: Callable[[], None] | None = None) -> None:
        """The PDU of a local primitive, and what the machine asks besides."""
        if self._sending_message and event != Event.ABORT_REQUEST:
            raise LDicomUsageError("a message is being sent by this very call (PS3.8 E.1)", ErrorCode.NET_IN_PROGRESS)
        if event == Event.RELEASE_RESPONSE and self._machine.state == State.STA10:
            self._release_agreed = True  # a collision: the acceptor answers once it has its own answer, in Sta12
            return
        action = self._react(event)
        if agreed is not None:
            agreed()
        self._deadlines.answer = deadline(self._answer_time())
        if Effect.START_ARTIM in action.effects:
            self._start_artim()
        if Effect.SEND in action.effects or Effect.SEND_ABORT in action.effects:
            self._write([data])
        if Effect.CLOSE in action.effects:
            self._cut()

    def _answer_time(self) -> float | None:
        """Seconds that the peer has to answer, in the state we are in."""
        if self._machine.state == State.STA5:
            return self._timeouts.association
        return self._timeouts.release if self._machine.state in _RELEASING else None

    def _send_message(self, message: Message, body: Body | None) -> None:
        if self._sending_message:
            raise LDicomUsageError("a message is being sent by this very call (PS3.8 E.1)", ErrorCode.NET_IN_PROGRESS)
        self._react(Event.P_DATA_REQUEST)
        if message.expects_response:
            self._deadlines.await_response(message.message_id)
        self._sending_message = True
        try:
            self._send_batches(message, body)
        except BaseException as error:
            self._deadlines.forget(message.message_id)
            if not isinstance(error, LDicomError):  # whatever it is, the message may be half sent
                self._ending = ErrorCode.NET_FAILURE
                self._cut()
            raise
        finally:
            self._sending_message = False
        if message.expects_response:
            self._deadlines.sent(message.message_id)

    def _send_batches(self, message: Message, body: Body | None) -> None:
        total = body.size if body else 0
        sent = -len(message.command_set)
        unsent = batches(message, body, self._peer_maximum)
        while batch := self._next_batch(unsent, begun=sent >= 0):
            if self._interrupted or self._machine.state not in _SENDS_DATA:
                raise LDicomUsageError("the association ended while the message was sent", ErrorCode.NET_INVALID)
            sent += sum(map(len, batch[1::2]))
            self._write(batch)
            if self._wants.progress and body is not None:
                self._calls.progress(sent, 0, total)

    def _next_batch(self, unsent: Iterator[list[Buffer]], begun: bool) -> list[Buffer] | None:
        """The next part of a message. Where its body breaks off in the middle, nothing but an abort can follow."""
        try:
            return next(unsent, None)
        except LDicomDataError as error:
            if begun:
                self._ending = error.code
                self._send_primitive(Event.ABORT_REQUEST, Abort(AbortSource.USER, AbortReason.UNKNOWN).encode())
            raise

    def _write(self, buffers: list[Buffer]) -> None:
        """Write, or end the connection: what is half written cannot be mended."""
        try:
            self._outbox.write(buffers)
        except BaseException as error:
            if self._ending is None:
                self._ending = error.code if isinstance(error, LDicomError) else ErrorCode.NET_FAILURE
            self._cut()
            raise


_EFFECTS: dict[Effect, Callable[[Engine, Action, Pdu | None], None]] = {
    Effect.SEND_REJECT: Engine._send_reject,
    Effect.SEND_ABORT: Engine._send_abort,
    Effect.INDICATE: Engine._indicate,
    Effect.INDICATE_ABORT: Engine._indicate_abort,
    Effect.START_ARTIM: Engine._start_artim,
    Effect.STOP_ARTIM: Engine._stop_artim,
    Effect.CLOSE: lambda engine, _action, _pdu: engine._cut(),
}
