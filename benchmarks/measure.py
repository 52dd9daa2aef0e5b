"""How a pair is measured, once: start the server, run the client, look at what came of it. One function a method."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import folders, procfs, stacks
from benchmarks.bench import STORES, Bench, Running, succeeded
from benchmarks.cases import Case, Pair
from benchmarks.delay_proxy import DelayProxy
from benchmarks.processes import Failure, NotStarted, Outcome
from benchmarks.results import Record

Method = Callable[[Bench, Case, Pair, Record], None]
"""Fills the figures of a record, or raises Failure; what was lost is the record's problem."""
MEGABYTE = 1e6


# --- echo, assoc, find -------------------------------------------------------------------------------------------


def operations(bench: Bench, case: Case, pair: Pair, record: Record) -> None:
    """So many of something, by the client's own clock if it has one, else by that of its process."""
    with bench.server(case, pair, record.wanted) as server:
        outcome = bench.run(case, pair, server.port, n=record.wanted)
        record.figures |= server.taken() | _client_taken(outcome)
        _count(record, *_done(outcome, record.wanted))
        if not record.run and not outcome.answer:
            witnessed = bench.witnessed(case, pair, server.port, n=record.wanted)
            if witnessed not in (None, record.wanted):
                record.problem = f"{witnessed} of {record.wanted}"


# --- store -------------------------------------------------------------------------------------------------------


def store(bench: Bench, case: Case, pair: Pair, record: Record) -> None:
    """Folders of objects; then what the server wrote is compared with what was sent."""
    parts = [bench.folders.get(case.objects, record.wanted, part, pair.senders) for part in range(pair.senders)]
    sent = sum((bench.folders.contents(part) for part in parts), folders.Contents())  # reads them: the cache is warm
    number, size = sent.total(), sum(folders.count(part)[1] for part in parts)
    with bench.server(case, pair, record.wanted) as server, _line(case, server.port) as port:
        if case.from_idle:
            sent += _idle(bench, case, pair, server, record)
        outcomes = _send(bench, case, pair, port, parts)
        record.figures |= server.taken() | _client_taken(*outcomes)
        if case.from_idle:
            for side in ("client", "server"):
                peak, idle = record.figures.get(f"{side}_peak", 0), record.figures.get(f"{side}_idle", 0)
                record.figures[f"{side}_growth"] = max(peak - idle, 0)
        done, seconds = zip(*(_done(outcome, number // pair.senders) for outcome in outcomes), strict=True)
        record.wanted = number
        _count(record, sum(done), _span(outcomes, seconds))
        record.figures["mb_s"] = size / MEGABYTE / record.figures["seconds"] * sum(done) / number
        _compare(pair, server.out, sent, record)


@contextlib.contextmanager
def _line(case: Case, port: int) -> Iterator[int]:
    """The port to connect to: the server's own, or of a longer line to it."""
    if not case.each_way:
        yield port
        return
    with DelayProxy(port, case.each_way) as proxy:
        yield proxy.port


def _idle(bench: Bench, case: Case, pair: Pair, server: Running, record: Record) -> folders.Contents:
    """Send one small object of the same kind first: the memory of both ends that has nothing to do with the size."""
    folder = bench.folders.get(case.objects, 1)
    outcome = bench.run(case, pair, server.port, folder=folder)
    record.figures |= {"client_idle": outcome.peak, "server_idle": server.taken().get("server_peak", 0)}
    return bench.folders.contents(folder)


def _send(bench: Bench, case: Case, pair: Pair, port: int, parts: list[Path]) -> list[Outcome]:
    """One client for each part, all at once."""
    with contextlib.ExitStack() as clients:
        started = [
            clients.enter_context(bench.client(case, pair, port, folder=part)) for part in parts
        ]
        return [succeeded(process, case.limit) for process in started]


def _span(outcomes: list[Outcome], seconds: tuple[float, ...]) -> float:
    """From the first beginning to the last end, where clients tell when they began; else the longest of them."""
    began = [outcome.answer["began"] for outcome in outcomes if "began" in outcome.answer]
    if len(began) < len(outcomes):
        return max(seconds)
    return max(start + length for start, length in zip(began, seconds, strict=True)) - min(began)


def _compare(pair: Pair, out: Path, sent: folders.Contents, record: Record) -> None:
    """Whether as many files were written as objects sent, and, where we took part, the same data sets."""
    files, size = folders.count(out)
    record.figures |= {"files": files, "bytes": size}
    if files != sent.total():
        record.problem = f"{files} of {sent.total()} files were written"
    elif pair.is_ours and stacks.SERVERS[pair.server].is_exact:
        differing = (sent - folders.contents(out)).total()
        if differing:
            record.problem = f"{differing} of {files} data sets are not what was sent"


# --- crowd -------------------------------------------------------------------------------------------------------


def crowd(bench: Bench, case: Case, pair: Pair, record: Record) -> None:
    """The crowd stops once all are in, and the memory of the server and its children is read."""
    with (
        bench.server(case, pair, record.wanted) as server,
        bench.client(case, pair, server.port, n=record.wanted) as visitors,
    ):
        visitors.line(case.limit)
        if procfs.HERE:
            record.figures["server_shared"] = procfs.shared_bytes(server.process.pid)
        visitors.write_line()
        outcome = succeeded(visitors, case.limit)
        record.figures |= server.taken() | _client_taken(outcome) | {"held": outcome.answer["held"]}
        _count(record, *_done(outcome, record.wanted))
        record.problem = record.problem and f"{record.problem} ({outcome.answer['why']})"
        files, _ = folders.count(server.out)
        record.figures["files"] = files
        if files < record.figures["n"] * STORES:
            record.problem = f"{files} files were written, of {outcome.answer['stored']} that it said it stored"


# --- startup -----------------------------------------------------------------------------------------------------


def launch(bench: Bench, case: Case, pair: Pair, record: Record) -> None:
    """A whole process; one that talks to a server has it running already."""
    if not pair.server:
        outcome = bench.run(case, pair)
    else:
        with bench.server(case, pair, 1) as server:
            outcome = bench.run(case, pair, server.port, n=1)
    record.figures |= _client_taken(outcome)
    record.figures |= {"ms": outcome.seconds * 1000, "cpu_ms": outcome.cpu * 1000}
    _count(record, int(outcome.answer.get("n", 1)), outcome.seconds)


# --- figures -----------------------------------------------------------------------------------------------------


def _client_taken(*outcomes: Outcome) -> dict[str, float]:
    return {
        "client_cpu": sum(outcome.cpu for outcome in outcomes),
        "client_peak": max(outcome.peak for outcome in outcomes),
    }


def _done(outcome: Outcome, wanted: int) -> tuple[int, float]:
    """What a driver says of itself; of a tool that ended well, that it did everything."""
    return int(outcome.answer.get("n", wanted)), outcome.answer.get("seconds", outcome.seconds)


def _count(record: Record, done: int, seconds: float) -> None:
    record.figures |= {"n": done, "seconds": seconds, "rate": done / seconds if seconds else 0.0}
    if done != record.wanted:
        record.problem = f"{done} of {record.wanted} succeeded"


METHODS: dict[str, Method] = {"operations": operations, "store": store, "crowd": crowd, "launch": launch}


def measure(bench: Bench, case: Case, pair: Pair, run: int) -> tuple[Record, Exception | None]:
    """One measurement; its record says what went wrong, if anything did."""
    record = Record(case.name, pair.name, run, bench.count(case, pair))
    failure: Exception | None = None
    try:
        METHODS[case.method](bench, case, pair, record)
    except (Failure, OSError, ValueError, KeyError) as error:
        failure = error
        record.problem = str(error) or type(error).__name__
    whose = pair.has_our_server if isinstance(failure, NotStarted) else pair.is_ours
    record.is_our_fault = bool(record.problem) and whose
    return record, failure
