"""The user information of an association as one record: from its sub-items and back, PS3.7 Annex D.3.3.

Role selection and extended negotiation, which belong to presentation contexts, are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .items import (
    AsynchronousOperations,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    ImplementationClass,
    ImplementationVersion,
    MaximumLength,
    RoleSelection,
    UnknownItem,
    UserIdentity,
    UserIdentityResponse,
    UserItem,
)


@dataclass(slots=True)
class UserInformation:
    """What one side says of itself; None for what it does not say."""

    max_length: int | None = None
    implement_class: str | None = None
    implement_version: str | None = None
    asynchronous: tuple[int, int] | None = None
    identity: UserIdentity | None = None
    identity_response: bytes | None = None
    common_extended: dict[str, CommonExtendedNegotiation] = field(default_factory=dict)
    others: list[UnknownItem] = field(default_factory=list)

    def copy(self) -> UserInformation:
        """An independent copy; the items in it never change."""
        return UserInformation(
            self.max_length,
            self.implement_class,
            self.implement_version,
            self.asynchronous,
            self.identity,
            self.identity_response,
            dict(self.common_extended),
            list(self.others),
        )

    def read(self, user_items: Iterable[UserItem]) -> list[RoleSelection | ExtendedNegotiation]:
        """Take the sub-items in, and return those of the presentation contexts."""
        return [left for user_item in user_items if (left := self._read_item(user_item)) is not None]

    def _read_item(self, user_item: UserItem) -> RoleSelection | ExtendedNegotiation | None:
        match user_item:
            case MaximumLength(length):
                self.max_length = length
            case ImplementationClass(uid):
                self.implement_class = uid
            case ImplementationVersion(name):
                self.implement_version = name
            case AsynchronousOperations(invoked, performed):
                self.asynchronous = (invoked, performed)
            case CommonExtendedNegotiation(uid):
                self.common_extended[uid] = user_item
            case UserIdentity():
                self.identity = user_item
            case UserIdentityResponse(response):
                self.identity_response = response
            case UnknownItem():
                self.others.append(user_item)
            case RoleSelection() | ExtendedNegotiation():
                return user_item
        return None

    def items(
        self, roles: list[RoleSelection], extended: list[ExtendedNegotiation], is_request: bool
    ) -> list[UserItem]:
        """All sub-items, in the order of PS3.7 Annex D.3.3."""
        items: list[UserItem] = []
        if self.max_length is not None:
            items.append(MaximumLength(self.max_length))
        if self.implement_class is not None:
            items.append(ImplementationClass(self.implement_class))
        if self.asynchronous is not None:
            items.append(AsynchronousOperations(*self.asynchronous))
        items += roles
        if self.implement_version is not None:
            items.append(ImplementationVersion(self.implement_version))
        items += extended
        if is_request:
            items += self.common_extended.values()
            items += [self.identity] if self.identity else []
        elif self.identity_response is not None:
            items.append(UserIdentityResponse(self.identity_response))
        return items + list(self.others)
