"""The soak: what it judges, on records made up for it; and a run of seconds against our server, and one that lies."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import itertools
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any
from unittest import mock

from benchmarks import (
    canned,
    folders,
    objects,
    procfs,
    soak,
    soak_hostile,
    soak_judge,
    soak_probe,
    soak_report,
    soak_traffic,
    soak_watch,
    stacks,
)
from benchmarks.soak_hostile import Hostile
from benchmarks.soak_judge import Record, broken
from benchmarks.soak_ledger import ALTERED, CUT, WHOLE, Found, Ledger, Made, look
from benchmarks.soak_objects import Supply
from benchmarks.soak_probe import Probe
from benchmarks.soak_watch import Counts, Sample, Sweeper
from ldicomnet import ANY_TRANSFER, LDicomAssociate, LDicomDS, LDicomNet
from ldicomnet.threads import let_idle_end

from .support import SECONDS, SHARE

QUICK = ["--minutes", "0.04", "--burst", "10", "--workers", "3"]
CAN_RUN = bool(procfs.HERE and not soak.machine.cannot_run())


def record(**more: Any) -> Record:
    """A record that keeps every promise."""
    samples = [Sample(float(at), 5 + at % 3, 9 + at % 3, 20_000_000 + at % 3, 0) for at in range(300)]
    held = {"threads": 2, "descriptors": 7, "threads_after": 2, "descriptors_after": 7}
    made = Record(
        "ldicomnet", "1", 300.0, 6, jobs={"storescu, straight": 9}, acknowledged=3, probes=[0.01, 0.03, 0.02],
        samples=samples, at_rest=held, times=[1.0, 290.0, 299.0],
        fresh=[1000.0, 100.0, 900.0], aged=[990.0, 20.0, 900.0],
    )  # fmt: skip
    return dataclasses.replace(made, **more)


def rising(name: str, by: float) -> list[Sample]:
    """Samples of which one value rises by so much over those that a slope is fitted to."""
    samples = record().samples
    last = samples[-1].at - samples[100].at
    return [dataclasses.replace(s, **{name: getattr(s, name) + int(by * s.at / last)}) for s in samples]


class Verdicts(unittest.TestCase):
    """The ledger: what is on the disk, and what is lost."""

    def setUp(self) -> None:
        self.ledger = Ledger()
        for uid, may_differ in (("1.2.30.111", False), ("1.2.30.222", False), ("1.2.30.333", True)):
            self.ledger.make(Made(uid, f"digest of {uid}", may_differ))

    def verdict(self, uid: str, digest: str) -> str:
        return self.ledger.verdict(Found("name", uid, digest))

    def test_verdicts(self) -> None:
        self.assertEqual(self.verdict("1.2.30.111", "digest of 1.2.30.111"), WHOLE)
        self.assertEqual(self.verdict("1.2.30.333", "digest of 1.2.30.333"), WHOLE)
        self.assertEqual(self.verdict("1.2.30.111", "other"), CUT)
        self.assertEqual(self.verdict("1.2.30.111", "digest of 1.2.30.222"), CUT, "the bytes of another instance")
        self.assertEqual(self.verdict("", ""), CUT)
        self.assertEqual(self.verdict("1.2.30.444", "whatever"), CUT, "nobody made it")

    def test_a_turned_byte_excuses_what_went_over_that_line_alone(self) -> None:
        self.assertEqual(self.verdict("1.2.30.333", "other"), ALTERED)
        self.assertEqual(self.verdict("1.2.30.337", "other"), ALTERED, "the byte was in its UID")
        self.assertEqual(self.verdict("1.2.30.377", "other"), CUT)
        self.assertEqual(self.verdict("1.2.30.3333", "other"), CUT)

    def test_lost(self) -> None:
        for uid in ("1.2.30.111", "1.2.30.222", "1.2.30.333", "1.2.30.999"):
            self.ledger.acknowledge(uid)
        self.assertEqual(self.ledger.lost(["1.2.30.222"]), ["1.2.30.111"])
        self.assertEqual(self.ledger.lost([]), ["1.2.30.111", "1.2.30.222"])
        self.ledger.sweep("1.2.30.111")
        self.assertEqual(self.ledger.lost(["1.2.30.222"]), [])
        self.assertEqual(self.ledger.counts(), {"made": 3, "acknowledged": 3, "swept": 1})
        self.assertEqual(len(self.ledger.times()), 3)

    def test_what_was_not_acknowledged_is_not_lost(self) -> None:
        self.assertEqual(self.ledger.lost([]), [])

    def test_a_client_that_sent_something_else(self) -> None:
        self.ledger.acknowledge("1.2.30.111", "digest of 1.2.30.111")
        self.ledger.acknowledge("1.2.30.333", "other")
        self.assertEqual(self.ledger.misread, [])
        self.ledger.acknowledge("1.2.30.222", "other")
        self.assertEqual(self.ledger.misread, ["1.2.30.222"])


class Figures(unittest.TestCase):
    """Slopes, shares, rates."""

    def test_slope(self) -> None:
        self.assertEqual(soak_judge.slope([(0, 1), (1, 3), (2, 5)]), 2)
        self.assertEqual(soak_judge.slope([]), 0)
        self.assertEqual(soak_judge.slope([(1, 1), (1, 9)]), 0)

    def test_drift_is_of_the_slope_and_not_of_the_end_points(self) -> None:
        samples = [Sample(float(at), 5, 9, 100, 0) for at in range(300)]
        samples[-1] = dataclasses.replace(samples[-1], threads=500)  # one look at the wrong moment
        self.assertLess(soak_judge.drift(samples, soak_judge.threads), 20)
        self.assertEqual(soak_judge.drift(samples, soak_judge.descriptors), 0)

    def test_drift_leaves_the_warm_up_out(self) -> None:
        samples = [Sample(float(at), 0, 0, min(at, 90), 0) for at in range(300)]
        self.assertEqual(soak_judge.drift(samples, soak_judge.anonymous), 0)
        samples = [Sample(float(at), 0, 0, at * 10, 0) for at in range(300)]
        self.assertAlmostEqual(soak_judge.drift(samples, soak_judge.anonymous), 1990)
        self.assertEqual(soak_judge.drift([], soak_judge.anonymous), 0)

    def test_who_has_vanished_is_counted_apart(self) -> None:
        samples = [Sample(float(at), 5 + at, 9 + at, 0, at) for at in range(300)]
        self.assertEqual(soak_judge.drift(samples, soak_judge.threads), 0)
        self.assertEqual(soak_judge.drift(samples, soak_judge.descriptors), 0)

    def test_percentile_rate_and_throughput(self) -> None:
        self.assertEqual([soak_judge.percentile(range(100), share) for share in (0, 0.5, 0.99, 1)], [0, 50, 99, 99])
        self.assertEqual(soak_judge.percentile([], 0.5), 0)
        self.assertEqual(soak_judge.rate(record(), 0, 0.25), 1 / 75)
        self.assertEqual(soak_judge.rate(record(), 0.75, 1), 2 / 75)
        self.assertEqual(soak_judge.throughput(record()), 0.99)
        self.assertEqual(soak_judge.throughput(record(fresh=[])), 1)


class Promises(unittest.TestCase):
    """Each is broken by its own fault, and by no other."""

    def test_none_is_broken(self) -> None:
        self.assertEqual(broken(record()), [])
        self.assertEqual(broken(Record("ldicomnet", "1", 1.0, 1)), [])

    def test_each_by_its_own(self) -> None:
        held = record().at_rest
        faults: dict[str, dict[str, Any]] = {
            "acknowledged objects": {"lost": ["1.2.3"]},
            "no cut file": {"cut": ["1.2.3.dcm"]},
            "no temporary files": {"parts": [".x.part"]},
            "the well-behaved probe": {"unserved": ["rejected"]},
            "clients on a straight line": {"failed": ["storescu"], "failures": 1},
            "our clients end": {"hung": ["ldicomnet, mixed, job 1-1"]},
            "hostile connections": {"unended": ["silent, wait"]},
            "threads, descriptors and memory": {"samples": rising("threads", 20)},
            "at rest": {"at_rest": held | {"descriptors_after": 8}},
            "it is as fast": {"aged": [790.0, 20.0, 900.0]},
            "the server goes on": {"has_died": True},
            "no traceback": {"tracebacks": 1, "complaint": "KeyError"},
            "clients sent": {"misread": ["1.2.3"]},
            "the soak itself": {"errors": ["a worker"]},
        }
        self.assertEqual(len(faults), len(soak_judge.PROMISES))
        for promise, fault in faults.items():
            with self.subTest(promise=promise):
                verdicts = broken(record(**fault))
                self.assertEqual(len(verdicts), 1, verdicts)
                self.assertTrue(verdicts[0].startswith(promise), verdicts)

    def test_what_is_not_their_fault(self) -> None:
        self.assertEqual(broken(record(hung=["storescu, mixed, job 2-2"])), [])
        self.assertEqual(broken(record(altered=4)), [])
        self.assertEqual(broken(record(at_rest=record().at_rest | {"threads_after": 1})), [])

    def test_slopes(self) -> None:
        for name, most in (("threads", 6), ("descriptors", 6), ("anonymous", 10_000_000)):
            with self.subTest(name=name):
                self.assertEqual(broken(record(samples=rising(name, most * 0.8))), [])
                self.assertEqual(len(broken(record(samples=rising(name, most * 1.3)))), 1)
                self.assertEqual(broken(record(samples=rising(name, -most * 9))), [])
        short = {"samples": rising("threads", 20), "aged": [9.0], "seconds": 100.0}
        self.assertEqual(broken(record(**short)), [], "too short to say")

    def test_kept_in_a_file(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "record.json")
        record().save(path)
        self.assertEqual(soak_judge.load(path), record())
        for text in ("", "{}", "[]", '{"format": 99}', '{"format": 1, "samples": [], "more": 1}'):
            path.write_text(text)
            with self.subTest(text=text), self.assertRaises(ValueError):
                soak_judge.load(path)

    def test_told_from_a_file(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "record.json")
        for made, status in ((record(), 0), (record(lost=["1.2.3"]), 1)):
            made.save(path)
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                self.assertEqual(soak.main(["--from", str(path), str(path), "--markdown"]), status)
            self.assertIn("| ldicomnet, seed 1 | ldicomnet, seed 1 |", output.getvalue())
            self.assertEqual(output.getvalue().count("BROKEN by ldicomnet: acknowledged objects"), 2 * status)

    def test_a_table_of_a_run_that_came_to_nothing(self) -> None:
        table = soak_report.table([Record("ldicomnet", "1", 0.0, 1), record()], is_markdown=False)
        self.assertEqual({len(row.cells) for row in table.rows}, {3})
        self.assertNotIn("*", "".join(row.cells[0] for row in table.rows))


class Told(unittest.TestCase):
    """What clients wrote."""

    DUMP = (
        "I: Sending Store Request (MsgID 1, CT)\nD: Affected SOP Instance UID     : 1.2.1\n"
        "I: Received Store Response\nD: Affected SOP Instance UID     : 1.2.1\nD: DIMSE Status                  : {}\n"
        "I: Sending C-STORE Request\nD: Affected SOP Instance UID     : 1.2.2\n"
        "I: Received C-STORE Response\nD: Affected SOP Instance UID     : 1.2.2\nD: DIMSE Status         : {}\n"
    )
    GOOD, BAD = "0x0000: Success", "0xa700: Refused: Out of resources"

    def test_dcmtk(self) -> None:
        cases = {
            (self.GOOD, self.GOOD): ["1.2.1", "1.2.2"],
            (self.BAD, self.GOOD): ["1.2.2"],
            (self.GOOD, self.BAD): ["1.2.1"],
            (self.BAD, self.BAD): [],
        }
        for statuses, uids in cases.items():
            self.assertEqual(soak_traffic.dumped(self.DUMP.format(*statuses)), uids)

    def test_dcmtk_killed_anywhere(self) -> None:
        text = self.DUMP.format(self.GOOD, self.GOOD)
        found = [soak_traffic.dumped(text[:length]) for length in range(len(text) + 1)]
        self.assertEqual([list(group) for group, _ in itertools.groupby(found)], [[], ["1.2.1"], ["1.2.1", "1.2.2"]])
        self.assertEqual(soak_traffic.dumped(text[: text.index("Sending C-STORE")]), ["1.2.1"])

    def test_logs(self) -> None:
        text = '{"uid": "1.2", "sha1": "aa"}\n{"uid": "1.3", "sha1": "bb"}\n'
        self.assertEqual(soak_traffic.logged(text), [("1.2", "aa"), ("1.3", "bb")])
        self.assertEqual(soak_traffic.logged(text[:-1]), [("1.2", "aa")])
        self.assertEqual(soak_traffic.logged(""), [])


class Objects(unittest.TestCase):
    """What is sent, and what is found."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.out, self.kept = self.folder / "out", self.folder / "kept"
        for folder in (self.out, self.kept):
            folder.mkdir()
        self.ledger = Ledger()
        self.supply = Supply(self.ledger, "1", self.kept)

    def test_each_is_another(self) -> None:
        made = [self.supply.make(self.out, kind) for kind in ("tiny", "tiny", "ct", "large") for _ in range(3)]
        digests = set()
        for path in made:
            file = LDicomDS.load(path)
            dataset = file.dataset
            self.assertEqual((dataset.SOPInstanceUID, dataset.SOPClassUID), (path.stem, file.sop_class_uid))
            self.assertIn(file.sop_class_uid, objects.SOP_CLASSES.values())
            self.assertEqual(file.transfer_syntax, objects.EXPLICIT)
            noted = self.ledger.made(path.stem)
            assert noted is not None
            digests.add(hashlib.sha1(file.read()).hexdigest())
            self.assertIn(noted.digest, digests)
            self.assertEqual(look(path), Found(path.name, path.stem, noted.digest))
        self.assertEqual(len(digests), len(made))

    def test_some_are_kept_and_sent_again(self) -> None:
        chance = random.Random(1)
        self.assertIsNone(self.supply.again(self.folder, chance))
        paths = [self.supply.make(self.out, "tiny") for _ in range(100)]
        noted = [self.ledger.made(path.stem) for path in paths]
        kept = {made.uid for made in noted if made and made.is_kept}
        self.assertIn(len(kept), range(1, 30))
        self.assertEqual({path.stem for path in self.kept.iterdir()}, kept)
        again = self.supply.again(self.folder, chance)
        assert again is not None
        self.assertIn(again.stem, kept)
        self.assertEqual(again.read_bytes(), (self.out / again.name).read_bytes())

    def test_what_may_differ_is_not_sent_again(self) -> None:
        for _ in range(100):
            self.supply.make(self.out, "tiny", may_differ=True)
        self.assertIsNone(self.supply.again(self.folder, random.Random(1)))

    def test_files_that_end_too_early(self) -> None:
        path = self.supply.make(self.out, "tiny")
        whole = path.read_bytes()
        verdicts = []
        for length in range(0, len(whole), 50):
            path.write_bytes(whole[:length])
            found = look(path)
            assert found is not None
            verdicts.append(self.ledger.verdict(found))
        self.assertEqual(set(verdicts), {CUT})
        path.unlink()
        self.assertIsNone(look(path))

    def age(self, *paths: Path) -> None:
        """They were written long ago."""
        for path in paths:
            os.utime(path, (time() - 100, time() - 100))

    def test_swept_is_what_is_whole_and_old_and_not_kept(self) -> None:
        old, young, spoilt = (self.supply.make(self.out, "ct") for _ in range(3))
        kept = self.supply.make(self.out, "tiny", is_kept=True)
        foreign, part = self.out / "foreign", self.out / ".x.part"
        foreign.write_bytes(b"x")
        part.write_bytes(old.read_bytes())
        spoilt.write_bytes(spoilt.read_bytes()[:-1])
        self.age(old, spoilt, kept, foreign, part)
        sweeper = Sweeper(self.out, self.ledger)
        for _ in range(2):
            sweeper.sweep()
            left = {path.name for path in self.out.iterdir()}
            self.assertEqual(left, {path.name for path in (young, spoilt, kept, foreign, part)})
        self.assertEqual(self.ledger.counts()["swept"], 1)
        for path in (old, young, spoilt):
            self.ledger.acknowledge(path.stem)
        judged = soak_watch.judge(self.out, self.ledger)
        self.assertEqual(sorted(judged[WHOLE]), sorted([young.stem, kept.stem]))
        self.assertEqual(sorted(judged[CUT]), sorted([spoilt.name, "foreign"]))
        self.assertEqual(judged["parts"], [".x.part"])
        self.assertEqual(self.ledger.lost(judged[WHOLE]), [spoilt.stem])

    def test_a_file_that_was_made_whole_later_is_swept(self) -> None:
        path = self.supply.make(self.out, "ct")
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        self.age(path)
        sweeper = Sweeper(self.out, self.ledger)
        sweeper.sweep()
        path.write_bytes(whole)
        os.utime(path, (time() - 90, time() - 90))
        sweeper.sweep()
        self.assertFalse(path.exists())

    def test_temporary_files_of_a_process(self) -> None:
        (self.folder / "ldicomnet-abc-77-0.part").touch()
        (self.folder / "ldicomnet-abc-78-0.part").touch()
        with mock.patch.object(tempfile, "tempdir", str(self.folder)):
            self.assertEqual(soak_watch.temporary_files(77), ["ldicomnet-abc-77-0.part"])

    def test_no_dicom_file_has_no_uid(self) -> None:
        path = self.folder / "x"
        header = self.supply.make(self.out, "tiny").read_bytes()[:200]
        for text in (b"", b"\0" * 500, header):
            path.write_bytes(text)
            with self.subTest(text=text[:5]), self.assertRaises(ValueError):
                folders.stored(path)


# --- those who connect -------------------------------------------------------------------------------------------


class Silent:
    """Takes connections, answers association requests if it is to, and ends nothing before its own end."""

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._take(self._listener.accept()[0])

    def _take(self, connection: socket.socket) -> None:
        self._connections.append(connection)
        if self._answers:
            with contextlib.suppress(ConnectionError):  # some are gone again
                connection.sendall(canned.pdu(canned.ASSOCIATE_AC, bytes(68)))

    def end_all(self) -> None:
        """End all connections."""
        for connection in self._connections:
            connection.close()

    def close(self) -> None:
        """The end."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._listener.close()
        self.end_all()


class Server(LDicomNet):
    """Accepts everything."""

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        self.send_associate_accept(associate.accept(lambda uid: ANY_TRANSFER))


class Visitors(unittest.TestCase):
    """The hostile client and the probe."""

    @contextlib.contextmanager
    def silent(self, *, answers: bool) -> Iterator[Silent]:
        server = Silent(answers=answers)
        try:
            yield server
        finally:
            server.close()

    def all_rows(self, port: int) -> soak_hostile.Visits:
        """Each kind of visit with each ending once."""
        hostile = Hostile(port, "1")
        threads = []
        for row in soak_hostile.ROWS:
            for ending in dict.fromkeys(row.endings):
                one = dataclasses.replace(row, endings=(ending,))
                threads.append(threading.Thread(target=hostile._run, args=(one, random.Random(row.name)), daemon=True))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
            self.assertFalse(thread.is_alive())
        self.assertEqual(hostile.visits.kinds.total(), len(threads))
        return hostile.told()

    def left_to_the_server(self) -> set[str]:
        endings = ("wait", "half-close", "drip")
        return {f"{row.name}, {ending}" for row in soak_hostile.ROWS for ending in row.endings if ending in endings}

    def test_a_server_that_ends_nothing_is_told_of(self) -> None:
        with mock.patch.multiple(soak_hostile, LIMIT=0.3, DRIP=0.1), self.silent(answers=True) as server:
            visits = self.all_rows(server.port)
        self.assertEqual(set(visits.unended), self.left_to_the_server())
        self.assertEqual(visits.waits, [])

    def test_a_server_that_does(self) -> None:
        with mock.patch.object(soak_hostile, "DRIP", 0.1), self.silent(answers=True) as server:
            ending = threading.Timer(0.5, server.end_all)
            ending.start()
            visits = self.all_rows(server.port)
            ending.join()
        self.assertEqual(visits.unended, [])
        self.assertGreater(len(visits.waits), 10)

    def test_they_come_as_often_as_owed(self) -> None:
        with mock.patch.object(soak_hostile, "LIMIT", 0.2), self.silent(answers=False) as server:
            hostile = Hostile(server.port, "1")
            hostile.visit(0)
            hostile.visit(50)
            hostile.visit(99)
            hostile.stop()
            self.assertEqual(hostile.told().kinds.total(), 1)
            hostile.visit(699)
            hostile.stop()
            self.assertEqual(hostile.told().kinds.total(), 7)

    def test_the_probe_is_served(self) -> None:
        ledger = Ledger()
        for status in (None, 0xA700):
            with self.subTest(status=status), Server() as server:
                if status is None:
                    server_answer(server, 0)
                server.listen("127.0.0.1")
                why = Probe(server.get_host_info()[1], ledger).once(1 if status is None else 2)
                self.assertEqual(why == "", status is None)
        self.assertEqual(ledger.counts()["acknowledged"], 1)

    def test_the_probe_is_not_served(self) -> None:
        with mock.patch.object(soak_probe, "LIMIT", 0.2), self.silent(answers=False) as server:
            self.assertEqual(Probe(server.port, Ledger()).once(1), "not served within 0.2 s")
        self.assertIn("Refused", Probe(server.port, Ledger()).once(1))


def server_answer(server: Server, status: int) -> None:
    """Have those that it accepts answer C-STOREs with a status; without, nobody overrides the hook, which refuses."""

    class Storing(Server):
        def on_receive_c_store_request(self, presentation_id: int, message_id: int, *more: Any) -> None:
            self.send_c_store_response(presentation_id, message_id, more[0], more[1], status)

    server.create_client = Storing  # type: ignore[method-assign]


class Rest(unittest.TestCase):
    """What a process holds."""

    @unittest.skipUnless(procfs.HERE, "/proc is Linux's")
    def test_counts(self) -> None:
        let_idle_end(SECONDS)
        here = os.getpid()
        before = Counts.of(here)
        over = threading.Event()
        thread = threading.Thread(target=over.wait, daemon=True)
        thread.start()
        try:
            with Path(os.devnull).open():
                more = Counts.of(here)
        finally:
            over.set()
            thread.join()
        self.assertEqual((more.threads - before.threads, more.descriptors - before.descriptors), (1, 1))
        self.assertGreater(before.anonymous, 1 << 20)
        self.assertEqual(soak_watch.at_rest(here, before).threads, before.threads)

    @unittest.skipUnless(procfs.HERE, "/proc is Linux's")
    def test_at_rest_waits_for_what_goes(self) -> None:
        baseline = Counts.of(os.getpid())
        over = threading.Event()
        thread = threading.Thread(target=over.wait, args=(0.5,), daemon=True)
        thread.start()
        self.assertEqual(soak_watch.at_rest(os.getpid(), baseline).threads, baseline.threads)
        thread = threading.Thread(target=over.wait, daemon=True)
        thread.start()
        with mock.patch.object(soak_watch, "AT_REST_LIMIT", 0.3):
            self.assertEqual(soak_watch.at_rest(os.getpid(), baseline).threads, baseline.threads + 1)
        over.set()
        thread.join()


@unittest.skipUnless(CAN_RUN, "needs Linux's /proc and pydicom")
@unittest.skipIf(SHARE < 1, "LDICOMNET_TEST_SHARE: all of it is done on another interpreter")
class Run(unittest.TestCase):
    """The program, for seconds."""

    def run_with(self, server: stacks.Server, *arguments: str) -> tuple[int, Record, str]:
        """Exit status, record and output of a run against a server, which has timers of a second."""
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "record.json")
        output, handlers = io.StringIO(), [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(stacks.SERVERS, {soak.SERVERS["ldicomnet"]: server}))
            stack.enter_context(mock.patch.object(soak, "BURSTS", 1))
            stack.enter_context(mock.patch.object(soak_traffic, "PATIENCE", 2.0))
            stack.enter_context(mock.patch.object(soak_probe, "PERIOD", 0.2))
            stack.enter_context(contextlib.redirect_stdout(output))
            stack.enter_context(mock.patch.object(soak, "say"))
            status = soak.main([*QUICK, "--json", str(path), *arguments])
        self.assertEqual([signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)], handlers)
        return status, soak_judge.load(path), output.getvalue()

    def server(self, file: str, words: str, ready: str) -> stacks.Server:
        return stacks.Server((sys.executable, str(stacks.ROOT / file), *words.split()), ready=ready)

    def test_our_server_keeps_its_promises(self) -> None:
        words = "-ta 1 -od {out} {port}"
        status, made, output = self.run_with(self.server("samples/store_scp.py", words, "listening"), "--seed", "3")
        self.assertEqual((status, broken(made)), (0, []), made)
        self.assertIn("objects acknowledged", output)
        self.assertGreater(made.acknowledged, 10, "of the burst alone there are 10")
        self.assertGreater(len(made.probes), 3)
        self.assertGreater(sum(made.jobs.values()), 2)
        self.assertGreater(sum(made.hostile.values()), 0)
        self.assertGreater(made.whole, 10)
        self.assertEqual(made.at_rest["threads"], made.at_rest["threads_after"])
        self.assertEqual([thread.name for thread in threading.enumerate() if thread.name.startswith("soak")], [])

    @contextlib.contextmanager
    def ended_after(self, seconds: float) -> Iterator[None]:
        """Send this process SIGTERM so long after the load began."""
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
        start = soak_traffic.Traffic.start

        def starting(traffic: soak_traffic.Traffic) -> None:
            timer.start()
            start(traffic)

        with mock.patch.object(soak_traffic.Traffic, "start", starting):
            try:
                yield
            finally:
                timer.cancel()

    def test_a_server_that_lies_is_found_out(self) -> None:
        words = "scp --port {port} --out {out} --mode discard"
        with mock.patch.object(soak_hostile, "LIMIT", 1.0):
            server = self.server("benchmarks/driver.py", words, "READY")
            with self.ended_after(1.0):
                status, made, output = self.run_with(server, "--seed", "3", "--minutes", "9")
        self.assertIn(round(made.seconds), range(1, 9), "SIGTERM ends the load, and it is reported")
        self.assertEqual(status, 1)
        self.assertGreater(len(made.lost), 10)
        self.assertIn("BROKEN by ldicomnet: acknowledged objects are on the disk", output)


class CommandLine(unittest.TestCase):
    """What is asked for."""

    def test_wrong_arguments(self) -> None:
        for arguments in (["--minutes", "0"], ["--workers", "0"], ["--burst", "0"], ["--server", "nobody"]):
            with self.subTest(arguments=arguments), contextlib.redirect_stderr(io.StringIO()) as errors:
                with self.assertRaises(SystemExit) as ended:
                    soak.parse(arguments)
                self.assertEqual(ended.exception.code, 2)
                self.assertIn("error:", errors.getvalue())

    def test_no_such_file(self) -> None:
        with mock.patch.object(soak, "say") as say:
            self.assertEqual(soak.main(["--from", "/no/such/file"]), 2)
        say.assert_called_once()

    def test_servers_are_rows_of_the_stacks(self) -> None:
        self.assertEqual(set(soak.SERVERS.values()) - set(stacks.SERVERS), set())
        self.assertEqual(soak.parse([]).server, ["ldicomnet"])


if __name__ == "__main__":
    unittest.main()
