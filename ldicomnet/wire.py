"""A bounded cursor over received bytes, and the few ways to pack numbers; knows no PDU and raises one error.

All of PS3.8 is big endian; command sets (PS3.7 Section 6.3.1) are little endian and have their packing in `message`.
"""

from __future__ import annotations

from struct import Struct

from .errors import LDicomProtocolError, LDicomUsageError
from .status import AbortReason, ErrorCode

PDU_HEADER = Struct(">BBI")
"""PDU type, reserved, length, PS3.8 Section 9.3.1."""
PDV_HEADER = Struct(">IBB")
"""Item length, presentation context ID, message control header, PS3.8 Section 9.3.5.1 and Annex E.2."""
DATA_HEADER = Struct(">BBIIBB")
"""The header of a P-DATA-TF PDU and of the one presentation data value in it."""
ITEM_HEADER = Struct(">BBH")
"""Item type, reserved, length: every item and sub-item of an association PDU."""


class Cursor:
    """Reads forward through `data[start:end]`; reading past the end raises `LDicomProtocolError`."""

    __slots__ = ("_data", "_end", "_position", "_what")

    def __init__(self, data: bytes, what: str, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._what = what
        self._position = start
        self._end = len(data) if end is None else end

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return self._end - self._position

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self._position
        if count > self._end - start:
            raise LDicomProtocolError(
                f"{self._what}: {count} bytes expected, {self.left} left",
                AbortReason.INVALID_PARAM,
                ErrorCode.PDU_LENGTH,
            )
        self._position = start + count
        return self._data[start : self._position]

    def rest(self) -> bytes:
        """All bytes not yet read."""
        return self.take(self.left)

    def u8(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """The next two bytes, big endian."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """The next four bytes, big endian."""
        return int.from_bytes(self.take(4), "big")

    def counted(self) -> bytes:
        """A two-byte length and as many bytes."""
        return self.take(self.u16())

    def item(self) -> tuple[int, bytes]:
        """The next item: its type and its content."""
        item_type, _reserved, length = ITEM_HEADER.unpack(self.take(4))
        return item_type, self.take(length)

    def items(self, most: int) -> list[tuple[int, bytes]]:
        """All items to the end. An item of four bytes takes a hundred in memory, so their number is bounded too."""
        found = list[tuple[int, bytes]]()
        while self.left:
            if len(found) == most:
                raise LDicomProtocolError(f"{self._what}: more than {most} items", code=ErrorCode.PDU_LENGTH)
            found.append(self.item())
        return found


def counted(data: bytes) -> bytes:
    """`data` behind its two-byte length."""
    if len(data) > 0xFFFF:
        raise LDicomUsageError(f"{len(data)} bytes do not fit a two-byte length", ErrorCode.PDU_LENGTH)
    return len(data).to_bytes(2, "big") + data


def item(item_type: int, content: bytes) -> bytes:
    """One item: type, reserved byte, two-byte length, content."""
    if len(content) > 0xFFFF:
        raise LDicomUsageError(
            f"item {item_type:02X}H: {len(content)} bytes do not fit its two-byte length", ErrorCode.PDU_LENGTH
        )
    return ITEM_HEADER.pack(item_type, 0, len(content)) + content
