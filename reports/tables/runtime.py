"""The tables of the timed cells: one row per cell, one row per sample.

What is counted where: ``median_s`` is the wall time of both phases of b batches, ``prepare_s`` is
per batch, ``step_s`` per teleport step, ``sgd_s`` per SGD step, ``call_s`` per whole call of
``teleport``, one batch with all checks. Where a device has a second clock, its samples are in
``samples.csv``; the times here are wall times between two synchronisations.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from typing import Any

import pandas as pd

from bench.statistics.medians import LEVEL, Estimate, median_interval, paired_ratio
from bench.storage.records import CellRecord, Sample
from reports.run.run import SGD, as_float
from reports.tables.calls import call_seconds, call_steps, calls_of
from reports.tables.cell_times import CellTimes, cell_times
from reports.tables.columns import AtPoint, Row, from_columns, row_of
from reports.tables.roofline import Roof, share
from reports.tables.wall_columns import WALL

Seconds = Callable[[Sample], float]


class CellRow(AtPoint, frozen=True):
    """A cell in ``runtime.csv``; the numbers of one that is not ok are unknown.

    ``phases_sgd_steps`` are both phases over an SGD step of the same round, ``call_sgd_steps`` a
    whole call over the one beside it. ``operations_share`` and ``bytes_share`` are what the phases
    achieve of the rates of the machine: a large square product and a large copy. Above 1 the data
    stayed in a cache.
    """

    status: str
    reason: str
    steps_done: int
    samples: int
    median_s: float
    ci_low_s: float
    ci_high_s: float
    prepare_s: float
    step_s: float
    sgd_s: float
    sgd_steps: float
    peak_memory_bytes: int | None
    operations: int | None
    bytes: int | None
    call_s: float
    call_sgd_steps: float
    # Ours, beyond the contract.
    sgd_steps_low: float
    sgd_steps_high: float
    phases_sgd_steps: float
    phases_sgd_steps_low: float
    phases_sgd_steps_high: float
    calls: int
    call_s_low: float
    call_s_high: float
    call_sgd_steps_low: float
    call_sgd_steps_high: float
    call_note: str
    guarantee: str
    flags: str
    block_id: str
    stop_reason: str
    effective_samples: float | None
    warmup_rounds: int | None
    reserved_memory_bytes: int | None
    memory_note: str
    operations_share: float
    bytes_share: float
    operations_note: str
    network: str
    parameters: int | None
    model_note: str


class SampleRow(Row, frozen=True):
    """A sample in ``samples.csv``: one round of a cell on one clock."""

    cell_id: str
    round: int | None
    seconds: float | None
    prepare_s: float | None
    steps_s: float | None
    clock: str


def cell_rows(
    cells: Sequence[CellRecord], partners: Mapping[str, CellRecord], roof: Roof
) -> list[CellRow]:
    """A row per cell, in one order whatever order they finished in."""
    times = cell_times(cells, partners, [interval_level(cell) for cell in cells])
    rows = [_cell_row(cell, own, roof) for cell, own in zip(cells, times, strict=True)]
    return sorted(rows, key=_row_order)


def samples(cells: Sequence[CellRecord]) -> pd.DataFrame:
    """A ``SampleRow`` per raw sample of every cell and clock, whatever became of the cell."""
    every = [sample for cell in cells for sample in cell.samples]
    columns: dict[str, list[Any]] = {
        "cell_id": [cell.cell_id for cell in cells for _ in cell.samples]
    }
    for name in SampleRow.__struct_fields__[1:]:
        columns[name] = [getattr(sample, name) for sample in every]
    return from_columns(columns, SampleRow)


def wall_samples(cell: CellRecord) -> list[Sample]:
    """The wall-clock samples of a cell; of one that is not ok none, since they would mislead."""
    return _on_wall(cell) if cell.status == "ok" else []


def _on_wall(cell: CellRecord) -> list[Sample]:
    return [sample for sample in cell.samples if sample.clock == WALL]


def per_step(cell: CellRecord) -> Seconds:
    """Function from a sample of ``cell`` to the seconds of one of its steps."""
    steps = cell.steps_done
    return lambda sample: all_steps(sample) / steps if steps > 0 else nan


def prepare(sample: Sample) -> float:
    """Seconds of everything that is done once per batch."""
    return as_float(sample.prepare_s)


def all_steps(sample: Sample) -> float:
    """Seconds of all steps of all batches."""
    return as_float(sample.steps_s)


def summary(seconds: Sequence[float], level: float = LEVEL) -> Estimate:
    """Median and interval of what is known among ``seconds``."""
    return median_interval([value for value in seconds if isfinite(value)], level)


def interval_level(cell: CellRecord) -> float:
    """The level at which the order statistics of a cell cover its median with 95 %.

    Above 95 % where the samples were looked at in between, or resemble each other; older journals
    do not tell.
    """
    level = as_float(cell.stop.interval_level) if cell.stop else nan
    return level if 0 < level < 1 else LEVEL


def step_by_round(sgd: CellRecord | None) -> dict[int | None, float]:
    """Round -> seconds of an SGD step in it."""
    if sgd is None:
        return {}
    step = per_step(sgd)
    return {sample.round: step(sample) for sample in wall_samples(sgd)}


def paired(
    cell: CellRecord, under: Mapping[int | None, float], above: Seconds, level: float = LEVEL
) -> Estimate:
    """Median over rounds of ``above(sample)`` over what ``under`` has for the same round."""
    pairs = [(above(s), under.get(s.round, 0.0)) for s in wall_samples(cell)]
    known = [(a, u) for a, u in pairs if isfinite(a) and isfinite(u) and u > 0]
    return paired_ratio([a for a, _ in known], [u for _, u in known], level)


def estimated(column: str, found: Estimate) -> dict[str, float]:
    """A column with the bounds of its interval beside it."""
    return {column: found.value, f"{column}_low": found.low, f"{column}_high": found.high}


def _cell_row(cell: CellRecord, times: CellTimes, roof: Roof) -> CellRow:
    total = times.total
    return row_of(
        CellRow,
        cell,
        samples=len(_on_wall(cell)),
        median_s=total.value,
        ci_low_s=total.low,
        ci_high_s=total.high,
        prepare_s=times.prepare.value / (cell.b or nan),
        step_s=times.step.value,
        sgd_s=times.sgd.value,
        **estimated("sgd_steps", times.sgd_steps),
        **estimated("phases_sgd_steps", times.phases_sgd_steps),
        calls=len(calls_of(cell)),
        **estimated("call_s", call_seconds(cell)),
        **estimated("call_sgd_steps", call_steps(cell)),
        guarantee=cell.guarantee or "",
        flags=";".join(cell.flags),
        stop_reason=(cell.stop.reason if cell.stop else None) or "",
        effective_samples=cell.stop.effective_samples if cell.stop else None,
        warmup_rounds=cell.warmup.rounds if cell.warmup else None,
        operations_share=share(roof, cell, "operations_share", total.value),
        bytes_share=share(roof, cell, "bytes_share", total.value),
    )


def _row_order(row: CellRow) -> tuple[Any, ...]:
    """Setting, SGD last, variant, point: the same table whatever order the cells finished in."""
    names = (row.model, row.dataset, row.device, row.dtype)
    levels: tuple[Any, ...] = (row.t, row.d, row.n, row.l, row.b)
    if None in levels:
        levels = tuple(map(as_float, levels))
    return (*names, row.method == SGD, row.variant, *levels, row.cell_id)
