"""DIMSE messages, PS3.7: one table of 23 rows says what is on the wire and what the methods and hooks take.

Knows no PDU and no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from struct import error as StructError
from typing import Any, NamedTuple

from . import checks
from .body import Body
from .command_set import (
    AFFECTED_CLASS,
    AFFECTED_INSTANCE,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    ENCODERS,
    MESSAGE_ID,
    NUMBER,
    REQUESTED_CLASS,
    REQUESTED_INSTANCE,
    RESPONDED_ID,
    STATUS,
    US,
    VR,
    Decoder,
    Encoder,
    decode_elements,
    decoder,
    named_status,
    read_text,
    required,
    with_group_length,
)
from .errors import LDicomDataError, LDicomProtocolError, LDicomUsageError
from .status import Command, ErrorCode, Status

_RESPONSE, _CANCEL, _ABSENT = int(Command.RESPONSE), int(Command.C_CANCEL), int(Command.ABSENT)

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

# --- the rows ----------------------------------------------------------------------------------------------------


class Parameter(NamedTuple):
    """One parameter of a message: its name, its element with its VR, and whether the element may be left out."""

    name: str
    element: int
    vr: str
    optional: bool
    encode: Encoder
    """Value to whole element, or to nothing where it is left out."""
    decode: Decoder
    """Elements by number to the value for the hook."""


Piece = tuple[int, Encoder | bytes]
"""The place of a parameter and what encodes it, or -1 and an element that is always the same."""


class Row(NamedTuple):
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
    is_request: bool
    """Whether the message asks for something; C-CANCEL does, though it has no response."""
    decoders: tuple[Decoder, ...]
    """What gives the parameters' values."""
    pieces: tuple[tuple[Piece, ...], tuple[Piece, ...]]
    """The command set in the order of the wire; without a data set, and with one."""

    uid_places: tuple[int, int]
    """Places of SOP class and instance UID among the parameters, -1 for none."""
    has_list: bool
    """Whether one of the values is a list."""

    @property
    def response(self) -> Row | None:
        """The row of the response to this request."""
        return BY_FIELD.get(self.field | Command.RESPONSE) if self.is_request else None


def _parameter(word: str) -> Parameter:
    name, element = word.split(":")
    number, optional = int(element.rstrip("?"), 16), element.endswith("?")
    vr = VR[number]
    return Parameter(name, number, vr, optional, ENCODERS[vr](name, number, optional), decoder(name, number, vr))


def _row(line: str) -> Row:
    code, name, *words = line.split()
    field = int(code, 16)
    parameters = tuple(_parameter(word) for word in words if not word.startswith("dataset"))
    names = tuple(each.name for each in parameters)
    has_dataset = words[-1].startswith("dataset")
    return Row(
        field,
        name,
        parameters,
        has_dataset,
        needs_dataset=words[-1] == "dataset!",
        signature=("presentation_id", *names, *(("dataset",) if has_dataset else ())),
        hook="on_receive_" + name,
        is_request=not field & Command.RESPONSE,
        decoders=tuple(each.decode for each in parameters),
        pieces=(_pieces(field, parameters, Command.ABSENT), _pieces(field, parameters, _PRESENT)),
        uid_places=(_place(names, "sop_class_uid"), _place(names, "sop_instance_uid")),
        has_list=any(each.vr == "AT" for each in parameters),
    )


def _place(names: tuple[str, ...], name: str) -> int:
    return names.index(name) if name in names else -1


_PRESENT = 1
"""Any data set type but 0101H says that a data set follows; 1 is what every stack sends."""


def _pieces(field: int, parameters: tuple[Parameter, ...], data_set_type: int) -> tuple[Piece, ...]:
    found: list[tuple[int, Piece]] = [
        (parameter.element, (place, parameter.encode)) for place, parameter in enumerate(parameters)
    ]
    for number, value in ((COMMAND_FIELD, field), (DATA_SET_TYPE, data_set_type)):
        found.append((number, (-1, NUMBER.pack(0, number, 2, value))))
    return tuple(piece for _number, piece in sorted(found, key=lambda entry: entry[0]))


ROWS = tuple(_row(line) for line in MESSAGES.strip().splitlines())
BY_NAME = {row.name: row for row in ROWS}
BY_FIELD = {row.field: row for row in ROWS}


class Answer(NamedTuple):
    """A response with nothing but a status, to a request of one kind."""

    row: Row
    """That of the response."""
    asked: int
    """How many values the request has."""
    pick: Callable[[Sequence[Any]], tuple[Any, ...]]
    """Takes the values of the response from those of the request, the status and None."""

    def values(self, asked: Sequence[Any], status: int) -> tuple[Any, ...]:
        """Values of the response to a request with the values `asked`, which may be followed by a data set."""
        return self.pick((*asked[: self.asked], status, None))


def _answer(request: Row, response: Row) -> Answer:
    given = (*request.signature[1 : len(request.parameters) + 1], "status", "")
    picked = [given.index(each.name) if each.name in given else -1 for each in response.parameters]
    return Answer(response, len(request.parameters), itemgetter(*picked))


ANSWERS = {row.field: _answer(row, row.response) for row in ROWS if row.response}
"""By the field of the request."""

_STATUS_PLACE = {row.field: row.signature.index("status") - 1 for row in ROWS if not row.is_request}

# --- the codec ---------------------------------------------------------------------------------------------------


def encode(row: Row, values: tuple[Any, ...], has_data_set: bool) -> bytes:
    """The command set of `row` with `values` in the order of its parameters; Implicit VR Little Endian.

    Raises:
        LDicomUsageError: a value is not one; the text names the parameter and the rule.
    """
    elements = b""
    try:
        for place, piece in row.pieces[has_data_set]:
            elements += piece if place < 0 else piece(values[place])  # type: ignore[operator]
    except TypeError:  # a UID that cannot be hashed
        raise _unhashable(row, values) from None
    return with_group_length(elements)


def _unhashable(row: Row, values: tuple[Any, ...]) -> LDicomUsageError:
    wrong = [
        f"{parameter.name} is {value!r}, which is not a UID (PS3.5 Section 9.1)"
        for parameter, value in zip(row.parameters, values, strict=True)
        if parameter.vr == "UI" and not isinstance(value, str)
    ]
    return LDicomUsageError("; ".join(wrong) or f"the values of {row.name} are {values!r}")


class Kind:
    """What messages with one command field, and responses with one status, have in common.

    Attributes:
        number: the command field or, of a response, command field and status in one number.
        row: its row of the table; None for a command field of no known kind.
        is_response, is_pending, is_final, expects_response: as `Message` has them.
    """

    __slots__ = (
        "expects_response", "field", "is_final", "is_pending", "is_response", "number", "row", "status",
    )  # fmt: skip

    def __init__(self, number: int, field: int, status: Status | None) -> None:
        self.number = number
        self.field = field
        self.status = status
        self.row = BY_FIELD.get(field)
        self.is_response = field >= _RESPONSE
        self.is_pending = status in (0xFF00, 0xFF01)
        self.is_final = status is not None and not self.is_pending
        self.expects_response = field < _RESPONSE and field != _CANCEL


_KINDS: dict[int, Kind] = {}


def _kind(field: int, status: Status | None) -> Kind:
    number = field if status is None else field << 16 | status
    kind = _KINDS.get(number)
    if kind is None:
        kind = Kind(number, field, status)
        if kind.row is not None and (status is None or status.is_known):  # a peer may send any number as a status
            _KINDS[number] = kind
    return kind


class Message:
    """One DIMSE message, received or to be sent; made by `decode` or `build`.

    Attributes:
        presentation_id: the presentation context it travels on.
        command_set: its encoded command set.
        kind: what it has in common with others; `field`, `status` and the like are asked there.
        message_id: (0000,0110) of a request, (0000,0120) of a response or a C-CANCEL.
        has_data_set: whether a data set follows the command set.
        body: the encoded data set, once it is there.
        refused: the status given to `refuse`, or None.
    """

    __slots__ = (
        "_arguments",
        "_around_id",
        "_elements",
        "_instance",
        "body",
        "command_set",
        "has_data_set",
        "kind",
        "message_id",
        "presentation_id",
        "refused",
    )

    def __init__(
        self,
        presentation_id: int,
        command_set: bytes,
        kind: Kind,
        message_id: int,
        has_data_set: bool,
        elements: dict[int, bytes] | None = None,
    ) -> None:
        self.presentation_id = presentation_id
        self.command_set = command_set
        self.kind = kind
        self.message_id = message_id
        self.has_data_set = has_data_set
        self.body: Body | None = None
        self.refused: Status | None = None
        self._elements = elements
        self._around_id: tuple[bytes, bytes] | None = None
        self._instance: str | None = None
        self._arguments: tuple[Any, ...] | None = None

    @property
    def field(self) -> int:
        """The command field, (0000,0100)."""
        return self.kind.field

    @property
    def status(self) -> Status | None:
        """(0000,0900), or None."""
        return self.kind.status

    @property
    def row(self) -> Row | None:
        """Its row of the table; None for a command field of no known kind."""
        return self.kind.row

    @property
    def is_response(self) -> bool:
        """Whether the command field says that this answers a request."""
        return self.kind.is_response

    @property
    def is_pending(self) -> bool:
        """Whether more responses to the same request follow."""
        return self.kind.is_pending

    @property
    def is_final(self) -> bool:
        """Whether this response is the last to its request."""
        return self.kind.is_final

    @property
    def expects_response(self) -> bool:
        """Whether this is a request that is answered; C-CANCEL is not."""
        return self.kind.expects_response

    def again(self, command_set: bytes, message_id: int) -> Message:
        """The message of a command set that differs in nothing but the message ID."""
        message = Message(self.presentation_id, command_set, self.kind, message_id, self.has_data_set)
        message._instance = self._instance
        values = self._arguments
        if values is None and self.kind.row is not None and not self.kind.row.has_list:
            values = self.arguments()
        if values is not None:
            message._arguments = message_id, *values[1:]
        return message

    def with_id(self, message_id: int) -> Message | None:
        """The message with another ID, to be sent; None where that is none."""
        around = self._around_id or self.around_id()
        if around is None:
            return None
        try:
            packed = US.pack(message_id)
        except StructError:
            return None
        if type(message_id) is not int:
            message_id = int(message_id)
        command_set = around[0] + packed + around[1]
        return Message(self.presentation_id, command_set, self.kind, message_id, self.has_data_set)

    def around_id(self) -> tuple[bytes, bytes] | None:
        """What stands in the command set before and after the value of the message ID; None where that is not plain to
        see."""
        elements, command_set = self.elements, self.command_set
        if sum(map(len, elements.values())) + 8 * len(elements) != len(command_set):  # an element came twice
            return None
        number = MESSAGE_ID if self.expects_response else RESPONDED_ID
        position = 8
        for found, value in elements.items():
            if found == number:
                break
            position += 8 + len(value)
        self._around_id = command_set[:position], command_set[position + 2 :]
        return self._around_id

    @property
    def elements(self) -> dict[int, bytes]:
        """The values of the command set by element number, as on the wire."""
        if self._elements is None:
            self._elements = decode_elements(self.command_set)
        return self._elements

    @property
    def sop_class_uid(self) -> str:
        """Affected or requested SOP class UID, "" where there is none."""
        return read_text(self.elements.get(AFFECTED_CLASS) or self.elements.get(REQUESTED_CLASS, b""))

    @property
    def sop_instance_uid(self) -> str:
        """Affected or requested SOP instance UID, "" where there is none."""
        if self._instance is None:
            elements = self.elements
            self._instance = read_text(elements.get(AFFECTED_INSTANCE) or elements.get(REQUESTED_INSTANCE, b""))
        return self._instance

    @property
    def name(self) -> str:
        """The name of its row, such as "c_store_request"; "" for a command field of no known kind."""
        return self.row.name if self.row else ""

    @property
    def file_name(self) -> str:
        """A name for a file of the instance: its SOP instance UID and ".dcm".

        Raises:
            LDicomDataError: the UID is none, so that a peer could name any file.
        """
        return file_name(self.sop_instance_uid)

    def refuse(self, status: int) -> None:
        """In `on_begin_data`: answer the request with this status at once, and let its data set pass by unread.

        The hook of the message is not called then.

        Raises:
            LDicomUsageError: this message has no response, or `status` is none.
        """
        number = checks.number("status", status, 0xFFFF)
        if not self.expects_response or self.row is None:
            raise LDicomUsageError(f"{self!r} has no response that could refuse it")
        self.refused = named_status(number)

    def arguments(self) -> tuple[Any, ...]:
        """The values of the row's parameters, for the hook."""
        if self._arguments is not None:
            return self._arguments
        row = self.kind.row
        assert row is not None
        elements = self.elements
        arguments = tuple([decode_value(elements) for decode_value in row.decoders])
        if not row.has_list:  # which the hook may change
            self._arguments = arguments
        return arguments

    def __repr__(self) -> str:
        name = self.row.name if self.row else f"command field {self.field:04X}H"
        status = "" if self.status is None else f", status {self.status:04X}H"
        return f"<{name}, context {self.presentation_id}, message {self.message_id}{status}>"


def file_name(sop_instance_uid: str) -> str:
    """A name for a file of an instance.

    Raises:
        LDicomDataError: the UID is none.
    """
    if not checks.is_tolerable_uid(sop_instance_uid):
        raise LDicomDataError(
            ErrorCode.PARAMETER,
            f"{sop_instance_uid[:80]!r} is not a SOP instance UID and names no file",
            Status.INVALID_OBJECT_INSTANCE,
        )
    return sop_instance_uid + ".dcm"


def decode(presentation_id: int, command_set: bytes) -> Message:
    """The message that a received command set begins.

    Raises:
        LDicomProtocolError: the command set is malformed, or lacks its field, its message ID, its data set type, or
            the status of a response.
    """
    elements = decode_elements(command_set)
    try:
        field: int = US.unpack(elements[COMMAND_FIELD])[0]
        status = named_status(US.unpack(elements[STATUS])[0]) if field >= _RESPONSE else None
        message_id: int = US.unpack(elements[MESSAGE_ID if status is None and field != _CANCEL else RESPONDED_ID])[0]
        has_data_set: bool = US.unpack(elements[DATA_SET_TYPE])[0] != _ABSENT
    except (KeyError, StructError):
        raise _malformed(elements) from None
    return Message(presentation_id, command_set, _kind(field, status), message_id, has_data_set, elements)


def _malformed(elements: dict[int, bytes]) -> LDicomProtocolError:
    """Which of the elements that every command set has is missing or no number."""
    try:
        field = required(elements, COMMAND_FIELD)
        is_response = field >= _RESPONSE
        required(elements, RESPONDED_ID if is_response or field == _CANCEL else MESSAGE_ID)
        if is_response:
            required(elements, STATUS)
        required(elements, DATA_SET_TYPE)
    except LDicomProtocolError as error:
        return error
    raise AssertionError("a command set that is not malformed")


def build(row: Row, presentation_id: int, values: tuple[Any, ...], has_data_set: bool) -> Message:
    """The message of `row` with these values of its parameters.

    Raises:
        LDicomUsageError: a value is not one; the text names the parameter and the rule.
    """
    command_set = encode(row, values, has_data_set)
    place = _STATUS_PLACE.get(row.field)
    status = None if place is None else named_status(values[place])
    return Message(presentation_id, command_set, _kind(row.field, status), int(values[0]), has_data_set)
