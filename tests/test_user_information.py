"""`user_information`: the sub-items of one side as one record, and back."""

from __future__ import annotations

import unittest

from ldicomnet.items import (
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
from ldicomnet.user_information import UserInformation

ROLE, EXTENDED = RoleSelection("1.2", 0, 1), ExtendedNegotiation("1.3", b"x")
COMMON = [CommonExtendedNegotiation("1.5", "1.6"), CommonExtendedNegotiation("1.4", "1.6", ("1.7",))]
OTHERS = [UnknownItem(0x99, b"one"), UnknownItem(0x60, b"two")]
BOTH: list[UserItem] = [MaximumLength(0), ImplementationClass("1.9"), AsynchronousOperations(2, 3), ROLE]
BOTH += [ImplementationVersion("V"), EXTENDED]
# In the order of PS3.7 Annex D.3.3.
REQUEST = [*BOTH, *COMMON, UserIdentity(1, True, b"me"), *OTHERS]
ACCEPT = [*BOTH, UserIdentityResponse(b""), *OTHERS]


class Record(unittest.TestCase):
    """`read` and `items`."""

    def test_both_ways(self) -> None:
        for is_request, items in ((True, REQUEST), (False, ACCEPT), (True, []), (False, [])):
            with self.subTest(is_request=is_request, count=len(items)):
                information = UserInformation()
                of_contexts = information.read(items)
                self.assertEqual(of_contexts, [ROLE, EXTENDED] if items else [])
                roles, extended = ([ROLE], [EXTENDED]) if items else ([], [])
                self.assertEqual(information.items(roles, extended, is_request), items)

    def test_any_order(self) -> None:
        information = UserInformation()
        information.read(REQUEST[::-1])
        sent = information.items([ROLE], [EXTENDED], True)
        self.assertEqual([one for one in sent if one not in COMMON + OTHERS], [*BOTH, UserIdentity(1, True, b"me")])
        self.assertEqual(sent[6:8], COMMON[::-1])
        self.assertEqual(sent[-2:], OTHERS[::-1])

    def test_each_side_says_its_own_only(self) -> None:
        information = UserInformation()
        information.read([UserIdentity(1, True, b"me"), UserIdentityResponse(b"you"), *COMMON])
        self.assertEqual(information.items([], [], True), [*COMMON, UserIdentity(1, True, b"me")])
        self.assertEqual(information.items([], [], False), [UserIdentityResponse(b"you")])

    def test_what_was_given_is_not_held(self) -> None:
        information = UserInformation()
        information.read(OTHERS)
        information.items([], [], True).clear()
        self.assertEqual(information.items([], [], True), OTHERS)


if __name__ == "__main__":
    unittest.main()
