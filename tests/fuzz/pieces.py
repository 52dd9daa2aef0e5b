"""Where the pieces of encoded bytes stand: whatever has a length field of its own. Knows nothing of `ldicomnet`.

A walker says it of one kind of bytes. It reads what it can and stops where the lengths no longer fit, because what it
is given may be spoiled already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple


class Shape(NamedTuple):
    """A header: where its length stands, in how many bytes and which order; the content follows behind the length, and
    behind what else the header has."""

    length_at: int
    width: int
    order: Literal["big", "little"]
    behind: int = 0

    @property
    def header(self) -> int:
        """Bytes of the header."""
        return self.length_at + self.width + self.behind

    def length(self, start: int) -> slice:
        """Where the length of a piece stands that begins there."""
        return slice(start + self.length_at, start + self.length_at + self.width)


PDU = Shape(2, 4, "big")
ITEM = Shape(2, 2, "big")
VALUE = Shape(0, 4, "big")
COUNTED = Shape(0, 2, "big")
IMPLICIT = Shape(4, 4, "little")
PACKET = Shape(8, 4, "big", 20)
SHORT, LONG = Shape(6, 2, "little"), Shape(8, 4, "little")  # explicit VR
LONG_VRS = frozenset((b"OB", b"OW", b"UN", b"UT", b"SQ"))


class Piece(NamedTuple):
    """One piece: from its header to its end."""

    start: int
    end: int
    shape: Shape

    @property
    def content(self) -> int:
        """The first byte that its length counts."""
        return self.start + self.shape.header

    @property
    def length(self) -> slice:
        """Its length field."""
        return self.shape.length(self.start)

    def holds(self, start: int, end: int) -> bool:
        """Whether its length counts the bytes from `start` to `end`."""
        return self.content <= start and end <= self.end


Walker = Callable[[bytes], Iterable[Piece]]
Inside = Callable[[bytes, Piece], Iterable[Piece]]


def _nothing(_data: bytes, _piece: Piece) -> Iterable[Piece]:
    return ()


def _chain(
    data: bytes, start: int, end: int, shape: Shape | Callable[[bytes, int], Shape], inside: Inside = _nothing
) -> Iterator[Piece]:
    """Pieces one behind the other, each followed by what is inside it."""
    while True:
        found = shape if isinstance(shape, Shape) else shape(data, start)
        content = start + found.header
        if content > end:
            return
        length = int.from_bytes(data[found.length(start)], found.order)
        if content + length > end:
            return
        piece = Piece(start, content + length, found)
        yield piece
        yield from inside(data, piece)
        start = piece.end


# --- association PDUs, PS3.8 Section 9.3 and PS3.7 Annex D.3.3 ----------------------------------------------------

# Of items with pieces inside: their type, where the first of those begins, and their shape.
ITEMS_WITH_PIECES = {
    0x20: (4, ITEM),
    0x21: (4, ITEM),
    0x50: (0, ITEM),
    0x54: (0, COUNTED),
    0x56: (0, COUNTED),
    0x57: (0, COUNTED),
    0x58: (2, COUNTED),
    0x59: (0, COUNTED),
}
RELATED = 0x57


def items(data: bytes) -> Iterator[Piece]:
    """Items, or sub-items, and what is in them."""
    return _chain(data, 0, len(data), ITEM, _in_item)


def _in_item(data: bytes, piece: Piece) -> Iterator[Piece]:
    kind = data[piece.start]
    if kind not in ITEMS_WITH_PIECES:
        return
    skip, shape = ITEMS_WITH_PIECES[kind]
    found = list(_chain(data, piece.content + skip, piece.end, shape, _in_item if shape is ITEM else _nothing))
    yield from found
    if kind == RELATED and len(found) > 2:  # the third is a list of UIDs
        yield from _chain(data, found[2].content, found[2].end, COUNTED)


# --- streams of PDUs ----------------------------------------------------------------------------------------------

_FIXED = 68
"""Bytes of an association PDU before its items."""


def pdus(data: bytes) -> Iterator[Piece]:
    """PDUs, their items or presentation data values, and the elements of command sets that came in one fragment."""
    return _chain(data, 0, len(data), PDU, _in_pdu)


def _in_pdu(data: bytes, piece: Piece) -> Iterator[Piece]:
    kind = data[piece.start]
    if kind in (1, 2):
        yield from _chain(data, piece.content + _FIXED, piece.end, ITEM, _in_item)
    elif kind == 4:
        yield from _chain(data, piece.content, piece.end, VALUE, _in_value)


def _in_value(data: bytes, piece: Piece) -> Iterable[Piece]:
    is_command = piece.end > piece.content + 1 and data[piece.content + 1] & 1
    return _chain(data, piece.content + 2, piece.end, IMPLICIT) if is_command else ()


# --- elements -----------------------------------------------------------------------------------------------------


def command_set(data: bytes) -> Iterator[Piece]:
    """The elements of a command set, PS3.7 Section 6.3.1."""
    return _chain(data, 0, len(data), IMPLICIT)


def file(data: bytes) -> Iterator[Piece]:
    """The elements of a DICOM file as far as they are in Explicit VR Little Endian, PS3.10 Section 7.1."""
    return _chain(data, 132 if data[128:132] == b"DICM" else 0, len(data), _explicit, _in_element)


def data_set(data: bytes) -> Iterator[Piece]:
    """The elements of a data set in little endian, and what is in sequences of defined length, PS3.5 Section 7."""
    if data[4:6].isalpha():
        return _chain(data, 0, len(data), _explicit, _in_element)
    return _chain(data, 0, len(data), IMPLICIT)


def _explicit(data: bytes, start: int) -> Shape:
    return LONG if data[start + 4 : start + 6] in LONG_VRS else SHORT


def _in_element(data: bytes, piece: Piece) -> Iterable[Piece]:
    """The items of a sequence, each with its elements."""
    if data[piece.start + 4 : piece.start + 6] != b"SQ":
        return ()
    return _chain(data, piece.content, piece.end, IMPLICIT, _in_sequence_item)


def _in_sequence_item(data: bytes, piece: Piece) -> Iterable[Piece]:
    return _chain(data, piece.content, piece.end, _explicit, _in_element)


# --- ISCL ---------------------------------------------------------------------------------------------------------


def packets(data: bytes) -> Iterator[Piece]:
    """Packets; what is in them has no lengths, but for the authentication data."""
    return _chain(data, 0, len(data), PACKET)
