"""python -m benchmarks: ldicomnet beside other DICOM software and bare sockets, on this machine, at this moment."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks import machine, results, tables
from benchmarks.bench import Bench
from benchmarks.cases import Case, Pair, select
from benchmarks.measure import measure
from benchmarks.processes import NotStarted, OutOfTime
from benchmarks.results import Results

RUNS, QUICK_RUNS = 5, 2
PAIR_BUDGET = 60.0
"""Seconds after which a pair is not run again."""
FULL_SPACE, QUICK_SPACE = 3 << 30, 256 << 20
"""Bytes that servers write at most, with some to spare."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--cases", default="", metavar="A,B", help="only these; store is all that begin with store-")
    parser.add_argument("--list", action="store_true", help="say what cases and pairs there are, and end")
    parser.add_argument("--runs", type=int, metavar="N", help=f"runs of each pair ({RUNS}; {QUICK_RUNS} with --quick)")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see whether it works")
    nagle = parser.add_mutually_exclusive_group()
    nagle.add_argument(
        "--nodelay", action="store_true", default=None, help="peers without Nagle's algorithm in every case, nagle too"
    )
    nagle.add_argument(
        "--as-shipped", dest="nodelay", action="store_false", help="peers as they are in every case, not only in nagle"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement and what it was taken on")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="source", help="show such a file, measure nothing")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the results; needs matplotlib")
    parser.add_argument("--markdown", action="store_true", help="print tables as GitHub Markdown")
    options = parser.parse_args(arguments)
    try:
        options.cases = select(options.cases)
    except ValueError as error:
        parser.error(f"--cases: {error}; --list lists them")
    if options.runs is not None and options.runs < 1:
        parser.error("--runs: at least one")
    return options


def main(arguments: list[str] | None = None) -> int:
    """The program; its exit status is 1 if anything of ours failed or lost an operation."""
    options = parse(arguments)
    if options.list:
        show_list(options.cases)
        return 0
    try:
        found = results.load(options.source) if options.source else measure_all(options)
        if options.source:
            show(found, options)
        if options.plot:
            draw(found, options.plot)
    except (OSError, ValueError) as error:
        say(str(error))
        return 2
    for record in found.our_faults:
        say(f"{record.case}, {record.pair}, run {record.run + 1}: {record.problem}")
    return 1 if found.our_faults else 0


def say(line: str) -> None:
    """To standard error; tables go to standard output."""
    print(f"benchmarks: {line}", file=sys.stderr, flush=True)


def show_list(cases: list[Case]) -> None:
    """What there is."""
    for case in cases:
        print(f"{case.name}: {case.title.format(n=case.full)}")
        for pair in case.pairs:
            lack = machine.missing(case, pair)
            print(f"    {pair.name}" + (f"  (not here: {', '.join(lack)})" if lack else ""))


def show(found: Results, options: argparse.Namespace) -> None:
    """Every table."""
    show_machine(found, options)
    printed = tables.printer(is_markdown=options.markdown)
    for table in tables.tables(found):
        printed(table)


def show_machine(found: Results, options: argparse.Namespace) -> None:
    """What it was taken on."""
    print(", ".join(f"{key} {value}" for key, value in found.machine.items()), end="\n\n", flush=True)


def draw(found: Results, path: Path) -> None:
    """The figure, if it can be."""
    if importlib.util.find_spec("matplotlib") is None:
        say(f"{path} is not drawn: matplotlib is not here")
        return
    from benchmarks import plot

    plot.draw(found, path)


# --- measuring ---------------------------------------------------------------------------------------------------


def measure_all(options: argparse.Namespace) -> Results:
    """Case by case, with a table after each."""
    reason = machine.cannot_run()
    if reason:
        raise ValueError(reason)
    for line in machine.lacks(options.cases):
        say(line)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended, as with Ctrl-C
    machine.allow_descriptors()
    options.runs = options.runs or (QUICK_RUNS if options.quick else RUNS)
    settings = {"quick": options.quick, "runs": options.runs, "nodelay": options.nodelay}
    found = Results(machine.describe(), settings)
    show_machine(found, options)
    printed = tables.printer(is_markdown=options.markdown)
    with folders(options.quick) as (scratch, disk):
        bench = Bench(scratch, disk, is_quick=options.quick, nodelay=options.nodelay)
        try:
            for case in options.cases:
                found.sizes[case.name] = bench.size(case)
                measure_case(bench, case, options, found)
                printed(tables.table(case, bench.size(case), found.of(case.name)))
        finally:
            if options.json:
                found.save(options.json)
    return found


@contextlib.contextmanager
def folders(is_quick: bool) -> Iterator[tuple[Path, Path]]:
    """Scratch in memory if there is room, and on a disk."""
    memory = machine.memory_folder(QUICK_SPACE if is_quick else FULL_SPACE)
    if memory is None:
        say(f"servers write to {tempfile.gettempdir()}: the disk is measured as well")
    with (
        tempfile.TemporaryDirectory(prefix="ldicomnet-bench-", dir=memory) as scratch,
        tempfile.TemporaryDirectory(prefix="ldicomnet-bench-") as disk,
    ):
        yield Path(scratch), Path(disk)


def measure_case(bench: Bench, case: Case, options: argparse.Namespace, found: Results) -> None:
    """All pairs once, then all pairs again: what slows the machine for a while slows all alike."""
    pairs = [pair for pair in case.pairs if not machine.missing(case, pair)]
    runs = options.runs * (1 if options.quick else case.repeats)
    spent = dict.fromkeys(pairs, 0.0)
    for run in range(runs):
        for pair in [pair for pair in pairs if spent[pair] < PAIR_BUDGET]:
            progress(case, pair, run, runs)
            began = perf_counter()
            record, failure = measure(bench, case, pair, run)
            found.records.append(record)
            spent[pair] += perf_counter() - began
            if isinstance(failure, (NotStarted, OutOfTime)):
                spent[pair] = PAIR_BUDGET  # it would be so again
    progress_ends()


def progress(case: Case, pair: Pair, run: int, runs: int) -> None:
    """One line that is written over, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{case.name} {run + 1}/{runs}: {pair.name}", end="", file=sys.stderr, flush=True)


def progress_ends() -> None:
    """Nothing is left of it."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
