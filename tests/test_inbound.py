"""`inbound`: bytes in any pieces become the same PDUs and messages; what is malformed is told once and held nowhere."""

from __future__ import annotations

import random
import tempfile
import unittest
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from ldicomnet.body import Spool
from ldicomnet.errors import LDicomDataError, LDicomProtocolError
from ldicomnet.inbound import Inbound
from ldicomnet.message import BY_NAME, Message, encode, encode_elements
from ldicomnet.status import AbortReason, ErrorCode
from ldicomnet.timing import Limits

from .spoiling import need

need("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

COMMAND, DATA, LAST = 1, 0, 2
CONTEXTS = frozenset((1, 3, 255))
MAXIMUM = 16384
ECHO = encode(BY_NAME["c_echo_request"], (7, "1.2.840.10008.1.1"), False)
STORE = encode(BY_NAME["c_store_request"], (8, "1.2", "1.3", 0, "", 0), True)
RELEASE = bytes.fromhex("05 00 00000004 00000000")


def pdv(context: int, control: int, data: bytes = b"") -> bytes:
    """One presentation data value."""
    return (len(data) + 2).to_bytes(4, "big") + bytes((context, control)) + data


def pdu(pdu_type: int, content: bytes, length: int | None = None) -> bytes:
    """A PDU; `length` says something else than what is there."""
    return bytes((pdu_type, 0)) + (len(content) if length is None else length).to_bytes(4, "big") + content


def p_data(*values: bytes) -> bytes:
    """A P-DATA-TF of these values."""
    return pdu(4, b"".join(values))


def store(context: int, body: bytes, size: int = 1000) -> bytes:
    """A C-STORE request in PDUs of one value each."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    data = [p_data(pdv(context, DATA | LAST * (at == len(pieces) - 1), one)) for at, one in enumerate(pieces)]
    return p_data(pdv(context, COMMAND | LAST, STORE)) + b"".join(data)


class Broken(Spool):
    """A sink that cannot take anything."""

    def write(self, fragments: list[memoryview]) -> None:
        """Fail."""
        raise LDicomDataError(ErrorCode.DISK_FULL, "no room")


class Log:
    """Notes what it is told; like the engine it passes P-DATA-TF over once something was invalid."""

    def __init__(self, folder: str | None = None, memory: int = 1 << 30, spools: Iterable[type[Spool]] = ()) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.folder, self.memory, self.spools = folder, memory, list(spools)
        self.takes_data, self.goes_on = True, False

    def data_pdu(self) -> bool:
        """See `Events`."""
        self.events.append(("data_pdu",))
        return self.takes_data

    def control_pdu(self, pdu_type: int, content: bytes) -> None:
        """See `Events`."""
        self.events.append(("control_pdu", pdu_type, content))

    def invalid(self, error: LDicomProtocolError) -> None:
        """See `Events`."""
        self.events.append(("invalid", error.reason, error.code, str(error)))
        self.takes_data = self.goes_on

    def spool(self, message: Message) -> Spool:
        """See `Events`."""
        self.events.append(("spool", message.command_set))
        kind = self.spools.pop(0) if self.spools else Spool
        return kind(self.folder, self.memory)

    def message(self, message: Message) -> None:
        """See `Events`."""
        body = message.body
        data = None if body is None else body.open().read()
        self.events.append(("message", message.presentation_id, message.command_set, data))

    def message_lost(self, message: Message, error: LDicomDataError) -> None:
        """See `Events`."""
        self.events.append(("message_lost", message.presentation_id, message.command_set, error.code))

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """The events of these names, without the name where there is one."""
        return [event[1:] if len(names) == 1 else event for event in self.events if event[0] in names]


def feed(inbound: Inbound, data: bytes, cuts: Iterable[int] = ()) -> None:
    """Bytes into the room, cut there, and by what room there is."""
    edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(data)), len(data)]
    for start, end in pairwise(edges):
        while start < end:
            room = inbound.room()
            count = min(len(room), end - start)
            assert count, "there is no room"
            room[:count] = data[start : start + count]
            inbound.received(count)
            start += count


def run(
    data: bytes, cuts: Iterable[int] = (), *, raw: bool = False, limits: Limits | None = None, maximum: int = MAXIMUM,
    log: Log | None = None,
) -> Log:  # fmt: skip
    """What a stream gives."""
    log = log or Log()
    inbound = Inbound(log, limits or Limits())
    inbound.establish(CONTEXTS, maximum)
    if raw:
        inbound.raw = lambda pdu_type, whole: log.events.append(("raw", pdu_type, whole))
    feed(inbound, data, cuts)
    inbound.discard()
    return log


# --- streams --------------------------------------------------------------------------------------------------------

Stream = tuple[bytes, list[tuple[Any, ...]]]


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Some PDUs, and the messages and control PDUs that are in them."""
    generator, sent, expected = random.Random(draw(st.integers(0, 1 << 32))), b"", []
    for _ in range(draw(st.integers(1, 4))):
        if generator.random() < 0.3:
            content = generator.randbytes(generator.choice((0, 1, 200, 70_000)))
            kind = generator.choice((1, 2, 3, 5, 6, 7))
            content = content if kind < 3 else generator.randbytes(4)
            sent += pdu(kind, content)
            expected.append(("control_pdu", kind, content))
        context = generator.choice(tuple(CONTEXTS))
        body = generator.choice((None, b"", generator.randbytes(1), generator.randbytes(generator.randrange(3000))))
        command = ECHO if body is None else STORE
        sent += packed(generator, list(values(generator, context, command, body)))
        expected.append(("message", context, command, body))
    return sent, expected


def values(generator: random.Random, context: int, command: bytes, body: bytes | None) -> Iterator[bytes]:
    """A message in values of any size, empty ones among them."""
    for kind, data in ((COMMAND, command), (DATA, body)):
        if data is None:
            continue
        size = generator.choice((1, 2, 7, 100, len(data) or 1))
        for at in range(0, len(data), size):
            if generator.random() < 0.1:
                yield pdv(context, kind)
            is_last = at + size >= len(data) and generator.random() < 0.8
            yield pdv(context, kind | LAST * is_last, data[at : at + size])
            if is_last:
                break
        else:
            yield pdv(context, kind | LAST)


def packed(generator: random.Random, parts: list[bytes]) -> bytes:
    """The values in PDUs, as many to each as it comes."""
    data = b""
    while parts:
        count = generator.choice((1, 1, 2, 5, len(parts)))
        while count > 1 and sum(map(len, parts[:count])) > MAXIMUM:
            count -= 1
        data, parts = data + p_data(*parts[:count]), parts[count:]
    return data


class AnySplit(unittest.TestCase):
    """How the bytes are cut changes nothing."""

    @settings(derandomize=True, max_examples=150, deadline=None)
    @given(streams(), st.lists(st.floats(0, 1), max_size=30), st.booleans())
    def test_any_stream_in_any_pieces(self, stream: Stream, places: list[float], raw: bool) -> None:
        data, expected = stream
        whole = run(data, raw=raw)
        self.assertEqual(whole.of("message", "control_pdu", "invalid", "message_lost"), expected)
        split = run(data, [int(place * len(data)) for place in places], raw=raw)
        self.assertEqual(split.events, whole.events)

    @settings(derandomize=True, max_examples=60, deadline=None)
    @given(streams())
    def test_whole_pdus_and_streaming_tell_the_same(self, stream: Stream) -> None:
        data, _expected = stream
        streaming, whole = run(data), run(data, raw=True)
        self.assertEqual([event for event in whole.events if event[0] != "raw"], streaming.events)
        self.assertEqual(b"".join(content for _type, content in whole.of("raw")), data)

    def test_byte_by_byte_and_at_every_byte(self) -> None:
        data = RELEASE + store(3, bytes(range(100)), 30) + p_data(pdv(1, COMMAND | LAST, ECHO)) + pdu(7, b"\0\0\2\6")
        for raw in (False, True):
            whole = run(data, raw=raw)
            self.assertEqual(len(whole.of("message")), 2)
            self.assertEqual(b"".join(content for _type, content in whole.of("raw")), data if raw else b"")
            self.assertEqual(run(data, range(len(data)), raw=raw).events, whole.events)
            for cut in range(len(data)):
                self.assertEqual(run(data, (cut,), raw=raw).events, whole.events, cut)

    def test_seeded_random_bytes(self) -> None:
        """No bytes at all lead to anything but events, and to the same in any pieces."""
        generator = random.Random(20)
        for seed in range(150):
            data = bytearray(store(1, bytes(500), 100) + p_data(pdv(3, COMMAND | LAST, ECHO)) + RELEASE)
            for _ in range(generator.randrange(4)):
                data[generator.randrange(len(data))] = generator.randrange(256)
            cuts = [generator.randrange(len(data)) for _ in range(10)]
            with self.subTest(seed=seed):
                self.assertEqual(run(bytes(data), cuts).events, run(bytes(data)).events)


class Packing(unittest.TestCase):
    """What a sender may do, PS3.8 Annex E."""

    BODY = bytes(range(256)) * 2
    ROWS: tuple[tuple[str, bytes], ...] = (
        ("a value to a PDU", store(1, BODY, 100)),
        ("one byte to a fragment", store(1, BODY, 1)),
        ("all in one PDU", p_data(pdv(1, COMMAND | LAST, STORE), pdv(1, LAST, BODY))),
        (
            "several values to a PDU",
            p_data(pdv(1, COMMAND, STORE[:9]), pdv(1, COMMAND | LAST, STORE[9:]), pdv(1, DATA, BODY[:1]))
            + p_data(pdv(1, DATA, BODY[1:300]), pdv(1, LAST, BODY[300:])),
        ),
        (
            "empty fragments",
            p_data(pdv(1, COMMAND), pdv(1, COMMAND, STORE)) + p_data(pdv(1, COMMAND | LAST)) + p_data(pdv(1, DATA))
            + p_data(pdv(1, DATA, BODY)) + p_data(pdv(1, LAST)),
        ),
        ("unused bits of the control header", p_data(pdv(1, 0xFF, STORE)) + p_data(pdv(1, 0xFE, BODY))),
        ("reserved byte", b"\4\xff" + p_data(pdv(1, 3, STORE))[2:] + b"\4\xff" + p_data(pdv(1, LAST, BODY))[2:]),
    )  # fmt: skip

    def test_rows(self) -> None:
        for name, data in self.ROWS:
            for raw in (False, True):
                with self.subTest(name, raw=raw):
                    log = run(data + data, raw=raw)
                    self.assertEqual(log.of("message", "invalid"), [("message", 1, STORE, self.BODY)] * 2)
                    self.assertEqual(b"".join(content for _type, content in log.of("raw")), raw * (data + data))

    def test_an_empty_data_set(self) -> None:
        self.assertEqual(run(store(1, b"")).of("message"), [(1, STORE, b"")])

    def test_two_messages_in_one_pdu(self) -> None:
        """PS3.8 E.1 wants one message to a PDU; a receiver can put up with two."""
        log = run(p_data(pdv(1, COMMAND | LAST, ECHO), pdv(3, COMMAND | LAST, ECHO)))
        self.assertEqual(log.of("message", "invalid"), [("message", 1, ECHO, None), ("message", 3, ECHO, None)])

    def test_the_data_set_type_decides_whether_a_data_set_comes(self) -> None:
        log = run(p_data(pdv(1, COMMAND | LAST, ECHO)) + store(1, b"ab"))
        self.assertEqual([len(event) > 0 for event in log.of("spool")], [True])
        self.assertEqual([data for _context, _command, data in log.of("message")], [None, b"ab"])

    def test_control_pdus_within_a_message(self) -> None:
        """Nothing is lost; whether it may be is the upper layer's affair."""
        data = store(1, b"abcd", 2)
        at = len(data) - len(p_data(pdv(1, LAST, b"cd")))
        log = run(data[:at] + RELEASE + data[at:])
        told = [("control_pdu", 5, bytes(4)), ("message", 1, STORE, b"abcd")]
        self.assertEqual(log.of("message", "control_pdu"), told)

    def test_every_data_pdu_is_asked_for_once(self) -> None:
        data = store(1, bytes(5000), 10)
        for raw in (False, True):
            for cuts in ((), range(0, len(data), 7)):
                self.assertEqual(len(run(data, cuts, raw=raw).of("data_pdu")), 501)


class Malformed(unittest.TestCase):
    """Each way to break the rules is told once, whatever follows, and the message that has begun is forgotten."""

    BEGUN = p_data(pdv(1, COMMAND | LAST, STORE)) + p_data(pdv(1, DATA, b"ab"))
    # What is wrong, the bytes, the reason for the abort and the error code.
    ROWS: tuple[tuple[str, bytes, AbortReason, ErrorCode], ...] = (
        ("PDU type 0", pdu(0, b"\1\2"), AbortReason.UNRECOGNIZED, ErrorCode.PDU_TYPE),
        ("PDU type 8", pdu(8, b""), AbortReason.UNRECOGNIZED, ErrorCode.PDU_TYPE),
        ("PDU type 255", pdu(255, bytes(100_000)), AbortReason.UNRECOGNIZED, ErrorCode.PDU_TYPE),
        ("reject of 3 bytes", pdu(3, bytes(3)), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("reject of 5 bytes", pdu(3, bytes(5)), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("release request of 3 bytes", pdu(5, bytes(3)), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("release request of 5 bytes", pdu(5, bytes(5)), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("release response of 0 bytes", pdu(6, b""), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("release response of 5 bytes", pdu(6, bytes(5)), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("abort of 3 bytes", pdu(7, bytes(3)), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("abort of 5 bytes", pdu(7, bytes(5)), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("abort of 4 GiB", pdu(7, bytes(4), 0xFFFFFFFF), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("request of 4 GiB", pdu(1, bytes(99), 0xFFFFFFFF), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("accept of 1 MiB + 1", pdu(2, b"", (1 << 20) + 1), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("data over the maximum", p_data(pdv(1, 3, bytes(16385))), AbortReason.INVALID_PARAM, ErrorCode.PDU_LENGTH),
        ("data without a value", p_data(), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("value of length 0", p_data(bytes(4) + b"\1\1"), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("value of length 1", p_data(b"\0\0\0\1\1\1\0\0"), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("value that runs over", p_data(b"\0\0\0\7\1\1" + ECHO[:4]), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("value of 4 GiB", p_data(b"\xff\xff\xff\xff\1\1" + ECHO[:4]), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("value whose length wraps", p_data(b"\xff\xff\xff\xfc\1\1"), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("1 byte behind the value", p_data(pdv(1, 1, b"ab"), b"\0"), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("5 bytes and no value", p_data(b"\0\0\0\2\1"), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("context not accepted", p_data(pdv(5, 3, ECHO)), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("context 0", p_data(pdv(0, 3, ECHO)), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("even context", p_data(pdv(2, 3, ECHO)), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("data before command", p_data(pdv(1, DATA | LAST, b"ab")), AbortReason.UNEXPECTED_PARAM, ErrorCode.FORMAT),
        (
            "data within the command",
            p_data(pdv(1, COMMAND, STORE[:9]), pdv(1, DATA, b"ab")),
            AbortReason.UNEXPECTED_PARAM,
            ErrorCode.FORMAT,
        ),
        ("command within the data", BEGUN + p_data(pdv(1, 3, ECHO)), AbortReason.UNEXPECTED_PARAM, ErrorCode.FORMAT),
        ("another context in between", BEGUN + p_data(pdv(3, 3, ECHO)), AbortReason.UNEXPECTED_PARAM, ErrorCode.FORMAT),
        (
            "another context within the command",
            p_data(pdv(1, COMMAND, STORE[:9]), pdv(3, COMMAND | LAST, STORE[9:])),
            AbortReason.UNEXPECTED_PARAM,
            ErrorCode.FORMAT,
        ),
        ("empty command", p_data(pdv(1, 3)), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("cut command", p_data(pdv(1, 3, ECHO[:-1])), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        ("big command", p_data(pdv(1, COMMAND, bytes(1001))), AbortReason.INVALID_PARAM, ErrorCode.FORMAT),
        (
            "big command in pieces",
            p_data(pdv(1, COMMAND, bytes(600)), pdv(1, COMMAND, bytes(600))),
            AbortReason.INVALID_PARAM,
            ErrorCode.FORMAT,
        ),
    )  # fmt: skip
    LIMITS = Limits(command_set=1000)

    def test_rows(self) -> None:
        for name, data, reason, code in self.ROWS:
            for raw in (False, True):
                with self.subTest(name, raw=raw):
                    log = run(data, raw=raw, limits=self.LIMITS)
                    (told,) = log.of("invalid")
                    self.assertEqual(told[:2], (reason, code))
                    self.assertEqual(log.of("message", "message_lost", "control_pdu"), [])

    def test_the_text_names_the_context(self) -> None:
        for context in (0, 2, 5):
            ((_reason, _code, text),) = run(p_data(pdv(context, 3, ECHO))).of("invalid")
            self.assertIn(f"context {context} ", text)

    def test_what_follows_is_passed_over(self) -> None:
        """P-DATA-TF behind it are not looked into, control PDUs are still told."""
        for name, data, _reason, _code in self.ROWS:
            if "GiB" in name or "MiB" in name:
                continue
            with self.subTest(name):
                log = run(data + store(1, b"x") + RELEASE, limits=self.LIMITS)
                self.assertEqual(log.of("invalid", "message", "control_pdu")[1:], [("control_pdu", 5, bytes(4))])

    def test_the_state_behind_it_is_clean(self) -> None:
        """Where it goes on all the same, the next message is whole."""
        for name, data, _reason, _code in self.ROWS:
            if "GiB" in name or "MiB" in name:
                continue
            with self.subTest(name):
                log = Log()
                log.goes_on = True
                run(data + store(3, b"next"), limits=self.LIMITS, log=log)
                self.assertEqual(log.of("message"), [(3, STORE, b"next")])
                self.assertEqual(len(log.of("invalid")), 1)

    def test_in_any_pieces(self) -> None:
        for name, data, _reason, _code in self.ROWS:
            for raw in (False, True):
                with self.subTest(name, raw=raw):
                    whole = run(data[:3000] + RELEASE, raw=raw, limits=self.LIMITS)
                    cut = run(data[:3000] + RELEASE, range(3000), raw=raw, limits=self.LIMITS)
                    self.assertEqual(cut.events, whole.events)

    def test_the_border_of_the_maximum(self) -> None:
        tolerance = Limits().pdu_tolerance
        for maximum in (8, 16, MAXIMUM):
            for raw in (False, True):
                for over, told in ((-1, 0), (0, 0), (tolerance, 0), (tolerance + 1, 1)):
                    with self.subTest(maximum=maximum, raw=raw, over=over):
                        data = p_data(pdv(1, COMMAND, bytes(maximum + over - 6)))
                        log = run(data, raw=raw, maximum=maximum)
                        self.assertEqual(len(log.of("invalid")), told)

    def test_the_border_of_the_maximum_within_a_data_set(self) -> None:
        """The fast path keeps the same border."""
        for over, told in ((6, 0), (7, 1)):
            data = self.BEGUN + p_data(pdv(1, DATA, bytes(MAXIMUM + over - 6))) + p_data(pdv(1, LAST, b"cd"))
            log = run(data)
            self.assertEqual((len(log.of("invalid")), len(log.of("message"))), (told, 1 - told))

    def test_no_maximum_is_no_border(self) -> None:
        data = p_data(pdv(1, COMMAND | LAST, STORE)) + p_data(pdv(1, LAST, bytes(1 << 20)))
        for raw in (False, True):
            self.assertEqual(run(data, raw=raw, maximum=0).of("message"), [(1, STORE, bytes(1 << 20))])

    def test_a_whole_pdu_without_maximum_has_a_limit_of_its_own(self) -> None:
        data, limits = p_data(pdv(1, LAST | COMMAND, ECHO)), Limits(maximum_pdu=50)
        self.assertEqual(len(run(data, raw=True, maximum=0, limits=limits).of("invalid")), 1)
        self.assertEqual(len(run(data, raw=False, maximum=0, limits=limits).of("message")), 1)

    def test_the_border_of_the_command_set(self) -> None:
        padded = encode_elements({0x0100: b"\x30\0", 0x0110: b"\7\0", 0x0800: b"\1\1", 0x0902: bytes(500)})
        for size in (1, 100, 5000):
            starts = range(0, len(padded), size)
            data = p_data(*(pdv(1, COMMAND | LAST * (at == starts[-1]), padded[at : at + size]) for at in starts))
            for limit, invalid in ((len(padded), 0), (len(padded) - 1, 1)):
                with self.subTest(size=size, limit=limit):
                    log = run(data, limits=Limits(command_set=limit))
                    self.assertEqual((len(log.of("invalid")), len(log.of("message"))), (invalid, 1 - invalid))

    def test_contexts_are_those_of_the_association(self) -> None:
        log = Log()
        feed(Inbound(log, Limits()), p_data(pdv(1, 3, ECHO)))
        self.assertEqual(len(log.of("invalid")), 1)


class Memory(unittest.TestCase):
    """The buffer grows with what has arrived, never with what was announced."""

    def sizes(self, stream: Iterable[bytes], *, raw: bool = False, maximum: int = 0) -> tuple[int, Inbound]:
        """The largest room there ever was, and the `Inbound` at the end."""
        log = Log()
        log.spool = lambda message: Nothing(None, 0)  # type: ignore[method-assign]
        inbound = Inbound(log, Limits())
        inbound.establish(CONTEXTS, maximum)
        if raw:
            inbound.raw = lambda pdu_type, whole: None
        largest = 0
        for data in stream:
            feed(inbound, data)
            largest = max(largest, len(inbound.room()))
        return largest, inbound

    def test_announced_lengths(self) -> None:
        rows = (
            ("a request of 1 MiB", pdu(1, bytes(100), 1 << 20)),
            ("a request of 4 GiB", pdu(1, bytes(100), 0xFFFFFFFF)),
            ("an unknown PDU of 4 GiB", pdu(99, bytes(100), 0xFFFFFFFF)),
            ("data of 4 GiB", pdu(4, pdv(1, 3, ECHO), 0xFFFFFFFF)),
            ("a value of 4 GiB", pdu(4, b"\xff\xff\xff\xf0\1\1" + bytes(100), 0xFFFFFFF4)),
        )
        for name, data in rows:
            for raw in (False, True):
                with self.subTest(name, raw=raw):
                    self.assertLessEqual(self.sizes([data], raw=raw)[0], 64 << 10)

    def test_a_pdu_of_4_gib_streams(self) -> None:
        head = p_data(pdv(1, COMMAND | LAST, STORE)) + pdu(4, b"\xff\xff\xff\xf0\1\0", 0xFFFFFFF4)
        largest, inbound = self.sizes([head, *[bytes(1 << 20)] * 8])
        self.assertLessEqual(largest, 1 << 20)
        self.assertEqual(inbound.bytes_of_message, 8 << 20)
        self.assertGreaterEqual(inbound.payload, 8 << 20)
        self.assertTrue(inbound.is_inside_pdu)

    def test_a_pdu_that_is_passed_over_is_not_held(self) -> None:
        largest, inbound = self.sizes([pdu(99, b"", 16 << 20), *[bytes(1 << 20)] * 16, RELEASE])
        self.assertLessEqual(largest, 1 << 20)
        self.assertFalse(inbound.is_inside_pdu)

    def test_a_whole_pdu_takes_at_most_twice_its_length(self) -> None:
        content = pdv(1, COMMAND | LAST, STORE) + pdv(1, LAST, bytes(900_000))
        for raw, data in ((False, pdu(1, content)), (True, p_data(content))):
            parts = [data[at : at + 30_000] for at in range(0, len(data), 30_000)]
            self.assertLessEqual(self.sizes(parts, raw=raw)[0], 2 * len(data))

    def test_rest_gives_a_large_buffer_back(self) -> None:
        largest, inbound = self.sizes([store(1, bytes(1 << 20), 16000)] * 3)
        self.assertGreater(largest, 64 << 10)
        inbound.rest()
        self.assertLessEqual(len(inbound.room()), 64 << 10)

    def test_rest_keeps_what_is_unread(self) -> None:
        for before in (b"", RELEASE * 100_000):  # a small buffer, and a large one
            log = Log()
            inbound = Inbound(log, Limits())
            feed(inbound, before + RELEASE[:7])
            inbound.rest()
            log.events.clear()
            feed(inbound, RELEASE[7:])
            self.assertEqual(log.events, [("control_pdu", 5, bytes(4))])


class Nothing(Spool):
    """A sink that counts only."""

    def write(self, fragments: list[memoryview]) -> None:
        """Count."""
        self.size += sum(map(len, fragments))


class Sinks(unittest.TestCase):
    """Where data sets go, and what happens when they cannot."""

    def setUp(self) -> None:
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def test_a_long_one_goes_to_a_file(self) -> None:
        body = random.Random(1).randbytes(50_000)
        for cuts in ((), range(0, 60_000, 777)):
            log = run(store(1, body), cuts, log=Log(self.folder, memory=10_000))
            self.assertEqual(log.of("message"), [(1, STORE, body)])
            self.assertEqual(list(Path(self.folder).iterdir()), [])

    def test_a_sink_that_fails_loses_its_message_only(self) -> None:
        data = store(1, bytes(5000)) + store(3, b"next", 1) + RELEASE
        for cuts in ((), range(0, len(data), 50)):
            for raw in (False, True):
                log = run(data, cuts, raw=raw, log=Log(spools=[Broken]))
                self.assertEqual(
                    log.of("message_lost", "message", "control_pdu", "invalid"),
                    [
                        ("message_lost", 1, STORE, ErrorCode.DISK_FULL),
                        ("message", 3, STORE, b"next"),
                        ("control_pdu", 5, bytes(4)),
                    ],
                )

    def test_a_folder_that_is_not_there(self) -> None:
        log = run(store(1, bytes(5000)) + store(1, b"x"), log=Log(self.folder + "/none", memory=10))
        self.assertEqual([event[0] for event in log.of("message_lost", "message")], ["message_lost", "message"])

    def test_a_sink_that_fails_at_the_end_loses_its_message_only(self) -> None:
        """What the system tells only when the file is closed, such as an exceeded quota."""

        class FailsAtTheEnd(Spool):
            def finish(self) -> Any:
                raise LDicomDataError(ErrorCode.DISK_FULL, "over quota")

        log = run(store(1, bytes(50)) + store(3, b"next"), log=Log(spools=[FailsAtTheEnd]))
        told = [event[:2] for event in log.of("message_lost", "message")]
        self.assertEqual(told, [("message_lost", 1), ("message", 3)])

    def test_the_cap_of_a_data_set(self) -> None:
        for size, cuts in ((999, ()), (1000, ()), (1001, ()), (90_000, ()), (1001, range(2000))):
            with self.subTest(size=size):
                log = run(store(1, bytes(size), 100) + store(1, b"x"), cuts, limits=Limits(data_set=1000))
                lost = [] if size <= 1000 else [(1, STORE, ErrorCode.MEMORY)]
                self.assertEqual(log.of("message_lost"), lost)
                self.assertEqual(len(log.of("message")), 2 - len(lost))

    def test_discard_removes_what_was_begun(self) -> None:
        log = Log(self.folder, memory=10)
        inbound = Inbound(log, Limits())
        inbound.establish(CONTEXTS, MAXIMUM)
        feed(inbound, store(1, bytes(5000))[:-50])
        self.assertEqual(len(list(Path(self.folder).iterdir())), 1)
        inbound.discard()
        self.assertEqual(list(Path(self.folder).iterdir()), [])

    def test_an_invalid_pdu_removes_what_was_begun(self) -> None:
        inbound = Inbound(Log(self.folder, memory=10), Limits())
        inbound.establish(CONTEXTS, MAXIMUM)
        feed(inbound, store(1, bytes(5000))[:-50])
        feed(inbound, bytes(50) + p_data(pdv(5, 3)))
        self.assertEqual(list(Path(self.folder).iterdir()), [])


class Where(unittest.TestCase):
    """What the reader asks between two reads."""

    def test_inside_of_what(self) -> None:
        data = store(1, b"abcd", 2)
        command, first = len(p_data(pdv(1, 3, STORE))), len(p_data(pdv(1, 0, b"ab")))
        between = {0: False, command: True, command + first: True, len(data): False}
        log = Log()
        inbound = Inbound(log, Limits())
        inbound.establish(CONTEXTS, MAXIMUM)
        for at in range(len(data) + 1):
            with self.subTest(at=at):
                self.assertEqual(inbound.is_inside_pdu, at not in between)
                self.assertEqual(inbound.is_inside_message, between.get(at, at >= 12))
            feed(inbound, data[at : at + 1])

    def test_bytes_of_the_message(self) -> None:
        inbound = Inbound(Log(), Limits())
        inbound.establish(CONTEXTS, MAXIMUM)
        feed(inbound, store(1, bytes(2500))[:-10])
        self.assertEqual(inbound.bytes_of_message, 2490)
        before = inbound.payload
        feed(inbound, bytes(10))
        self.assertEqual((inbound.bytes_of_message, inbound.payload), (0, before + 10))

    def test_a_data_pdu_that_is_not_taken(self) -> None:
        log = Log()
        log.takes_data = False
        run(p_data(pdv(9, 99, b"whatever")) + RELEASE, log=log)
        self.assertEqual(log.events, [("data_pdu",), ("control_pdu", 5, bytes(4))])

    def test_a_data_pdu_that_is_no_longer_taken(self) -> None:
        """Asked for once each, in the middle of a data set too."""
        for cuts in ((), range(5000)):
            log = Log()
            inbound = Inbound(log, Limits())
            inbound.establish(CONTEXTS, MAXIMUM)
            feed(inbound, Malformed.BEGUN, cuts)
            log.takes_data = False
            feed(inbound, p_data(pdv(1, DATA, b"cd")) * 2 + RELEASE, cuts)
            self.assertEqual(len(log.of("data_pdu")), 4)
            self.assertEqual(log.of("message", "invalid", "control_pdu"), [("control_pdu", 5, bytes(4))])

    def test_stopped_leaves_the_rest(self) -> None:
        log = Log()
        inbound = Inbound(log, Limits())
        inbound.raw = lambda pdu_type, whole: setattr(inbound, "stopped", pdu_type == 7)
        feed(inbound, RELEASE + pdu(7, bytes(4)) + RELEASE)
        self.assertEqual([event[1] for event in log.of("control_pdu", "none")], [5, 7])
        feed(inbound, RELEASE)
        self.assertEqual(len(log.of("control_pdu")), 2)


if __name__ == "__main__":
    unittest.main()
