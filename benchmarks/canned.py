"""DICOM in tins: the few PDUs that a neutral client needs, made once; knows nothing of sockets or of ldicomnet.

Used where a measurement must not depend on the library that is measured: to see whether a server listens, to crowd a
server, and to give the bare sockets messages of a real size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
"""PDU types, PS3.8 9.3."""
VERIFICATION, MR_IMAGE = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION = "1.2.826.0.1.3680043.10.1999"
C_STORE_RQ, C_ECHO_RQ, RESPONSE = 0x0001, 0x0030, 0x8000
NO_DATASET, WITH_DATASET = 0x0101, 0x0001
PDU_LENGTH = 16384
PDU_HEADER, PDV_HEADER = struct.Struct(">BxI"), struct.Struct(">IBB")
FRAGMENT = PDU_LENGTH - PDV_HEADER.size
"""Bytes of a message that one PDU of the default length carries."""


# --- PDUs --------------------------------------------------------------------------------------------------------


def pdu(kind: int, body: bytes = b"\0\0\0\0") -> bytes:
    """A PDU; the body of those of the release is four reserved bytes."""
    return PDU_HEADER.pack(kind, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def associate_request(contexts: Iterable[tuple[int, str]], called: str = "ANY-SCP") -> bytes:
    """An A-ASSOCIATE-RQ of contexts (ID, abstract syntax), each with explicit and implicit little endian."""
    syntaxes = b"".join(_item(0x40, uid.encode()) for uid in (EXPLICIT, IMPLICIT))
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), b"BENCHMARK".ljust(16))
    body += _item(0x10, APPLICATION_CONTEXT.encode())
    for number, abstract_syntax in contexts:
        body += _item(0x20, struct.pack(">Bxxx", number) + _item(0x30, abstract_syntax.encode()) + syntaxes)
    user = _item(0x51, struct.pack(">I", PDU_LENGTH)) + _item(0x52, IMPLEMENTATION.encode())
    return pdu(ASSOCIATE_RQ, body + _item(0x50, user))


def p_data(context: int, message: bytes, is_command: bool) -> bytes:
    """A command set or data set as P-DATA-TF PDUs of the default length."""
    parts = []
    for start in range(0, len(message), FRAGMENT):
        piece = message[start : start + FRAGMENT]
        control = is_command | (start + FRAGMENT >= len(message)) << 1
        parts.append(pdu(P_DATA, PDV_HEADER.pack(len(piece) + 2, context, control) + piece))
    return b"".join(parts)


# --- command sets ------------------------------------------------------------------------------------------------


def _command(elements: dict[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in sorted(elements.items()))
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) & 1)


def _short(value: int) -> bytes:
    return struct.pack("<H", value)


def echo_request(context: int, message_id: int) -> bytes:
    """A C-ECHO-RQ as one PDU."""
    elements = {0x0002: _uid(VERIFICATION), 0x0100: _short(C_ECHO_RQ), 0x0110: _short(message_id)}
    return p_data(context, _command(elements | {0x0800: _short(NO_DATASET)}), True)


def echo_response(context: int, message_id: int) -> bytes:
    """A C-ECHO-RSP of success as one PDU."""
    elements = {0x0002: _uid(VERIFICATION), 0x0100: _short(C_ECHO_RQ | RESPONSE), 0x0120: _short(message_id)}
    return p_data(context, _command(elements | {0x0800: _short(NO_DATASET), 0x0900: _short(0)}), True)


def store_command(context: int, message_id: int, sop_class: str, instance: str) -> bytes:
    """The command set of a C-STORE-RQ as one PDU."""
    elements = {0x0002: _uid(sop_class), 0x0100: _short(C_STORE_RQ), 0x0110: _short(message_id), 0x0700: _short(0)}
    return p_data(context, _command(elements | {0x0800: _short(WITH_DATASET), 0x1000: _uid(instance)}), True)


def status(message: bytes) -> int | None:
    """The status in the command set of a response; None if there is none in it."""
    place = 0
    while place + 8 <= len(message):
        group, element, length = struct.unpack_from("<HHI", message, place)
        if (group, element, length) == (0, 0x0900, 2):
            return int.from_bytes(message[place + 8 : place + 10], "little")
        place += 8 + length
    return None


# --- a small image -----------------------------------------------------------------------------------------------


def _explicit(tag: int, vr: bytes, value: bytes) -> bytes:
    group, element = tag >> 16, tag & 0xFFFF
    value += (b"\0" if vr in (b"UI", b"OW") else b" ") * (len(value) & 1)
    if vr == b"OW":
        return struct.pack("<HH2sxxI", group, element, vr, len(value)) + value
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def tiny_image(instance: str, study: str, number: int) -> bytes:
    """A data set in explicit little endian: an MR image of 64 times 64 pixels, some 8 KB."""
    return b"".join(
        (
            _explicit(0x00080016, b"UI", MR_IMAGE.encode()),
            _explicit(0x00080018, b"UI", instance.encode()),
            _explicit(0x00080020, b"DA", b"20260102"),
            _explicit(0x00080060, b"CS", b"MR"),
            _explicit(0x00100010, b"PN", b"Crowd^Patient"),
            _explicit(0x00100020, b"LO", b"CROWD001"),
            _explicit(0x0020000D, b"UI", study.encode()),
            _explicit(0x0020000E, b"UI", f"{study}.1".encode()),
            _explicit(0x00200013, b"IS", str(number).encode()),
            _explicit(0x00280002, b"US", _short(1)),
            _explicit(0x00280004, b"CS", b"MONOCHROME2"),
            _explicit(0x00280010, b"US", _short(64)),
            _explicit(0x00280011, b"US", _short(64)),
            _explicit(0x00280100, b"US", _short(16)),
            _explicit(0x00280101, b"US", _short(12)),
            _explicit(0x00280102, b"US", _short(11)),
            _explicit(0x00280103, b"US", _short(0)),
            _explicit(0x7FE00010, b"OW", bytes(range(256)) * 32),
        )
    )


# --- what comes back ---------------------------------------------------------------------------------------------


def take_pdus(received: bytearray) -> Iterator[tuple[int, bytes]]:
    """Type and body of each PDU that is complete; it is taken off the front of `received`."""
    while len(received) >= PDU_HEADER.size:
        kind, length = PDU_HEADER.unpack_from(received)
        if len(received) < PDU_HEADER.size + length:
            return
        body = bytes(received[PDU_HEADER.size : PDU_HEADER.size + length])
        del received[: PDU_HEADER.size + length]
        yield kind, body
