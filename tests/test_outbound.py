"""`outbound`: messages in PDUs that the peer can take, and the same messages again from `inbound`."""

from __future__ import annotations

import random
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ldicomnet.body import Body, FileBody, MemoryBody
from ldicomnet.errors import LDicomDataError, LDicomUsageError
from ldicomnet.message import BY_NAME, Message, build
from ldicomnet.outbound import batches, fragment_size, longest_fragment, whole
from ldicomnet.status import ErrorCode

from .spoiling import need
from .test_inbound import run

need("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

MAXIMA = (8, 9, 10, 15, 16, 17, 128, 16384, 0)
COMMAND, LAST = 1, 2


def message(has_data_set: bool, context: int = 1) -> Message:
    """A C-STORE request, or a C-ECHO request where there is no data set."""
    if has_data_set:
        return build(BY_NAME["c_store_request"], context, (8, "1.2", "1.3", 0, "", 0), True)
    return build(BY_NAME["c_echo_request"], context, (7, "1.2.840.10008.1.1"), False)


def joined(sent: Message, body: Body | None, maximum: int) -> bytes:
    """All that is written."""
    return b"".join(bytes(buffer) for batch in batches(sent, body, maximum) for buffer in batch)


def fragments(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Length of the PDU, context, control header and fragment of each PDU, which has one value and no more."""
    while data:
        length, value_length = int.from_bytes(data[2:6], "big"), int.from_bytes(data[6:10], "big")
        assert data[:2] == b"\4\0", "not a P-DATA-TF"
        assert value_length + 4 == length, "not one value"
        assert len(data) >= 6 + length, "cut"
        yield length, data[10], data[11], data[12 : 6 + length]
        data = data[6 + length :]


class Cutting(unittest.TestCase):
    """The rules of PS3.8 D.1 and E for what is sent."""

    def check(self, sent: Message, body: bytes | None, maximum: int, source: Body | None = None) -> None:
        """Every rule, for one message and one maximum length; in batches, and at once where that is possible."""
        source = source or (None if body is None else MemoryBody(body))
        self.check_written(joined(sent, source, maximum), sent, body, maximum)
        buffers = whole(sent, source, longest_fragment(maximum))
        if buffers is not None:
            self.check_written(b"".join(buffers), sent, body, maximum)

    def check_written(self, data: bytes, sent: Message, body: bytes | None, maximum: int) -> None:
        """Every rule, for what is written."""
        found = list(fragments(data))
        for length, context, control, fragment in found:
            self.assertEqual(context, sent.presentation_id)
            self.assertLessEqual(length, maximum or length)
            self.assertLess(control, 4)
            if len(fragment) % 2:  # only what is odd itself has an odd end
                self.assertEqual((control, len(body or b"") % 2), (LAST, 1))
        controls = [control for _length, _context, control, _fragment in found]
        commands = sum(control & COMMAND for control in controls)
        self.assertEqual(b"".join(one[3] for one in found[:commands]), sent.command_set)
        self.assertEqual(b"".join(one[3] for one in found[commands:]), body or b"")
        expected = [COMMAND] * (commands - 1) + [COMMAND | LAST]
        if body is not None:
            expected += [0] * (len(controls) - commands - 1) + [LAST]
        self.assertEqual(controls, expected)
        full = [len(found[at][3]) for at in range(len(found)) if at not in (commands - 1, len(found) - 1)]
        self.assertLessEqual(set(full), {fragment_size(maximum)})
        for raw in (False, True):
            log = run(data, maximum=maximum, raw=raw)
            told = log.of("message", "invalid")
            self.assertEqual(told, [("message", sent.presentation_id, sent.command_set, body)])

    def test_every_maximum_and_length(self) -> None:
        for maximum in MAXIMA:
            size = min(fragment_size(maximum), 20_000)
            lengths = (0, 1, 2, 3, size - 1, size, size + 1, size + 2, 2 * size, 3 * size + 2, 1000)
            for length in sorted(set(lengths)):
                with self.subTest(maximum=maximum, length=length):
                    self.check(message(True), random.Random(length).randbytes(length), maximum)
            self.check(message(False, 255), None, maximum)

    @settings(derandomize=True, max_examples=60, deadline=None)
    @given(st.integers(8, 300) | st.just(0), st.binary(max_size=2000))
    def test_any_maximum_and_body(self, maximum: int, body: bytes) -> None:
        self.check(message(True), body, maximum)

    def test_files(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        body = random.Random(7).randbytes(200_000)
        path = folder / "body"
        path.write_bytes(b"header" + body)
        for maximum in (4096, 16383, 16384, 0):
            with self.subTest(maximum=maximum):
                self.check(message(True), body, maximum, FileBody(path, 6))

    def test_a_file_longer_than_one_chunk(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for length in ((1 << 20) - 8, 1 << 20, (3 << 20) + 2):
            body = random.Random(length).randbytes(length)
            (folder / "body").write_bytes(body)
            for maximum in (16384, 0):
                with self.subTest(length=length, maximum=maximum):
                    self.check(message(True), body, maximum, FileBody(folder / "body", 0))

    def test_fragment_sizes(self) -> None:
        rows = ((8, 2), (9, 2), (10, 4), (16, 10), (17, 10), (16384, 16378), (16383, 16376), (16382, 16376))
        for maximum, size in rows:
            self.assertEqual(fragment_size(maximum), size)
        for maximum in (0, 1 << 20, 0xFFFFFFFF):
            self.assertTrue(1000 < fragment_size(maximum) <= 1 << 20)
            self.assertEqual(fragment_size(maximum) % 2, 0)

    def test_a_maximum_too_short_for_anything(self) -> None:
        for maximum in range(1, 8):
            with self.subTest(maximum=maximum), self.assertRaises(LDicomUsageError) as caught:
                next(batches(message(False), None, maximum))
            self.assertEqual(caught.exception.code, ErrorCode.NET_MESSAGE_SIZE)


class Batches(unittest.TestCase):
    """What is handed out for one write."""

    def test_header_and_fragment_in_turn(self) -> None:
        for maximum in MAXIMA:
            for batch in batches(message(True), MemoryBody(bytes(5000)), maximum):
                self.assertEqual(len(batch) % 2, 0)
                for header, fragment in zip(batch[::2], batch[1::2], strict=True):
                    self.assertEqual((len(header), header[0]), (12, 4))
                    self.assertEqual(int.from_bytes(bytes(header[2:6]), "big"), len(fragment) + 6)

    def test_command_set_and_data_set_leave_together(self) -> None:
        self.assertEqual(len(list(batches(message(True), MemoryBody(bytes(100_000)), 16384))), 1)
        self.assertEqual(len(list(batches(message(True), MemoryBody(b""), 16384))), 1)

    def test_a_data_set_in_memory_is_not_copied(self) -> None:
        body = bytes(100_000)
        (batch,) = batches(message(True), MemoryBody(body), 16384)
        parts: list[Any] = batch[3::2]
        self.assertGreater(len(parts), 5)
        for part in parts:
            self.assertIs(part.obj, body)

    def test_no_batch_is_large(self) -> None:
        for maximum in (8, 128, 16384, 0):
            for body in (bytes(5 << 20 if maximum > 1000 or not maximum else 1 << 17),):
                for batch in batches(message(True), MemoryBody(body), maximum):
                    self.assertLessEqual(sum(map(len, batch)), (1 << 20) + 100_000)
                    self.assertLessEqual(len(batch), 1000)

    def test_a_body_that_cannot_be_read_spoils_nothing(self) -> None:
        body = FileBody(Path("/nowhere/at/all"), 0, 1000)
        unsent = batches(message(True), body, 16384)
        with self.assertRaises(LDicomDataError):
            next(unsent)

    def test_a_body_that_breaks_off_says_so(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "body"
        path.write_bytes(bytes(3 << 20))
        unsent = batches(message(True), FileBody(path, 0), 16384)
        sent = next(unsent)
        self.assertGreater(len(sent), 2)
        with path.open("r+b") as file:
            file.truncate(1 << 20)
        with self.assertRaises(LDicomDataError) as caught:
            list(unsent)
        self.assertEqual(caught.exception.code, ErrorCode.READ)


class AtOnce(unittest.TestCase):
    """`whole`: a message of one PDU for the command set and at most one for the data set."""

    def test_it_is_what_batches_would_be(self) -> None:
        for sent, bodies in ((message(False, 255), (None,)), (message(True), (b"", b"a", b"ab", bytes(9000)))):
            for body in bodies:
                with self.subTest(length=body and len(body)):
                    source = None if body is None else MemoryBody(body)
                    buffers = whole(sent, source, 16384)
                    assert buffers is not None
                    self.assertEqual(b"".join(buffers), joined(sent, source, 16384))
                    self.assertEqual(len(buffers), 1 if body is None else 4)

    def test_the_border(self) -> None:
        """To the byte: the longest fragment that the peer's maximum leaves room for, and one more."""
        command = len(message(True).command_set)
        for maximum, length, fits in (
            (16384, 16378, True),
            (16384, 16379, False),
            (0, (256 << 10) - 6, True),
            (0, (256 << 10) - 5, False),
            (command + 6, command, True),
            (command + 6, command + 1, False),
            (command + 5, 0, False),
            *((maximum, 0, False) for maximum in range(1, 8)),
        ):
            with self.subTest(maximum=maximum, length=length):
                buffers = whole(message(True), MemoryBody(bytes(length)), longest_fragment(maximum))
                self.assertEqual(buffers is not None, fits)

    def test_no_pdu_is_larger_than_batches_make_them(self) -> None:
        """However much the peer takes at once: an abort comes between two PDUs, never within one."""
        for maximum in (2 << 20, 1 << 30, 0xFFFFFFFF):
            for length in (1000, (1 << 20) - 6, 1 << 20, 3 << 20):
                with self.subTest(maximum=maximum, length=length):
                    buffers = whole(message(True), MemoryBody(bytes(length)), longest_fragment(maximum)) or []
                    self.assertLessEqual(max(map(len, buffers), default=0), fragment_size(maximum))

    def test_a_data_set_in_memory_is_not_copied(self) -> None:
        for body in (bytes(1000), bytearray(1000)):
            buffers = whole(message(True), MemoryBody(body), 16384)
            assert buffers is not None
            self.assertIs(buffers[-1], body)

    def test_a_file_is_left_to_batches(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "body"
        path.write_bytes(b"ab")
        self.assertIsNone(whole(message(True), FileBody(path, 0), 16384))


if __name__ == "__main__":
    unittest.main()
