"""Bytes to a `pydicom.Dataset`, within bounds: whatever cannot be decoded is one kind of error.

pydicom is imported inside the functions that need it. Knows no connection.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Generic, TypeVar

from .body import Body, whole
from .command_set import to_dataset
from .errors import CANNOT_PROCESS, LDicomDataError
from .part10 import DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE, PREAMBLE, PREFIX_END
from .status import ErrorCode
from .structure import SHALLOW, Meanings, Walk, is_vr
from .text import reason
from .timing import DecodeLimits

if TYPE_CHECKING:
    from pydicom import Dataset

_INPUT = 16 << 10
"""Bytes inflated at once: zlib copies what it has not come to yet."""
_OUTPUT = 256 << 10
_LONGEST_COMMAND_SET = 64 << 10


def decode(body: Body, transfer_syntax: str, file_header: bytes, limits: DecodeLimits) -> Dataset:
    """The data set, with the file meta information of `file_header`, as pydicom reads it from a file; a command set
    where there is no transfer syntax.

    Raises:
        LDicomDataError: it cannot be decoded, or only beyond `limits`.
    """
    try:
        if not transfer_syntax:
            return to_dataset(whole(body))
        data = inflate(body, limits) if transfer_syntax == DEFLATED else whole(body)
        return _read(data, transfer_syntax, file_header, limits)
    except LDicomDataError:
        raise
    except Exception as error:  # pydicom raises what comes
        code = ErrorCode.MEMORY if isinstance(error, MemoryError) else ErrorCode.FORMAT
        text = f"the data set cannot be decoded: {reason(error)}"
    raise LDicomDataError(code, text)  # here, so that it does not keep what pydicom had in hand


def _read(data: bytes, transfer_syntax: str, file_header: bytes, limits: DecodeLimits) -> Dataset:
    """What `pydicom.dcmread` does with a file of `file_header` and `data`, but for what it could be led into: file meta
    information that goes on in the data set, and names another transfer syntax."""
    from pydicom.charset import default_encoding
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.filereader import read_dataset

    command_set, start = _command_set_before(data)
    implicit, little = _encoding(transfer_syntax)
    depth = Walk(data, little, _meanings(), limits.depth, limits.elements).depth(start, implicit)
    stream = BytesIO(data)  # which does not copy it
    stream.seek(start)
    elements = read_dataset(stream, implicit, little)
    if command_set is not None:
        elements.update(command_set)
    file_meta = FileMetaDataset(read_dataset(BytesIO(file_header[PREFIX_END:]), False, True))
    file_meta.set_original_encoding(False, True, default_encoding)
    dataset = FileDataset(BytesIO(), elements, file_header[:PREAMBLE], file_meta, implicit, little)
    dataset.set_original_encoding(implicit, little, elements._character_set)
    if depth > SHALLOW:
        _read_every_element(dataset)
    return dataset


def _encoding(transfer_syntax: str) -> tuple[bool, bool]:
    """Whether it is implicit VR, and whether little endian; all but two are explicit and little (PS3.5 A.4)."""
    from pydicom.uid import UID, PrivateTransferSyntaxes

    if transfer_syntax in PrivateTransferSyntaxes:
        private = PrivateTransferSyntaxes[PrivateTransferSyntaxes.index(UID(transfer_syntax))]
        return private.is_implicit_VR, private.is_little_endian
    return transfer_syntax == IMPLICIT_LITTLE, transfer_syntax != EXPLICIT_BIG


def _command_set_before(data: bytes) -> tuple[Dataset | None, int]:
    """The elements of group 0000 that some old files begin with, always in implicit VR, and where they end."""
    position, most = 0, min(len(data), _LONGEST_COMMAND_SET)
    while data[position : position + 2] == b"\0\0" and not is_vr(data[position + 4 : position + 6]):
        following = position + 8 + int.from_bytes(data[position + 4 : position + 8], "little")
        if following > most:
            break
        position = following
    return (to_dataset(data[:position]), position) if position else (None, 0)


def _read_every_element(dataset: Dataset) -> None:
    """Let pydicom raise now what it would raise later, while someone prints or walks a deep data set: see `SHALLOW`."""
    waiting = [dataset]
    while waiting:
        for element in waiting.pop():
            if element.VR == "SQ":
                waiting.extend(element.value)


@lru_cache(1)
def _meanings() -> Meanings:
    """pydicom's dictionaries."""
    from pydicom import datadict

    plain: dict[int, tuple[str, ...]] = vars(datadict)["DicomDictionary"]
    repeating = _Masked[str]()
    for name, entry in vars(datadict)["RepeatersDictionary"].items():
        repeating.setdefault(name, entry[0])
    private, creators = _Masked[set[bytes]](), set()
    for creator, entries in vars(datadict)["private_dictionaries"].items():
        for name in (name for name, entry in entries.items() if entry[0] == "SQ"):
            creators.add(creator.strip(" ").encode("latin-1", "replace"))
            private.setdefault(name, set()).add(creator.strip(" ").encode("latin-1", "replace"))

    def vr_of(tag: int) -> str | None:
        entry = plain.get(tag)
        return entry[0] if entry else None if tag & 0x10000 else repeating.get(tag, None)

    return Meanings(vr_of, lambda tag: private.get(tag, _NONE), creators)


_NONE: frozenset[bytes] = frozenset()
_T = TypeVar("_T")
_U = TypeVar("_U")


class _Masked(Generic[_T]):
    """Entries by tags such as "60xx3000", where an "x" is any digit."""

    def __init__(self) -> None:
        self._by_mask: dict[int, dict[int, _T]] = {}

    def setdefault(self, name: str, value: _T) -> _T:
        """The entry of a name, which is `value` where it is new."""
        mask = int("".join("0" if digit == "x" else "F" for digit in name), 16)
        return self._by_mask.setdefault(mask, {}).setdefault(int(name.replace("x", "0"), 16), value)

    def get(self, tag: int, default: _U) -> _T | _U:
        """The entry of a tag: the digits that count are looked at first."""
        for mask, entries in self._by_mask.items():
            if tag & mask in entries:
                return entries[tag & mask]
        return default


def inflate(body: Body, limits: DecodeLimits) -> bytes:
    """The data set of a deflated one (PS3.5 Annex A.5), as far as its stream goes: what follows that is padding.

    Raises:
        LDicomDataError: it is no such stream, is cut off, or becomes larger than `limits` allow.
    """
    most, plain, unpacker = limits.most_inflated(body.size), BytesIO(), zlib.decompressobj(-zlib.MAX_WBITS)
    with body.open() as file:
        while not unpacker.eof:
            packed = unpacker.unconsumed_tail or file.read(_INPUT)
            piece = unpacker.decompress(packed, _OUTPUT)
            if not packed and not piece:
                raise LDicomDataError(ErrorCode.END, "the deflate stream of the data set is cut off")
            plain.write(piece)
            if plain.tell() > most:
                text = f"{body.size} bytes of a deflated data set inflate to more than {most} (DecodeLimits)"
                raise LDicomDataError(ErrorCode.MEMORY, text, CANNOT_PROCESS)
    return plain.getvalue()


def uid_of(dataset: Dataset, keyword: str) -> str:
    """The value of an element that holds one UID; "" where there is none.

    Raises:
        LDicomDataError: it is no text, or several.
    """
    try:
        value = dataset.get(keyword)
    except Exception as error:  # pydicom raises what comes
        text = reason(error)
    else:
        if value is None or isinstance(value, str):
            return str(value or "")
        text = f"it is no text but {type(value).__name__}"
    raise LDicomDataError(ErrorCode.FORMAT, f"{keyword} of the data set cannot be read: {text}")
