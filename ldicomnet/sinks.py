"""Where a received data set goes as it arrives: memory and then a temporary file, a named file, or a stream.

Knows neither what the bytes mean nor where they come from; the header of a DICOM file is made by who knows it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol
from weakref import WeakSet

from .body import Body, FileBody, MemoryBody, file_error
from .errors import LDicomDataError
from .part_file import PartFile, flush_file, temporary_folder
from .status import ErrorCode, Status


class SupportsWrite(Protocol):
    """A binary file object, as far as a data set is written to it."""

    def write(self, data: memoryview, /) -> Any:
        """Take bytes and say how many; None for all."""


class Sink(Protocol):
    """Takes the fragments of one data set, in order."""

    @property
    def size(self) -> int:
        """Bytes so far."""
        ...

    def write(self, fragments: list[memoryview]) -> None:
        """Take these fragments, which are valid only now.

        Raises:
            LDicomDataError: they cannot be kept.
        """
        ...

    def finish(self) -> Body:
        """The whole data set.

        Raises:
            LDicomDataError: it could not be kept to its end.
        """
        ...

    def discard(self) -> None:
        """Give up: nothing stays."""
        ...


class SpoolSpace:
    """How much of the temporary folder one connection may take, with the data sets that somebody still holds.

    Args:
        most: bytes; None for any number.
    """

    __slots__ = ("_held", "_most")

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._held: WeakSet[FileBody] | None = None  # made with the first, since few connections spool

    @property
    def left(self) -> float:
        """Bytes that one more data set may have."""
        return float("inf") if self._most is None else self._most - sum(body.size for body in self._held or ())

    def hold(self, body: FileBody) -> None:
        """Until it goes, this counts."""
        if self._held is None:
            self._held = WeakSet()
        self._held.add(body)


class Spool:
    """Gathers a body in memory, and in a temporary file once it is large.

    Args:
        folder: where the temporary file is made; None for the system's.
        memory: bytes that stay in memory.
        header: makes the bytes that go before the data set in the file, so that the file is a DICOM file.
        space: what the file may take.
    """

    __slots__ = ("_file", "_folder", "_header", "_memory_limit", "_most", "_parts", "_space", "_start", "size")

    def __init__(
        self,
        folder: str | None,
        memory: int,
        header: Callable[[], bytes] = bytes,
        space: SpoolSpace | None = None,
    ) -> None:
        self._folder = folder
        self._memory_limit = memory
        self._header = header
        self._space = space or SpoolSpace()
        self._most = 0.0
        self._parts: list[bytes] = []
        self._file: PartFile | None = None
        self._start = 0
        self.size = 0

    def write(self, fragments: list[memoryview]) -> None:
        """See `Sink.write`."""
        self.size += sum(map(len, fragments))
        if self._file is not None:
            self._check_space()
            self._file.write(fragments)
        elif self.size <= self._memory_limit:
            self._parts.append(b"".join(fragments))
        else:
            self._most = self._space.left
            self._check_space()
            folder = self._folder or temporary_folder()
            self._file = PartFile(os.path.join(folder, "ldicomnet-"), f"spool to {folder}", 0o600)  # noqa: PTH118
            header = self._header()
            self._start = len(header)
            self._file.write([header, *self._parts, *fragments])
            self._parts = []

    def finish(self) -> Body:
        """See `Sink.finish`."""
        if self._file is None:
            return MemoryBody(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
        self._file.close()
        body = FileBody(self._file.release(), self._start, self.size, temporary=True)
        self._space.hold(body)
        return body

    def _check_space(self) -> None:
        if self.size > self._most:
            raise LDicomDataError(
                ErrorCode.DISK_FULL, f"a data set of more than {max(0, self._most):.0f} bytes, which may be spooled yet"
            )

    def discard(self) -> None:
        """See `Sink.discard`."""
        if self._file is not None:
            self._file.discard()


class FileSink:
    """Writes a body into a file of a given name, which appears complete or not at all.

    Args:
        path: the file.
        header: the bytes that go before the data set.
        durable: whether file and folder are flushed to the disk before `finish` returns.
        is_same: asked where there is a file of that name, with the names of the new file and of that one, whether the
            old one will do; where not, the new one is refused. None replaces what is there.
    """

    __slots__ = ("_durable", "_file", "_header", "_is_same", "_path", "size")

    def __init__(
        self, path: str, header: bytes, durable: bool = False, is_same: Callable[[str, str], bool] | None = None
    ) -> None:
        self._durable = durable
        self._is_same = is_same
        self._path = path
        self._header = header
        self._file: PartFile | None = None
        self.size = 0

    def write(self, fragments: list[memoryview]) -> None:
        """See `Sink.write`."""
        self.size += sum(map(len, fragments))
        if self._file is not None:
            self._file.write(fragments)
            return
        if not self.size:
            return
        self._file = PartFile.beside(self._path)
        self._file.write([self._header, *fragments])

    def finish(self) -> Body:
        """See `Sink.finish`; an empty data set makes no file."""
        if self._file is None:
            return MemoryBody(b"")
        self._file.close(self._durable)
        offset = len(self._header)
        if self._is_same is None:
            self._file.rename(self._path, self._durable)
        elif not self._file.claim(self._path, self._durable):
            self._keep_old(self._file, self._is_same)
            offset = FileBody(self._path, 0).size - self.size
        return FileBody(self._path, offset, self.size)

    def _keep_old(self, file: PartFile, is_same: Callable[[str, str], bool]) -> None:
        """Leave the file that is there, if it will do; the one who wrote it may not have flushed it yet."""
        try:
            if not is_same(file.name, self._path):
                text = f"cannot write {self._path}: there is another file of that name"
                raise LDicomDataError(ErrorCode.WRITE, text, Status.DUPLICATE_INSTANCE)
            if self._durable:
                flush_file(self._path)
        finally:
            file.discard()

    def discard(self) -> None:
        """See `Sink.discard`."""
        if self._file is not None:
            self._file.discard()


class StreamSink:
    """Hands a body to a binary file object of the user's, which stays open and is the user's to read."""

    __slots__ = ("_file", "size")

    def __init__(self, file: SupportsWrite) -> None:
        self._file = file
        self.size = 0

    def write(self, fragments: list[memoryview]) -> None:
        """See `Sink.write`."""
        try:
            for fragment in fragments:
                self.size += len(fragment)
                while fragment:  # a raw file may take a part, and others say nothing
                    count = self._file.write(fragment)
                    if count is None and not isinstance(self._file, io.RawIOBase):
                        break
                    if count is None:  # a raw file says so when it took nothing
                        raise ValueError("it is not blocking")
                    if not 0 < count <= len(fragment):
                        raise ValueError(f"it took {count} of {len(fragment)} bytes")
                    fragment = fragment[count:]
        except OSError as error:
            raise file_error(error, "cannot write to the file object of on_begin_data", ErrorCode.WRITE) from error
        except Exception as error:  # it is the user's, and may be closed, or for text
            raise LDicomDataError(
                ErrorCode.WRITE, f"cannot write to the file object of on_begin_data: {error}"
            ) from error

    def finish(self) -> Body:
        """See `Sink.finish`."""
        return _Elsewhere(self.size)

    def discard(self) -> None:
        """What the file object got stays in it."""


class _Elsewhere:
    """A body that was handed to a file object."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def open(self) -> BinaryIO:
        raise LDicomDataError(ErrorCode.READ, "the data set went to the file object that on_begin_data gave")

    def chunks(self, size: int) -> Iterator[memoryview]:
        raise LDicomDataError(ErrorCode.READ, "the data set went to the file object that on_begin_data gave")
