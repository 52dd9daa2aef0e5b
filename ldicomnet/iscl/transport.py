"""ISCL over another transport: what is written leaves as secured messages, what is read has been checked.

Knows no LDicomNet; of PDUs only where one ends. Its rules, since each message needs the peer's answer while it is sent:

- Whoever needs something of the peer reads for it. One thread at a time reads the transport below, any thread; the
  others wait for it (`_wait`). The reader of the connection does so in `read_into`, and a writer only while the reader
  is elsewhere, such as in a hook, or is the writer itself. So no writer depends on the reader to come back.
- What a writer reads is kept for the reader, in its order; hooks are only called in `read_into` and `secure`. A message
  for which there is no room is not answered before there is, so that the peer does not send it.
- `_changed` guards the state and is never held over a system call or a hook. Packets are put into `_queue` under it, in
  the order in which the state has changed, and leave in that order under `_line`; lock order: line, then changed.
- Both sides may write at once: both wait for an answer, so both read. One request wins by a rule that both know, the
  other side receives that message and asks again. Only who may send sends data, so whoever blocks in a write has a peer
  who reads.
- Every wait has a deadline: the handshake (`secure`), an answer (`send_timeout`), a message or packet that has begun
  (`message_timeout`, or 1 KB for each second of it), the peer's turn, the end.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from time import monotonic

from ..errors import LDicomError, LDicomSecurityError, LDicomTimeoutError, LDicomTransportError
from ..status import ErrorCode, IsclStatus
from ..timing import bounded, deadline
from ..transport import Address, Buffer, Transport
from . import ciphers
from .handshake import Client, Handshake, Server
from .inbox import Inbox, Kind
from .opening import Calls, Opening
from .options import Setup
from .pace import Pace
from .transfer import Reply, Transfer, Units
from .wire import MessageId, Packet, Reader, encode, header

_log = logging.getLogger("ldicomnet.iscl")
_READ = 32 << 10
"""Bytes of one read."""
_HELD = 4
"""How many of the longest messages are kept for the reader."""
_LEAST_HELD = 64 << 10
_TURN = 1.0
"""Seconds that the peer has to ask again, after its request has lost."""
_COURTESY = 0.001
"""Seconds that a close may take to tell the peer."""
_ASKING = (IsclStatus.SEND_REQUESTED, IsclStatus.SEND_KEY)


class IsclTransport:
    """A secured connection over another one.

    Args:
        inner: carries the packets.
        setup: what this side is set to.
        calls: who has the card, and is told of what is not of the upper layer.
        is_requestor: whether this side makes the connection.
        send_timeout: how long a send waits for the peer's answer.
        message_timeout: until the rest of a message that has begun, or as many KB of it.

    Attributes:
        error: why the layer failed; SUCCESS as long as it has not.
    """

    is_secure = True

    def __init__(
        self,
        inner: Transport,
        setup: Setup,
        calls: Calls,
        is_requestor: bool,
        send_timeout: float | None = None,
        message_timeout: float | None = None,
    ) -> None:
        self._inner = inner
        self._setup = setup
        self._calls = calls
        self._is_requestor = is_requestor
        self._send_timeout = send_timeout
        self._pace = Pace(message_timeout)
        self._timeout: float | None = None
        self._handshake: Handshake = (Client if is_requestor else Server)(setup, calls)
        self._transfer: Transfer | None = None
        self._reader = Reader(setup.wire, self._most)
        self._opening = Opening(inner, self._handshake, self._reader, calls, self._encoded)
        self._units = Units(setup.wire.message_unit, setup.message_length)
        self._view = memoryview(b"")
        self._line = threading.Lock()
        self._changed = threading.Condition(threading.Lock())
        self._queue: deque[bytes] = deque()
        self._inbox = Inbox(_HELD * max(setup.message_length, _LEAST_HELD))
        self._is_reading = False  # whether a thread reads the transport below
        self._is_ended = False  # nothing more will come
        self._is_closed = False
        self._failure: LDicomError | None = None
        self._agreed: Callable[[], None] | None = None
        if not is_requestor:
            self._greet()

    def _greet(self) -> None:
        """The acceptor speaks first."""
        try:
            self._opening.greet()
        except LDicomTransportError as error:
            self._failure = error

    # --- what is asked of it --------------------------------------------------------------------------------------

    @property
    def inner(self) -> Transport:
        """The transport below."""
        return self._inner

    @property
    def status(self) -> IsclStatus:
        """How far it is."""
        if self._failure is not None:
            return IsclStatus.FAILED
        if self._is_closed or self._is_ended:
            return IsclStatus.CLOSED
        return self._handshake.status if self._transfer is None else self._transfer.status

    @property
    def error(self) -> ErrorCode:
        """Why it failed."""
        return ErrorCode.SUCCESS if self._failure is None else self._failure.code

    @property
    def block_length(self) -> int:
        """The longest data part of a packet, once it is agreed on."""
        return self._handshake.block_length

    @property
    def peer_data(self) -> bytes:
        """The peer's authentication data."""
        return self._handshake.peer_data

    @property
    def transfer(self) -> Transfer | None:
        """The messages of it; None before it stands."""
        return self._transfer

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being sent."""
        return not self._queue and self.status not in (*_ASKING, IsclStatus.SENDING)

    # --- the beginning --------------------------------------------------------------------------------------------

    def open(self, seconds: float | None) -> None:
        """See `Transport.open`."""
        self._inner.open(seconds)

    def secure(self, seconds: float | None) -> bool:
        """See `Transport.secure`: line connection check, then mutual authentication."""
        try:
            if self._failure is not None:
                raise self._failure
            if not self._opening.run(seconds):
                return False
            self._setup.check_authentication_key(self._handshake.key)
        except LDicomError as error:
            self._fail(error)
            raise
        self._stand()
        return True

    def _stand(self) -> None:
        """The connection is secured."""
        shaken = self._handshake
        self._transfer = Transfer(
            self._setup, shaken.block_length, shaken.key, self._is_requestor, self._order, _random
        )  # fmt: skip
        _log.info("ISCL (%s) with %s port %s: blocks of %d bytes", self._setup.wire.name, *self.peer, self.block_length)
        for weakness in self._setup.weaknesses:
            _log.warning("ISCL with %s", weakness)
        with self._changed:
            self._digest(self._transfer, 0)
        self._flush_answers()

    @property
    def _order(self) -> str:
        return self._reader.order or "big"

    def _encoded(self, packet: Packet) -> bytes:
        return encode(packet, self._setup.wire, self._order)

    def _most(self, message_id: MessageId) -> int:
        return -1 if self._transfer is None else self._transfer.most(message_id)

    def _room(self) -> memoryview:
        if not self._view:
            self._view = memoryview(bytearray(_READ))
        return self._view

    def _standing(self) -> Transfer:
        if self._transfer is None:
            raise LDicomTransportError(ErrorCode.NET_NOT_CONNECTED, "the ISCL connection does not stand")
        return self._transfer

    # --- waiting, and reading for what is waited for ----------------------------------------------------------------

    def _wait(self, is_met: Callable[[], bool], until: float) -> bool:
        """Wait until something is so, and read for it where nobody else does; False when it is too late.

        Raises:
            LDicomError: it will never be.
        """
        while True:
            with self._changed:
                while not is_met():
                    self._check_open()
                    left = until - monotonic()
                    if left <= 0:
                        return False
                    if not self._is_reading:
                        self._is_reading = True
                        break
                    self._changed.wait(bounded(left))
                else:
                    return True
            try:
                self._read(left)
            finally:
                with self._changed:
                    self._is_reading = False
                    self._changed.notify_all()

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if self._is_ended:
            raise LDicomTransportError(ErrorCode.NET_CONNECTION_RESET, "the peer has ended the ISCL connection")

    def _read(self, left: float) -> None:
        """Read once, and do what follows; for who has set `_is_reading`."""
        is_unfinished = self._pace.begin_read()
        self._inner.set_timeout(bounded(max(0.001, min(left, self._pace.until - monotonic()))))
        try:
            count = self._inner.read_into(self._room(), is_unfinished)
        except LDicomTimeoutError:
            count = -1
        except LDicomError as error:
            self._fail(error)
            return
        finally:
            self._pace.end_read()
        if count == 0:
            self._end()
            return
        transfer = self._standing()
        with self._changed:
            if count > 0:
                self._reader.feed(self._view[:count])
                self._digest(transfer, count)
            self._give_up_stalled()
        self._flush_answers()

    def _digest(self, transfer: Transfer, count: int) -> None:
        """Take the packets that have come whole; under `_changed`."""
        try:
            while not transfer.is_over:
                packet = self._reader.take()
                if packet is None:
                    break
                reply = transfer.receive(packet, self._inbox.free)
                self._keep_packet(ErrorCode.SUCCESS if reply.error is None else reply.error.code, self._reader.raw)
                self._act(reply)
        except LDicomError as error:
            self._keep_packet(error.code, self._reader.rest)
            self._note_failure(error)
        except (Exception, SystemExit) as error:  # a function that a site has put into its `WireOptions`
            _log.exception("a function of the wire options failed")
            self._note_failure(LDicomSecurityError(ErrorCode.NET_SECURITY_BREACH, f"ISCL: {error}"))
        if transfer.status == IsclStatus.CLOSED:
            self._note_end()
        self._pace.note(transfer.status == IsclStatus.RECEIVING or self._reader.is_unfinished, count)
        self._changed.notify_all()

    def _act(self, reply: Reply) -> None:
        """Under `_changed`."""
        self._queue += [self._encoded(packet) for packet in reply.packets]
        if reply.message is not None:
            self._inbox.keep(Kind.MESSAGE, reply.message)
        if reply.through is not None:
            if not self._inbox.fits(len(reply.through)):
                raise LDicomSecurityError(
                    ErrorCode.ISCL_LOCAL_LENGTH_TOO_SMALL, "ISCL: more unsecured data than are read"
                )
            self._inbox.keep(Kind.THROUGH, reply.through)
        if reply.error is not None:
            self._note_failure(reply.error)

    def _keep_packet(self, error: ErrorCode, data: bytes) -> None:
        if self._calls.wants_packets and (error or self._inbox.fits(len(data))):
            self._inbox.keep(Kind.PACKET, error.to_bytes(4, "big") + data)

    def _give_up_stalled(self) -> None:
        """A message or packet that has begun has to go on; under `_changed`."""
        if self._pace.is_lost():
            why = f"the rest of an ISCL message did not come within {self._pace.seconds} seconds"
            self._note_failure(LDicomTransportError(ErrorCode.NET_TIME_OUT, why, "pdu"))
            self._changed.notify_all()

    def _fail(self, error: LDicomError) -> None:
        with self._changed:
            self._note_failure(error)
            self._changed.notify_all()

    def _note_failure(self, error: LDicomError) -> None:
        """The first counts; whatever follows from a close of our own is none."""
        if not self._is_closed and not self._is_ended and self._failure is None:
            self._failure = error
            _log.debug("%s", error)
        self._is_ended = True

    def _end(self) -> None:
        """The peer has closed the connection."""
        with self._changed:
            self._note_end()
            self._changed.notify_all()

    def _note_end(self) -> None:
        """Nothing more comes; where this side has asked for that, it is told before anybody else finds out."""
        if self._agreed is not None:
            self._agreed()
        self._is_ended = True

    # --- what leaves ----------------------------------------------------------------------------------------------

    def _flush(self, seconds: float | None = None) -> None:
        """What is in the queue leaves; another thread may have seen to it.

        Args:
            seconds: how long another send is waited for at most; None for as long as a send may take.
        """
        while self._queue:
            with self._holding_line(seconds):
                with self._changed:
                    packets: list[Buffer] = list(self._queue)
                    self._queue.clear()
                if packets:
                    self._inner.write(packets)

    @contextlib.contextmanager
    def _holding_line(self, seconds: float | None = None) -> Iterator[None]:
        seconds = bounded(self._send_timeout if seconds is None else seconds)
        if not self._line.acquire(timeout=-1 if seconds is None else seconds):
            raise LDicomTimeoutError(f"another send has kept the connection for {seconds} seconds", "send")
        try:
            yield
        finally:
            self._line.release()

    def _flush_answers(self) -> None:
        """Of a thread that reads: where answers cannot leave, what was sent before may still be read."""
        try:
            self._flush()
        except LDicomTimeoutError as error:  # told as an end: to who reads, no time has passed
            why = f"the peer let no ISCL answer be sent for {self._send_timeout} seconds"
            self._fail(LDicomTransportError(error.code, why, "send"))
        except LDicomTransportError as error:
            _log.debug("an answer could not be sent: %s", error)

    def write(self, buffers: list[Buffer], more: bool = False) -> None:
        """See `Transport.write`; returns when the last packet has left, as no answer comes to it.

        Raises:
            LDicomSecurityError: the peer refuses the message, or sends what it must not.
        """
        for message in self._units.cut(b"".join(buffers)):
            self._send(message)

    def _send(self, message: bytes) -> None:
        transfer = self._standing()
        self._ask(transfer, len(message))
        parts: list[Buffer] = list(transfer.sealed(message))
        with self._holding_line():
            if len(parts) > 2:
                self._inner.write(parts[:-2])
        with self._changed:
            transfer.sent()
            self._queue += [bytes(part) for part in parts[-2:]]
            self._changed.notify_all()
        self._flush()

    def _ask(self, transfer: Transfer, length: int) -> None:
        """Until this message may be sent. A request of ours may lose against the peer's; then it is made again."""
        until = deadline(self._send_timeout)
        self._post(lambda: transfer.want(length))
        if not self._wait(lambda: not transfer.owes_turn or transfer.may_send, min(until, monotonic() + _TURN)):
            self._post(transfer.press)
        if not self._wait(lambda: transfer.may_send, until):
            raise LDicomTimeoutError(f"the peer let no ISCL message be sent for {self._send_timeout} seconds", "send")

    def _post(self, packets: Callable[[], Iterable[Packet]]) -> None:
        """Packets that follow from a change of the state; they leave before what follows from the next."""
        with self._changed:
            self._queue += [self._encoded(packet) for packet in packets()]
        self._flush()

    def send_through(self, data: bytes) -> None:
        """Send data beside the secured messages: neither encrypted nor authenticated.

        Raises:
            LDicomTransportError: the connection does not stand, or broke.
        """
        self._standing()
        with self._changed:
            self._check_open()
        with self._holding_line():
            self._inner.write([header(MessageId.THROUGH, len(data), self._order), data])

    def hurry(self, seconds: float) -> None:
        """See `Transport.hurry`."""
        self._send_timeout = seconds if self._send_timeout is None else min(seconds, self._send_timeout)
        self._inner.hurry(seconds)

    # --- what is read ---------------------------------------------------------------------------------------------

    def set_timeout(self, seconds: float | None) -> None:
        """See `Transport.set_timeout`."""
        self._timeout = seconds

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        """See `Transport.read_into`; calls what is to be called.

        Raises:
            LDicomSecurityError: a message was changed, or the peer sent what it must not; what came before has been
                read.
        """
        until = deadline(self._timeout)
        while True:
            if not self._wait(lambda: bool(self._inbox) or self._is_ended, until):
                raise LDicomTimeoutError("nothing was received in time")
            with self._changed:
                count = self._inbox.read_into(view) if self._inbox.is_message else 0
                if count:
                    self._resume()
                elif not self._inbox:
                    break
                else:
                    kind, data = self._inbox.take()
            if count:
                self._flush_answers()
                return count
            self._tell(kind, data)
        if self._failure is not None and not self._is_closed:
            raise self._failure.with_traceback(None)
        return 0

    def _resume(self) -> None:
        """There may be room for a message that was not answered; under `_changed`."""
        transfer = self._standing()
        if transfer.deferred is not None and not self._is_ended:
            self._act(transfer.resume(self._inbox.free))
            self._changed.notify_all()

    def _tell(self, kind: Kind, data: bytes) -> None:
        if kind is Kind.THROUGH:
            self._calls.through_received(data)
        else:
            self._calls.packet_received(ErrorCode(int.from_bytes(data[:4], "big")), data[4:])

    def is_at_end(self) -> bool:
        """See `Transport.is_at_end`."""
        return not self._inbox and (self._is_ended or self._inner.is_at_end())

    # --- the end --------------------------------------------------------------------------------------------------

    def disconnect(self, seconds: float, agreed: Callable[[], None]) -> None:
        """Ask the peer to end the connection, and wait for its answer; within no other send, and not in a hook.

        Args:
            seconds: how long.
            agreed: called when the peer agrees, or ends it, before its end is read; must not block.

        Raises:
            LDicomSecurityError: the peer refuses; the connection stands as before.
        """
        transfer = self._transfer
        until = monotonic() + seconds
        if transfer is None or self._is_ended or self._is_closed:
            return
        try:
            self._wait(lambda: transfer.may_ask, until)
            with self._changed:
                if not transfer.may_ask:
                    return
                self._agreed = agreed
                self._queue.append(self._encoded(transfer.disconnect()))
            self._flush(max(0.0, until - monotonic()))
            self._wait(lambda: transfer.status != IsclStatus.CLOSING, until)
        except LDicomError as error:  # it is over, the one way or the other
            _log.debug("%s", error)
        if transfer.is_refused:
            self._agreed = None
            raise LDicomSecurityError(ErrorCode.ISCL_PEER_REFUSES_CLOSE, "ISCL: the peer refuses to close")

    def close(self) -> None:
        """See `Transport.close`. The peer is told, where that takes no time, that this is no accident; its answer is
        not waited for."""
        was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._say_farewell()
        self._inner.close()

    def _say_farewell(self) -> None:
        transfer = self._transfer
        if transfer is None or transfer.status != IsclStatus.READY or self._is_ended or self._queue:
            return
        if self._line.acquire(False):
            try:
                self._inner.hurry(_COURTESY)
                self._inner.write([header(MessageId.DISCONNECTION_REQUEST, 0, self._order)])
            except LDicomError as error:
                _log.debug("%s", error)
            finally:
                self._line.release()

    def dispose(self) -> None:
        """See `Transport.dispose`."""
        self._inner.dispose()

    @property
    def host(self) -> Address:
        """See `Transport.host`."""
        return self._inner.host

    @property
    def peer(self) -> Address:
        """See `Transport.peer`."""
        return self._inner.peer


def _random() -> bytes:
    return os.urandom(ciphers.BLOCK)
