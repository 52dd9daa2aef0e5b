"""What holds for all values: what was encoded is decoded to the same, and bytes in any pieces tell the same."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from ldicomnet import LDicomAssociate, items, pdu
from ldicomnet.message import ROWS, Row, build, decode
from ldicomnet.status import Priority, Status
from ldicomnet.user_information import UserInformation

from .fuzz import corpus, pieces, streams
from .fuzz.mutations import MUTATIONS, Sample
from .spoiling import need

need("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

EXAMPLES = 100


def holds(*strategies: st.SearchStrategy[Any], examples: int = EXAMPLES) -> Callable[[Any], Any]:
    """A test for so many values, always the same."""

    def decorate(test: Any) -> Any:
        return settings(derandomize=True, database=None, max_examples=examples, deadline=None)(given(*strategies)(test))

    return decorate


# --- values -------------------------------------------------------------------------------------------------------

octets, words = st.integers(0, 0xFF), st.integers(0, 0xFFFF)
odd = st.integers(0, 127).map(lambda number: 2 * number + 1)
numbers = st.integers(0, 10**12).map(str)
uids = st.lists(numbers, min_size=1, max_size=5).map(".".join)
# Text of items is Latin-1, and loses the padding at its end; that of titles at both ends.
texts = st.text(st.characters(max_codepoint=0xFF), max_size=40).map(lambda text: text.rstrip("\0 "))
titles = st.text(st.characters(max_codepoint=0xFF), max_size=16).map(lambda text: text.strip("\0 "))
names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\\"), min_size=1, max_size=16)
data = st.binary(max_size=60)
others = st.builds(items.UnknownItem, st.sampled_from((0x00, 0x11, 0x5A, 0x7F, 0xFF)), data)

USER_ITEMS: dict[type, st.SearchStrategy[Any]] = {
    items.MaximumLength: st.builds(items.MaximumLength, st.integers(0, 0xFFFFFFFF)),
    items.ImplementationClass: st.builds(items.ImplementationClass, texts),
    items.AsynchronousOperations: st.builds(items.AsynchronousOperations, words, words),
    items.RoleSelection: st.builds(items.RoleSelection, texts, octets, octets),
    items.ImplementationVersion: st.builds(items.ImplementationVersion, texts),
    items.ExtendedNegotiation: st.builds(items.ExtendedNegotiation, texts, data),
    items.CommonExtendedNegotiation: st.builds(
        items.CommonExtendedNegotiation, texts, texts, st.lists(texts, max_size=4).map(tuple)
    ),
    items.UserIdentity: st.builds(items.UserIdentity, octets, st.booleans(), data, data),
    items.UserIdentityResponse: st.builds(items.UserIdentityResponse, data),
    items.UnknownItem: others,
}
user_items = st.lists(st.one_of(*USER_ITEMS.values()), max_size=8)
proposed = st.builds(
    items.ProposedContext,
    odd,
    texts,
    st.lists(texts, min_size=1, max_size=4),
    st.lists(others, max_size=2),
    st.binary(min_size=3, max_size=3),
)
answered = st.one_of(
    st.builds(items.AnsweredContext, octets, st.integers(1, 255), st.one_of(st.none(), texts), st.just([]),
              st.binary(min_size=2, max_size=2)),
    st.builds(items.AnsweredContext, octets, st.just(0), texts),
)  # fmt: skip


def association(kind: type, contexts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An association PDU whose contexts have IDs of their own."""
    distinct = st.lists(contexts, max_size=6, unique_by=lambda context: context.presentation_id)
    unknown = st.builds(items.UnknownItem, st.sampled_from((0x00, 0x11, 0x7F, 0xFF)), data)
    return st.builds(kind, titles, titles, distinct, user_items, texts, words, st.lists(unknown, max_size=3))


values = st.builds(pdu.DataValue, octets, st.booleans(), st.booleans(), data)
PDUS: dict[type, st.SearchStrategy[Any]] = {
    pdu.AssociateRequest: association(pdu.AssociateRequest, proposed),
    pdu.AssociateAccept: association(pdu.AssociateAccept, answered),
    pdu.AssociateReject: st.builds(pdu.AssociateReject, octets, octets, octets),
    pdu.DataTransfer: st.builds(pdu.DataTransfer, st.lists(values, max_size=6)),
    pdu.ReleaseRequest: st.builds(pdu.ReleaseRequest),
    pdu.ReleaseResponse: st.builds(pdu.ReleaseResponse),
    pdu.Abort: st.builds(pdu.Abort, octets, octets),
}


class Records(unittest.TestCase):
    """PDUs and items."""

    def test_all_are_here(self) -> None:
        self.assertEqual(set(PDUS), set(pdu.KINDS.values()))
        self.assertEqual(set(USER_ITEMS), {*items._KNOWN, items.UnknownItem})

    def test_pdus(self) -> None:
        for kind, records in PDUS.items():

            @holds(records)
            def both_ways(record: Any) -> None:
                self.assertEqual(pdu.decode(record.encode()), record)

            with self.subTest(kind.__name__):
                both_ways()

    def test_user_items(self) -> None:
        for kind, records in USER_ITEMS.items():

            @holds(records)
            def both_ways(record: Any) -> None:
                self.assertEqual(items.decode_user_information(record.encode()), [record])

            with self.subTest(kind.__name__):
                both_ways()

    @holds(user_items)
    def test_user_information(self, found: list[Any]) -> None:
        encoded = items.encode_user_information(found)
        self.assertEqual(encoded[:4], b"\x50\0" + (len(encoded) - 4).to_bytes(2, "big"))
        self.assertEqual(items.decode_user_information(encoded[4:]), found)

    def test_contexts(self) -> None:
        for kind, records in ((items.ProposedContext, proposed), (items.AnsweredContext, answered)):

            @holds(st.just(kind), records)
            def both_ways(kind: Any, record: Any) -> None:
                again = kind.decode(record.encode()[4:])
                self.assertEqual(again, record)
                self.assertEqual((again.others, again.reserved), (record.others, record.reserved))

            with self.subTest(kind.__name__):
                both_ways()

    @holds(user_items, st.booleans())
    def test_the_record_of_user_information(self, found: list[Any], is_request: bool) -> None:
        """What is read into it and written from it is read to the same."""
        info = UserInformation()
        of_contexts = info.read(found)
        roles = [one for one in of_contexts if isinstance(one, items.RoleSelection)]
        extended = [one for one in of_contexts if isinstance(one, items.ExtendedNegotiation)]
        if is_request:
            info.identity_response = None
        else:
            info.identity, info.common_extended = None, {}
        again = UserInformation()
        self.assertEqual(again.read(info.items(roles, extended, is_request)), [*roles, *extended])
        self.assertEqual(again, info)


# --- messages -----------------------------------------------------------------------------------------------------

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "sop_class_uid": uids,
    "sop_instance_uid": uids,
    "move_ae": names,
    "attributes": st.lists(st.integers(0, 0xFFFFFFFF), max_size=5),
    "status": st.one_of(st.sampled_from(list(Status)), words),
    "priority": st.one_of(st.sampled_from(list(Priority)), words),
}
EMPTY = {"US": None, "UI": "", "AE": "", "AT": ()}
"""A value that leaves an optional element out."""
ABSENT: dict[str, Any] = {"sop_class_uid": "", "sop_instance_uid": "", "move_ae": "", "move_message_id": 0}
"""What is found for it, where that is not None."""


def arguments(row: Row) -> st.SearchStrategy[tuple[Any, ...]]:
    """Values of a row's parameters; optional ones are left out at times."""
    chosen = []
    for one in row.parameters:
        value = VALUES.get(one.name, words)
        chosen.append(st.one_of(st.just(EMPTY[one.vr]), value) if one.optional else value)
    return st.tuples(*chosen)


def expected(row: Row, given_values: tuple[Any, ...]) -> tuple[Any, ...]:
    """What is decoded of these."""
    found = []
    for one, value in zip(row.parameters, given_values, strict=True):
        if one.optional and value == EMPTY[one.vr]:
            value = [] if one.vr == "AT" else ABSENT.get(one.name)
        found.append(value)
    return tuple(found)


class Messages(unittest.TestCase):
    """The 23 rows."""

    def test_all_rows(self) -> None:
        self.assertEqual(len(ROWS), 23)
        for row in ROWS:

            @holds(st.just(row), arguments(row), st.booleans(), odd, examples=40)
            def both_ways(row: Row, given_values: tuple[Any, ...], with_data: bool, context: int) -> None:
                has_data_set = row.needs_dataset or (with_data and row.has_dataset)
                sent = build(row, context, given_values, has_data_set)
                received = decode(context, sent.command_set)
                self.assertEqual(received.arguments(), expected(row, given_values))
                for name in ("row", "presentation_id", "message_id", "status", "has_data_set", "is_final", "elements"):
                    self.assertEqual(getattr(received, name), getattr(sent, name), name)

            with self.subTest(row.name):
                both_ways()


# --- streams ------------------------------------------------------------------------------------------------------

STREAMS = list(corpus.load("inbound").values()) + list(corpus.load("acceptor").values())
parts = st.floats(0, 1, exclude_max=True)


@st.composite
def spoiled_streams(draw: st.DrawFn) -> bytes:
    """A stream of the corpus, with up to two mutations."""
    stream = draw(st.sampled_from(STREAMS))
    for _ in range(draw(st.integers(0, 2))):
        sample, mutation = Sample(stream, pieces.pdus), draw(st.sampled_from(MUTATIONS))
        ways = mutation.ways(sample)
        stream = mutation.make(sample, int(draw(parts) * ways)) if ways else stream
    return stream


class Streams(unittest.TestCase):
    """`Inbound`."""

    @holds(spoiled_streams(), st.lists(st.integers(1, 300), max_size=60), st.booleans())
    def test_any_pieces_tell_the_same(self, stream: bytes, sizes: list[int], raw: bool) -> None:
        whole = streams.feed(stream, (), raw).events
        self.assertEqual(streams.feed(stream, sizes, raw).events, whole)

    @holds(spoiled_streams(), spoiled_streams(), st.integers(0, 300))
    def test_streams_that_come_together(self, first: bytes, second: bytes, size: int) -> None:
        """Where one ends and the next begins need not be where a read does."""
        joined = first + second
        whole = streams.feed(joined, ()).events
        self.assertEqual(streams.feed(joined, [max(1, len(first))]).events, whole)
        self.assertEqual(streams.feed(joined, [max(1, len(first) - size), 2 * size + 1]).events, whole)


# --- associations -------------------------------------------------------------------------------------------------

syntaxes = st.lists(uids, min_size=1, max_size=3)
offers = st.lists(st.tuples(uids, syntaxes), min_size=1, max_size=5)


@st.composite
def requests(draw: st.DrawFn) -> LDicomAssociate:
    """An association request as a program may build it."""
    made = LDicomAssociate(True)
    made.default()
    made.set_called(draw(names))
    made.set_calling(draw(names))
    made.set_version(draw(words))
    for abstract, transfers in draw(offers):
        context = made.add_context(abstract, transfers)
        if draw(st.booleans()):
            made.set_role_select(context, True, draw(st.integers(0, 1)), draw(st.integers(0, 1)))
        if draw(st.booleans()):
            made.set_extended(context, draw(data))
        if draw(st.booleans()):
            made.set_common_extended(abstract, draw(uids), draw(st.lists(uids, max_size=2)))
    made.set_max_length(draw(st.booleans()), draw(st.sampled_from((0, 8, 16384, 0xFFFFFFFF))))
    made.set_async_operations(draw(st.booleans()), draw(words), draw(words))
    made.set_implement_version(draw(st.booleans()), draw(names))
    if draw(st.booleans()):
        made.set_user_identity(2, draw(data), draw(data), draw(st.booleans()))
    for item_type, content in draw(st.lists(st.tuples(st.sampled_from((0x5A, 0xFF)), data), max_size=2)):
        made.add_user_info(item_type, content)
    return made


def said(associate: LDicomAssociate) -> dict[str, Any]:
    """Everything that it says."""
    known = {name: value for name, value in vars(associate).items() if name != "_head"}  # the bytes it came with
    return known | {"contexts": associate.presentation_contexts}


class Associations(unittest.TestCase):
    """`LDicomAssociate`."""

    @holds(requests())
    def test_requests(self, asked: LDicomAssociate) -> None:
        again = LDicomAssociate.from_request(pdu.decode(asked.to_request().encode()))
        self.assertEqual(said(again), said(asked))
        self.assertEqual(again.to_request(), asked.to_request())

    @holds(requests(), st.data())
    def test_accepts(self, asked: LDicomAssociate, chosen: st.DataObject) -> None:
        """The requestor reads what the acceptor meant, and no more than was asked."""
        syntaxes_of = {one.abstract_syntax: one.transfer_syntaxes for one in asked.presentation_contexts}
        supported = {
            uid: chosen.draw(st.lists(st.sampled_from(transfers), max_size=2)) for uid, transfers in syntaxes_of.items()
        }
        window = chosen.draw(words), chosen.draw(words)
        received = LDicomAssociate.from_request(pdu.decode(asked.to_request().encode()))
        answer = received.accept(supported, async_operations=window, user_identity_response=b"yes")
        accept = answer.to_accept(received)
        again = LDicomAssociate.from_accept(pdu.decode(accept.encode()), asked)
        self.assertEqual(said(again) | {"_version": 1}, said(answer) | {"_version": 1})
        for proposal, one in zip(asked.presentation_contexts, again.presentation_contexts, strict=True):
            common = set(supported[one.abstract_syntax]) & set(proposal.transfer_syntaxes)
            self.assertEqual((one.presentation_id, one.is_accepted), (proposal.presentation_id, bool(common)))
            self.assertTrue(not common or one.transfer_syntaxes[0] in common)


if __name__ == "__main__":
    unittest.main()
