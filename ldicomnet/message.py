"""DIMSE messages, PS3.7: one table of 23 rows says what is on the wire and what the methods and hooks take.

The codec of command sets is our own, because group 0000 is on the hot path; pydicom is imported only where a command
set is asked for as a `pydicom.Dataset`. Knows no PDU and no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from struct import Struct
from typing import TYPE_CHECKING, Any

from . import checks
from .body import Body
from .errors import LDicomProtocolError, LDicomUsageError
from .status import AbortReason, Command, Priority, Status

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

# --- messages, PS3.7 Sections 9.3 and 10.3 ------------------------------------------------------------------------
# command field, name, and the parameters in the order of the method: parameter:element, in hexadecimal, with "?"
# where the element is left out when the value is empty; `dataset` stands last where the message may carry one, with "!"
# where it must.

MESSAGES = """
0001 c_store_request   message_id:0110 sop_class_uid:0002 sop_instance_uid:1000 priority:0700 move_ae:1030? move_message_id:1031? dataset!
8001 c_store_response  message_id:0120 sop_class_uid:0002? sop_instance_uid:1000? status:0900
0020 c_find_request    message_id:0110 sop_class_uid:0002 priority:0700 dataset!
8020 c_find_response   message_id:0120 sop_class_uid:0002? status:0900 dataset
0010 c_get_request     message_id:0110 sop_class_uid:0002 priority:0700 dataset!
8010 c_get_response    message_id:0120 sop_class_uid:0002? status:0900 remaining:1020? completed:1021? failed:1022? warning:1023? dataset
0021 c_move_request    message_id:0110 sop_class_uid:0002 priority:0700 move_ae:0600 dataset!
8021 c_move_response   message_id:0120 sop_class_uid:0002? status:0900 remaining:1020? completed:1021? failed:1022? warning:1023? dataset
0FFF c_cancel_request  message_id:0120
0030 c_echo_request    message_id:0110 sop_class_uid:0002
8030 c_echo_response   message_id:0120 sop_class_uid:0002? status:0900
0100 n_report_request  message_id:0110 sop_class_uid:0002 sop_instance_uid:1000 event:1002 dataset
8100 n_report_response message_id:0120 sop_class_uid:0002? sop_instance_uid:1000? status:0900 event:1002? dataset
0110 n_get_request     message_id:0110 sop_class_uid:0003 sop_instance_uid:1001 attributes:1005?
8110 n_get_response    message_id:0120 sop_class_uid:0002? sop_instance_uid:1000? status:0900 dataset
0120 n_set_request     message_id:0110 sop_class_uid:0003 sop_instance_uid:1001 dataset!
8120 n_set_response    message_id:0120 sop_class_uid:0002? sop_instance_uid:1000? status:0900 dataset
0130 n_action_request  message_id:0110 sop_class_uid:0003 sop_instance_uid:1001 action:1008 dataset
8130 n_action_response message_id:0120 sop_class_uid:0002? sop_instance_uid:1000? status:0900 action:1008? dataset
0140 n_create_request  message_id:0110 sop_class_uid:0002 sop_instance_uid:1000? dataset
8140 n_create_response message_id:0120 sop_class_uid:0002? sop_instance_uid:1000? status:0900 dataset
0150 n_delete_request  message_id:0110 sop_class_uid:0003 sop_instance_uid:1001
8150 n_delete_response message_id:0120 sop_class_uid:0002? sop_instance_uid:1000? status:0900
"""

GROUP_LENGTH = 0x0000
AFFECTED_CLASS, REQUESTED_CLASS = 0x0002, 0x0003
COMMAND_FIELD, MESSAGE_ID, RESPONDED_ID = 0x0100, 0x0110, 0x0120
DATA_SET_TYPE, STATUS, AFFECTED_INSTANCE, REQUESTED_INSTANCE = 0x0800, 0x0900, 0x1000, 0x1001

_COUNTS = range(0x1020, 0x1024)

_ELEMENT = Struct("<HHI")
_NUMBER = Struct("<HHIH")
_PAIR = Struct("<II")


# --- values of elements ------------------------------------------------------------------------------------------


@lru_cache(2048)
def _uid(number: int, name: str, value: str, tolerant: bool) -> bytes:
    """The whole element: the same few UIDs go into one command set after the other."""
    if not (tolerant and checks.is_tolerable_uid(value)):
        checks.uid(name, value)
    return _element(number, value.encode("ascii") + b"\0" * (len(value) & 1))


def _title(name: str, value: str) -> bytes:
    data = checks.title(name, value).encode("ascii")
    return data + b" " * (len(data) & 1)


def _tags(name: str, value: Iterable[int | tuple[int, int]]) -> bytes:
    try:
        pairs = [(tag >> 16, tag & 0xFFFF) if isinstance(tag, int) else tag for tag in value]
        return b"".join(group.to_bytes(2, "little") + element.to_bytes(2, "little") for group, element in pairs)
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise LDicomUsageError(f"{name} is not a list of tags: {error}") from None


def _element(number: int, data: bytes) -> bytes:
    return _ELEMENT.pack(0, number, len(data)) + data


_ENCODE: dict[str, Callable[[int, str, Any], bytes]] = {
    "US": lambda number, name, value: _NUMBER.pack(0, number, 2, checks.number(name, value, 0xFFFF)),
    "AE": lambda number, name, value: _element(number, _title(name, value)),
    "AT": lambda number, name, value: _element(number, _tags(name, value)),
}


def _read_number(number: int, data: bytes) -> int:
    """A number; of the counts of sub-operations, of which some peers send several values, the first."""
    if number in _COUNTS and len(data) > 2 and not len(data) % 2:
        data = data[:2]
    if len(data) != 2:
        raise LDicomProtocolError(f"command set: element (0000,{number:04X}) has {len(data)} bytes instead of 2")
    return data[0] | data[1] << 8


def _read_text(number: int, data: bytes) -> str:
    return data.decode("latin-1").strip("\0 ")


def _read_tags(number: int, data: bytes) -> list[int]:
    if len(data) % 4:
        raise LDicomProtocolError(f"command set: element (0000,{number:04X}) has {len(data)} bytes of tags")
    words = [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]
    return [group << 16 | element for group, element in zip(words[::2], words[1::2], strict=True)]


_DECODE: dict[str, Callable[[int, bytes], Any]] = {
    "US": _read_number,
    "UI": _read_text,
    "AE": _read_text,
    "AT": _read_tags,
}

_VR = {int(number, 16): vr for number, vr, _keyword in map(str.split, ELEMENTS.strip().splitlines())}

# What a hook gets for an element that the peer left out, by parameter.
ABSENT_VALUES: dict[str, Any] = {
    "sop_class_uid": "",
    "sop_instance_uid": "",
    "move_ae": "",
    "move_message_id": 0,
    "priority": Priority.MEDIUM,
    "attributes": [],
}
_NAMED: dict[str, Callable[[int], int]] = {"status": Status, "priority": Priority}


# --- the rows ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a message: its name, its element with its VR, and whether the element may be left out."""

    name: str
    element: int
    vr: str
    optional: bool

    def encode(self, value: Any) -> bytes:
        """The whole element, or nothing where it is left out."""
        if self.optional and (value is None or (value in ("", 0, [], ()) and self.name in ABSENT_VALUES)):
            return b""
        if self.vr == "UI":
            tolerant = self.optional or self.name == "sop_instance_uid"
            text = value if isinstance(value, str) else checks.uid(self.name, value)
            return _uid(self.element, self.name, text, tolerant)
        return _ENCODE[self.vr](self.element, self.name, value)

    def decode(self, elements: dict[int, bytes]) -> Any:
        """The value for the hook."""
        data = elements.get(self.element)
        if data is None or (not data and self.vr == "US"):
            absent = ABSENT_VALUES.get(self.name)
            return list(absent) if isinstance(absent, list) else absent
        value = _DECODE[self.vr](self.element, data)
        return _NAMED[self.name](value) if self.name in _NAMED else value


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `MESSAGES`."""

    field: int
    name: str
    parameters: tuple[Parameter, ...]
    has_dataset: bool
    needs_dataset: bool

    signature: tuple[str, ...]
    """Names of all parameters of `send_NAME` and `on_receive_NAME`."""
    hook: str
    """Name of the hook."""

    @property
    def is_request(self) -> bool:
        """Whether the message asks for something; C-CANCEL does, though it has no response."""
        return not self.field & Command.RESPONSE

    @property
    def response(self) -> Row | None:
        """The row of the response to this request."""
        return BY_FIELD.get(self.field | Command.RESPONSE) if self.is_request else None


def _row(line: str) -> Row:
    field, name, *words = line.split()
    parameters = []
    for word in words:
        if not word.startswith("dataset"):
            parameter, element = word.split(":")
            number = int(element.rstrip("?"), 16)
            parameters.append(Parameter(parameter, number, _VR[number], element.endswith("?")))
    names = tuple(parameter.name for parameter in parameters)
    has_dataset = words[-1].startswith("dataset")
    signature = ("presentation_id", *names, *(("dataset",) if has_dataset else ()))
    needs_dataset = words[-1] == "dataset!"
    return Row(int(field, 16), name, tuple(parameters), has_dataset, needs_dataset, signature, "on_receive_" + name)


ROWS = tuple(_row(line) for line in MESSAGES.strip().splitlines())
BY_NAME = {row.name: row for row in ROWS}
BY_FIELD = {row.field: row for row in ROWS}

# The elements of each row in the order of the wire, with their parameter's place in the method.
_WIRE_ORDER = {
    row.field: tuple(
        (number, place)
        for number, place in sorted(
            [(parameter.element, place) for place, parameter in enumerate(row.parameters)]
            + [(COMMAND_FIELD, -1), (DATA_SET_TYPE, -2)]
        )
    )
    for row in ROWS
}
_STATUS_PLACE = {row.field: row.signature.index("status") - 1 for row in ROWS if not row.is_request}
_FIELDS = {row.field: _NUMBER.pack(0, COMMAND_FIELD, 2, row.field) for row in ROWS}
_ABSENT_TYPE = _NUMBER.pack(0, DATA_SET_TYPE, 2, Command.ABSENT)
_PRESENT_TYPE = _NUMBER.pack(0, DATA_SET_TYPE, 2, 1)
"""Any value but 0101H says that a data set follows; 1 is what every stack sends."""


# --- the codec ---------------------------------------------------------------------------------------------------


def _with_group_length(elements: bytes) -> bytes:
    return _ELEMENT.pack(0, GROUP_LENGTH, 4) + len(elements).to_bytes(4, "little") + elements


def encode(row: Row, values: tuple[Any, ...], has_data_set: bool) -> bytes:
    """The command set of `row` with `values` in the order of its parameters; Implicit VR Little Endian.

    Raises:
        LDicomUsageError: a value is not one; the text names the parameter and the rule.
    """
    parts = []
    for number, place in _WIRE_ORDER[row.field]:
        if place >= 0:
            parts.append(row.parameters[place].encode(values[place]))
        elif number == COMMAND_FIELD:
            parts.append(_FIELDS[row.field])
        else:
            parts.append(_PRESENT_TYPE if has_data_set else _ABSENT_TYPE)
    return _with_group_length(b"".join(parts))


def encode_elements(elements: dict[int, bytes]) -> bytes:
    """A command set of raw elements, in ascending order behind a new group length."""
    kept = sorted(number for number in elements if number != GROUP_LENGTH)
    return _with_group_length(b"".join(_element(number, elements[number]) for number in kept))


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


class Message:
    """One DIMSE message, received or to be sent; made by `decode` or `build`.

    Attributes:
        presentation_id: the presentation context it travels on.
        command_set: its encoded command set.
        field: the command field, (0000,0100).
        row: its row of the table; None for a command field of no known kind.
        message_id: (0000,0110) of a request, (0000,0120) of a response or a C-CANCEL.
        status: (0000,0900), or None.
        has_data_set: whether a data set follows the command set.
        body: the encoded data set, once it is there.
    """

    __slots__ = (
        "_elements",
        "body",
        "command_set",
        "field",
        "has_data_set",
        "message_id",
        "presentation_id",
        "row",
        "status",
    )

    def __init__(
        self,
        presentation_id: int,
        command_set: bytes,
        field: int,
        message_id: int,
        status: Status | None,
        has_data_set: bool,
    ) -> None:
        self.presentation_id = presentation_id
        self.command_set = command_set
        self.field = field
        self.row = BY_FIELD.get(field)
        self.message_id = message_id
        self.status = status
        self.has_data_set = has_data_set
        self.body: Body | None = None
        self._elements: dict[int, bytes] | None = None

    @property
    def elements(self) -> dict[int, bytes]:
        """The values of the command set by element number, as on the wire."""
        if self._elements is None:
            self._elements = decode_elements(self.command_set)
        return self._elements

    @property
    def is_response(self) -> bool:
        """Whether the command field says that this answers a request."""
        return bool(self.field & Command.RESPONSE)

    @property
    def is_final(self) -> bool:
        """Whether this response is the last to its request."""
        return self.status is not None and not self.status.is_pending

    @property
    def expects_response(self) -> bool:
        """Whether this is a request that is answered; C-CANCEL is not."""
        return not self.field & Command.RESPONSE and self.field != Command.C_CANCEL

    @property
    def sop_class_uid(self) -> str:
        """Affected or requested SOP class UID, "" where there is none."""
        return _read_text(0, self.elements.get(AFFECTED_CLASS) or self.elements.get(REQUESTED_CLASS, b""))

    @property
    def sop_instance_uid(self) -> str:
        """Affected or requested SOP instance UID, "" where there is none."""
        instance = self.elements.get(AFFECTED_INSTANCE) or self.elements.get(REQUESTED_INSTANCE, b"")
        return _read_text(0, instance)

    def arguments(self) -> list[Any]:
        """The values of the row's parameters, for the hook."""
        assert self.row is not None
        return [parameter.decode(self.elements) for parameter in self.row.parameters]

    def __repr__(self) -> str:
        name = self.row.name if self.row else f"command field {self.field:04X}H"
        status = "" if self.status is None else f", status {self.status:04X}H"
        return f"<{name}, context {self.presentation_id}, message {self.message_id}{status}>"


def decode(presentation_id: int, command_set: bytes) -> Message:
    """The message that a received command set begins.

    Raises:
        LDicomProtocolError: the command set is malformed, or lacks its field, its message ID, its data set type, or
            the status of a response.
    """
    elements = decode_elements(command_set)
    field = _required(elements, COMMAND_FIELD)
    is_response = bool(field & Command.RESPONSE)
    message_id = _required(elements, RESPONDED_ID if is_response or field == Command.C_CANCEL else MESSAGE_ID)
    status = Status(_required(elements, STATUS)) if is_response else None
    has_data_set = _required(elements, DATA_SET_TYPE) != Command.ABSENT
    message = Message(presentation_id, command_set, field, message_id, status, has_data_set)
    message._elements = elements
    return message


def _required(elements: dict[int, bytes], number: int) -> int:
    data = elements.get(number)
    if data is None:
        raise LDicomProtocolError(
            f"command set: element (0000,{number:04X}) is missing (PS3.7 Annex E)", AbortReason.INVALID_PARAM
        )
    return _read_number(number, data)


def build(row: Row, presentation_id: int, values: tuple[Any, ...], has_data_set: bool) -> Message:
    """The message of `row` with these values of its parameters.

    Raises:
        LDicomUsageError: a value is not one; the text names the parameter and the rule.
    """
    command_set = encode(row, values, has_data_set)
    place = _STATUS_PLACE.get(row.field)
    status = None if place is None else Status(values[place])
    return Message(presentation_id, command_set, row.field, int(values[0]), status, has_data_set)


# --- command sets as pydicom's -----------------------------------------------------------------------------------


def to_dataset(command_set: bytes) -> Dataset:
    """The command set as a `pydicom.Dataset`."""
    from pydicom.filereader import read_dataset

    return read_dataset(BytesIO(command_set), is_implicit_VR=True, is_little_endian=True)


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
        raise LDicomUsageError(f"command_set cannot be encoded: {error}") from error
    elements = decode_elements(stream.getvalue())
    present = elements.get(DATA_SET_TYPE, b"") not in (b"", b"\1\1")
    if not has_data_set:
        elements[DATA_SET_TYPE] = b"\1\1"
    elif not present:
        elements[DATA_SET_TYPE] = b"\1\0"
    return encode_elements(elements)
