"""`LDicomDS`: a data set as it is on the wire, in memory or in a file; decoded by pydicom only when asked.

pydicom, and what encodes for it, are imported inside the functions that need them, so that moving data sets about does
not pay for them.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, BinaryIO, Self

from . import checks
from .body import READ_FLAGS, Body, FileBody, MemoryBody, file_error, whole
from .command_set import COMMAND_FIELD, DATA_SET_TYPE, encode_elements, from_dataset
from .errors import LDicomDataError, LDicomUsageError
from .message import BY_FIELD, Row, file_name
from .part10 import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    FileMeta,
    decode_header,
    encode_header,
    guess_meta,
    start_of_meta,
)
from .part_file import write_file
from .status import Command, ErrorCode
from .text import shown
from .timing import DecodeLimits

if TYPE_CHECKING:
    from pydicom import Dataset

CONVERTIBLE = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED))
"""Transfer syntaxes between which a data set is converted without loss."""
_LARGEST_META = 1 << 20
_FIRST_READ = 4 << 10


class LDicomDS:
    """An encoded data set and its transfer syntax.

    Made by `load`, `from_dataset` and `init_cs`, and given to hooks. It stays valid for as long as it is held; a
    temporary file behind it goes when it goes.

    Attributes:
        transfer_syntax: UID of the transfer syntax of the bytes.
        decode_limits: what decoding it may take. Assign other `DecodeLimits` before `dataset` is used, or to the class
            for all.
    """

    decode_limits = DecodeLimits()

    def __init__(
        self, body: Body, transfer_syntax: str, sop_class_uid: str = "", sop_instance_uid: str = ""
    ) -> None:
        self._body = body
        self.transfer_syntax = transfer_syntax
        self._uids = (sop_class_uid, sop_instance_uid)
        self._dataset: Dataset | None = None
        self._decoding = threading.Lock()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """A DICOM file; reads its file meta information only, and whole data sets never.

        A file without file meta information, or without a transfer syntax in it, is known by what its data set begins
        with.

        Raises:
            LDicomDataError: the file cannot be read, or is not a DICOM file.
        """
        name = checks.path(path)
        try:
            meta, size = _read_meta(name)
        except OSError as error:
            raise file_error(error, f"cannot open {name}", ErrorCode.OPEN) from error
        body = FileBody(name, meta.offset, size - meta.offset)
        return cls(body, meta.transfer_syntax, meta.sop_class_uid, meta.sop_instance_uid)

    @classmethod
    def from_dataset(
        cls, dataset: Dataset, transfer_syntax: str | None = None, *, group_length: bool = False
    ) -> Self:
        """Encode a `pydicom.Dataset`.

        Args:
            dataset: the data set; its elements of groups 0000 and 0002 are left out.
            transfer_syntax: UID; None for that of its file meta information, else the encoding it was read in, else
                Implicit VR Little Endian.
            group_length: whether each group begins with a group length element (retired, PS3.5 7.2).

        Raises:
            LDicomDataError: it cannot be encoded so; the text says why.
        """
        if not hasattr(dataset, "original_encoding"):
            raise LDicomUsageError(f"dataset is {type(dataset).__name__}: a pydicom.Dataset is wanted")
        from .decoding import uid_of
        from .encoding import encode, own_syntax

        own = own_syntax(dataset)
        wanted = str(transfer_syntax or own or IMPLICIT_LITTLE)
        if own not in (None, wanted) and not {own, wanted} <= CONVERTIBLE:
            raise _not_convertible(own or "", wanted)
        encoded = cls(
            encode(dataset, wanted, group_length),
            wanted,
            uid_of(dataset, "SOPClassUID"),
            uid_of(dataset, "SOPInstanceUID"),
        )
        return encoded

    @classmethod
    def from_bytes(
        cls, data: bytes, transfer_syntax: str, sop_class_uid: str = "", sop_instance_uid: str = ""
    ) -> Self:
        """A data set that is encoded already, such as one kept in a database.

        Args:
            data: the encoded data set, without preamble and file meta information; it is not looked at.
            transfer_syntax: UID of its encoding.
            sop_class_uid, sop_instance_uid: what it is an instance of; "" leaves them to be read from it.
        """
        if not isinstance(data, bytes | bytearray):
            raise LDicomUsageError(f"data is {type(data).__name__}: bytes are wanted")
        return cls(MemoryBody(bytes(data)), transfer_syntax, sop_class_uid, sop_instance_uid)

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def sop_class_uid(self) -> str:
        """SOP class UID: of the file meta information or the command set, else of the data set; "" for none.

        Raises:
            LDicomDataError: the data set was asked for it, and it cannot be decoded.
        """
        return self._uid(0, "SOPClassUID")

    @property
    def sop_instance_uid(self) -> str:
        """SOP instance UID: of the file meta information or the command set, else of the data set; "" for none.

        Raises:
            LDicomDataError: the data set was asked for it, and it cannot be decoded.
        """
        return self._uid(1, "SOPInstanceUID")

    def _uid(self, place: int, keyword: str) -> str:
        if self._uids[place]:
            return self._uids[place]
        from .decoding import uid_of

        return uid_of(self.dataset, keyword)

    @property
    def file_name(self) -> str:
        """A name for a file of this instance: its SOP instance UID and ".dcm".

        Raises:
            LDicomDataError: the UID is none, so that a peer could name any file.
        """
        return file_name(self.sop_instance_uid)

    @property
    def size(self) -> int:
        """Bytes of the encoded data set."""
        return self._body.size

    @property
    def body(self) -> Body:
        """The encoded data set, as the connection sends it."""
        return self._body

    def open(self) -> BinaryIO:
        """A binary file that reads the encoded data set; close it after use.

        Raises:
            LDicomDataError: its file cannot be opened; reading raises it too, where the file cannot be read on.
        """
        return self._body.open()

    def read(self) -> bytes:
        """The encoded data set.

        Raises:
            LDicomDataError: its file cannot be read.
        """
        return whole(self._body)

    @property
    def dataset(self) -> Dataset:
        """The data set, decoded by pydicom on first use, in the caller's thread, and kept.

        It is decoded as far as pydicom does: most elements when someone reads them. A value that is malformed, such as
        a text in an unknown character set, a number of a wrong length or an unknown value representation, is pydicom's
        warning or error there, of any kind of exception. A data set that was cut off between two elements looks whole.

        Raises:
            LDicomDataError: it cannot be decoded, or only beyond `decode_limits`.
        """
        from .decoding import decode

        with self._decoding:
            if self._dataset is None:
                header = encode_header(*self._uids, self.transfer_syntax)
                self._dataset = decode(self._body, self.transfer_syntax, header, self.decode_limits)
            return self._dataset

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, durable: bool = True) -> None:
        """Write a DICOM file whose data set is the same bytes; it appears under its name complete, or not at all.

        Args:
            path: the file; one of that name is replaced.
            durable: whether file and folder are flushed to the disk before the method returns.

        Raises:
            LDicomDataError: it cannot be written, and nothing is left behind; or the folder could not be flushed, and
                the file is there, but nobody may be told that it will stay. `status` is what to answer.
        """
        header = encode_header(self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax)
        write_file(checks.path(path), header, self._body.chunks(1), durable)

    # --- command sets ---------------------------------------------------------------------------------------------

    @classmethod
    def init_cs(cls, command: int, request: bool) -> Self:
        """A command set with the default values of a message, for `LDicomNet.send_data`.

        Args:
            command: a `Command`, without the bit of responses.
            request: whether it is the request or the response.

        Raises:
            LDicomUsageError: there is no such message.
        """
        number = checks.number("command", command, 0xFFFF)
        row = BY_FIELD.get(number | (0 if request else Command.RESPONSE))
        if row is None:
            raise LDicomUsageError(f"command is {command!r}: PS3.7 has no such {'request' if request else 'response'}")
        return cls(MemoryBody(_default_command_set(row)), "")

    def get_info_cs(self) -> tuple[Command, bool]:
        """Of a command set: its `Command`, and whether it is a request.

        Raises:
            LDicomUsageError: this is not a command set.
            LDicomDataError: it cannot be decoded.
        """
        try:
            field = self.dataset.get("CommandField")
        except LDicomDataError:
            raise
        except Exception:  # pydicom raises what comes
            field = None
        if not isinstance(field, int):
            raise LDicomUsageError("this data set is not a command set: it has no command field (0000,0100)")
        return Command(field & ~Command.RESPONSE), not field & Command.RESPONSE

    def __repr__(self) -> str:
        return f"<LDicomDS, {self.size} bytes, transfer syntax {shown(self.transfer_syntax) or 'of a command set'}>"


# --- sending -----------------------------------------------------------------------------------------------------


def to_body(dataset: LDicomDS | Dataset | str | os.PathLike[str], transfer_syntax: str, group_length: bool) -> Body:
    """The bytes that travel in `transfer_syntax` for whatever a `send_*` was given.

    What is in that transfer syntax already goes as it is. Between the uncompressed ones it is converted; anything else
    is refused, never changed in silence.

    Raises:
        LDicomDataError: a file cannot be read, or a data set not be encoded.
        LDicomUsageError: the transfer syntax of the data set was not negotiated and cannot be had without loss.
    """
    if not isinstance(dataset, LDicomDS) and isinstance(dataset, str | os.PathLike):
        dataset = LDicomDS.load(dataset)
    if isinstance(dataset, LDicomDS):
        if dataset.transfer_syntax == transfer_syntax:
            return _padded(dataset.body) if transfer_syntax == DEFLATED else dataset.body
        if not {dataset.transfer_syntax, transfer_syntax} <= CONVERTIBLE:
            raise _not_convertible(dataset.transfer_syntax, transfer_syntax)
        dataset = dataset.dataset
    return LDicomDS.from_dataset(dataset, transfer_syntax, group_length=group_length).body


def _padded(body: Body) -> Body:
    """A deflated data set of an even length: one null is appended to an odd one (PS3.5 Annex A.5)."""
    if not body.size & 1:
        return body
    return MemoryBody(whole(body) + b"\0")


def to_command_set(command_set: LDicomDS | Dataset, has_data_set: bool) -> bytes:
    """The encoded command set for `send_data`."""
    dataset = command_set.dataset if isinstance(command_set, LDicomDS) else command_set
    if not hasattr(dataset, "original_encoding"):
        raise LDicomUsageError(f"command_set is {type(dataset).__name__}: an LDicomDS or a pydicom.Dataset is wanted")
    return from_dataset(dataset, has_data_set)


def _not_convertible(own: str, wanted: str) -> LDicomUsageError:
    return LDicomUsageError(
        f"dataset is in transfer syntax {shown(own) or 'unknown'}, the presentation context has {wanted}: "
        "not the same, and not to be had without loss (PS3.5 Section 10)",
        ErrorCode.TRANSFER_SYNTAX_NOT_SUPPORTED,
    )


def _default_command_set(row: Row) -> bytes:
    """Numbers 0 and texts empty; data set type by whether the message may carry one."""
    empty = {"US": b"\0\0"}
    elements = {
        parameter.element: empty.get(parameter.vr, b"") for parameter in row.parameters if not parameter.optional
    }
    elements[COMMAND_FIELD] = row.field.to_bytes(2, "little")
    elements[DATA_SET_TYPE] = b"\1\0" if row.has_dataset else b"\1\1"
    return encode_elements(elements)


# --- files -------------------------------------------------------------------------------------------------------


def _read_meta(path: str) -> tuple[FileMeta, int]:
    """The file meta information of a file, and the file's size."""
    descriptor = os.open(path, READ_FLAGS)
    try:
        size = os.fstat(descriptor).st_size
        data = os.read(descriptor, _FIRST_READ)
        while True:
            try:
                meta = decode_header(data)
                break
            except LDicomDataError as error:
                is_cut = error.code == ErrorCode.END and len(data) < _LARGEST_META
                more = os.read(descriptor, len(data)) if is_cut else b""
                if not more and error.code == ErrorCode.FORMAT:
                    return _guessed(path, data, FileMeta("", "", "", start_of_meta(data))), size
                if not more:
                    raise LDicomDataError(error.code, f"{path}: {error}") from error
                data += more
    finally:
        os.close(descriptor)
    return meta if meta.transfer_syntax else _guessed(path, data, meta), size


def _guessed(path: str, data: bytes, meta: FileMeta) -> FileMeta:
    """For a file without file meta information, or without transfer syntax in it: what its data set begins with."""
    guess = guess_meta(data, meta.offset)
    if 0 < start_of_meta(data) < meta.offset:
        return FileMeta(meta.sop_class_uid, meta.sop_instance_uid, guess.transfer_syntax, meta.offset)
    if not (guess.sop_class_uid and guess.sop_instance_uid):
        raise LDicomDataError(ErrorCode.FORMAT, f"{path} is not a DICOM file (PS3.10 Section 7.1)")
    return guess
