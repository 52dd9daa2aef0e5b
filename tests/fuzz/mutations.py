"""How bytes are spoiled: one table. A mutation says in how many ways it can spoil a sample, and makes any one of them.

So all ways can be walked through, or one be picked by a number. Knows nothing of `ldicomnet`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from random import Random
from typing import NamedTuple

from .pieces import Piece, Walker

LARGEST = 64 << 10
"""Bytes to which a sample grows at most."""
NUMBERS = (0, 1, 2, 3, 4, 6, 8, 0x7F, 0x80, 0xFE, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF,
           0x80000000, 0xFFFFFFF8, 0xFFFFFFFE, 0xFFFFFFFF)  # fmt: skip
"""Where integers end, and one beside."""
LENGTHS = [(0, number) for number in NUMBERS] + [(1, step) for step in (-8, -2, -1, 1, 2, 6, 8)] + [(2, 0)]
"""What becomes of a length: multiplied, and added to."""
PATTERNS = sorted(
    {
        (number & (1 << 8 * width) - 1).to_bytes(width, order)
        for number in NUMBERS
        for width in (1, 2, 4)
        for order in ("big", "little")
    }  # type: ignore[misc]
)
REPEATS = (1, 2, 4, 16, 64, LARGEST)
MOST_STACKED = 4
_LARGE = 4 << 10


class Sample:
    """Bytes to be spoiled.

    Args:
        data: the bytes.
        walk: finds their pieces.
        donors: pieces of other samples, that may be put in.
    """

    def __init__(self, data: bytes, walk: Walker, donors: Sequence[bytes] = ()) -> None:
        self.data = data
        self.walk = walk
        self.donors = donors

    @cached_property
    def pieces(self) -> list[Piece]:
        """Its pieces; an outer one comes before those in it."""
        return list(self.walk(self.data))

    def replaced(self, start: int, end: int, new: bytes, fits: tuple[int, int] | None = None) -> bytes:
        """`new` for what stands there; with `fits`, all lengths that count the bytes in that range count `new` too."""
        data = bytearray(self.data[:start] + new + self.data[end:])
        for piece in self.pieces if fits else ():
            if fits and piece.holds(*fits):
                add_to_length(data, piece, 1, len(new) - (end - start))
        return bytes(data)


def add_to_length(data: bytearray, piece: Piece, factor: int, step: int) -> None:
    """Change the length of a piece, modulo what its field holds."""
    width, order = piece.shape.width, piece.shape.order
    length = int.from_bytes(data[piece.length], order) * factor + step
    data[piece.length] = (length % (1 << 8 * width)).to_bytes(width, order)


class Mutation(NamedTuple):
    """One way to spoil a sample, or rather `ways(sample)` of them, which `make` makes by number."""

    name: str
    ways: Callable[[Sample], int]
    make: Callable[[Sample, int], bytes]


def _size(sample: Sample) -> int:
    return len(sample.data)


def _cut(sample: Sample, way: int) -> bytes:
    return sample.data[:way]


def _drop(sample: Sample, way: int) -> bytes:
    return sample.data[:way] + sample.data[way + 1 :]


def _flip(sample: Sample, way: int) -> bytes:
    at, bit = divmod(way, 8)
    return sample.data[:at] + bytes((sample.data[at] ^ 1 << bit,)) + sample.data[at + 1 :]


def _length(sample: Sample, way: int) -> bytes:
    index, kind = divmod(way, len(LENGTHS))
    data = bytearray(sample.data)
    add_to_length(data, sample.pieces[index], *LENGTHS[kind])
    return bytes(data)


def _overwrite(sample: Sample, way: int) -> bytes:
    at, kind = divmod(way, len(PATTERNS))
    return sample.replaced(at, at + len(PATTERNS[kind]), PATTERNS[kind])


def _insert(sample: Sample, way: int) -> bytes:
    at, kind = divmod(way, len(PATTERNS))
    return sample.replaced(at, at, PATTERNS[kind], (at, at + 1) if kind & 1 else None)


def _delete(sample: Sample, way: int) -> bytes:
    piece = sample.pieces[way // 2]
    return sample.replaced(piece.start, piece.end, b"", piece[:2] if way & 1 else None)


def _duplicate(sample: Sample, way: int) -> bytes:
    piece = sample.pieces[way // 2]
    copy = sample.data[piece.start : piece.end]
    return sample.replaced(piece.end, piece.end, copy, piece[:2] if way & 1 else None)


def _swap(sample: Sample, way: int) -> bytes:
    """A piece and one that begins behind it change places."""
    first, second = sorted((sample.pieces[index] for index in divmod(way, len(sample.pieces))), key=lambda one: one.end)
    if second.start < first.end:  # one is within the other: that alone is left
        return sample.data[first.start : first.end]
    data = sample.data
    between = data[first.end : second.start]
    moved = data[second.start : second.end] + between + data[first.start : first.end]
    return data[: first.start] + moved + data[second.end :]


def _repeat(sample: Sample, way: int) -> bytes:
    index, kind = divmod(way, len(REPEATS))
    piece = sample.pieces[index]
    copy = sample.data[piece.start : piece.end]
    count = min(REPEATS[kind], max(0, LARGEST - len(sample.data)) // len(copy))
    return sample.replaced(piece.end, piece.end, copy * count, piece[:2])


def _graft(sample: Sample, way: int) -> bytes:
    index, kind = divmod(way, len(sample.donors))
    piece = sample.pieces[index]
    return sample.replaced(piece.start, piece.start, sample.donors[kind], piece[:2])


MUTATIONS = (
    Mutation("cut", _size, _cut),
    Mutation("drop", _size, _drop),
    Mutation("flip", lambda sample: 8 * _size(sample), _flip),
    Mutation("length", lambda sample: len(sample.pieces) * len(LENGTHS), _length),
    Mutation("overwrite", lambda sample: _size(sample) * len(PATTERNS), _overwrite),
    Mutation("insert", lambda sample: (_size(sample) + 1) * len(PATTERNS), _insert),
    Mutation("delete", lambda sample: 2 * len(sample.pieces), _delete),
    Mutation("duplicate", lambda sample: 2 * len(sample.pieces), _duplicate),
    Mutation("swap", lambda sample: len(sample.pieces) ** 2, _swap),
    Mutation("repeat", lambda sample: len(sample.pieces) * len(REPEATS), _repeat),
    Mutation("graft", lambda sample: len(sample.pieces) * len(sample.donors), _graft),
)
"""name, in how many ways, and what makes one of them"""


def spoiled(sample: Sample, random: Random) -> bytes:
    """The sample after one or a few mutations picked by `random`."""
    for _ in range(random.randint(1, MOST_STACKED)):
        mutation = random.choice(MUTATIONS)
        ways = mutation.ways(sample)
        if ways:
            sample = Sample(mutation.make(sample, random.randrange(ways))[:LARGEST], sample.walk, sample.donors)
        if len(sample.data) > _LARGE:  # to find its pieces again would take longer than all else
            break
    return sample.data
