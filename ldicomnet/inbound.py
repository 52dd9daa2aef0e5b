"""Bytes in, PDUs and messages out: walks the PDUs of the receive buffer in place and joins fragments to messages.

Pure: no socket, no thread, no clock. Fragments of a P-DATA-TF go from the buffer to their sink as they arrive, whole
or not, so that a PDU of any length needs no more memory than the buffer. PS3.8 Sections 9.3 and Annex E.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .buffers import make_buffer
from .errors import LDicomDataError, LDicomProtocolError
from .message import Message, decode
from .sinks import Sink
from .status import AbortReason, ErrorCode, PduType
from .timing import Limits
from .wire import DATA_HEADER, PDU_HEADER, PDV_HEADER

if TYPE_CHECKING:
    from .buffers import Writable

_IDLE_BUFFER = 64 << 10
_BUSY_BUFFER = 1 << 20
_ENOUGH = 48 << 10
"""Bytes in the buffer that are worth a write: fewer wait for more, and many more would be written late."""
_LEAST_ROOM = 16 << 10
"""Bytes of room below which nothing is waited for."""
_HEADER = 6
"""Bytes of a P-DATA-TF with one fragment that are not fragment but count for its length."""
_TAIL = 10
"""Bytes at the end of a command set that differ where the instance does."""
_DATA = int(PduType.DATA_TRANSFER)
_FIXED_LENGTHS = {3: 4, 5: 4, 6: 4, 7: 4}
"""Lengths of the PDUs that have no items, by type."""


class Events(Protocol):
    """Who is told; the engine is one."""

    def data_pdu(self) -> bool:
        """P-DATA-TF begin: one, or several that came together; or one goes on with another message. False: it is to be
        passed over."""
        ...

    def control_pdu(self, pdu_type: int, content: bytes) -> None:
        """A whole PDU of one of the other six types; the bytes after its header."""
        ...

    def invalid(self, error: LDicomProtocolError) -> None:
        """A PDU that PS3.8 does not know or allow; the rest of it is passed over."""
        ...

    def sink(self, message: Message) -> Sink | None:
        """Where the data set of this message goes; None for nowhere.

        Raises:
            LDicomProtocolError: an element of the command set has a malformed value.
        """
        ...

    def message(self, message: Message) -> None:
        """A whole message, with its body where that had a sink."""
        ...

    def message_lost(self, message: Message, error: LDicomDataError) -> None:
        """A whole message passed, but its data set could not be kept."""
        ...


class Inbound:
    """The receive buffer of one connection and what was found in it so far.

    Attributes:
        raw: called with type and bytes of every PDU before anything is made of it, or None. With it, P-DATA-TF are
            held until they are whole.
        stopped: set to leave what is still in the buffer alone.
        payload: bytes of fragments that have come altogether.
        has_begun: whether anything has come.
    """

    def __init__(self, events: Events, limits: Limits) -> None:
        self._events = events
        self._limits = limits
        self.raw: Callable[[int, bytes], None] | None = None
        self.stopped = False
        self.payload = 0
        self.has_begun = False
        self._contexts: frozenset[int] = frozenset()
        self._maximum = 0
        self._most_command = limits.command_set + _HEADER
        self._buffer: Writable = bytearray()
        self._view = memoryview(self._buffer)
        self._low = self._high = 0
        self._crowded = False
        self._skip = 0  # bytes of a PDU that are passed over
        self._pdu_left = 0  # bytes of a P-DATA-TF behind the last presentation data value header
        self._value_left = 0  # bytes of the current fragment
        self._is_last = False  # whether that fragment ends its command set or data set
        self._is_command = False
        self._command = bytearray()
        self._context = 0  # the context of the message that has begun, 0 between messages
        self._message: Message | None = None  # the message whose data set is arriving
        self._last: Message | None = None  # the message decoded last
        self._before_id = self._after_id = b""  # what stands around its message ID, PDU header included
        self._sink: Sink | None = None
        self._lost: LDicomDataError | None = None
        self._gathered: list[memoryview] = []

    def establish(self, contexts: frozenset[int], maximum: int) -> None:
        """From now on P-DATA-TF of up to `maximum` bytes (0: any) may come on these accepted contexts."""
        self._contexts, self._last, self._before_id = contexts, None, b""
        self._maximum = maximum + self._limits.pdu_tolerance if maximum else 0

    @property
    def is_unfinished(self) -> bool:
        """Whether the bytes so far break off within a PDU or message."""
        return self._high > self._low or self._context != 0 or self._pdu_left != 0 or self._skip != 0

    @property
    def is_inside_message(self) -> bool:
        """Whether a message has begun and is not complete."""
        return self._context != 0

    @property
    def bytes_of_message(self) -> int:
        """Bytes of the arriving data set so far."""
        return self._sink.size + sum(map(len, self._gathered)) if self._sink else 0

    # --- the buffer -----------------------------------------------------------------------------------------------

    def room(self) -> memoryview:
        """Where the next bytes go; the buffer grows with what arrived, never with what was announced."""
        if not self._buffer:  # not before it is needed: a peer who says nothing holds next to nothing of ours
            self._replace(_IDLE_BUFFER)
        if self._gathered:
            if len(self._buffer) - self._high >= _LEAST_ROOM:
                return self._view[self._high :]
            self._flush()
        if self._low == self._high and not self._crowded:
            self._low = self._high = 0
            return self._view
        kept = self._high - self._low
        if self._crowded and not kept and len(self._buffer) < _BUSY_BUFFER and self._contexts:  # data, no mere flood
            self._replace(_BUSY_BUFFER)
        elif self._crowded and kept < _LEAST_ROOM and len(self._buffer) > _IDLE_BUFFER and not self._contexts:
            self._replace(_IDLE_BUFFER)  # a flood behind the end: deadlines are looked at between two reads
        elif kept == len(self._buffer):
            self._replace(self._grown())
        elif self._low:
            self._buffer[:kept] = self._buffer[self._low : self._high]
        self._low, self._high = 0, kept
        return self._view[kept:] if kept else self._view

    def rest(self) -> None:
        """Nothing came for long: give back the large buffer."""
        if self._gathered:
            self._flush()
        if len(self._buffer) > _IDLE_BUFFER and self._low == self._high:
            self._replace(_IDLE_BUFFER)
            self._low = self._high = 0

    def _grown(self) -> int:
        """Bytes of the next buffer, when this one is full of a PDU that is awaited whole: twice as many, or what that
        PDU needs where that is not much more."""
        size, wanted = len(self._buffer), _HEADER + int(PDU_HEADER.unpack_from(self._buffer, self._low)[2])
        return wanted if size < wanted <= 3 * size else 2 * size

    def _replace(self, size: int) -> None:
        kept = self._view[self._low : self._high]
        self._buffer = make_buffer(size)
        self._view = memoryview(self._buffer)
        self._view[: len(kept)] = kept
        self._crowded = False

    def received(self, count: int) -> bool:
        """`count` bytes have come into the room. Whether they break off within a PDU or message."""
        self.has_begun = True
        self._high += count
        self._crowded = self._high == len(self._buffer)
        if not (self._value_left or self._pdu_left or self._skip or self.stopped):
            self._plain_pdus()  # which is nearly always all there is to do
        while (self._low < self._high or self._pdu_left) and not self.stopped and self._step():
            pass
        if self._gathered and self._high >= _ENOUGH:
            self._flush()
        return self.is_unfinished

    def end(self) -> None:
        """The connection is over: an unfinished data set goes, and so does the buffer."""
        self._discard()
        self._view, self._buffer = memoryview(b""), bytearray()
        self._low = self._high = 0

    def forget(self) -> None:
        """The message that has begun cannot be finished any more; between PDUs, or when one has just begun."""
        if self._context:
            self._discard()
            self._message, self._lost, self._context, self._command = None, None, 0, bytearray()

    def _discard(self) -> None:
        self._drop_sink()
        self._gathered = []

    # --- PDUs -----------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Consume the next piece; False when more bytes are needed."""
        if self._value_left:
            return self._fragment()
        if self._pdu_left:
            return self._value_header()
        if self._skip:
            return self._pass_over()
        return self._plain_pdus() or self._pdu_header()

    def _pass_over(self) -> bool:
        count = min(self._skip, self._high - self._low)
        self._skip -= count
        self._low += count
        return count > 0

    def _plain_pdus(self) -> bool:
        """The fast path: whole P-DATA-TF of one whole fragment each, as nearly all are; False where none comes next.

        What is not plain, or not right, is left to the steps below, which look closer.
        """
        if self.raw is not None:
            return False
        low = start = self._low
        high, buffer, view, maximum = self._high, self._buffer, self._view, self._maximum
        asked = False
        while high - low >= 12:
            if self._before_id and not self._context and self._is_again(low):
                low = self._low
                if self.stopped or self._skip:
                    break
                continue
            pdu_type, _, length, value_length, context, control = DATA_HEADER.unpack_from(buffer, low)
            end = low + 6 + length
            if pdu_type != _DATA or end > high or value_length + 4 != length or length < 6 or length > maximum > 0:
                break
            is_command = control & 1
            if is_command:
                if control & 2 == 0 or self._context or context not in self._contexts or length > self._most_command:
                    break
            elif self._message is None or context != self._context:
                break
            if not asked:
                asked = self._events.data_pdu()
                if not asked:
                    self._low += 6
                    self._pass_by(length)
                    return True
            self._low = end
            self.payload += length - 6
            if is_command:
                self._context = context
                self._end_of_command(view[low + 12 : end].tobytes())
                asked = False
            else:
                if self._sink is not None:
                    self._gathered.append(view[low + 12 : end])
                if control & 2:
                    self._end_of_data()
                    asked = False
            low = end
            if self.stopped:
                break
        return low > start

    def _pdu_header(self) -> bool:
        """Type and length of the next PDU decide whether it streams, is awaited whole, or is passed over."""
        available = self._high - self._low
        if available < 6:
            return False
        pdu_type, _, length = PDU_HEADER.unpack_from(self._buffer, self._low)
        error = self._refusal(pdu_type, length)
        if error is not None:
            if self.raw is not None:
                self.raw(pdu_type, bytes(self._view[self._low : self._low + 6]))
            self._low += 6
            self._skip = length
            self._events.invalid(error)
            return True
        streams = pdu_type == PduType.DATA_TRANSFER and self.raw is None
        if not streams and available < 6 + length:
            return False
        if self.raw is not None:
            self.raw(pdu_type, bytes(self._view[self._low : self._low + 6 + length]))
        self._low += 6
        if pdu_type == PduType.DATA_TRANSFER:
            self._begin_data_pdu(length)
        else:
            content = bytes(self._view[self._low : self._low + length])
            self._low += length
            self._events.control_pdu(pdu_type, content)
        return True

    def _refusal(self, pdu_type: int, length: int) -> LDicomProtocolError | None:
        """Why a PDU with this header is not taken."""
        if not 1 <= pdu_type <= 7:
            return LDicomProtocolError(
                f"PDU type {pdu_type:02X}H is not known", AbortReason.UNRECOGNIZED, ErrorCode.PDU_TYPE
            )
        if pdu_type == PduType.DATA_TRANSFER:
            held = self._limits.maximum_pdu if self._contexts else self._limits.association_pdu
            most = self._maximum or (held if self.raw else length)
            fits = length <= most
        elif pdu_type in _FIXED_LENGTHS:
            most = _FIXED_LENGTHS[pdu_type]
            fits = length == most
        else:
            most = self._limits.association_pdu
            fits = length <= most
        if fits:
            return None
        limit = "" if pdu_type in _FIXED_LENGTHS or most == self._maximum else " (Limits)"
        return LDicomProtocolError(
            f"PDU type {pdu_type:02X}H of {length} bytes, {most} are allowed{limit}", code=ErrorCode.PDU_LENGTH
        )

    def _begin_data_pdu(self, length: int) -> None:
        if not self._events.data_pdu():
            self._pass_by(length)
        elif length == 0:
            self._invalid("a P-DATA-TF without a presentation data value (PS3.8 9.3.5)")
        else:
            self._pdu_left = length

    def _pass_by(self, length: int) -> None:
        """A P-DATA-TF that the state does not take; none does that comes later (PS3.8 Table 9-10)."""
        self._skip = length
        self._contexts = frozenset()
        self.forget()

    # --- presentation data values ---------------------------------------------------------------------------------

    def _value_header(self) -> bool:
        if self._pdu_left < 6:
            self._invalid(f"{self._pdu_left} bytes behind the last presentation data value (PS3.8 9.3.5.1)")
            return True
        if self._high - self._low < 6:
            return False
        length, context, control = PDV_HEADER.unpack_from(self._buffer, self._low)
        self._low += 6
        if length < 2 or length + 4 > self._pdu_left:
            self._pdu_left -= 6
            self._invalid(f"a presentation data value of {length} bytes does not fit its PDU (PS3.8 9.3.5.1)")
            return True
        self._pdu_left -= 6
        if not self._may_come(context, is_command=bool(control & 1)):
            return True
        self._context = context
        self._is_command, self._is_last = bool(control & 1), bool(control & 2)
        self._value_left = length - 2
        if not self._value_left:
            self._end_of_fragment()
        return True

    def _may_come(self, context: int, is_command: bool) -> bool:
        """PS3.8 Annex E: the context was accepted, messages do not interleave, the command set comes first."""
        if context not in self._contexts:
            self._invalid(f"presentation context {context} was not accepted (PS3.8 9.3.5.1)")
        elif self._context not in (0, context):
            self._invalid(
                f"a fragment on context {context} within a message on context {self._context} (PS3.8 E.1)",
                AbortReason.UNEXPECTED_PARAM,
            )
        elif is_command != (self._message is None):
            self._invalid(
                "a command fragment where the data set goes on" if is_command else "a data set without a command set",
                AbortReason.UNEXPECTED_PARAM,
            )
        else:
            return True
        return False

    def _fragment(self) -> bool:
        """As much of the current fragment as has arrived."""
        count = min(self._value_left, self._high - self._low)
        if not count:
            return False
        piece = self._view[self._low : self._low + count]
        self._low += count
        self.payload += count
        self._value_left -= count
        self._pdu_left -= count
        if not self._is_command:
            if self._sink is not None:
                self._gathered.append(piece)
        elif len(self._command) + count > self._limits.command_set:
            self._value_left = 0
            self._invalid(f"a command set of more than {self._limits.command_set} bytes")
            return True
        else:
            self._command += piece
        if not self._value_left:
            self._end_of_fragment()
        return True

    def _end_of_fragment(self) -> None:
        if not self._is_last:
            return
        if self._is_command:
            command, self._command = self._command, bytearray()
            self._end_of_command(bytes(command))
        else:
            self._end_of_data()
        if self._pdu_left and not self._context and not self._events.data_pdu():
            left, self._pdu_left = self._pdu_left, 0
            self._pass_by(left)

    def _end_of_command(self, command: bytes) -> None:
        try:
            message = decode(self._context, command)
        except LDicomProtocolError as error:
            self._fail(error)
            return
        self._expect_again(message)
        self._begin_message(message)

    def _begin_message(self, message: Message) -> None:
        if not message.has_data_set:
            self._context = 0
            self._events.message(message)
            return
        self._context, self._message = message.presentation_id, message
        try:
            self._sink = self._events.sink(message)
        except LDicomProtocolError as error:
            self._fail(error)

    # --- messages that differ in their ID alone, as echoes do, and the answers to a C-FIND ------------------------

    def _expect_again(self, message: Message) -> None:
        """Where a message looks like the one before, so may the next."""
        last, self._last = self._last, message
        self._before_id = b""
        command, length = message.command_set, len(message.command_set)
        if last is None or len(last.command_set) != length or last.command_set[-_TAIL:] != command[-_TAIL:]:
            return
        fits = length <= self._limits.command_set and (not self._maximum or length + _HEADER <= self._maximum)
        if fits and (around := message.around_id()):
            header = DATA_HEADER.pack(_DATA, 0, length + _HEADER, length + 2, message.presentation_id, 3)
            self._before_id, self._after_id = header + around[0], around[1]

    def _is_again(self, low: int) -> bool:
        """Consume a whole PDU there if it is the command set of the last message with another ID."""
        buffer, before, after = self._buffer, self._before_id, self._after_id
        at = low + len(before)
        end = at + 2 + len(after)
        if end > self._high or buffer[low:at] != before or buffer[at + 2 : end] != after:
            return False
        if not self._events.data_pdu():
            self._low = low + 6
            self._pass_by(end - low - 6)
            return True
        self._low = end
        self.payload += end - low - 12
        assert self._last is not None
        command = self._view[low + 12 : end].tobytes()
        self._begin_message(self._last.again(command, buffer[at] | buffer[at + 1] << 8))
        return True

    def _end_of_data(self) -> None:
        if self._gathered:
            self._flush()
        self._end_of_message()

    def _end_of_message(self) -> None:
        message, sink, lost = self._message, self._sink, self._lost
        self._message = self._sink = self._lost = None
        self._context = 0
        assert message is not None
        if lost is not None:
            self._events.message_lost(message, lost)
            return
        try:
            if sink is not None:
                message.body = sink.finish()
        except LDicomDataError as error:
            self._events.message_lost(message, error)
        else:
            self._events.message(message)

    def _flush(self) -> None:
        """What was gathered goes to the sink; if that fails the rest of the data set passes by unkept."""
        gathered, self._gathered = self._gathered, []
        sink, most = self._sink, self._limits.data_set
        if sink is None:
            return
        try:
            sink.write(gathered)
            if most is not None and sink.size > most:
                raise LDicomDataError(ErrorCode.MEMORY, f"a data set of more than {most} bytes")
        except LDicomDataError as error:
            self._lost = error
            self._drop_sink()

    def _drop_sink(self) -> None:
        if self._sink is not None:
            self._sink.discard()
            self._sink = None

    # --- errors ---------------------------------------------------------------------------------------------------

    def _invalid(self, text: str, reason: AbortReason = AbortReason.INVALID_PARAM) -> None:
        self._fail(LDicomProtocolError(text, reason))

    def _fail(self, error: LDicomProtocolError) -> None:
        """Pass over the rest of the PDU, forget the message, tell."""
        self._skip, self._pdu_left, self._value_left = self._pdu_left, 0, 0
        self.forget()
        self._events.invalid(error)
