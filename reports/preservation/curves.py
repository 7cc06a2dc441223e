"""What is read off a curve: the values along its steps, the largest, and how much they grew."""

import math
from collections.abc import Sequence

from bench.storage.records import PreservationRecord
from reports.run.run import as_float


def step_line(record: PreservationRecord, key: str) -> tuple[list[int], list[float]]:
    """Steps of a curve and what its points hold as ``key``, where that is known."""
    known = [(point.step, as_float(getattr(point, key))) for point in record.rows]
    known = [(step, value) for step, value in known if math.isfinite(value)]
    return [step for step, _ in known], [value for _, value in known]


def largest(record: PreservationRecord, key: str) -> float:
    """The largest value along a curve; NaN where nothing is known."""
    return max(step_line(record, key)[1], default=math.nan)


def gain(record: PreservationRecord, step: int | None = None) -> float:
    """Squared gradient norm at ``step`` (the last by default) over that before the first step."""
    values = dict(zip(*step_line(record, "grad_norm_sq"), strict=True))
    last = max(values, default=0) if step is None else step
    before = values.get(0, math.nan)
    return values.get(last, math.nan) / before if before > 0 else math.nan


def curve_order(record: PreservationRecord) -> tuple[str, str, str, str, float]:
    """Place of a curve: model, data, start, variant, then tau from 1 downwards."""
    names = (record.model, record.dataset, record.start, record.variant)
    return (*names, 0.0 if record.tau is None else -record.tau)


def followed(records: Sequence[PreservationRecord], method: str) -> list[PreservationRecord]:
    """The curves of a method that took a step, in their order."""
    chosen = [r for r in records if r.method == method and r.status == "ok" and len(r.rows) > 1]
    return sorted(chosen, key=curve_order)
