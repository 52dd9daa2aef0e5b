"""What callers pass, checked: one error that names the argument and the rule. Knows nothing but the errors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from .errors import LDicomUsageError
from .status import ErrorCode

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_T = TypeVar("_T")


def number(name: str, value: object, most: int, code: ErrorCode = ErrorCode.PARAMETER) -> int:
    """A whole number from 0 to `most`."""
    if isinstance(value, int) and 0 <= value <= most:
        return int(value)
    raise LDicomUsageError(f"{name} is {value!r}: a whole number from 0 to {most} is wanted", code)


def is_uid(uid: str) -> bool:
    """Whether `uid` is a unique identifier: digits and dots, no leading zeros, up to 64 characters (PS3.5 9.1)."""
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


def is_tolerable_uid(uid: str) -> bool:
    """Whether `uid` is numbers between dots, up to 64 characters: instances in the field have components with leading
    zeros, and a response repeats what the request said."""
    return (
        0 < len(uid) <= 64
        and uid.isascii()
        and uid.replace(".", "").isdigit()
        and ".." not in uid
        and not uid.startswith(".")
        and not uid.endswith(".")
    )


def uid(name: str, value: object) -> str:
    """A unique identifier."""
    if isinstance(value, str) and is_uid(value):
        return str(value)
    raise LDicomUsageError(f"{name} is {value!r}, which is not a UID (PS3.5 Section 9.1)")


def title(name: str, value: object) -> str:
    """An AE title, without the spaces around it, which do not count (PS3.5 Table 6.2-1)."""
    text = value.strip(" ") if isinstance(value, str) else ""
    if not text or len(text) > 16 or not text.isascii() or not text.isprintable() or "\\" in text:
        raise LDicomUsageError(
            f"{name} is {value!r}: an AE title has 1 to 16 characters of the default repertoire, without backslash"
        )
    return text


def octets(name: str, value: object) -> bytes:
    """Bytes that fit behind a two-byte length."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise LDicomUsageError(f"{name} is {value!r}: bytes are wanted")
    data = bytes(value)
    if len(data) > 0xFFFF:
        raise LDicomUsageError(f"{name} has {len(data)} bytes: at most 65535 fit behind a two-byte length")
    return data


def listed(name: str, value: object) -> list[object]:
    """Several values; a single text is one."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Iterable):
        return list(value)
    raise LDicomUsageError(f"{name} is {value!r}: several values are wanted")


def entry(items: Sequence[_T], index: object, what: str) -> _T:
    """The element at a position, counted from 0."""
    if isinstance(index, int) and 0 <= index < len(items):
        return items[index]
    raise LDicomUsageError(f"index is {index!r}: there are {len(items)} entries of {what}")


def folder(name: str, value: object) -> str:
    """The name of a folder, which need not be there."""
    if isinstance(value, str | os.PathLike):
        text = str(os.fspath(value))
        if "\0" not in text:
            return text
    raise LDicomUsageError(f"{name} is {value!r}: the path of a folder is wanted")


def path(value: object) -> str:
    """The path of a file, as a file can have one."""
    try:
        text = os.fspath(value)  # type: ignore[call-overload]
        if isinstance(text, str) and "\0" not in text:
            os.fsencode(text)
            return text
    except (TypeError, ValueError):
        pass
    raise LDicomUsageError(f"path is {value!r}, which no file can have")
