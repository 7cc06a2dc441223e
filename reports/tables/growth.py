"""How the time of both phases and their memory grow along each axis of the sweep."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import nan
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from bench.spec.axes import AXES
from bench.statistics.growth import Growth, fit_growth
from bench.statistics.growth_verdicts import linear, near_constant
from bench.storage.records import CellRecord
from reports.run.run import SGD
from reports.run.setting import Setting, setting_of, swept_axes
from reports.tables.columns import Row, row_of
from reports.tables.runtime import CellRow
from reports.tables.wall_columns import wall_columns

# Of b batches.
PHASES = ("prepare", "steps", "total")
# Of the SGD reference: a single step.
SGD_PHASE = "sgd step"
# Phase -> the column of its seconds.
_COLUMNS = {"prepare": "prepare", "steps": "steps", "total": "total", SGD_PHASE: "step"}
# Peak bytes of both phases.
MEMORY = "memory"
# What does not depend on an axis by the way it is counted.
_INDEPENDENT = (("t", "prepare"), ("t", SGD_PHASE), ("b", SGD_PHASE))


class ScalingRow(Row, frozen=True):
    """A phase of a variant along an axis in ``scaling.csv``; the floor of memory is in bytes."""

    method: str
    variant: str
    axis: str
    phase: str
    exponent: float
    ci_low: float
    ci_high: float
    slope: float
    floor_s: float
    levels: int
    # Ours, beyond the contract.
    slope_low: float
    slope_high: float
    scale: float
    lowest: int | None
    highest: int | None
    reason: str
    model: str
    dataset: str
    device: str
    dtype: str
    constant_p: float
    law: str
    rivals: str
    verdict: str
    floor_bytes: float


class PhaseSeconds:
    """Positive wall seconds of one phase, a sample per round; of a cell that is not ok none."""

    def __init__(self, cells: Sequence[CellRecord]) -> None:
        """Take the samples of all cells at once."""
        wall = wall_columns(cells)
        self._place = {id(cell): place for place, cell in enumerate(cells)}
        self._columns = {phase: _split(wall, name, len(cells)) for phase, name in _COLUMNS.items()}

    def of(self, cell: CellRecord, phase: str) -> list[float]:
        """Those of one of the cells."""
        values, ends = self._columns[phase]
        place = self._place[id(cell)]
        return values[ends[place] : ends[place + 1]]


def _split(wall: pd.DataFrame, name: str, cells: int) -> tuple[list[float], list[int]]:
    """What is positive in a column, and where each cell's begin and end."""
    known = wall[wall[name] > 0]
    ends = np.searchsorted(known["cell"], np.arange(cells + 1))
    return known[name].tolist(), ends.tolist()


class Grown(NamedTuple):
    """How one phase of a variant grows along an axis.

    Attributes:
        phase: one of ``PHASES``, ``SGD_PHASE`` or ``MEMORY``, of which ``growth`` is in bytes.
        growth: over the levels that have a value, from ``lowest`` to ``highest``.
        verdict: on the paper's claim for the axis; empty where it makes none.
    """

    setting: Setting
    method: str
    variant: str
    axis: str
    phase: str
    lowest: int | None
    highest: int | None
    growth: Growth
    verdict: str


SweptT = TypeVar("SweptT", CellRecord, CellRow)


def sweep(
    cells: Iterable[SweptT], setting: Setting, axis: str, base: dict[str, int]
) -> list[SweptT]:
    """The cells of ``setting`` whose other four levels are the base's, ascending along ``axis``."""
    chosen = [
        cell for cell in cells if axis in swept_axes(cell, base) and setting_of(cell) == setting
    ]
    return sorted(chosen, key=lambda cell: (cell.variant, getattr(cell, axis), cell.cell_id))


def growths(cells: Sequence[CellRecord], base: dict[str, int]) -> list[Grown]:
    """One for each setting, axis, variant and phase; of memory where it is known."""
    found: dict[tuple[Setting, int], list[CellRecord]] = {}
    for cell in cells:
        for axis in swept_axes(cell, base):
            found.setdefault((setting_of(cell), AXES.index(axis)), []).append(cell)
    seconds = PhaseSeconds(cells)
    return [
        grown
        for (setting, number), own in sorted(found.items())
        for grown in _along(sweep(own, setting, AXES[number], base), AXES[number], seconds)
    ]


def scaling_row(grown: Grown) -> ScalingRow:
    """What a growth comes to in ``scaling.csv``."""
    growth, in_bytes = grown.growth, grown.phase == MEMORY
    return row_of(
        ScalingRow,
        grown,
        grown.setting,
        growth,
        floor_s=nan if in_bytes else growth.floor_s,
        floor_bytes=growth.floor_s if in_bytes else nan,
        scale=nan if in_bytes else growth.scale,
        rivals=";".join(growth.rivals),
    )


def _along(cells: list[CellRecord], axis: str, seconds: PhaseSeconds) -> list[Grown]:
    found = []
    for _, same in groupby(cells, lambda cell: cell.variant):  # a sweep is in their order
        own = list(same)
        phases = (SGD_PHASE,) if own[0].method == SGD else PHASES
        found += [_grown(own, axis, phase, [seconds.of(c, phase) for c in own]) for phase in phases]
        peaks = [*map(_peak, own)]
        if any(peaks):
            found.append(_grown(own, axis, MEMORY, peaks))
    return found


def _grown(
    cells: list[CellRecord], axis: str, phase: str, values: Sequence[Sequence[float]]
) -> Grown:
    """``values`` are seconds, or of memory bytes, of each of the cells."""
    by_level: dict[int, list[float]] = {}
    for cell, own in zip(cells, values, strict=True):
        if own:
            by_level.setdefault(getattr(cell, axis), []).extend(own)
    levels = sorted(by_level)
    growth = fit_growth(levels, [by_level[level] for level in levels])
    return Grown(
        setting=setting_of(cells[0]),
        method=cells[0].method,
        variant=cells[0].variant,
        axis=axis,
        phase=phase,
        lowest=levels[0] if levels else None,
        highest=levels[-1] if levels else None,
        growth=growth,
        verdict=_verdict(growth, axis, phase) if levels else "",
    )


def _verdict(growth: Growth, axis: str, phase: str) -> str:
    """The paper: near-constant in d and n, linear in the others, prepared once for all t."""
    # An SGD step knows neither t nor b, so it is held against near-constant there.
    if phase == MEMORY:
        return ""
    constant = axis in "dn" or (axis, phase) in _INDEPENDENT
    if constant:
        return f"near-constant: {near_constant(growth)}"
    return f"linear: {linear(growth)}"


def _peak(cell: CellRecord) -> list[float]:
    """The peak memory of a cell that is ok, in a list of its own; none where it is not known."""
    peak = cell.peak_memory_bytes if cell.status == "ok" else None
    return [float(peak)] if peak else []
