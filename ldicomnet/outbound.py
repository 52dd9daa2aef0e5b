"""Messages in, P-DATA-TF out: cuts command set and data set into PDUs the peer can receive, many to one write.

Pure: makes lists of buffers, header and fragment in turn, and never copies a data set. PS3.8 Section 9.3.5, Annexes D.1
and E.
"""

from __future__ import annotations

from collections.abc import Iterator

from .body import Body, MemoryBody
from .errors import LDicomUsageError
from .message import Message
from .status import ErrorCode, PduType
from .wire import DATA_HEADER

Buffer = bytes | bytearray | memoryview

_HEADER = 6
"""Bytes of a P-DATA-TF that are not fragment but count against the maximum length."""
_UNLIMITED = 256 << 10
"""Length of our PDUs where the peer sets no limit."""
_LARGEST = 1 << 20
_BATCH_BYTES = 1 << 20
_BATCH_PDUS = 400

_DATA = int(PduType.DATA_TRANSFER)
_COMMAND, _LAST = 1, 2


def longest_fragment(maximum: int) -> int:
    """Bytes of the largest fragment of an even length; 0 or less where there is no room for any."""
    return (min(maximum or _UNLIMITED, _LARGEST) - _HEADER) & ~1


def fragment_size(maximum: int) -> int:
    """Bytes of the largest fragment for a peer that receives PDUs of up to `maximum` bytes (0: any).

    Raises:
        LDicomUsageError: the peer's maximum leaves no room for a fragment, which has an even length (PS3.8 E.1).
    """
    size = longest_fragment(maximum)
    if size < 2:
        raise LDicomUsageError(
            f"the peer receives PDUs of {maximum} bytes, too short for any fragment (PS3.8 D.1)",
            ErrorCode.NET_MESSAGE_SIZE,
        )
    return size


def whole(message: Message, body: Body | None, longest: int) -> list[Buffer] | None:
    """The buffers of a message that needs one PDU for its command set and at most one for its data set, which is in
    memory: as `batches` would make them, but at once. None where it needs more than fragments of `longest` bytes."""
    command, context = message.command_set, message.presentation_id
    length = len(command)
    if length > longest:
        return None
    header = DATA_HEADER.pack(_DATA, 0, length + _HEADER, length + 2, context, _COMMAND | _LAST)
    if body is None:
        return [header + command]
    if not isinstance(body, MemoryBody) or body.size > longest:
        return None
    size = body.size
    return [header, command, DATA_HEADER.pack(_DATA, 0, size + _HEADER, size + 2, context, _LAST), body.data]


def batches(message: Message, body: Body | None, maximum: int) -> Iterator[list[Buffer]]:
    """The message in lists of buffers, each for one write; a list may be changed once the next is asked for.

    The body is read before the first list is handed out, so that one that cannot be read spoils nothing.
    """
    size = fragment_size(maximum)
    batch: list[Buffer] = []
    _append(batch, memoryview(message.command_set), size, message.presentation_id, _COMMAND, is_end=True)
    if body is None:
        yield batch
        return
    left = body.size
    step = max(1, min(_BATCH_PDUS, _BATCH_BYTES // size)) * size
    if not left:
        _append(batch, memoryview(b""), size, message.presentation_id, 0, is_end=True)
    for chunk in body.chunks(size):
        left -= len(chunk)
        for start in range(0, len(chunk), step):
            part = chunk[start : start + step]
            is_end = left == 0 and start + len(part) == len(chunk)
            _append(batch, part, size, message.presentation_id, 0, is_end)
            yield batch
            batch = []
    if batch:
        yield batch


def _append(batch: list[Buffer], data: memoryview, size: int, context: int, control: int, is_end: bool) -> None:
    """Header and fragment for each piece of `data`; all but the last have the full size and one header."""
    whole = DATA_HEADER.pack(_DATA, 0, size + _HEADER, size + 2, context, control)
    tail = (len(data) - 1) // size * size if data else 0
    for start in range(0, tail, size):
        batch += (whole, data[start : start + size])
    rest = data[tail:]
    control |= _LAST if is_end else 0
    batch += (DATA_HEADER.pack(_DATA, 0, len(rest) + _HEADER, len(rest) + 2, context, control), rest)
