"""A file that is under a name of its own until it is complete; what is not complete goes with the interpreter.

Knows neither data sets nor headers. `OSError` is translated here.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import itertools
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Self

from .body import file_error, unlink_own, write_gathered
from .errors import LDicomDataError
from .status import ErrorCode

_FLAGS = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
)  # fmt: skip
_numbers = itertools.count()
_session = os.urandom(6).hex()
_unfinished: set[tuple[int, str]] = set()
"""Process and name of the files that go when the interpreter ends."""


class PartFile:
    """A new file.

    Args:
        prefix: folder, and how its name begins.
        doing: what is said of errors.
        mode: its permissions.

    Raises:
        LDicomDataError: it cannot be made.
    """

    __slots__ = ("_descriptor", "_doing", "_entry", "_name")

    def __init__(self, prefix: str, doing: str, mode: int = 0o666) -> None:
        self._doing = doing
        process = os.getpid()
        self._name = f"{prefix}{_session}-{process}-{next(_numbers)}.part"
        try:
            self._descriptor = os.open(self._name, _FLAGS, mode)
        except OSError as error:
            raise self._error(error) from error
        self._entry = (process, self._name)
        _unfinished.add(self._entry)

    @classmethod
    def beside(cls, path: str) -> Self:
        """In the folder of `path`, whose name it is to get."""
        folder = os.path.dirname(path)  # noqa: PTH120
        return cls(f"{folder}{os.sep}." if folder else ".", f"write {path}")

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Append all of `pieces`.

        Raises:
            LDicomDataError: they do not fit.
        """
        try:
            write_gathered(self._descriptor, pieces)
        except OSError as error:
            raise self._error(error) from error

    def close(self, durable: bool = False) -> None:
        """It is complete; some file systems say only now that they are full.

        Raises:
            LDicomDataError: it is not on the disk; nothing stays.
        """
        descriptor, self._descriptor = self._descriptor, -1
        try:
            try:
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.discard()
            raise self._error(error) from error

    def release(self) -> str:
        """The name; from now on the file is the caller's."""
        _unfinished.discard(self._entry)
        return self._name

    def rename(self, path: str, durable: bool = False) -> None:
        """Give it its name.

        Raises:
            LDicomDataError: it cannot have that, and nothing stays; or the folder could not be flushed.
        """
        try:
            os.replace(self._name, path)  # noqa: PTH105
            _unfinished.discard(self._entry)
            if durable:
                _sync_folder(os.path.dirname(path) or ".")  # noqa: PTH120
        except OSError as error:
            self.discard()
            raise self._error(error) from error

    def discard(self) -> None:
        """Nothing stays."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with contextlib.suppress(OSError):
                os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(self._name)  # noqa: PTH108
        _unfinished.discard(self._entry)

    def _error(self, error: OSError) -> LDicomDataError:
        return file_error(error, f"cannot {self._doing}", ErrorCode.WRITE)


def write_file(path: str, header: bytes, chunks: Iterable[memoryview], durable: bool) -> None:
    """A file of `header` and `chunks` that appears complete or not at all: temporary file in the same folder, flush,
    rename, flush of the folder, in this order.

    Raises:
        LDicomDataError: it cannot be written; nothing stays.
    """
    file = PartFile.beside(path)
    try:
        pieces: list[bytes | memoryview] = [header]
        for chunk in chunks:
            file.write([*pieces, chunk])
            pieces = []
        file.write(pieces)
        file.close(durable)
        file.rename(path, durable)
    except BaseException:
        file.discard()
        raise


def temporary_folder() -> str:
    """The system's folder for temporary files."""
    import tempfile  # not at import: it brings much along

    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise file_error(error, "cannot find a folder for temporary files", ErrorCode.WRITE) from error


def _sync_folder(folder: str) -> None:
    """Flush a folder's entries; Windows has no way to."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no folders to flush
            raise
    finally:
        os.close(descriptor)


def _remove_unfinished() -> None:
    for owner, name in tuple(_unfinished):
        unlink_own(name, owner)


atexit.register(_remove_unfinished)
