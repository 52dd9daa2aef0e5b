"""`inbound`: bytes in any pieces become the same PDUs and messages; what is malformed is told once and held nowhere."""

from __future__ import annotations

import random
import struct
import tempfile
import unittest
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

from ldicomnet import inbound as room
from ldicomnet.command_set import encode_elements
from ldicomnet.errors import LDicomDataError, LDicomProtocolError
from ldicomnet.inbound import Inbound
from ldicomnet.message import BY_NAME, ROWS, Message, Row, decode, encode
from ldicomnet.sinks import Sink, Spool
from ldicomnet.status import AbortReason, ErrorCode, Status
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


def filled(row: Row, message_id: int) -> tuple[Any, ...]:
    """Values of a row's parameters."""
    texts = {"sop_class_uid": "1.2.840.10008.1.1", "sop_instance_uid": "1.2.3", "move_ae": "MOVER"}
    return tuple(
        message_id if one.name == "message_id" else [0x00100010] if one.vr == "AT" else texts.get(one.name, 0x0102)
        for one in row.parameters
    )


class Broken(Spool):
    """A sink that cannot take anything."""

    def write(self, fragments: list[memoryview]) -> None:
        """Fail."""
        raise LDicomDataError(ErrorCode.DISK_FULL, "no room")


class Log:
    """Notes what it is told; like the engine it passes P-DATA-TF over once something was invalid."""

    def __init__(
        self, folder: str | None = None, memory: int = 1 << 30, sinks: Iterable[type[Spool] | None] = ()
    ) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.folder, self.memory, self.sinks = folder, memory, list(sinks)
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

    def sink(self, message: Message) -> Sink | None:
        """See `Events`."""
        self.events.append(("sink", message.command_set))
        if not self.sinks:
            return Spool(self.folder, self.memory)
        kind = self.sinks.pop(0)
        return None if kind is None else kind(self.folder, self.memory)

    def message(self, message: Message) -> None:
        """See `Events`; the body is taken out of the message, as `Conversation` does it."""
        body, message.body = message.body, None
        data = None if body is None else body.open().read()
        self.events.append(("message", message.presentation_id, message.command_set, data))

    def message_lost(self, message: Message, error: LDicomDataError) -> None:
        """See `Events`."""
        self.events.append(("message_lost", message.presentation_id, message.command_set, error.code))

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """The events of these names, without the name where there is one."""
        return [event[1:] if len(names) == 1 else event for event in self.events if event[0] in names]

    @property
    def told(self) -> list[tuple[Any, ...]]:
        """All events, but how often it was asked whether P-DATA-TF are taken: that depends on what came together."""
        return [event for event in self.events if event[0] != "data_pdu"]


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
    inbound.end()
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
        self.assertEqual(split.told, whole.told)

    @settings(derandomize=True, max_examples=60, deadline=None)
    @given(streams())
    def test_whole_pdus_and_streaming_tell_the_same(self, stream: Stream) -> None:
        data, _expected = stream
        streaming, whole = run(data), run(data, raw=True)
        self.assertEqual([event for event in whole.told if event[0] != "raw"], streaming.told)
        self.assertEqual(b"".join(content for _type, content in whole.of("raw")), data)

    def test_byte_by_byte_and_at_every_byte(self) -> None:
        data = RELEASE + store(3, bytes(range(100)), 30) + p_data(pdv(1, COMMAND | LAST, ECHO)) + pdu(7, b"\0\0\2\6")
        for raw in (False, True):
            whole = run(data, raw=raw)
            self.assertEqual(len(whole.of("message")), 2)
            self.assertEqual(b"".join(content for _type, content in whole.of("raw")), data if raw else b"")
            self.assertEqual(run(data, range(len(data)), raw=raw).told, whole.told)
            for cut in range(len(data)):
                self.assertEqual(run(data, (cut,), raw=raw).told, whole.told, cut)

    def test_seeded_random_bytes(self) -> None:
        """No bytes at all lead to anything but events, and to the same in any pieces."""
        generator = random.Random(20)
        for seed in range(150):
            data = bytearray(store(1, bytes(500), 100) + p_data(pdv(3, COMMAND | LAST, ECHO)) + RELEASE)
            for _ in range(generator.randrange(4)):
                data[generator.randrange(len(data))] = generator.randrange(256)
            cuts = [generator.randrange(len(data)) for _ in range(10)]
            with self.subTest(seed=seed):
                self.assertEqual(run(bytes(data), cuts).told, run(bytes(data)).told)


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
        self.assertEqual([len(event) > 0 for event in log.of("sink")], [True])
        self.assertEqual([data for _context, _command, data in log.of("message")], [None, b"ab"])

    def test_control_pdus_within_a_message(self) -> None:
        """Nothing is lost; whether it may be is the upper layer's affair."""
        data = store(1, b"abcd", 2)
        at = len(data) - len(p_data(pdv(1, LAST, b"cd")))
        log = run(data[:at] + RELEASE + data[at:])
        told = [("control_pdu", 5, bytes(4)), ("message", 1, STORE, b"abcd")]
        self.assertEqual(log.of("message", "control_pdu"), told)

    def test_data_pdus_that_come_together_are_asked_for_once(self) -> None:
        """For the command set, and for all the rest; one by one where they come so, or are handed out whole."""
        data = store(1, bytes(5000), 10)
        for raw, cuts, asked in (
            (False, (), 2),
            (False, (len(data) // 2,), 3),
            (False, range(0, len(data), 7), 501),
            (True, (), 501),
            (True, range(0, len(data), 7), 501),
        ):
            with self.subTest(raw=raw, cuts=cuts):
                self.assertEqual(len(run(data, cuts, raw=raw).of("data_pdu")), asked)

    def test_data_pdus_are_asked_for_anew_behind_a_message(self) -> None:
        """What its hook did, such as an abort, holds for the next one, though both came together."""

        class Ending(Log):
            def message(self, message: Message) -> None:
                super().message(message)
                self.takes_data = False

        two = store(1, bytes(50), 10) + store(3, bytes(50), 10) + RELEASE
        echo = p_data(pdv(1, COMMAND | LAST, ECHO))
        for data in (two, echo * 3 + RELEASE, store(1, bytes(50), 10) + echo + RELEASE, echo + two):
            for raw in (False, True):
                log = run(data, raw=raw, log=Ending())
                self.assertEqual(len(log.of("message")), 1)
                self.assertLessEqual(len(log.of("sink")), 1, "the next one is not even begun")
                self.assertEqual(log.of("message", "control_pdu")[1:], [("control_pdu", 5, bytes(4))])
                self.assertEqual(log.of("invalid"), [])

    def test_stopped_by_a_message(self) -> None:
        """Nothing behind it is looked at, though it came together."""
        for first in (p_data(pdv(1, COMMAND | LAST, ECHO)), store(1, bytes(50), 10)):
            log = Log()
            inbound = Inbound(log, Limits())
            inbound.establish(CONTEXTS, MAXIMUM)
            log.message = lambda message, told=inbound: setattr(told, "stopped", True)  # type: ignore
            feed(inbound, first + store(3, b"x") + RELEASE)
            self.assertEqual(len(log.of("sink", "control_pdu", "invalid")), len(log.of("sink")))
            self.assertLessEqual(len(log.of("sink")), 1)


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
                    self.assertEqual(cut.told, whole.told)

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

    def test_before_an_association_no_data_are_awaited_whole(self) -> None:
        """Whoever wants whole PDUs holds as much for a peer without an association as for its request."""
        for length, error in ((50, 0), (51, 1)):
            log = Log()
            inbound = Inbound(log, Limits(association_pdu=50))
            inbound.raw = lambda pdu_type, whole: None
            feed(inbound, pdu(4, pdv(1, 3, bytes(length - 6))[:8], length))
            self.assertEqual((len(log.events), inbound.is_unfinished), (error, True))

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
        log.sink = lambda message: Nothing(None, 0)  # type: ignore[method-assign]
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
            ("a request as long as it may be", pdu(1, bytes(100), Limits().association_pdu)),
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
        self.assertTrue(inbound.is_unfinished)

    def test_a_pdu_that_is_passed_over_is_not_held(self) -> None:
        largest, inbound = self.sizes([pdu(99, b"", 16 << 20), *[bytes(1 << 20)] * 16, RELEASE])
        self.assertLessEqual(largest, 1 << 20)
        self.assertFalse(inbound.is_unfinished)

    def test_a_whole_pdu_takes_at_most_twice_its_length(self) -> None:
        content = pdv(1, COMMAND | LAST, STORE) + pdv(1, LAST, bytes(900_000))
        for raw, data in ((False, pdu(1, content)), (True, p_data(content))):
            parts = [data[at : at + 30_000] for at in range(0, len(data), 30_000)]
            self.assertLessEqual(self.sizes(parts, raw=raw)[0], 2 * len(data))

    def test_without_an_association_a_flood_gets_no_large_buffer(self) -> None:
        inbound = Inbound(Log(), Limits())
        feed(inbound, pdu(99, b"", 16 << 20))
        for _ in range(8):
            feed(inbound, bytes(1 << 20))
            self.assertLessEqual(len(inbound.room()), 64 << 10)

    def test_a_whole_pdu_gets_no_more_than_it_needs(self) -> None:
        """Once that is not much more than what has come."""
        rows = ((1 << 18, 150_000, (1 << 18) + 6), (70_000, 65_536, 70_006), (1 << 18, 65_536, 1 << 17))
        for length, sent, most in rows:
            with self.subTest(length=length, sent=sent):
                self.assertLessEqual(self.sizes([pdu(1, bytes(sent - 6), length)])[1].room().nbytes + sent, most)

    def test_a_flood_that_is_not_taken_gives_it_back(self) -> None:
        """What is in the buffer is looked at before any deadline is."""
        log = Log()
        inbound = Inbound(log, Limits())
        inbound.establish(CONTEXTS, MAXIMUM)
        feed(inbound, store(1, bytes(4 << 20), 16000))
        self.assertEqual(len(inbound.room()), 1 << 20)
        log.takes_data = False
        feed(inbound, p_data(pdv(1, DATA, b"")) * 200_000)
        self.assertLessEqual(len(inbound.room()), 64 << 10)

    def test_rest_gives_a_large_buffer_back(self) -> None:
        largest, inbound = self.sizes([store(1, bytes(1 << 20), 16000)] * 3)
        self.assertGreater(largest, 64 << 10)
        inbound.rest()
        self.assertLessEqual(len(inbound.room()), 64 << 10)

    def test_rest_keeps_what_is_unread(self) -> None:
        for before in (b"", RELEASE * 100_000):  # a small buffer, and a large one
            log = Log()
            inbound = Inbound(log, Limits())
            inbound.establish(CONTEXTS, 0)
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
                log = run(data, cuts, raw=raw, log=Log(sinks=[Broken]))
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

        log = run(store(1, bytes(50)) + store(3, b"next"), log=Log(sinks=[FailsAtTheEnd]))
        told = [event[:2] for event in log.of("message_lost", "message")]
        self.assertEqual(told, [("message_lost", 1), ("message", 3)])

    def test_a_data_set_without_a_sink_passes_by(self) -> None:
        """It is counted as payload, and its message told without a body."""
        data = store(1, bytes(5000), 900) + store(3, b"next") + RELEASE
        for cuts in ((), range(0, len(data), 50), range(len(data))):
            for raw in (False, True):
                for limits in (Limits(), Limits(data_set=1000)):
                    log = Log(sinks=[None])
                    inbound = Inbound(log, limits)
                    inbound.establish(CONTEXTS, MAXIMUM)
                    if raw:
                        inbound.raw = lambda pdu_type, whole: None
                    feed(inbound, data, cuts)
                    messages = [("message", 1, STORE, None), ("message", 3, STORE, b"next")]
                    told = log.of("message", "message_lost", "control_pdu", "invalid")
                    self.assertEqual(told, [*messages, ("control_pdu", 5, bytes(4))])
                    self.assertEqual(inbound.payload, 2 * len(STORE) + 5004)

    def test_the_sink_is_asked_for_once_and_before_the_data_set(self) -> None:
        data = store(1, bytes(500), 10)
        inbound = Inbound(log := Log(), Limits())
        inbound.establish(CONTEXTS, MAXIMUM)
        command = len(p_data(pdv(1, 3, STORE)))
        feed(inbound, data[:command])
        self.assertEqual(log.told, [("sink", STORE)])
        feed(inbound, data[command:], range(0, len(data), 7))
        self.assertEqual(log.told, [("sink", STORE), ("message", 1, STORE, bytes(500))])

    def counting(self) -> tuple[type[Spool], list[int]]:
        """A kind of sink, and how many bytes each of its writes brought."""
        writes: list[int] = []

        class Counting(Spool):
            def write(self, fragments: list[memoryview]) -> None:
                writes.append(sum(map(len, fragments)))
                super().write(fragments)

        return Counting, writes

    def test_a_sink_is_written_once_for_what_came_together(self) -> None:
        for cuts in ((), range(0, 12_000, 100)):
            kind, writes = self.counting()
            run(store(1, bytes(5000), 10) + store(1, b"x"), cuts, log=Log(sinks=[kind, kind]))
            self.assertEqual(writes, [5000, 1])

    def test_writes_are_neither_small_nor_late(self) -> None:
        """However small the reads are, what has come waits only as long as it is little and there is room."""
        body = random.Random(2).randbytes(3 << 20)
        for size, read in ((16_378, 1448), (16_378, 16_384), (1000, 500), (131_066, 60_000), (1_048_570, 200_000)):
            with self.subTest(size=size, read=read):
                kind, writes = self.counting()
                log = Log(sinks=[kind])
                data = store(1, body, size)
                run(data, range(0, len(data), read), log=log, maximum=0)
                self.assertEqual(log.of("message"), [(1, STORE, body)])
                self.assertLessEqual(len(writes), len(body) // (32 << 10))
                self.assertLessEqual(max(writes), 1 << 20)

    def test_what_waits_is_written_when_nothing_comes(self) -> None:
        kind, writes = self.counting()
        log = Log(sinks=[kind])
        inbound = Inbound(log, Limits())
        inbound.establish(CONTEXTS, MAXIMUM)
        data = store(1, bytes(range(256)) * 100, 1000)
        feed(inbound, data[:10_000])
        inbound.rest()
        self.assertGreater(sum(writes), 9000)
        written = sum(writes)
        inbound.rest()
        self.assertEqual(sum(writes), written)
        feed(inbound, data[10_000:])
        self.assertEqual(log.of("message"), [(1, STORE, bytes(range(256)) * 100)])

    def test_what_waits_is_not_overwritten(self) -> None:
        """Reads of any size, PDUs of any size, with pauses: every byte arrives, in its place."""
        for seed in range(40):
            generator = random.Random(seed)
            body = generator.randbytes(generator.randrange(400_000))
            data = store(1, body, generator.choice((2, 100, 5000, 16_378, 100_000)) if len(body) > 9000 else 7)
            log = Log()
            inbound = Inbound(log, Limits())
            inbound.establish(CONTEXTS, 0)
            at = 0
            while at < len(data):
                count = min(generator.choice((1, 50, 1448, 30_000, 300_000)), len(data) - at)
                feed(inbound, data[at : at + count])
                at += count
                if generator.random() < 0.1:
                    inbound.rest()
            with self.subTest(seed=seed):
                self.assertEqual(log.of("message"), [(1, STORE, body)])

    def test_a_sink_that_fails_late(self) -> None:
        """The message that is lost is the one whose fragments waited, not the next."""

        class Full(Spool):
            def write(self, fragments: list[memoryview]) -> None:
                raise LDicomDataError(ErrorCode.DISK_FULL, "no room")

        for size in (10, 200_000):
            for cuts in ((), range(0, 300_000, 1000)):
                log = run(store(1, bytes(size), 5000) + store(3, b"next"), cuts, log=Log(sinks=[Full]))
                told = [event[:2] for event in log.of("message_lost", "message")]
                self.assertEqual(told, [("message_lost", 1), ("message", 3)])

    def test_an_element_that_is_found_malformed_before_the_data_set(self) -> None:
        class Checking(Log):
            def sink(self, message: Message) -> Sink | None:
                raise LDicomProtocolError("priority of 4 bytes")

        log = run(store(1, bytes(5000)) + RELEASE, log=Checking())
        self.assertEqual(log.of("message", "message_lost"), [])
        self.assertEqual([event[0] for event in log.of("invalid", "control_pdu")], ["invalid", "control_pdu"])

    def test_the_end_discards_a_sink_of_any_kind(self) -> None:
        discarded: list[int] = []

        class Discarded(Spool):
            def discard(self) -> None:
                discarded.append(self.size)

        for data in (store(1, bytes(50))[:-10], p_data(pdv(1, COMMAND | LAST, STORE))):
            inbound = Inbound(Log(sinks=[Discarded]), Limits())
            inbound.establish(CONTEXTS, MAXIMUM)
            feed(inbound, data)
            inbound.rest()
            inbound.end()
            inbound.end()
        self.assertEqual(discarded, [40, 0])

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
        inbound.rest()
        self.assertEqual(len(list(Path(self.folder).iterdir())), 1)
        inbound.end()
        self.assertEqual(list(Path(self.folder).iterdir()), [])

    def test_an_invalid_pdu_removes_what_was_begun(self) -> None:
        """Whether the fragments still wait in the buffer or are in their file."""
        begun = store(1, bytes(5000), 1000)[: -len(p_data(pdv(1, LAST, bytes(1000))))]
        for is_written in (False, True):
            log = Log(self.folder, memory=10)
            inbound = Inbound(log, Limits())
            inbound.establish(CONTEXTS, MAXIMUM)
            feed(inbound, begun)
            if is_written:
                inbound.rest()
            self.assertEqual(len(list(Path(self.folder).iterdir())), is_written)
            feed(inbound, p_data(pdv(5, 3)))
            self.assertEqual(list(Path(self.folder).iterdir()), [])
            self.assertEqual(len(log.of("invalid")), 1)


ECHO_PDU = p_data(pdv(1, COMMAND | LAST, ECHO))


class Alike(unittest.TestCase):
    """Where two messages in turn differ in their ID at most, the next ones that do so are not decoded any more."""

    def messages(self, data: bytes, cuts: Iterable[int] = ()) -> list[Message]:
        """The messages of a stream as they were told."""
        told: list[Message] = []
        log = Log()
        log.message = told.append  # type: ignore[method-assign]
        run(data, cuts, log=log)
        return told

    def check(self, commands: Iterable[bytes], contexts: Iterable[int] = ()) -> int:
        """Each is told as if it were the only one; how many were decoded."""
        commands = list(commands)
        contexts = list(contexts) or [1] * len(commands)
        data, expected = b"", []
        for context, command in zip(contexts, commands, strict=True):
            message = decode(context, command)
            expected.append(message)
            data += p_data(pdv(context, COMMAND | LAST, command))
            data += p_data(pdv(context, LAST, b"ab")) if message.has_data_set else b""
        with mock.patch.object(room, "decode", wraps=decode) as decoding:
            told = self.messages(data)
        self.assertEqual(len(told), len(expected))
        for one, other in zip(told, expected, strict=True):
            for name in ("presentation_id", "command_set", "field", "row", "message_id", "status", "has_data_set"):
                self.assertEqual(getattr(one, name), getattr(other, name), name)
            for name in ("is_final", "expects_response", "elements", "sop_class_uid", "sop_instance_uid"):
                self.assertEqual(getattr(one, name), getattr(other, name), name)
            if other.row is not None:
                self.assertEqual(one.arguments(), other.arguments())
        self.assertEqual(len({id(message) for message in told}), len(told), "each is one of its own")
        return decoding.call_count

    def test_decoded_once(self) -> None:
        self.assertEqual(self.check([STORE] * 5), 2)
        data = store(1, b"ab") + store(1, b"cd") + store(1, b"") + store(1, b"ef")
        for cuts in ((), range(len(data))):
            told = self.messages(data, cuts)
            bodies = [message.body and message.body.open().read() for message in told]
            self.assertEqual(bodies, [b"ab", b"cd", b"", b"ef"])

    def test_one_that_must_not_come(self) -> None:
        """It is asked for once, and passed over."""
        told: list[int] = []

        class Closing(Log):
            asked = 0

            def data_pdu(self) -> bool:
                self.asked += 1
                return self.asked <= 3

            def message(self, message: Message) -> None:
                told.append(message.message_id)

        for data in (ECHO_PDU * 5, ECHO_PDU * 3 + ECHO_PDU[:-1]):
            log = Closing()
            inbound = Inbound(log, Limits())
            inbound.establish(CONTEXTS, MAXIMUM)
            for at in range(0, len(data), len(ECHO_PDU)):
                feed(inbound, data[at : at + len(ECHO_PDU)])
            self.assertEqual((len(told), log.asked), (3, -(-len(data) // len(ECHO_PDU))))
            told.clear()

    def test_another_association_begins_anew(self) -> None:
        """With other contexts and another maximum length, what was expected before is not any more."""
        log = Log()
        inbound = Inbound(log, Limits())
        inbound.establish(CONTEXTS, MAXIMUM)
        feed(inbound, ECHO_PDU * 3)
        inbound.establish(frozenset((3,)), MAXIMUM)
        feed(inbound, ECHO_PDU)
        self.assertEqual((len(log.of("message")), len(log.of("invalid"))), (3, 1))

    def test_the_message_id_may_differ(self) -> None:
        for row in ROWS:
            with self.subTest(row.name):
                rows = [filled(row, message_id) for message_id in (7, 8, 0xFFFF, 7, 0)]
                self.assertEqual(self.check([encode(row, values, row.has_dataset) for values in rows]), 2)

    def test_nothing_else_may(self) -> None:
        """Each byte of a command set in turn; what can be decoded is told as it stands."""
        for row in ROWS:
            command = encode(row, filled(row, 7), row.has_dataset)
            for at in range(len(command)):
                changed = command[:at] + bytes((command[at] ^ 1,)) + command[at + 1 :]
                try:
                    message = decode(1, changed)
                    if message.row is not None:
                        message.arguments()
                except LDicomProtocolError:
                    continue
                with self.subTest(row.name, at=at):
                    self.check([command, changed, changed, command, command, changed])

    def test_the_instance_differs(self) -> None:
        """As that of one C-STORE after the other does."""
        row = BY_NAME["c_store_request"]
        rows = [(number, "1.2", f"1.3.{10 + number}", 0, "", 0) for number in range(5)]
        self.assertEqual(self.check([encode(row, values, True) for values in rows]), 5)

    def test_command_sets_that_are_laid_out_otherwise(self) -> None:
        """Elements in another order, twice, of both IDs, without group length, and of no known command field."""
        echo = {0x0002: b"1.2\0", 0x0100: b"\x30\0", 0x0110: b"\7\0", 0x0800: b"\1\1"}

        def laid_out(*order: tuple[int, bytes]) -> bytes:
            return b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in order)

        other = echo | {0x0110: b"\x09\0"}
        both = {0x0100: b"\x30\x80", 0x0110: b"\7\0", 0x0120: b"\x08\0", 0x0800: b"\1\1", 0x0900: b"\0\0"}
        pairs = (
            (laid_out(*reversed(echo.items())), laid_out(*reversed(other.items()))),
            (laid_out(*echo.items()), laid_out(*other.items())),
            (laid_out(*echo.items(), (0x0110, b"\5\0")), laid_out(*other.items(), (0x0110, b"\5\0"))),
            (laid_out(*echo.items(), (0x0110, b"\5\0")), laid_out(*echo.items(), (0x0110, b"\6\0"))),
            (encode_elements(both), encode_elements(both | {0x0110: b"\x09\0"})),
            (encode_elements(both), encode_elements(both | {0x0120: b"\x09\0"})),
            (encode_elements(echo | {0x0100: b"\x77\0"}), encode_elements(other | {0x0100: b"\x77\0"})),
            (encode_elements(echo | {0xFFFF: b""}), encode_elements(other | {0xFFFF: b""})),
        )
        for number, (first, second) in enumerate(pairs):
            with self.subTest(number=number):
                self.check([first, second, second, first, second, second])

    def test_not_on_another_context(self) -> None:
        self.assertEqual(self.check([STORE] * 6, [1, 3, 1, 1, 3, 1]), 5)

    def test_another_in_between(self) -> None:
        other = encode(BY_NAME["c_echo_request"], (8, "1.2.840.10008.1.1"), False)
        self.assertEqual(self.check([ECHO, STORE, other, ECHO, ECHO, STORE, STORE, STORE]), 6)

    @settings(derandomize=True, max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 22), st.integers(0, 0xFFFF), st.sampled_from((1, 3))), max_size=12))
    def test_any_messages(self, messages: list[tuple[int, int, int]]) -> None:
        commands = [encode(ROWS[row], filled(ROWS[row], number), ROWS[row].has_dataset) for row, number, _ in messages]
        self.check(commands, [context for _row, _number, context in messages])

    def test_a_malformed_one_is_told_each_time(self) -> None:
        data = ECHO_PDU * 3 + p_data(pdv(1, COMMAND | LAST, ECHO[:-1])) * 2
        log = Log()
        log.goes_on = True
        run(data, log=log)
        self.assertEqual([len(log.of("message")), len(log.of("invalid"))], [3, 2])

    def test_nothing_of_one_is_left_in_the_next(self) -> None:
        """Neither a refusal nor a body."""
        seen: list[tuple[Status | None, bool]] = []

        class Refusing(Log):
            def message(self, message: Message) -> None:
                seen.append((message.refused, message.body is None))
                message.refuse(0xA700)

        run(store(1, b"ab") + store(1, b"") + store(1, b"cd"), log=Refusing(sinks=[None]))
        self.assertEqual(seen, [(None, True), (None, False), (None, False)])

    def test_what_a_hook_does_to_its_arguments_stays_with_it(self) -> None:
        """The list of tags of an N-GET is the hook's own, as it was before."""
        tags = encode(BY_NAME["n_get_request"], (7, "1.2", "1.3", [0x00100010]), False)
        seen: list[list[int]] = []

        class Changing(Log):
            def message(self, message: Message) -> None:
                attributes = message.arguments()[-1]
                seen.append(list(attributes))
                attributes.append(0x00100020)

        run(p_data(pdv(1, COMMAND | LAST, tags)) * 4, log=Changing())
        self.assertEqual(seen, [[0x00100010]] * 4)


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
                self.assertEqual(inbound.is_unfinished, between.get(at, True))
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
        """One that is not taken is asked for alone, in the middle of a data set too."""
        for cuts in ((), range(5000)):
            log = Log()
            inbound = Inbound(log, Limits())
            inbound.establish(CONTEXTS, MAXIMUM)
            feed(inbound, Malformed.BEGUN, cuts)
            log.takes_data = False
            feed(inbound, p_data(pdv(1, DATA, b"cd")) * 2 + RELEASE, cuts)
            self.assertEqual(len(log.of("data_pdu")), 4)
            self.assertEqual(log.of("message", "invalid", "control_pdu"), [("control_pdu", 5, bytes(4))])

    def test_another_message_of_a_pdu_is_asked_for(self) -> None:
        """The hook of the first may have aborted: then the second one is not for anybody (PS3.8 Table 9-10, AA-6)."""
        echo = pdv(1, COMMAND | LAST, ECHO)
        for cuts in ((), range(5000)):
            log = Log()
            inbound = Inbound(log, Limits())
            inbound.establish(CONTEXTS, MAXIMUM)
            told: list[Message] = []

            def message(message: Message, log: Log = log, told: list[Message] = told) -> None:
                told.append(message)
                log.takes_data = False

            with mock.patch.object(log, "message", message):
                feed(inbound, p_data(echo, echo, echo) + RELEASE, cuts)
            self.assertEqual(len(told), 1)
            self.assertEqual(log.events, [("data_pdu",), ("data_pdu",), ("control_pdu", 5, bytes(4))])

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
