"""The command set: the elements of group 0000 and their own codec, because it is on the hot path (PS3.7 Section 6.3).

Implicit VR Little Endian throughout. pydicom is imported only where a command set is asked for as a `pydicom.Dataset`.
Knows no message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING, Any

from . import checks
from .errors import LDicomProtocolError, LDicomUsageError
from .status import AbortReason, Priority, Status, named
from .text import reason

if TYPE_CHECKING:
    from pydicom import Dataset

# --- elements, PS3.7 Table E.1-1 (element of group 0000, value representation, keyword) ---------------------------

ELEMENTS = """
0002 UI AffectedSOPClassUID
0003 UI RequestedSOPClassUID
0100 US CommandField
0110 US MessageID
0120 US MessageIDBeingRespondedTo
0600 AE MoveDestination
0700 US Priority
0800 US CommandDataSetType
0900 US Status
0901 AT OffendingElement
0902 LO ErrorComment
0903 US ErrorID
1000 UI AffectedSOPInstanceUID
1001 UI RequestedSOPInstanceUID
1002 US EventTypeID
1005 AT AttributeIdentifierList
1008 US ActionTypeID
1020 US NumberOfRemainingSuboperations
1021 US NumberOfCompletedSuboperations
1022 US NumberOfFailedSuboperations
1023 US NumberOfWarningSuboperations
1030 AE MoveOriginatorApplicationEntityTitle
1031 US MoveOriginatorMessageID
"""

GROUP_LENGTH = 0x0000
AFFECTED_CLASS, REQUESTED_CLASS = 0x0002, 0x0003
COMMAND_FIELD, MESSAGE_ID, RESPONDED_ID = 0x0100, 0x0110, 0x0120
DATA_SET_TYPE, STATUS, AFFECTED_INSTANCE, REQUESTED_INSTANCE = 0x0800, 0x0900, 0x1000, 0x1001

_COUNTS = range(0x1020, 0x1024)

_ELEMENT = Struct("<HHI")
NUMBER = Struct("<HHIH")
_PAIR = Struct("<II")
_GROUP_LENGTH = Struct("<HHII")
US = Struct("<H")

# What a hook gets for an element that the peer left out, by parameter.
ABSENT_VALUES: dict[str, Any] = {
    "sop_class_uid": "",
    "sop_instance_uid": "",
    "move_ae": "",
    "move_message_id": 0,
    "priority": Priority.MEDIUM,
    "attributes": [],
}
named_status = named(Status)
_NAMED: dict[str, Callable[[int], int]] = {"status": named_status, "priority": named(Priority)}


# --- values to elements: each VR has a maker of functions that take a value and give the whole element ------------

Encoder = Callable[[Any], bytes]


def _element(number: int, data: bytes) -> bytes:
    return _ELEMENT.pack(0, number, len(data)) + data


def _encodes_number(name: str, number: int, optional: bool) -> Encoder:
    pack = NUMBER.pack

    def encode(value: Any) -> bytes:
        if optional and (value is None or (value == 0 and name in ABSENT_VALUES)):
            return b""
        try:
            return pack(0, number, 2, value)
        except StructError:
            return pack(0, number, 2, checks.number(name, value, 0xFFFF))

    return encode


def _encodes_uid(name: str, number: int, optional: bool) -> Encoder:
    is_instance = name == "sop_instance_uid"
    tolerant = optional or is_instance

    def encode(value: Any) -> bytes:
        if optional and (value is None or value == ""):
            return b""
        if not (tolerant and isinstance(value, str) and checks.is_tolerable_uid(value)):
            checks.uid(name, value)
        return _element(number, value.encode("ascii") + b"\0" * (len(value) & 1))

    return encode if is_instance else lru_cache(256)(encode)  # the same few SOP classes come again and again


def _encodes_title(name: str, number: int, optional: bool) -> Encoder:
    def encode(value: Any) -> bytes:
        if optional and value in (None, ""):
            return b""
        data = checks.title(name, value).encode("ascii")
        return _element(number, data + b" " * (len(data) & 1))

    return encode


def _encodes_tags(name: str, number: int, optional: bool) -> Encoder:
    def encode(value: Any) -> bytes:
        data = _tags(name, () if value is None else value)
        return _element(number, data) if data or not optional else b""

    return encode


def _tags(name: str, value: Iterable[int | tuple[int, int]]) -> bytes:
    try:
        pairs = [(tag >> 16, tag & 0xFFFF) if isinstance(tag, int) else tag for tag in value]
        return b"".join(group.to_bytes(2, "little") + element.to_bytes(2, "little") for group, element in pairs)
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise LDicomUsageError(f"{name} is not a list of tags: {error}") from None


ENCODERS: dict[str, Callable[[str, int, bool], Encoder]] = {
    "US": _encodes_number,
    "UI": _encodes_uid,
    "AE": _encodes_title,
    "AT": _encodes_tags,
}


# --- elements to values ------------------------------------------------------------------------------------------


def read_number(number: int, data: bytes) -> int:
    """A number; of the counts of sub-operations, of which some peers send several values, the first."""
    if number in _COUNTS and len(data) > 2 and not len(data) % 2:
        data = data[:2]
    if len(data) != 2:
        raise LDicomProtocolError(f"command set: element (0000,{number:04X}) has {len(data)} bytes instead of 2")
    return data[0] | data[1] << 8


def read_text(data: bytes) -> str:
    return str(data, "latin-1").strip("\0 ")


def _read_tags(number: int, data: bytes) -> list[int]:
    if len(data) % 4:
        raise LDicomProtocolError(f"command set: element (0000,{number:04X}) has {len(data)} bytes of tags")
    words = [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]
    return [group << 16 | element for group, element in zip(words[::2], words[1::2], strict=True)]


VR = {int(number, 16): vr for number, vr, _keyword in map(str.split, ELEMENTS.strip().splitlines())}

Decoder = Callable[[dict[int, bytes]], Any]


def decoder(name: str, number: int, vr: str) -> Decoder:
    """What gives the value for the hook."""
    if vr == "US":
        return _decodes_number(number, ABSENT_VALUES.get(name), _NAMED.get(name, int))
    if vr == "AT":
        return lambda elements: _read_tags(number, elements.get(number, b""))
    absent = ABSENT_VALUES[name]

    def decode_text(elements: dict[int, bytes]) -> str | None:
        data = elements.get(number)
        return absent if data is None else read_text(data)

    return decode_text


def _decodes_number(number: int, absent: Any, label: Callable[[int], int]) -> Decoder:
    unpack = US.unpack

    def decode_number(elements: dict[int, bytes]) -> Any:
        data = elements.get(number)
        if not data:
            return absent
        if len(data) == 2:
            return label(unpack(data)[0])
        return label(read_number(number, data))

    return decode_number


# --- whole command sets ------------------------------------------------------------------------------------------


def with_group_length(elements: bytes) -> bytes:
    return _GROUP_LENGTH.pack(0, GROUP_LENGTH, 4, len(elements)) + elements


def encode_elements(elements: dict[int, bytes]) -> bytes:
    """A command set of raw elements, in ascending order behind a new group length."""
    kept = sorted(number for number in elements if number != GROUP_LENGTH)
    return with_group_length(b"".join(_element(number, elements[number]) for number in kept))


def decode_elements(command_set: bytes) -> dict[int, bytes]:
    """The elements of a command set, PS3.7 6.3.1: by element number, values as they came.

    Raises:
        LDicomProtocolError: a length runs over the end, or an element is not of group 0000.
    """
    elements: dict[int, bytes] = {}
    position, end = 0, len(command_set)
    unpack = _PAIR.unpack_from
    while position + 8 <= end:
        tag, length = unpack(command_set, position)
        start = position + 8
        position = start + length
        if tag & 0xFFFF or position > end:
            position = -1
            break
        elements[tag >> 16] = command_set[start:position]
    if position != end:
        raise LDicomProtocolError("command set: an element runs over the end or is not of group 0000 (PS3.7 6.3.1)")
    return elements


def required(elements: dict[int, bytes], number: int) -> int:
    data = elements.get(number)
    if data is None:
        raise LDicomProtocolError(
            f"command set: element (0000,{number:04X}) is missing (PS3.7 Annex E)", AbortReason.INVALID_PARAM
        )
    return read_number(number, data)


# --- command sets as pydicom's -----------------------------------------------------------------------------------


def to_dataset(command_set: bytes) -> Dataset:
    """The command set as a `pydicom.Dataset`.

    Its elements are made here: pydicom's reader takes a first length of 0x5153, "SQ", for an explicit VR.

    Raises:
        LDicomProtocolError: a length runs over the end, or an element is not of group 0000.
    """
    from pydicom import Dataset
    from pydicom.charset import default_encoding
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import BaseTag

    elements = {BaseTag(number): value for number, value in decode_elements(command_set).items()}
    dataset = Dataset(
        {tag: RawDataElement(tag, None, len(value), value or None, 0, True, True) for tag, value in elements.items()}
    )
    dataset.set_original_encoding(True, True, default_encoding)
    return dataset


def from_dataset(dataset: Dataset, has_data_set: bool) -> bytes:
    """A command set given as a `pydicom.Dataset`, with the group length and data set type that are right for it.

    Raises:
        LDicomUsageError: there are elements of other groups, or values that cannot be encoded.
    """
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    if any(tag.group for tag in dataset.keys()):  # noqa: SIM118 - iterating decodes every element
        raise LDicomUsageError("command_set has elements outside group 0000 (PS3.7 6.3.1)")
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, True
    try:
        write_dataset(stream, dataset)
    except Exception as error:  # pydicom raises what comes, OSError too
        raise LDicomUsageError(f"command_set cannot be encoded: {reason(error)}") from error
    elements = decode_elements(stream.getvalue())
    present = elements.get(DATA_SET_TYPE, b"") not in (b"", b"\1\1")
    if not has_data_set:
        elements[DATA_SET_TYPE] = b"\1\1"
    elif not present:
        elements[DATA_SET_TYPE] = b"\1\0"
    return encode_elements(elements)
