"""The seven protocol data units of PS3.8 Section 9.3: plain records.

`encode` makes the whole PDU, `decode` of a class reads what follows its header, and the function `decode` reads a whole
one. P-DATA-TF is here for completeness and for tests: the engine reads and writes its fragments in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Self

from .errors import LDicomProtocolError
from .items import (
    APPLICATION_CONTEXT,
    PRESENTATION_CONTEXT_AC,
    PRESENTATION_CONTEXT_RQ,
    USER_INFORMATION,
    AnsweredContext,
    ProposedContext,
    Syntaxes,
    UnknownItem,
    UserItem,
    decode_text,
    decode_user_information,
    encode_text,
    encode_user_information,
)
from .status import AbortReason, ErrorCode, PduType
from .wire import PDU_HEADER, PDV_HEADER, Cursor, item

DICOM_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_ITEMS = {APPLICATION_CONTEXT, USER_INFORMATION}
_MOST_ITEMS = 1024
"""Items of an association PDU that are read: 128 contexts, two more, and unknown ones."""


def _frame(pdu_type: PduType, content: bytes) -> bytes:
    return PDU_HEADER.pack(pdu_type, 0, len(content)) + content


def _title(title: str) -> bytes:
    return encode_text(title)[:16].ljust(16)


@dataclass(slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ, PS3.8 Table 9-11.

    Attributes:
        others: items of unknown types.
        head: of a received PDU, the bytes of titles and reserved fields, which an accept repeats as they are.
    """

    pdu_type: ClassVar[PduType] = PduType.ASSOCIATE_REQUEST
    called: str
    calling: str
    contexts: list[ProposedContext] = field(default_factory=list)
    user_items: list[UserItem] = field(default_factory=list)
    application: str = DICOM_APPLICATION_CONTEXT
    version: int = 1
    others: list[UnknownItem] = field(default_factory=list)
    head: bytes = field(default=b"", repr=False, compare=False)

    def encode(self) -> bytes:
        return _encode_association(self)

    @classmethod
    def decode(cls, content: bytes) -> Self:
        association = _Association(content, PRESENTATION_CONTEXT_RQ)
        known = Syntaxes()
        contexts = [ProposedContext.decode(data, known) for data in association.contexts]
        return cls(**association.fields, contexts=contexts)


@dataclass(slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC, PS3.8 Table 9-17; its `head` is that of the request, and not tested."""

    pdu_type: ClassVar[PduType] = PduType.ASSOCIATE_ACCEPT
    called: str
    calling: str
    contexts: list[AnsweredContext] = field(default_factory=list)
    user_items: list[UserItem] = field(default_factory=list)
    application: str = DICOM_APPLICATION_CONTEXT
    version: int = 1
    others: list[UnknownItem] = field(default_factory=list)
    head: bytes = field(default=b"", repr=False, compare=False)

    def encode(self) -> bytes:
        return _encode_association(self)

    @classmethod
    def decode(cls, content: bytes) -> Self:
        association = _Association(content, PRESENTATION_CONTEXT_AC)
        known = Syntaxes()
        contexts = [AnsweredContext.decode(data, known) for data in association.contexts]
        return cls(**association.fields, contexts=contexts)


@dataclass(slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ, PS3.8 Table 9-21."""

    pdu_type: ClassVar[PduType] = PduType.ASSOCIATE_REJECT
    result: int
    source: int
    reason: int

    def encode(self) -> bytes:
        return _frame(PduType.ASSOCIATE_REJECT, bytes((0, self.result, self.source, self.reason)))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        _reserved, result, source, reason = _four(content)
        return cls(result, source, reason)


@dataclass(slots=True)
class DataValue:
    """One presentation data value, PS3.8 Table 9-23 and Annex E.2."""

    presentation_id: int
    is_command: bool
    is_last: bool
    data: bytes

    def encode(self) -> bytes:
        """The item: length, context ID, message control header, fragment."""
        control = self.is_command | self.is_last << 1
        return PDV_HEADER.pack(len(self.data) + 2, self.presentation_id, control) + self.data

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """From the content of the item."""
        cursor = Cursor(content, "presentation data value item")
        presentation_id, control = cursor.u8(), cursor.u8()
        return cls(presentation_id, bool(control & 1), bool(control & 2), cursor.rest())


@dataclass(slots=True)
class DataTransfer:
    """P-DATA-TF, PS3.8 Table 9-22."""

    pdu_type: ClassVar[PduType] = PduType.DATA_TRANSFER
    values: list[DataValue] = field(default_factory=list)

    def encode(self) -> bytes:
        return _frame(PduType.DATA_TRANSFER, b"".join(value.encode() for value in self.values))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        cursor, values = Cursor(content, "P-DATA-TF"), []
        while cursor.left:
            values.append(DataValue.decode(cursor.take(cursor.u32())))
        return cls(values)


@dataclass(slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ, PS3.8 Table 9-24."""

    pdu_type: ClassVar[PduType] = PduType.RELEASE_REQUEST

    def encode(self) -> bytes:
        return _frame(PduType.RELEASE_REQUEST, bytes(4))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        _four(content)
        return cls()


@dataclass(slots=True)
class ReleaseResponse:
    """A-RELEASE-RP, PS3.8 Table 9-25."""

    pdu_type: ClassVar[PduType] = PduType.RELEASE_RESPONSE

    def encode(self) -> bytes:
        return _frame(PduType.RELEASE_RESPONSE, bytes(4))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        _four(content)
        return cls()


@dataclass(slots=True)
class Abort:
    """A-ABORT, PS3.8 Table 9-26."""

    pdu_type: ClassVar[PduType] = PduType.ABORT
    source: int
    reason: int

    def encode(self) -> bytes:
        return _frame(PduType.ABORT, bytes((0, 0, self.source, self.reason)))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        _reserved, _reserved, source, reason = _four(content)
        return cls(source, reason)


Pdu = AssociateRequest | AssociateAccept | AssociateReject | DataTransfer | ReleaseRequest | ReleaseResponse | Abort

KINDS: dict[int, type[Pdu]] = {
    1: AssociateRequest,
    2: AssociateAccept,
    3: AssociateReject,
    4: DataTransfer,
    5: ReleaseRequest,
    6: ReleaseResponse,
    7: Abort,
}


def decode(data: bytes) -> Pdu:
    """The PDU that the whole of `data` is.

    Raises:
        LDicomProtocolError: its type is not one of the seven, or its content is malformed.
    """
    cursor = Cursor(bytes(data), "PDU")
    pdu_type, _reserved, length = PDU_HEADER.unpack(cursor.take(6))
    if length != cursor.left:
        raise LDicomProtocolError(
            f"PDU of {length} bytes with {cursor.left} behind its header", code=ErrorCode.PDU_LENGTH
        )
    return decode_content(pdu_type, cursor.rest())


def decode_content(pdu_type: int, content: bytes) -> Pdu:
    """The PDU of this type with these bytes after its header; not to be changed, since the next may be the same one.

    The same peers associate again and again with the same bytes.
    """
    may_have_secret = content.find(_IDENTITY, _FIXED) >= 0 or content.find(_IDENTITY_RESPONSE, _FIXED) >= 0
    is_kept = len(content) <= _KEPT and not may_have_secret
    return _decode_kept(pdu_type, content) if is_kept else _decode_content(pdu_type, content)


def _decode_content(pdu_type: int, content: bytes) -> Pdu:
    kind = KINDS.get(pdu_type)
    if kind is None:
        raise LDicomProtocolError(
            f"PDU type {pdu_type:02X}H is not known", AbortReason.UNRECOGNIZED, ErrorCode.PDU_TYPE
        )
    return kind.decode(content)


def check_counts(pdu: Pdu, contexts: int, user_items: int) -> None:
    """Raise if an association PDU has more presentation contexts, or sub-items of user information, than that.

    Raises:
        LDicomProtocolError: it has.
    """
    if isinstance(pdu, AssociateRequest | AssociateAccept):
        for what, found, most in (
            ("presentation contexts", len(pdu.contexts), contexts),
            ("sub-items of user information", len(pdu.user_items), user_items),
        ):
            if found > most:
                raise LDicomProtocolError(f"association PDU with {found} {what}, {most} are allowed")


_KEPT = 8 << 10
_FIXED = 68
"""Bytes of an association PDU before its items."""
_IDENTITY, _IDENTITY_RESPONSE = b"\x58", b"\x59\0"
"""What may begin a user identity and its answer (PS3.7 D.3.3.7): passwords are not kept."""
_decode_kept = lru_cache(64)(_decode_content)


def _encode_association(pdu: AssociateRequest | AssociateAccept) -> bytes:
    head = pdu.head or _title(pdu.called) + _title(pdu.calling) + bytes(32)
    fixed = pdu.version.to_bytes(2, "big") + bytes(2) + head
    application = item(APPLICATION_CONTEXT, encode_text(pdu.application))
    contexts = b"".join([context.encode() for context in pdu.contexts])
    others = b"".join([other.encode() for other in pdu.others])
    return _frame(pdu.pdu_type, fixed + application + contexts + encode_user_information(pdu.user_items) + others)


class _Association:
    """What the two association PDUs have in common, PS3.8 Tables 9-11 and 9-17."""

    def __init__(self, content: bytes, context_type: int) -> None:
        cursor = Cursor(content, "association PDU")
        version = Cursor(cursor.take(4), "association PDU").u16()
        head = cursor.take(64)
        items = cursor.items(_MOST_ITEMS)
        self.contexts = [data for kind, data in items if kind == context_type]
        _distinct(self.contexts)
        self.fields: dict[str, Any] = {
            "version": version,
            "called": decode_title(head[:16]),
            "calling": decode_title(head[16:32]),
            "head": head,
            "others": [UnknownItem(kind, data) for kind, data in items if kind not in _ITEMS | {context_type}],
            "application": decode_text(_the_only(items, APPLICATION_CONTEXT, "application context")),
            "user_items": decode_user_information(_the_only(items, USER_INFORMATION, "user information")),
        }


def _the_only(items: list[tuple[int, bytes]], item_type: int, what: str) -> bytes:
    """The content of an item that has to be there once."""
    found = [data for kind, data in items if kind == item_type]
    if len(found) != 1:
        raise LDicomProtocolError(f"association PDU with {len(found)} {what} items (PS3.8 9.3.2)")
    return found[0]


def decode_title(data: bytes) -> str:
    """An AE title: leading and trailing spaces are not significant, PS3.8 Table 9-11."""
    return data.decode("latin-1").strip("\0 ")


def _distinct(contexts: list[bytes]) -> None:
    """No two presentation contexts begin with the same ID, so that there are 256 at most before they are read."""
    if len({content[:1] for content in contexts}) != len(contexts):
        raise LDicomProtocolError("a presentation context ID occurs twice (PS3.8 9.3.2.2)")


def _four(content: bytes) -> bytes:
    """The content of the PDUs that are four bytes long."""
    if len(content) != 4:
        raise LDicomProtocolError(f"PDU of {len(content)} bytes instead of 4", code=ErrorCode.PDU_LENGTH)
    return content
