"""Results as tables: with rich on a terminal that has it, else aligned text; or as GitHub Markdown."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks import results
from benchmarks.cases import CASES, Case, Column
from benchmarks.results import Record, Results

MEGABYTE = 1e6


@dataclass(frozen=True)
class Row:
    """A pair of a case, as text."""

    cells: tuple[str, ...]
    problem: str
    is_ours: bool


@dataclass(frozen=True)
class Table:
    """A case, as text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]


def number(value: float) -> str:
    """Three digits that count."""
    if not value:
        return "0"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def tables(found: Results) -> Iterable[Table]:
    """One for each case that has records, in the order of the cases."""
    for case in CASES:
        records = found.of(case.name)
        if records:
            yield table(case, found.sizes.get(case.name, 0), records)


def table(case: Case, size: int, records: dict[str, list[Record]]) -> Table:
    """A case."""
    reference = case.reference if _is_measured(case, records.get(case.reference, [])) else next(
        (name for name, those in records.items() if _is_measured(case, those)), ""
    )
    first, *rest = case.columns
    compared = f"x {'as long as ' if case.is_time else ''}{reference}"
    header = (case.name, first.title, "min-max", compared, *(column.title for column in rest))
    rows = [
        Row(
            (
                pair.name,
                _median(records[pair.name], first),
                _spread(records[pair.name], first),
                _ratio(records[pair.name], records.get(reference, []), first),
                *(_median(records[pair.name], column) for column in rest),
            ),
            _problem(records[pair.name]),
            pair.is_ours_alone,
        )
        for pair in case.pairs
        if pair.name in records
    ]
    return Table(case.title.format(n=size), header, tuple(rows))


def _is_measured(case: Case, records: list[Record]) -> bool:
    return bool(results.values(records, case.columns[0].key))


def _text(value: float, column: Column) -> str:
    if column.unit == "count":
        return f"{value:,.0f}"
    return number(value / MEGABYTE if column.unit == "MB" else value)


def _median(records: list[Record], column: Column) -> str:
    value = results.median(records, column.key)
    return "-" if value is None else _text(value, column)


def _spread(records: list[Record], column: Column) -> str:
    found = results.values(records, column.key)
    return f"{_text(min(found), column)}-{_text(max(found), column)}" if found else "-"


def _ratio(records: list[Record], reference: list[Record], column: Column) -> str:
    value = results.ratio(records, reference, column.key)
    return "-" if value is None else number(value)


def _problem(records: list[Record]) -> str:
    bad = [record.problem for record in records if record.problem]
    return f"FAILED {len(bad)} of {len(records)}: {bad[0]}" if bad else ""


# --- on paper ----------------------------------------------------------------------------------------------------


def _plain(made: Table) -> str:
    lines = [made.header, *(row.cells for row in made.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [made.title]
    for line, remark in zip(lines, ("", *(row.problem for row in made.rows)), strict=True):
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append("  ".join([*cells, remark]).rstrip())
    return "\n".join(text) + "\n"


def _markdown(made: Table) -> str:
    lines = [f"**{made.title}**", "", "| " + " | ".join(made.header) + " |"]
    lines.append("|---|" + "---:|" * (len(made.header) - 1))
    for row in made.rows:
        cells = list(row.cells)
        if row.is_ours:
            cells[:2] = [f"**{cell}**" for cell in cells[:2]]
        if row.problem:
            cells[0] += "<br>" + row.problem.replace("|", "\\|")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _rich(made: Table) -> None:
    console = importlib.import_module("rich.console").Console()
    drawn = importlib.import_module("rich.table").Table(title=made.title, title_justify="left", title_style="bold")
    text = importlib.import_module("rich.text").Text
    for place, name in enumerate(made.header):
        drawn.add_column(text(name), justify="right" if place else "left")
    for row in made.rows:
        drawn.add_row(*map(text, row.cells), style="red" if row.problem else "bold cyan" if row.is_ours else "")
    console.print(drawn)
    for row in made.rows:
        if row.problem:
            console.print(text(f"{row.cells[0]}: {row.problem}", style="red"))


def printer(*, is_markdown: bool) -> Callable[[Table], None]:
    """How tables are shown here."""
    if is_markdown:
        return lambda made: print(_markdown(made), flush=True)
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        return _rich
    return lambda made: print(_plain(made), flush=True)
