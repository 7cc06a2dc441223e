"""From which level on a variant takes less time than null-space teleport, or more."""

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from bench.spec.axes import AXES
from bench.statistics.growth_verdicts import Crossing, crossing
from bench.statistics.medians import Estimate
from reports.run.run import SGD
from reports.run.setting import Setting, setting_of, swept_axes
from reports.tables.columns import Row, row_of
from reports.tables.ratios import RatioRow

_FEWEST = 2


class CrossingRow(Row, frozen=True):
    """A variant along an axis in ``crossings.csv``.

    ``faster`` says where the variant takes less time than the reference: "always", "never",
    "above" or "below" the level ``at``, which lies between ``at_low`` and ``at_high``; it is empty
    where the levels do not tell, for the ``reason``.
    """

    variant: str
    reference: str
    model: str
    dataset: str
    device: str
    dtype: str
    axis: str
    measure: str
    levels: int
    lowest: int | None
    highest: int | None
    faster: str
    at: float
    at_low: float
    at_high: float
    reason: str


class Crossed(NamedTuple):
    """Where a variant and the reference change places along an axis.

    Attributes:
        measure: what is compared: "call", both phases of all batches, or of ``sgd`` a "step".
        levels: those at which both have a time.
    """

    setting: Setting
    variant: str
    reference: str
    axis: str
    measure: str
    levels: list[int]
    place: Crossing


def crossings(ratios: Sequence[RatioRow], base: dict[str, int]) -> list[Crossed]:
    """One for each axis, variant and setting with two levels or more, other axes at ``base``."""
    series: dict[tuple[int, str, Setting], list[RatioRow]] = {}
    for row in ratios:
        for axis in swept_axes(row, base):
            place = (AXES.index(axis), row.variant, setting_of(row))
            series.setdefault(place, []).append(row)
    return [
        _crossed(own, AXES[number])
        for (number, *_), own in sorted(series.items())
        if len({getattr(row, AXES[number]) for row in own}) >= _FEWEST
    ]


def _crossed(own: list[RatioRow], axis: str) -> Crossed:
    measure = "step" if own[0].method == SGD else "call"
    by_level: dict[int, Estimate] = {}
    for row in own:  # a later session's cell replaces an earlier one's
        of_step = (row.step_ratio, row.step_ratio_low, row.step_ratio_high)
        of_call = (row.call_ratio, row.call_ratio_low, row.call_ratio_high)
        value, low, high = of_step if measure == "step" else of_call
        if isfinite(value) and isfinite(low) and isfinite(high):
            by_level[getattr(row, axis)] = Estimate(value, low, high, int(row.rounds))
    levels = sorted(by_level)
    place = crossing(levels, [by_level[level] for level in levels])
    return Crossed(
        setting_of(own[0]), own[0].variant, own[0].reference, axis, measure, levels, place
    )


def crossing_row(crossed: Crossed) -> CrossingRow:
    """What a crossing comes to in ``crossings.csv``."""
    levels, place = crossed.levels, crossed.place
    return row_of(
        CrossingRow,
        crossed,
        crossed.setting,
        place,
        levels=len(levels),
        lowest=levels[0] if levels else None,
        highest=levels[-1] if levels else None,
        at_low=place.low,
        at_high=place.high,
    )
