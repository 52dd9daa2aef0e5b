"""Folders of objects to send, kept between runs in the temporary folder; and whether what arrived is what was sent."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import objects

Contents = Counter[tuple[int, bytes]]
"""Size and hash of the data set of each file, without preamble and file meta information."""
PREAMBLE = 128
PREFIX = b"DICM"
GROUP_LENGTH = 12
"""Bytes of the first element of the file meta information, which says how long the rest of it is."""
INSTANCE_TAG = b"\x02\x00\x03\x00UI"
"""Media Storage SOP Instance UID and its VR; two bytes of length follow."""


class Folders:
    """Makes what is not there yet."""

    def __init__(self) -> None:
        user = os.getuid() if hasattr(os, "getuid") else 0
        self._root = Path(tempfile.gettempdir(), f"ldicomnet-benchmarks-{user}", f"v{objects.VERSION}")
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and self._root.parent.stat().st_uid != user:
            raise PermissionError(f"{self._root.parent} belongs to someone else")
        self._contents: dict[Path, Contents] = {}

    def get(self, kind: str, count: int, part: int = 0, parts: int = 1) -> Path:
        """A folder of so many objects, or one of the parts it is dealt out to; of frames, for a large one."""
        numbers = [count] if kind == "large" else range(count)[part::parts]
        name = f"{kind}-{count}" + (f"-{part + 1}-of-{parts}" if parts > 1 else "")
        folder = self._root / name
        if not folder.is_dir():
            files = [self._file(kind, number) for number in numbers]
            unfinished = Path(tempfile.mkdtemp(dir=self._root, prefix="unfinished-"))
            for file in files:
                _link(file, unfinished / file.name)
            unfinished.rename(folder)
        return folder

    def contents(self, folder: Path) -> Contents:
        """What is in a folder to send; it has been read once, then, and is in the system's cache."""
        if folder not in self._contents:
            self._contents[folder] = contents(folder)
        return self._contents[folder]

    def _file(self, kind: str, number: int) -> Path:
        path = self._root / kind / f"{number:05}.dcm"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            with unfinished.open("wb") as file:
                objects.WRITERS[kind](number, file)
            unfinished.rename(path)
        return path


def contents(folder: Path) -> Contents:
    """What is in the DICOM files of a folder."""
    return Counter(stored(path)[1:] for path in folder.iterdir())


def stored(path: Path) -> tuple[str, int, bytes]:
    """SOP instance UID of a DICOM file, as its file meta information has it; size and hash of its data set.

    Raises:
        ValueError: it is none, or ends within its file meta information.
    """
    with path.open("rb") as file:
        head = file.read(PREAMBLE + len(PREFIX) + GROUP_LENGTH)
        if head[PREAMBLE : PREAMBLE + len(PREFIX)] != PREFIX:
            raise ValueError(f"{path.name} is no DICOM file")
        length = int.from_bytes(head[-4:], "little")
        meta = file.read(length)
        if len(meta) < length:
            raise ValueError(f"{path.name} ends within its file meta information")
        _, tag, rest = meta.partition(INSTANCE_TAG)
        uid = rest[2 : 2 + int.from_bytes(rest[:2], "little")] if tag else b""
        size = os.fstat(file.fileno()).st_size - file.tell()
        return uid.decode("ascii", "replace").rstrip("\0 "), size, hashlib.file_digest(file, "sha1").digest()


def count(folder: Path) -> tuple[int, int]:
    """Number of files within a folder and the folders in it, and their bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def _link(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, name)
