"""The bytes of an encoded data set, in memory or in a file: handed over in chunks.

Knows neither what the bytes mean nor where they travel. `OSError` of files is translated here.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from .buffers import give_buffer, take_buffer
from .errors import CANNOT_PROCESS, LDicomDataError
from .status import ErrorCode, Status

_IOV_MAX = 1000
"""Buffers of one gathering write; Linux and macOS take 1,024."""

_GATHERS = hasattr(os, "writev")

_FILE_CODES = {
    errno.ENOSPC: ErrorCode.DISK_FULL,
    errno.EDQUOT: ErrorCode.DISK_FULL,
    errno.EMFILE: ErrorCode.TOO_MANY_OPEN_FILES,
    errno.ENFILE: ErrorCode.TOO_MANY_OPEN_FILES,
}
_FOR_EVER = frozenset((errno.EFBIG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENAMETOOLONG))
"""What sending again does not change: the file system takes no file of that size or name, or has a folder there."""


def file_error(error: OSError, doing: str, code: ErrorCode) -> LDicomDataError:
    """The library's error for an `OSError` of a file."""
    status = CANNOT_PROCESS if error.errno in _FOR_EVER else Status.REFUSED_OUT_OF_RESOURCES
    return LDicomDataError(_FILE_CODES.get(error.errno or 0, code), f"{doing}: {error.strerror or error}", status)


class Body(Protocol):
    """An encoded data set that can be read any number of times."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def open(self) -> BinaryIO:
        """A binary file that reads these bytes from the first to the last, and can seek; it raises `LDicomDataError`
        where they cannot be read on."""
        ...

    def chunks(self, size: int) -> Iterator[memoryview]:
        """The bytes in order; each chunk but the last has a multiple of `size`, and is valid until the next."""
        ...


class MemoryBody:
    """A body in memory.

    Attributes:
        data: its bytes.
        size: how many.
    """

    __slots__ = ("data", "size")

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.size = len(data)

    def open(self) -> BinaryIO:
        """A binary file over the bytes, not to be written."""
        return io.BufferedReader(io.BytesIO(self.data))

    def chunks(self, size: int) -> Iterator[memoryview]:
        """All bytes at once."""
        if self.data:
            yield memoryview(self.data)


class PiecesBody:
    """A body of several pieces in memory, which are not joined."""

    __slots__ = ("_pieces", "size")

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self.size = sum(map(len, pieces))

    def open(self) -> BinaryIO:
        """A binary file over the bytes, which are joined for it."""
        return io.BufferedReader(io.BytesIO(b"".join(self._pieces)))

    def chunks(self, size: int) -> Iterator[memoryview]:
        """The bytes, through one buffer of about 1 MiB."""
        buffer = take_buffer(size)
        try:
            view = memoryview(buffer)[: len(buffer) // size * size]
            filled = 0
            for data in self._pieces:
                piece = memoryview(data)
                while piece:
                    count = min(len(piece), len(view) - filled)
                    view[filled : filled + count] = piece[:count]
                    filled, piece = filled + count, piece[count:]
                    if filled == len(view):
                        yield view
                        filled = 0
            if filled:
                yield view[:filled]
        finally:
            give_buffer(buffer)


class FileBody:
    """A body in a file, behind a header of `offset` bytes.

    Args:
        path: the file.
        offset: where the data set starts.
        size: its bytes; None for the rest of the file.
        temporary: whether the file goes when this object goes.
    """

    __slots__ = ("__weakref__", "offset", "path", "size")

    def __init__(
        self, path: str | os.PathLike[str], offset: int, size: int | None = None, temporary: bool = False
    ) -> None:
        self.path = os.fspath(path)
        self.offset = offset
        try:
            self.size = os.stat(path).st_size - offset if size is None else size  # noqa: PTH116 - twice as fast
        except OSError as error:
            raise file_error(error, f"cannot open {path}", ErrorCode.OPEN) from error
        if temporary:
            weakref.finalize(self, unlink_own, self.path, os.getpid())

    def open(self) -> BinaryIO:
        """A binary file over the bytes of the data set."""
        try:
            return io.BufferedReader(_Section(io.FileIO(self.path), self.offset, self.size))
        except OSError as error:
            raise file_error(error, f"cannot open {self.path}", ErrorCode.OPEN) from error

    def chunks(self, size: int) -> Iterator[memoryview]:
        """The bytes, read through one buffer of about 1 MiB that is used again and again."""
        position, end = self.offset, self.offset + self.size
        buffer = take_buffer(size)
        view = memoryview(buffer)[: len(buffer) // size * size]
        try:
            descriptor = os.open(self.path, READ_FLAGS)
            try:
                while position < end:
                    wanted = view[: end - position]
                    _read_fully(descriptor, wanted, position, self.path)
                    position += len(wanted)
                    yield wanted
            finally:
                os.close(descriptor)
        except OSError as error:
            raise file_error(error, f"cannot read {self.path}", ErrorCode.READ) from error
        finally:
            give_buffer(buffer)


def whole(body: Body) -> bytes:
    """All bytes of a body, which are not copied where they are in memory as they are.

    Raises:
        LDicomDataError: they cannot be read.
    """
    if isinstance(body, MemoryBody) and isinstance(body.data, bytes):
        return body.data
    with body.open() as file:
        data = file.read()
    if len(data) != body.size:
        name = getattr(body, "path", "a data set")
        raise LDicomDataError(ErrorCode.READ, f"{name} became shorter while it was read")
    return data


READ_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)


def _read_fully(descriptor: int, view: memoryview, position: int, path: str) -> None:
    """Fill `view` from `position` on, or say that the file has become shorter."""
    while view:
        count = _read_at(descriptor, view, position)
        if not count:
            raise LDicomDataError(ErrorCode.READ, f"{path} became shorter while it was read")
        position += count
        view = view[count:]


if hasattr(os, "preadv"):

    def _read_at(descriptor: int, view: memoryview, position: int) -> int:
        return os.preadv(descriptor, [view], position)

else:  # Windows

    def _read_at(descriptor: int, view: memoryview, position: int) -> int:
        os.lseek(descriptor, position, os.SEEK_SET)
        data = os.read(descriptor, len(view))
        view[: len(data)] = data
        return len(data)


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
        with self._translated():
            return self._file.seek(self._offset + max(0, base[whence] + offset)) - self._offset

    def tell(self) -> int:
        return self._file.tell() - self._offset

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        left = max(0, self._size - self.tell())
        with self._translated():
            return self._file.readinto(memoryview(buffer)[:left]) or 0

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise file_error(error, f"cannot read {self._file.name}", ErrorCode.READ) from error

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def unlink_own(path: str, process: int) -> None:
    """Remove a temporary file, but not where this process is only a fork of the one that made it."""
    if os.getpid() == process:
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108


def write_gathered(descriptor: int, pieces: Sequence[bytes | memoryview]) -> None:
    """All of `pieces` to a file: by gathering writes where the system has them, and then what one left."""
    for start in range(0, len(pieces), _IOV_MAX):
        _write_some(descriptor, pieces[start : start + _IOV_MAX] if len(pieces) > _IOV_MAX else pieces)


def _write_some(descriptor: int, pieces: Sequence[bytes | memoryview]) -> None:
    written = 0
    if _GATHERS:
        written = os.writev(descriptor, pieces)
        if written == sum(map(len, pieces)):
            return
    for piece in pieces:
        if written < len(piece):
            _write_all(descriptor, memoryview(piece)[written:])
        written = max(0, written - len(piece))


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        count = os.write(descriptor, data)
        if not count:  # POSIX knows no such answer; a file system that gives it would be asked for ever
            raise OSError(errno.EIO, "the file system takes no more bytes and does not say why")
        data = data[count:]
