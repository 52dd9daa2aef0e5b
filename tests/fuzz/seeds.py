"""The valid inputs that fuzzing begins with: small, synthetic, and made by hand with `tests.raw` where that can be.

`python -m tests.fuzz.seeds` writes those that the corpus lacks; `tests.test_fuzz` sees that none is missing.
"""

from __future__ import annotations

import struct

from ldicomnet.message import ROWS, Row, encode

from .. import raw
from ..raw import abort, accept, answered, context, counted, echo, item, message, p_data, pdv, request
from . import iscl

IDENTITY = item(0x58, b"\x02\x01" + counted("user") + counted("secret"))
# Each user-information sub-item of PS3.8 D.1 and PS3.7 D.3.3, and one of no known type.
SUB_ITEMS = {
    "maximum_length": raw.max_length(16384),
    "implementation_class": raw.CLASS,
    "asynchronous_operations": item(0x53, b"\0\3\0\2"),
    "role_selection": item(0x54, counted(raw.CT) + b"\1\1"),
    "implementation_version": raw.VERSION,
    "extended_negotiation": item(0x56, counted(raw.FIND) + b"\1\1\0"),
    "common_extended_negotiation": item(
        0x57, counted(raw.CT) + counted("1.2.840.10008.4.2") + counted(counted("1.2.3") + counted("1.2.4"))
    ),
    "user_identity": IDENTITY,
    "user_identity_response": item(0x59, counted("ticket")),
    "unknown": item(0x7A, b"what is this"),
}
ASKED = b"".join(data for name, data in SUB_ITEMS.items() if name != "user_identity_response")
ANSWERED = b"".join(SUB_ITEMS[name] for name in SUB_ITEMS if not name.startswith(("common", "user_identity")))
CONTEXTS = raw.CONTEXTS + context(5, raw.FIND, raw.IMPLICIT, raw.EXPLICIT, raw.JPEG)
ANSWERS = (answered(1, 0, raw.IMPLICIT), answered(3, 0, raw.EXPLICIT), answered(5, 0, raw.IMPLICIT))
REQUEST = request(CONTEXTS, item(0x50, ASKED))
ACCEPT = accept(*ANSWERS, user_information=item(0x50, ANSWERED + SUB_ITEMS["user_identity_response"]))
INSTANCE = "1.2.826.0.1.3680043.9.7433.1"
DATA_SET = raw.data_set(INSTANCE, 512)
KEYS = raw.element(0x10, b"Wire^Test ", group=0x10)

TEXTS = {"sop_class_uid": raw.CT, "sop_instance_uid": INSTANCE, "move_ae": "MOVER", "attributes": [0x00100010]}
NUMBERS = {"message_id": 1, "status": 0, "priority": 1}


def _command(row: Row) -> bytes:
    """A command set with every element of its row."""
    values = tuple(TEXTS.get(one.name, NUMBERS.get(one.name, 0x0102)) for one in row.parameters)
    return encode(row, values, row.has_dataset)


COMMANDS = {row.name: _command(row) for row in ROWS} | {
    "unknown": raw.other_command(0x0EEE),
    "every_element": raw.command(
        *(raw.element(number, b"1.2.3\0") for number in (2, 3)),
        *(raw.element(number, 1) for number in (0x100, 0x110, 0x120)),
        raw.element(0x600, b"MOVER "),
        *(raw.element(number, 0) for number in (0x700, 0x800, 0x900)),
        raw.element(0x901, b"\x10\0\x10\0"),
        raw.element(0x902, b"comment "),
        raw.element(0x903, 1),
        *(raw.element(number, b"1.2.3.4\0") for number in (0x1000, 0x1001)),
        raw.element(0x1002, 1),
        raw.element(0x1005, b"\x10\0\x10\0"),
        raw.element(0x1008, 1),
        *(raw.element(number, 1) for number in range(0x1020, 0x1024)),
        raw.element(0x1030, b"MOVER "),
        raw.element(0x1031, 1),
    ),
}


def _in_fragments(number: int, command_set: bytes, data_set: bytes, size: int) -> bytes:
    """A message of small fragments, several of them in one PDU."""
    values = raw.fragments(number, raw.COMMAND, command_set, size) + raw.fragments(number, 0, data_set, size)
    command_values = -(-len(command_set) // size)
    return b"".join(
        p_data(*part[at : at + 3])
        for part in (values[:command_values], values[command_values:])
        for at in range(0, len(part), 3)
    )


STORE = message(3, raw.store_command(INSTANCE), DATA_SET)
FIND = message(5, raw.other_command(0x20, raw.element(0x700, 0), data_set=raw.DATA, uid=raw.FIND), KEYS)
CANCEL = message(5, raw.command(raw.element(0x100, 0xFFF), raw.element(0x120, 1), raw.element(0x800, raw.NO_DATA)))
EVERY_MESSAGE = b"".join(
    message(3, COMMANDS[row.name], KEYS if row.has_dataset else None) for row in ROWS
)


def _response(number: int, field: int, message_id: int, status: int, uid: str, data_set: bytes | None = None) -> bytes:
    """A response to the request with this message ID."""
    command_set = raw.command(
        raw.element(2, uid),
        raw.element(0x100, field),
        raw.element(0x120, message_id),
        raw.element(0x800, raw.NO_DATA if data_set is None else raw.DATA),
        raw.element(0x900, status),
    )
    return message(number, command_set, data_set)


# What a requestor sends in one association, message by message, and what an acceptor answers to what
# `conversations.Requestor` asks.
REQUESTOR_SENDS = {
    "echo": (request(), echo(), raw.RELEASE),
    "store": (request(), STORE, raw.RELEASE),
    "store_in_fragments": (
        request(), _in_fragments(3, raw.store_command(INSTANCE), DATA_SET, 90), raw.RELEASE,
    ),
    "find_and_cancel": (REQUEST, FIND, CANCEL, raw.RELEASE),
    "every_message": (request(), EVERY_MESSAGE, raw.RELEASE),
    "abort": (request(), echo(), abort(0, 0)),
}  # fmt: skip
ACCEPTOR_SENDS = {
    "answers": (
        ACCEPT,
        _response(1, 0x8030, 1, 0, raw.VERIFICATION),
        _response(3, 0x8001, 2, 0, raw.CT),
        _response(5, 0x8020, 3, 0xFF00, raw.FIND, KEYS),
        _response(5, 0x8020, 3, 0, raw.FIND),
        raw.RELEASED,
    ),
    "requests_of_its_own": (
        ACCEPT,
        _response(1, 0x8030, 1, 0, raw.VERIFICATION),
        message(3, raw.store_command(INSTANCE, message_id=7), DATA_SET),
        message(5, raw.other_command(0x0100, raw.element(0x1000, INSTANCE), raw.element(0x1002, 1))),
        raw.RELEASE,
        raw.RELEASED,
    ),
    "reject": (raw.reject(1, 1, 7),),
    "abort": (ACCEPT, abort(2, 6)),
}

STREAMS = {
    "echo": echo(),
    "store": STORE,
    "store_in_fragments": _in_fragments(3, raw.store_command(INSTANCE), DATA_SET, 90),
    "two_messages_in_one_pdu": p_data(*(pdv(1, raw.COMMAND | raw.LAST, raw.echo_command(each)) for each in (1, 2))),
    "same_again": echo(1) + echo(2) + echo(2),
    "every_message": EVERY_MESSAGE,
    "control_pdus": request() + accept(*ANSWERS) + raw.reject(1, 2, 3) + raw.RELEASE + raw.RELEASED + abort(),
    "long_data_set": message(3, raw.store_command(INSTANCE), bytes(3000)),
}

# --- DICOM files --------------------------------------------------------------------------------------------------


def _explicit(number: int, vr: bytes, value: bytes, group: int = 2) -> bytes:
    value += b"\0" * (len(value) & 1)
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def _file(transfer_syntax: str, data_set: bytes, preamble: bytes = bytes(128) + b"DICM", length: bool = True) -> bytes:
    meta = (
        _explicit(1, b"OB", b"\0\1")
        + _explicit(2, b"UI", raw.CT.encode())
        + _explicit(3, b"UI", INSTANCE.encode())
        + _explicit(0x10, b"UI", transfer_syntax.encode())
        + _explicit(0x12, b"UI", b"1.2.3.4.5")
        + _explicit(0x13, b"SH", b"WIRE_1")
    )
    return preamble + (_explicit(0, b"UL", struct.pack("<I", len(meta))) if length else b"") + meta + data_set


EXPLICIT_DATA_SET = (
    _explicit(0x16, b"UI", raw.CT.encode(), 8)
    + _explicit(0x18, b"UI", INSTANCE.encode(), 8)
    + _explicit(0x10, b"PN", b"Wire^Test", 0x10)
    + _explicit(0x10, b"OB", bytes(8), 0x7FE0)
)
FILES = {
    "explicit": _file(raw.EXPLICIT, EXPLICIT_DATA_SET),
    "implicit": _file(raw.IMPLICIT, raw.data_set(INSTANCE)),
    "without_preamble": _file(raw.EXPLICIT, EXPLICIT_DATA_SET, preamble=b""),
    "without_group_length": _file(raw.EXPLICIT, EXPLICIT_DATA_SET, length=False),
    "data_set_alone_implicit": raw.data_set(INSTANCE),
    "data_set_alone_explicit": EXPLICIT_DATA_SET,
    "preamble_and_data_set": bytes(128) + b"DICM" + raw.data_set(INSTANCE),
}

# --- data sets, PS3.5 Section 7 ------------------------------------------------------------------------------------

UNDEFINED = b"\xff" * 4
ITEM, ITEM_END, SEQUENCE_END = (struct.pack("<HH", 0xFFFE, number) for number in (0xE000, 0xE00D, 0xE0DD))


def _sequence(depth: int, innermost: bytes) -> bytes:
    """A sequence of one item, within another, and so on; all of defined length."""
    for _ in range(depth):
        innermost = _explicit(0x1115, b"SQ", ITEM + struct.pack("<I", len(innermost)) + innermost, 8)
    return innermost


def _undefined_sequence(depth: int, innermost: bytes) -> bytes:
    """The same of undefined length, in implicit VR."""
    tag = struct.pack("<HH", 8, 0x1115)
    for _ in range(depth):
        item_of_it = ITEM + UNDEFINED + innermost + ITEM_END + bytes(4)
        innermost = tag + UNDEFINED + item_of_it + SEQUENCE_END + bytes(4)
    return innermost


REFERENCE = _explicit(0x1150, b"UI", raw.CT.encode(), 8)
FRAGMENTS = b"".join(ITEM + struct.pack("<I", len(data)) + data for data in (b"", bytes(16), bytes(8)))
DATA_SETS = {
    "explicit": EXPLICIT_DATA_SET,
    "implicit": raw.data_set(INSTANCE, 256),
    "sequence": _sequence(1, REFERENCE + REFERENCE),
    "sequences_within_each_other": _sequence(9, REFERENCE),
    "sequence_implicit": _undefined_sequence(1, raw.element(0x1150, raw.CT, group=8)),
    "sequences_within_each_other_implicit": _undefined_sequence(9, raw.element(0x1150, raw.CT, group=8)),
    "sequence_of_unknown_vr": _explicit(0x1115, b"UN", ITEM + struct.pack("<I", len(REFERENCE)) + REFERENCE, 8),
    "fragments": struct.pack("<HH2sH", 0x7FE0, 0x10, b"OB", 0) + UNDEFINED + FRAGMENTS + SEQUENCE_END + bytes(4),
    "private": _explicit(0x10, b"LO", b"GEMS_PETD_01", 9) + _explicit(0x1001, b"UN", bytes(8), 9),
    "every_vr": b"".join(
        _explicit(0x1000 + at, vr, bytes(8), 9)
        for at, vr in enumerate(b"AE AS AT CS DA DS DT FL FD IS LO LT OB OW PN SH SL SS ST TM UI UL UN US UT".split())
    ),
}

# --- the table ----------------------------------------------------------------------------------------------------

SEEDS: dict[str, dict[str, bytes]] = {
    "pdu": {
        "associate_rq": request(),
        "associate_rq_every_item": REQUEST,
        "associate_ac": accept(answered(1, 0, raw.IMPLICIT)),
        "associate_ac_every_item": ACCEPT,
        "associate_ac_refused": accept(answered(1, 3, raw.IMPLICIT), item(0x21, b"\3\0\4\0")),
        "associate_rj": raw.reject(1, 2, 3),
        "p_data_command": echo(),
        "p_data_two_values": p_data(pdv(1, 0, b"ab"), pdv(3, raw.LAST, b"")),
        "release_rq": raw.RELEASE,
        "release_rp": raw.RELEASED,
        "abort": abort(2, 6),
    },
    "user_information": SUB_ITEMS | {"none": b"", "all": b"".join(SUB_ITEMS.values())},
    "context": {
        "proposed": raw.ECHO_CONTEXT,
        "proposed_several": context(255, raw.CT, raw.IMPLICIT, raw.EXPLICIT, raw.JPEG, extra=item(0x7A, b"?")),
        "accepted": answered(1, 0, raw.EXPLICIT),
        "refused": answered(1, 4, raw.EXPLICIT),
        "refused_without_syntax": item(0x21, b"\1\0\3\0"),
    },
    "message": COMMANDS,
    "inbound": STREAMS,
    "header": {name: data for name, data in FILES.items() if not name.startswith(("data_set", "preamble"))},
    "file": FILES,
    "data_set": DATA_SETS,
    "acceptor": {name: b"".join(parts) for name, parts in REQUESTOR_SENDS.items()},
    "requestor": {name: b"".join(parts) for name, parts in ACCEPTOR_SENDS.items()},
    **iscl.SEEDS,
}
"""Valid inputs by folder of the corpus and name."""


if __name__ == "__main__":
    from .corpus import FOLDER, save

    for folder, inputs in SEEDS.items():
        for name, data in inputs.items():
            if not (FOLDER / folder / f"{name}.hex").exists():
                print(save(folder, name, data, "a valid seed, made by seeds.py"))
