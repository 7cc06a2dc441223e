"""From which level on a variant takes less time than null-space teleport, or more."""

from collections.abc import Sequence
from math import isfinite

import pandas as pd

from bench.statistics.growth_verdicts import Crossing, crossing
from bench.statistics.medians import Estimate
from reports.run.run import AXES, SGD, Record, number
from reports.tables.growth import Setting
from reports.tables.runtime import frame
from reports.text import html_tables as html
from reports.text.html_tables import Column, Table

CROSSING_COLUMNS = (
    *("variant", "reference", *Setting._fields, "axis", "measure"),
    *("levels", "lowest", "highest", "faster", "at", "at_low", "at_high", "reason"),
)

_FEWEST = 2


def crossings(ratios: Sequence[Record], base: dict[str, int]) -> pd.DataFrame:
    """A row per setting, variant and swept axis, ``CROSSING_COLUMNS``.

    ``faster`` says where the variant takes less time than the reference: "always", "never",
    "above" or "below" the level ``at``, which lies between ``at_low`` and ``at_high``; it is empty
    where the levels do not tell, for the ``reason``. ``measure`` is what is compared: a whole call,
    or of ``sgd`` a step.

    Args:
        ratios: rows of ``reports.runtime.ratios``.
        base: the point at which the other axes are held.
    """
    found = []
    for axis in AXES:
        series: dict[tuple[str, ...], list[Record]] = {}
        for row in ratios:
            if all(row[other] == base.get(other) for other in AXES if other != axis):
                place = (row["variant"], *(str(row[name]) for name in Setting._fields))
                series.setdefault(place, []).append(row)
        found += [
            _row(own, axis)
            for _, own in sorted(series.items())
            if len({row[axis] for row in own}) >= _FEWEST
        ]
    return frame(found, CROSSING_COLUMNS)


def _row(own: list[Record], axis: str) -> Record:
    measure = "step" if own[0]["method"] == SGD else "call"
    by_level: dict[int, Estimate] = {}
    for row in own:  # a later session's cell replaces an earlier one's
        value, low, high = (
            number(row.get(f"{measure}_ratio{end}")) for end in ("", "_low", "_high")
        )
        if isfinite(value) and isfinite(low) and isfinite(high):
            by_level[row[axis]] = Estimate(value, low, high, int(row["rounds"]))
    levels = sorted(by_level)
    place = crossing(levels, [by_level[level] for level in levels])
    return {
        **own[0],
        "axis": axis,
        "measure": measure,
        "levels": len(levels),
        "lowest": levels[0] if levels else None,
        "highest": levels[-1] if levels else None,
        "faster": place.faster,
        "at": place.at,
        "at_low": place.low,
        "at_high": place.high,
        "reason": place.reason,
    }


def crossing_table(rows: Sequence[Record]) -> Table:
    """A row per variant and answer, with the axes that it holds for."""
    several = len({tuple(row[name] for name in Setting._fields) for row in rows}) > 1
    axes: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        setting = [", ".join(str(row[k]) for k in Setting._fields)] if several else []
        axes.setdefault((*setting, row["variant"], _sentence(row)), []).append(_levels(row))
    cells = [
        [*map(html.words, place), html.words("; ".join(levels)), html.words(answer)]
        for (*place, answer), levels in axes.items()
    ]
    columns = html.columns(["setting", "variant"] if several else ["variant"], [])
    columns += [Column("along", False), Column("takes less time than nullspace", False)]
    return Table("Where which is faster", columns, cells)


def _levels(row: Record) -> str:
    if not row["levels"]:
        return str(row["axis"])
    return f"{row['axis']} {int(row['lowest'])} to {int(row['highest'])}"


def _sentence(row: Record) -> str:
    place = Crossing(
        row["faster"], number(row["at"]), number(row["at_low"]), number(row["at_high"])
    )
    what = "its step, " if row["measure"] == "step" else ""
    if place.faster in ("always", "never"):
        return f"{what}{place.faster}"
    if not place.faster:
        return f"{what}cannot be told: {row['reason']}"
    side = "from" if place.faster == "above" else "up to"
    return f"{what}{side} about {place.at:.3g} (between {place.low:g} and {place.high:g})"
