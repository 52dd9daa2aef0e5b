"""A file that is under a name of its own until it is complete; what is not complete goes with the interpreter.

And what is left where the interpreter had no time to: `remove_abandoned_files`. Knows neither data sets nor headers.
`OSError` is translated here.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import itertools
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from . import checks
from .body import READ_FLAGS, file_error, unlink_own, write_gathered
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
_PART = re.compile(r"(?:\.|ldicomnet-)([0-9a-f]{12})-([1-9][0-9]{0,9})-(?:0|[1-9][0-9]*)\.part")
"""Names of files that are not complete, beside their own or in the temporary folder: session, process, number."""


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

    @property
    def name(self) -> str:
        """The name that it has now."""
        return self._name

    def release(self) -> str:
        """The name; from now on the file is the caller's."""
        _unfinished.discard(self._entry)
        return self._name

    def rename(self, path: str, durable: bool = False) -> None:
        """Give it its name; a file or a link of that name is replaced.

        Where the folder cannot be flushed then, the file keeps its name: it is complete, and what it has replaced was
        perhaps the only copy. But nobody may be told that it is on the disk.

        Raises:
            LDicomDataError: it cannot have that name, and nothing stays; or the folder could not be flushed.
        """
        try:
            with _flushed_folder(path, durable):
                os.replace(self._name, path)  # noqa: PTH105
                _unfinished.discard(self._entry)
        except OSError as error:
            self.discard()
            raise self._error(error) from error

    def claim(self, path: str, durable: bool = False) -> bool:
        """Give it its name unless that is taken; whether it got it. It is still there where it did not.

        Of several that want one name at the same moment just one gets it, whatever processes they are in. The file
        system has to have hard links; FAT has none.

        Raises:
            LDicomDataError: see `rename`.
        """
        try:
            with _flushed_folder(path, durable):
                os.link(self._name, path)
                self.discard()
        except FileExistsError:
            return False
        except OSError as error:
            self.discard()
            raise self._error(error) from error
        return True

    def discard(self) -> None:
        """Nothing stays; what cannot be removed now is tried again when the interpreter ends."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with contextlib.suppress(OSError):
                os.close(descriptor)
        try:
            os.unlink(self._name)  # noqa: PTH108
        except FileNotFoundError:
            pass
        except OSError:
            return
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


def flush_file(path: str) -> None:
    """What was under this name before is on the disk afterwards.

    Raises:
        LDicomDataError: it is not.
    """
    flags = READ_FLAGS | getattr(os, "O_NOFOLLOW", 0)
    if sys.platform == "win32":
        flags |= os.O_RDWR  # it flushes only what may be written
    try:
        with _flushed_folder(path, True):
            descriptor = os.open(path, flags)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise file_error(error, f"cannot flush {path}", ErrorCode.WRITE) from error


@contextlib.contextmanager
def _flushed_folder(path: str, durable: bool) -> Iterator[None]:
    """What gets the name `path` within is on the disk afterwards; Windows has no way to say so.

    The folder is opened before, so that a folder that cannot be is told while nothing has its name.
    """
    if not durable or sys.platform == "win32":
        yield
        return
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)  # noqa: PTH120
    try:
        yield
        _sync_folder(descriptor)
    finally:
        with contextlib.suppress(OSError):  # nothing was written through it
            os.close(descriptor)


def _sync_folder(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no folders to flush
            raise


def _remove_unfinished() -> None:
    for owner, name in tuple(_unfinished):
        unlink_own(name, owner)


atexit.register(_remove_unfinished)


# --- what killed processes left ----------------------------------------------------------------------------------


def remove_abandoned_files(folder: str | os.PathLike[str] | None = None) -> list[str]:
    """Remove the files that processes were writing when they were killed; for a server to call when it starts.

    Only what has exactly the names that this library gives to files that are not complete, is a plain file of this
    user's and older than this process, and was made by a process of this host that has ended. Links are not followed.
    Others may do the same at the same moment. For folders that several hosts, or containers with process numbers of
    their own, store into, there is no telling who has ended: do not call it there.

    Nothing is removed on Windows, which has no harmless way to ask whether a process lives.

    Args:
        folder: where to look, not below; None for the system's folder for temporary files.

    Returns:
        The names of the files that this call has removed.

    Raises:
        LDicomDataError: the folder cannot be read.
    """
    if sys.platform == "win32":
        return []
    where = temporary_folder() if folder is None else checks.folder("folder", folder)
    try:
        descriptor = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(descriptor) as entries:
                names = [entry.name for entry in entries if _PART.fullmatch(entry.name)]
            return [name for name in names if _is_abandoned(name, descriptor) and _unlink_in(descriptor, name)]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise file_error(error, f"cannot look for unfinished files in {where}", ErrorCode.OPEN) from error


def _unlink_in(folder: int, name: str) -> bool:
    """Whether it was this call that removed it."""
    try:
        os.unlink(name, dir_fd=folder)
    except OSError:  # another process was quicker, or the folder may not be changed
        return False
    return True


def _is_abandoned(name: str, folder: int) -> bool:
    """Whether this is a plain file of a process that has ended."""
    match = _PART.fullmatch(name)
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    if match is None or not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        return False
    session, process, own = match[1], int(match[2]), os.getpid()
    _state, begun = _process(own)
    if begun is not None and found.st_mtime >= begun + 1:
        return False  # not older than this process; its beginning is known to the second
    if process == own:
        return session != _session  # it had our number before us
    return _has_ended(process, found.st_mtime)


def _has_ended(process: int, written: float) -> bool:
    """Whether the process that wrote a file at that time is gone; another may have its number by now."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it is there, and another user's
        pass
    state, begun = _process(process)
    return state in ("Z", "X") or (begun is not None and begun > written)


def _process(process: int) -> tuple[str, float | None]:
    """State of a process, and when it began, in seconds of the files' clock, up to one too early; "" and None where
    the system does not tell: Linux does, as `proc(5)` says."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
        with open("/proc/stat", "rb") as file:  # noqa: PTH123
            (boot,) = [int(line.split()[1]) for line in file if line.startswith(b"btime ")]
        return fields[0].decode("ascii"), boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return "", None
