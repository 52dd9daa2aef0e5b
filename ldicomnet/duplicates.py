"""A file that `on_begin_data` names, and what is done where it is there already; knows no connection.

Two that store the same instance at the same moment, in whatever threads or processes, leave one whole file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from enum import Enum

from . import checks
from .body import file_error
from .dataset import LDicomDS
from .errors import LDicomDataError, LDicomUsageError
from .sinks import FileSink
from .status import ErrorCode

_PIECE = 1 << 20


class Duplicates(Enum):
    """What is done with an instance whose file is there already."""

    REPLACE = "replace"
    """The new file takes the place of the old one."""
    KEEP = "keep"
    """The old file stays: success where its data set is the same bytes in the same transfer syntax, else 0111H."""
    REFUSE = "refuse"
    """The old file stays, and the request is answered 0111H, duplicate SOP instance."""


class FileTarget:
    """For `on_begin_data` to return: a path, and what is done where there is such a file already.

    All but `Duplicates.REPLACE` ask for a file system with hard links, which FAT has not; there the request is answered
    A700H.

    Args:
        path: the file.
        duplicates: what is done where it is there.
    """

    __slots__ = ("duplicates", "path")

    def __init__(self, path: str | os.PathLike[str], duplicates: Duplicates = Duplicates.REPLACE) -> None:
        self.path = checks.path(path)
        if not isinstance(duplicates, Duplicates):
            raise LDicomUsageError(f"duplicates is {duplicates!r}: one of Duplicates is wanted")
        self.duplicates = duplicates

    def sink(self, header: bytes, durable: bool) -> FileSink:
        """What writes the file."""
        return FileSink(self.path, header, durable, _IS_SAME[self.duplicates])


def _never(new: str, old: str) -> bool:
    return False


def is_same(new: str, old: str) -> bool:
    """Whether two files hold the same instance: the same bytes in the same transfer syntax. A link is none.

    Their file meta information may differ, which says who wrote it.

    Raises:
        LDicomDataError: one of them cannot be read.
    """
    try:
        if not stat.S_ISREG(os.lstat(old).st_mode):
            return False
        one, other = LDicomDS.load(new), LDicomDS.load(old)
        return _identity(one) == _identity(other) and _same_bytes(one, other)
    except OSError as error:
        raise file_error(error, f"cannot open {old}", ErrorCode.OPEN) from error
    except LDicomDataError as error:
        if error.code in (ErrorCode.FORMAT, ErrorCode.END):
            return False
        raise


def _identity(dataset: LDicomDS) -> tuple[str | int, ...]:
    return dataset.size, dataset.transfer_syntax, dataset.sop_class_uid, dataset.sop_instance_uid


def _same_bytes(one: LDicomDS, other: LDicomDS) -> bool:
    with one.open() as mine, other.open() as theirs:
        while piece := mine.read(_PIECE):
            if theirs.read(_PIECE) != piece:
                return False
    return True


_IS_SAME: dict[Duplicates, Callable[[str, str], bool] | None] = {
    Duplicates.REPLACE: None,
    Duplicates.KEEP: is_same,
    Duplicates.REFUSE: _never,
}
