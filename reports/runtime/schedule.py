"""What a schedule of teleports costs beside the SGD training it belongs to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.statistics.medians import Estimate
from reports.run.run import AXES, SGD, Record, number
from reports.tables.growth import Setting, setting_of
from reports.tables.runtime import paired, per_step, summary, wall_samples

# Training samples of data sets that are cut one way only.
_OFFICIAL_SIZES = {
    "digits": 1438,  # of 1797, a fifth is held out
    "mnist": 60_000,
    "fashion_mnist": 60_000,
    "fashion-mnist": 60_000,
    "cifar10": 50_000,
    "cifar100": 50_000,
}


@dataclass(frozen=True)
class Schedule:
    """K epochs with b batches of t steps each, and the training around them."""

    samples_per_epoch: int
    epochs: int
    teleport_epochs: int
    teleport_batches: int
    t: int
    batch_size: int
    from_paper: bool

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

    ``share`` is teleport time over SGD time, the median over rounds with its interval.
    """

    variant: str
    prepare_s: float
    step_s: float
    teleport_s: float
    training_s: float
    share: Estimate


class CostTable(NamedTuple):
    """The costs of one schedule in one setting, and what a reader has to know about them."""

    setting: Setting
    schedule: Schedule
    point: dict[str, int]
    costs: list[Cost]
    remarks: list[str]


def cost_tables(
    cells: Sequence[Record],
    partners: Mapping[str, Record],
    training: Sequence[Record],
    base: dict[str, int],
) -> tuple[list[CostTable], list[str]]:
    """The costs of each recorded schedule, or of the paper's, and why some are missing."""
    settings = sorted({setting_of(cell) for cell in cells})
    wanted = [(setting, record) for setting in settings for record in training]
    wanted = [(setting, record) for setting, record in wanted if _belongs(record, setting)]
    notes: list[str] = []
    plans = [(setting, _schedule(r, base), _point(r, base)) for setting, r in wanted]
    if not plans:
        known = [setting for setting in settings if setting.dataset in _OFFICIAL_SIZES]
        plans = [(setting, _papers(setting.dataset, base), base) for setting in known]
        notes = _unknown_sizes({s.dataset for s in settings} - {s.dataset for s in known})
    tables = [_table(cells, partners, *plan) for plan in plans]
    notes += [_without_costs(table) for table in tables if not table.costs]
    return [table for table in tables if table.costs], notes


def _unknown_sizes(datasets: set[str]) -> list[str]:
    return [
        "The run names no training schedule, and how many samples a training goes through is not "
        f"known here for {dataset}: the cost of the schedule of the paper is left out."
        for dataset in sorted(datasets)
    ]


def _without_costs(table: CostTable) -> str:
    return (
        f"No cost of a schedule on {table.setting.dataset} ({table.setting.device}): no cell at "
        "its point has both a time and an SGD step to compare with."
    )


def _belongs(record: Record, setting: Setting) -> bool:
    return all(record.get(name) in (None, getattr(setting, name)) for name in Setting._fields)


def _schedule(record: Record, base: dict[str, int]) -> Schedule:
    return Schedule(
        samples_per_epoch=record["samples_per_epoch"],
        epochs=record["epochs"],
        teleport_epochs=record["teleport_epochs"],
        teleport_batches=record["teleport_batches"],
        t=record["t"],
        batch_size=record.get("batch_size") or base["n"],
        from_paper=False,
    )


def _papers(dataset: str, base: dict[str, int]) -> Schedule:
    """Section 4.1: 8 steps on each of 32 batches in the first 5 epochs; 100 epochs by Table 1."""
    samples = _OFFICIAL_SIZES[dataset]
    return Schedule(samples, 100, 5, 32, 8, batch_size=base["n"], from_paper=True)


def _point(record: Record, base: dict[str, int]) -> dict[str, int]:
    return {**base, **{axis: record[axis] for axis in ("d", "n", "l") if record.get(axis)}}


def _table(
    cells: Sequence[Record],
    partners: Mapping[str, Record],
    setting: Setting,
    schedule: Schedule,
    point: dict[str, int],
) -> CostTable:
    here = [
        cell
        for cell in cells
        if cell["method"] != SGD
        and setting_of(cell) == setting
        and all(cell.get(axis) == point[axis] for axis in AXES)
    ]
    costs = [_cost(cell, partners.get(cell["cell_id"]), schedule) for cell in here]
    known = [cost for cost in costs if math.isfinite(cost.share.value)]
    known.sort(key=lambda cost: cost.variant)
    return CostTable(setting, schedule, point, known, _remarks(schedule, point))


def _cost(cell: Record, sgd: Record | None, schedule: Schedule) -> Cost:
    step = per_step(cell)
    batches = number(cell.get("b"))

    def teleport_s(sample: Record) -> float:
        prepare = number(sample.get("prepare_s")) / batches
        return schedule.teleports * (prepare + schedule.t * step(sample))

    wall = wall_samples(cell)
    sgd_step = summary([per_step(sgd)(s) for s in wall_samples(sgd)] if sgd else []).value
    ratio, whole = paired(cell, sgd, teleport_s), schedule.sgd_steps
    return Cost(
        cell["variant"],
        summary([number(s.get("prepare_s")) for s in wall]).value / batches,
        summary([step(s) for s in wall]).value,
        summary([teleport_s(s) for s in wall]).value,
        whole * sgd_step,
        Estimate(ratio.value / whole, ratio.low / whole, ratio.high / whole, ratio.count),
    )


def _remarks(schedule: Schedule, point: dict[str, int]) -> list[str]:
    remarks = []
    if schedule.t != point["t"]:
        remarks.append(
            f"A step was timed in calls of {point['t']} steps and counted {schedule.t} times."
        )
    if schedule.batch_size != point["n"]:
        remarks.append(
            f"Teleport and SGD step were both timed on batches of {point['n']} samples; those "
            f"of the training hold {schedule.batch_size}."
        )
    if schedule.from_paper:
        remarks.append(
            "The run names no training schedule. This one is that of the paper, with the "
            "official number of training samples."
        )
    return remarks
