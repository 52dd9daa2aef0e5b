"""python -m benchmarks.soak: minutes of mixed, faulty and hostile traffic, and whether a server keeps its promises.

    python -m benchmarks.soak --minutes 10 --seed 7 --json soak.json
    python -m benchmarks.soak --minutes 3 --server pynetdicom --server storescp
    python -m benchmarks.soak --from soak.json --markdown

DCMTK's, pynetdicom's and our own clients send to it, many of them over bad lines (fault_proxy.py), some killed on the
way; hostile ones come in between, and a well-behaved probe once a second. The exit status is 1 if the server, or one of
our clients, has broken a promise (soak_judge.py). The seed settles what is drawn, and nothing about when it happens.
Ctrl-C ends the load early, and what there was is reported.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks import machine, procfs, soak_report, soak_watch, stacks, tables
from benchmarks.bench import Bench, Running
from benchmarks.cases import Case, Pair
from benchmarks.processes import Failure, Process
from benchmarks.soak_hostile import Hostile
from benchmarks.soak_judge import Record, broken, load
from benchmarks.soak_ledger import ALTERED, CUT, WHOLE, Ledger
from benchmarks.soak_objects import Supply
from benchmarks.soak_probe import Probe
from benchmarks.soak_report import Live
from benchmarks.soak_traffic import CORRUPT, MIXED, STRAIGHT, Traffic
from benchmarks.soak_watch import Watch

SERVERS = {
    "ldicomnet": "store_scp.py, as it is",
    "pynetdicom": "pynetdicom storescp",
    "pynetdicom-unlimited": "pynetdicom",
    "storescp": "storescp --fork +B, 5 s",
    "orthanc": "Orthanc",
}
"""Rows of stacks.py. pynetdicom's program takes 10 associations at once and has no option for it; its second row is
driver_pynetdicom.py, which takes them all."""
BURST, BURSTS = 200, 5
"""Small objects of the burst that throughput is taken from, and how often it is sent."""
TICK = 0.5
"""Seconds between two looks at whether a hostile client is owed."""
PROXY_LIMIT = 10.0
TRACEBACK = "Traceback (most recent call last)"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N", help="of load (10)")
    parser.add_argument("--seed", default="1", help="of everything that is drawn (1)")
    parser.add_argument(
        "--server", action="append", choices=sorted(SERVERS), help="who is tried (ldicomnet); several one by one"
    )
    parser.add_argument("--workers", type=int, default=6, metavar="N", help="good clients at once (6)")
    parser.add_argument("--burst", type=int, default=BURST, metavar="N", help=f"objects of a burst ({BURST})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the record; of several servers, FILE-SERVER")
    parser.add_argument("--from", type=Path, nargs="+", metavar="FILE", dest="sources", help="show such files")
    parser.add_argument("--markdown", action="store_true", help="print the table as GitHub Markdown")
    options = parser.parse_args(arguments)
    if options.minutes <= 0 or options.workers < 1 or options.burst < 1:
        parser.error("--minutes, --workers, --burst: more than nothing")
    options.server = options.server or ["ldicomnet"]
    return options


def main(arguments: list[str] | None = None) -> int:
    """The program; its exit status is 1 if a promise was broken."""
    options = parse(arguments)
    try:
        records = [load(path) for path in options.sources] if options.sources else list(run_all(options))
    except (OSError, ValueError, Failure) as error:
        say(str(error))
        return 2
    tables.printer(is_markdown=options.markdown)(soak_report.table(records, is_markdown=options.markdown))
    verdicts = [(record.server, verdict) for record in records for verdict in broken(record)]
    for server, verdict in verdicts:
        print(f"BROKEN by {server}: {verdict}", flush=True)
    return 1 if verdicts else 0


def say(line: str) -> None:
    """To standard error; the report goes to standard output."""
    print(f"soak: {line}", file=sys.stderr, flush=True)


def run_all(options: argparse.Namespace) -> Iterator[Record]:
    """One server after the other."""
    reason = machine.cannot_run() or ("" if procfs.HERE else "/proc is not here, which tells what a server holds")
    if reason:
        raise ValueError(reason)
    with _ended_by_term():
        yield from _run_each(options)


def _run_each(options: argparse.Namespace) -> Iterator[Record]:
    machine.allow_descriptors()
    for server in options.server:
        missing = stacks.missing(stacks.SERVERS[SERVERS[server]])
        if missing:
            raise ValueError(f"{missing} is not here")
        say(f"{server}, {options.minutes:g} minutes, seed {options.seed}")
        record = run(options, server)
        if options.json:
            is_one = len(options.server) == 1
            path = options.json if is_one else options.json.with_stem(f"{options.json.stem}-{server}")
            record.save(path)
        yield record


# --- one run -----------------------------------------------------------------------------------------------------


@dataclass
class Line:
    """A bad line, as a process of its own."""

    process: Process
    port: int

    def told(self) -> Any:
        """What it has done so far, see `FaultProxy.told`."""
        self.process.write_line()
        return json.loads(self.process.line(PROXY_LIMIT))


@dataclass
class Stage:
    """All that takes part in a run."""

    server: Running
    lines: dict[str, Line]
    ledger: Ledger
    traffic: Traffic
    hostile: Hostile
    probe: Probe
    watch: Watch
    bench: Bench
    case: Case
    burst: Path

    def line(self) -> str:
        """How it stands."""
        done, hostile, ledger = self.traffic.done, self.hostile.told(), self.ledger.counts()
        probe = max(self.probe.seconds, default=0.0)
        sample = self.watch.samples[-1] if self.watch.samples else None
        words = [
            f"{sum(done.jobs.values())} clients, {sum(done.killed.values())} killed, {done.failures} failed straight",
            f"{ledger['acknowledged']} objects acknowledged, {ledger['swept']} proved",
            f"{sum(hostile.kinds.values())} hostile",
            f"probe {len(self.probe.seconds)} served, {len(self.probe.failures)} not, worst {probe:.2f} s",
        ]
        if sample:
            held = f"{sample.threads} threads, {sample.descriptors} descriptors, {sample.anonymous / 1e6:.1f} MB"
            words = [f"{sample.at:.0f} s", *words, held]
        return "; ".join(words)


def run(options: argparse.Namespace, server: str) -> Record:
    """A server under load for the minutes of the options.

    Raises:
        Failure: it does not start, or a burst to it fails.
    """
    seconds = options.minutes * 60
    record = Record(server, options.seed, seconds, options.workers, machine.describe())
    with contextlib.ExitStack() as stack:
        stage = _set(stack, options, server)
        _burst(stage, stage.server)
        baseline = soak_watch.at_rest(stage.server.process.pid)
        record.seconds = _load(stage, seconds, stack)
        for line in stage.lines.values():
            record.faults |= line.told()["fired"]
            line.process.stop()
        after = soak_watch.at_rest(stage.server.process.pid, baseline)
        _compare(record, stage)
        for name, value in (("", baseline), ("_after", after)):
            record.at_rest |= {f"{key}{name}": number for key, number in vars(value).items()}
        _note(record, stage)
    return record


def _set(stack: contextlib.ExitStack, options: argparse.Namespace, server: str) -> Stage:
    """Start what is there before the load."""
    disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ldicomnet-soak-")))
    memory = machine.memory_folder(256 << 20)
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ldicomnet-soak-", dir=memory)))
    kept, burst = scratch / "kept", scratch / "burst"
    for folder in (kept, burst):
        folder.mkdir()
    ledger = Ledger()
    supply = Supply(ledger, options.seed, kept)
    for _ in range(options.burst):
        supply.make(burst, "tiny", is_kept=True)
    bench = Bench(scratch, disk, is_quick=True, nodelay=True)
    case = Case("soak", "", "", (), (), "", 1, 1, on_disk=True)
    running = stack.enter_context(bench.server(case, Pair("", SERVERS[server]), 1))
    lines = {table: _line(stack, scratch, table, running.port, options.seed) for table in (MIXED, CORRUPT)}
    ports = {STRAIGHT: running.port} | {table: line.port for table, line in lines.items()}
    traffic = Traffic(ports, supply, ledger, scratch, options.seed, options.workers)
    watch = Watch(running.process.pid, lambda: int(lines[MIXED].told()["vanished"]), running.out, ledger)
    hostile, probe = Hostile(running.port, options.seed), Probe(running.port, ledger)
    return Stage(running, lines, ledger, traffic, hostile, probe, watch, bench, case, burst)


def _line(stack: contextlib.ExitStack, scratch: Path, table: str, port: int, seed: str) -> Line:
    command = [sys.executable, "-m", "benchmarks.fault_proxy", "--target", str(port), "--table", table, "--seed", seed]
    environment = stacks.environment(nodelay=True)
    process = stack.enter_context(Process(command, environment, scratch / f"{table}.log"))
    return Line(process, json.loads(process.line(PROXY_LIMIT))["port"])


def _burst(stage: Stage, server: Running) -> float:
    """Objects per second of a burst to a server that has nothing else to do."""
    sent = [path.stem for path in stage.burst.iterdir()]
    answer = stage.bench.run(stage.case, Pair(stacks.OURS), server.port, folder=stage.burst).answer
    if answer.get("n") != len(sent):
        raise Failure(f"{answer.get('n')} of {len(sent)} objects of a burst were acknowledged")
    if server is stage.server:
        for uid in sent:
            stage.ledger.acknowledge(uid)
    return len(sent) / answer["seconds"]


def _compare(record: Record, stage: Stage) -> None:
    """The server beside one that has just started, in turns: what slows the machine slows both."""
    with stage.bench.server(stage.case, Pair("", SERVERS[record.server]), 1) as fresh:
        _burst(stage, fresh)  # it has done everything once
        try:
            for _ in range(BURSTS):
                record.fresh.append(_burst(stage, fresh))
                record.aged.append(_burst(stage, stage.server))
        except Failure as failure:
            record.unserved.append(f"a burst after the load: {failure}")


def _load(stage: Stage, seconds: float, stack: contextlib.ExitStack) -> float:
    """Everybody at once, until the time is over or the server is; how long that was."""
    stage.ledger.begin()
    for part in (stage.watch, stage.traffic, stage.probe):
        part.start()
    stack.callback(stage.watch.stop)
    began, pause = monotonic(), threading.Event()
    until = began + seconds
    with Live(stage.line), _signals() as signals:
        while (left := until - monotonic()) > 0 and stage.server.process.is_running and not signals:
            stage.hostile.visit(stage.traffic.associations())
            pause.wait(min(TICK, left))
        took = monotonic() - began
    stage.watch.stop()
    stage.traffic.stop()
    stage.hostile.stop()
    stage.probe.stop()
    return took


@contextlib.contextmanager
def _ended_by_term() -> Iterator[None]:
    """SIGTERM ends what runs, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """The Ctrl-C and SIGTERM that came: the load ends, and is reported."""
    came: list[int] = []  # not an event: its lock may be held by who is interrupted
    names = (signal.SIGINT, signal.SIGTERM)
    before = {name: signal.signal(name, lambda number, _: came.append(number)) for name in names}
    try:
        yield came
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _note(record: Record, stage: Stage) -> None:
    """What came of it all."""
    done, visits, counts = stage.traffic.done, stage.hostile.told(), stage.ledger.counts()
    record.jobs, record.killed, record.associations = dict(done.jobs), dict(done.killed), done.associations
    record.hung, record.failed = done.hung, done.failed
    record.failures, record.own_faults = done.failures, done.own_faults
    record.hostile, record.hostile_waits, record.unended = dict(visits.kinds), visits.waits, visits.unended
    record.made, record.acknowledged, record.swept = counts["made"], counts["acknowledged"], counts["swept"]
    record.probes, record.unserved = stage.probe.seconds, stage.probe.failures
    record.samples, record.times = stage.watch.samples, stage.ledger.times()
    pid = stage.server.process.pid
    found = soak_watch.judge(stage.server.out, stage.ledger)
    record.lost, record.misread = stage.ledger.lost(found[WHOLE]), stage.ledger.misread
    record.whole, record.altered, record.cut = len(found[WHOLE]), len(found[ALTERED]), found[CUT]
    record.parts = found["parts"] + soak_watch.temporary_files(pid)
    record.has_died = not stage.server.process.is_running
    record.tracebacks = stage.server.process.complaints().count(TRACEBACK)
    record.complaint = stage.server.process.complaint()
    record.errors = done.errors + stage.watch.errors


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
