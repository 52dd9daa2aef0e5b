"""Encoded data sets, typed element by element (PS3.5 Section 7), right or wrong as a test wants them."""

from __future__ import annotations

import struct
import zlib
from random import Random

from ldicomnet.part10 import LONG_VRS

from .support import BIG, EXPLICIT, IMPLICIT

UNDEFINED = 0xFFFFFFFF
SEQUENCE = 0x00081111
"""Referenced Performed Procedure Step Sequence."""
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


class Writer:
    """Writes in one transfer syntax.

    Args:
        syntax: UID of an uncompressed transfer syntax.
    """

    def __init__(self, syntax: str = EXPLICIT) -> None:
        self.syntax = syntax
        self.implicit = syntax == IMPLICIT
        self.little = syntax != BIG
        self.order = "<" if self.little else ">"

    def mark(self, tag: int, length: int = 0) -> bytes:
        """An item or a delimiter, which have no value representation in any syntax."""
        return struct.pack(self.order + "HHI", tag >> 16, tag & 0xFFFF, length)

    def element(self, tag: int, vr: bytes, value: bytes = b"", length: int | None = None) -> bytes:
        """One element; `length` says something else than the value is long."""
        size = len(value) if length is None else length
        if self.implicit:
            return self.mark(tag, size) + value
        head = struct.pack(self.order + "HH2s", tag >> 16, tag & 0xFFFF, vr)
        form = "HI" if vr in LONG_VRS else "H"
        return head + struct.pack(self.order + form, *(0, size)[2 - len(form) :]) + value

    def item(self, content: bytes = b"", defined: bool = True) -> bytes:
        """An item of a sequence."""
        if defined:
            return self.mark(ITEM, len(content)) + content
        return self.mark(ITEM, UNDEFINED) + content + self.mark(ITEM_END)

    def sequence(self, *items: bytes, defined: bool = True, tag: int = SEQUENCE, vr: bytes = b"SQ") -> bytes:
        """A sequence of items."""
        if defined:
            return self.element(tag, vr, b"".join(items))
        return self.element(tag, vr, b"".join(items) + self.mark(SEQUENCE_END), UNDEFINED)

    def nested(self, depth: int, content: bytes = b"", defined: bool = False) -> bytes:
        """Sequences within each other, around `content`; made in a time that grows with their number only."""
        if not defined:
            start = self.element(SEQUENCE, b"SQ", b"", UNDEFINED) + self.mark(ITEM, UNDEFINED)
            return start * depth + content + (self.mark(ITEM_END) + self.mark(SEQUENCE_END)) * depth
        heads, size = [], len(content)
        for _ in range(depth):
            heads.append(self.element(SEQUENCE, b"SQ", b"", size + 8) + self.mark(ITEM, size))
            size += len(heads[-1])
        return b"".join(reversed(heads)) + content


def deflated(*pieces: bytes) -> bytes:
    """PS3.5 Annex A.5, without the padding."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return b"".join(map(packer.compress, pieces)) + packer.flush()


def zeros(megabytes: int, head: bytes = b"") -> bytes:
    """`head` and so many megabytes of zeros, deflated: in blocks that do not refer to each other, and are made once."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * megabytes + packer.flush()


# --- at random ---------------------------------------------------------------------------------------------------

CREATOR = b"Philips MR Imaging DD 001 "
"""To whom pydicom knows (2005,xx80) as a sequence."""
_VRS = (
    b"SQ", b"UN", b"OB", b"SQ", b"UN", b"OB", b"LO", b"US", b"UT", b"CS", b"ZZ", b"OW", b"A\xff", b"PN", b"aa", b"\0\0",
)  # fmt: skip
_SEQUENCES = (SEQUENCE, 0x00081140, 0x0040A730, 0x00091010, 0x20051080, 0x20051080, 0x2005140F, 0x3F031001)
_TAGS = (
    *_SEQUENCES, 0x00090010, 0x20050010, 0x20050010, 0x20050014, 0x7FE00010, 0x00080005, 0x00100010, 0x50002600,
    0x00080000, 0x00990001, ITEM, ITEM_END, SEQUENCE_END,
)  # fmt: skip


class Gambler:
    """Writes data sets at random: mostly sequences, mostly right.

    Args:
        random: where the chances come from.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.writer = Writer()

    def data_set(self, syntax: str) -> bytes:
        """One, which is spoilt now and then."""
        self.writer = Writer(syntax)
        data = bytearray(b"".join(self._element(0) for _ in range(self.random.choice((1, 2, 3)))))
        if data and self._happens(0.2):
            for _ in range(self.random.randrange(1, 4)):
                data[self.random.randrange(len(data))] = self.random.choice((0, 0xFF, 0x53, 0x51, 0xFE))
        return bytes(data[: self.random.randrange(len(data) + 1)] if self._happens(0.1) else data)

    def _happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def _element(self, depth: int) -> bytes:
        tag, vr = self.random.choice(_TAGS), self.random.choice(_VRS)
        if depth < 7 and self._happens(0.75):
            if self._happens(0.8):
                tag, vr = self.random.choice(_SEQUENCES), self.random.choice((b"SQ", b"SQ", b"UN", b"\0\0"))
            value = b"".join(self._item(depth + 1) for _ in range(self.random.choice((0, 1, 1, 2))))
        else:
            vr = b"LO" if tag == 0x20050010 and self._happens(0.5) else vr
            texts = (b"", b"ab", CREATOR, bytes(20), self.writer.mark(ITEM, 4) + b"abcd")
            value = self.random.choice((*texts, self.random.randbytes(self.random.randrange(30))))
        if undefined := self._happens(0.4):
            value += self.writer.mark(SEQUENCE_END) if self._happens(0.95) else b""
        length = len(value) if self._happens(0.95) else self.random.choice((0, 1, len(value) + 5, 0xFFFE))
        if vr == b"\0\0":
            return self.writer.mark(tag, UNDEFINED if undefined else length) + value
        undefined &= vr in LONG_VRS or self.writer.implicit
        return self.writer.element(tag, vr, value, UNDEFINED if undefined else length)

    def _item(self, depth: int) -> bytes:
        content = b"".join(self._element(depth) for _ in range(self.random.choice((0, 1, 1, 2, 3))))
        if self._happens(0.4):
            content += self.writer.mark(ITEM_END) if self._happens(0.95) else b""
            length = UNDEFINED
        else:
            length = len(content) if self._happens(0.93) else self.random.choice((0, 1, 3, len(content) + 9))
        return self.writer.mark(ITEM if self._happens(0.95) else SEQUENCE, length) + content
