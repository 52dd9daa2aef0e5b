"""The DICOM file format's header, PS3.10 Section 7.1: preamble, prefix and group 0002, or what stands in for them.

Pure: bytes in, records out.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from .errors import LDicomDataError
from .status import ErrorCode

IMPLEMENTATION_CLASS_UID = "2.25.214839450136276019327784152806391542617"
"""Names this library in associations and files; made from a random UUID (PS3.5 B.2)."""
IMPLEMENTATION_VERSION_NAME = "LDICOMNET_010"

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

PREAMBLE = 128
"""Bytes before the prefix."""
PREFIX_END = 132
_PREFIX = b"DICM"
_START_OF_FILE = bytes(PREAMBLE) + _PREFIX
_SHORT = Struct("<HH2sH")
_LENGTH = Struct("<HH2sHI")
_LONGEST_UID = 64
_LONGEST_VALUE = 0xFFFE
_START = b"\2\0\1\0OB\0\0\2\0\0\0\0\1"
"""File meta information version 1."""
SHORT_VRS = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
     b"ST", b"TM", b"UI", b"UL", b"US")
)  # fmt: skip
"""Value representations with a length of two bytes, PS3.5 Table 7.1-2."""
LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
"""With one of four bytes, PS3.5 Table 7.1-1."""


class FileMeta(NamedTuple):
    """What group 0002 of a file says; "" where it says nothing."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    offset: int
    """Where the data set starts."""


def encode_header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """Zero preamble, prefix and file meta information of an instance.

    Raises:
        LDicomDataError: a UID is longer than any value of its kind.
    """
    is_plain = len(sop_class_uid) <= _LONGEST_UID >= len(transfer_syntax)  # else a peer could fill the caches
    known_uid, end = (_known_uid, _known_end) if is_plain else (_uid, _end)
    meta = _START + known_uid(0x0002, sop_class_uid) + _uid(0x0003, sop_instance_uid) + end(transfer_syntax)
    return _START_OF_FILE + _LENGTH.pack(2, 0, b"UL", 4, len(meta)) + meta


def _uid(number: int, uid: str) -> bytes:
    value = uid.encode("latin-1", "replace")
    if len(value) > _LONGEST_VALUE:
        raise LDicomDataError(ErrorCode.FORMAT, f"a UID of {len(value)} characters fits in no file meta information")
    if len(value) & 1:
        value += b"\0"
    return _SHORT.pack(2, number, b"UI", len(value)) + value


_known_uid = lru_cache(256)(_uid)  # the same few SOP classes and transfer syntaxes come again and again


def _end(transfer_syntax: str) -> bytes:
    """The elements behind the instance: transfer syntax, and who wrote the file."""
    name = IMPLEMENTATION_VERSION_NAME.encode("ascii")
    name += b" " * (len(name) & 1)
    return (
        _uid(0x0010, transfer_syntax)
        + _uid(0x0012, IMPLEMENTATION_CLASS_UID)
        + _SHORT.pack(2, 0x0013, b"SH", len(name))
        + name
    )


_known_end = lru_cache(256)(_end)


def decode_header(data: bytes) -> FileMeta:
    """The file meta information at the beginning of `data`.

    A file without preamble, or without group length, is read as well, and one in implicit VR.

    Raises:
        LDicomDataError: `data` does not begin like a DICOM file, or ends inside group 0002.
    """
    position = PREFIX_END if data[PREAMBLE:PREFIX_END] == _PREFIX else 0
    if data[position : position + 2] != b"\2\0":
        raise LDicomDataError(ErrorCode.FORMAT, "no file meta information (PS3.10 Section 7.1)")
    values: dict[int, bytes] = {}
    end, length = 0, len(data)
    while data[position : position + 2] == b"\2\0":
        start = position + 8
        if start > length:
            raise LDicomDataError(ErrorCode.END, "the file ends inside its meta information")
        _group, number, vr, size = _SHORT.unpack_from(data, position)
        if vr in LONG_VRS:
            size = int.from_bytes(data[start : start + 4].ljust(4, b"\xff"), "little")
            start += 4
        elif not vr.isalpha():  # implicit VR
            size = int.from_bytes(data[start - 4 : start], "little")
        position = start + size
        if position > length:
            raise LDicomDataError(ErrorCode.END, "the file ends inside its meta information")
        values[number] = data[start:position]
        if number == 0 and size == 4:
            end = position + int.from_bytes(values[0], "little")
    if end > position and position + 2 > length:  # some writers count wrong, but then something follows
        raise LDicomDataError(ErrorCode.END, "the file ends inside its meta information")
    sop_class, sop_instance, transfer_syntax = (
        values.get(number, b"").decode("latin-1").rstrip("\0 ") for number in (0x0002, 0x0003, 0x0010)
    )
    return FileMeta(sop_class, sop_instance, transfer_syntax, position)


def start_of_meta(data: bytes) -> int:
    """Where the elements of a file begin, which may have no preamble."""
    return PREFIX_END if data[PREAMBLE:PREFIX_END] == _PREFIX else 0


def guess_meta(data: bytes, position: int) -> FileMeta:
    """What takes the place of file meta information, where a file has none or has no transfer syntax in it: read from
    the beginning of the data set. Its UIDs are "" where they are not there.
    """
    start, values = position, {0x0016: b"", 0x0018: b""}
    first_group, _number, vr, _length = _SHORT.unpack(data[position : position + 8].ljust(8, b"\0"))
    order, syntax = "<", IMPLICIT_LITTLE
    if vr in SHORT_VRS | LONG_VRS:
        order, syntax = (">", EXPLICIT_BIG) if first_group >= 0x0400 else ("<", EXPLICIT_LITTLE)
    short, long, group = Struct(order + "HH2sH"), Struct(order + "I"), 0
    while position + 12 <= len(data) and group <= 8 and not all(values.values()):
        group, number, vr, size = short.unpack_from(data, position)
        position += 12 if vr in LONG_VRS else 8
        if vr in LONG_VRS or not vr.isalpha():
            (size,) = long.unpack_from(data, position - 4)
        if group == 8 and number in values and position + size <= len(data):
            values[number] = data[position : position + size]
        position += size
    sop_class, sop_instance = (value.decode("latin-1").rstrip("\0 ") for value in values.values())
    return FileMeta(sop_class, sop_instance, syntax, start)
