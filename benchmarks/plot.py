"""Results as one figure: a panel for each case, a bar for each pair, on a logarithmic scale; ours in colour."""

from __future__ import annotations

import importlib
import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import results, tables
from benchmarks.cases import CASES, Case, Pair
from benchmarks.results import Results
from benchmarks.stacks import BARE

COLUMNS = 2
COLUMN_WIDTH, LABEL_WIDTH = 6.2, 2.7
BAR_HEIGHT, LINE_HEIGHT, GAP = 0.24, 0.17, 0.14
HEAD, FOOT = 0.5, 0.5
"""Inches."""
TITLE_WIDTH = 52
OURS_ALONE, OURS_WITH_PEER, PEERS, YARDSTICK = "#0b5fa5", "#7fb2dd", "#b8b8b8", "#5a5a5a"
INK, GRID = "#222222", "#e4e4e4"
LEGEND = (
    (OURS_ALONE, "ldicomnet"),
    (OURS_WITH_PEER, "ldicomnet with a peer"),
    (PEERS, "peers"),
    (YARDSTICK, "bare sockets: no DICOM"),
)


@dataclass(frozen=True)
class Bar:
    """A pair: the median of its runs, and their extremes."""

    name: str
    value: float
    low: float
    high: float
    color: str


def draw(found: Results, path: Path) -> None:
    """Write the figure; its format is that of the file's suffix. Needs matplotlib."""
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    panels = _arrange(found)
    if not panels:
        raise ValueError("there is nothing to draw")
    settings = {"svg.fonttype": "path", "svg.hashsalt": "ldicomnet", "font.size": 8.5, "text.color": INK}
    settings |= {"axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": GRID}
    with matplotlib.rc_context(settings):
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        _figure(found, panels).savefig(path, facecolor="white", metadata=metadata)


def bars(case: Case, found: Results) -> list[Bar]:
    """Those pairs of a case that have figures, in its order."""
    records, key = found.of(case.name), case.columns[0].key
    made = []
    for pair in case.pairs:
        those = records.get(pair.name, [])
        value, values = results.median(those, key), results.values(those, key)
        if value:
            name = pair.name.replace("->", "→") + (" FAILED" if any(record.problem for record in those) else "")
            made.append(Bar(name, value, min(values), max(values), color(pair)))
    return made


def color(pair: Pair) -> str:
    """Of its bar."""
    if pair.is_ours:
        return OURS_ALONE if pair.is_ours_alone else OURS_WITH_PEER
    return YARDSTICK if BARE in (pair.client, pair.server) else PEERS


@dataclass(frozen=True)
class Panel:
    """A case, and its place from the top left corner of the figure."""

    title: str
    bars: list[Bar]
    left: float
    top: float

    @property
    def inner(self) -> float:
        """Height of its bars."""
        return BAR_HEIGHT * len(self.bars)

    @property
    def head(self) -> float:
        """Height of its title."""
        return LINE_HEIGHT * (1 + self.title.count("\n")) + GAP

    @property
    def bottom(self) -> float:
        """Where the next one may begin."""
        return self.top + self.head + self.inner + 2 * LINE_HEIGHT


def _arrange(found: Results) -> list[Panel]:
    """Each case where there is most room, column by column."""
    tops = [HEAD] * COLUMNS
    panels = []
    for case in CASES:
        those = bars(case, found)
        if those:
            column = tops.index(min(tops))
            unit = case.columns[0].title + (", less is better" if case.is_time else "")
            title = textwrap.fill(case.title.format(n=found.sizes.get(case.name, 0)), TITLE_WIDTH) + f"\n{unit}"
            panels.append(Panel(title, those, column * COLUMN_WIDTH, tops[column]))
            tops[column] = panels[-1].bottom
    return panels


def _figure(found: Results, panels: list[Panel]) -> Any:
    pyplot = importlib.import_module("matplotlib.pyplot")
    patches = importlib.import_module("matplotlib.patches")
    width = max(panel.left for panel in panels) + COLUMN_WIDTH
    height = max(panel.bottom for panel in panels) + FOOT
    figure = pyplot.figure(figsize=(width, height))
    for panel in panels:
        top = panel.top + panel.head + panel.inner
        inner_width = COLUMN_WIDTH - LABEL_WIDTH - GAP
        box = (panel.left + LABEL_WIDTH) / width, 1 - top / height, inner_width / width, panel.inner / height
        _draw_panel(figure.add_axes(box), panel)
    machine = found.machine
    facts = [machine.get(key, "?") for key in ("cpu", "cores", "python", "date")]
    text = "{}, {} cores, {}, {:.10}; medians, with the least and the most; logarithmic scales".format(*facts)
    figure.text(0.5, 1 - HEAD / 2 / height, text, ha="center", va="center", fontsize=9)
    handles = [patches.Patch(facecolor=shade, label=label) for shade, label in LEGEND]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False)
    return figure


def _draw_panel(axes: Any, panel: Panel) -> None:
    those = panel.bars
    places, values = range(len(those)), [bar.value for bar in those]
    spread = [[bar.value - bar.low for bar in those], [bar.high - bar.value for bar in those]]
    whiskers = {"elinewidth": 0.8, "capsize": 1.5, "ecolor": INK}
    axes.barh(places, values, xerr=spread, height=0.74, color=[bar.color for bar in those], log=True, error_kw=whiskers)
    axes.set_xlim(10 ** math.floor(math.log10(min(values) / 2)), max(bar.high for bar in those) * 4)
    axes.set_ylim(len(those) - 0.5, -0.5)
    axes.set_yticks(places, [bar.name for bar in those])
    axes.set_title(panel.title, fontsize=9, loc="left", color=INK)
    for place, bar in enumerate(those):
        axes.annotate(tables.number(bar.value), (bar.high, place), (4, 0), textcoords="offset points", va="center")
    for label, bar in zip(axes.get_yticklabels(), those, strict=True):
        label.set_fontweight("bold" if bar.color == OURS_ALONE else "normal")
    axes.tick_params(axis="both", which="both", length=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.xaxis.set_minor_formatter("")
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
