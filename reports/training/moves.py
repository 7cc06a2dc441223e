"""What the teleports did, in a table, and what they took of the time."""

import math
from collections.abc import Sequence
from itertools import product
from statistics import median

from bench.storage.records import TeleportRecord
from reports.run.run import as_float
from reports.text import html_tables as html
from reports.text.html_tables import Cell, Table
from reports.training.experiment import Course, Experiment
from reports.training.gains import moment_change, moments


def moving(experiment: Experiment, optimizer: str, rule: str) -> dict[str, list[Course]]:
    """Arm -> its trials with teleports that have ended."""
    every = {a: experiment.judged(optimizer, a, rule).values() for a in experiment.arms}
    found = {arm: [c for c in own if c.teleports] for arm, own in every.items()}
    return {arm: own for arm, own in found.items() if own}


def move_table(experiment: Experiment) -> Table:
    """A row per optimizer, rule and arm: medians over all its teleports."""
    text = ["optimizer", "learning rate", "arm", "status"]
    numeric = ["objective, after over before", "loss on the batch", "distance", "time"]
    numeric += ["gradient-equivalents", "training loss, a moment", "test loss, a moment"]
    rows = [
        [*html.texts(optimizer, rule, arm), *_move_cells(own)]
        for optimizer in experiment.optimizers
        for rule in experiment.rules
        for arm, own in moving(experiment, optimizer, rule).items()
    ]
    caption = "A teleport on one batch, medians; of losses the change"
    return Table(caption, html.columns(text, numeric), rows).without_empty()


def _move_cells(courses: Sequence[Course]) -> list[Cell]:
    every = [each for course in courses for each in course.teleports]
    growth = _median([_quotient(each.objective_after, each.objective_before) for each in every])
    groups = [own for course in courses for own in moments(course.teleports)]
    losses = ("train_loss", "test_loss")
    changes = [_median([moment_change(own, loss) for own in groups]) for loss in losses]
    return [
        html.words(_statuses(every)),
        html.numbers(growth),
        html.small(_median([as_float(e.loss_after) - as_float(e.loss_before) for e in every])),
        html.numbers(_median([as_float(each.displacement) for each in every])),
        html.seconds(_median([as_float(each.seconds) for each in every])),
        html.numbers(_median([as_float(each.gradient_equivalents) for each in every])),
        *map(html.small, changes),
    ]


def share_table(experiment: Experiment) -> Table:
    """A row per optimizer, rule and arm whose teleports took any time."""
    rows = []
    for optimizer, rule, arm in product(experiment.optimizers, experiment.rules, experiment.arms):
        own = [*experiment.judged(optimizer, arm, rule).values()]
        share, counted = time_share(own), sum(course.undisturbed for course in own)
        if share > 0:
            names = html.texts(optimizer, rule, arm)
            rows.append([*names, html.percent(share), html.whole(counted)])
    columns = html.columns(["optimizer", "learning rate", "arm"], ["share", "trials"])
    return Table("Share of the training time that went into teleports: median", columns, rows)


def time_share(courses: Sequence[Course]) -> float:
    """Seconds of the teleports over all seconds, at the end of a trial: median; NaN if unknown."""
    ends = [c.evaluations[-1] for c in courses if c.undisturbed and c.evaluations]
    shares = [e.teleport_seconds / e.train_seconds for e in ends if e.train_seconds > 0]
    return median(shares) if shares else math.nan


def _statuses(every: Sequence[TeleportRecord]) -> str:
    """``40 CONVERGED, 3 CAPPED, 8 taken back``."""
    names = [each.teleport_status for each in every]
    counts = [f"{names.count(name)} {name}" for name in sorted(set(names))]
    back = sum(not each.kept for each in every)
    return ", ".join([*counts, *([f"{back} taken back"] if back else [])])


def _quotient(above: float | None, under: float | None) -> float:
    return as_float(above) / under if under else math.nan


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return median(known) if known else math.nan
