"""What a schedule of teleports costs beside the SGD training it belongs to.

A teleport costs what its user pays, a whole call; where none was timed, prepare and steps alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.statistics.medians import Estimate
from bench.storage.records import CellRecord, Sample
from reports.run.run import SGD
from reports.run.setting import Setting, is_at, setting_of, settings
from reports.tables.calls import call_seconds, call_steps
from reports.tables.runtime import (
    interval_level,
    paired,
    per_step,
    prepare,
    step_by_round,
    summary,
    wall_samples,
)


@dataclass(frozen=True)
class Schedule:
    """K epochs with b batches of t steps each, and the training around them."""

    samples_per_epoch: int
    epochs: int
    teleport_epochs: int
    teleport_batches: int
    t: int
    batch_size: int

    @property
    def teleports(self) -> int:
        """Batches that are teleported."""
        return self.teleport_epochs * self.teleport_batches

    @property
    def sgd_steps(self) -> int:
        """SGD steps of the training; the last, smaller batch of an epoch counts as a step."""
        return self.epochs * math.ceil(self.samples_per_epoch / self.batch_size)


class Cost(NamedTuple):
    """What the schedule takes with one variant; times in seconds.

    ``call_s`` is NaN where no whole call was timed. ``share`` is teleport time over SGD time, the
    median over pairs with its interval.
    """

    variant: str
    prepare_s: float
    step_s: float
    call_s: float
    teleport_s: float
    training_s: float
    share: Estimate


class CostTable(NamedTuple):
    """The costs of the schedule in one setting, at the point where they were timed."""

    setting: Setting
    schedule: Schedule
    point: dict[str, int]
    costs: list[Cost]


def cost_tables(
    cells: Sequence[CellRecord], partners: Mapping[str, CellRecord], base: dict[str, int]
) -> tuple[list[CostTable], list[str]]:
    """The costs of the paper's schedule in each setting, and why some are missing."""
    tables, notes = [], []
    for setting in settings(cells):
        own = [cell for cell in cells if setting_of(cell) == setting]
        samples = next((n for cell in own if (n := cell.train_samples)), None)
        if samples is None:
            notes.append(
                f"How many training samples {setting.dataset} has is not in the records of this "
                "run: the cost of the schedule of the paper is left out."
            )
            continue
        # Section 4.1: 8 steps on each of 32 batches in the first 5 epochs; 100 epochs by Table 1.
        papers = Schedule(samples, 100, 5, 32, 8, batch_size=base["n"])
        table = _table(own, partners, setting, papers, base)
        if table.costs:
            tables.append(table)
        else:
            notes.append(
                f"No cost of a schedule on {setting.dataset} ({setting.device}): no cell at its "
                "point has both a time and an SGD step to compare with."
            )
    return tables, list(dict.fromkeys(notes))


def _table(
    cells: Sequence[CellRecord],
    partners: Mapping[str, CellRecord],
    setting: Setting,
    schedule: Schedule,
    point: dict[str, int],
) -> CostTable:
    here = [cell for cell in cells if cell.method != SGD and is_at(cell, point)]
    costs = [_cost(cell, partners.get(cell.cell_id), schedule, point["b"]) for cell in here]
    known = [cost for cost in costs if math.isfinite(cost.share.value)]
    known.sort(key=lambda cost: cost.variant)
    return CostTable(setting, schedule, point, known)


def _cost(cell: CellRecord, sgd: CellRecord | None, schedule: Schedule, batches: int) -> Cost:
    step = per_step(cell)
    wall = wall_samples(cell)
    step_s = summary([step(s) for s in wall]).value
    sgd_step = summary([per_step(sgd)(s) for s in wall_samples(sgd)] if sgd else []).value
    call_s = call_seconds(cell).value
    # A call was timed with the t of its cell.
    more_s = (schedule.t - (cell.t or schedule.t)) * step_s

    def phases_s(sample: Sample) -> float:
        return prepare(sample) / batches + schedule.t * step(sample)

    if call_s + more_s > 0:
        one, ratio = call_s + more_s, call_steps(cell, more_s)
    else:
        one = summary([phases_s(s) for s in wall]).value
        ratio = paired(cell, step_by_round(sgd), phases_s, interval_level(cell))
    scale = schedule.teleports / schedule.sgd_steps
    return Cost(
        cell.variant,
        summary([prepare(s) for s in wall]).value / batches,
        step_s,
        call_s,
        schedule.teleports * one,
        schedule.sgd_steps * sgd_step,
        Estimate(ratio.value * scale, ratio.low * scale, ratio.high * scale, ratio.count),
    )
