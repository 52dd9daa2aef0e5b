"""Fuzzing, briefly: the corpus, a fixed number of spoiled inputs for each target, and whether it would find anything.

`python -m tests.fuzz` does the same for as long as one likes; tests/fuzz/README.md.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import threading
import unittest
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from random import Random
from time import monotonic, process_time
from unittest import mock

from ldicomnet import LDicomProtocolError, Timeouts, pdu
from ldicomnet.iscl.transfer import Transfer
from ldicomnet.iscl.wire import HEADER
from ldicomnet.items import _KNOWN, UnknownItem
from ldicomnet.message import ROWS, decode

from .fuzz import __main__ as program
from .fuzz import corpus, iscl, pieces, run, seeds, streams
from .fuzz.conversations import Acceptor, Requestor, acceptor, answer_of, begin, half_close, nothing_left, requestor
from .fuzz.mutations import LARGEST, MUTATIONS, Mutation, Sample, spoiled
from .fuzz.run import Finding, Fuzz, check, describe, quiet
from .fuzz.targets import TARGETS, Target
from .support import SECONDS, some

SEED = 20
MEMORY = TARGETS["pdu"].memory
LIVE = ("acceptor", "curious", "requestor", "server")
ISCL = ("iscl_packets", "iscl_acceptor", "iscl_requestor")
# Inputs of each target: ways of each mutation of each sample, and inputs with several mutations.
COUNTS = dict.fromkeys(TARGETS, (20, 200)) | dict.fromkeys(("command_set", "message"), (3, 100))
COUNTS |= dict.fromkeys(("inbound", "file", "data_set"), (2, 60)) | dict.fromkeys(LIVE, (1, 25))
COUNTS |= dict.fromkeys(ISCL, (10, 50))
CUTS = {"inbound": 40, "file": 60, "data_set": 60} | dict.fromkeys(LIVE, 12) | dict.fromkeys(ISCL, 60)
"""Places at which a sample is cut where not at every byte."""


class Quiet(unittest.TestCase):
    """Tests in which pydicom says nothing about what is no data set."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.enterClassContext(quiet())


class Corpus(Quiet):
    """What is kept in the repository."""

    def test_every_seed_is_there(self) -> None:
        for folder, inputs in seeds.SEEDS.items():
            kept = corpus.load(folder)
            for name, data in inputs.items():
                with self.subTest(folder=folder, name=name):
                    self.assertEqual(kept.get(name), data, "python -m tests.fuzz.seeds writes what is missing")

    def test_every_kind_is_there(self) -> None:
        found = [pdu.decode(data) for data in seeds.SEEDS["pdu"].values()]
        self.assertEqual({type(one) for one in found}, set(pdu.KINDS.values()))
        sub_items = {type(item) for one in found for item in getattr(one, "user_items", ())}
        self.assertEqual(sub_items, {*_KNOWN, UnknownItem})
        messages = [decode(1, data) for data in seeds.SEEDS["message"].values()]
        self.assertEqual({message.row for message in messages}, {*ROWS, None})

    def test_small(self) -> None:
        for target in TARGETS.values():
            for name, data in corpus.load(target.folder).items():
                with self.subTest(folder=target.folder, name=name):
                    self.assertLessEqual(len(data), LARGEST)

    def test_every_input_again(self) -> None:
        for target in TARGETS.values():
            for name, data in corpus.load(target.folder).items():
                with self.subTest(target=target.name, name=name):
                    check(target, data)

    def test_valid_conversations_of_iscl_go_to_their_end(self) -> None:
        for folder, is_requestor in (("iscl_acceptor", False), ("iscl_requestor", True)):
            got = bytearray()
            iscl.talk(corpus.load(folder)["messages"], is_requestor, got)
            with self.subTest(folder):
                self.assertEqual(bytes(got), b"".join(iscl.MESSAGES))

    def test_iscl_that_believes_every_mac_is_found(self) -> None:
        """A bit of a block that is not the last one: the padding stays as it was."""
        data = bytearray(corpus.load("iscl_acceptor")["messages"])
        data[data.rindex(b"\0\x20\0\2\0\0\2\0") - 4 + HEADER] ^= 1
        iscl.acceptor(bytes(data))
        with mock.patch.object(Transfer, "_is_mac", return_value=True):
            with self.assertRaisesRegex(AssertionError, "handed on"):
                iscl.acceptor(bytes(data))

    def test_valid_conversations_go_to_their_end(self) -> None:
        """Else the spoiled ones would be spoiled from the start."""
        for name, parts in seeds.REQUESTOR_SENDS.items():
            data = b"".join(parts)
            answer = answer_of(Acceptor(), data)
            kinds = [answer[piece.start] for piece in pieces.pdus(answer) if piece.shape is pieces.PDU]
            with self.subTest(name):
                self.assertEqual((kinds[0], kinds[-1]), (2, 4 if name == "abort" else 6))
        for name in ("answers", "requests_of_its_own"):
            answer = answer_of(Requestor(), b"".join(seeds.ACCEPTOR_SENDS[name]))
            with self.subTest(name):
                self.assertEqual(answer[-10], 5 if name == "answers" else 6)


class Spoiled(Quiet):
    """Every target, and a fixed number of inputs."""

    def run_target(self, target: Target, inputs: Iterator[bytes]) -> None:
        """All of them, the memory of some."""
        with self.assertNoLogs("ldicomnet", "ERROR"):
            for number, data in enumerate(inputs):
                try:
                    check(target, data, measures_memory=number % 4 == 0)
                except Finding as finding:
                    self.fail(f"{target.name}, number {number}: {describe(data, finding)}")

    def test_every_mutation(self) -> None:
        for target in TARGETS.values():
            fuzz, (ways, _count) = Fuzz(target, SEED), COUNTS[target.name]
            for mutation in some(MUTATIONS):
                most = CUTS.get(target.name, LARGEST) if mutation.name == "cut" else ways
                with self.subTest(target=target.name, mutation=mutation.name):
                    self.run_target(target, fuzz.walk(mutation, most))

    def test_several_mutations(self) -> None:
        for target in TARGETS.values():
            fuzz, (_ways, count) = Fuzz(target, SEED), COUNTS[target.name]
            with self.subTest(target=target.name):
                self.run_target(target, map(fuzz.input, some(range(count))))

    def test_streams_cut_at_every_byte(self) -> None:
        """The long ones at fewer places, and in single bytes."""
        for name, data in corpus.load("inbound").items():
            for raw in (False, True):
                whole = streams.feed(data, (), raw).events
                with self.subTest(name, raw=raw):
                    self.assertEqual(streams.feed(data, [1] * len(data), raw).events, whole)
                    for cut in range(1, len(data), 1 + len(data) // 1000 * 6):
                        self.assertEqual(streams.feed(data, [cut], raw).events, whole, cut)

    def test_conversations_cut_at_every_byte(self) -> None:
        for folder, end in (("acceptor", Acceptor), ("requestor", Requestor)):
            for name, data in corpus.load(folder).items():
                with self.subTest(name):
                    self.assertEqual(answer_of(end(), data, [1] * len(data)), answer_of(end(), data))

    def test_conversations_that_break_off_in_silence(self) -> None:
        """Whatever is unfinished is given up in time; what is not may wait."""
        quick = Timeouts(artim=0.2, association=0.2, dimse=0.2, release=0.2, pdu=0.2)
        conversations = [
            (Acceptor, seeds.REQUESTOR_SENDS["store_in_fragments"]),
            (Acceptor, seeds.REQUESTOR_SENDS["find_and_cancel"]),
            (Requestor, seeds.ACCEPTOR_SENDS["answers"]),
        ]
        with self.assertNoLogs("ldicomnet", "ERROR"), nothing_left():
            begun = []
            for kind, parts in conversations:
                data = b"".join(parts)
                may_wait = {*accumulate(map(len, parts))} if kind is Acceptor else set()
                for cut in sorted({*range(0, len(data), 37), *may_wait}):
                    net = kind()
                    net.timeouts = quick
                    begun.append((net, cut in may_wait, begin(net, data[:cut], is_over=False)))
            until = monotonic() + SECONDS
            for net, may_wait, peers in begun:
                if may_wait:
                    half_close(peers)
                self.assertTrue(net.over.wait(max(0.0, until - monotonic())), f"it goes on, {may_wait=}")
                net.close()


class Mutating(unittest.TestCase):
    """What spoils bytes: a fault here would make the rest find nothing."""

    def samples(self) -> Iterator[tuple[str, Sample]]:
        """All inputs of all targets."""
        for target in TARGETS.values():
            for name, sample in zip(corpus.load(target.folder), Fuzz(target).samples, strict=True):
                yield f"{target.name}: {name}", sample

    def test_pieces_are_found(self) -> None:
        """Pieces of valid input leave nothing over, but in a file in implicit VR and behind undefined lengths."""
        for name, sample in self.samples():
            ends = {0, *(piece.end for piece in sample.pieces)}
            with self.subTest(name):
                is_odd = any(word in name for word in ("implicit", "preamble_and", "found", "set: fragments"))
                self.assertTrue(is_odd or len(sample.data) in ends)
        request = Sample(seeds.REQUEST, pieces.pdus)
        items = {request.data[piece.start] for piece in request.pieces if piece.shape is pieces.ITEM}
        self.assertEqual(items, {0x10, 0x20, 0x30, 0x40, *range(0x50, 0x59), 0x7A})
        self.assertEqual(sum(piece.shape is pieces.COUNTED for piece in request.pieces), 9)

    def test_every_mutation_has_ways_and_each_can_be_made(self) -> None:
        for name, sample in self.samples():
            for mutation in MUTATIONS:
                ways = mutation.ways(sample)
                with self.subTest(name, mutation=mutation.name):
                    self.assertTrue(ways or not sample.pieces)
                    made = [mutation.make(sample, way) for way in {*range(0, ways, 1 + ways // 50), *range(ways)[-1:]}]
                    is_alone = mutation.name == "swap" and len(sample.pieces) == 1
                    self.assertTrue(is_alone or not ways or any(data != sample.data for data in made))
                    self.assertTrue(all(len(data) <= 2 * LARGEST for data in made))

    def test_lengths_that_fit(self) -> None:
        """A piece is taken out, or put in again, and the lengths around it count right: so all the others are found."""
        sample = Sample(seeds.REQUEST, pieces.pdus)
        for name, times in (("delete", -1), ("duplicate", 1)):
            for at, piece in enumerate(sample.pieces):
                if piece.shape is pieces.COUNTED:  # nothing says what is one
                    continue
                within = sum(piece.start <= other.start and other.end <= piece.end for other in sample.pieces)
                data = named(name).make(sample, 2 * at + 1)
                with self.subTest(name, piece=piece):
                    self.assertEqual(len(list(pieces.pdus(data))), len(sample.pieces) + times * within)

    def test_the_same_number_is_the_same_input(self) -> None:
        target = TARGETS["pdu"]
        inputs = [[Fuzz(target, seed).input(number) for number in range(50)] for seed in (1, 1, 2)]
        self.assertEqual(inputs[0], inputs[1])
        self.assertNotEqual(inputs[0], inputs[2])
        self.assertGreater(len(set(inputs[0])), 45)

    def test_what_has_no_pieces(self) -> None:
        sample = Sample(b"", pieces.items)
        self.assertTrue(all(spoiled(sample, Random(seed)) is not None for seed in range(50)))


def named(name: str) -> Mutation:
    """The mutation of that name."""
    return next(mutation for mutation in MUTATIONS if mutation.name == name)


class Finds(unittest.TestCase):
    """A target that breaks a promise is found out."""

    def broken(self, how: object) -> Target:
        """One that does this, whatever its input is."""
        return TARGETS["pdu"]._replace(run=how)

    def assert_found(self, how: object, text: str, data: bytes = b"") -> None:
        """It is, and this is said of it."""
        with self.assertRaisesRegex(Finding, text):
            check(self.broken(how), data)

    def test_what_it_raises(self) -> None:
        def raising(error: Exception) -> object:
            def run(_data: bytes) -> None:
                raise error

            return run

        check(self.broken(raising(LDicomProtocolError("the peer's fault"))), b"")
        for error in (ValueError("x"), AssertionError("x"), RecursionError("x"), MemoryError("x")):
            self.assert_found(raising(error), f"{type(error).__name__}: x")

    def test_how_long_it_takes(self) -> None:
        def slow(_data: bytes) -> None:
            until = process_time() + TARGETS["pdu"].seconds * 1.2
            while process_time() < until:
                pass

        self.assert_found(slow, "ms for 10 bytes", bytes(10))
        check(self.broken(slow), bytes(run.PER + 1))

    @unittest.skipUnless(hasattr(run.signal, "setitimer"), "this system has no timer that interrupts")
    def test_no_end(self) -> None:
        def endless(_data: bytes) -> None:
            while True:
                pass

        with mock.patch.object(run, "ENDLESS", 0.1):
            self.assert_found(endless, "no end")

    def test_what_it_allocates(self) -> None:
        self.assert_found(lambda data: bytearray(MEMORY + 4 * len(data) + 1000), "were allocated", bytes(100))
        check(self.broken(lambda data: bytearray(MEMORY + 3 * len(data))), bytes(1000))

    def test_what_a_conversation_leaves_behind(self) -> None:
        gate = threading.Event()
        self.addCleanup(gate.set)

        class Failing(Acceptor):
            def on_receive_c_echo_request(self, *_: object) -> None:
                raise ValueError("a bug")

        echo = b"".join(seeds.REQUESTOR_SENDS["echo"])
        with self.assertRaisesRegex(AssertionError, "a bug"), nothing_left():
            answer_of(Failing(), echo)
        with (
            mock.patch("tests.fuzz.conversations.SECONDS", 0.01),
            self.assertRaisesRegex(AssertionError, "threads are left"),
            nothing_left(),
        ):
            threading.Thread(target=gate.wait, daemon=True).start()
        for run_conversation, place in ((acceptor, "Acceptor.on_close"), (requestor, "Requestor.on_close")):
            with (
                mock.patch("tests.fuzz.conversations.SECONDS", 0.01),
                mock.patch(f"tests.fuzz.conversations.{place}"),
                self.assertRaisesRegex(AssertionError, "did not end"),
            ):
                run_conversation(echo)

    def test_what_an_inbound_holds(self) -> None:
        data = corpus.load("inbound")["store_in_fragments"]
        less = replace(streams.LIMITS, command_set=20)
        checks = streams.check_caps
        with mock.patch.object(streams, "check_caps", lambda *args: with_limits(less, checks, *args)):
            with self.assertRaisesRegex(AssertionError, "a command set of"):
                streams.feed(data, [1] * len(data))


def with_limits(limits: object, function: object, *arguments: object) -> None:
    """Call it while these are the limits."""
    with mock.patch.object(streams, "LIMITS", limits):
        function(*arguments)


class Program(unittest.TestCase):
    """`python -m tests.fuzz`."""

    def main(self, *arguments: str) -> tuple[int, str]:
        """Exit status and what it printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                status = program.main(list(arguments))
            except SystemExit as error:
                status = int(error.code or 0)
        return status, printed.getvalue()

    def test_list_and_help(self) -> None:
        status, text = self.main("--list")
        self.assertEqual(status, 0)
        self.assertTrue(all(f"{name}: " in text for name in TARGETS))
        status, text = self.main("--help")
        self.assertEqual(status, 0)
        self.assertTrue(all(word in text for word in ("--minutes", "--seed", "--target", "--replay", "exit status")))
        self.assertEqual(self.main("--target", "nonsense")[0], 2)
        self.assertEqual(self.main("--minutes", "0")[0], 2)

    def test_a_run_that_finds_nothing(self) -> None:
        status, text = self.main("--minutes", "0.002", "--seed", "7", "--target", "pdu", "--target", "header")
        self.assertEqual(status, 0)
        self.assertRegex(text, r"seed 7, 2 targets(?s:.*)pdu .* inputs .*/s(?s:.*)header .* inputs(?s:.*)0 findings")

    def test_a_run_that_finds_something(self) -> None:
        """It is printed and saved so that it can be run again, and the exit status tells."""

        def fails(data: bytes) -> None:
            assert len(data) < 100, "too long"

        broken = {"pdu": TARGETS["pdu"]._replace(run=fails)}
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(corpus, "FOLDER", Path(folder)),
            mock.patch.object(program, "TARGETS", broken),
        ):
            corpus.save("pdu", "abort", seeds.SEEDS["pdu"]["abort"], "a seed")
            corpus.save("pdu", "associate_rq", seeds.SEEDS["pdu"]["associate_rq"], "a seed")
            status, text = self.main("--minutes", "0.05", "--seed", "7", "--target", "pdu")
            self.assertEqual(status, 1)
            self.assertRegex(text, r"FOUND: target pdu, seed 7, number \d+, \d+ bytes, saved as .*\nAssertionError: ")
            (found,) = Path(folder, "pdu").glob("found-*.hex")
            self.assertIn(corpus.read(found).hex(), text)
            self.assertEqual(self.main("--target", "pdu", "--replay", str(found))[0], 1)
            self.assertEqual(self.main("--target", "pdu", "--replay", str(Path(folder, "pdu", "abort.hex")))[0], 0)


if __name__ == "__main__":
    unittest.main()
