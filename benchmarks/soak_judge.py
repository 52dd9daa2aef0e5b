"""The record of a soak, and which promises it breaks; pure: records in, words out."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.soak_watch import Sample

FORMAT = 1
MEGABYTE = 1e6
WARM_UP = 1 / 3
"""Share of the samples that no slope is fitted to: an interpreter grows until it has done everything once."""
LONG_ENOUGH = 120.0
"""Seconds of load below which neither slopes nor a burst before and after say anything."""
MOST_MEMORY = 10 * MEGABYTE
"""Bytes by which a server may have grown along its slope over the samples it is fitted to."""
MOST_MORE = 6.0
"""Threads or descriptors by which it may: what comes and goes with the load is no line."""
LEAST_THROUGHPUT = 0.8
"""Of the objects per second of a server that has just started, those of the one that had the load; the median of turns
that a shared machine disturbs."""
NAMED = 3
"""How many culprits a verdict names."""


@dataclass
class Record:
    """All that one run has measured."""

    server: str
    seed: str
    seconds: float
    """Of load."""
    workers: int
    machine: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    """Client processes by kind and way."""
    killed: dict[str, int] = field(default_factory=dict)
    hung: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    failures: int = 0
    """Clients that went straight, were left alone, and failed; `failed` describes the first."""
    own_faults: int = 0
    """Clients that say they failed by a fault of their own: pynetdicom's, see soak_client.py."""
    associations: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    """What the bad lines did, by kind."""
    hostile: dict[str, int] = field(default_factory=dict)
    """Hostile connections by kind."""
    hostile_waits: list[float] = field(default_factory=list)
    unended: list[str] = field(default_factory=list)
    """Hostile connections that the server did not end in time."""
    made: int = 0
    acknowledged: int = 0
    swept: int = 0
    """Instances: made, acknowledged, and found whole and removed during the run."""
    whole: int = 0
    altered: int = 0
    lost: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    misread: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    """Temporary files left."""
    probes: list[float] = field(default_factory=list)
    """Seconds of each well-behaved probe that was served."""
    unserved: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    at_rest: dict[str, int] = field(default_factory=dict)
    """Threads, descriptors and bytes of anonymous memory before the load; `_after` it for the same."""
    fresh: list[float] = field(default_factory=list)
    aged: list[float] = field(default_factory=list)
    """Objects per second of the same burst to a server that has just started, and to this one behind the load."""
    times: list[float] = field(default_factory=list)
    """Seconds at which acknowledgements were heard of."""
    tracebacks: int = 0
    complaint: str = ""
    """The last line of the server's log."""
    has_died: bool = False
    errors: list[str] = field(default_factory=list)
    """Of the soak itself."""

    def save(self, path: Path) -> None:
        """Write everything."""
        path.write_text(json.dumps({"format": FORMAT} | dataclasses.asdict(self)) + "\n", encoding="utf-8")


def load(path: Path) -> Record:
    """Read what `Record.save` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("it is of another version of this program")
        samples = [Sample(**sample) for sample in content.pop("samples")]
        return Record(samples=samples, **content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has no record of a soak: {error}") from None


# --- figures -----------------------------------------------------------------------------------------------------


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line through points by least squares; 0 where there is none."""
    if len({at for at, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression([at for at, _ in points], [value for _, value in points]).slope


def drift(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """How much a value rises along its slope, over the samples behind the warm-up."""
    warm = samples[int(len(samples) * WARM_UP) :]
    if not warm:
        return 0.0
    return slope([(sample.at, value(sample)) for sample in warm]) * (warm[-1].at - warm[0].at)


def threads(sample: Sample) -> float:
    """Threads, but for those of connections whose client has vanished: one each."""
    return sample.threads - sample.vanished


def descriptors(sample: Sample) -> float:
    """Descriptors, but for those of connections whose client has vanished: one each."""
    return sample.descriptors - sample.vanished


def anonymous(sample: Sample) -> float:
    """Bytes of anonymous memory."""
    return float(sample.anonymous)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share does not pass; 0 of none."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


def rate(record: Record, first: float, last: float) -> float:
    """Acknowledgements per second in a part of the run, given as shares of it."""
    low, high = first * record.seconds, last * record.seconds
    return sum(low <= at < high for at in record.times) / max(high - low, 1e-9)


def throughput(record: Record) -> float:
    """How many times as fast as a server that has just started it is behind the load; 1 where that was not measured."""
    turns = [aged / fresh for aged, fresh in zip(record.aged, record.fresh, strict=False)]
    return statistics.median(turns) if turns else 1.0


# --- promises ----------------------------------------------------------------------------------------------------


def _named(what: Sequence[str], count: int | None = None) -> str:
    """How many, and the most frequent."""
    words = [text if times == 1 else f"{times} times {text}" for text, times in Counter(what).most_common(NAMED)]
    return f"{len(what) if count is None else count}: {', '.join(words)}" if what else ""


LIMITS = (
    ("threads", threads, MOST_MORE),
    ("descriptors", descriptors, MOST_MORE),
    ("memory", anonymous, MOST_MEMORY),
)
"""By how much what may rise."""


def _slopes(record: Record) -> str:
    if record.seconds < LONG_ENOUGH:
        return ""
    found = [(name, drift(record.samples, value), most) for name, value, most in LIMITS]
    return ", ".join(f"{name} rise by {rise:,.0f}" for name, rise, most in found if rise > most)


def _at_rest(record: Record) -> str:
    held = record.at_rest
    names = [name for name in ("threads", "descriptors") if held.get(f"{name}_after", 0) > held.get(name, 0)]
    return ", ".join(f"{name} {held.get(name, 0)}, then {held[f'{name}_after']}" for name in names)


def _throughput(record: Record) -> str:
    share = throughput(record)
    is_slow = share < LEAST_THROUGHPUT and record.seconds >= LONG_ENOUGH
    return f"{share:.0%} of its objects per second" if is_slow else ""


PROMISES: tuple[tuple[str, Callable[[Record], str]], ...] = (
    ("acknowledged objects are on the disk, byte by byte", lambda record: _named(record.lost)),
    ("no cut file has a final name", lambda record: _named(record.cut)),
    ("no temporary files are left", lambda record: _named(record.parts)),
    ("the well-behaved probe is always served", lambda record: _named(record.unserved)),
    ("clients on a straight line succeed", lambda record: _named(record.failed, record.failures)),
    ("our clients end", lambda record: _named([hung for hung in record.hung if hung.startswith("ldicomnet")])),
    ("hostile connections are ended", lambda record: _named(record.unended)),
    ("threads, descriptors and memory do not rise", _slopes),
    ("at rest the server holds what it held before", _at_rest),
    ("it is as fast at the end as one that has just started", _throughput),
    ("the server goes on", lambda record: "it has ended" if record.has_died else ""),
    ("no traceback in its log", lambda record: f"{record.tracebacks}: {record.complaint}" if record.tracebacks else ""),
    ("clients sent what they were given", lambda record: _named(record.misread)),
    ("the soak itself worked", lambda record: _named(record.errors)),
)
"""What is promised, and what a record has against it."""


def broken(record: Record) -> list[str]:
    """The promises that a record breaks, with how."""
    verdicts = [(promise, why(record)) for promise, why in PROMISES]
    return [f"{promise}: {verdict}" for promise, verdict in verdicts if verdict]
