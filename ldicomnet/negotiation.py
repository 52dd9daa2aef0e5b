"""How presentation contexts are answered: an acceptor's policy, and what an answer must be; pure functions.

PS3.8 Section 9.3.3.2 and PS3.7 Annex D.3.3. Knows the records, neither PDUs in whole nor connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .errors import LDicomUsageError
from .items import AnsweredContext
from .status import AcceptResult, ErrorCode

Supported = Mapping[str, Sequence[str]] | Callable[[str], Sequence[str] | None]
"""Abstract syntax to transfer syntaxes in the acceptor's order of preference, as a mapping or a function; None or no
transfer syntax for an abstract syntax that is not supported."""

ANY_TRANSFER: Sequence[str] = ("*",)
"""In `Supported`: any transfer syntax, the requestor's first."""


@dataclass(slots=True)
class PresentationContext:
    """One presentation context.

    Attributes:
        presentation_id: odd, 1 to 255.
        abstract_syntax: UID of the abstract syntax, "" where an accept does not know it.
        transfer_syntaxes: UIDs; those offered, or in an accept the one chosen.
        result: `AcceptResult`; without meaning in a request.
        roles: SCU and SCP role (0 or 1 each) of a role selection for the abstract syntax, None without one.
        extended: bytes of a SOP class extended negotiation for the abstract syntax, None without one.
    """

    presentation_id: int
    abstract_syntax: str
    transfer_syntaxes: list[str] = field(default_factory=list)
    result: AcceptResult = AcceptResult.SUCCESS
    roles: tuple[int, int] | None = None
    extended: bytes | None = None

    def copy(self) -> PresentationContext:
        """An independent copy."""
        return PresentationContext(
            self.presentation_id,
            self.abstract_syntax,
            list(self.transfer_syntaxes),
            self.result,
            self.roles,
            self.extended,
        )

    @property
    def is_accepted(self) -> bool:
        """Whether messages may be sent on it, once the association stands."""
        return not self.result


def answer_contexts(
    offered: Iterable[PresentationContext],
    supported: Supported,
    roles: Mapping[str, tuple[int, int]],
    extended: Callable[[str, bytes], bytes | None] | None,
) -> list[PresentationContext]:
    """The contexts of the answer to a request; the arguments are those of `LDicomAssociate.accept`.

    Roles and extended negotiation that do not all fit into one item are not answered, which means that the defaults
    hold (PS3.7 D.3.3.4, D.3.3.5): what a peer proposes must not make an answer impossible.
    """
    answers = [answer_context(context, supported, roles, extended) for context in offered]
    if sum(map(_size, {answer.abstract_syntax: answer for answer in answers}.values())) > _MOST_SAID:
        for answer in answers:
            answer.roles = answer.extended = None
    return answers


_MOST_SAID = 60_000
"""Bytes of the sub-items for contexts in an accept; the item has 65,535, and says more."""


def _size(context: PresentationContext) -> int:
    """Bytes of the sub-items for the context's abstract syntax, at most."""
    role = 0 if context.roles is None else 8 + len(context.abstract_syntax)
    return role if context.extended is None else role + 6 + len(context.abstract_syntax) + len(context.extended)


def answer_context(
    offered: PresentationContext,
    supported: Supported,
    roles: Mapping[str, tuple[int, int]],
    extended: Callable[[str, bytes], bytes | None] | None,
) -> PresentationContext:
    """One context of the answer to a request, PS3.8 Table 9-18."""
    uid = offered.abstract_syntax
    if not offered.transfer_syntaxes:
        raise LDicomUsageError(f"presentation context {offered.presentation_id} offers no transfer syntax")
    known = (supported(uid) if callable(supported) else supported.get(uid)) if uid else None
    chosen = _choose(known or (), offered.transfer_syntaxes)
    answer = PresentationContext(offered.presentation_id, uid, [chosen or offered.transfer_syntaxes[0]])
    if not known:
        answer.result = AcceptResult.ABSTRACT_SYNTAX
    elif not chosen:
        answer.result = AcceptResult.TRANSFER_SYNTAX
    else:
        answer.roles = _agree(offered.roles, roles.get(uid, (1, 1)))
        if offered.extended is not None:
            answer.extended = extended(uid, offered.extended) if extended else offered.extended
    return answer


def merge_answers(
    offered: Iterable[PresentationContext], answers: Iterable[AnsweredContext]
) -> list[PresentationContext]:
    """What an acceptor answered, with the abstract syntaxes that only the request names.

    Contexts that were not offered are left out, and an accepted transfer syntax that was not offered counts as
    refused: nothing could be sent on them.
    """
    proposals = {context.presentation_id: context for context in offered}
    merged = []
    for answer in answers:
        proposal = proposals.get(answer.presentation_id)
        if proposal is None:
            continue
        result = AcceptResult(answer.result)
        if result == AcceptResult.SUCCESS and answer.transfer_syntax not in proposal.transfer_syntaxes:
            result = AcceptResult.PROVIDER_REJECT
        merged.append(
            PresentationContext(
                answer.presentation_id, proposal.abstract_syntax, [answer.transfer_syntax or ""], result
            )
        )
    return merged


def complete_answers(
    offered: Iterable[PresentationContext], answers: Iterable[PresentationContext]
) -> list[PresentationContext]:
    """One answer for each context that was offered, in that order; those not mentioned are refused.

    Raises:
        LDicomUsageError: an answer is to a context that was not offered, or accepts a transfer syntax that was not.
    """
    given = {context.presentation_id: context for context in answers}
    complete = []
    for proposal in offered:
        answer = given.pop(proposal.presentation_id, None) or PresentationContext(
            proposal.presentation_id, proposal.abstract_syntax, result=AcceptResult.PROVIDER_REJECT
        )
        _check(answer, proposal)
        answer.abstract_syntax = proposal.abstract_syntax
        answer.transfer_syntaxes = answer.transfer_syntaxes[:1] or proposal.transfer_syntaxes[:1]
        complete.append(answer)
    for presentation_id in given:
        raise LDicomUsageError(
            f"presentation context {presentation_id} was not offered (PS3.8 9.3.3.2)", ErrorCode.PDU_ID
        )
    return complete


def clamp_window(asked: tuple[int, int], most: tuple[int, int]) -> tuple[int, int]:
    """An asynchronous operations window: at most what was asked and what is allowed; 0 is no limit (PS3.7 D.3.3.3)."""
    return _clamp(asked[0], most[0]), _clamp(asked[1], most[1])


def _choose(known: Sequence[str], offered: Sequence[str]) -> str:
    """The acceptor's first choice among those offered, "" for none."""
    if "*" in known:
        return offered[0]
    return next((uid for uid in known if uid in offered), "")


def _agree(proposed: tuple[int, int] | None, allowed: tuple[int, int]) -> tuple[int, int] | None:
    """Roles of the requestor: no more than it proposed (PS3.7 Table D.3-9a)."""
    return None if proposed is None else (proposed[0] & allowed[0], proposed[1] & allowed[1])


def _clamp(asked: int, most: int) -> int:
    """A number of operations: at most what was asked and what is allowed; 0 is no limit."""
    return min(asked, most) if asked and most else asked or most


def _check(answer: PresentationContext, offered: PresentationContext) -> None:
    """An accepted context has one transfer syntax, of those offered (PS3.8 9.3.3.2)."""
    if not answer.is_accepted:
        return
    if len(answer.transfer_syntaxes) != 1 or answer.transfer_syntaxes[0] not in offered.transfer_syntaxes:
        accepted = answer.transfer_syntaxes or "no transfer syntax"
        raise LDicomUsageError(
            f"presentation context {answer.presentation_id} accepts {accepted}, "
            "where one of those offered is wanted (PS3.8 9.3.3.2)",
            ErrorCode.TRANSFER_SYNTAX_NOT_SUPPORTED,
        )
