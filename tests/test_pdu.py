"""`pdu`: the seven protocol data units as records and as bytes, ours and pynetdicom's."""

from __future__ import annotations

import tracemalloc
import unittest
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ldicomnet import LDicomAssociate, Limits, pdu
from ldicomnet.errors import LDicomProtocolError
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
from ldicomnet.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    DataValue,
    Pdu,
    ReleaseRequest,
    ReleaseResponse,
    decode,
)
from ldicomnet.status import AbortReason, ErrorCode

from .spoiling import flips, need, replaced, truncations

# Pieces of the association PDUs, PS3.8 Tables 9-11, 9-12, 9-17 and D.1-1.
CALLED = "43414C4C4544 20202020202020202020"
CALLING = "43414C4C494E47 202020202020202020"
FIXED = "0001 0000" + CALLED + CALLING + "00" * 32
APPLICATION = "10 00 0015" + b"1.2.840.10008.3.1.1.1".hex()
CONTEXT = "20 00 0012 01 00 00 00 30 00 0003 312E32 40 00 0003 312E33"
ANSWER = "21 00 000B 01 00 00 00 40 00 0003 312E33"
MAXIMUM = "51 00 0004 00004000"
USER = "50 00 0008" + MAXIMUM
PROPOSED = ProposedContext(1, "1.2", ["1.3"])
IDS = range(1, 256, 2)

# PS3.8 Tables 9-11 to 9-26 and Annex E.2.
VECTORS: tuple[tuple[Pdu, str], ...] = (
    (
        AssociateRequest("CALLED", "CALLING", [PROPOSED], [MaximumLength(16384)]),
        "01 00 0000007F" + FIXED + APPLICATION + CONTEXT + USER,
    ),
    (
        AssociateRequest("", "1234567890123456", [PROPOSED], application="1.9", version=0xFF03),
        "01 00 00000065 FF03 0000" + "20" * 16 + b"1234567890123456".hex() + "00" * 32 + "10 00 0003 312E39" + CONTEXT
        + "50 00 0000",
    ),
    (
        AssociateAccept("CALLED", "CALLING", [AnsweredContext(1, 0, "1.3")], [MaximumLength(16384)]),
        "02 00 00000078" + FIXED + APPLICATION + ANSWER + USER,
    ),
    (AssociateAccept("CALLED", "CALLING"), "02 00 00000061" + FIXED + APPLICATION + "50 00 0000"),
    (AssociateReject(1, 2, 3), "03 00 00000004 00 01 02 03"),
    (AssociateReject(255, 0, 99), "03 00 00000004 00 FF 00 63"),
    (DataTransfer([]), "04 00 00000000"),
    (DataTransfer([DataValue(1, True, True, b"\1\2")]), "04 00 00000008 00000004 01 03 0102"),
    (
        DataTransfer([DataValue(255, True, False, b"\1\2"), DataValue(3, False, True, b"")]),
        "04 00 0000000E 00000004 FF 01 0102 00000002 03 02",
    ),
    (DataTransfer([DataValue(1, False, False, b"\7")]), "04 00 00000007 00000003 01 00 07"),
    (ReleaseRequest(), "05 00 00000004 00000000"),
    (ReleaseResponse(), "06 00 00000004 00000000"),
    (Abort(0, 0), "07 00 00000004 00 00 00 00"),
    (Abort(2, 6), "07 00 00000004 00 00 02 06"),
)

# What is wrong, the PDU type, and its content.
MALFORMED = (
    ("nothing", 1, ""),
    ("no items", 1, FIXED),
    ("no application context", 1, FIXED + CONTEXT + USER),
    ("two application contexts", 1, FIXED + APPLICATION + APPLICATION + CONTEXT + USER),
    ("no user information", 1, FIXED + APPLICATION + CONTEXT),
    ("two of user information", 1, FIXED + APPLICATION + CONTEXT + USER + USER),
    ("an ID twice", 1, FIXED + APPLICATION + CONTEXT + CONTEXT + USER),
    ("an item that runs over", 1, FIXED + APPLICATION + CONTEXT + "50 00 0009" + MAXIMUM),
    ("a sub-item that runs over", 1, FIXED + APPLICATION + CONTEXT + "50 00 0008 51 00 0005 00004000"),
    ("half an item header", 1, FIXED + APPLICATION + CONTEXT + USER + "99 00"),
    ("an answer without application context", 2, FIXED + ANSWER + USER),
    ("an answer without user information", 2, FIXED + APPLICATION + ANSWER),
    ("an answer to an ID twice", 2, FIXED + APPLICATION + ANSWER + ANSWER + USER),
    ("a reject of 3 bytes", 3, "000102"),
    ("a reject of 5 bytes", 3, "0001020300"),
    ("a value of length 0", 4, "00000000"),
    ("a value of length 1", 4, "00000001 01"),
    ("a value that runs over", 4, "00000005 01 03 0102"),
    ("half a value header", 4, "00000004 01 03 0102 000000"),
    ("a release request of nothing", 5, ""),
    ("a release response of 5 bytes", 6, "0000000000"),
    ("an abort of 3 bytes", 7, "000000"),
)


class Codec(unittest.TestCase):
    """Records and bytes, both ways."""

    def test_rows(self) -> None:
        for record, text in VECTORS:
            with self.subTest(record=record):
                data = bytes.fromhex(text)
                self.assertEqual(record.encode(), data)
                self.assertEqual(decode(data), record)
                self.assertEqual(decode(memoryview(data)), record)
                self.assertEqual(record.pdu_type, data[0])

    def test_cut_at_every_byte(self) -> None:
        for record, text in VECTORS:
            data = bytes.fromhex(text)
            for short in truncations(data):
                with self.subTest(record=record, length=len(short)), self.assertRaises(LDicomProtocolError):
                    decode(short)

    def test_cut_at_every_byte_with_a_length_that_fits(self) -> None:
        for record, text in VECTORS:
            for short in truncations(bytes.fromhex(text)[6:]):
                if isinstance(record, DataTransfer) and len(short) in (0, 8):  # one value less
                    continue
                with self.subTest(record=record, length=len(short)), self.assertRaises(LDicomProtocolError):
                    pdu.decode_content(record.pdu_type, short)

    def test_any_wrong_bit_raises_one_error_or_none(self) -> None:
        for _record, text in VECTORS:
            for spoiled in flips(bytes.fromhex(text)):
                with self.subTest(data=spoiled.hex()), suppress(LDicomProtocolError):
                    decode(spoiled).encode()

    def test_any_other_length_in_the_header(self) -> None:
        for record, text in VECTORS:
            data = bytes.fromhex(text)
            for length in (0, 1, len(data) - 7, len(data) - 5, len(data), 0x10000, 0xFFFFFFFF):
                if 0 <= length != len(data) - 6:
                    with self.subTest(record=record, length=length), self.assertRaises(LDicomProtocolError) as caught:
                        decode(replaced(data, 2, length.to_bytes(4, "big")))
                    self.assertEqual(caught.exception.code, ErrorCode.PDU_LENGTH)

    def test_types_that_are_not_known(self) -> None:
        for pdu_type in (0, *range(8, 256)):
            with self.assertRaises(LDicomProtocolError) as caught:
                decode(bytes((pdu_type, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
            self.assertEqual(caught.exception.code, ErrorCode.PDU_TYPE)
            self.assertEqual(caught.exception.reason, AbortReason.UNRECOGNIZED)

    def test_malformed(self) -> None:
        for name, pdu_type, text in MALFORMED:
            with self.subTest(name), self.assertRaises(LDicomProtocolError):
                pdu.decode_content(pdu_type, bytes.fromhex(text))

    def test_the_pieces_of_malformed_are_well_formed(self) -> None:
        """The rows of `MALFORMED` fail for what they say and nothing else."""
        for pdu_type, context in ((1, CONTEXT), (2, ANSWER)):
            pdu.decode_content(pdu_type, bytes.fromhex(FIXED + APPLICATION + context + USER))


class Tolerance(unittest.TestCase):
    """What PS3.8 Section 9.3 says is not to be tested, and kept or ignored."""

    def test_reserved_bytes(self) -> None:
        rows: tuple[tuple[Pdu, str], ...] = (
            (AssociateReject(1, 2, 3), "03 FF 00000004 FF 01 02 03"),
            (ReleaseRequest(), "05 FF 00000004 FFFFFFFF"),
            (ReleaseResponse(), "06 FF 00000004 FFFFFFFF"),
            (Abort(2, 1), "07 FF 00000004 FF FF 02 01"),
            (DataTransfer([]), "04 FF 00000000"),
            (
                AssociateRequest("CALLED", "CALLING", [PROPOSED]),
                "01 FF 00000077 0001 FFFF" + CALLED + CALLING + "FF" * 32 + APPLICATION[:2] + "FF" + APPLICATION[5:]
                + CONTEXT.replace(" 00 ", " FF ") + "50 FF 0000",
            ),
        )
        for record, text in rows:
            with self.subTest(record=record):
                self.assertEqual(decode(bytes.fromhex(text)), record)

    def test_bits_2_to_7_of_the_message_control_header(self) -> None:
        for control in range(256):
            value = DataValue.decode(bytes((1, control)))
            self.assertEqual((value.is_command, value.is_last), (bool(control & 1), bool(control & 2)))

    def test_titles_without_the_spaces_around(self) -> None:
        data = VECTORS[0][0].encode()
        for padded, title in ((b"  A B           ", "A B"), (b"AB\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "AB"), (b" " * 16, "")):
            sent = replaced(replaced(data, 10, padded), 26, padded)
            decoded = decode(sent)
            assert isinstance(decoded, AssociateRequest)
            self.assertEqual((decoded.called, decoded.calling), (title, title))
            self.assertEqual(decoded.encode(), sent)  # PS3.8 Table 9-17: an answer repeats the bytes

    def test_titles_too_long_for_their_field_are_cut(self) -> None:
        sent = AssociateRequest("1234567890123456789", "CALLING", [PROPOSED]).encode()
        self.assertEqual(sent[10:42], b"1234567890123456CALLING         ")
        self.assertIsInstance(decode(sent), AssociateRequest)

    def test_items_in_any_order(self) -> None:
        expected = VECTORS[0][0]
        for content in (USER + CONTEXT + APPLICATION, CONTEXT + APPLICATION + USER):
            self.assertEqual(pdu.decode_content(1, bytes.fromhex(FIXED + content)), expected)

    def test_unknown_items_are_ignored(self) -> None:
        unknown = "99 00 0003 010203"
        for pdu_type, context in ((1, CONTEXT), (2, ANSWER)):
            plain = pdu.decode_content(pdu_type, bytes.fromhex(FIXED + APPLICATION + context + USER))
            for content in (unknown + APPLICATION + context + USER, APPLICATION + context + unknown + USER + unknown):
                with self.subTest(content):
                    decoded: Any = pdu.decode_content(pdu_type, bytes.fromhex(FIXED + content))
                    for name in ("called", "calling", "contexts", "user_items", "application", "version"):
                        self.assertEqual(getattr(decoded, name), getattr(plain, name))

    def test_unknown_items_are_kept(self) -> None:
        unknown = "99 00 0003 010203"
        inside = "20 00 0019 01 00 00 00 30 00 0003 312E32 40 00 0003 312E33" + unknown
        for name, content in (
            ("sub-item of user information", APPLICATION + CONTEXT + "50 00 000F" + MAXIMUM + unknown),
            ("item of the PDU", APPLICATION + CONTEXT + USER + unknown),
            ("sub-item of a presentation context", APPLICATION + inside + USER),
        ):
            with self.subTest(name):
                data = bytes.fromhex(FIXED + content)
                self.assertEqual(pdu.decode_content(1, data).encode()[6:], data)

    def test_no_presentation_context_is_no_error_here(self) -> None:
        decoded = pdu.decode_content(1, bytes.fromhex(FIXED + APPLICATION + USER))
        self.assertEqual(decoded, AssociateRequest("CALLED", "CALLING", [], [MaximumLength(16384)]))

    def test_128_contexts(self) -> None:
        contexts = [ProposedContext(number, "1.2", ["1.3", "1.4"]) for number in range(1, 256, 2)]
        request = AssociateRequest("A", "B", contexts, [UnknownItem(0x99, bytes(1000))])
        self.assertEqual(decode(request.encode()), request)

    def test_more_items_than_anybody_has(self) -> None:
        """They are refused before they take memory; the most that is legal is far below."""
        syntaxes = [f"1.2.{number}" for number in range(127)]
        contexts = [ProposedContext(number, "1.2", syntaxes) for number in range(1, 256, 2)]
        unknown = UnknownItem(0x99, b"")
        contexts[0] = ProposedContext(1, "1.2", ["1.2"], [unknown] * 126)
        contexts[-8:] = [
            ProposedContext(at, "1.2", [f"1.{at}.{each}" for each in range(96)]) for at in range(241, 256, 2)
        ]
        related = CommonExtendedNegotiation("1.2", "1.3", ("1.4",) * 512)
        most = AssociateRequest(
            "A", "B", contexts, [related] * 2 + [unknown] * 1022, others=[unknown] * (1024 - 2 - 128)
        )
        self.assertEqual(decode(most.encode()), most)
        one_more = ProposedContext(253, "1.2", [f"1.253.{each}" for each in range(99)])
        longer = CommonExtendedNegotiation("1.2", "1.3", ("1.4",) * 513)
        for name, request in (
            ("items", replace(most, others=[*most.others, unknown])),
            ("sub-items", replace(most, user_items=[*most.user_items, unknown])),
            ("syntaxes", replace(most, contexts=[*contexts[1:], ProposedContext(1, "1.2", [*syntaxes, "1.3"])])),
            ("different syntaxes", replace(most, contexts=[*contexts[:-2], one_more, contexts[-1]])),
            ("unknown in contexts", replace(most, contexts=[
                replace(contexts[0], others=[]), *(replace(each, others=[unknown] * 20) for each in contexts[1:])
            ])),
            ("related classes", replace(most, user_items=[related, longer])),
            ("related classes of one", replace(most, user_items=[replace(related, related=("1.4",) * 1025)])),
        ):  # fmt: skip
            with self.subTest(name), self.assertRaisesRegex(LDicomProtocolError, "more than"):
                decode(request.encode())

    def test_all_transfer_syntaxes_of_the_standard_in_each_context(self) -> None:
        """The largest request that means something is not too large."""
        syntaxes = [f"1.2.840.10008.1.2.4.{number}" for number in range(100, 159)]
        contexts = [ProposedContext(number, f"1.2.840.10008.5.1.4.1.1.{number}", syntaxes) for number in IDS]
        request = AssociateRequest("A", "B", contexts, [UnknownItem(0x99, bytes(32 << 10))])
        self.assertEqual(decode(request.encode()), request)
        self.assertLess(len(request.encode()), Limits().association_pdu)

    def test_a_request_as_long_as_it_may_be_takes_little_memory(self) -> None:
        """Whatever it says: with the buffers that it came in, below 1 MB; the smallest of each kind are the worst."""
        most = Limits().association_pdu
        tiny = [f"{number:04}" for number in range(10_000)]
        few = [UnknownItem(0x99, bytes((number,))) for number in range(99)]
        roles = [RoleSelection(uid, 0, 1) for uid in tiny]
        offered = (
            [(tiny[:127], [])] * 128,
            [(tiny[number * 8 : number * 8 + 8], []) for number in IDS],
            [(tiny[number * 60 % 9000 :][:60], []) for number in IDS],
            [(["1" * 180] * 10, [])] * 128,
            [(["1"], few)] * 128,
            [(["1"], few[:8])] * 128,
        )
        requests = (
            *(
                AssociateRequest("A", "B", [
                    ProposedContext(number, "1.2", *offer) for number, offer in zip(IDS, offers, strict=True)
                ])
                for offers in offered
            ),
            AssociateRequest("A", "B", [ProposedContext(1, "1.2", ["1"])], roles[:1000]),
            AssociateRequest("A", "B", [ProposedContext(1, "1.2", ["1"])], roles[:5000]),
            AssociateRequest("A", "B", [PROPOSED], [CommonExtendedNegotiation("1.2", "1.3", tuple(tiny[:9000]))]),
            AssociateRequest("A", "B", [PROPOSED], [CommonExtendedNegotiation("1.2", "1.3", tuple(tiny[:50]))] * 150),
            AssociateRequest("A", "B", [PROPOSED], others=[UnknownItem(0x99, bytes(245))] * 1020),
            AssociateRequest("A", "B", [PROPOSED], others=[UnknownItem(0x99, bytes(50_000))] * 5),
        )
        for number, request in enumerate(requests):
            data = request.encode()
            self.assertLessEqual(len(data) - 6, most)
            with self.subTest(number):
                tracemalloc.start()
                try:
                    with suppress(LDicomProtocolError):
                        decoded: Any = pdu.decode_content(1, data[6:])
                        kept = LDicomAssociate.from_request(decoded).copy()
                        del decoded, kept
                    peak = tracemalloc.get_traced_memory()[1]
                finally:
                    tracemalloc.stop()
                self.assertLess(peak + most + most // 2, 1 << 20)

    def test_a_request_takes_little_more_memory_than_its_bytes(self) -> None:
        """1 MB of the smallest items, wherever they can be."""
        nothing = [UnknownItem(0x99, b"")]
        ids = range(1, 256, 2)
        requests = (
            AssociateRequest("A", "B", [PROPOSED], others=nothing * 260_000),
            AssociateRequest("A", "B", [ProposedContext(number, "1.2", ["1.3"], nothing * 2000) for number in ids]),
            AssociateRequest("A", "B", [ProposedContext(number, "1.2", ["1.3"] * 1000) for number in ids]),
            AssociateRequest("A", "B", [ProposedContext(1, "1.2", ["1.3"], nothing * 16_000)] * 16),
        )
        for data in map(AssociateRequest.encode, requests):
            tracemalloc.start()
            try:
                with suppress(LDicomProtocolError):
                    decode(data)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            self.assertLess(peak, 4 * len(data))


class Pynetdicom(unittest.TestCase):
    """The same bytes as pynetdicom's, both ways."""

    @classmethod
    def setUpClass(cls) -> None:
        need("pynetdicom")

    def both_ways(self, theirs: Any, ours: Pdu) -> None:
        """Their bytes are ours, and mean the same to both."""
        data = theirs.encode()
        self.assertEqual(decode(data), ours)
        self.assertEqual(ours.encode(), data)
        again = type(theirs)()
        again.decode(ours.encode())
        self.assertEqual(again.encode(), data)

    def test_associate_request(self) -> None:
        from pynetdicom import pdu as their_pdu
        from pynetdicom import pdu_primitives as primitives
        from pynetdicom.presentation import build_context

        primitive = primitives.A_ASSOCIATE()
        primitive.application_context_name = pdu.DICOM_APPLICATION_CONTEXT
        primitive.calling_ae_title, primitive.called_ae_title = "STORESCU", "ANY-SCP"
        contexts = [build_context("1.2.840.10008.1.1", "1.2.840.10008.1.2"), build_context("1.2.3", ["1.2.4", "1.2.5"])]
        contexts[0].context_id, contexts[1].context_id = 1, 3
        primitive.presentation_context_definition_list = contexts
        their_items, our_items = self.user_items(primitives)
        primitive.user_information = their_items
        theirs = their_pdu.A_ASSOCIATE_RQ()
        theirs.from_primitive(primitive)
        proposed = [
            ProposedContext(1, "1.2.840.10008.1.1", ["1.2.840.10008.1.2"]),
            ProposedContext(3, "1.2.3", ["1.2.4", "1.2.5"]),
        ]
        self.both_ways(theirs, AssociateRequest("ANY-SCP", "STORESCU", proposed, our_items))

    @staticmethod
    def user_items(primitives: Any) -> tuple[list[Any], list[Any]]:
        """One of each sub-item of a request, theirs and ours."""
        rows = (
            ("MaximumLengthNotification", {"maximum_length_received": 16382}, MaximumLength(16382)),
            ("ImplementationClassUIDNotification", {"implementation_class_uid": "1.2.7"}, ImplementationClass("1.2.7")),
            (
                "ImplementationVersionNameNotification",
                {"implementation_version_name": "A VERSION"},
                ImplementationVersion("A VERSION"),
            ),
            (
                "AsynchronousOperationsWindowNegotiation",
                {"maximum_number_operations_invoked": 3, "maximum_number_operations_performed": 0},
                AsynchronousOperations(3, 0),
            ),
            (
                "SCP_SCU_RoleSelectionNegotiation",
                {"sop_class_uid": "1.2.3", "scu_role": False, "scp_role": True},
                RoleSelection("1.2.3", 0, 1),
            ),
            (
                "SOPClassExtendedNegotiation",
                {"sop_class_uid": "1.2.3", "service_class_application_information": b"\2\0\3"},
                ExtendedNegotiation("1.2.3", b"\2\0\3"),
            ),
            (
                "SOPClassCommonExtendedNegotiation",
                {
                    "sop_class_uid": "1.2.3",
                    "service_class_uid": "1.2.9",
                    "related_general_sop_class_identification": ["1.2.88", "1.2.7"],
                },
                CommonExtendedNegotiation("1.2.3", "1.2.9", ("1.2.88", "1.2.7")),
            ),
            (
                "UserIdentityNegotiation",
                {
                    "user_identity_type": 2,
                    "positive_response_requested": True,
                    "primary_field": b"user",
                    "secondary_field": b"pass!",
                },
                UserIdentity(2, True, b"user", b"pass!"),
            ),
        )
        theirs = []
        for name, values, _ours in rows:
            theirs.append(getattr(primitives, name)())
            for attribute, value in values.items():
                setattr(theirs[-1], attribute, value)
        return theirs, [ours for _name, _values, ours in rows]

    def test_associate_accept(self) -> None:
        from pynetdicom import pdu as their_pdu
        from pynetdicom import pdu_primitives as primitives
        from pynetdicom.presentation import build_context

        primitive = primitives.A_ASSOCIATE()
        primitive.application_context_name = pdu.DICOM_APPLICATION_CONTEXT
        primitive.calling_ae_title, primitive.called_ae_title = "STORESCU", "ANY-SCP"
        primitive.result = 0
        contexts = [build_context("1.2.840.10008.1.1", "1.2.4"), build_context("1.2.3", "1.2.5")]
        for context, number, result in zip(contexts, (1, 3), (0, 3), strict=True):
            context.context_id, context.result = number, result
        primitive.presentation_context_definition_results_list = contexts
        maximum = primitives.MaximumLengthNotification()
        maximum.maximum_length_received = 0
        implementation = primitives.ImplementationClassUIDNotification()
        implementation.implementation_class_uid = "1.2.77"
        identity = primitives.UserIdentityNegotiation()
        identity.server_response = b"yes"
        primitive.user_information = [maximum, implementation, identity]
        theirs = their_pdu.A_ASSOCIATE_AC()
        theirs.from_primitive(primitive)
        answered = [AnsweredContext(1, 0, "1.2.4"), AnsweredContext(3, 3, "1.2.5")]
        our_items = [MaximumLength(0), ImplementationClass("1.2.77"), UserIdentityResponse(b"yes")]
        self.both_ways(theirs, AssociateAccept("ANY-SCP", "STORESCU", answered, our_items))

    def test_the_short_ones(self) -> None:
        from pynetdicom import pdu as their_pdu

        reject, abort = their_pdu.A_ASSOCIATE_RJ(), their_pdu.A_ABORT_RQ()
        reject.result, reject.source, reject.reason_diagnostic = 2, 3, 1
        abort.source, abort.reason_diagnostic = 2, 5
        rows: tuple[tuple[Any, Pdu], ...] = (
            (reject, AssociateReject(2, 3, 1)),
            (abort, Abort(2, 5)),
            (their_pdu.A_RELEASE_RQ(), ReleaseRequest()),
            (their_pdu.A_RELEASE_RP(), ReleaseResponse()),
        )
        for theirs, ours in rows:
            with self.subTest(ours=ours):
                self.both_ways(theirs, ours)

    def test_data_transfer(self) -> None:
        from pynetdicom import pdu as their_pdu
        from pynetdicom import pdu_primitives as primitives

        primitive = primitives.P_DATA()
        primitive.presentation_data_value_list = [[1, b"\3\1\2\3\4"], [1, b"\2" + bytes(range(256))]]
        theirs = their_pdu.P_DATA_TF()
        theirs.from_primitive(primitive)
        values = [DataValue(1, True, True, b"\1\2\3\4"), DataValue(1, False, True, bytes(range(256)))]
        self.both_ways(theirs, DataTransfer(values))


if __name__ == "__main__":
    unittest.main()
