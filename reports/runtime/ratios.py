"""The section that holds every variant against null-space teleport."""

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from reports.run.run import as_float
from reports.run.setting import is_at, setting_of
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.tables.crossings import Crossed, CrossingRow, crossing_row
from reports.tables.ratios import RatioRow
from reports.text import html_tables as html
from reports.text.formatting import WORDS
from reports.text.html_tables import Column, Table


class Ratios(Section):
    """Times over those of null-space teleport in the same round, and where which is faster."""

    name, title, order, measured = "ratios", "Ratios", 60, True

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``ratios.csv`` and ``crossings.csv``."""
        return {
            "ratios": frame(found.ratios, RatioRow),
            "crossings": frame([*map(crossing_row, found.crossings)], CrossingRow),
        }

    def render(self, shown: Shown, fill: Fill) -> Markup:
        """Both tables."""
        found = shown.analysis
        return fill(
            TEMPLATES / "ratios.html.j2",
            ratios=ratio_table(found.ratios, found.base),
            crossings=crossing_table(found.crossings),
        )


def ratio_table(rows: Sequence[RatioRow], base: dict[str, int]) -> Table:
    """The base point and every width that was measured there, a row per variant."""
    shown = [row for row in rows if is_at(row, base, but="d")]
    several = len({setting_of(row) for row in shown}) > 1
    text = ["setting", "variant"] if several else ["variant"]
    numeric = ["hidden width d", "step", "prepare and steps", "operations", "operations, ratio"]
    cells = [
        [
            *([html.words(", ".join(setting_of(row)))] if several else []),
            html.words(row.variant),
            html.whole(row.d),
            html.numbers(row.step_ratio, row.step_ratio_low, row.step_ratio_high),
            html.numbers(row.call_ratio, row.call_ratio_low, row.call_ratio_high),
            html.numbers(as_float(row.operations)),
            html.numbers(_quotient(as_float(row.operations), row.reference_operations)),
        ]
        for row in sorted(shown, key=lambda row: (row.variant, as_float(row.d)))
    ]
    caption = "Times as long as null-space teleport"
    return Table(caption, html.columns(text, numeric), cells).without_empty()


def _quotient(above: float, under: float) -> float:
    return above / under if under > 0 else float("nan")


def crossing_table(found: Sequence[Crossed]) -> Table:
    """A row per variant and answer, with the axes that it holds for."""
    several = len({crossed.setting for crossed in found}) > 1
    axes: dict[tuple[str, ...], list[str]] = {}
    for crossed in found:
        setting = [", ".join(crossed.setting)] if several else []
        answer = (*setting, crossed.variant, _sentence(crossed))
        axes.setdefault(answer, []).append(_levels(crossed))
    cells = [
        html.texts(*place, "; ".join(levels), answer) for (*place, answer), levels in axes.items()
    ]
    columns = html.columns(["setting", "variant"] if several else ["variant"], [])
    columns += [Column("along", False), Column("takes less time than nullspace", False)]
    return Table("Where which is faster", columns, cells)


def _levels(crossed: Crossed) -> str:
    along = f"{WORDS[crossed.axis]} {crossed.axis}"
    if not crossed.levels:
        return along
    return f"{along} {crossed.levels[0]} to {crossed.levels[-1]}"


def _sentence(crossed: Crossed) -> str:
    place = crossed.place
    what = "its step, " if crossed.measure == "step" else ""
    if place.faster in ("always", "never"):
        return f"{what}{place.faster}"
    if not place.faster:
        return f"{what}cannot be told: {place.reason}"
    side = "from" if place.faster == "above" else "up to"
    return f"{what}{side} about {place.at:.3g} (between {place.low:g} and {place.high:g})"
