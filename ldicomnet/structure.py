"""How deep and how long an encoded data set is (PS3.5 Section 7): a walk over its tags and lengths, without recursion.

It goes wherever pydicom's reader would go, in the same way, so that nothing can be hidden from it: what pydicom puts up
with, the walk puts up with. Values are passed over, not read. Knows no pydicom: what tags mean is told to it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from struct import Struct
from typing import NamedTuple

from .errors import CANNOT_PROCESS, LDicomDataError
from .part10 import LONG_VRS, SHORT_VRS
from .status import ErrorCode

SHALLOW = 6
"""Sequences within each other up to which errors of pydicom stay small: the text of what it raises while it prints,
walks or writes a data set grows more than twofold with each level it passes, to 1 MB after 6 and 14 GB after 16."""
_ITEM_END, _SEQUENCE_END = 0xFFFEE00D, 0xFFFEE0DD
_DELIMITERS = 0xFFFE
_UNDEFINED = 0xFFFFFFFF
_NOWHERE = 1 << 62
_NO_VR = b""
_HEADER = 8
_PRIVATE = 0x00010000
_ELEMENTS = 0x0100
"""Below this number private elements name the creators of those above it (PS3.5 7.8.1)."""
_LONGEST_CREATOR = 128
_LONGEST_KNOWN = 0xFFFE
"""A value of VR UN that is longer is not read with the VR of the dictionary."""


class Meanings(NamedTuple):
    """What tags mean, where the encoding does not say."""

    vr_of: Callable[[int], str | None]
    """The value representation in the dictionary; None for a tag that is not in it."""
    creators_of: Callable[[int], AbstractSet[bytes]]
    """The private creators to which a tag is a sequence."""
    creators: AbstractSet[bytes]
    """All that have any."""


class _Level(NamedTuple):
    """A data set, or the items of a sequence, that the walk is in."""

    is_items: bool
    end: int
    """Where it ends, unless a delimiter ends it before."""
    limit: int
    """Where its reader's bytes end: those of the whole data set, or those of a sequence that is decoded later."""
    implicit: bool
    resume: int | None
    """Where the walk goes on behind a sequence that is decoded later, whatever it holds."""


class _Unsure(NamedTuple):
    """A private value that is a sequence if one of these creators is in the data set, maybe behind it."""

    creators: AbstractSet[bytes]
    position: int
    end: int
    implicit: bool
    depth: int


_OUTSIDE = _Level(False, 0, 0, False, None)


class Walk:
    """A walk through one encoded data set.

    Args:
        data: the encoded data set.
        little: whether its byte order is little endian.
        meanings: what tags mean.
        depth: how many sequences may be within each other.
        elements: how many elements, items and fragments there may be altogether.
    """

    def __init__(self, data: bytes, little: bool, meanings: Meanings, depth: int, elements: int) -> None:
        order = "<" if little else ">"
        self._data = data
        self._explicit = Struct(order + "HH2sH").unpack_from
        self._implicit = Struct(order + "HHI").unpack_from
        self._length = Struct(order + "I").unpack_from
        self._item = Struct(order + "HH").pack(0xFFFE, 0xE000)
        self._delimiter = Struct(order + "HH").pack(0xFFFE, 0xE0DD)
        self._vr_of, self._creators_of, self._known_creators = meanings
        self._most_elements = self._left = elements
        self._most_depth = depth
        self._depth = self._deepest = 0
        self._levels = [_OUTSIDE]
        self._unsure: list[_Unsure] = []
        self._creators: set[bytes] = set()

    def depth(self, position: int, implicit: bool) -> int:
        """How many sequences are within each other, from `position` on; `implicit` is what the transfer syntax says,
        and the first element may say otherwise.

        Raises:
            LDicomDataError: there is more than is allowed; or a value of undefined length has no end, for which
                pydicom would leave out the elements around it in silence.
        """
        limit = len(self._data)
        vr = self._data[position + 4 : position + 6]
        self._levels.append(_Level(False, limit, limit, implicit if len(vr) < 2 else not is_vr(vr), None))
        self._go(position)
        creators = 0
        while len(self._creators) > creators:
            creators = len(self._creators)
            self._go_into_sure()
        return self._deepest

    def _go_into_sure(self) -> None:
        """Into the private values whose creator was seen."""
        waiting, self._unsure = self._unsure, []
        for value in waiting:
            if self._creators.isdisjoint(value.creators):
                self._unsure.append(value)
            else:
                self._depth = value.depth
                self._enter(_Level(True, value.end, value.end, value.implicit, value.end))
                self._go(value.position)

    def _go(self, position: int) -> None:
        """On to the end of all levels."""
        levels = self._levels
        while len(levels) > 1:
            level = levels[-1]
            if level.is_items:
                position = self._next_item(position, level)
            elif level.implicit:
                position = self._implicit_elements(position, level)
            else:
                position = self._explicit_elements(position, level)

    # --- data sets: each of these goes on until the level is another ----------------------------------------------

    def _explicit_elements(self, position: int, level: _Level) -> int:
        data, unpack, levels = self._data, self._explicit, self._levels
        end, limit = level.end, level.limit - _HEADER
        while position < end and position <= limit:
            self._left -= 1
            if self._left < 0:
                raise self._too_many()
            group, number, vr, length = unpack(data, position)
            position += _HEADER
            if vr in SHORT_VRS and group != _DELIMITERS and not (group & 1 and number < _ELEMENTS):
                position += length
                continue
            position = self._explicit_element(position, group << 16 | number, vr, length, level)
            if levels[-1] is not level:
                return position
        levels.pop()
        return position

    def _implicit_elements(self, position: int, level: _Level) -> int:
        data, unpack, levels = self._data, self._implicit, self._levels
        end, limit = level.end, level.limit - _HEADER
        while position < end and position <= limit:
            self._left -= 1
            if self._left < 0:
                raise self._too_many()
            group, number, length = unpack(data, position)
            position += _HEADER
            if length < _HEADER and group != _DELIMITERS and not (group & 1 and number < _ELEMENTS):
                position += length
                continue
            position = self._element(position, group << 16 | number, _NO_VR, length, level)
            if levels[-1] is not level:
                return position
        levels.pop()
        return position

    def _explicit_element(self, position: int, tag: int, vr: bytes, length: int, level: _Level) -> int:
        """One whose length stands elsewhere, or that may hold others."""
        if vr in LONG_VRS:
            if position + 4 > level.limit:
                return self._give_up(position)
            (length,) = self._length(self._data, position)
            position += 4
        elif not b"AA" <= vr <= b"ZZ":  # some writers go over to implicit VR within a data set
            vr, (length,) = _NO_VR, self._length(self._data, position - 4)
        return self._element(position, tag, vr, length, level)

    def _element(self, position: int, tag: int, vr: bytes, length: int, level: _Level) -> int:
        """The value of an element: passed over, or entered."""
        if tag == _ITEM_END:
            self._levels.pop()
            return position
        if length == _UNDEFINED:
            return self._undefined(position, tag, vr, level)
        after = min(position + length, level.limit)
        if tag & _PRIVATE and tag & 0xFFFF < _ELEMENTS:
            self._note_creator(self._data[position : min(after, position + _LONGEST_CREATOR)])
        if after == position or not self._is_sequence(tag, vr, position, after, level.implicit):
            return after
        self._enter(_Level(True, after, after, level.implicit, after))
        return position

    def _note_creator(self, value: bytes) -> None:
        creator = value.strip(b" \0")
        if creator in self._known_creators:
            self._creators.add(creator)

    def _undefined(self, position: int, tag: int, vr: bytes, level: _Level) -> int:
        """A value of undefined length: pydicom reads it as items where it is a sequence, and else up to a delimiter."""
        is_sequence = vr in (b"SQ", b"UN")
        if vr == _NO_VR:
            meaning = self._vr_of(tag)
            if meaning is None and position + 4 > level.limit:
                return self._give_up(position)
            is_sequence = meaning == "SQ" if meaning else self._data[position : position + 4] == self._item
        if not is_sequence:
            return self._behind_fragments(position, level.limit)
        self._enter(_Level(True, _NOWHERE, level.limit, level.implicit, None))
        return position

    def _is_sequence(self, tag: int, vr: bytes, position: int, after: int, implicit: bool) -> bool:
        """Whether a value of defined length is decoded as a sequence when someone reads it."""
        if vr == b"SQ":
            return True
        if vr not in (_NO_VR, b"UN"):
            return False
        if tag & _PRIVATE:
            creators = self._creators_of(tag)
            if creators and self._creators.isdisjoint(creators):
                self._unsure.append(_Unsure(creators, position, after, implicit, self._depth))
                return False
            return bool(creators)
        return self._vr_of(tag) == "SQ" and (vr == _NO_VR or after - position <= _LONGEST_KNOWN)

    # --- sequences ------------------------------------------------------------------------------------------------

    def _enter(self, level: _Level) -> None:
        self._levels.append(level)
        self._depth += 1
        if self._depth > self._most_depth:
            raise LDicomDataError(
                ErrorCode.FORMAT,
                f"the data set has more than {self._most_depth} sequences within each other (DecodeLimits.depth)",
            )
        self._deepest = max(self._deepest, self._depth)

    def _next_item(self, position: int, level: _Level) -> int:
        """Enter the next item, or leave the sequence. pydicom takes any tag but the delimiter for one of an item."""
        if position >= level.end:
            return self._leave(position)
        start = position + _HEADER
        if start > level.limit:
            return self._give_up(position)
        self._left -= 1
        if self._left < 0:
            raise self._too_many()
        group, number, length = self._implicit(self._data, position)
        if group << 16 | number == _SEQUENCE_END:
            return self._leave(start)
        vr = self._data[start + 4 : min(start + 6, level.limit)]
        implicit = level.implicit or (len(vr) == 2 and not is_vr(vr))  # PS3.5 6.2.2: within UN it is implicit
        end = level.limit if length == _UNDEFINED else start + length
        self._levels.append(_Level(False, end, level.limit, implicit, None))
        return start

    def _leave(self, position: int) -> int:
        self._depth -= 1
        resume = self._levels.pop().resume
        return position if resume is None else resume

    def _give_up(self, position: int) -> int:
        """pydicom raises here: when it decodes the data set, or when someone reads the sequence around it."""
        while len(self._levels) > 1:
            if self._levels[-1].is_items:
                resume = self._levels[-1].resume
                position = self._leave(position)
                if resume is not None:
                    break
            else:
                self._levels.pop()
        return position

    # --- values of undefined length -------------------------------------------------------------------------------

    def _behind_fragments(self, position: int, limit: int) -> int:
        """Behind an encapsulated value (PS3.5 A.4), or where it is none behind the next delimiter."""
        data, at = self._data, position
        while (tag := data[at : min(at + 4, limit)]) == self._item and at + _HEADER <= limit:
            self._left -= 1  # a chain of fragments may be walked again and again
            if self._left < 0:
                raise self._too_many()
            at += _HEADER + self._length(data, at + 4)[0]
        if tag != self._delimiter:
            at = data.find(self._delimiter, position, limit)
        if at < 0:
            raise LDicomDataError(ErrorCode.END, "the data set has a value of undefined length without an end")
        return min(at + _HEADER, limit)

    def _too_many(self) -> LDicomDataError:
        return LDicomDataError(
            ErrorCode.MEMORY,
            f"the data set has more than {self._most_elements} elements and items (DecodeLimits.elements)",
            CANNOT_PROCESS,
        )


def is_vr(vr: bytes) -> bool:
    """Whether two bytes look like a value representation."""
    return vr.isalpha() and vr.isupper()
