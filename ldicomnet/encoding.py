"""Data sets of pydicom's to bytes in a transfer syntax, in pieces.

pydicom is imported inside the functions that need it. Knows no file and no connection.
"""

from __future__ import annotations

import copy
import io
import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from .body import Body, MemoryBody, PiecesBody
from .errors import LDicomDataError
from .part10 import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from .status import ErrorCode
from .structure import SHALLOW
from .text import reason

if TYPE_CHECKING:
    from pydicom import Dataset

_SWAPPED = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}
"""Value representations whose values are bytes to pydicom and words on the wire, with the size of a word."""
_WORDS = {2: "H", 4: "I", 8: "Q"}


def own_syntax(dataset: Dataset) -> str | None:
    """The transfer syntax a data set says it has, or was read in; None for one made by hand.

    Raises:
        LDicomDataError: its file meta information cannot be read.
    """
    meta = getattr(dataset, "file_meta", None)
    try:
        named = meta.get("TransferSyntaxUID") if meta is not None else None
    except Exception as error:  # pydicom raises what comes
        text = f"the transfer syntax of the data set cannot be read: {reason(error)}"
        raise LDicomDataError(ErrorCode.FORMAT, text) from None
    if named:
        return str(named)
    implicit, little = dataset.original_encoding
    if implicit is None or little is None:
        return None
    return IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE if little else EXPLICIT_BIG


def encode(dataset: Dataset, transfer_syntax: str, group_length: bool) -> Body:
    """Encode by pydicom; words are swapped here where the byte order changes, which pydicom leaves to its callers.

    Large values, such as pixel data, are not copied: the body refers to them.

    Raises:
        LDicomDataError: the data set cannot be encoded so; the text says why.
    """
    try:
        pieces = _encoded(dataset, transfer_syntax, group_length)
    except Exception as error:  # pydicom raises what comes
        code = ErrorCode.MEMORY if isinstance(error, MemoryError) else ErrorCode.CONVERSION
        text = f"the data set cannot be encoded: {reason(error)}"
    else:
        if transfer_syntax == DEFLATED:
            return MemoryBody(_deflate(pieces))
        return MemoryBody(b"".join(pieces)) if len(pieces) < 2 else PiecesBody(pieces)
    raise LDicomDataError(code, text)  # here, so that it does not keep what pydicom had in hand


def _encoded(dataset: Dataset, transfer_syntax: str, group_length: bool) -> list[bytes]:
    implicit, little = transfer_syntax == IMPLICIT_LITTLE, transfer_syntax != EXPLICIT_BIG
    kept = dataset[0x00040000:]
    if dataset.original_encoding not in ((None, None), (implicit, little)):
        kept = _decoded(kept, swap=dataset.original_encoding[1] != little)
    _check_deep_items(kept, implicit, little)
    _leave_large_values(kept)
    pieces = _Pieces()
    for part, header in _parts(kept, group_length, implicit, little):
        pieces.write(header)
        pieces.extend(part)
    return pieces.all()


def _parts(dataset: Dataset, group_length: bool, implicit: bool, little: bool) -> Iterator[tuple[_Pieces, bytes]]:
    """The whole data set, or group by group, each with its group length before it."""
    if not group_length:
        yield _write(dataset, dataset, implicit, little), b""
        return
    for group in sorted({tag.group for tag in dataset.keys()}):  # noqa: SIM118 - iterating decodes every element
        part = _write(dataset.group_dataset(group), dataset, implicit, little)
        order = "<" if little else ">"
        if implicit:
            yield part, struct.pack(order + "HHII", group, 0, 4, part.size)
        else:
            yield part, struct.pack(order + "HH2sHI", group, 0, b"UL", 4, part.size)


def _write(part: Dataset, whole: Dataset, implicit: bool, little: bool) -> _Pieces:
    from pydicom.charset import default_encoding
    from pydicom.filebase import DicomIO
    from pydicom.filewriter import write_dataset

    pieces = _Pieces()
    stream = DicomIO(cast(Any, pieces))
    stream.is_implicit_VR, stream.is_little_endian = implicit, little
    write_dataset(stream, part, whole.get("SpecificCharacterSet", default_encoding))
    return pieces


def _check_deep_items(dataset: Dataset, implicit: bool, little: bool) -> None:
    """Let pydicom raise, for an element that it cannot write, here and not within many sequences: see `SHALLOW`."""
    from pydicom.charset import default_encoding
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_data_element

    waiting: list[tuple[int, Any, Any]] = [(0, dataset, default_encoding)]
    while waiting:
        depth, items, outer_set = waiting.pop()
        character_set = items.get("SpecificCharacterSet", outer_set)
        for element in items.values():
            if element.is_raw:  # its bytes are written as they are
                continue
            if element.VR == "SQ":
                waiting += [(depth + 1, item, character_set) for item in element.value]
            elif depth > SHALLOW:
                stream = DicomBytesIO()
                stream.is_implicit_VR, stream.is_little_endian = implicit, little
                write_data_element(stream, element, character_set)


def _leave_large_values(dataset: Dataset) -> None:
    """Put the large values of the top level, which pydicom would copy, behind what it takes for a file."""
    from pydicom.dataelem import DataElement

    for tag in list(dataset.keys()):
        element: Any = dataset.get_item(tag)
        value = element.value
        if not isinstance(value, bytes) or len(value) < _LARGE or len(value) & 1:  # what is odd has to be padded
            continue
        vr = element.VR or ("OW" if tag == _PIXEL_DATA else None)
        if vr in _BUFFERED:
            is_undefined = element.length == _UNDEFINED if element.is_raw else element.is_undefined_length
            left = DataElement(tag, vr, _Whole(value))
            left.is_undefined_length = is_undefined
            dataset[tag] = left


_LARGE = 64 << 10
_UNDEFINED = 0xFFFFFFFF
_PIXEL_DATA = 0x7FE00010
_BUFFERED = frozenset(("OB", "OD", "OF", "OL", "OV", "OW"))
"""Value representations that pydicom writes from a file."""


class _Whole(io.BufferedIOBase):
    """A value as a file that reads it at once, so that the very object comes out again."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._position, len(self._value))[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        start = self._position
        if size is not None and 0 <= size < _SMALL:
            self._position += size
            return self._value[start : start + size]
        self._position = len(self._value)
        return self._value[start:] if start else self._value


_SMALL = 64


class _Pieces:
    """Gathers what is written: small writes joined, large ones as they are."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._small = bytearray()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        if len(data) < _LARGE:
            self._small += data
        else:
            self._cut()
            self._pieces.append(data)
        return len(data)

    def extend(self, other: _Pieces) -> None:
        for piece in other.all():
            self.write(piece)

    def tell(self) -> int:
        return self.size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        raise io.UnsupportedOperation("what is written is not changed any more")

    def _cut(self) -> None:
        if self._small:
            self._pieces.append(bytes(self._small))
            self._small = bytearray()

    def all(self) -> list[bytes]:
        self._cut()
        return self._pieces


def _decoded(dataset: Dataset, swap: bool) -> Dataset:
    """A copy with every value decoded, so that all can be encoded otherwise; with `swap`, the bytes of words in the
    other order (PS3.5 Section 7.3)."""
    decoded = copy.deepcopy(dataset)
    for element in decoded.iterall():
        size = _SWAPPED.get(element.VR)
        if swap and size and isinstance(element.value, bytes | bytearray):
            words = array(_WORDS[size], bytes(element.value))
            words.byteswap()
            element.value = words.tobytes()
    return decoded


def _deflate(pieces: list[bytes]) -> bytes:
    """PS3.5 Annex A.5: RFC 1951, padded to an even length."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = b"".join(packer.compress(piece) for piece in pieces) + packer.flush()
    return packed + b"\0" * (len(packed) & 1)
