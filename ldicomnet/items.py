"""Items and user-information sub-items of the association PDUs: PS3.8 Sections 9.3.2, 9.3.3 and PS3.7 Annex D.3.3.

Plain records: `encode` makes the whole item, `decode` reads what follows its header. They keep their order, and unknown
ones are kept as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Protocol, Self

from .errors import LDicomProtocolError
from .status import AbortReason, ErrorCode
from .wire import Cursor, counted, item

APPLICATION_CONTEXT = 0x10
PRESENTATION_CONTEXT_RQ = 0x20
PRESENTATION_CONTEXT_AC = 0x21
ABSTRACT_SYNTAX = 0x30
TRANSFER_SYNTAX = 0x40
USER_INFORMATION = 0x50
MAXIMUM_LENGTH = 0x51
IMPLEMENTATION_CLASS = 0x52
ASYNCHRONOUS_OPERATIONS = 0x53
ROLE_SELECTION = 0x54
IMPLEMENTATION_VERSION = 0x55
EXTENDED_NEGOTIATION = 0x56
COMMON_EXTENDED_NEGOTIATION = 0x57
USER_IDENTITY = 0x58
USER_IDENTITY_RESPONSE = 0x59


def encode_text(text: str) -> bytes:
    """Text of an item; Latin-1, so that whatever a peer sent goes back as it was."""
    return text.encode("latin-1", "replace")


def decode_text(data: bytes) -> str:
    """Text of an item; trailing nulls and spaces are padding that some peers add."""
    return data.decode("latin-1").rstrip("\0 ")


def _text_item(item_type: int, text: str) -> bytes:
    """The same few UIDs and names are in one association after the other."""
    return _known_text_item(item_type, text) if len(text) <= _LONGEST_KEPT else item(item_type, encode_text(text))


_LONGEST_KEPT = 64
_known_text_item = lru_cache(512)(lambda item_type, text: item(item_type, encode_text(text)))


# --- presentation contexts ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class ProposedContext:
    """A presentation context of an A-ASSOCIATE-RQ, PS3.8 Table 9-13."""

    presentation_id: int
    abstract_syntax: str
    transfer_syntaxes: list[str] = field(default_factory=list)
    others: list[UnknownItem] = field(default_factory=list, compare=False)
    reserved: bytes = field(default=bytes(3), repr=False, compare=False)

    def encode(self) -> bytes:
        parts = [bytes((self.presentation_id,)), self.reserved, _text_item(ABSTRACT_SYNTAX, self.abstract_syntax)]
        parts += [_text_item(TRANSFER_SYNTAX, uid) for uid in self.transfer_syntaxes]
        parts += [other.encode() for other in self.others]
        return item(PRESENTATION_CONTEXT_RQ, b"".join(parts))

    @classmethod
    def decode(cls, content: bytes, known: Syntaxes | None = None) -> Self:
        """From the content of the item; an ID that is not odd, or no abstract syntax, is an error."""
        cursor = Cursor(content, "presentation context item")
        presentation_id, reserved = cursor.u8(), cursor.take(3)
        abstract, transfers, others = (known or Syntaxes()).read(cursor)
        if not presentation_id & 1:
            raise LDicomProtocolError(f"presentation context ID {presentation_id} is not odd (PS3.8 9.3.2.2)")
        if len(abstract) != 1 or not transfers:
            raise LDicomProtocolError(
                f"presentation context {presentation_id} has {len(abstract)} abstract syntaxes "
                f"and {len(transfers)} transfer syntaxes (PS3.8 9.3.2.2)"
            )
        return cls(presentation_id, abstract[0], transfers, others, reserved)


@dataclass(slots=True)
class AnsweredContext:
    """A presentation context of an A-ASSOCIATE-AC, PS3.8 Table 9-18; a refused one may have no transfer syntax."""

    presentation_id: int
    result: int
    transfer_syntax: str | None
    others: list[UnknownItem] = field(default_factory=list, compare=False)
    reserved: bytes = field(default=bytes(2), repr=False, compare=False)

    def encode(self) -> bytes:
        syntax = b"" if self.transfer_syntax is None else _text_item(TRANSFER_SYNTAX, self.transfer_syntax)
        others = b"".join([other.encode() for other in self.others])
        head = bytes((self.presentation_id, self.reserved[0], self.result, self.reserved[1]))
        return item(PRESENTATION_CONTEXT_AC, head + syntax + others)

    @classmethod
    def decode(cls, content: bytes, known: Syntaxes | None = None) -> Self:
        """From the content of the item; only an accepted context must name its transfer syntax."""
        cursor = Cursor(content, "presentation context item")
        presentation_id, first, result, second = cursor.take(4)
        _abstract, transfers, others = (known or Syntaxes()).read(cursor)
        if result == 0 and len(transfers) != 1:
            raise LDicomProtocolError(
                f"accepted presentation context {presentation_id} has {len(transfers)} transfer syntaxes, "
                "where one is wanted (PS3.8 9.3.3.2)"
            )
        return cls(presentation_id, result, transfers[0] if transfers else None, others, bytes((first, second)))


class Syntaxes:
    """What the presentation contexts of one PDU consist of: each UID once, however many contexts name it.

    So what they take does not depend on what the peer makes up: a UID of two characters takes ten times its bytes.
    """

    __slots__ = ("_left", "_uids")

    def __init__(self) -> None:
        self._uids: dict[str, str] = {}
        self._left = _MOST_DISTINCT

    def read(self, cursor: Cursor) -> tuple[list[str], list[str], list[UnknownItem]]:
        """Abstract syntaxes, transfer syntaxes, and what else there is, which is ignored (PS3.8 9.3.1)."""
        found: dict[int, list[str]] = {ABSTRACT_SYNTAX: [], TRANSFER_SYNTAX: []}
        others = []
        for sub_type, content in cursor.items(_MOST_SYNTAXES):
            if sub_type in found:
                found[sub_type].append(self._shared(decode_text(content)))
            else:
                self._take_one()
                others.append(UnknownItem(sub_type, content))
        return found[ABSTRACT_SYNTAX], found[TRANSFER_SYNTAX], others

    def _shared(self, uid: str) -> str:
        if uid not in self._uids:
            self._take_one()
        return self._uids.setdefault(uid, uid)

    def _take_one(self) -> None:
        self._left -= 1
        if self._left < 0:
            text = f"presentation contexts with more than {_MOST_DISTINCT} different syntaxes and unknown items"
            raise LDicomProtocolError(text, code=ErrorCode.PDU_LENGTH)


_MOST_SYNTAXES = 128
"""Sub-items of a presentation context that are read; DICOM has some sixty transfer syntaxes."""
_MOST_DISTINCT = 1024
"""Different ones of all contexts, and unknown sub-items of theirs; DICOM has some four hundred SOP classes, of which
128 contexts can name 128."""


# --- user information --------------------------------------------------------------------------------------------


class UserItem(Protocol):
    """What every user-information sub-item can do."""

    @property
    def item_type(self) -> int:
        """The type of the sub-item on the wire."""
        ...

    def encode(self) -> bytes:
        """The whole sub-item."""
        ...


@dataclass(slots=True)
class MaximumLength:
    """Maximum length of the P-DATA-TF PDUs that the sender can receive; 0 is no limit. PS3.8 D.1."""

    item_type: ClassVar[int] = MAXIMUM_LENGTH
    length: int

    def encode(self) -> bytes:
        return item(MAXIMUM_LENGTH, self.length.to_bytes(4, "big"))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        return cls(Cursor(_exactly(content, 4, "maximum length"), "maximum length").u32())


@dataclass(slots=True)
class ImplementationClass:
    """Implementation class UID, PS3.7 D.3.3.2.1."""

    item_type: ClassVar[int] = IMPLEMENTATION_CLASS
    uid: str

    def encode(self) -> bytes:
        return _text_item(IMPLEMENTATION_CLASS, self.uid)

    @classmethod
    def decode(cls, content: bytes) -> Self:
        return cls(decode_text(content))


@dataclass(slots=True)
class ImplementationVersion:
    """Implementation version name, up to 16 characters, PS3.7 D.3.3.2.3."""

    item_type: ClassVar[int] = IMPLEMENTATION_VERSION
    name: str

    def encode(self) -> bytes:
        return _text_item(IMPLEMENTATION_VERSION, self.name)

    @classmethod
    def decode(cls, content: bytes) -> Self:
        return cls(decode_text(content))


@dataclass(slots=True)
class AsynchronousOperations:
    """Operations that may be outstanding at once; 0 is no limit. PS3.7 D.3.3.3."""

    item_type: ClassVar[int] = ASYNCHRONOUS_OPERATIONS
    invoked: int
    performed: int

    def encode(self) -> bytes:
        return item(ASYNCHRONOUS_OPERATIONS, self.invoked.to_bytes(2, "big") + self.performed.to_bytes(2, "big"))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        cursor = Cursor(_exactly(content, 4, "asynchronous operations window"), "asynchronous operations window")
        return cls(cursor.u16(), cursor.u16())


@dataclass(slots=True)
class RoleSelection:
    """SCP/SCU role selection for one SOP class, PS3.7 D.3.3.4."""

    item_type: ClassVar[int] = ROLE_SELECTION
    sop_class_uid: str
    user: int
    provider: int

    def encode(self) -> bytes:
        return item(ROLE_SELECTION, counted(encode_text(self.sop_class_uid)) + bytes((self.user, self.provider)))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        cursor = Cursor(content, "role selection")
        uid = decode_text(cursor.counted())
        return cls(uid, cursor.u8(), cursor.u8())


@dataclass(slots=True)
class ExtendedNegotiation:
    """SOP class extended negotiation: the service class's own bytes, PS3.7 D.3.3.5."""

    item_type: ClassVar[int] = EXTENDED_NEGOTIATION
    sop_class_uid: str
    data: bytes

    def encode(self) -> bytes:
        return item(EXTENDED_NEGOTIATION, counted(encode_text(self.sop_class_uid)) + self.data)

    @classmethod
    def decode(cls, content: bytes) -> Self:
        cursor = Cursor(content, "SOP class extended negotiation")
        return cls(decode_text(cursor.counted()), cursor.rest())


@dataclass(slots=True)
class CommonExtendedNegotiation:
    """SOP class common extended negotiation, PS3.7 D.3.3.6; the version byte stands in the item header."""

    item_type: ClassVar[int] = COMMON_EXTENDED_NEGOTIATION
    sop_class_uid: str
    service_class_uid: str
    related: tuple[str, ...] = ()

    def encode(self) -> bytes:
        related = b"".join(counted(encode_text(uid)) for uid in self.related)
        uids = counted(encode_text(self.sop_class_uid)) + counted(encode_text(self.service_class_uid))
        return item(COMMON_EXTENDED_NEGOTIATION, uids + counted(related))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """From the content of the sub-item; bytes after the related classes are ignored, as the standard asks."""
        cursor = Cursor(content, "SOP class common extended negotiation")
        sop_class, service_class = decode_text(cursor.counted()), decode_text(cursor.counted())
        inner, related = Cursor(cursor.counted(), "related general SOP classes"), []
        while inner.left:
            related.append(decode_text(inner.counted()))
            _check_related(len(related))
        return cls(sop_class, service_class, tuple(related))


@dataclass(slots=True)
class UserIdentity:
    """User identity of a request, PS3.7 D.3.3.7.1.

    Attributes:
        identity_type: 1 user name, 2 user name and passcode, 3 Kerberos ticket, 4 SAML assertion, 5 JSON web token.
        response_requested: whether the acceptor shall answer.
        primary: user name, ticket, assertion or token.
        secondary: the passcode of type 2.
    """

    item_type: ClassVar[int] = USER_IDENTITY
    identity_type: int
    response_requested: bool
    primary: bytes
    secondary: bytes = b""

    def encode(self) -> bytes:
        head = bytes((self.identity_type, int(self.response_requested)))
        return item(USER_IDENTITY, head + counted(self.primary) + counted(self.secondary))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        cursor = Cursor(content, "user identity")
        return cls(cursor.u8(), bool(cursor.u8()), cursor.counted(), cursor.counted())


@dataclass(slots=True)
class UserIdentityResponse:
    """The acceptor's answer to a user identity, PS3.7 D.3.3.7.2."""

    item_type: ClassVar[int] = USER_IDENTITY_RESPONSE
    response: bytes

    def encode(self) -> bytes:
        return item(USER_IDENTITY_RESPONSE, counted(self.response))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        return cls(Cursor(content, "user identity response").counted())


@dataclass(slots=True)
class UnknownItem:
    """A sub-item of a type not known here: kept, and ignored (PS3.8 D.2)."""

    item_type: int
    data: bytes

    def encode(self) -> bytes:
        return item(self.item_type, self.data)


_KNOWN = (
    MaximumLength,
    ImplementationClass,
    AsynchronousOperations,
    RoleSelection,
    ImplementationVersion,
    ExtendedNegotiation,
    CommonExtendedNegotiation,
    UserIdentity,
    UserIdentityResponse,
)
_DECODERS = {kind.item_type: kind.decode for kind in _KNOWN}
_MOST_SUB_ITEMS = 1024
"""Sub-items of user information that are read: three for each of the 128 contexts are many."""
_MOST_RELATED = 1024
"""Related general SOP classes of all of them; one of two characters takes ten times its bytes."""


def decode_user_information(content: bytes) -> list[UserItem]:
    """The sub-items of a user information item, in their order."""
    found = list[UserItem]()
    related = 0
    for item_type, data in Cursor(content, "user information item").items(_MOST_SUB_ITEMS):
        decode = _DECODERS.get(item_type)
        found.append(decode(data) if decode else UnknownItem(item_type, data))
        if isinstance(found[-1], CommonExtendedNegotiation):
            related += len(found[-1].related)
            _check_related(related)
    return found


def _check_related(count: int) -> None:
    if count > _MOST_RELATED:
        raise LDicomProtocolError(f"more than {_MOST_RELATED} related general SOP classes", code=ErrorCode.PDU_LENGTH)


def encode_user_information(user_items: list[UserItem]) -> bytes:
    """The user information item with these sub-items."""
    return item(USER_INFORMATION, b"".join([user_item.encode() for user_item in user_items]))


def _exactly(content: bytes, length: int, what: str) -> bytes:
    """`content`, if it is `length` bytes long."""
    if len(content) != length:
        raise LDicomProtocolError(f"{what}: {len(content)} bytes instead of {length}", AbortReason.INVALID_PARAM)
    return content
