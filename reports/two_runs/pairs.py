"""The cells that two runs have in common, and how long the second takes over the first."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.comparison.verdicts import CellComparison, Side, Verdict, compare_cells
from bench.spec.axes import AXES
from bench.storage.records import CellRecord
from reports.run.run import Run
from reports.tables.analysis import Analysis
from reports.tables.columns import Row
from reports.tables.runtime import CellRow, wall_samples

Key = tuple[object, ...]


class PairRow(Row, frozen=True):
    """A cell of both runs in ``comparison.csv``; ratios are those of the second over the first.

    The ratio of seconds has an interval of independent samples; that of costs in SGD steps takes
    the machine's speed out and is one of two medians.
    """

    variant: str
    model: str
    dataset: str
    dtype: str
    t: int | None
    d: int | None
    n: int | None
    l: int | None  # noqa: E741  (the letter of the papers)
    b: int | None
    first_s: float
    second_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    sgd_steps_ratio: float
    p_value: float
    verdict: str
    reason: str


class Pairs(NamedTuple):
    """The rows, and how many cells only one of the runs has."""

    rows: list[PairRow]
    only_first: int
    only_second: int


def pairs(first: Analysis, second: Analysis) -> Pairs:
    """Every cell that both have; devices count where both ran on the same ones."""
    devices = [{cell.device for cell in found.run.cells} for found in (first, second)]
    by_device = devices[0] == devices[1]
    ours, theirs = (_by_key(found.run, by_device) for found in (first, second))
    both = [key for key in ours if key in theirs]
    names = {key: str(number) for number, key in enumerate(both)}
    compared = compare_cells(
        {names[key]: _side(ours[key], "first") for key in both},
        {names[key]: _side(theirs[key], "second") for key in both},
    )
    rows_of = [{row.cell_id: row for row in found.cells} for found in (first, second)]
    rows = [
        _row(ours[key], found, rows_of[0][ours[key].cell_id], rows_of[1][theirs[key].cell_id])
        for key, found in zip(both, compared, strict=True)
    ]
    return Pairs(rows, len(ours) - len(both), len(theirs) - len(both))


def label(row: PairRow, varied: Sequence[str]) -> str:
    """A variant with the levels that differ between the rows."""
    return " ".join([row.variant, *(f"{axis}={getattr(row, axis)}" for axis in varied)])


def varied_axes(rows: Sequence[PairRow]) -> list[str]:
    """The letters of which the rows have several levels."""
    return [axis for axis in AXES if len({getattr(row, axis) for row in rows}) > 1]


def counted(rows: Sequence[PairRow]) -> dict[str, int]:
    """Verdict -> how many cells have it."""
    names = [verdict.name for verdict in Verdict]
    found = [row.verdict for row in rows]
    return {name: found.count(name) for name in names if name in found}


def _by_key(run: Run, by_device: bool) -> Mapping[Key, CellRecord]:
    levels = [(tuple(getattr(c, axis) for axis in AXES), c) for c in run.cells]
    return {
        (c.variant, c.model, c.dataset, c.dtype, c.device if by_device else "", *at): c
        for at, c in levels
    }


def _side(cell: CellRecord, session: str) -> Side:
    """Both as if from one machine: what differs stands beside the figure, not in a verdict."""
    samples = wall_samples(cell)
    return Side(
        label=cell.variant,
        seconds=[math.nan if s.seconds is None else s.seconds for s in samples],
        rounds=[s.round or 0 for s in samples],
        session=session,
        status=cell.status,
        reason=cell.reason,
        environment="",
        benchmark="",
    )


def _row(cell: CellRecord, found: CellComparison, ours: CellRow, theirs: CellRow) -> PairRow:
    in_steps = (
        theirs.phases_sgd_steps / ours.phases_sgd_steps if ours.phases_sgd_steps else math.nan
    )
    return PairRow(
        **{name: getattr(cell, name) for name in ("variant", "model", "dataset", "dtype", *AXES)},
        first_s=found.base_median,
        second_s=found.head_median,
        ratio=found.ratio.value,
        ratio_low=found.ratio.low,
        ratio_high=found.ratio.high,
        sgd_steps_ratio=in_steps,
        p_value=found.p_value,
        verdict=found.verdict.name,
        reason=found.reason,
    )
