"""The tables of the timed cells: one row per cell, one row per sample.

What is counted where: ``median_s`` is the wall time of the whole call (b batches), ``prepare_s`` is
per batch, ``step_s`` per teleport step, ``sgd_s`` per SGD step. Where a device has a second clock,
its samples are in ``samples.csv``; the times here are wall times between two synchronisations.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import pandas as pd

from bench.statistics.medians import LEVEL, Estimate, median_interval, paired_ratio
from reports.run.run import AXES, SGD, Record, number

RUNTIME_COLUMNS = (
    *("cell_id", "method", "variant", "model", "dataset", "device", "dtype", *AXES),
    *("status", "reason", "steps_done", "samples", "median_s", "ci_low_s", "ci_high_s"),
    *("prepare_s", "step_s", "sgd_s", "sgd_steps", "peak_memory_bytes", "operations", "bytes"),
    # Ours, beyond the contract.
    *("sgd_steps_low", "sgd_steps_high"),
    *("call_sgd_steps", "call_sgd_steps_low", "call_sgd_steps_high"),
    *("guarantee", "flags", "block_id"),
    *("stop_reason", "effective_samples", "warmup_rounds"),
    *("reserved_memory_bytes", "memory_note"),
)
SAMPLE_COLUMNS = ("cell_id", "round", "seconds", "prepare_s", "steps_s", "clock")

_WHOLE = (
    *(*AXES, "steps_done", "samples", "peak_memory_bytes", "operations", "bytes", "round"),
    *("levels", "lowest", "highest", "step", "index", "position", "rows", "columns"),
    *("warmup_rounds", "reserved_memory_bytes"),
)

Seconds = Callable[[Record], float]


def runtime(cells: Sequence[Record], partners: Mapping[str, Record]) -> pd.DataFrame:
    """A row per cell, ``RUNTIME_COLUMNS``; numbers of cells that are not ok are left empty."""
    steps = {id(sgd): step_by_round(sgd) for sgd in partners.values()}
    found = ((cell, partners.get(cell["cell_id"])) for cell in cells)
    rows = [_runtime_row(cell, steps.get(id(sgd), {})) for cell, sgd in found]
    return frame(sorted(rows, key=_row_order), RUNTIME_COLUMNS)


def samples(cells: Sequence[Record]) -> pd.DataFrame:
    """A row per raw sample of every cell and clock, whatever became of the cell."""
    # Column by column: as many rows as there are samples would hold the journal a second time.
    every = [sample for cell in cells for sample in cell.get("samples") or []]
    columns = {name: [sample.get(name) for sample in every] for name in SAMPLE_COLUMNS}
    columns["cell_id"] = [cell["cell_id"] for cell in cells for _ in cell.get("samples") or []]
    columns["clock"] = [sample.get("clock", "wall") for sample in every]
    return pd.DataFrame({name: _column(name, values) for name, values in columns.items()})


def frame(rows: Sequence[Record], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a DataFrame of exactly ``columns``; whole numbers stay whole beside empty cells."""
    table = {name: _column(name, [row.get(name) for row in rows]) for name in columns}
    return pd.DataFrame(table, columns=list(columns))


def records(table: pd.DataFrame) -> list[Record]:
    """The rows of a table as dictionaries; what is missing is NaN."""
    rows = table.to_dict("records")
    return [
        {str(key): float("nan") if value is pd.NA else value for key, value in row.items()}
        for row in rows
    ]


def _column(name: str, values: list[Any]) -> "pd.Series[Any]":
    if any(isinstance(value, str) for value in values):
        return pd.Series(["" if value is None else value for value in values], dtype=object)
    whole = all(value is None or type(value) is int for value in values)
    if name in _WHOLE and whole:
        return pd.Series(values, dtype="Int64")
    return pd.Series([number(value) for value in values], dtype="float64")


def wall_samples(cell: Record) -> list[Record]:
    """The wall-clock samples of a cell; of one that is not ok none, since they would mislead."""
    return _on_wall(cell) if cell["status"] == "ok" else []


def _on_wall(cell: Record) -> list[Record]:
    return [s for s in cell.get("samples") or [] if s.get("clock", "wall") == "wall"]


def per_step(cell: Record) -> Seconds:
    """Function from a sample of ``cell`` to the seconds of one of its steps."""
    steps = number(cell.get("steps_done"))
    return lambda sample: number(sample.get("steps_s")) / steps if steps > 0 else float("nan")


def summary(seconds: Sequence[float], level: float = LEVEL) -> Estimate:
    """Median and interval of what is known among ``seconds``."""
    return median_interval([value for value in seconds if isfinite(value)], level)


def interval_level(cell: Record) -> float:
    """The level at which the order statistics of a cell cover its median with 95 %.

    Above 95 % where the samples were looked at in between, or resemble each other; older journals
    do not tell.
    """
    level = number((cell.get("stop") or {}).get("interval_level"))
    return level if 0 < level < 1 else LEVEL


def paired(cell: Record, sgd: Record | None, above: Seconds) -> Estimate:
    """Median over rounds of ``above(sample)`` in SGD steps of the same round."""
    return _paired(cell, step_by_round(sgd), above)


def step_by_round(sgd: Record | None) -> dict[Any, float]:
    """Round -> seconds of an SGD step in it."""
    if sgd is None:
        return {}
    step = per_step(sgd)
    return {sample.get("round"): step(sample) for sample in wall_samples(sgd)}


def _paired(cell: Record, under: Mapping[Any, float], above: Seconds) -> Estimate:
    pairs = [(above(s), under.get(s.get("round"), 0.0)) for s in wall_samples(cell)]
    known = [(a, u) for a, u in pairs if isfinite(a) and isfinite(u) and u > 0]
    return paired_ratio([a for a, _ in known], [u for _, u in known], interval_level(cell))


def _runtime_row(cell: Record, sgd_steps: Mapping[Any, float]) -> Record:
    """``sgd_steps``: see ``step_by_round``."""
    wall = wall_samples(cell)
    level = interval_level(cell)
    total = summary([number(s.get("seconds")) for s in wall], level)
    batches = number(cell.get("b"))
    prepare = summary([number(s.get("prepare_s")) for s in wall])
    step = summary([per_step(cell)(s) for s in wall])
    own_sgd = summary(list(sgd_steps.values()) if wall else [])
    ratio = _paired(cell, sgd_steps, per_step(cell))
    call = _paired(cell, sgd_steps, lambda sample: number(sample.get("seconds")))
    return {
        **cell,
        "reason": cell.get("reason") or "",
        "samples": len(_on_wall(cell)),
        **dict(zip(("median_s", "ci_low_s", "ci_high_s"), total, strict=False)),
        "prepare_s": prepare.value / batches if batches > 0 else None,
        "step_s": step.value,
        "sgd_s": own_sgd.value,
        **dict(zip(("sgd_steps", "sgd_steps_low", "sgd_steps_high"), ratio, strict=False)),
        "call_sgd_steps": call.value,
        "call_sgd_steps_low": call.low,
        "call_sgd_steps_high": call.high,
        "guarantee": cell.get("guarantee") or "",
        "stop_reason": (cell.get("stop") or {}).get("reason") or "",
        "effective_samples": (cell.get("stop") or {}).get("effective_samples"),
        "warmup_rounds": (cell.get("warmup") or {}).get("rounds"),
        "flags": ";".join(str(flag) for flag in cell.get("flags") or []),
    }


def _row_order(row: Record) -> tuple[Any, ...]:
    """Setting, SGD last, variant, point: the same table whatever order the cells finished in."""
    names = (row["model"], row["dataset"], row["device"], row["dtype"])
    levels = tuple(number(row.get(axis)) for axis in AXES)
    return (*names, row["method"] == SGD, row["variant"], *levels, row["cell_id"])
