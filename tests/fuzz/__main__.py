"""python -m tests.fuzz: spoiled bytes against everything that reads what a peer sent, for as long as you like."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path
from time import monotonic
from zlib import crc32

from . import corpus
from .run import MEMORY_EVERY, Finding, Fuzz, check, describe, quiet
from .targets import TARGETS, Target

SLICE = 10.0
"""Seconds for which a target runs until the next one's turn comes, at most."""
EPILOG = """
Inputs are those of tests/fuzz/corpus, spoiled by the mutations of tests/fuzz/mutations.py. Input number N of a target
is the same for the same seed and corpus. An input that a target does not stand is printed and saved in the corpus,
where the unit tests try it again; its target stops, the others go on.

exit status: 0 nothing found; 1 something was; 2 wrong arguments; 130 interrupted

examples:
  python -m tests.fuzz --minutes 20
  python -m tests.fuzz --minutes 5 --target inbound --target message --seed 7
  python -m tests.fuzz --target pdu --replay tests/fuzz/corpus/pdu/found-0a1b2c3d.hex
"""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=1.0, metavar="N", help="how long, all targets together (1)")
    parser.add_argument("--seed", type=int, metavar="S", help="chooses the inputs (a random one, which is printed)")
    parser.add_argument(
        "--target", action="append", choices=TARGETS, metavar="NAME", help="only this one; may be given again"
    )
    parser.add_argument("--replay", nargs="+", type=Path, metavar="FILE", help="run the targets with these files only")
    parser.add_argument("--list", action="store_true", help="say which targets there are, and end")
    options = parser.parse_args(arguments)
    if options.minutes <= 0:
        parser.error("--minutes: more than 0")
    if options.seed is None:
        options.seed = secrets.randbelow(1 << 32)
    options.targets = [TARGETS[name] for name in options.target or TARGETS]
    return options


def main(arguments: list[str] | None = None) -> int:
    """The program; its exit status."""
    options = parse(arguments)
    if options.list:
        show_list(options.targets)
        return 0
    try:
        with quiet():
            return replay(options.targets, options.replay) if options.replay else fuzz(options)
    except KeyboardInterrupt:
        return 130


def show_list(targets: list[Target]) -> None:
    """What there is."""
    for target in targets:
        errors = ", ".join(error.__name__ for error in target.errors) or "nothing"
        print(f"{target.name}: {(target.run.__doc__ or '').strip()}")
        print(f"    may raise {errors}; {len(corpus.load(target.folder))} inputs in corpus/{target.folder}")


def replay(targets: list[Target], paths: list[Path]) -> int:
    """Run files of the corpus, or of elsewhere."""
    status = 0
    for path in paths:
        data = corpus.read(path)
        for target in targets:
            try:
                check(target, data)
                print(f"{target.name}: {path} ok")
            except Finding as finding:
                print(f"{target.name}: {path} {finding}")
                status = 1
    return status


def fuzz(options: argparse.Namespace) -> int:
    """Each target in its turn until time is up, each with one input at least."""
    end = monotonic() + 60 * options.minutes
    turn = min(SLICE, 60 * options.minutes / len(options.targets))
    turns = [Turn(target, options.seed) for target in options.targets]
    print(f"seed {options.seed}, {len(turns)} targets, {options.minutes:g} minutes", flush=True)
    while going := [one for one in turns if one.goes_on and (one.number == 0 or monotonic() < end)]:
        for one in going:
            one.run(min(end, monotonic() + turn))
    found = sum(not one.goes_on for one in turns)
    print(f"{sum(one.number for one in turns)} inputs, {found} findings")
    return 1 if found else 0


class Turn:
    """One target and how far it has come.

    Attributes:
        number: of the next input.
        goes_on: whether nothing was found so far.
    """

    def __init__(self, target: Target, seed: int) -> None:
        self.target = target
        self.fuzz = Fuzz(target, seed)
        self.number = 0
        self.goes_on = True

    def run(self, until: float) -> None:
        """Run until then, or until something is found."""
        start, first = monotonic(), self.number
        while self.goes_on and (self.number == 0 or monotonic() < until):
            data = self.fuzz.input(self.number)
            try:
                check(self.target, data, measures_memory=self.number % MEMORY_EVERY == 0)
            except Finding as finding:
                self.tell(data, finding)
                self.goes_on = False
            self.number += 1
        rate = (self.number - first) / max(0.001, monotonic() - start)
        print(f"{self.target.name:<17}{self.number:>10} inputs {rate:>9.0f}/s", flush=True)

    def tell(self, data: bytes, finding: Finding) -> None:
        """Print and save an input that the target does not stand."""
        where = f"target {self.target.name}, seed {self.fuzz.seed}, number {self.number}"
        path = corpus.save(self.target.folder, f"found-{crc32(data):08x}", data, f"{where}: {finding}"[:400])
        print(f"FOUND: {where}, {len(data)} bytes, saved as {path}\n{describe(data, finding)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
