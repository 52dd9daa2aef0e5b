"""The bytes of an encoded data set, in memory or in a file: handed over in chunks, or gathered as they arrive.

Knows neither what the bytes mean nor where they travel. `OSError` of files is translated here.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from .errors import LDicomDataError
from .status import ErrorCode

_CHUNK = 1 << 20
"""Bytes read from a file at once."""
_IOV_MAX = 1000
"""Buffers of one gathering write; Linux and macOS take 1,024."""

_FILE_CODES = {
    errno.ENOSPC: ErrorCode.DISK_FULL,
    errno.EDQUOT: ErrorCode.DISK_FULL,
    errno.EMFILE: ErrorCode.TOO_MANY_OPEN_FILES,
    errno.ENFILE: ErrorCode.TOO_MANY_OPEN_FILES,
}


def file_error(error: OSError, doing: str, code: ErrorCode) -> LDicomDataError:
    """The library's error for an `OSError` of a file."""
    return LDicomDataError(_FILE_CODES.get(error.errno or 0, code), f"{doing}: {error.strerror or error}")


class Body(Protocol):
    """An encoded data set that can be read any number of times."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def open(self) -> BinaryIO:
        """A binary file that reads these bytes from the first to the last, and can seek."""
        ...

    def chunks(self, size: int) -> Iterator[memoryview]:
        """The bytes in order; each chunk but the last has a multiple of `size`, and is valid until the next."""
        ...


class MemoryBody:
    """A body in memory."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._data)

    def open(self) -> BinaryIO:
        """A binary file over the bytes, not to be written."""
        return io.BufferedReader(io.BytesIO(self._data))

    def chunks(self, size: int) -> Iterator[memoryview]:
        """All bytes at once."""
        if self._data:
            yield memoryview(self._data)


class FileBody:
    """A body in a file, behind a header of `offset` bytes.

    Args:
        path: the file.
        offset: where the data set starts.
        size: its bytes; None for the rest of the file.
        temporary: whether the file goes when this object goes.
    """

    __slots__ = ("__weakref__", "offset", "path", "size")

    def __init__(self, path: Path, offset: int, size: int | None = None, temporary: bool = False) -> None:
        self.path = path
        self.offset = offset
        try:
            self.size = path.stat().st_size - offset if size is None else size
        except OSError as error:
            raise file_error(error, f"cannot open {path}", ErrorCode.OPEN) from error
        if temporary:
            weakref.finalize(self, _unlink, path, os.getpid())

    def open(self) -> BinaryIO:
        """A binary file over the bytes of the data set."""
        try:
            file = self.path.open("rb", buffering=0)
            return io.BufferedReader(_Section(file, self.offset, self.size))
        except OSError as error:
            raise file_error(error, f"cannot open {self.path}", ErrorCode.OPEN) from error

    def chunks(self, size: int) -> Iterator[memoryview]:
        """The bytes, read through one buffer of about 1 MiB."""
        buffer = memoryview(bytearray(min(max(_CHUNK // size, 1) * size, self.size) or 1))
        left = self.size
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.offset)
                while left:
                    wanted = buffer[: min(left, len(buffer))]
                    _read_fully(file, wanted, self.path)
                    left -= len(wanted)
                    yield wanted
        except OSError as error:
            raise file_error(error, f"cannot read {self.path}", ErrorCode.READ) from error



def _read_fully(file: io.FileIO, view: memoryview, path: Path) -> None:
    """Fill `view`, or say that the file has become shorter."""
    while view:
        count = file.readinto(view)
        if not count:
            raise LDicomDataError(ErrorCode.READ, f"{path} became shorter while it was read")
        view = view[count:]


class _Section(io.RawIOBase):
    """The part of a file from `offset` on, as a file of its own."""

    def __init__(self, file: io.FileIO, offset: int, size: int) -> None:
        self._file = file
        self._offset = offset
        self._size = size
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell() if whence == os.SEEK_CUR else 0, os.SEEK_END: self._size}
        return self._file.seek(self._offset + max(0, base[whence] + offset)) - self._offset

    def tell(self) -> int:
        return self._file.tell() - self._offset

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        left = max(0, self._size - self.tell())
        return self._file.readinto(memoryview(buffer)[:left]) or 0

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _unlink(path: Path, process: int) -> None:
    """Remove a temporary file, but not where this process is only a fork of the one that made it."""
    if os.getpid() != process:
        return
    with contextlib.suppress(OSError):
        path.unlink()


class Spool:
    """Gathers the fragments of a body as they arrive: in memory, and in a temporary file once they are many.

    Args:
        folder: where the temporary file is made; None for the system's.
        memory: bytes that stay in memory.
        header: makes the bytes that go before the data set in the file, so that the file is a DICOM file.
    """

    __slots__ = (
        "__weakref__",
        "_file",
        "_finalizer",
        "_folder",
        "_header",
        "_make_header",
        "_memory",
        "_memory_limit",
        "_path",
        "size",
    )

    def __init__(self, folder: str | None, memory: int, header: Callable[[], bytes] = bytes) -> None:
        self._folder = folder
        self._memory_limit = memory
        self._make_header = header
        self._header = b""
        self._memory = bytearray()
        self._file: io.FileIO | None = None
        self._finalizer: weakref.finalize[..., Spool] | None = None
        self._path = Path()
        self.size = 0

    def write(self, fragments: list[memoryview]) -> None:
        """Take these fragments.

        Raises:
            LDicomDataError: the temporary file cannot be made or written.
        """
        length = sum(map(len, fragments))
        self.size += length
        if self._file is None and self.size <= self._memory_limit:
            for fragment in fragments:
                self._memory += fragment
            return
        try:
            write_gathered(self._file or self._spill(), fragments)
        except OSError as error:
            folder = self._folder or tempfile.gettempdir()
            raise file_error(error, f"cannot spool to {folder}", ErrorCode.WRITE) from error

    def _spill(self) -> io.FileIO:
        """Move what is in memory to a new file."""
        descriptor, name = tempfile.mkstemp(prefix="ldicomnet-", suffix=".dcm", dir=self._folder)
        self._file, self._path = io.FileIO(descriptor, "wb"), Path(name)
        self._finalizer = weakref.finalize(self, _unlink, self._path, os.getpid())
        self._header = self._make_header()
        _write_all(self._file, memoryview(self._header + self._memory))
        self._memory = bytearray()
        return self._file

    def finish(self) -> Body:
        """The body, complete.

        Raises:
            LDicomDataError: the temporary file could not be written to its end.
        """
        if self._file is None:
            return MemoryBody(self._memory)
        try:
            self._file.close()
        except OSError as error:  # some file systems say only now that they are full
            self._remove()
            raise file_error(error, f"cannot spool to {self._path.parent}", ErrorCode.WRITE) from error
        if self._finalizer is not None:
            self._finalizer.detach()
        return FileBody(self._path, len(self._header), self.size, temporary=True)

    def discard(self) -> None:
        """Give up: nothing stays."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._remove()

    def _remove(self) -> None:
        if self._finalizer is not None:
            self._finalizer()


def write_gathered(file: io.FileIO, pieces: Sequence[bytes | memoryview]) -> None:
    """All of `pieces`: by one gathering write where the system has it, and then what that left."""
    written = 0
    if hasattr(os, "writev") and 0 < len(pieces) <= _IOV_MAX:
        written = os.writev(file.fileno(), pieces)
    for piece in pieces:
        if written < len(piece):
            _write_all(file, memoryview(piece)[written:])
        written = max(0, written - len(piece))


def _write_all(file: io.FileIO, data: memoryview) -> None:
    while data:
        data = data[file.write(data) or 0 :]
