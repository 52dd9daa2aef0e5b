"""The DICOM file format's header, PS3.10 Section 7.1: preamble, prefix and group 0002; nothing of the data set.

Pure: bytes in, records out.
"""

from __future__ import annotations

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

_PREAMBLE = bytes(128) + b"DICM"
_SHORT = Struct("<HH2sH")
_LONG = Struct("<HH2sHI")
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))


class FileMeta(NamedTuple):
    """What group 0002 of a file says; "" where it says nothing."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    offset: int
    """Where the data set starts."""


def encode_header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """Zero preamble, prefix and file meta information of an instance."""
    elements = (
        (0x0002, sop_class_uid),
        (0x0003, sop_instance_uid),
        (0x0010, transfer_syntax),
        (0x0012, IMPLEMENTATION_CLASS_UID),
    )
    meta = _LONG.pack(2, 1, b"OB", 0, 2) + b"\0\1"
    meta += b"".join(_short(number, b"UI", uid.encode("latin-1", "replace"), b"\0") for number, uid in elements)
    meta += _short(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"), b" ")
    return _PREAMBLE + _SHORT.pack(2, 0, b"UL", 4) + len(meta).to_bytes(4, "little") + meta


def _short(number: int, vr: bytes, value: bytes, pad: bytes) -> bytes:
    value += pad * (len(value) & 1)
    return _SHORT.pack(2, number, vr, len(value)) + value


def decode_header(data: bytes) -> FileMeta:
    """The file meta information at the beginning of `data`.

    A file without preamble, or without group length, is read as well.

    Raises:
        LDicomDataError: `data` does not begin like a DICOM file, or ends inside group 0002.
    """
    position = 132 if data[128:132] == b"DICM" else 0
    if data[position : position + 2] != b"\2\0":
        raise LDicomDataError(ErrorCode.FORMAT, "no file meta information (PS3.10 Section 7.1)")
    values: dict[int, bytes] = {}
    end = 0
    while data[position : position + 2] == b"\2\0":
        number, value, position = _element(data, position)
        values[number] = value
        if number == 0x0000 and len(value) == 4:
            end = position + int.from_bytes(value, "little")
    if end > position and position + 2 > len(data):  # some writers count wrong, but then something follows
        raise LDicomDataError(ErrorCode.END, "the file ends inside its meta information")
    sop_class, sop_instance, transfer_syntax = (
        values.get(number, b"").decode("latin-1").rstrip("\0 ") for number in (0x0002, 0x0003, 0x0010)
    )
    return FileMeta(sop_class, sop_instance, transfer_syntax, position)


def _element(data: bytes, position: int) -> tuple[int, bytes, int]:
    """Element number, value and end of the element at `position`; group 0002 is Explicit VR Little Endian."""
    start = position + 8
    if start > len(data):
        raise LDicomDataError(ErrorCode.END, "the file ends inside its meta information")
    _group, number, vr, length = _SHORT.unpack_from(data, position)
    if vr in _LONG_VRS:
        length = int.from_bytes(data[start : start + 4].ljust(4, b"\xff"), "little")
        start += 4
    if start + length > len(data):
        raise LDicomDataError(ErrorCode.END, "the file ends inside its meta information")
    return number, data[start : start + length], start + length
