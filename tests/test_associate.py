"""`associate`: every member of `LDicomAssociate`, its rules of IDs and positions, and the PDUs it becomes."""

from __future__ import annotations

import inspect
import unittest
from typing import Any

from ldicomnet import pdu
from ldicomnet.associate import LDicomAssociate
from ldicomnet.errors import LDicomUsageError
from ldicomnet.items import (
    AnsweredContext,
    AsynchronousOperations,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    ImplementationClass,
    ImplementationVersion,
    MaximumLength,
    ProposedContext,
    RoleSelection,
    UnknownItem,
    UserIdentity,
    UserIdentityResponse,
)
from ldicomnet.negotiation import ANY_TRANSFER
from ldicomnet.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ldicomnet.pdu import AssociateAccept, AssociateRequest
from ldicomnet.status import AcceptResult, ErrorCode

VERIFICATION, CT, MR = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
APPLICATION = "1.2.840.10008.3.1.1.1"

# The members and their parameters, in their order.
MEMBERS = """
reset request
default
is_request
set_request request
get_version
set_version version
get_called
set_called name
get_calling
set_calling name
get_application
set_application uid
get_presentation_count
get_presentation index
set_presentation index presentation_id
add_presentation presentation_id result abstract_syntax
del_presentation presentation_id
get_result presentation_id
set_result presentation_id result
get_abstract presentation_id
set_abstract presentation_id uid
find_abstract uid
find_next_abstract presentation_id uid
get_abstract_count uid
get_transfer_count presentation_id
get_transfer presentation_id index
set_transfer presentation_id index uid
add_transfer presentation_id uid
del_transfer presentation_id index
is_role_select presentation_id
get_user_role presentation_id
get_provider_role presentation_id
set_role_select presentation_id enabled user provider
get_length_extended presentation_id
get_extended presentation_id
set_extended presentation_id data
is_max_length
get_max_length
set_max_length enabled length
is_implement_class
get_implement_class
set_implement_class enabled uid
is_implement_version
get_implement_version
set_implement_version enabled name
is_async_operations
get_invoked_operations
get_performed_operations
set_async_operations enabled invoked performed
get_user_info_count
get_type_user_info index
get_length_user_info index
get_data_user_info index
set_user_info index item_type data
add_user_info item_type data
del_user_info index
copy
set_user_identity identity_type primary secondary response_requested
get_user_identity
set_user_identity_response data
get_user_identity_response
set_common_extended sop_class_uid service_class_uid related
get_common_extended sop_class_uid
add_context abstract_syntax transfer_syntaxes
accept supported
"""


def request(*abstract_syntaxes: str) -> LDicomAssociate:
    """A request with these abstract syntaxes, in two transfer syntaxes."""
    made = LDicomAssociate(True)
    made.default()
    made.set_called("CALLED")
    made.set_calling("CALLING")
    for uid in abstract_syntaxes or (CT,):
        made.add_context(uid, [IMPLICIT, EXPLICIT])
    return made


def full_request() -> LDicomAssociate:
    """A request with everything that one can say."""
    made = request(CT, MR, CT)
    made.set_role_select(1, True, 0, 1)
    made.set_extended(3, b"\2\0\1")
    made.set_async_operations(True, 5, 0)
    made.set_user_identity(2, "user", b"pass", True)
    made.set_common_extended(CT, "1.2.840.10008.4.2", ["1.2.3", "1.2.4"])
    made.add_user_info(0x60, b"other")
    return made


def state(associate: LDicomAssociate) -> dict[str, Any]:
    """What all getters say."""
    single = [line for line in MEMBERS.split("\n") if line.startswith(("get_", "is_")) and " " not in line]
    found: dict[str, Any] = {name: getattr(associate, name)() for name in single}
    found["contexts"] = associate.presentation_contexts
    numbers = range(associate.get_user_info_count())
    found["others"] = [(associate.get_type_user_info(at), associate.get_data_user_info(at)) for at in numbers]
    return found


class Members(unittest.TestCase):
    """Names and the order of parameters."""

    def test_every_member(self) -> None:
        for name, *expected in map(str.split, MEMBERS.strip().splitlines()):
            with self.subTest(name):
                parameters = list(inspect.signature(getattr(LDicomAssociate, name)).parameters.values())[1:]
                self.assertEqual([parameter.name for parameter in parameters][: len(expected)], expected)
                for more in parameters[len(expected) :]:
                    self.assertIs(more.kind, inspect.Parameter.KEYWORD_ONLY)
                    self.assertIsNot(more.default, inspect.Parameter.empty)
                self.assertTrue(getattr(LDicomAssociate, name).__doc__)

    def test_defaults_of_the_user_identity(self) -> None:
        parameters = inspect.signature(LDicomAssociate.set_user_identity).parameters
        self.assertEqual((parameters["secondary"].default, parameters["response_requested"].default), (b"", False))

    def test_the_constructor(self) -> None:
        self.assertEqual(list(inspect.signature(LDicomAssociate).parameters), ["request"])
        self.assertEqual((LDicomAssociate(True).is_request(), LDicomAssociate(False).is_request()), (True, False))


class Kind(unittest.TestCase):
    """Making, filling in and emptying."""

    def test_empty(self) -> None:
        made = LDicomAssociate(True)
        self.assertEqual((made.get_called(), made.get_calling(), made.get_application()), ("", "", ""))
        self.assertEqual((made.get_version(), made.get_presentation_count(), made.get_user_info_count()), (1, 0, 0))
        self.assertFalse(made.is_max_length() or made.is_implement_class() or made.is_implement_version())
        self.assertFalse(made.is_async_operations())
        self.assertEqual((made.get_invoked_operations(), made.get_performed_operations()), (1, 1))
        self.assertIsNone(made.get_user_identity())
        self.assertIsNone(made.get_user_identity_response())

    def test_default(self) -> None:
        for kind in (True, False):
            made = LDicomAssociate(kind)
            made.default()
            self.assertEqual((made.get_application(), made.get_version()), (APPLICATION, 1))
            self.assertEqual((made.is_max_length(), made.get_max_length()), (True, 128 * 1024))
            self.assertEqual((made.is_implement_class(), made.get_implement_class()), (True, IMPLEMENTATION_CLASS_UID))
            self.assertEqual(made.get_implement_version(), IMPLEMENTATION_VERSION_NAME)
            self.assertTrue(made.is_implement_version())
            self.assertEqual(made.is_request(), kind)

    def test_reset(self) -> None:
        made = full_request()
        made.set_user_identity_response(b"x")
        made.reset(False)
        self.assertEqual(state(made), state(LDicomAssociate(False)))
        self.assertIsNone(made.get_common_extended(CT))

    def test_set_request_keeps_the_rest(self) -> None:
        made = full_request()
        before = state(made)
        made.set_request(False)
        self.assertFalse(made.is_request())
        self.assertEqual(state(made), before | {"is_request": False})

    def test_copy_is_independent(self) -> None:
        made = full_request()
        twin = made.copy()
        self.assertEqual(state(twin), state(made))
        self.assertEqual(twin.to_request(), made.to_request())
        before = state(made)
        twin.reset(True)
        made.copy().add_transfer(1, JPEG)
        made.copy().set_result(1, 3)
        self.assertEqual(state(made), before)

    def test_titles_and_versions(self) -> None:
        made = LDicomAssociate(True)
        for name in ("called", "calling"):
            getattr(made, "set_" + name)("  A B  ")
            self.assertEqual(getattr(made, "get_" + name)(), "A B")
        made.set_application("1.2.3")
        made.set_version(0xFFFF)
        self.assertEqual((made.get_application(), made.get_version()), ("1.2.3", 0xFFFF))


class Contexts(unittest.TestCase):
    """Presentation contexts go by ID, and by position where a position is asked for."""

    def made(self) -> LDicomAssociate:
        """Contexts 5 CT, 1 MR, 255 CT, 3 Verification."""
        made = LDicomAssociate(True)
        for presentation_id, uid in ((5, CT), (1, MR), (255, CT), (3, VERIFICATION)):
            made.add_presentation(presentation_id, 0, uid)
        return made

    def test_positions_and_ids(self) -> None:
        made = self.made()
        self.assertEqual([made.get_presentation(at) for at in range(made.get_presentation_count())], [5, 1, 255, 3])
        self.assertEqual([made.get_abstract(one) for one in (5, 1, 255, 3)], [CT, MR, CT, VERIFICATION])
        self.assertEqual([one.presentation_id for one in made.presentation_contexts], [5, 1, 255, 3])

    def test_renumbering(self) -> None:
        made = self.made()
        made.set_presentation(1, 7)
        made.set_presentation(0, 5)
        self.assertEqual([made.get_presentation(at) for at in range(4)], [5, 7, 255, 3])
        self.assertEqual(made.get_abstract(7), MR)

    def test_finding(self) -> None:
        made = self.made()
        rows = (
            (made.find_abstract(CT), 5),
            (made.find_abstract("1.9"), 0),
            (made.find_next_abstract(5, CT), 255),
            (made.find_next_abstract(255, CT), 0),
            (made.find_next_abstract(1, CT), 255),
            (made.find_next_abstract(5, MR), 1),
            (made.get_abstract_count(CT), 2),
            (made.get_abstract_count("1.9"), 0),
        )
        for found, expected in rows:
            self.assertEqual(found, expected)

    def test_removing(self) -> None:
        made = self.made()
        made.del_presentation(5)
        self.assertEqual((made.get_presentation_count(), made.find_abstract(CT)), (3, 255))
        made.add_presentation(5, 0, MR)
        self.assertEqual(made.get_presentation(3), 5)

    def test_results(self) -> None:
        made = self.made()
        self.assertIs(made.get_result(5), AcceptResult.SUCCESS)
        made.set_result(5, 4)
        made.set_result(1, 200)
        self.assertIs(made.get_result(5), AcceptResult.TRANSFER_SYNTAX)
        self.assertEqual((made.get_result(1), type(made.get_result(1))), (200, AcceptResult))

    def test_abstract_syntaxes(self) -> None:
        made = self.made()
        made.set_abstract(5, MR)
        self.assertEqual((made.get_abstract(5), made.get_abstract_count(MR)), (MR, 2))

    def test_transfer_syntaxes(self) -> None:
        made = self.made()
        for uid in (IMPLICIT, EXPLICIT, JPEG):
            made.add_transfer(5, uid)
        self.assertEqual((made.get_transfer_count(5), made.get_transfer_count(1)), (3, 0))
        made.set_transfer(5, 0, "1.9")
        made.del_transfer(5, 1)
        self.assertEqual([made.get_transfer(5, at) for at in range(2)], ["1.9", JPEG])

    def test_add_context(self) -> None:
        made = LDicomAssociate(True)
        made.add_presentation(3, 0, MR)
        self.assertEqual([made.add_context(CT, one) for one in ([IMPLICIT], (EXPLICIT, JPEG), JPEG)], [1, 5, 7])
        self.assertEqual([made.get_transfer_count(one) for one in (1, 5, 7)], [1, 2, 1])
        self.assertEqual((made.get_transfer(5, 1), made.get_transfer(7, 0)), (JPEG, JPEG))

    def test_add_context_keeps_no_hold_of_its_argument(self) -> None:
        made, syntaxes = LDicomAssociate(True), [IMPLICIT]
        made.add_context(CT, syntaxes)
        syntaxes.append(JPEG)
        self.assertEqual(made.get_transfer_count(1), 1)

    def test_128_contexts_and_no_more(self) -> None:
        made = request(*(f"1.2.{number}" for number in range(128)))
        self.assertEqual([made.get_presentation(at) for at in range(128)], list(range(1, 256, 2)))
        with self.assertRaises(LDicomUsageError) as caught:
            made.add_context("1.2.999", IMPLICIT)
        self.assertIn("128", str(caught.exception))
        self.assertEqual(made.get_presentation_count(), 128)
        decoded = pdu.decode(made.to_request().encode())
        self.assertEqual(decoded, made.to_request())
        self.assertEqual(len(made.accept({"1.2.5": ANY_TRANSFER}).to_accept(made).contexts), 128)


class PerAbstractSyntax(unittest.TestCase):
    """Role selection and extended negotiation are named by ID and go by abstract syntax (PS3.7 D.3.3.4, D.3.3.5)."""

    def test_roles(self) -> None:
        made = request(CT, MR, CT)
        self.assertEqual((made.is_role_select(1), made.get_user_role(1), made.get_provider_role(1)), (False, 1, 0))
        made.set_role_select(1, True, 0, 1)
        for presentation_id in (1, 5):
            self.assertTrue(made.is_role_select(presentation_id))
            self.assertEqual((made.get_user_role(presentation_id), made.get_provider_role(presentation_id)), (0, 1))
        self.assertFalse(made.is_role_select(3))
        made.set_role_select(5, False, 0, 0)
        self.assertFalse(made.is_role_select(1))

    def test_extended(self) -> None:
        made = request(CT, MR, CT)
        self.assertEqual((made.get_extended(1), made.get_length_extended(1)), (b"", 0))
        made.set_extended(5, bytearray(b"\1\2\3"))
        self.assertEqual((made.get_extended(1), made.get_length_extended(1)), (b"\1\2\3", 3))
        self.assertIs(type(made.get_extended(1)), bytes)
        self.assertEqual(made.get_extended(3), b"")
        made.set_extended(1, b"")
        self.assertEqual(made.get_extended(5), b"")

    def both(self, made: LDicomAssociate) -> None:
        """What the getters say of CT is on the wire."""
        found = made.to_request().user_items
        self.assertIn(RoleSelection(CT, 0, 1), found)
        self.assertIn(ExtendedNegotiation(CT, b"x"), found)
        for presentation_id in (made.find_abstract(CT), made.find_next_abstract(made.find_abstract(CT), CT)):
            self.assertEqual((made.is_role_select(presentation_id), made.get_user_role(presentation_id)), (True, 0))
            self.assertEqual(made.get_extended(presentation_id), b"x")

    def test_contexts_that_come_later_share_them(self) -> None:
        for late in ("add_presentation", "add_context", "set_abstract"):
            with self.subTest(late):
                made = request(CT)
                made.set_role_select(1, True, 0, 1)
                made.set_extended(1, b"x")
                if late == "add_presentation":
                    made.add_presentation(3, 0, CT)
                    made.add_transfer(3, JPEG)
                elif late == "add_context":
                    made.add_context(CT, JPEG)
                else:
                    made.add_context(MR, JPEG)
                    made.set_abstract(3, CT)
                self.both(made)

    def test_they_do_not_follow_a_context_to_another_abstract_syntax(self) -> None:
        made = request(CT, MR)
        made.set_role_select(1, True, 0, 1)
        made.set_abstract(1, MR)
        self.assertEqual(made.is_role_select(1), made.is_role_select(3))

    def test_the_abstract_syntax_that_it_has_changes_nothing(self) -> None:
        made = full_request()
        before = state(made)
        for presentation_id in (1, 3, 5):
            made.set_abstract(presentation_id, made.get_abstract(presentation_id))
        self.assertEqual(state(made), before)

    def test_each_is_said_once(self) -> None:
        made = full_request()
        kinds = [type(user_item) for user_item in made.to_request().user_items]
        self.assertEqual((kinds.count(RoleSelection), kinds.count(ExtendedNegotiation)), (1, 1))

    def test_common_extended(self) -> None:
        made = request(CT)
        self.assertIsNone(made.get_common_extended(CT))
        made.set_common_extended(CT, "1.2.840.10008.4.2")
        self.assertEqual(made.get_common_extended(CT), ("1.2.840.10008.4.2", ()))
        made.set_common_extended(CT, "1.2.840.10008.4.2", iter(["1.2.3"]))
        self.assertEqual(made.get_common_extended(CT), ("1.2.840.10008.4.2", ("1.2.3",)))


class UserInformation(unittest.TestCase):
    """Items that are there or not, and others by position."""

    def test_on_and_off(self) -> None:
        made = LDicomAssociate(True)
        rows: tuple[tuple[str, str, Any, Any], ...] = (
            ("max_length", "get_max_length", 8, 0),
            ("max_length", "get_max_length", 0, 0),
            ("max_length", "get_max_length", 0xFFFFFFFF, 0),
            ("implement_class", "get_implement_class", "1.2.3", ""),
            ("implement_version", "get_implement_version", "1234567890123456", ""),
        )
        for name, getter, value, absent in rows:
            with self.subTest(name, value=value):
                getattr(made, "set_" + name)(True, value)
                self.assertEqual((getattr(made, "is_" + name)(), getattr(made, getter)()), (True, value))
                getattr(made, "set_" + name)(False, value)
                self.assertEqual((getattr(made, "is_" + name)(), getattr(made, getter)()), (False, absent))

    def test_asynchronous_operations(self) -> None:
        made = LDicomAssociate(True)
        made.set_async_operations(True)
        self.assertEqual((made.get_invoked_operations(), made.get_performed_operations()), (1, 1))
        made.set_async_operations(True, 0, 0xFFFF)
        window = made.is_async_operations(), made.get_invoked_operations(), made.get_performed_operations()
        self.assertEqual(window, (True, 0, 0xFFFF))
        made.set_async_operations(False, 3, 4)
        window = made.is_async_operations(), made.get_invoked_operations(), made.get_performed_operations()
        self.assertEqual(window, (False, 1, 1))

    def test_others(self) -> None:
        made = LDicomAssociate(True)
        for item_type, data in ((0x60, b"a"), (0x61, b""), (0xFF, bytearray(b"ccc"))):
            made.add_user_info(item_type, data)
        made.set_user_info(1, 0x62, b"bb")
        made.del_user_info(0)
        self.assertEqual(made.get_user_info_count(), 2)
        found = [
            (made.get_type_user_info(at), made.get_length_user_info(at), made.get_data_user_info(at)) for at in (0, 1)
        ]
        self.assertEqual(found, [(0x62, 2, b"bb"), (0xFF, 3, b"ccc")])

    def test_user_identity(self) -> None:
        made = LDicomAssociate(True)
        made.set_user_identity(1, "n\u00e4me")
        self.assertEqual(made.get_user_identity(), UserIdentity(1, False, "n\u00e4me".encode(), b""))
        made.set_user_identity(2, b"user", "pass", True)
        self.assertEqual(made.get_user_identity(), UserIdentity(2, True, b"user", b"pass"))
        got = made.get_user_identity()
        assert got is not None
        got.primary = b"someone else"
        self.assertEqual(made.get_user_identity(), UserIdentity(2, True, b"user", b"pass"))
        made.set_user_identity_response(b"ok")
        self.assertEqual(made.get_user_identity_response(), b"ok")


class Misuse(unittest.TestCase):
    """One kind of error, which names what is wrong."""

    # The method, its arguments, and what the text names.
    ROWS: tuple[tuple[str, tuple[Any, ...], str], ...] = (
        ("set_called", (17 * "A",), "called AE title"),
        ("set_calling", (17 * "A",), "calling AE title"),
        *(("set_called", (wrong,), "called AE title") for wrong in ("", "  ", "A\\B", "A\nB", "\u00c4", None, 5)),
        ("set_application", ("1.02",), "application context name"),
        ("set_version", (-1,), "version"),
        ("set_version", (65536,), "version"),
        ("set_version", ("1",), "version"),
        *(("add_presentation", (wrong, 0, CT), "presentation_id") for wrong in (0, 2, 256, 257, -1, "1", None, 1.0)),
        ("add_presentation", (1, 0, CT), "context 1"),
        ("add_presentation", (9, 256, CT), "result"),
        ("add_presentation", (9, -1, CT), "result"),
        ("add_presentation", (9, 0, "CT"), "abstract"),
        ("set_presentation", (0, 2), "presentation_id"),
        ("set_presentation", (0, 3), "context 3"),
        *((name, (index, *rest), "index") for index in (-1, 2, "0", None) for name, rest in (
            ("get_presentation", ()), ("set_presentation", (9,)))),
        *((name, (99, *rest), "context 99") for name, rest in (
            ("del_presentation", ()), ("get_result", ()), ("set_result", (0,)), ("get_abstract", ()),
            ("set_abstract", (CT,)), ("find_next_abstract", (CT,)), ("get_transfer_count", ()), ("get_transfer", (0,)),
            ("set_transfer", (0, IMPLICIT)), ("add_transfer", (IMPLICIT,)), ("del_transfer", (0,)),
            ("is_role_select", ()), ("get_user_role", ()), ("get_provider_role", ()), ("set_role_select", (True, 1, 1)),
            ("get_length_extended", ()), ("get_extended", ()), ("set_extended", (b"",)))),
        ("set_abstract", (1, "x"), "abstract syntax"),
        ("set_result", (1, 256), "result"),
        *((name, (1, index, *rest), "index") for index in (-1, 2, None) for name, rest in (
            ("get_transfer", ()), ("set_transfer", (IMPLICIT,)), ("del_transfer", ()))),
        ("set_transfer", (1, 0, "x"), "transfer syntax"),
        ("add_transfer", (1, "1.2."), "transfer syntax"),
        ("set_role_select", (1, True, 2, 0), "user"),
        ("set_role_select", (1, True, 0, 2), "provider"),
        ("set_role_select", (1, True, 0, -1), "provider"),
        ("set_extended", (1, 5), "data"),
        ("set_extended", (1, "text"), "data"),
        ("set_extended", (1, None), "data"),
        ("set_extended", (1, bytes(0x10000)), "data"),
        ("set_max_length", (True, 7), "length"),
        ("set_max_length", (True, 1), "length"),
        ("set_max_length", (True, -1), "length"),
        ("set_max_length", (True, 1 << 32), "length"),
        ("set_implement_class", (True, "x"), "implementation class UID"),
        *(("set_implement_version", (True, wrong), "name") for wrong in ("", "A" * 17, "\u00c4", "A\n", None, 5)),
        ("set_async_operations", (True, -1, 1), "invoked"),
        ("set_async_operations", (True, 65536, 1), "invoked"),
        ("set_async_operations", (True, 1, 65536), "performed"),
        *((name, (index, *rest), "index") for index in (-1, 1, None) for name, rest in (
            ("get_type_user_info", ()), ("get_length_user_info", ()), ("get_data_user_info", ()),
            ("set_user_info", (0x60, b"")), ("del_user_info", ()))),
        ("add_user_info", (256, b""), "item_type"),
        ("add_user_info", (0x60, 5), "data"),
        ("add_user_info", (0x60, bytes(0x10000)), "data"),
        ("set_user_info", (0, -1, b""), "item_type"),
        ("set_user_identity", (256, b"x"), "identity_type"),
        ("set_user_identity", (1, None), "primary"),
        ("set_user_identity", (1, bytes(0x10000)), "primary"),
        ("set_user_identity", (1, b"x", b"y"), "secondary"),
        ("set_user_identity_response", (bytes(0x10000),), "data"),
        ("set_common_extended", ("x", CT), "sop_class_uid"),
        ("set_common_extended", (CT, "x"), "service_class_uid"),
        ("set_common_extended", (CT, CT, ["x"]), "related"),
        ("add_context", ("x", IMPLICIT), "abstract_syntax"),
        ("add_context", (CT, []), "transfer_syntaxes"),
        ("add_context", (CT, [IMPLICIT, "x"]), "transfer_syntaxes"),
    )  # fmt: skip

    def test_rows(self) -> None:
        for name, arguments, what in self.ROWS:
            with self.subTest(name, arguments=str(arguments)[:60]):
                made = request(CT, MR)
                made.add_user_info(0x60, b"x")
                before = state(made)
                with self.assertRaises(LDicomUsageError) as caught:
                    getattr(made, name)(*arguments)
                self.assertIn(what, str(caught.exception))
                self.assertEqual(state(made), before)

    def test_requests_that_are_not_complete(self) -> None:
        def without(*names: str) -> LDicomAssociate:
            made = LDicomAssociate(True)
            for name, value in (("set_called", "A"), ("set_calling", "B"), ("set_application", APPLICATION)):
                if name not in names:
                    getattr(made, name)(value)
            if "contexts" not in names:
                made.add_presentation(1, 0, CT)
            if "transfer" not in names and "contexts" not in names:
                made.add_transfer(1, IMPLICIT)
            return made

        self.assertEqual(without().to_request().called, "A")
        rows = (("set_called", "called AE title"), ("set_calling", "calling AE title"), ("transfer", "context 1"),
                ("set_application", "application context"), ("contexts", "presentation context"))  # fmt: skip
        for name, what in rows:
            with self.subTest(name), self.assertRaises(LDicomUsageError) as caught:
                without(name).to_request()
            self.assertIn(what, str(caught.exception))

    def test_the_wrong_kind(self) -> None:
        accept = request().accept({})
        for call in (accept.to_request, lambda: request().to_accept(request()), lambda: accept.accept({})):
            with self.assertRaises(LDicomUsageError) as caught:
                call()
            self.assertEqual(caught.exception.code, ErrorCode.PDU_TYPE)


class Requests(unittest.TestCase):
    """To an A-ASSOCIATE-RQ and back."""

    def test_the_pdu(self) -> None:
        contexts = [ProposedContext(number, uid, [IMPLICIT, EXPLICIT]) for number, uid in ((1, CT), (3, MR), (5, CT))]
        items = [
            MaximumLength(128 * 1024),
            ImplementationClass(IMPLEMENTATION_CLASS_UID),
            AsynchronousOperations(5, 0),
            RoleSelection(CT, 0, 1),
            ImplementationVersion(IMPLEMENTATION_VERSION_NAME),
            ExtendedNegotiation(MR, b"\2\0\1"),
            CommonExtendedNegotiation(CT, "1.2.840.10008.4.2", ("1.2.3", "1.2.4")),
            UserIdentity(2, True, b"user", b"pass"),
            UnknownItem(0x60, b"other"),
        ]
        self.assertEqual(full_request().to_request(), AssociateRequest("CALLED", "CALLING", contexts, items))

    def test_there_and_back(self) -> None:
        for made in (request(), full_request()):
            sent = made.to_request()
            received = pdu.decode(sent.encode())
            assert isinstance(received, AssociateRequest)
            again = LDicomAssociate.from_request(received)
            self.assertEqual(state(again), state(made))
            self.assertEqual(again.get_common_extended(CT), made.get_common_extended(CT))
            self.assertEqual(again.to_request(), sent)
            self.assertTrue(again.is_request())

    def test_an_accepts_items_stay_out(self) -> None:
        made = request()
        made.set_user_identity_response(b"no")
        self.assertNotIn(UserIdentityResponse, [type(one) for one in made.to_request().user_items])

    def test_what_others_send(self) -> None:
        """Values that we would not set ourselves are shown as they came."""
        contexts = [ProposedContext(1, "not a UID", ["1.02"])]
        received = AssociateRequest("", "x" * 16, contexts, [MaximumLength(3)], "1.9", 7)
        made = LDicomAssociate.from_request(received)
        self.assertEqual((made.get_called(), made.get_application(), made.get_version()), ("", "1.9", 7))
        self.assertEqual((made.get_abstract(1), made.get_transfer(1, 0)), ("not a UID", "1.02"))
        self.assertEqual((made.is_max_length(), made.get_max_length()), (True, 3))
        self.assertFalse(made.is_implement_class())


class Accepts(unittest.TestCase):
    """`accept`, to an A-ASSOCIATE-AC, and what the requestor reads of it."""

    def test_policy(self) -> None:
        asked = request(CT, MR, VERIFICATION)
        answer = asked.accept({CT: [EXPLICIT, IMPLICIT], MR: [JPEG]})
        self.assertFalse(answer.is_request())
        self.assertEqual([answer.get_presentation(at) for at in range(3)], [1, 3, 5])
        self.assertEqual([answer.get_result(one) for one in (1, 3, 5)], [0, 4, 3])
        self.assertEqual([answer.get_abstract(one) for one in (1, 3, 5)], [CT, MR, VERIFICATION])
        self.assertEqual((answer.get_transfer_count(1), answer.get_transfer(1, 0)), (1, EXPLICIT))
        self.assertEqual((answer.get_called(), answer.get_calling()), ("CALLED", "CALLING"))
        self.assertEqual(answer.get_application(), APPLICATION)
        self.assertEqual(answer.get_max_length(), 128 * 1024)
        self.assertEqual(answer.get_implement_class(), IMPLEMENTATION_CLASS_UID)

    def test_settings(self) -> None:
        asked = full_request()
        answer = asked.accept(
            lambda uid: ANY_TRANSFER,
            max_length=0,
            roles={CT: (1, 0)},
            async_operations=(2, 3),
            extended=lambda uid, data: data[:2],
            user_identity_response=b"welcome",
        )
        self.assertEqual((answer.is_max_length(), answer.get_max_length()), (True, 0))
        self.assertEqual((answer.is_role_select(1), answer.get_user_role(1), answer.get_provider_role(1)), (True, 0, 0))
        self.assertEqual((answer.get_invoked_operations(), answer.get_performed_operations()), (2, 3))
        self.assertEqual(answer.get_extended(3), b"\2\0")
        self.assertEqual(answer.get_user_identity_response(), b"welcome")

    def test_what_was_not_asked_is_not_answered(self) -> None:
        answer = request(CT).accept(
            {CT: ANY_TRANSFER}, roles={CT: (1, 1)}, async_operations=(5, 5), user_identity_response=b"hello"
        )
        self.assertFalse(answer.is_async_operations() or answer.is_role_select(1))
        self.assertIsNone(answer.get_user_identity_response())
        silent = request(CT)
        silent.set_user_identity(1, "x", response_requested=False)
        self.assertIsNone(silent.accept({}, user_identity_response=b"hello").get_user_identity_response())

    def test_what_does_not_fit_into_an_answer_is_not_answered(self) -> None:
        """A request may say more of its contexts than an answer, which says something of its own, has room for."""
        asked = full_request()
        asked.set_role_select(1, True, 1, 1)
        for size, said in ((59_000, True), (65_400, False), (65_490, False)):
            asked.set_extended(3, bytes(size))
            with self.subTest(size=size):
                answer = asked.accept(lambda uid: ANY_TRANSFER, user_identity_response=b"welcome")
                self.assertEqual((answer.get_length_extended(3), answer.is_role_select(1)), (size * said, said))
                self.assertIsInstance(pdu.decode(answer.to_accept(asked).encode()), AssociateAccept)

    def test_roles_that_do_not_fit_into_an_answer(self) -> None:
        """An abstract syntax need not be a UID to be offered."""
        names = [f"{number:0902}" for number in range(72)]
        contexts = [ProposedContext(2 * at + 1, name, [IMPLICIT]) for at, name in enumerate(names)]
        asked = LDicomAssociate.from_request(
            AssociateRequest("A", "B", contexts, [RoleSelection(name, 1, 1) for name in names])
        )
        answer = asked.accept(lambda uid: ANY_TRANSFER)
        self.assertIsInstance(pdu.decode(answer.to_accept(asked).encode()), AssociateAccept)
        self.assertFalse(answer.is_role_select(1))

    def test_asynchronous_operations_are_answered_where_asked(self) -> None:
        asked = full_request()
        self.assertEqual((asked.accept({}).get_invoked_operations(), asked.accept({}).is_async_operations()), (1, True))

    def test_an_accept_made_by_hand_answers_them_too(self) -> None:
        """`default()`: an accept also answers asynchronous operations when asked."""
        for asked, count in ((full_request(), 1), (request(), 0)):
            answer = LDicomAssociate(False)
            answer.default()
            sent = answer.to_accept(asked).user_items
            windows = [one for one in sent if isinstance(one, AsynchronousOperations)]
            self.assertEqual(windows, [AsynchronousOperations(1, 1)] * count)

    def test_the_pdu(self) -> None:
        asked = full_request()
        sent = asked.accept({CT: [EXPLICIT]}, user_identity_response=b"ok").to_accept(asked)
        contexts = [AnsweredContext(1, 0, EXPLICIT), AnsweredContext(3, 3, IMPLICIT), AnsweredContext(5, 0, EXPLICIT)]
        items = [
            MaximumLength(128 * 1024),
            ImplementationClass(IMPLEMENTATION_CLASS_UID),
            AsynchronousOperations(1, 1),
            RoleSelection(CT, 0, 1),
            ImplementationVersion(IMPLEMENTATION_VERSION_NAME),
            UserIdentityResponse(b"ok"),
        ]
        self.assertEqual(sent, AssociateAccept("CALLED", "CALLING", contexts, items))

    def test_there_and_back(self) -> None:
        asked = full_request()
        answer = asked.accept({CT: [EXPLICIT], MR: ANY_TRANSFER}, user_identity_response=b"ok")
        received = pdu.decode(answer.to_accept(asked).encode())
        assert isinstance(received, AssociateAccept)
        again = LDicomAssociate.from_accept(received, asked)
        self.assertEqual(state(again), state(answer))
        self.assertEqual(again.to_accept(asked), answer.to_accept(asked))

    def test_by_hand(self) -> None:
        """The recipe of the original: reset to accept, add contexts, send."""
        asked = request(CT, MR)
        answer = LDicomAssociate(False)
        answer.add_presentation(3, AcceptResult.SUCCESS, MR)
        answer.add_transfer(3, EXPLICIT)
        sent = answer.to_accept(asked)
        contexts = [AnsweredContext(1, 2, IMPLICIT), AnsweredContext(3, 0, EXPLICIT)]
        self.assertEqual(sent, AssociateAccept("CALLED", "CALLING", contexts, [], APPLICATION))

    def test_contexts_that_were_not_offered(self) -> None:
        answer = LDicomAssociate(False)
        answer.add_presentation(9, 0, CT)
        answer.add_transfer(9, IMPLICIT)
        with self.assertRaises(LDicomUsageError) as caught:
            answer.to_accept(request(CT))
        self.assertIn("context 9", str(caught.exception))

    def test_an_offer_without_transfer_syntax(self) -> None:
        asked = request(CT)
        asked.add_presentation(3, 0, MR)
        with self.assertRaises(LDicomUsageError) as caught:
            asked.accept({CT: ANY_TRANSFER, MR: ANY_TRANSFER})
        self.assertIn("context 3", str(caught.exception))

    def test_what_a_requestor_reads_of_a_careless_acceptor(self) -> None:
        asked = request(CT, MR)
        received = AssociateAccept(
            "OTHER", "", [AnsweredContext(7, 0, IMPLICIT), AnsweredContext(3, 0, JPEG), AnsweredContext(1, 0, IMPLICIT)]
        )
        found = LDicomAssociate.from_accept(received, asked)
        self.assertEqual([found.get_presentation(at) for at in range(found.get_presentation_count())], [3, 1])
        self.assertNotEqual(found.get_result(3), 0)
        self.assertEqual((found.get_result(1), found.get_abstract(1)), (0, CT))
        self.assertFalse(found.is_max_length())


if __name__ == "__main__":
    unittest.main()
