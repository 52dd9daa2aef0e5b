"""What was measured: one record for each measurement, their medians, and the file they are kept in."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1


@dataclass
class Record:
    """One measurement of one pair."""

    case: str
    pair: str
    run: int
    wanted: int = 0
    """Operations that were to be done."""
    figures: dict[str, float] = field(default_factory=dict)
    """`n` that were done, `seconds`, rates, `*_cpu` in seconds, `*_peak` and other memory in bytes."""
    problem: str = ""
    """Why there are no figures, or what was lost."""
    is_our_fault: bool = False
    """Whether there is a problem, and it may be ours."""


@dataclass
class Results:
    """All of a run of this program."""

    machine: dict[str, str]
    options: dict[str, Any]
    sizes: dict[str, int] = field(default_factory=dict)
    """How much there was to do, by case."""
    records: list[Record] = field(default_factory=list)

    def of(self, case: str) -> dict[str, list[Record]]:
        """The records of a case by pair."""
        found: dict[str, list[Record]] = {}
        for record in self.records:
            if record.case == case:
                found.setdefault(record.pair, []).append(record)
        return found

    @property
    def our_faults(self) -> list[Record]:
        """What this program's exit status tells of."""
        return [record for record in self.records if record.is_our_fault]

    def save(self, path: Path) -> None:
        """Write everything."""
        path.write_text(json.dumps({"format": FORMAT} | dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    """Read what `Results.save` wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("it is of another version of this program")
        records = [Record(**record) for record in content.pop("records")]
        return Results(records=records, **content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has no results of this program: {error}") from None


def values(records: Iterable[Record], key: str) -> list[float]:
    """A figure of those records that have it."""
    return [record.figures[key] for record in records if key in record.figures]


def median(records: Iterable[Record], key: str) -> float | None:
    """The median of a figure, if there is any."""
    found = values(records, key)
    return statistics.median(found) if found else None


def ratio(records: Iterable[Record], reference: Iterable[Record], key: str) -> float | None:
    """How many times the figure of the reference: the median over the runs of the ratio within each run.

    A machine that is slower for a while is so for both, because the pairs take turns.
    """
    base = {record.run: record.figures.get(key) for record in reference}
    ratios = []
    for record in records:
        mine, other = record.figures.get(key), base.get(record.run)
        if mine and other:
            ratios.append(mine / other)
    return statistics.median(ratios) if ratios else None
