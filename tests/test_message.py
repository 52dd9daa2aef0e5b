"""`message` and `command_set`: the table of the 23 messages and their codec, checked against pydicom and PS3.7."""

from __future__ import annotations

import unittest
import warnings
from contextlib import suppress
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from ldicomnet.body import MemoryBody
from ldicomnet.command_set import ELEMENTS, decode_elements, encode_elements, from_dataset, to_dataset
from ldicomnet.errors import LDicomDataError, LDicomProtocolError, LDicomUsageError
from ldicomnet.message import ANSWERS, BY_FIELD, BY_NAME, ROWS, Kind, Message, Row, build, decode, encode, file_name
from ldicomnet.status import AbortReason, Command, ErrorCode, Priority, Status

from .spoiling import flips, need, truncations

need("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

# The parameters of `send_NAME` and `on_receive_NAME`.
SIGNATURES = """
c_store_request   presentation_id message_id sop_class_uid sop_instance_uid priority move_ae move_message_id dataset
c_store_response  presentation_id message_id sop_class_uid sop_instance_uid status
c_find_request    presentation_id message_id sop_class_uid priority dataset
c_find_response   presentation_id message_id sop_class_uid status dataset
c_get_request     presentation_id message_id sop_class_uid priority dataset
c_get_response    presentation_id message_id sop_class_uid status remaining completed failed warning dataset
c_move_request    presentation_id message_id sop_class_uid priority move_ae dataset
c_move_response   presentation_id message_id sop_class_uid status remaining completed failed warning dataset
c_cancel_request  presentation_id message_id
c_echo_request    presentation_id message_id sop_class_uid
c_echo_response   presentation_id message_id sop_class_uid status
n_report_request  presentation_id message_id sop_class_uid sop_instance_uid event dataset
n_report_response presentation_id message_id sop_class_uid sop_instance_uid status event dataset
n_get_request     presentation_id message_id sop_class_uid sop_instance_uid attributes
n_get_response    presentation_id message_id sop_class_uid sop_instance_uid status dataset
n_set_request     presentation_id message_id sop_class_uid sop_instance_uid dataset
n_set_response    presentation_id message_id sop_class_uid sop_instance_uid status dataset
n_action_request  presentation_id message_id sop_class_uid sop_instance_uid action dataset
n_action_response presentation_id message_id sop_class_uid sop_instance_uid status action dataset
n_create_request  presentation_id message_id sop_class_uid sop_instance_uid dataset
n_create_response presentation_id message_id sop_class_uid sop_instance_uid status dataset
n_delete_request  presentation_id message_id sop_class_uid sop_instance_uid
n_delete_response presentation_id message_id sop_class_uid sop_instance_uid status
"""

# PS3.7 Sections 9.3 and 10.3: command field, and the elements in the order of the parameters. "?" may be left out.
CLASS, INSTANCE, COUNT = "AffectedSOPClassUID", "AffectedSOPInstanceUID", "NumberOf{}Suboperations?"
COUNTS = " ".join(COUNT.format(one) for one in ("Remaining", "Completed", "Failed", "Warning"))
ORIGINATOR = "MoveOriginatorApplicationEntityTitle? MoveOriginatorMessageID?"
ANSWERED, REQUESTED = "MessageIDBeingRespondedTo", "MessageID RequestedSOPClassUID RequestedSOPInstanceUID"
WIRE = f"""
c_store_request   0001 MessageID {CLASS} {INSTANCE} Priority {ORIGINATOR}
c_store_response  8001 {ANSWERED} {CLASS}? {INSTANCE}? Status
c_find_request    0020 MessageID {CLASS} Priority
c_find_response   8020 {ANSWERED} {CLASS}? Status
c_get_request     0010 MessageID {CLASS} Priority
c_get_response    8010 {ANSWERED} {CLASS}? Status {COUNTS}
c_move_request    0021 MessageID {CLASS} Priority MoveDestination
c_move_response   8021 {ANSWERED} {CLASS}? Status {COUNTS}
c_cancel_request  0FFF {ANSWERED}
c_echo_request    0030 MessageID {CLASS}
c_echo_response   8030 {ANSWERED} {CLASS}? Status
n_report_request  0100 MessageID {CLASS} {INSTANCE} EventTypeID
n_report_response 8100 {ANSWERED} {CLASS}? {INSTANCE}? Status EventTypeID?
n_get_request     0110 {REQUESTED} AttributeIdentifierList?
n_get_response    8110 {ANSWERED} {CLASS}? {INSTANCE}? Status
n_set_request     0120 {REQUESTED}
n_set_response    8120 {ANSWERED} {CLASS}? {INSTANCE}? Status
n_action_request  0130 {REQUESTED} ActionTypeID
n_action_response 8130 {ANSWERED} {CLASS}? {INSTANCE}? Status ActionTypeID?
n_create_request  0140 MessageID {CLASS} {INSTANCE}?
n_create_response 8140 {ANSWERED} {CLASS}? {INSTANCE}? Status
n_delete_request  0150 {REQUESTED}
n_delete_response 8150 {ANSWERED} {CLASS}? {INSTANCE}? Status
"""

# A value of each parameter: texts of odd and even length, numbers whose bytes differ.
VALUES: dict[str, Any] = {
    "message_id": 0x1234,
    "sop_class_uid": "1.2.840.10008.1.1",
    "sop_instance_uid": "1.2.3.44",
    "priority": Priority.HIGH,
    "move_ae": "MOVER",
    "move_message_id": 0xFF00,
    "status": 0xA9F0,
    "remaining": 0x0102,
    "completed": 0,
    "failed": 3,
    "warning": 0xFFFF,
    "event": 0x0201,
    "action": 0x0304,
    "attributes": [0x00100010, 0x7FE00010],
}

# A command set typed byte by byte: C-ECHO-RSP of Verification to message 7, success.
ECHO_RESPONSE = (
    "0000 0000 04000000 42000000  0000 0200 12000000 312E322E3834302E31303030382E312E3100  0000 0001 02000000 3080"
    "0000 2001 02000000 0700  0000 0008 02000000 0101  0000 0009 02000000 0000"
)


def wire() -> list[tuple[Row, int, list[tuple[str, str, bool]]]]:
    """Each row with its command field, and its parameters: name, keyword of the element, whether it may be left out."""
    signatures = {name: names for name, *names in map(str.split, SIGNATURES.strip().splitlines())}
    found = []
    for name, field, *keywords in map(str.split, WIRE.strip().splitlines()):
        names = [one for one in signatures[name][1:] if one != "dataset"]
        parameters = [(one, key.rstrip("?"), key[-1] == "?") for one, key in zip(names, keywords, strict=True)]
        found.append((BY_NAME[name], int(field, 16), parameters))
    return found


def values(row: Row, **changes: Any) -> tuple[Any, ...]:
    """The sample values of a row's parameters, but for `changes`."""
    return tuple((VALUES | changes)[parameter.name] for parameter in row.parameters)


def by_pydicom(command_set: bytes) -> Dataset:
    """The command set as pydicom reads it."""
    return read_dataset(BytesIO(command_set), is_implicit_VR=True, is_little_endian=True)


def plain(element_value: Any) -> Any:
    """A value of pydicom's as a plain one."""
    if isinstance(element_value, int | str):
        return element_value
    return list(element_value)


class Table(unittest.TestCase):
    """The table of messages."""

    def test_signatures(self) -> None:
        signatures = [(name, tuple(names)) for name, *names in map(str.split, SIGNATURES.strip().splitlines())]
        self.assertEqual(sorted((row.name, row.signature) for row in ROWS), sorted(signatures))
        self.assertEqual(len(ROWS), 23)

    def test_fields(self) -> None:
        for row, field, _parameters in wire():
            with self.subTest(row.name):
                self.assertEqual(row.field, field)
                self.assertIs(BY_FIELD[field], row)
                self.assertEqual(row.is_request, row.name.endswith("_request"))
                self.assertEqual(row.hook, "on_receive_" + row.name)

    def test_responses(self) -> None:
        for row in ROWS:
            expected = BY_NAME.get(row.name.replace("_request", "_response")) if row.is_request else None
            self.assertIs(row.response, expected, row.name)
        self.assertIsNone(BY_NAME["c_cancel_request"].response)

    def test_which_data_sets_must_and_may_be_there(self) -> None:
        """PS3.7 Sections 9.1 and 10.1: data set "M", and any other sort of it."""
        must = ["c_store_request", "c_find_request", "c_get_request", "c_move_request", "n_set_request"]
        self.assertEqual([row.name for row in ROWS if row.needs_dataset], must)
        for row in ROWS:
            self.assertEqual(row.has_dataset, row.signature[-1] == "dataset", row.name)

    def test_elements_are_those_of_the_dictionary(self) -> None:
        from pydicom.datadict import dictionary_VR, keyword_for_tag

        for number, vr, keyword in map(str.split, ELEMENTS.strip().splitlines()):
            with self.subTest(keyword):
                self.assertEqual((dictionary_VR(int(number, 16)), keyword_for_tag(int(number, 16))), (vr, keyword))


class Encoding(unittest.TestCase):
    """Command sets that leave: read by pydicom, by eye and by ourselves."""

    def test_a_command_set_byte_by_byte(self) -> None:
        row = BY_NAME["c_echo_response"]
        data = bytes.fromhex(ECHO_RESPONSE)
        self.assertEqual(encode(row, (7, "1.2.840.10008.1.1", 0), False), data)
        self.assertEqual(decode(1, data).arguments(), (7, "1.2.840.10008.1.1", 0))

    def test_every_row_as_pydicom_reads_it(self) -> None:
        for row, field, parameters in wire():
            for has_data_set in (True, False):
                with self.subTest(row.name, has_data_set=has_data_set):
                    data = encode(row, values(row), has_data_set)
                    dataset = by_pydicom(data)
                    tags = list(dataset.keys())
                    self.assertEqual(tags, sorted(tags))
                    self.assertEqual([tag for tag in tags if dataset.get_item(tag).length & 1], [])
                    self.assertEqual(dataset.CommandGroupLength, len(data) - 12)
                    self.assertEqual(dataset.CommandField, field)
                    self.assertEqual(dataset.CommandDataSetType, 1 if has_data_set else 0x0101)
                    for name, keyword, _optional in parameters:
                        self.assertEqual(plain(dataset[keyword].value), VALUES[name], keyword)
                    self.assertEqual(len(dataset), 3 + len(parameters))

    def test_every_row_comes_back(self) -> None:
        for row in ROWS:
            for has_data_set in (True, False):
                with self.subTest(row.name, has_data_set=has_data_set):
                    built = build(row, 5, values(row), has_data_set)
                    message = decode(5, built.command_set)
                    self.check_equal(message, built)
                    self.assertIs(message.row, row)
                    self.assertEqual(message.arguments(), values(row))
                    self.assertEqual(message.has_data_set, has_data_set)
                    self.assertEqual(message.message_id, 0x1234)
                    self.assertEqual(message.status, None if row.is_request else 0xA9F0)
                    self.assertEqual(encode(row, message.arguments(), has_data_set), built.command_set)

    def check_equal(self, one: Message, other: Message) -> None:
        """Two messages say the same."""
        for name in ("presentation_id", "command_set", "field", "row", "message_id", "status", "has_data_set"):
            self.assertEqual(getattr(one, name), getattr(other, name), name)

    def test_what_may_be_left_out_and_what_not(self) -> None:
        for row, _field, parameters in wire():
            for name, keyword, optional in parameters:
                with self.subTest(row.name, parameter=name):
                    if optional:
                        data = encode(row, values(row, **{name: None}), False)
                        dataset = by_pydicom(data)
                        self.assertNotIn(keyword, dataset)
                        self.assertEqual(len(dataset), 2 + len(parameters))
                        self.assertEqual(decode(1, data).row, row)
                    else:
                        with self.assertRaises(LDicomUsageError) as caught:
                            encode(row, values(row, **{name: None}), False)
                        self.assertIn(name, str(caught.exception))

    def test_empty_values_of_optional_elements_are_left_out(self) -> None:
        rows = (
            ("c_store_request", "move_ae", "", "MoveOriginatorApplicationEntityTitle"),
            ("c_store_request", "move_message_id", 0, "MoveOriginatorMessageID"),
            ("c_store_response", "sop_class_uid", "", CLASS),
            ("c_store_response", "sop_instance_uid", "", INSTANCE),
            ("n_create_request", "sop_instance_uid", "", INSTANCE),
            ("n_get_request", "attributes", [], "AttributeIdentifierList"),
            ("n_get_request", "attributes", (), "AttributeIdentifierList"),
        )
        for name, parameter, empty, keyword in rows:
            with self.subTest(name, parameter=parameter):
                data = encode(BY_NAME[name], values(BY_NAME[name], **{parameter: empty}), False)
                self.assertNotIn(keyword, by_pydicom(data))
                self.assertFalse(decode(1, data).arguments()[BY_NAME[name].signature.index(parameter) - 1])

    def test_zero_is_a_number_where_numbers_count(self) -> None:
        rows = (
            ("c_get_response", ("remaining", "completed", "failed", "warning", "status")),
            ("n_report_response", ("event",)),
            ("n_action_response", ("action",)),
            ("c_echo_request", ("message_id",)),
        )
        for name, parameters in rows:
            row = BY_NAME[name]
            arguments = decode(1, encode(row, values(row, **dict.fromkeys(parameters, 0)), False)).arguments()
            for parameter in parameters:
                self.assertEqual(arguments[row.signature.index(parameter) - 1], 0, parameter)

    def test_texts_are_padded_to_an_even_length(self) -> None:
        """PS3.5 6.2: UIDs by a null, titles by a space, and no more than one."""
        store = BY_NAME["c_store_request"]
        rows = (("1.2", "A", b"1.2\0", b"A "), ("1.22", "AB", b"1.22", b"AB"), ("1.222", "ABC", b"1.222\0", b"ABC "))
        for uid, title, as_uid, as_title in rows:
            changes = {"sop_class_uid": uid, "sop_instance_uid": uid, "move_ae": title}
            elements = decode_elements(encode(store, values(store, **changes), True))
            self.assertEqual([elements[one] for one in (0x0002, 0x1000, 0x1030)], [as_uid, as_uid, as_title])

    def test_elements_of_any_kind(self) -> None:
        elements = {0x0902: b"sorry ", 0x0110: b"\1\0", 0x0000: b"\xff\xff\xff\xff", 0xFFFF: b""}
        data = encode_elements(elements)
        self.assertEqual(decode_elements(data), elements | {0x0000: (len(data) - 12).to_bytes(4, "little")})
        self.assertEqual(list(decode_elements(data)), [0, 0x0110, 0x0902, 0xFFFF])


class Misuse(unittest.TestCase):
    """Values that are none: one kind of error, which names the parameter."""

    ROWS = (
        ("c_echo_request", "message_id", (-1, 65536, 1.0, "1", None, b"\1\0")),
        ("c_echo_response", "status", (-1, 65536, "0", None, 1.5, b"\0\0")),
        ("c_store_request", "priority", (-1, 65536, "HIGH", None)),
        ("c_store_request", "move_message_id", (-1, 65536, "1")),
        ("n_report_request", "event", (-1, 65536, "1", None)),
        ("n_action_request", "action", (-1, 65536, "1", None)),
        ("c_get_response", "remaining", (-1, 65536, "1")),
        ("c_echo_request", "sop_class_uid", ("", None, 1, b"1.2", "1.02", "1.a", "1.2\n", "1." + "2" * 63, ["1.2"])),
        ("c_store_request", "sop_instance_uid", ("", None, "1.2/3", "../1", "1.2\0", "1" * 65, "1 2", ["1.2"])),
        ("c_move_request", "move_ae", ("", None, " ", "A" * 17, "A\\B", "A\nB", "\u00c4E", 5, b"AE")),
        ("n_get_request", "attributes", ([-1], [1 << 32], "PatientName", [(1, 65536)], [(1,)], [1.5], [None], 5)),
    )

    def test_rows(self) -> None:
        for name, parameter, wrong in self.ROWS:
            for value in wrong:
                with self.subTest(name, parameter=parameter, value=value):
                    with self.assertRaises(LDicomUsageError) as caught:
                        build(BY_NAME[name], 1, values(BY_NAME[name], **{parameter: value}), False)
                    self.assertIn(parameter, str(caught.exception))

    def test_what_is_right(self) -> None:
        rows: tuple[tuple[str, str, Any, Any], ...] = (
            ("c_echo_request", "message_id", 65535, 65535),
            ("c_echo_request", "sop_class_uid", UID("1.2.840.10008.1.1"), "1.2.840.10008.1.1"),
            ("c_echo_request", "sop_class_uid", "1." + "2" * 62, "1." + "2" * 62),
            ("c_echo_request", "sop_class_uid", "0", "0"),
            ("c_store_request", "sop_instance_uid", "1.02.003", "1.02.003"),
            ("c_store_response", "sop_class_uid", "1.02.003", "1.02.003"),
            ("c_move_request", "move_ae", "  A B  ", "A B"),
            ("c_move_request", "move_ae", "ABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOP"),
            ("c_echo_response", "status", Status(0xB123), 0xB123),
            ("n_get_request", "attributes", [(0x0010, 0x0020), 0x00100010], [0x00100020, 0x00100010]),
            ("n_get_request", "attributes", iter([0x00100010]), [0x00100010]),
            ("n_get_request", "attributes", [0xFFFFFFFF, 0], [0xFFFFFFFF, 0]),
        )
        for name, parameter, value, expected in rows:
            with self.subTest(name, parameter=parameter, value=value):
                row = BY_NAME[name]
                message = decode(1, encode(row, values(row, **{parameter: value}), False))
                self.assertEqual(message.arguments()[row.signature.index(parameter) - 1], expected)


class Decoding(unittest.TestCase):
    """Command sets that arrive."""

    def test_missing_elements(self) -> None:
        for row in ROWS:
            elements = decode_elements(encode(row, values(row), False))
            needed = [0x0100, 0x0800, 0x0110 if 0x0110 in elements else 0x0120] + [0x0900] * (not row.is_request)
            for number in needed:
                kept = {one: data for one, data in elements.items() if one != number}
                for spoiled in (kept, kept | {number: b""}, kept | {number: b"\1"}, kept | {number: bytes(4)}):
                    with self.subTest(row.name, number=hex(number), data=spoiled.get(number)):
                        with self.assertRaises(LDicomProtocolError) as caught:
                            decode(1, encode_elements(spoiled))
                        self.assertIn(f"(0000,{number:04X})", str(caught.exception))
                        self.assertEqual(caught.exception.reason, AbortReason.INVALID_PARAM)

    def test_what_a_hook_gets_for_what_was_left_out(self) -> None:
        absent = {"sop_class_uid": "", "sop_instance_uid": "", "move_ae": "", "move_message_id": 0, "attributes": []}
        absent["priority"] = Priority.MEDIUM
        for row, _field, parameters in wire():
            elements = decode_elements(encode(row, values(row), False))
            for (name, _keyword, _optional), parameter in zip(parameters, row.parameters, strict=True):
                if name in ("message_id", "status"):
                    continue
                kept = {number: data for number, data in elements.items() if number != parameter.element}
                for left_out in (kept, kept | {parameter.element: b""}):
                    with self.subTest(row.name, parameter=name, elements=left_out):
                        arguments = decode(1, encode_elements(left_out)).arguments()
                        self.assertEqual(arguments[row.signature.index(name) - 1], absent.get(name))

    def test_what_a_hook_gets_is_its_own(self) -> None:
        row = BY_NAME["n_get_request"]
        data = encode(row, values(row, attributes=[]), False)
        decode(1, data).arguments()[-1].append(0x00100010)
        self.assertEqual(decode(1, data).arguments()[-1], [])

    def test_names_for_numbers_that_have_one(self) -> None:
        request, response = BY_NAME["c_find_request"], BY_NAME["c_find_response"]
        self.assertIsInstance(decode(1, encode(request, values(request), True)).arguments()[2], Priority)
        unknown = decode(1, encode(request, values(request, priority=77), True)).arguments()[2]
        self.assertEqual((type(unknown), unknown), (Priority, 77))
        self.assertIs(decode(1, encode(response, values(response, status=0xFF00), True)).arguments()[2], Status.PENDING)

    def test_elements_whose_length_is_wrong(self) -> None:
        rows = (
            ("c_store_request", 0x0700, (b"\1", b"\1\0\0", bytes(4))),
            ("c_store_request", 0x1031, (b"\1", bytes(4))),
            ("c_get_response", 0x1020, (b"\1", bytes(3))),
            ("n_report_request", 0x1002, (b"\1", bytes(4))),
            ("n_get_request", 0x1005, (b"\1", bytes(2), bytes(6))),
        )
        for name, number, wrong in rows:
            elements = decode_elements(encode(BY_NAME[name], values(BY_NAME[name]), False))
            for data in wrong:
                with self.subTest(name, number=hex(number), data=data):
                    message = decode(1, encode_elements(elements | {number: data}))
                    with self.assertRaises(LDicomProtocolError) as caught:
                        message.arguments()
                    self.assertIn(f"(0000,{number:04X})", str(caught.exception))

    def test_counts_of_which_some_peers_send_several(self) -> None:
        row = BY_NAME["c_move_response"]
        elements = decode_elements(encode(row, values(row), False))
        message = decode(1, encode_elements(elements | {0x1020: bytes.fromhex("05000700")}))
        self.assertEqual(message.arguments()[3], 5)

    def test_texts_without_their_padding(self) -> None:
        elements = decode_elements(encode(BY_NAME["c_store_request"], values(BY_NAME["c_store_request"]), False))
        for padded in (b"1.2\0", b"1.2 ", b"1.2", b" 1.2\0 "):
            message = decode(1, encode_elements(elements | {0x0002: padded, 0x1000: padded, 0x1030: padded}))
            self.assertEqual(message.arguments(), (0x1234, "1.2", "1.2", Priority.HIGH, "1.2", 0xFF00))

    def test_cut_at_every_byte(self) -> None:
        for name in ("c_echo_request", "c_echo_response", "c_cancel_request", "n_delete_response"):
            row = BY_NAME[name]
            data = encode(row, values(row, sop_instance_uid=None) if "response" in name else values(row), False)
            for short in truncations(data):
                with self.subTest(name, length=len(short)), self.assertRaises(LDicomProtocolError):
                    decode(1, short)

    def test_any_wrong_bit_raises_one_error_or_none(self) -> None:
        for row in ROWS:
            for spoiled in flips(encode(row, values(row), False)):
                with self.subTest(row.name, data=spoiled.hex()), suppress(LDicomProtocolError):
                    message = decode(1, spoiled)
                    repr(message)
                    if message.row is not None:
                        message.arguments()

    def test_elements_of_other_groups(self) -> None:
        """PS3.7 6.3.1: a command set holds elements of group 0000 only."""
        data = bytes.fromhex(ECHO_RESPONSE)
        other = bytes.fromhex("0800 1800 04000000 312E3200")
        for name, at in (("first", 0), ("within", 12), ("last", len(data))):
            spoiled = data[:at] + other + data[at:]
            with self.subTest(name), self.assertRaises(LDicomProtocolError):
                decode(1, spoiled)

    def test_lengths_that_run_over(self) -> None:
        for length in (1, 0x7FFFFFFF, 0xFFFFFFFF, 0x101):
            with self.subTest(length=length), self.assertRaises(LDicomProtocolError):
                decode_elements(b"\0\0\2\0" + length.to_bytes(4, "little"))

    def test_what_receivers_put_up_with(self) -> None:
        """A group length that is wrong or missing, and elements in any order."""
        elements = decode_elements(bytes.fromhex(ECHO_RESPONSE))
        whole = bytes.fromhex(ECHO_RESPONSE)
        for data in (whole[12:], whole[:8] + b"\xff\xff\xff\xff" + whole[12:], whole[38:] + whole[:38]):
            message = decode(1, data)
            self.assertEqual(message.arguments(), (7, "1.2.840.10008.1.1", 0))
        self.assertEqual(decode(1, encode_elements(elements)).command_set, whole)

    def test_command_fields_of_no_known_kind(self) -> None:
        request = {0x0100: b"\x77\0", 0x0110: b"\5\0", 0x0800: b"\1\1"}
        response = {0x0100: b"\x77\x80", 0x0120: b"\5\0", 0x0800: b"\2\1", 0x0900: b"\x11\2"}
        for elements, field, status, has_data_set in ((request, 0x77, None, False), (response, 0x8077, 0x0211, True)):
            message = decode(3, encode_elements(elements))
            self.assertIsNone(message.row)
            self.assertEqual((message.field, message.message_id, message.status), (field, 5, status))
            self.assertEqual(message.has_data_set, has_data_set)
            self.assertEqual(message.name, "")
            self.assertEqual(message.is_response, field > 0x8000)
            self.assertEqual(message.expects_response, field < 0x8000)
            self.assertIn(f"{field:04X}H", repr(message))

    def test_what_a_message_says_of_itself(self) -> None:
        for row in ROWS:
            for status in (0x0000, 0xFF00, 0xFF01, 0xFE00, 0xA700):
                with self.subTest(row.name, status=hex(status)):
                    message = build(row, 1, values(row, status=status), False)
                    is_request = row.name.endswith("_request")
                    self.assertEqual(message.is_response, not is_request)
                    self.assertEqual(message.is_final, not is_request and status not in (0xFF00, 0xFF01))
                    self.assertEqual(message.expects_response, is_request and row.name != "c_cancel_request")
                    has_class = "sop_class_uid" in row.signature
                    self.assertEqual(message.sop_class_uid, VALUES["sop_class_uid"] if has_class else "")
                    has_instance = "sop_instance_uid" in row.signature
                    self.assertEqual(message.sop_instance_uid, VALUES["sop_instance_uid"] if has_instance else "")
                    self.assertEqual(message.name, row.name)
                    self.assertIn(row.name, repr(message))

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(st.dictionaries(st.integers(1, 0xFFFF), st.binary(max_size=20), max_size=8))
    def test_elements_both_ways(self, elements: dict[int, bytes]) -> None:
        found = decode_elements(encode_elements(elements))
        found.pop(0)
        self.assertEqual(found, elements)

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(st.binary(max_size=60))
    def test_any_bytes(self, data: bytes) -> None:
        with suppress(LDicomProtocolError):
            decode(1, data)


class Asked(unittest.TestCase):
    """What `on_begin_data` and the library ask of a message."""

    def message(self, name: str = "c_store_request", **changes: Any) -> Message:
        """A received message."""
        row = BY_NAME[name]
        return decode(1, encode(row, values(row, **changes), row.has_dataset))

    def test_arguments_are_decoded_once(self) -> None:
        """But where there is a list among them, which its hook may change."""
        for row in ROWS:
            message = self.message(row.name)
            first, second = message.arguments(), message.arguments()
            self.assertEqual((type(first), first), (tuple, second))
            has_list = any(isinstance(value, list) for value in first)
            self.assertEqual((has_list, first is second), (row.name == "n_get_request", not has_list), row.name)
            for one, other in zip(first, second, strict=True):
                self.assertTrue(one is not other or not isinstance(one, list))

    def test_again(self) -> None:
        """A message of its own that differs in its ID alone, whether the first was asked before or not."""
        for row in ROWS:
            for is_asked in (False, True):
                with self.subTest(row.name, is_asked=is_asked):
                    message = self.message(row.name)
                    if is_asked:
                        message.arguments()
                        str(message.sop_instance_uid)
                    message.body, message.refused = MemoryBody(b""), Status.PROCESSING_FAILURE
                    changed = encode(row, values(row, message_id=7), row.has_dataset)
                    other = message.again(changed, 7)
                    self.check_same(other, decode(1, changed))
                    self.assertEqual((other.body, other.refused), (None, None))
                    self.check_same(message, self.message(row.name))

    def check_same(self, one: Message, other: Message) -> None:
        """Two messages say the same, whatever is asked."""
        for name in (*Message.__slots__, "name", "sop_class_uid", "sop_instance_uid", "elements"):
            if not name.startswith("_") and name not in ("body", "refused", "kind"):
                self.assertEqual(getattr(one, name), getattr(other, name), name)
        for name in Kind.__slots__:
            self.assertEqual(getattr(one.kind, name), getattr(other.kind, name), name)
        self.assertEqual((one.arguments(), repr(one)), (other.arguments(), repr(other)))

    def test_where_the_message_id_stands(self) -> None:
        for row in ROWS:
            message = self.message(row.name)
            before, after = message.around_id() or (b"", b"")
            self.assertEqual(before + b"\x34\x12" + after, message.command_set, row.name)
            self.assertEqual(before[-4:], b"\2\0\0\0", row.name)

    def test_where_the_message_id_cannot_be_told(self) -> None:
        """Of an element that comes twice the last counts; nothing is changed in such a command set."""
        data = self.message("c_echo_request").command_set
        twice = data + bytes.fromhex("0000 1001 02000000 0900")
        message = decode(1, twice)
        self.assertEqual((message.message_id, message.around_id(), message.with_id(7)), (9, None, None))

    def test_file_names(self) -> None:
        self.assertEqual(self.message().file_name, "1.2.3.44.dcm")
        self.assertEqual(file_name("1.02"), "1.02.dcm")
        for hostile in ("", "..", ".", "../x", "/etc/passwd", "1.2/3", "1.2\\3", "C:1", "1." * 40, "1\0", "\u0661.2"):
            with self.subTest(hostile), self.assertRaises(LDicomDataError) as caught:
                file_name(hostile)
            self.assertEqual(caught.exception.code, ErrorCode.PARAMETER)

    def test_a_file_name_that_a_peer_would_like(self) -> None:
        elements = decode_elements(encode(BY_NAME["c_store_request"], values(BY_NAME["c_store_request"]), True))
        for hostile in (b"../../etc/passwd", b"", b"/tmp/x\0\0", b"1..2", b"1.2\n"):
            message = decode(1, encode_elements(elements | {0x1000: hostile}))
            with self.subTest(hostile), self.assertRaises(LDicomDataError):
                _ = message.file_name
        with self.assertRaises(LDicomDataError):
            _ = self.message("c_find_request").file_name

    def test_refusing(self) -> None:
        for status in (Status.REFUSED_OUT_OF_RESOURCES, 0xA701, 0x0122, 0, 0xFFFF):
            message = self.message()
            self.assertIsNone(message.refused)
            message.refuse(status)
            self.assertEqual((message.refused, type(message.refused)), (status, Status))

    def test_what_cannot_be_refused(self) -> None:
        for row in ROWS:
            if row.response is None:
                with self.subTest(row.name), self.assertRaises(LDicomUsageError) as caught:
                    self.message(row.name).refuse(0xA700)
                self.assertIn(row.name, str(caught.exception))
        unknown = decode(3, encode_elements({0x0100: b"\x77\0", 0x0110: b"\5\0", 0x0800: b"\1\0"}))
        with self.assertRaises(LDicomUsageError):
            unknown.refuse(0xA700)
        for status in (-1, 65536, "A700", None, 1.5):
            message = self.message()
            with self.subTest(status=status), self.assertRaises(LDicomUsageError) as caught:
                message.refuse(status)  # type: ignore[arg-type]
            self.assertIn("status", str(caught.exception))
            self.assertIsNone(message.refused)

    def test_answers(self) -> None:
        """The response with a bare status repeats what it has in common with its request."""
        for row in ROWS:
            answer = ANSWERS.get(row.field)
            if row.response is None:
                self.assertIsNone(answer, row.name)
                continue
            assert answer is not None
            response, given = answer.row, answer.values(values(row), 0x0211)
            self.assertIs(response, row.response)
            request = dict(zip((one.name for one in row.parameters), values(row), strict=True)) | {"status": 0x0211}
            for parameter, value in zip(response.parameters, given, strict=True):
                with self.subTest(row.name, parameter=parameter.name):
                    self.assertEqual(value, request.get(parameter.name))
            message = decode(1, encode(response, given, False))
            self.assertEqual((message.message_id, message.status, message.is_final), (0x1234, 0x0211, True))

    def test_answers_to_what_a_hook_was_given(self) -> None:
        """A data set behind the values does not matter."""
        row = BY_NAME["c_store_request"]
        answer = ANSWERS[row.field]
        self.assertEqual(answer.values((*values(row), object()), 0), answer.values(values(row), 0))


class AsPydicom(unittest.TestCase):
    """Command sets as `pydicom.Dataset`, for `send_data` and the hooks."""

    def test_every_row_both_ways(self) -> None:
        for row in ROWS:
            for has_data_set in (True, False):
                with self.subTest(row.name, has_data_set=has_data_set):
                    data = encode(row, values(row), has_data_set)
                    dataset = to_dataset(data)
                    self.assertEqual(dataset.CommandField, row.field)
                    self.assertEqual(from_dataset(dataset, has_data_set), data)

    def test_lengths_that_read_like_a_value_representation(self) -> None:
        """A first value of 0x5153 bytes, "SQ", is no sequence, whatever is in it."""
        for length in (0x4341, 0x4C55, 0x5153):
            value = (b"\xff" * 4 + b"\xfe\xff\0\xe0\xff\xff\xff\xff\0\0\2\0SQ\0\0\xff\xff\xff\xff" * 2000)[:length]
            dataset = to_dataset(encode_elements({0x0001: value, 0x0100: b"\x30\0"})[12:])
            self.assertEqual(dataset.get_item(0x00000001).value, value)
            self.assertEqual((list(dataset.keys()), dataset.CommandField), ([0x00000001, 0x00000100], 0x30))

    def test_as_pydicom_reads_them(self) -> None:
        for row in ROWS:
            data = encode(row, values(row), False)
            dataset, expected = to_dataset(data), by_pydicom(data)
            self.assertEqual([dataset.get_item(tag)[:4] for tag in dataset.keys()],  # noqa: SIM118
                             [expected.get_item(tag)[:4] for tag in expected.keys()])  # noqa: SIM118
            self.assertEqual((dataset, dataset.original_encoding), (expected, expected.original_encoding))
        empty = encode_elements({0x0902: b"", 0x0100: b"\x30\0"})
        self.assertEqual(to_dataset(empty), by_pydicom(empty))

    def test_what_is_none(self) -> None:
        for data in (b"\0\0\0\1\5\0\0\0ab", b"\x10\0\x10\0\0\0\0\0", b"\0\0\0\1\xff\xff\xff\xff"):
            with self.assertRaises(LDicomProtocolError):
                to_dataset(data)

    def test_the_data_set_type_follows_the_data_set(self) -> None:
        rows = (
            (0x0101, True, 0x0001),
            (0x0102, False, 0x0101),
            (0x0102, True, 0x0102),
            (0x0000, True, 0x0000),
            (None, False, 0x0101),
            (None, True, 0x0001),
        )
        for given_type, has_data_set, expected in rows:
            with self.subTest(given_type=given_type, has_data_set=has_data_set):
                dataset = to_dataset(bytes.fromhex(ECHO_RESPONSE))
                del dataset.CommandDataSetType
                if given_type is not None:
                    dataset.CommandDataSetType = given_type
                encoded = by_pydicom(from_dataset(dataset, has_data_set))
                self.assertEqual(encoded.CommandDataSetType, expected)

    def test_optional_elements(self) -> None:
        dataset = to_dataset(bytes.fromhex(ECHO_RESPONSE))
        dataset.ErrorComment = "no such thing"
        dataset.OffendingElement = [0x00100010, 0x00100020]
        dataset.ErrorID = 7
        data = from_dataset(dataset, False)
        again = by_pydicom(data)
        self.assertEqual((again.ErrorComment, again.ErrorID), ("no such thing", 7))
        self.assertEqual(list(again.OffendingElement), [0x00100010, 0x00100020])
        self.assertEqual(again.CommandGroupLength, len(data) - 12)
        self.assertEqual(list(again.keys()), sorted(again.keys()))
        self.assertEqual(decode(1, data).arguments(), (7, "1.2.840.10008.1.1", 0))

    def test_the_data_set_given_is_not_changed(self) -> None:
        dataset = to_dataset(bytes.fromhex(ECHO_RESPONSE))
        dataset.CommandGroupLength = 1
        from_dataset(dataset, True)
        self.assertEqual((dataset.CommandGroupLength, dataset.CommandDataSetType), (1, 0x0101))

    def test_misuse(self) -> None:
        other, wrong = to_dataset(bytes.fromhex(ECHO_RESPONSE)), to_dataset(bytes.fromhex(ECHO_RESPONSE))
        other.PatientName = "X"
        with warnings.catch_warnings(action="ignore"):  # pydicom's own opinion of it
            wrong.Status = "abc"
        for dataset in (other, wrong):
            with self.assertRaises(LDicomUsageError) as caught:
                from_dataset(dataset, False)
            self.assertIn("command_set", str(caught.exception))

    def test_the_field_of_a_response_is_that_of_its_request_and_8000h(self) -> None:
        for row in ROWS:
            if row.response is not None:
                self.assertEqual(row.response.field, row.field + Command.RESPONSE)


if __name__ == "__main__":
    unittest.main()
