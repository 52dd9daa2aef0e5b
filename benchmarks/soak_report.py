"""Records of the soak as a table, one beside the other; and the line that says how a run stands."""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from benchmarks import soak_judge
from benchmarks.soak_judge import MEGABYTE, Record
from benchmarks.tables import Row, Table, number

LIVE_PERIOD, PLAIN_PERIOD = 1.0, 10.0
Figure = Callable[[Record], str]


def _count(value: int | Sequence[Any] | dict[str, int]) -> str:
    return f"{value if isinstance(value, int) else sum(value.values()) if isinstance(value, dict) else len(value):,}"


def _seconds(value: float) -> str:
    return f"{number(value)} s"


def _drift(value: Callable[[Any], float], unit: float = 1.0) -> Figure:
    return lambda record: f"{soak_judge.drift(record.samples, value) / unit:+.1f}" if record.samples else "-"


def _rest(name: str, unit: float = 1.0) -> Figure:
    return lambda record: " / ".join(
        f"{record.at_rest.get(key, 0) / unit:,.{1 if unit > 1 else 0}f}" for key in (name, f"{name}_after")
    )


def _most(value: Callable[[Any], float], unit: float = 1.0) -> Figure:
    return lambda record: number(max(map(value, record.samples), default=0.0) / unit)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def _vanished(record: Record) -> str:
    return f"{record.faults.get('vanish', 0)} / {record.samples[-1].vanished if record.samples else 0}"


FIGURES: tuple[tuple[str, Figure], ...] = (
    ("minutes of load", lambda record: number(record.seconds / 60)),
    ("clients (processes)", lambda record: _count(record.jobs)),
    ("of these killed", lambda record: _count(record.killed)),
    ("associations asked for by them", lambda record: _count(record.associations)),
    ("faults on the line", lambda record: _count(record.faults)),
    ("hostile connections", lambda record: _count(record.hostile)),
    ("not ended by the server within 20 s", lambda record: _count(record.unended)),
    ("longest until it ended one", lambda record: _seconds(max(record.hostile_waits, default=0.0))),
    ("objects acknowledged", lambda record: _count(record.acknowledged)),
    ("**acknowledged, and not on the disk as sent**", lambda record: _count(record.lost)),
    ("**cut files under a final name**", lambda record: _count(record.cut)),
    ("files altered on the line, as sent from there", lambda record: _count(record.altered)),
    ("temporary files left", lambda record: _count(record.parts)),
    ("probes served", lambda record: _count(record.probes)),
    ("**probes not served within 10 s**", lambda record: _count(record.unserved)),
    ("probe: median", lambda record: _seconds(soak_judge.percentile(record.probes, 0.5))),
    ("probe: 99 of 100 within", lambda record: _seconds(soak_judge.percentile(record.probes, 0.99))),
    ("probe: worst", lambda record: _seconds(max(record.probes, default=0.0))),
    ("straight clients that failed", lambda record: _count(record.failures)),
    ("pynetdicom clients that lost an answer by themselves", lambda record: _count(record.own_faults)),
    ("clients hung", lambda record: _count(record.hung)),
    ("threads at rest, before / after", _rest("threads")),
    ("descriptors at rest, before / after", _rest("descriptors")),
    ("anonymous MB at rest, before / after", _rest("anonymous", MEGABYTE)),
    ("most threads", _most(lambda sample: sample.threads)),
    ("threads: rise along the slope", _drift(soak_judge.threads)),
    ("descriptors: rise along the slope", _drift(soak_judge.descriptors)),
    ("anonymous MB: rise along the slope", _drift(soak_judge.anonymous, MEGABYTE)),
    ("clients vanished / still held at the end", _vanished),
    ("objects/s under load, first quarter", lambda record: number(soak_judge.rate(record, 0, 0.25))),
    ("objects/s under load, last quarter", lambda record: number(soak_judge.rate(record, 0.75, 1))),
    ("objects/s of a burst, one that has just started", lambda record: number(_median(record.fresh))),
    ("objects/s of a burst, behind the load", lambda record: number(_median(record.aged))),
    ("times as fast, median of the turns", lambda record: number(soak_judge.throughput(record))),
    ("tracebacks in the server's log", lambda record: _count(record.tracebacks)),
    ("of our promises, broken", lambda record: _count(soak_judge.broken(record))),
)


def table(records: Sequence[Record], *, is_markdown: bool) -> Table:
    """One column for each record."""
    rows = []
    for name, figure in FIGURES:
        title = name if is_markdown else name.strip("*")
        rows.append(Row((title, *map(figure, records)), "", False))
    titles = [f"{record.server}, seed {record.seed}" for record in records]
    return Table("Soak", ("", *titles), tuple(rows))


class Live:
    """The line of a run: written over with rich, or a line now and then without; from `with` to its end.

    Args:
        line: how it stands.
    """

    def __init__(self, line: Callable[[], str]) -> None:
        self._line = line
        self._over = threading.Event()
        self._is_rich = sys.stderr.isatty() and importlib.util.find_spec("rich") is not None
        self._thread = threading.Thread(target=self._work, name="soak-live", daemon=True)

    def __enter__(self) -> Live:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        if self._is_rich:
            self._draw()
            return
        while not self._over.wait(PLAIN_PERIOD):
            print(self._line(), file=sys.stderr, flush=True)

    def _draw(self) -> None:
        console = importlib.import_module("rich.console").Console(stderr=True)
        text = importlib.import_module("rich.text").Text
        with console.status(text(self._line())) as status:
            while not self._over.wait(LIVE_PERIOD):
                status.update(text(self._line()))
