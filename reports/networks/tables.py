"""A row a method and network: cost, memory, drift, gain."""

import math
from collections.abc import Sequence

from bench.statistics.medians import Estimate, median_interval, paired_ratio
from bench.storage.kinds.network_records import NetworkRecord
from bench.storage.record import Record
from reports.run.run import as_float
from reports.tables.columns import Row, row_of


class NetworkRow(Row, frozen=True):
    """A method on a network in ``networks.csv``; times are medians, in SGD steps timed beside.

    ``growth_per_sgd_step`` is the growth of ||g||^2 that a call came to for each SGD step that it
    cost: growth^(1 / call_sgd_steps), which compares methods at equal cost.
    """

    model: str
    dataset: str
    device: str
    dtype: str
    method: str
    variant: str
    refusal: str
    guarantee: str
    teleport_status: str
    steps: int
    step_s: float
    step_sgd_steps: float
    step_sgd_steps_low: float
    step_sgd_steps_high: float
    prepare_sgd_steps: float
    call_s: float
    call_sgd_steps: float
    call_sgd_steps_low: float
    call_sgd_steps_high: float
    call_note: str
    peak_memory_bytes: int | None
    lr: float | None
    moved: int | None
    growth: float
    growth_per_sgd_step: float
    drift: float
    heldout_drift: float
    status: str
    reason: str


def network_rows(records: Sequence[Record]) -> list[NetworkRow]:
    """One each, in the order in which they were measured."""
    return [_row(record) for record in records if isinstance(record, NetworkRecord)]


def _row(record: NetworkRecord) -> NetworkRow:
    sgd = [step.sgd_s for step in record.steps]
    step = paired_ratio([step.step_s for step in record.steps], sgd)
    whole = [call for call in record.calls if call.sgd_s > 0]
    call = paired_ratio([each.seconds for each in whole], [each.sgd_s for each in whole])
    growth = as_float(record.growth)
    return row_of(
        NetworkRow,
        record,
        guarantee=record.guarantee or "",
        teleport_status=record.teleport_status or "",
        steps=len(record.steps),
        step_s=median_interval([each.step_s for each in record.steps]).value,
        **_bounds("step_sgd_steps", step),
        prepare_sgd_steps=paired_ratio([s.prepare_s for s in record.steps], sgd).value,
        call_s=median_interval([each.seconds for each in whole]).value,
        **_bounds("call_sgd_steps", call),
        growth=growth,
        growth_per_sgd_step=_for_each(growth, call.value),
        drift=as_float(record.drift),
        heldout_drift=as_float(record.heldout_drift),
    )


def _for_each(growth: float, cost: float) -> float:
    return growth ** (1 / cost) if growth > 0 and cost > 0 else math.nan


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
