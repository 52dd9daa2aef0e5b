"""`LDicomAssociate`: builds, reads and answers an association request, PS3.8 Section 7.1 and PS3.7 Annex D.

Pure: it knows the PDUs it becomes, and no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Self

from . import checks
from .errors import LDicomUsageError
from .items import (
    AnsweredContext,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UnknownItem,
    UserIdentity,
    UserItem,
)
from .negotiation import (
    PresentationContext,
    Supported,
    answer_contexts,
    clamp_window,
    complete_answers,
    merge_answers,
)
from .part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from .pdu import DICOM_APPLICATION_CONTEXT, AssociateAccept, AssociateRequest
from .status import AcceptResult, ErrorCode
from .user_information import UserInformation

DEFAULT_MAXIMUM_LENGTH = 128 << 10
SMALLEST_MAXIMUM_LENGTH = 8


class LDicomAssociate:
    """An association request, or the answer that accepts it.

    Presentation contexts are named by their ID, but in `get_presentation` and `set_presentation`, which take the
    position; transfer syntaxes and other user information are named by position. Positions count from 0.

    Args:
        request: True for an A-ASSOCIATE-RQ, False for an A-ASSOCIATE-AC.
    """

    def __init__(self, request: bool) -> None:
        self.reset(request)

    def reset(self, request: bool) -> None:
        """Empty the object and set its kind."""
        self._request = bool(request)
        self._version = 1
        self._called = self._calling = self._application = ""
        self._contexts: list[PresentationContext] = []
        self._info = UserInformation()
        self._head = b""  # of a received PDU: titles and reserved fields, which an accept repeats

    def default(self) -> None:
        """Fill in what every association of this library says: application context 1.2.840.10008.3.1.1.1, version 1,
        maximum length 128 KiB, implementation class and version name."""
        self._version = 1
        self._application = DICOM_APPLICATION_CONTEXT
        self._info.max_length = DEFAULT_MAXIMUM_LENGTH
        self._info.implement_class = IMPLEMENTATION_CLASS_UID
        self._info.implement_version = IMPLEMENTATION_VERSION_NAME

    def copy(self) -> Self:
        """An independent copy."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._contexts, made._info = [context.copy() for context in self._contexts], self._info.copy()
        return made

    def is_request(self) -> bool:
        """Whether this is a request."""
        return self._request

    def set_request(self, request: bool) -> None:
        """Make it a request, or an accept; the rest stays."""
        self._request = bool(request)

    def get_version(self) -> int:
        """Protocol version, a bit field: bit 0 is version 1 (PS3.8 Table 9-11)."""
        return self._version

    def set_version(self, version: int) -> None:
        """Set the protocol version, 0 to 65535."""
        self._version = checks.number("version", version, 0xFFFF)

    def get_called(self) -> str:
        """Called AE title."""
        return self._called

    def set_called(self, name: str) -> None:
        """Set the called AE title, 1 to 16 characters; spaces around it do not count."""
        self._called = checks.title("called AE title", name)

    def get_calling(self) -> str:
        """Calling AE title."""
        return self._calling

    def set_calling(self, name: str) -> None:
        """Set the calling AE title, 1 to 16 characters; spaces around it do not count."""
        self._calling = checks.title("calling AE title", name)

    def get_application(self) -> str:
        """Application context name."""
        return self._application

    def set_application(self, uid: str) -> None:
        """Set the application context name, a UID; DICOM has one, 1.2.840.10008.3.1.1.1 (PS3.7 A.2.1)."""
        self._application = checks.uid("application context name", uid)

    # --- presentation contexts ------------------------------------------------------------------------------------

    @property
    def presentation_contexts(self) -> tuple[PresentationContext, ...]:
        """The presentation contexts in their order, as plain records."""
        return tuple(self._contexts)

    def get_presentation_count(self) -> int:
        """How many presentation contexts there are."""
        return len(self._contexts)

    def get_presentation(self, index: int) -> int:
        """ID of the presentation context at a position."""
        return self._at(index).presentation_id

    def set_presentation(self, index: int, presentation_id: int) -> None:
        """Give the presentation context at a position another ID."""
        context = self._at(index)
        if presentation_id != context.presentation_id:
            self._unused(presentation_id)
        context.presentation_id = presentation_id

    def add_presentation(self, presentation_id: int, result: int, abstract_syntax: str) -> None:
        """Add a presentation context; in a request the result has no meaning and is 0.

        Raises:
            LDicomUsageError: the ID is even, out of range or taken, or the abstract syntax is not a UID.
        """
        self._unused(presentation_id)
        known = AcceptResult(checks.number("result", result, 0xFF))
        context = PresentationContext(presentation_id, checks.uid("abstract_syntax", abstract_syntax), result=known)
        self._share(context)
        self._contexts.append(context)

    def _share(self, context: PresentationContext) -> None:
        """Roles and extended negotiation go by abstract syntax on the wire: a context has those of its twins."""
        twins = (other for other in self._with_abstract(context.abstract_syntax) if other is not context)
        twin = next(twins, None)
        context.roles, context.extended = (twin.roles, twin.extended) if twin else (None, None)

    def add_context(self, abstract_syntax: str, transfer_syntaxes: str | Iterable[str]) -> int:
        """Add a presentation context with the lowest ID that is free, and return the ID.

        Args:
            abstract_syntax: UID.
            transfer_syntaxes: UIDs, the preferred first; a single one may be given as text.

        Raises:
            LDicomUsageError: all 128 IDs are taken, no transfer syntax is given, or something is not a UID.
        """
        uids = checks.listed("transfer_syntaxes", transfer_syntaxes)
        if not uids:
            raise LDicomUsageError("transfer_syntaxes is empty: a presentation context offers at least one")
        checked = [checks.uid("transfer_syntaxes", uid) for uid in uids]
        taken = {context.presentation_id for context in self._contexts}
        presentation_id = next((number for number in range(1, 256, 2) if number not in taken), 0)
        if not presentation_id:
            raise LDicomUsageError("all 128 presentation context IDs are taken (PS3.8 9.3.2.2)")
        self.add_presentation(presentation_id, AcceptResult.SUCCESS, abstract_syntax)
        self._contexts[-1].transfer_syntaxes = checked
        return presentation_id

    def del_presentation(self, presentation_id: int) -> None:
        """Remove the presentation context with this ID."""
        self._contexts.remove(self._context(presentation_id))

    def get_result(self, presentation_id: int) -> AcceptResult:
        """Result of a presentation context."""
        return self._context(presentation_id).result

    def set_result(self, presentation_id: int, result: int) -> None:
        """Set the result of a presentation context."""
        self._context(presentation_id).result = AcceptResult(checks.number("result", result, 0xFF))

    def get_abstract(self, presentation_id: int) -> str:
        """Abstract syntax of a presentation context."""
        return self._context(presentation_id).abstract_syntax

    def set_abstract(self, presentation_id: int, uid: str) -> None:
        """Set the abstract syntax of a presentation context."""
        context = self._context(presentation_id)
        context.abstract_syntax = checks.uid("abstract syntax", uid)
        self._share(context)

    def find_abstract(self, uid: str) -> int:
        """ID of the first presentation context with this abstract syntax, 0 for none."""
        return next((context.presentation_id for context in self._contexts if context.abstract_syntax == uid), 0)

    def find_next_abstract(self, presentation_id: int, uid: str) -> int:
        """ID of the next presentation context with this abstract syntax behind the one given, 0 for none."""
        start = self._contexts.index(self._context(presentation_id)) + 1
        return next(
            (context.presentation_id for context in self._contexts[start:] if context.abstract_syntax == uid), 0
        )

    def get_abstract_count(self, uid: str) -> int:
        """How many presentation contexts have this abstract syntax."""
        return sum(context.abstract_syntax == uid for context in self._contexts)

    # --- transfer syntaxes ----------------------------------------------------------------------------------------

    def get_transfer_count(self, presentation_id: int) -> int:
        """How many transfer syntaxes a presentation context has."""
        return len(self._context(presentation_id).transfer_syntaxes)

    def get_transfer(self, presentation_id: int, index: int) -> str:
        """Transfer syntax at a position; in an accept, position 0 is the one chosen."""
        return checks.entry(self._context(presentation_id).transfer_syntaxes, index, "transfer syntax")

    def set_transfer(self, presentation_id: int, index: int, uid: str) -> None:
        """Replace the transfer syntax at a position."""
        syntaxes = self._context(presentation_id).transfer_syntaxes
        checks.entry(syntaxes, index, "transfer syntax")
        syntaxes[index] = checks.uid("transfer syntax", uid)

    def add_transfer(self, presentation_id: int, uid: str) -> None:
        """Append a transfer syntax."""
        self._context(presentation_id).transfer_syntaxes.append(checks.uid("transfer syntax", uid))

    def del_transfer(self, presentation_id: int, index: int) -> None:
        """Remove the transfer syntax at a position."""
        syntaxes = self._context(presentation_id).transfer_syntaxes
        checks.entry(syntaxes, index, "transfer syntax")
        del syntaxes[index]

    # --- roles and extended negotiation: per abstract syntax on the wire, named by ID here ------------------------

    def is_role_select(self, presentation_id: int) -> bool:
        """Whether there is a role selection for the context's abstract syntax."""
        return self._context(presentation_id).roles is not None

    def get_user_role(self, presentation_id: int) -> int:
        """SCU role of the requestor, 0 or 1; without a role selection the default, 1 (PS3.7 D.3.3.4)."""
        roles = self._context(presentation_id).roles
        return 1 if roles is None else roles[0]

    def get_provider_role(self, presentation_id: int) -> int:
        """SCP role of the requestor, 0 or 1; without a role selection the default, 0 (PS3.7 D.3.3.4)."""
        roles = self._context(presentation_id).roles
        return 0 if roles is None else roles[1]

    def set_role_select(self, presentation_id: int, enabled: bool, user: int, provider: int) -> None:
        """Set, or with `enabled=False` remove, the role selection of the context's abstract syntax."""
        roles = (checks.number("user", user, 1), checks.number("provider", provider, 1)) if enabled else None
        for context in self._with_abstract_of(presentation_id):
            context.roles = roles

    def get_length_extended(self, presentation_id: int) -> int:
        """Bytes of the SOP class extended negotiation, 0 for none."""
        return len(self.get_extended(presentation_id))

    def get_extended(self, presentation_id: int) -> bytes:
        """Service class application information of the context's abstract syntax, empty for none."""
        return self._context(presentation_id).extended or b""

    def set_extended(self, presentation_id: int, data: bytes) -> None:
        """Set, or with no bytes remove, the SOP class extended negotiation of the context's abstract syntax."""
        extended = checks.octets("data", data)
        for context in self._with_abstract_of(presentation_id):
            context.extended = extended or None

    def set_common_extended(self, sop_class_uid: str, service_class_uid: str, related: Iterable[str] = ()) -> None:
        """Say of a SOP class to which service class it belongs and which general ones it is related to (PS3.7
        D.3.3.6); only in requests."""
        uids = tuple(checks.uid("related", uid) for uid in checks.listed("related", related))
        self._info.common_extended[checks.uid("sop_class_uid", sop_class_uid)] = CommonExtendedNegotiation(
            checks.uid("sop_class_uid", sop_class_uid), checks.uid("service_class_uid", service_class_uid), uids
        )

    def get_common_extended(self, sop_class_uid: str) -> tuple[str, tuple[str, ...]] | None:
        """Service class and related general SOP classes of a SOP class, None where nothing is said of it."""
        found = self._info.common_extended.get(str(sop_class_uid))
        return None if found is None else (found.service_class_uid, found.related)

    # --- maximum length, implementation, asynchronous operations --------------------------------------------------

    def is_max_length(self) -> bool:
        """Whether a maximum length is stated."""
        return self._info.max_length is not None

    def get_max_length(self) -> int:
        """Longest P-DATA-TF the sender of this PDU can receive, in bytes; 0 is no limit."""
        return self._info.max_length or 0

    def set_max_length(self, enabled: bool, length: int = 0) -> None:
        """State, or not, the maximum length: 0 for no limit, else at least 8."""
        if enabled and 0 < checks.number("length", length, 0xFFFFFFFF) < SMALLEST_MAXIMUM_LENGTH:
            raise LDicomUsageError(f"length is {length}: 0, or at least {SMALLEST_MAXIMUM_LENGTH}, is wanted")
        self._info.max_length = length if enabled else None

    def is_implement_class(self) -> bool:
        """Whether an implementation class UID is stated."""
        return self._info.implement_class is not None

    def get_implement_class(self) -> str:
        """Implementation class UID."""
        return self._info.implement_class or ""

    def set_implement_class(self, enabled: bool, uid: str = "") -> None:
        """State, or not, the implementation class UID."""
        self._info.implement_class = checks.uid("implementation class UID", uid) if enabled else None

    def is_implement_version(self) -> bool:
        """Whether an implementation version name is stated."""
        return self._info.implement_version is not None

    def get_implement_version(self) -> str:
        """Implementation version name."""
        return self._info.implement_version or ""

    def set_implement_version(self, enabled: bool, name: str = "") -> None:
        """State, or not, the implementation version name, 1 to 16 characters."""
        is_name = isinstance(name, str) and 1 <= len(name) <= 16 and name.isascii() and name.isprintable()
        if enabled and not is_name:
            raise LDicomUsageError(f"name is {name!r}: an implementation version name has 1 to 16 ASCII characters")
        self._info.implement_version = name if enabled else None

    def is_async_operations(self) -> bool:
        """Whether an asynchronous operations window is stated."""
        return self._info.asynchronous is not None

    def get_invoked_operations(self) -> int:
        """Operations the requestor may have outstanding; 0 is no limit, and 1 holds where none is stated."""
        return 1 if self._info.asynchronous is None else self._info.asynchronous[0]

    def get_performed_operations(self) -> int:
        """Operations the requestor may be asked to perform; 0 is no limit, and 1 holds where none is stated."""
        return 1 if self._info.asynchronous is None else self._info.asynchronous[1]

    def set_async_operations(self, enabled: bool, invoked: int = 1, performed: int = 1) -> None:
        """State, or not, the asynchronous operations window (PS3.7 D.3.3.3)."""
        window = (checks.number("invoked", invoked, 0xFFFF), checks.number("performed", performed, 0xFFFF))
        self._info.asynchronous = window if enabled else None

    # --- user identity --------------------------------------------------------------------------------------------

    def set_user_identity(
        self, identity_type: int, primary: bytes | str, secondary: bytes | str = b"", response_requested: bool = False
    ) -> None:
        """State who the user is, PS3.7 D.3.3.7; only in requests.

        Args:
            identity_type: 1 user name, 2 user name and passcode, 3 Kerberos ticket, 4 SAML assertion, 5 JSON web token.
            primary: user name (text is sent as UTF-8), ticket, assertion or token.
            secondary: the passcode of type 2, else empty.
            response_requested: whether the acceptor shall answer.
        """
        first, second = (
            checks.octets(name, value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value)
            for name, value in (("primary", primary), ("secondary", secondary))
        )
        if second and identity_type != 2:
            raise LDicomUsageError("secondary is given: only identity type 2 has a passcode (PS3.7 Table D.3-14)")
        kind = checks.number("identity_type", identity_type, 0xFF)
        self._info.identity = UserIdentity(kind, bool(response_requested), first, second)

    def get_user_identity(self) -> UserIdentity | None:
        """The user identity: `identity_type`, `primary`, `secondary`, `response_requested`; None without one."""
        return None if self._info.identity is None else replace(self._info.identity)

    def set_user_identity_response(self, data: bytes) -> None:
        """Answer a user identity; only in accepts."""
        self._info.identity_response = checks.octets("data", data)

    def get_user_identity_response(self) -> bytes | None:
        """The acceptor's answer to the user identity, None without one."""
        return self._info.identity_response

    # --- other user information -----------------------------------------------------------------------------------

    def get_user_info_count(self) -> int:
        """How many other user-information sub-items there are."""
        return len(self._info.others)

    def get_type_user_info(self, index: int) -> int:
        """Type of the other sub-item at a position."""
        return checks.entry(self._info.others, index, "user information").item_type

    def get_length_user_info(self, index: int) -> int:
        """Bytes of the other sub-item at a position."""
        return len(self.get_data_user_info(index))

    def get_data_user_info(self, index: int) -> bytes:
        """Content of the other sub-item at a position."""
        return checks.entry(self._info.others, index, "user information").data

    def set_user_info(self, index: int, item_type: int, data: bytes) -> None:
        """Replace the other sub-item at a position."""
        checks.entry(self._info.others, index, "user information")
        self._info.others[index] = self._other(item_type, data)

    @staticmethod
    def _other(item_type: int, data: bytes) -> UnknownItem:
        return UnknownItem(checks.number("item_type", item_type, 0xFF), checks.octets("data", data))

    def add_user_info(self, item_type: int, data: bytes) -> None:
        """Append another user-information sub-item: its type and its bytes."""
        self._info.others.append(self._other(item_type, data))

    def del_user_info(self, index: int) -> None:
        """Remove the other sub-item at a position."""
        checks.entry(self._info.others, index, "user information")
        del self._info.others[index]

    # --- answering ------------------------------------------------------------------------------------------------

    def accept(
        self,
        supported: Supported,
        *,
        max_length: int = DEFAULT_MAXIMUM_LENGTH,
        roles: Mapping[str, tuple[int, int]] | None = None,
        async_operations: tuple[int, int] = (1, 1),
        extended: Callable[[str, bytes], bytes | None] | None = None,
        user_identity_response: bytes | None = None,
    ) -> LDicomAssociate:
        """The answer to this request by a policy: each context is accepted, or refused with the reason.

        Args:
            supported: abstract syntax to transfer syntaxes in the acceptor's order of preference, or a function of
                the abstract syntax that returns them (None: not supported). `("*",)` takes the requestor's first.
            max_length: longest P-DATA-TF this side can receive; 0 is no limit.
            roles: SCU and SCP role that the requestor may have at most, by abstract syntax; a proposal for any other
                is agreed to as it is.
            async_operations: most operations invoked and performed at once that are agreed to, where asked; 0 is no
                limit.
            extended: from SOP class UID and the requestor's bytes to the answering bytes, None for no answer; without
                it the bytes are handed through. None of 60 KB and more, roles included, are answered.
            user_identity_response: answer to a user identity that asks for one; without it, it is not answered.

        Raises:
            LDicomUsageError: this is not a request.
        """
        if not self._request:
            raise LDicomUsageError("only a request can be accepted", ErrorCode.PDU_TYPE)
        if not callable(supported) and not isinstance(supported, Mapping):
            raise LDicomUsageError(f"supported is {supported!r}: a mapping or a function is wanted")
        answer = LDicomAssociate(False)
        answer.default()
        answer.set_max_length(True, max_length)
        answer._called, answer._calling, answer._application = self._called, self._calling, self._application
        answer._contexts = answer_contexts(self._contexts, supported, roles or {}, extended)
        if self._info.asynchronous is not None:
            answer._info.asynchronous = clamp_window(self._info.asynchronous, async_operations)
        identity = self._info.identity
        if identity is not None and identity.response_requested and user_identity_response is not None:
            answer.set_user_identity_response(user_identity_response)
        return answer

    # --- the PDUs -------------------------------------------------------------------------------------------------

    @classmethod
    def from_request(cls, pdu: AssociateRequest) -> Self:
        """From a received A-ASSOCIATE-RQ."""
        self = cls(True)
        self._contexts = [
            PresentationContext(context.presentation_id, context.abstract_syntax, list(context.transfer_syntaxes))
            for context in pdu.contexts
        ]
        self._read(pdu)
        return self

    @classmethod
    def from_accept(cls, pdu: AssociateAccept, request: LDicomAssociate) -> Self:
        """From a received A-ASSOCIATE-AC; abstract syntaxes, which it does not repeat, come from the request.

        Contexts that were not offered, and transfer syntaxes that were not, are left out or refused: nothing could be
        sent on them.
        """
        self = cls(False)
        self._contexts = merge_answers(request.presentation_contexts, pdu.contexts)
        self._read(pdu)
        return self

    def _read(self, pdu: AssociateRequest | AssociateAccept) -> None:
        """What requests and accepts have in common."""
        self._version, self._application = pdu.version, pdu.application
        self._called, self._calling, self._head = pdu.called, pdu.calling, pdu.head
        for user_item in self._info.read(pdu.user_items):
            for context in self._with_abstract(user_item.sop_class_uid):
                if not (self._request or context.is_accepted):
                    continue  # a twin with other transfer syntaxes, of which nothing is said
                if isinstance(user_item, RoleSelection):
                    context.roles = (user_item.user, user_item.provider)
                else:
                    context.extended = user_item.data

    def to_request(self) -> AssociateRequest:
        """The A-ASSOCIATE-RQ.

        Raises:
            LDicomUsageError: a title, the application context or all contexts are missing, or a context offers no
                transfer syntax; the text names it.
        """
        if not self._request:
            raise LDicomUsageError("this association is an accept, not a request", ErrorCode.PDU_TYPE)
        self._complete()
        contexts = []
        for context in self._contexts:
            if not context.transfer_syntaxes:
                raise LDicomUsageError(f"presentation context {context.presentation_id} offers no transfer syntax")
            contexts.append(
                ProposedContext(context.presentation_id, context.abstract_syntax, context.transfer_syntaxes)
            )
        return AssociateRequest(
            self._called, self._calling, contexts, self._user_items(), self._application, self._version
        )

    def to_accept(self, request: LDicomAssociate) -> AssociateAccept:
        """The A-ASSOCIATE-AC that answers `request`, with a result for each of its contexts and its titles.

        Raises:
            LDicomUsageError: a context was not offered, or accepts a transfer syntax that was not.
        """
        if self._request:
            raise LDicomUsageError("this association is a request, not an accept", ErrorCode.PDU_TYPE)
        self.complete_accept(request)
        contexts = [
            AnsweredContext(context.presentation_id, context.result, next(iter(context.transfer_syntaxes), None))
            for context in self._contexts
        ]
        user_items = self._user_items()
        accept = AssociateAccept(self._called, self._calling, contexts, user_items, self._application, self._version)
        accept.head = request._head
        return accept

    def complete_accept(self, request: LDicomAssociate) -> None:
        """Fill in what the answer to `request` has to repeat: titles, application context, contexts not mentioned."""
        self._contexts = complete_answers(request.presentation_contexts, self._contexts)
        self._called, self._calling = request.get_called(), request.get_calling()
        self._application = self._application or request.get_application()
        asked, window = request._info.asynchronous, self._info.asynchronous
        self._info.asynchronous = None if asked is None else clamp_window(asked, window or (1, 1))

    def _complete(self) -> None:
        """A request has everything it needs."""
        for name, value in (("called AE title", self._called), ("calling AE title", self._calling)):
            if not value:
                raise LDicomUsageError(f"{name} is missing (PS3.8 Table 9-11)")
        if not self._application:
            raise LDicomUsageError("application context name is missing; default() sets it (PS3.8 9.3.2)")
        if not self._contexts:
            raise LDicomUsageError("there is no presentation context (PS3.8 9.3.2)")

    def _user_items(self) -> list[UserItem]:
        """Sub-items of the user information; roles and extended negotiation go by abstract syntax."""
        spoken_of = [context for context in self._contexts if self._request or context.is_accepted]
        by_syntax = {context.abstract_syntax: context for context in spoken_of}
        roles = [RoleSelection(uid, *context.roles) for uid, context in by_syntax.items() if context.roles is not None]
        extended = [
            ExtendedNegotiation(uid, context.extended)
            for uid, context in by_syntax.items()
            if context.extended is not None
        ]
        return self._info.items(roles, extended, self._request)

    # --- looking up -----------------------------------------------------------------------------------------------

    def _at(self, index: int) -> PresentationContext:
        return checks.entry(self._contexts, index, "presentation context")

    def _context(self, presentation_id: int) -> PresentationContext:
        for context in self._contexts:
            if context.presentation_id == presentation_id:
                return context
        raise LDicomUsageError(f"there is no presentation context {presentation_id}", ErrorCode.PDU_ID)

    def _with_abstract(self, uid: str) -> list[PresentationContext]:
        return [context for context in self._contexts if context.abstract_syntax == uid]

    def _with_abstract_of(self, presentation_id: int) -> list[PresentationContext]:
        return self._with_abstract(self._context(presentation_id).abstract_syntax)

    def _unused(self, presentation_id: int) -> None:
        """An ID that a new context may have."""
        if not (isinstance(presentation_id, int) and 1 <= presentation_id <= 255 and presentation_id & 1):
            raise LDicomUsageError(
                f"presentation_id is {presentation_id!r}: an odd number from 1 to 255 is wanted (PS3.8 9.3.2.2)",
                ErrorCode.PDU_ID,
            )
        if any(context.presentation_id == presentation_id for context in self._contexts):
            raise LDicomUsageError(f"presentation context {presentation_id} is there already", ErrorCode.PDU_ID)
