"""The history of gates: each cell's series with its levels, and the steps between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from markupsafe import Markup

from bench.comparison.history import Series, load, series_of
from bench.statistics.change_points import change_points
from reports.history.figures import draw
from reports.run.harmless import shortened
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.text import html_tables as html
from reports.text.canvas import Drawing
from reports.text.formatting import percent
from reports.text.html_tables import Table

MOST_POINTS = 200  # of a series; the search grows with their square
MOST_DRAWN = 24


@dataclass(frozen=True)
class Levelled:
    """A series and where its levels begin; 0 is always among them."""

    series: Series
    starts: tuple[int, ...]

    @property
    def levels(self) -> list[float]:
        """The median of each stretch, in seconds."""
        edges = [*self.starts, len(self.series.seconds)]
        return [median(self.series.seconds[a:b]) for a, b in pairwise(edges)]

    @property
    def last_step(self) -> float:
        """The latest level over the one before it, less 1; 0 where there is one level."""
        levels = self.levels
        return levels[-1] / levels[-2] - 1 if len(levels) > 1 else 0.0


@dataclass(frozen=True)
class Shifts:
    """What the page shows of a history."""

    gates: int
    table: Table
    figures: list[tuple[str, Drawing]]
    undrawn: int


class History(Section):
    """Every cell's times over the gates; of a run with a file of gate results."""

    name, title, order = "history", "History", 100

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """A table and panels."""
        if shown.history is None:
            return None
        return fill(TEMPLATES / "history.html.j2", history=shifts(shown.history))


def shifts(path: Path) -> Shifts:
    """The series of a history's file.

    Raises:
        bench.errors.JournalError: there is no such file, or it is damaged.
    """
    entries = load(path)
    found = sorted(map(levelled, series_of(entries)), key=lambda each: -abs(each.last_step))
    drawn = found[:MOST_DRAWN]
    return Shifts(
        gates=len(entries),
        table=_table(found),
        figures=[(shortened(each.series.label), _drawing(each)) for each in drawn],
        undrawn=len(found) - len(drawn),
    )


def levelled(series: Series) -> Levelled:
    """The newest points of a series, cut into levels."""
    newest = slice(-MOST_POINTS, None)
    kept = Series(series.label, series.when[newest], series.heads[newest], series.seconds[newest])
    return Levelled(kept, (0, *change_points(kept.seconds)))


def _drawing(each: Levelled) -> Drawing:
    steps = len(each.starts) - 1
    words = "no step" if not steps else "1 step" if steps == 1 else f"{steps} steps"
    alt = f"{shortened(each.series.label)} over {len(each.series.seconds)} gates: {words}"
    return draw(each.series.seconds, each.starts, each.levels, alt)


def _table(found: Sequence[Levelled]) -> Table:
    numeric = ["gates", "last", "level", "last step"]
    columns = [*html.columns(["cell"], numeric), *html.columns(["since"], [])]
    rows = [_row(each) for each in found]
    return Table("Every cell over time, the largest last step first", columns, rows)


def _row(each: Levelled) -> list[html.Cell]:
    series, start = each.series, each.starts[-1]
    day = datetime.fromtimestamp(series.when[start], UTC).strftime("%Y-%m-%d")
    since = f"{day} {series.heads[start]}" if start else ""
    step = each.last_step
    text = f"{'+' if step > 0 else ''}{percent(step)}" if start else "none"
    return [
        html.words(series.label),
        html.whole(len(series.seconds)),
        html.seconds(series.seconds[-1]),
        html.seconds(each.levels[-1]),
        html.Cell(text, "", step),
        html.words(since),
    ]
