"""Which cells belong to the sweep of an axis, and how time grows along it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bench.statistics.growth import Growth, fit_growth, thinness
from bench.statistics.growth_verdicts import linear, near_constant
from reports.run.run import AXES, SGD, Record, number
from reports.tables.runtime import frame, per_step, wall_samples

SCALING_COLUMNS = (
    *("method", "variant", "axis", "phase", "exponent", "ci_low", "ci_high"),
    *("slope", "floor_s", "levels"),
    # Ours, beyond the contract.
    *("slope_low", "slope_high", "scale", "lowest", "highest", "reason"),
    *("model", "dataset", "device", "dtype"),
    *("constant_p", "law", "rivals", "verdict", "floor_bytes"),
)

PHASES = {"prepare": "prepare_s", "steps": "steps_s", "total": "seconds"}
SGD_PHASE = "sgd step"
MEMORY = "memory"
# What does not depend on an axis by the way it is counted.
_INDEPENDENT = (("t", "prepare"), ("t", SGD_PHASE), ("b", SGD_PHASE))


class Setting(NamedTuple):
    """What is held fixed in all five sweeps."""

    model: str
    dataset: str
    device: str
    dtype: str


def setting_of(cell: Record) -> Setting:
    """The setting a cell was measured in."""
    return Setting(*(cell[name] for name in Setting._fields))


def settings(cells: Iterable[Record]) -> list[Setting]:
    """Every setting of a run, sorted."""
    return sorted({setting_of(cell) for cell in cells})


def base_point(cells: Iterable[Record], spec: Record | None) -> dict[str, int]:
    """The levels while another axis is swept: the spec's, else the most common ones."""
    asked = (spec or {}).get("base")
    if isinstance(asked, dict) and all(isinstance(asked.get(axis), int) for axis in AXES):
        return {axis: asked[axis] for axis in AXES}
    cells = list(cells)
    return {axis: _most_common([cell.get(axis) for cell in cells]) for axis in AXES}


def _most_common(levels: Sequence[Any]) -> int:
    known = [level for level in levels if isinstance(level, int)]
    return max(sorted(set(known)), key=known.count, default=0)


def unfinished(cells: Sequence[Record], spec: Record | None) -> list[str]:
    """A note if the journal holds fewer cells than the spec asks for; without methods, none."""
    base, axes, methods = ((spec or {}).get(key) for key in ("base", "axes", "methods"))
    if not (isinstance(base, dict) and isinstance(axes, dict) and isinstance(methods, list)):
        return []
    lists = {axis: levels for axis, levels in axes.items() if isinstance(levels, list)}
    swept = [(axis, level) for axis, levels in lists.items() for level in levels]
    points = {tuple(sorted({**base, axis: level}.items())) for axis, level in swept}
    wanted = max(len(points), 1) * (len(methods) + 1)  # the methods and sgd
    if not methods or len(cells) >= wanted:
        return []
    return [
        f"The run is not finished: its spec asks for {wanted} cells, the journal holds "
        f"{len(cells)}. The others were not begun."
    ]


def sweep(
    cells: Iterable[Record], setting: Setting, axis: str, base: dict[str, int]
) -> list[Record]:
    """The cells of ``setting`` whose other four levels are the base's, ascending along ``axis``."""
    others = [other for other in AXES if other != axis]
    chosen = [
        cell
        for cell in cells
        if setting_of(cell) == setting
        and isinstance(cell.get(axis), int)
        and all(cell.get(other) == base[other] for other in others)
    ]
    return sorted(chosen, key=lambda cell: (cell["variant"], cell[axis], cell["cell_id"]))


def scaling(cells: Sequence[Record], base: dict[str, int]) -> pd.DataFrame:
    """A row per setting, variant, axis and phase, ``SCALING_COLUMNS``.

    The phases ``prepare``, ``steps`` and ``total`` are those of a whole call of b batches. For the
    SGD reference there is one phase, ``sgd step``: the time of a single step. ``memory`` is the
    peak of a call in bytes, where it is known; its floor is in ``floor_bytes``.
    """
    by_setting: dict[Setting, list[Record]] = {}
    for cell in cells:
        by_setting.setdefault(setting_of(cell), []).append(cell)
    rows = [
        row
        for setting, own in sorted(by_setting.items())
        for axis in AXES
        for row in _axis_rows(sweep(own, setting, axis, base), axis)
    ]
    return frame(rows, SCALING_COLUMNS)


def _axis_rows(cells: list[Record], axis: str) -> list[Record]:
    by_variant: dict[str, list[Record]] = {}
    for cell in cells:
        by_variant.setdefault(cell["variant"], []).append(cell)
    rows = []
    for _, own in sorted(by_variant.items()):
        phases = (SGD_PHASE,) if own[0]["method"] == SGD else tuple(PHASES)
        rows += [_growth_row(own, axis, phase) for phase in phases]
        if any(_peak(cell) for cell in own):
            rows.append(_growth_row(own, axis, MEMORY))
    return rows


def _growth_row(cells: list[Record], axis: str, phase: str) -> Record:
    """``cells``: one variant along one axis."""
    by_level: dict[int, list[float]] = {}
    for cell in cells:
        values = _peak(cell) if phase == MEMORY else phase_seconds(cell, phase)
        if values:
            by_level.setdefault(cell[axis], []).extend(values)
    levels = sorted(by_level)
    growth = fit_growth(levels, [by_level[level] for level in levels])
    row = {
        **cells[0],
        **growth._asdict(),
        "axis": axis,
        "phase": phase,
        "levels": len(levels),
        "lowest": levels[0] if levels else None,
        "highest": levels[-1] if levels else None,
        "reason": growth.reason or "",
        "rivals": ";".join(growth.rivals),
        "verdict": _verdict(growth, axis, phase) if levels else "",
    }
    if phase == MEMORY:
        row |= {"floor_bytes": row["floor_s"], "floor_s": None, "scale": None}
    return row


def _verdict(growth: Growth, axis: str, phase: str) -> str:
    """The paper's claim: near-constant in d and n, linear in the others, prepared once for all t.

    An SGD step knows neither t nor b, so it is held against near-constant there.
    """
    if phase == MEMORY:
        return ""
    constant = axis in "dn" or (axis, phase) in _INDEPENDENT
    name, finding = (
        ("near-constant", near_constant(growth)) if constant else ("linear", linear(growth))
    )
    return f"{name}: {finding}"


def growth_of(row: Record) -> Growth:
    """The fit a row of the table was made from."""
    known = {name: row[name] for name in Growth._fields if name in row}
    count, lowest, highest = int(row["levels"]), number(row["lowest"]), number(row["highest"])
    thin = row["reason"] or thinness(count, lowest, highest)
    return Growth(**{**known, "levels": count, "rivals": (), "thin": thin})


def _peak(cell: Record) -> list[float]:
    """The peak memory of a cell that is ok, in a list of its own; none where it is not known."""
    peak = number(cell.get("peak_memory_bytes")) if cell["status"] == "ok" else 0.0
    return [peak] if peak > 0 else []


def phase_seconds(cell: Record, phase: str) -> list[float]:
    """Positive wall seconds of one phase, a sample per round."""
    step = per_step(cell)
    if phase == SGD_PHASE:
        seconds = [step(sample) for sample in wall_samples(cell)]
    else:
        seconds = [number(sample.get(PHASES[phase])) for sample in wall_samples(cell)]
    return [value for value in seconds if value > 0]
