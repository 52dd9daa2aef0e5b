"""One input at a time: which it is by target, seed and number, and whether the target keeps within its bounds."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import threading
import tracemalloc
import warnings
from collections.abc import Iterator
from random import Random
from time import process_time
from types import FrameType

from . import corpus
from .mutations import Mutation, Sample, spoiled
from .targets import Target

PER = 64 << 10
"""Bytes for which a target has its `seconds` of processor time."""
FACTOR = 4
"""Bytes that may be allocated at once for each byte of input, beside the target's `memory`."""
MEMORY_EVERY = 8
"""Of how many inputs in a long run one is measured, which takes several times as long."""
ENDLESS = 30
"""Seconds after which an input is said to have no end."""
_TRIES = 4
"""How often an input that is too slow is tried again: the machine may have been busy with something else."""


class Finding(AssertionError):
    """An input for which a target does not keep its promise."""


class Fuzz:
    """The inputs of one target: its corpus, and what mutations make of that.

    Args:
        target: what to fuzz.
        seed: chooses all inputs.
    """

    def __init__(self, target: Target, seed: int = 0) -> None:
        self.target = target
        self.seed = seed
        inputs = corpus.load(target.folder)
        self.corpus = inputs
        plain = [Sample(data, target.walk) for data in inputs.values()]
        donors = sorted({sample.data[piece.start : piece.end] for sample in plain for piece in sample.pieces})
        self.samples = [Sample(sample.data, target.walk, donors) for sample in plain]

    def input(self, number: int) -> bytes:
        """The input with this number."""
        random = Random(f"{self.seed} {self.target.name} {number}")
        return spoiled(random.choice(self.samples), random)

    def walk(self, mutation: Mutation, most: int) -> Iterator[bytes]:
        """What one mutation makes of every sample, in up to `most` evenly spread ways of each."""
        for sample in self.samples:
            ways = mutation.ways(sample)
            for way in range(0, ways, max(1, -(-ways // most))):
                yield mutation.make(sample, way)


def describe(data: bytes, finding: Finding) -> str:
    """What was found, and the input, where that is not long."""
    text = data.hex() if len(data) <= _PRINTED else f"{data[:_PRINTED].hex()}... (the file has all of it)"
    return f"{finding}\n{text}"


_PRINTED = 4 << 10


def check(target: Target, data: bytes, measures_memory: bool = True) -> None:
    """Run a target with an input.

    Raises:
        Finding: it raised what it must not, took too long, or allocated too much; the text says which.
    """
    most = target.seconds * max(1, -(-len(data) // PER))
    with _ends():
        seconds = _timed(target, data)
        for _ in range(_TRIES):
            if seconds <= most:
                break
            gc.collect()
            seconds = min(seconds, _timed(target, data))
        if seconds > most:
            raise Finding(f"{seconds * 1000:.0f} ms for {len(data)} bytes")
        if measures_memory:
            _check_memory(target, data)


def _timed(target: Target, data: bytes) -> float:
    start = process_time()
    _run(target, data)
    return process_time() - start


def _run(target: Target, data: bytes) -> None:
    try:
        target.run(data)
    except target.errors:
        pass
    except Finding:
        raise
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {error}") from error


def _check_memory(target: Target, data: bytes) -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        _run(target, data)
        grown = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    if grown > FACTOR * len(data) + target.memory:
        raise Finding(f"{grown} bytes were allocated for {len(data)}")


@contextlib.contextmanager
def _ends() -> Iterator[None]:
    """Within it the main thread is interrupted when there is no end; where the system can do that."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Finding(f"no end within {ENDLESS} seconds")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, ENDLESS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within it pydicom says nothing about data sets that are none."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)
