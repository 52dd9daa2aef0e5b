"""Instances without end: the benchmarks' objects, each copy with a SOP instance UID of its own; seeded."""

from __future__ import annotations

import hashlib
import io
import os
import random
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

from benchmarks import folders, objects
from benchmarks.soak_ledger import Ledger, Made
from ldicomnet.part10 import encode_header

TEMPLATES = {"tiny": (("tiny", 0), ("tiny", 1)), "ct": (("ct", 0), ("ct", 1)), "large": (("large", 16),)}
"""What copies are made of: writer of objects.py, and its number. A large one has 8.4 MB."""
KEPT = ("tiny", 16)
"""Kind of object of which one in so many stays on the server's disk until the end, and is sent again now and then."""
INSTANCE_TAG = b"\x08\x00\x18\x00UI"
FIRST, LAST = 10**18, 10**19
"""Numbers at the end of UIDs: so far apart that a turned byte never makes one of another."""


@dataclass(frozen=True)
class _Template:
    sop_class: str
    head: bytes
    tail: bytes
    """The data set before and behind its SOP Instance UID."""


class Supply:
    """Makes files of new instances, and notes them.

    Args:
        ledger: where.
        seed: of the UIDs.
        kept: folder for a second name of those that are kept.
    """

    def __init__(self, ledger: Ledger, seed: str, kept: Path) -> None:
        self._ledger, self._kept_folder = ledger, kept
        self._chance = random.Random(f"objects {seed}")
        self._lock = threading.Lock()
        self._kept: list[Path] = []
        self._templates = {
            kind: [_template(writer, number) for writer, number in rows] for kind, rows in TEMPLATES.items()
        }

    def make(self, folder: Path, kind: str, *, may_differ: bool = False, is_kept: bool = False) -> Path:
        """A file of a new instance, called like it.

        Args:
            folder: where.
            kind: a name of `TEMPLATES`.
            may_differ: it goes over a line that turns a byte.
            is_kept: it stays on the server's disk; so do some others.
        """
        with self._lock:
            uid = f"{objects.ROOT}.30.{self._chance.randrange(FIRST, LAST)}"
            template = self._chance.choice(self._templates[kind])
            is_one_in = kind == KEPT[0] and not may_differ and not self._chance.randrange(KEPT[1])
        data = (template.head, INSTANCE_TAG, struct.pack("<H", len(uid) + len(uid) % 2), _padded(uid), template.tail)
        digest = hashlib.sha1()
        for part in data:
            digest.update(part)
        path = folder / f"{uid}.dcm"
        with path.open("wb") as file:
            file.writelines((encode_header(template.sop_class, uid, objects.EXPLICIT), *data))
        self._ledger.make(Made(uid, digest.hexdigest(), may_differ, is_kept or is_one_in))
        if is_one_in:
            self._keep(path)
        return path

    def again(self, folder: Path, chance: random.Random) -> Path | None:
        """A file of an instance that was sent before, if there is any."""
        with self._lock:
            if not self._kept:
                return None
            path = chance.choice(self._kept)
        again = folder / path.name
        if not again.exists():
            os.link(path, again)
        return again

    def _keep(self, path: Path) -> None:
        kept = self._kept_folder / path.name
        os.link(path, kept)
        with self._lock:
            self._kept.append(kept)


def _template(writer: str, number: int) -> _Template:
    file = io.BytesIO()
    objects.WRITERS[writer](number, file)
    data = _dataset(file.getvalue())
    place = data.index(INSTANCE_TAG) + len(INSTANCE_TAG)
    end = place + 2 + int.from_bytes(data[place : place + 2], "little")
    sop_class = objects.SOP_CLASSES[("sr", "mr")[number % 2] if writer == "tiny" else writer]
    return _Template(sop_class, data[: place - len(INSTANCE_TAG)], data[end:])


def _dataset(file: bytes) -> bytes:
    """Without preamble and file meta information."""
    start = folders.PREAMBLE + len(folders.PREFIX) + folders.GROUP_LENGTH
    return file[start + int.from_bytes(file[start - 4 : start], "little") :]


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) & 1)
