"""The writing half of a connection: what the machine allows leaves whole, in order, and within the window.

Knows the transport and the machine, and nothing of what arrives. Called from any thread; lock order: write, then state.
Neither is held while a user's method runs, but for `progress`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic

from .body import Body
from .calls import Calls, Wants
from .deadlines import Deadlines
from .ending import Ending
from .errors import LDicomDataError, LDicomError, LDicomTimeoutError, LDicomTransportError, LDicomUsageError
from .machine import Machine
from .message import Message
from .operations import Operations
from .outbound import Buffer, batches, longest_fragment, whole
from .outbox import Outbox
from .pdu import Abort, AssociateReject, Pdu
from .statistics import Tally
from .status import AbortReason, AbortSource, Command, ErrorCode
from .timing import NEVER, Limits, Timeouts
from .transport import Transport
from .upper_layer import SENDS_DATA, Effect, Event, State

_ANSWERS = {State.STA5: "association", State.STA7: "release", State.STA10: "release", State.STA11: "release"}
"""The states in which the peer is to answer, and the field of `Timeouts` that says how long it has."""
_ROW = 0.001
"""Seconds between pending responses that are sent in a row."""
_ABORT_WAIT = 1.0
"""Seconds that an abort waits for the PDU that is being written, and then to be written; else the connection is just
closed."""


class Sender:
    """Sends on one connection.

    Args:
        calls: who is told what left, and how far a message is.
        transport: where it goes.
        machine: what is allowed.
        deadlines: gets those of the answers.
        timeouts: how long each wait may take.
        limits: how much may wait.
        wants: which of the calls are wanted.
        stop_reading: called when the connection is cut.
        log: where to say what went wrong.

    Attributes:
        ending: why the connection ends, once that is known.
        tally: what is counted.
        sent_at: when the last message left, a point on the monotonic clock.
        is_broken: whether the connection broke while this side was sending.
        operations: the requests that await their response.
        outbox: the lock and the order of writes.
        has_queued: whether the hook that runs on the reader thread has sent what waits for the window.
    """

    def __init__(
        self,
        calls: Calls,
        transport: Transport,
        machine: Machine,
        deadlines: Deadlines,
        operations: Operations,
        timeouts: Timeouts,
        limits: Limits,
        wants: Wants,
        stop_reading: Callable[[], None],
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._calls = calls
        self._transport = transport
        self._machine = machine
        self._deadlines = deadlines
        self._timeouts = timeouts
        self._limits = limits
        self._stop_reading = stop_reading
        self._log = log
        self._tells_progress = wants.progress
        told = calls.sent if wants.sent or wants.sent_bytes else None
        self.outbox = Outbox(transport, timeouts, limits, told, wants.sent_bytes, self._left_job_failed)
        self.operations = operations
        self.ending = Ending()
        self.tally = Tally()
        self.sent_at = -NEVER
        self.is_broken = False
        self.has_queued = False
        self._peer_maximum = self._longest = 0
        self._pending_at = -NEVER
        self._release_agreed = False  # the answer to a release request waits for Sta12
        self._sending_message = False
        self._interrupted = False  # an abort waits for the message that is being sent
        self._in_turn: deque[tuple[Message, Body | None]] = deque()  # what hooks sent and the window holds back

    def establish(self, peer_maximum: int, window: int | None) -> None:
        """The peer's maximum PDU length, and how many operations may be outstanding (see `Operations.window`)."""
        self._peer_maximum = peer_maximum
        self._longest = longest_fragment(peer_maximum)
        self.operations.window = window

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self._machine.state in SENDS_DATA and not self.is_broken

    @property
    def is_ending(self) -> bool:
        """Whether the association is over, or about to be although the machine does not say so yet."""
        return not self.is_open or self._interrupted or self.operations.is_over

    @property
    def queued(self) -> int:
        """Bytes of the message that is being sent, and of those that wait for it or for the window."""
        return self.outbox.queued + sum(_size(*waiting) for waiting in tuple(self._in_turn))

    def check_associated(self) -> None:
        """Raise unless messages may be sent.

        Raises:
            LDicomTransportError: the connection broke.
            LDicomUsageError: there is no association.
        """
        if self.is_broken:
            raise LDicomTransportError(ErrorCode.NET_CONNECTION_RESET, "the connection broke while something was sent")
        if self._machine.state not in SENDS_DATA:
            raise LDicomUsageError("there is no association to send on", ErrorCode.NET_INVALID)

    # --- PDUs of the association ----------------------------------------------------------------------------------

    def send_pdu(self, event: Event, pdu: Pdu, agreed: Callable[[], None] | None = None) -> None:
        """Send the PDU of a local primitive; `agreed` is called when the machine allows it, before it leaves.

        Raises:
            LDicomUsageError: the primitive is not possible in this state.
            LDicomTransportError: it could not be sent.
        """
        data = pdu.encode()
        self.outbox.submit(self._send_primitive, len(data), event, data, agreed)

    def send_abort(self, abort: Abort, patience: float = _ABORT_WAIT) -> None:
        """Send A-ABORT; a message that is being sent breaks off at the end of the PDUs that are being written, 1 MiB at
        most, or with the connection where the peer does not let that end come.

        Args:
            abort: the PDU.
            patience: seconds to wait for that end; then the connection is just closed.

        Raises:
            LDicomUsageError: there is no association to abort.
            LDicomTransportError: it could not be sent; the connection is closed all the same.
        """
        if self._machine.state in (State.STA1, State.STA2, State.STA13):
            raise LDicomUsageError("there is no association to abort", ErrorCode.NET_INVALID)
        self._interrupted = True
        self.ending.by(ErrorCode.SUCCESS, f"aborted by this side: source {abort.source}, reason {abort.reason}")
        if not self.outbox.acquire(min(patience, self._timeouts.shutdown_wait())):
            self.cut()
            return
        try:
            self._send_primitive(Event.ABORT_REQUEST, abort.encode())
        finally:
            self.outbox.release()

    def send_release_response_if_agreed(self, response: Pdu) -> None:
        """A release collision: the acceptor's answer leaves once it has its own, in Sta12."""
        if self._release_agreed:
            self.send_pdu(Event.RELEASE_RESPONSE, response)

    def write_own(self, pdu: Abort | AssociateReject) -> None:
        """A PDU that the machine makes the reader send: waits for other senders a bounded time, then just closes."""
        if not self.outbox.acquire(self._timeouts.shutdown_wait()):
            self.late_to_end("a send")
            self.cut()
            return
        self._transport.hurry(_ABORT_WAIT)
        try:
            self.outbox.write([pdu.encode()])
            self._count_own(pdu)
        except LDicomError as error:
            self._log.info("%s could not be sent: %s", pdu.pdu_type.name, error)
            self.cut()
        finally:
            self.outbox.release()

    def _count_own(self, pdu: Abort | AssociateReject) -> None:
        if isinstance(pdu, Abort):
            self.tally.aborted("ours", pdu.source, pdu.reason)
        else:
            self.tally.rejected(pdu.result, pdu.source, pdu.reason)

    def cut(self) -> None:
        """Read and write nothing any more, and let nobody wait for the window; takes neither of the two locks."""
        self._stop_reading()
        self._transport.close()
        self.operations.end()

    def late_to_end(self, what: str) -> None:
        """This side closes, and `Timeouts.shutdown` has passed: what has not ended by now is cut."""
        self.tally.late("shutdown")
        self.ending.by(ErrorCode.SUCCESS, f"closed by this side: {what} had not ended in time", "shutdown")
        self._log.info("%s had not ended in time (Timeouts.shutdown)", what)

    def end(self) -> None:
        """The connection is over: what waits is dropped, and whoever waits is told."""
        if self._in_turn:
            self._log.warning("%d messages that waited for the operations window never left", len(self._in_turn))
            self._in_turn.clear()
        self.operations.end()
        self.outbox.discard()

    def _send_primitive(self, event: Event, data: bytes, agreed: Callable[[], None] | None = None) -> None:
        """The PDU of a local primitive, and what the machine asks besides."""
        if self._sending_message and event != Event.ABORT_REQUEST:
            raise _within_itself()
        if event == Event.RELEASE_RESPONSE and self._machine.state == State.STA10:
            self._release_agreed = True  # a collision: the acceptor answers once it has its own answer, in Sta12
            return
        action = self._machine.react(event)
        if agreed is not None:
            agreed()
        self.await_answer()
        if Effect.START_ARTIM in action.effects:
            self._deadlines.begin_close()
            self._calls.closing()
        if event == Event.RELEASE_REQUEST:
            self.ending.in_order("released by this side")
        if Effect.SEND_ABORT in action.effects:
            self._transport.hurry(_ABORT_WAIT)
            self._write([data])
            self.tally.aborted("ours", data[8], data[9])
        elif Effect.SEND in action.effects:
            self._write([data])
        if Effect.CLOSE in action.effects:
            self.cut()

    def await_answer(self) -> None:
        """After a step of the machine: the peer has so long to answer, in the state we are in. The other of the two
        threads that turn the machine may take the next step just then, and what counts is the last one."""
        is_settled = False
        while not is_settled:
            state = self._machine.state
            self._deadlines.begin_answer(_ANSWERS.get(state, ""))
            is_settled = self._machine.state is state

    # --- messages -------------------------------------------------------------------------------------------------

    def send_message(self, message: Message, body: Body | None) -> None:
        """Send a whole message; other threads' PDUs come before or after it, never within.

        A request for which the window has no room waits for it; on the reader thread, which would wait for itself, it
        is queued and leaves in its turn.

        Raises:
            LDicomUsageError: there is no association.
            LDicomDataError: the body could not be read; if that was in its middle, the association was aborted.
            LDicomTransportError: it could not be sent.
        """
        if self._sending_message and self.outbox.is_mine:
            raise _within_itself()
        if self._in_turn and self._is_behind(message):
            self._queue(message, body)
        elif not message.kind.expects_response:
            self.outbox.submit(self._send_message, _size(message, body), message, body)
        elif self._begin(message):
            try:
                self.outbox.submit(self._send_message, _size(message, body), message, body)
            except BaseException:
                self.operations.forget(message.message_id)
                self.send_in_turn()
                raise
        else:
            self._queue(message, body)

    def _is_behind(self, message: Message) -> bool:
        """Whether a message must not overtake what waits for the window: a C-GET's response the C-STOREs that the same
        hook has sent, a C-CANCEL the request it cancels."""
        if message.field == Command.C_CANCEL:
            return any(waiting.message_id == message.message_id for waiting, _body in tuple(self._in_turn))
        return self.has_queued and message.is_response and self.outbox.is_reader

    def _begin(self, message: Message) -> bool:
        """Whether the window lets the request leave now; waits for that, but not on the reader thread."""
        self.check_associated()
        is_behind = self._in_turn and self.outbox.is_reader  # requests of hooks leave in the order they were sent in
        if not is_behind and self.operations.begin(message.message_id, message.presentation_id):
            return True
        if self.outbox.is_reader:
            return False
        self.operations.begin_in_turn(message.message_id, message.presentation_id)
        return True

    def _queue(self, message: Message, body: Body | None) -> None:
        self.check_associated()
        if message.expects_response and len(self._in_turn) >= self._limits.waiting_operations:
            raise LDicomUsageError(
                f"{len(self._in_turn)} requests are waiting for the operations window already", ErrorCode.NET_NO_BUFFERS
            )
        self._in_turn.append((message, body))
        self.has_queued = True
        self.send_in_turn()  # the window may have got room meanwhile

    def send_in_turn(self) -> None:
        """The window has room again: send what hooks have left."""
        if self._in_turn:
            self.outbox.submit(self._send_in_turn, 0)

    def _send_in_turn(self) -> None:
        """Under the lock, so that one thread does it at a time."""
        while self._in_turn:
            try:
                message, body = self._in_turn[0]
            except IndexError:  # the connection has ended meanwhile
                return
            try:
                needs_room = message.kind.expects_response
                if needs_room and not self.operations.begin(message.message_id, message.presentation_id):
                    return
                self._in_turn.popleft()
                self._send_message(message, body)
            except Exception as error:
                self._lose_request(message, error)
                return

    def _lose_request(self, message: Message, error: Exception) -> None:
        """A request cannot leave, and who sent it has gone: the association must not go on as if it had."""
        if self.is_ending:
            self._log.warning("%s, which waited for its turn, could not be sent: %s", message, error)
            return
        self._in_turn.clear()
        self._log.error("%s, which waited for its turn, could not be sent: %s; aborted", message, error)
        self._abort_after(error)

    def _abort_after(self, error: Exception) -> None:
        self.ending.by_error(error)
        try:
            self.send_abort(Abort(AbortSource.USER, AbortReason.UNKNOWN))
        except LDicomError:
            self.cut()

    def _left_job_failed(self, error: Exception) -> None:
        """What a hook left to the holder of the lock cannot leave; nobody is there any more to be told."""
        self._log.warning("what a hook sent could not leave: %s", error, exc_info=not isinstance(error, LDicomError))
        if not self.is_ending:
            self._abort_after(error)

    def _send_message(self, message: Message, body: Body | None) -> None:
        """Under the lock; a request has begun."""
        kind = message.kind
        self._sending_message = True
        try:
            self.check_associated()
            buffers = None if self._tells_progress else whole(message, body, self._longest)
            if buffers is None:
                self._send_batches(message, body)
            else:
                self._write(buffers, kind.is_pending and self._is_in_a_row())
        except BaseException as error:
            if not isinstance(error, LDicomError):  # whatever it is, the message may be half sent
                self.ending.by_error(error)
                self.cut()
            if kind.expects_response:
                self.operations.forget(message.message_id)
            raise
        finally:
            self._sending_message = False
        if kind.expects_response:
            self.operations.sent(message.message_id)
        self.tally.count(self.tally.sent, kind.number)
        self.tally.bytes_sent += _size(message, body)
        self.sent_at = monotonic()

    def _is_in_a_row(self) -> bool:
        """Whether pending responses come one after the other: then they leave together, and wake the peer once."""
        before, self._pending_at = self._pending_at, monotonic()
        return self._pending_at - before < _ROW

    def _send_batches(self, message: Message, body: Body | None) -> None:
        total = body.size if body else 0
        sent = -len(message.command_set)
        has_begun = False
        unsent = batches(message, body, self._peer_maximum)
        while batch := self._next_batch(unsent, has_begun):
            if self._interrupted or not self.is_open:
                if self.is_broken:
                    self.check_associated()
                raise LDicomUsageError("the association ended while the message was sent", ErrorCode.NET_INVALID)
            if not self._tells_progress:
                self._write(batch)
            else:
                sent += sum(map(len, batch[1::2]))
                self._write(batch)
                if body is not None:
                    self._calls.progress(sent, 0, total)
            has_begun = True

    def _next_batch(self, unsent: Iterator[list[Buffer]], has_begun: bool) -> list[Buffer] | None:
        """The next part of a message. Where its body breaks off in the middle, nothing but an abort can follow."""
        try:
            return next(unsent, None)
        except LDicomDataError as error:
            if has_begun:
                self.ending.by_error(error)
                self._send_primitive(Event.ABORT_REQUEST, Abort(AbortSource.USER, AbortReason.UNKNOWN).encode())
            raise

    def _write(self, buffers: list[Buffer], more: bool = False) -> None:
        """Write, or end the connection: what is half written cannot be mended."""
        try:
            self.outbox.write(buffers, more)
        except LDicomTimeoutError as error:
            self.tally.late("send")
            self.ending.by_error(error)
            self.cut()
            raise
        except LDicomTransportError:
            self.is_broken = True  # the reader finds out why: the peer may have said it before
            self._transport.close()
            self.operations.end()
            raise
        except BaseException as error:
            self.ending.by_error(error)
            self.cut()
            raise


def _within_itself() -> LDicomUsageError:
    return LDicomUsageError("a message is being sent by this very call (PS3.8 E.1)", ErrorCode.NET_IN_PROGRESS)


def _size(message: Message, body: Body | None) -> int:
    """Bytes of a message."""
    return len(message.command_set) + (body.size if body else 0)
