"""How the time of both phases and their memory grow along each axis of the sweep."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import nan
from typing import NamedTuple, TypeVar

from bench.spec.axes import AXES
from bench.statistics.growth import Growth, fit_growth
from bench.statistics.growth_verdicts import linear, near_constant
from bench.storage.records import CellRecord
from reports.run.run import SGD
from reports.run.setting import Setting, is_at, setting_of
from reports.tables.columns import Row, row_of
from reports.tables.runtime import CellRow, all_steps, both_phases, per_step, prepare, wall_samples

# Of b batches.
PHASES = ("prepare", "steps", "total")
# Of the SGD reference: a single step.
SGD_PHASE = "sgd step"
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
        cell
        for cell in cells
        if is_at(cell, base, but=axis)
        and getattr(cell, axis) is not None
        and setting_of(cell) == setting
    ]
    return sorted(chosen, key=lambda cell: (cell.variant, getattr(cell, axis), cell.cell_id))


def growths(cells: Sequence[CellRecord], base: dict[str, int]) -> list[Grown]:
    """One for each setting, axis, variant and phase; of memory where it is known."""
    by_setting = groupby(sorted(cells, key=setting_of), setting_of)
    return [
        grown
        for setting, own in [(setting, list(own)) for setting, own in by_setting]
        for axis in AXES
        for grown in _along(sweep(own, setting, axis, base), axis)
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


def _along(cells: list[CellRecord], axis: str) -> list[Grown]:
    found = []
    for _, same in groupby(cells, lambda cell: cell.variant):  # a sweep is in their order
        own = list(same)
        phases = (SGD_PHASE,) if own[0].method == SGD else PHASES
        found += [_grown(own, axis, phase) for phase in phases]
        if any(map(_peak, own)):
            found.append(_grown(own, axis, MEMORY))
    return found


def _grown(cells: list[CellRecord], axis: str, phase: str) -> Grown:
    by_level: dict[int, list[float]] = {}
    for cell in cells:
        values = _peak(cell) if phase == MEMORY else phase_seconds(cell, phase)
        if values:
            by_level.setdefault(getattr(cell, axis), []).extend(values)
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


def phase_seconds(cell: CellRecord, phase: str) -> list[float]:
    """Positive wall seconds of one phase, a sample per round."""
    of_phase = {
        "prepare": prepare,
        "steps": all_steps,
        "total": both_phases,
        SGD_PHASE: per_step(cell),
    }
    return [value for value in map(of_phase[phase], wall_samples(cell)) if value > 0]
