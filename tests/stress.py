"""Any method from any hook and any thread, at any time, in any order: random walks, and what holds after each.

    python -m tests.stress --rounds 500 --seed 1

A round is a few connections, in memory or over TCP, threads that call whatever they like, and hooks that do the same.
Then everything is closed, and looked at: did every thread come back, was each connection's end told once, does anything
stay. Which calls are made depends on the seed; how they meet depends on the machine: a round that fails is run again
with the command that is printed, as often as it takes.

Knows no expected results, only what always holds; what a method does is in the tests of its room.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import socket
import sys
import tempfile
import threading
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from time import monotonic
from types import TracebackType
from typing import Any

from ldicomnet import ANY_TRANSFER, ErrorCode, LDicomAssociate, LDicomDS, LDicomError
from ldicomnet.transport.memory import pair

from .leftovers import Baseline, join_all, resident, stacks
from .support import CT, EXPLICIT, IMPLICIT, VERIFICATION, request
from .wild import ENDS, EXTRAS, RARE, SECONDS, SENDS, STEPS, TIMEOUTS, WHIMS, OnPurpose, Payloads, Wild, WildBeside

LENGTH = 0.3
"""Seconds of a round before everything is closed."""
MB = 1 << 20
MOST_GROWTH = 8 * MB
"""Bytes by which memory may grow over all rounds: what is resident goes up and down with the rounds."""
MOST_CONNECTIONS = 60
"""Connections that one round makes at most."""

WINDOWS: tuple[tuple[int, int] | None, ...] = (None, None, (1, 1), (2, 3), (0, 0))


# --- a round ------------------------------------------------------------------------------------------------------


class Walk:
    """One round.

    Attributes:
        ended: set when everybody is to come to an end.
        changed: notified when a count of one of `nets` has changed.
        failures: what went wrong, in words.
        kept: received data sets.
        sockets: plain ones, which are closed at the end.
        switching: seconds after which the interpreter takes another thread; the shorter, the stranger the order.
    """

    def __init__(self, seed: int, payloads: Payloads) -> None:
        self.rng = rng = Random(seed)
        self.payloads = payloads
        self.is_tcp = rng.random() < 0.5
        self.window = rng.choice(WINDOWS)
        self.kind = rng.choice((Wild, Wild, WildBeside))
        self.extras = [extra for extra in EXTRAS if rng.random() < 0.25]
        self.whims = rng.sample(list(WHIMS), rng.randint(1, 6))
        self.whimsy = rng.choice((0.0, 0.02, 0.1, 0.3))
        self.reconnects = rng.random() < 0.3
        self.waits = rng.random() < 0.7
        self.casts = [self._cast(rng) for _ in range(rng.randint(2, 6))]
        self.meddles = any("meddle" in cast for cast in self.casts)
        self.nets: list[Wild] = []
        self.servers: list[Wild] = []
        self.sockets: list[socket.socket] = []
        self.kept: list[LDicomDS] = []
        self.failures: list[str] = []
        self.slowest = 0.0
        self.ended = threading.Event()
        self.changed = threading.Condition()
        self._wanted = rng.randint(1, 4)
        self.switching = rng.choice((5e-3, 1e-4, 1e-6))
        self.is_secured = rng.random() < 0.2
        self._connections = 0

    def _cast(self, rng: Random) -> list[str]:
        """The steps that one actor takes, the more often named the more often."""
        cast = rng.choices(list(SENDS), k=8) + rng.choices(list(ENDS), k=rng.choice((0, 1, 3)))
        return cast + rng.choices(list(RARE), k=rng.random() < 0.15)

    def __str__(self) -> str:
        casts = "; ".join(" ".join(sorted(set(cast))) for cast in self.casts)
        return (
            f"{'tcp' if self.is_tcp else 'memory'}{', iscl' if self.is_secured else ''}, window {self.window}, "
            f"{self.kind.__name__}, extras {self.extras}, "
            f"whims {self.whims} at {self.whimsy}, actors: {casts}"
        )

    # --- what steps use -------------------------------------------------------------------------------------------

    def attempt(self, method: Callable[..., Any], *arguments: Any) -> bool:
        """Call a public method; False when it raised, or returned the code of, an error that it may."""
        began = monotonic()
        try:
            done = method(*arguments)
        except (LDicomError, OnPurpose, SystemExit):
            return False
        except Exception:
            self.failures.append(f"{getattr(method, '__name__', method)} raised:\n{traceback.format_exc()}")
            return False
        finally:
            self.slowest = max(self.slowest, monotonic() - began)
        return not isinstance(done, ErrorCode) or done == ErrorCode.SUCCESS

    def new(self) -> Wild:
        """One more object."""
        return self.kind(self)

    def ask(self) -> LDicomAssociate:
        """An association request."""
        asked = request((VERIFICATION, IMPLICIT), (CT, EXPLICIT))
        if self.window is not None:
            asked.set_async_operations(True, *self.window)
        return asked

    def agree(self, asked: LDicomAssociate) -> LDicomAssociate:
        """The answer to it."""
        return asked.accept(lambda uid: ANY_TRANSFER, async_operations=self.window or (1, 1))

    def join(self, net: Wild) -> None:
        """Connect an object to something, if there have not been too many connections."""
        self._connections += 1
        if self.ended.is_set() or self._connections > MOST_CONNECTIONS:
            return
        if self.servers:
            self.attempt(net.connect, "", 0, *self.rng.choice(self.servers).get_host_info())
            return
        there, back = pair(1 << self.rng.randint(8, 18), send_timeout=TIMEOUTS.send)
        if self.attempt(self.new().attach, back, False) and not self.attempt(net.attach, there, True):
            there.close()

    # --- its course -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """From the first connection to the last close; what went wrong is in `failures`."""
        if self.is_tcp:
            self.servers = [self.new() for _ in range(self.rng.randint(1, 2))]
            for server in self.servers:
                self.attempt(server.listen, "127.0.0.1")
        for _ in range(self._wanted):
            self.join(self.new())
        if self.waits:
            with self.changed:
                self.changed.wait_for(lambda: any(net.counts["associated"] for net in self.nets), 1)
        actors = {
            threading.Thread(target=self._act, args=(cast, Random(self.rng.random())), name=str(cast), daemon=True)
            for cast in self.casts
        }
        for actor in actors:
            actor.start()
        self._keep_going(monotonic() + LENGTH)
        self.ended.set()
        self._end()
        hanging = join_all(actors, SECONDS)
        self._end()
        if hanging:
            self.failures.append(f"hanging: {hanging}")
        elif not self._settle():
            self.failures += [f"{net} {dict(net.counts)} {net.statistics.as_dict()}" for net in self._unsettled()]
        if self.failures:
            stacks()

    def _keep_going(self, until: float) -> None:
        """Connect more objects where too few connections stand."""
        while (left := until - monotonic()) > 0:
            with self.changed:
                few = self.changed.wait_for(lambda: self._standing < self._wanted, left)
            if few:
                self.join(self.new())
                self.ended.wait(0.005)

    @property
    def _standing(self) -> int:
        return sum(net.counts["connect"] - net.counts["on_close"] for net in tuple(self.nets))

    def pick(self, rng: Random) -> Wild:
        """An object, rather one that has an association than one that is over."""
        for _ in range(4):
            net = rng.choice([*self.servers, *self.nets[-12:]])
            if net.is_associated():
                break
            self.ended.wait(0.001)
        return net

    def _act(self, cast: list[str], rng: Random) -> None:
        try:
            while not self.ended.is_set():
                step = rng.choice(cast)
                STEPS[step](self, rng, self.pick(rng))
                if step not in SENDS:
                    self.ended.wait(rng.random() / 10)
        except BaseException:
            self.failures.append(f"an actor failed:\n{traceback.format_exc()}")

    def _end(self) -> None:
        """Close what is open now."""
        for sock in self.sockets:
            sock.close()
        for net in tuple(self.nets):
            self.attempt(net.close_forced)

    def _settle(self) -> bool:
        """Wait until nothing is open, and every connection's end was told."""
        until = monotonic() + SECONDS
        while monotonic() < until:
            self._end()  # also what a hook has just connected
            with self.changed:
                if self.changed.wait_for(lambda: not self._unsettled(), 0.5):
                    return True
        return False

    def _unsettled(self) -> list[Wild]:
        return [net for net in tuple(self.nets) if not net.is_settled]


# --- many rounds --------------------------------------------------------------------------------------------------


class Watch(logging.Handler):
    """While it is entered: notes what no round may bring about, but for what hooks raise on purpose.

    Attributes:
        found: errors in the log, exceptions that ended a thread, exceptions that nobody could raise.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.exc_info or not isinstance(record.exc_info[1], OnPurpose | SystemExit):
            self.found.append(logging.Formatter("%(levelname)s %(name)s: %(message)s").format(record))

    def _note(self, ending: Any) -> None:
        """Of a thread, or of a finalizer."""
        self.found.append("".join(traceback.format_exception(ending.exc_type, ending.exc_value, ending.exc_traceback)))

    def __enter__(self) -> Watch:
        logging.getLogger("ldicomnet").addHandler(self)
        self._hooks = threading.excepthook, sys.unraisablehook
        threading.excepthook = sys.unraisablehook = self._note
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        threading.excepthook, sys.unraisablehook = self._hooks
        logging.getLogger("ldicomnet").removeHandler(self)


class Rounds:
    """Rounds one after the other.

    Attributes:
        slowest: seconds of the call that took longest.
    """

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self.slowest = 0.0
        self.run(0)  # what is made once and stays
        self._baseline = Baseline()

    def run(self, seed: int) -> list[str]:
        """One round; what went wrong, in words."""
        with Watch() as watch:
            failures = self._walk(seed)
            failures += self._left()
        return failures + watch.found

    def _walk(self, seed: int) -> list[str]:
        walk = Walk(seed, self._payloads)
        before = sys.getswitchinterval()
        sys.setswitchinterval(walk.switching)
        try:
            walk.run()
        finally:
            sys.setswitchinterval(before)
        self.slowest = max(self.slowest, walk.slowest)
        return [str(walk), *walk.failures] if walk.failures else []

    def _left(self) -> list[str]:
        left = self._baseline.left(SECONDS) if hasattr(self, "_baseline") else []
        temporary = os.listdir(self._payloads.received)
        parts = [name for name in os.listdir(self._payloads.named) if name.endswith(".part")]
        for path in self._payloads.named.iterdir():
            path.unlink()
        return left + [f"files left: {names}" for names in (temporary, parts) if names]


@contextmanager
def rounds() -> Iterator[Rounds]:
    """Rounds, in a folder that goes at the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Rounds(Payloads(Path(folder)))


def main() -> int:
    """Run rounds; 1 where one has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next ones count on")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--keep-going", action="store_true", help="also after a round that failed")
    parser.add_argument("--traced", action="store_true", help="with tracemalloc, which makes everything slower")
    arguments = parser.parse_args()
    faulthandler.enable()
    if arguments.traced:
        tracemalloc.start()
    with rounds() as each:
        failed = _run(each, arguments)
    print(f"{failed} failures")
    return int(failed > 0)


def _run(each: Rounds, arguments: argparse.Namespace) -> int:
    """How many rounds failed; a memory that grows over all of them counts as one more."""
    until, failed, held = monotonic() + arguments.seconds, 0, []
    for number in range(arguments.rounds):
        if monotonic() > until or (failed and not arguments.keep_going):
            break
        failures = each.run(arguments.seed + number)
        if failures:
            failed += 1
            print(*failures, sep="\n")
            print(f"again: python -m tests.stress --rounds 1 --seed {arguments.seed + number}", flush=True)
        held.append(tracemalloc.get_traced_memory()[0] if arguments.traced else resident())
        if number % 50 == 0:
            print(f"round {number}: {held[-1] / MB:.1f} MB, slowest call {each.slowest:.1f} s", flush=True)
    grown = _growth(held)
    print(f"{len(held)} rounds, memory grew by {grown / MB:.1f} MB, slowest call {each.slowest:.1f} s")
    return failed + (grown > MOST_GROWTH)


def _growth(held: list[int]) -> float:
    """From the second quarter of the rounds to the last one, once there are enough of them."""
    quarter = len(held) // 4
    return median(held[-quarter:]) - median(held[quarter : 2 * quarter]) if quarter >= 25 else 0.0


if __name__ == "__main__":
    sys.exit(main())
