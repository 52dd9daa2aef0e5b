"""`negotiation`: an acceptor's policy, and what an answer must be (PS3.8 9.3.3.2, PS3.7 Annex D.3.3)."""

from __future__ import annotations

import unittest
from typing import Any

from ldicomnet.errors import LDicomUsageError
from ldicomnet.items import AnsweredContext
from ldicomnet.negotiation import (
    ANY_TRANSFER,
    PresentationContext,
    answer_context,
    clamp_window,
    complete_answers,
    merge_answers,
)
from ldicomnet.status import AcceptResult, ErrorCode

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"


def offer(*transfer_syntaxes: str, **options: Any) -> PresentationContext:
    """A context that a requestor offers."""
    return PresentationContext(3, CT, list(transfer_syntaxes), **options)


def only_ct(uid: str) -> list[str] | None:
    """A policy as a function."""
    return [EXPLICIT] if uid == CT else None


class Policy(unittest.TestCase):
    """`answer_context`: result and transfer syntax by what is supported."""

    # What is supported, what is offered, the result, and the transfer syntax of the answer.
    ROWS: tuple[tuple[Any, tuple[str, ...], int, str], ...] = (
        ({CT: [IMPLICIT]}, (IMPLICIT,), 0, IMPLICIT),
        ({CT: [EXPLICIT, IMPLICIT]}, (IMPLICIT, EXPLICIT), 0, EXPLICIT),  # the acceptor's preference
        ({CT: [IMPLICIT, EXPLICIT]}, (EXPLICIT, IMPLICIT), 0, IMPLICIT),
        ({CT: [JPEG, EXPLICIT]}, (IMPLICIT, EXPLICIT), 0, EXPLICIT),
        ({CT: (EXPLICIT,)}, (IMPLICIT, EXPLICIT), 0, EXPLICIT),
        ({CT: ANY_TRANSFER}, (JPEG, EXPLICIT), 0, JPEG),  # the requestor's first
        ({CT: ["*"]}, (EXPLICIT, JPEG), 0, EXPLICIT),
        ({CT: [IMPLICIT]}, (EXPLICIT, JPEG), 4, EXPLICIT),
        ({MR: [IMPLICIT]}, (IMPLICIT,), 3, IMPLICIT),
        ({CT: []}, (EXPLICIT,), 3, EXPLICIT),
        ({}, (JPEG, IMPLICIT), 3, JPEG),
        (only_ct, (IMPLICIT, EXPLICIT), 0, EXPLICIT),
        (only_ct, (IMPLICIT,), 4, IMPLICIT),
        (lambda uid: None, (IMPLICIT,), 3, IMPLICIT),
        (lambda uid: ANY_TRANSFER, (JPEG,), 0, JPEG),
    )

    def test_rows(self) -> None:
        for supported, offered, result, transfer_syntax in self.ROWS:
            with self.subTest(supported=supported, offered=offered):
                proposal = offer(*offered)
                answer = answer_context(proposal, supported, {}, None)
                self.assertEqual(answer, PresentationContext(3, CT, [transfer_syntax], AcceptResult(result)))
                self.assertEqual(answer.is_accepted, result == 0)
                self.assertEqual(proposal, offer(*offered))

    def test_an_offer_of_nothing(self) -> None:
        """Nothing can be chosen of it, and nothing named in the answer."""
        for supported in ({CT: [IMPLICIT]}, {CT: ANY_TRANSFER}, {}):
            with self.subTest(supported=supported), self.assertRaises(LDicomUsageError) as caught:
                answer_context(offer(), supported, {}, None)
            self.assertIn("context 3", str(caught.exception))

    def test_roles(self) -> None:
        """PS3.7 Table D.3-9a: the acceptor turns a proposed 1 down with 0, never a 0 up."""
        rows = (
            # proposed, allowed (None: nothing said), agreed
            (None, None, None),
            (None, (1, 1), None),
            ((0, 1), None, (0, 1)),
            ((1, 1), None, (1, 1)),
            ((1, 1), (1, 0), (1, 0)),
            ((1, 1), (0, 1), (0, 1)),
            ((1, 0), (0, 1), (0, 0)),
            ((0, 0), (1, 1), (0, 0)),
        )
        for proposed, allowed, agreed in rows:
            with self.subTest(proposed=proposed, allowed=allowed):
                answer = answer_context(
                    offer(IMPLICIT, roles=proposed), {CT: [IMPLICIT]}, {CT: allowed} if allowed else {MR: (0, 0)}, None
                )
                self.assertEqual(answer.roles, agreed)

    def test_extended_negotiation(self) -> None:
        asked: list[tuple[str, bytes]] = []

        def extended(uid: str, data: bytes) -> bytes | None:
            asked.append((uid, data))
            return data[:1] if data else None

        rows: tuple[tuple[bytes | None, Any, bytes | None], ...] = (
            (None, None, None),
            (None, extended, None),
            (b"\2\1", None, b"\2\1"),
            (b"\2\1", extended, b"\2"),
            (b"", extended, None),
        )
        for proposed, function, agreed in rows:
            with self.subTest(proposed=proposed):
                answer = answer_context(offer(IMPLICIT, extended=proposed), {CT: [IMPLICIT]}, {}, function)
                self.assertEqual(answer.extended, agreed)
        self.assertEqual(asked, [(CT, b"\2\1"), (CT, b"")])

    def test_a_refused_context_has_neither_roles_nor_extended_negotiation(self) -> None:
        for supported in ({}, {CT: [EXPLICIT]}):
            answer = answer_context(offer(IMPLICIT, roles=(1, 1), extended=b"x"), supported, {}, None)
            self.assertEqual((answer.roles, answer.extended), (None, None))


class Merging(unittest.TestCase):
    """`merge_answers`: what a requestor makes of an accept."""

    OFFERED = (PresentationContext(1, CT, [IMPLICIT, EXPLICIT]), PresentationContext(3, MR, [IMPLICIT]))

    def test_rows(self) -> None:
        rows = (
            (AnsweredContext(1, 0, EXPLICIT), PresentationContext(1, CT, [EXPLICIT])),
            (AnsweredContext(3, 0, IMPLICIT), PresentationContext(3, MR, [IMPLICIT])),
            (AnsweredContext(1, 3, IMPLICIT), PresentationContext(1, CT, [IMPLICIT], AcceptResult.ABSTRACT_SYNTAX)),
            (AnsweredContext(1, 4, JPEG), PresentationContext(1, CT, [JPEG], AcceptResult.TRANSFER_SYNTAX)),
            (AnsweredContext(1, 77, IMPLICIT), PresentationContext(1, CT, [IMPLICIT], AcceptResult(77))),
            (AnsweredContext(1, 3, None), PresentationContext(1, CT, [""], AcceptResult.ABSTRACT_SYNTAX)),
            (AnsweredContext(5, 0, IMPLICIT), None),
            (AnsweredContext(0, 0, IMPLICIT), None),
        )
        for answered, expected in rows:
            with self.subTest(answered=answered):
                self.assertEqual(merge_answers(self.OFFERED, [answered]), [expected] if expected else [])

    def test_a_transfer_syntax_that_was_not_offered_is_of_no_use(self) -> None:
        for answered in (AnsweredContext(1, 0, JPEG), AnsweredContext(3, 0, EXPLICIT), AnsweredContext(3, 0, "")):
            (context,) = merge_answers(self.OFFERED, [answered])
            self.assertFalse(context.is_accepted)

    def test_the_order_is_the_acceptors(self) -> None:
        merged = merge_answers(self.OFFERED, [AnsweredContext(3, 0, IMPLICIT), AnsweredContext(1, 0, IMPLICIT)])
        self.assertEqual([context.presentation_id for context in merged], [3, 1])


class Completing(unittest.TestCase):
    """`complete_answers`: one answer for each context that was offered."""

    OFFERED = (PresentationContext(1, CT, [IMPLICIT, EXPLICIT]), PresentationContext(3, MR, [JPEG]))

    def test_what_is_not_mentioned_is_refused(self) -> None:
        answers = [PresentationContext(3, MR, [JPEG])]
        first, second = complete_answers(self.OFFERED, answers)
        self.assertEqual(first, PresentationContext(1, CT, [IMPLICIT], AcceptResult.PROVIDER_REJECT))
        self.assertEqual(second, PresentationContext(3, MR, [JPEG]))

    def test_order_and_abstract_syntaxes_are_the_requestors(self) -> None:
        answers = [PresentationContext(3, "", [JPEG]), PresentationContext(1, "", [EXPLICIT])]
        complete = complete_answers(self.OFFERED, answers)
        told = [(context.presentation_id, context.abstract_syntax, context.transfer_syntaxes) for context in complete]
        self.assertEqual(told, [(1, CT, [EXPLICIT]), (3, MR, [JPEG])])

    def test_a_refused_context_names_some_transfer_syntax(self) -> None:
        for given in ([], ["1.9", "1.8"]):
            answers = [PresentationContext(1, CT, list(given), AcceptResult.USER_REJECT)]
            context = complete_answers(self.OFFERED, answers)[0]
            self.assertEqual((context.result, context.transfer_syntaxes), (1, given[:1] or [IMPLICIT]))

    def test_what_an_answer_must_not_be(self) -> None:
        rows = (
            (PresentationContext(5, CT, [IMPLICIT]), ErrorCode.PDU_ID),
            (PresentationContext(1, CT, [JPEG]), ErrorCode.TRANSFER_SYNTAX_NOT_SUPPORTED),
            (PresentationContext(1, CT, []), ErrorCode.TRANSFER_SYNTAX_NOT_SUPPORTED),
            (PresentationContext(1, CT, [IMPLICIT, EXPLICIT]), ErrorCode.TRANSFER_SYNTAX_NOT_SUPPORTED),
        )
        for answer, code in rows:
            with self.subTest(answer=answer), self.assertRaises(LDicomUsageError) as caught:
                complete_answers(self.OFFERED, [answer])
            self.assertEqual(caught.exception.code, code)
            self.assertIn(f"context {answer.presentation_id} ", str(caught.exception))


class Window(unittest.TestCase):
    """`clamp_window`: PS3.7 D.3.3.3, where 0 is no limit."""

    def test_rows(self) -> None:
        rows = (
            ((1, 1), (1, 1), (1, 1)),
            ((5, 7), (2, 3), (2, 3)),
            ((2, 3), (5, 7), (2, 3)),
            ((0, 0), (4, 5), (4, 5)),
            ((4, 5), (0, 0), (4, 5)),
            ((0, 0), (0, 0), (0, 0)),
            ((0, 9), (1, 0), (1, 9)),
        )
        for asked, most, agreed in rows:
            with self.subTest(asked=asked, most=most):
                self.assertEqual(clamp_window(asked, most), agreed)


if __name__ == "__main__":
    unittest.main()
