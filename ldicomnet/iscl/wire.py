"""ISCL on the wire: the packet header, the message ids, the content of each message; pure, knows no cipher and no order
of messages.

All numbers are words of 32 bits, in the one byte order or the other; which, the first packet shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from ..errors import LDicomSecurityError
from ..status import ErrorCode
from .ciphers import BLOCK
from .options import LONGEST_DATA, WireOptions

HEADER = 32
"""Bytes of a header: indicator, message id, length of the data, option, time stamp, error number, two words to fill."""
ACK, NAK = 0x00000000, 0xFFFFFFFF
_OPTION, _ERROR = 3, 5
_HEADERS = {"big": Struct(">8I"), "little": Struct("<8I")}
_WORDS = {"big": Struct(">I"), "little": Struct("<I")}


class MessageId(IntEnum):
    """The messages; the lower half says request (1), notification (2) or response (3)."""

    LINE_CHECK_REQUEST = 0x00110001
    LINE_CHECK_RESPONSE = 0x00110003
    AUTHENTICATION_REQUEST = 0x00120001
    AUTHENTICATION_RESPONSE = 0x00120003
    PASS_1 = 0x00130002
    PASS_2 = 0x00140002
    PASS_3 = 0x00150002
    COMPLETION = 0x00160002
    TRANSMISSION_REQUEST = 0x00200001
    TRANSMISSION_RESPONSE = 0x00200003
    RANDOM_REQUEST = 0x00210001
    RANDOM_RESPONSE = 0x00210003
    DATA = 0x00200002
    MAC = 0x00230002
    THROUGH = 0x00260002
    DISCONNECTION_REQUEST = 0x00FF0001
    DISCONNECTION_RESPONSE = 0x00FF0003


class Layout(NamedTuple):
    """What a message holds, in this order."""

    has_result: bool = False
    """ACK, NAK, or how a card operation went."""
    words: int = 0
    quantities: int = 0
    """Of 64 bits each."""
    is_counted: bool = False
    """A word with a length, and as many bytes of authentication data."""
    is_raw: bool = False
    """Bytes, up to the end."""


_Id = MessageId
LAYOUTS = {
    # message                        result  words  quantities  counted
    _Id.LINE_CHECK_REQUEST: Layout(False, 2, 0, False),  # version, longest block
    _Id.LINE_CHECK_RESPONSE: Layout(True, 1, 0, False),  # block agreed on
    _Id.AUTHENTICATION_REQUEST: Layout(False, 2, 0, True),  # method, key index, authentication data
    _Id.AUTHENTICATION_RESPONSE: Layout(True, 0, 0, True),  # authentication data
    _Id.PASS_1: Layout(True, 0, 1, False),  # challenge 1
    _Id.PASS_2: Layout(True, 0, 2, False),  # response 1, challenge 2
    _Id.PASS_3: Layout(True, 0, 1, False),  # response 2
    _Id.COMPLETION: Layout(True, 0, 0, False),
    _Id.TRANSMISSION_REQUEST: Layout(False, 4, 0, False),  # encryption, key index, MAC, message length
    _Id.TRANSMISSION_RESPONSE: Layout(True, 1, 0, False),  # longest message
    _Id.RANDOM_REQUEST: Layout(True, 0, 1, False),  # random number
    _Id.RANDOM_RESPONSE: Layout(True, 0, 0, False),
    _Id.DATA: Layout(is_raw=True),
    _Id.MAC: Layout(is_raw=True),
    _Id.THROUGH: Layout(is_raw=True),
    _Id.DISCONNECTION_REQUEST: Layout(),
    _Id.DISCONNECTION_RESPONSE: Layout(True),
}
DATA_CARRIERS = {
    "request+response": (_Id.AUTHENTICATION_REQUEST, _Id.AUTHENTICATION_RESPONSE),
    "pass1+pass2": (_Id.PASS_1, _Id.PASS_2),
    "none": (),
}


def layout(message_id: MessageId, options: WireOptions) -> Layout:
    """What a message holds, under these options."""
    return LAYOUTS[message_id]._replace(is_counted=message_id in DATA_CARRIERS[options.auth_data_in])


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet, in the order of its `Layout`."""

    message_id: MessageId
    words: tuple[int, ...] = ()
    quantities: tuple[bytes, ...] = ()
    data: bytes = b""
    result: int = ACK


def header(message_id: int, length: int, order: str, option: int = 0, error: int = 0) -> bytes:
    """A header; words that nobody uses are zero."""
    return _HEADERS[order].pack(0, message_id, length, option, 0, error, 0, 0)


def encode(packet: Packet, options: WireOptions, order: str) -> bytes:
    """Header and content. One that reports a failure has its result only."""
    shape = layout(packet.message_id, options)
    has_failed = shape.has_result and packet.result != ACK
    words = [packet.result] if shape.has_result and options.result_in == "content" else []
    words += packet.words
    content = b"".join(_WORDS[order].pack(word) for word in words)
    if not has_failed:
        content += b"".join(_turned(quantity, options, order) for quantity in packet.quantities)
        if shape.is_counted:
            content += _WORDS[order].pack(len(packet.data))
        content += packet.data
    option = packet.result if options.result_in == "option" else 0
    error = packet.result if options.result_in == "error" else 0
    return header(packet.message_id, len(content), order, option, error) + content


def _turned(quantity: bytes, options: WireOptions, order: str) -> bytes:
    """A quantity as it is sent, or back."""
    return quantity[::-1] if options.quantities == "numbers" and order == "little" else quantity


def decode(words: tuple[int, ...], content: bytes, options: WireOptions, order: str) -> Packet:
    """A packet of its header and content.

    Raises:
        LDicomSecurityError: they do not fit together.
    """
    message_id = MessageId(words[1])
    shape = layout(message_id, options)
    if shape.is_raw:
        return Packet(message_id, data=content)
    result, at = 0, 0
    if shape.has_result and options.result_in == "content":
        result, at = _word(content, 0, message_id, order), 4
    elif shape.has_result:
        result = words[_OPTION if options.result_in == "option" else _ERROR]
    return _decode_rest(Packet(message_id, result=result), content, at, shape, options, order)


def _decode_rest(start: Packet, content: bytes, at: int, shape: Layout, options: WireOptions, order: str) -> Packet:
    """What comes behind the result; of a failure nothing needs to."""
    message_id = start.message_id
    if start.result != ACK and len(content) == at:
        return start
    numbers = tuple(_word(content, at + 4 * number, message_id, order) for number in range(shape.words))
    at += 4 * shape.words
    if start.result != ACK and len(content) == at:
        return Packet(message_id, numbers, result=start.result)
    quantities = tuple(content[at + BLOCK * number :][:BLOCK] for number in range(shape.quantities))
    at += BLOCK * shape.quantities
    data = b""
    if shape.is_counted:
        length = _word(content, at, message_id, order)
        data = content[at + 4 :]
        at += 4 + length
    if len(content) != at:
        raise _bad_length(message_id, len(content))
    return Packet(message_id, numbers, tuple(_turned(each, options, order) for each in quantities), data, start.result)


def _word(content: bytes, at: int, message_id: MessageId, order: str) -> int:
    if len(content) < at + 4:
        raise _bad_length(message_id, len(content))
    return int(_WORDS[order].unpack_from(content, at)[0])


def _bad_length(message_id: MessageId, length: int) -> LDicomSecurityError:
    return LDicomSecurityError(ErrorCode.ISCL_BAD_LENGTH, f"ISCL {message_id.name} of {length} bytes")


class Reader:
    """Bytes in, packets out; what is announced is compared with what is allowed before anything is held.

    Args:
        options: how it is written.
        most: the longest content of each raw message at the moment; negative where it must not come.

    Attributes:
        order: the peer's byte order, None before its first packet.
    """

    def __init__(self, options: WireOptions, most: Callable[[MessageId], int]) -> None:
        self._options = options
        self._most = most
        self._data = bytearray()
        self._at = self._before = 0
        self.order = None if options.byte_order == "auto" else options.byte_order

    @property
    def raw(self) -> bytes:
        """The packet that `take` gave last, as it came."""
        return bytes(self._data[self._before : self._at])

    @property
    def rest(self) -> bytes:
        """What has come and was not taken."""
        return bytes(self._data[self._at :])

    @property
    def is_unfinished(self) -> bool:
        """Whether a packet has begun and not ended."""
        return len(self._data) > self._at

    def feed(self, data: bytes | memoryview) -> None:
        """Bytes have come."""
        if self._at:
            del self._data[: self._at]
            self._at = self._before = 0
        self._data += data

    def take(self) -> Packet | None:
        """The next packet, None when its end has not come yet.

        Raises:
            LDicomSecurityError: it is none, or longer than it may be; said as soon as that shows.
        """
        left = len(self._data) - self._at
        if left < 8:
            return None
        self._check_id()
        if left < HEADER:
            return None
        assert self.order is not None
        words = _HEADERS[self.order].unpack_from(self._data, self._at)
        end = self._at + HEADER + words[2]
        self._check_length(MessageId(words[1]), words[2])
        if end > len(self._data):
            return None
        self._before, self._at = self._at, end
        return decode(words, bytes(self._data[end - words[2] : end]), self._options, self.order)

    def _check_id(self) -> None:
        """Known, in the peer's byte order; no id is one in both."""
        found = bytes(self._data[self._at + 4 : self._at + 8])
        for order in ("big", "little") if self.order is None else (self.order,):
            if _WORDS[order].unpack(found)[0] in _KNOWN:
                self.order = order
                return
        start = bytes(self._data[self._at : self._at + 8])
        raise LDicomSecurityError(
            ErrorCode.ISCL_BAD_MESSAGE_ID,
            f"what came is no ISCL packet{_guess(start)}: it begins with {start.hex(' ')}",
        )

    def _check_length(self, message_id: MessageId, length: int) -> None:
        most = self._most(message_id) if LAYOUTS[message_id].is_raw else _LONGEST
        if most < 0:
            raise LDicomSecurityError(ErrorCode.ISCL_BAD_MESSAGE_ID, f"ISCL {message_id.name} before authentication")
        if length > most:
            raise _bad_length(message_id, length)


_KNOWN = frozenset(MessageId)
_LONGEST = 4 + 4 + 4 * 4 + 2 * BLOCK + LONGEST_DATA
"""Bytes of any content that is not raw."""


def _guess(start: bytes) -> str:
    """What a peer that does not speak ISCL speaks most likely."""
    if 1 <= start[0] <= 7 and start[1] == 0:
        return ", but DICOM without a security layer"
    return ", but TLS" if start[:2] == b"\x16\x03" else ""
