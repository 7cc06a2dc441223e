"""Every arm against plain training, on three axes: the rows of ``acceleration.csv``."""

from collections.abc import Sequence
from math import isfinite, nan
from typing import NamedTuple

from bench.statistics.training.acceleration import Acceleration, accelerations
from bench.statistics.training.arrivals import Curve
from bench.training.arms import PLAIN
from reports.tables.columns import Row, row_of
from reports.training.experiment import Course, Experiment, against, is_control
from reports.training.targets import Target, not_curves, target

# Axis -> the field of an evaluation that it counts.
AXES = {
    "steps": "step",
    "seconds": "train_seconds",
    "gradient_equivalents": "gradient_equivalents",
}
NOT_JUDGED = "UNDECIDED"

Courses = dict[int, Course]


class AccelerationRow(Row, frozen=True):
    """An arm of an optimizer on one axis in ``acceleration.csv``.

    Ratios are times to the target over those of ``against`` with the same seed. ``seeds`` counts
    the pairs that are judged, ``pairs_left_out`` those that are not since the machine was busy or
    a trial was taken up again, on the axis of seconds alone. ``needed_seeds`` would find a true
    effect of 2 %.
    """

    model: str
    dataset: str
    optimizer: str
    arm: str
    against: str
    axis: str
    lr_rule: str
    target: float
    hit_rate: float
    ratio: float
    ci_low: float
    ci_high: float
    p: float
    seeds: int
    verdict: str
    # Ours, beyond the contract.
    hit_rate_against: float
    needed_seeds: float
    reason: str
    pairs_left_out: int


class _Family(NamedTuple):
    """Arms that are tested together, against one arm and its target."""

    optimizer: str
    rule: str
    against: str
    target: Target
    arms: dict[str, Courses]
    plain: Courses


def acceleration_rows(experiment: Experiment) -> list[AccelerationRow]:
    """A row per optimizer, rule of the learning rate, arm and axis, in this order.

    Raises:
        JournalError: evaluations that are no curve.
    """
    order = [(o, r) for o in experiment.optimizers for r in experiment.rules]
    found = []
    for place in order:
        rows = [
            row for family in _families(experiment, *place) for row in _judged(experiment, family)
        ]
        found += sorted(rows, key=lambda row: experiment.arms.index(row.arm))
    return found


def _families(experiment: Experiment, optimizer: str, rule: str) -> list[_Family]:
    """Teleports are tested together, and so are the controls that have one arm to compare with."""
    names: dict[tuple[str, bool], list[str]] = {}
    for arm in experiment.arms_of(optimizer):
        if arm != PLAIN:
            names.setdefault((against(arm), is_control(arm)), []).append(arm)
    return [
        _Family(
            optimizer,
            rule,
            other,
            target(experiment, optimizer, other, rule),
            {arm: experiment.judged(optimizer, arm, rule) for arm in arms},
            experiment.judged(optimizer, other, rule),
        )
        for (other, _), arms in names.items()
    ]


def _judged(experiment: Experiment, family: _Family) -> list[AccelerationRow]:
    return [row for axis in AXES for row in _on_axis(experiment, family, axis)]


def _on_axis(experiment: Experiment, family: _Family, axis: str) -> list[AccelerationRow]:
    settings = experiment.settings
    if settings is None or not isfinite(family.target.loss):
        reason = f"no target: {family.target.reason}"
        return [_unknown(experiment, family, arm, axis, reason) for arm in family.arms]
    counted = {arm: own for arm, own in family.arms.items() if _counted(own, family.plain, axis)}
    rows = [
        _unknown(experiment, family, arm, axis, "what a teleport costs could not be counted")
        for arm in family.arms
        if arm not in counted
    ]
    curves = {arm: _curves(own, axis) for arm, own in counted.items()}
    aside = {arm: _aside(own, family.plain, axis) for arm, own in counted.items()}
    try:
        results = accelerations(
            curves,
            _curves(family.plain, axis),
            family.target.loss,
            axis=axis,
            against=family.against,
            min_effect=settings.minimum_effect,
            left_out=aside,
        )
    except ValueError as error:
        arms = f"{', '.join(counted)} against {family.against}"
        raise not_curves(family.optimizer, arms, error) from None
    return rows + [_row(experiment, family, one, len(aside[one.arm])) for one in results]


def _counted(own: Courses, plain: Courses, axis: str) -> bool:
    """Whether every trial of both has its gradient-equivalents, where these are the axis."""
    every = [*own.values(), *plain.values()] if axis == "gradient_equivalents" else []
    return all(course.counts(axis) for course in every)


def _aside(own: Courses, plain: Courses, axis: str) -> set[int]:
    """The seeds whose seconds do not count."""
    both = own.keys() & plain.keys() if axis == "seconds" else set()
    return {seed for seed in both if not (own[seed].undisturbed and plain[seed].undisturbed)}


def _curves(courses: Courses, axis: str) -> dict[int, Curve]:
    return {seed: course.curve(AXES[axis]) for seed, course in courses.items()}


def _row(
    experiment: Experiment, family: _Family, found: Acceleration, left_out: int
) -> AccelerationRow:
    reason = found.reason
    if left_out and not found.seeds:
        reason = "no pair of trials ran undisturbed"
    return row_of(
        AccelerationRow,
        found,
        experiment,
        optimizer=family.optimizer,
        lr_rule=family.rule,
        verdict=found.verdict.name,
        reason=reason,
        pairs_left_out=left_out,
    )


def _unknown(
    experiment: Experiment, family: _Family, arm: str, axis: str, reason: str
) -> AccelerationRow:
    """The row of an arm that cannot be compared."""
    unknown = ("hit_rate", "hit_rate_against", "ratio", "ci_low", "ci_high", "p")
    return row_of(
        AccelerationRow,
        experiment,
        optimizer=family.optimizer,
        arm=arm,
        against=family.against,
        axis=axis,
        lr_rule=family.rule,
        target=family.target.loss,
        seeds=0,
        verdict=NOT_JUDGED,
        reason=reason,
        pairs_left_out=0,
        needed_seeds=nan,
        **dict.fromkeys(unknown, nan),
    )


def rows_of(
    rows: Sequence[AccelerationRow], optimizer: str, arm: str, rule: str
) -> dict[str, AccelerationRow]:
    """Axis -> the row of one arm."""
    place = (optimizer, arm, rule)
    return {row.axis: row for row in rows if (row.optimizer, row.arm, row.lr_rule) == place}
