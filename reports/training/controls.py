"""The A/A arm beside plain: what must not differ, and by how much it does at most."""

from math import inf
from typing import NamedTuple

from bench.storage.records import TrainingRecord
from bench.training.arms import PLAIN
from reports.training.experiment import Course, Experiment

AA = "aa"
# What an evaluation holds that is no time.
VALUES = ("epoch", "step", "gradient_equivalents", "train_loss", "test_loss", "test_metric")


class Difference(NamedTuple):
    """The largest difference of ``pairs`` trials, and where it is; inf: one has no such value."""

    value: float
    what: str
    pairs: int


def aa_difference(experiment: Experiment) -> Difference | None:
    """The largest difference between plain and plain again; None where no pair has been trained."""
    places = [(o, rule) for o in experiment.optimizers for rule in experiment.rules]
    found = []
    for optimizer, rule in places:
        plain = experiment.judged(optimizer, PLAIN, rule)
        again = experiment.judged(optimizer, AA, rule)
        for seed in sorted(plain.keys() & again.keys()):
            value, what = _largest(plain[seed], again[seed])
            words = f"{what} of {optimizer}, {rule} learning rate, seed {seed}"
            found.append(Difference(value, words, 1))
    if not found:
        return None
    return max(found, key=lambda each: each.value)._replace(pairs=len(found))


def _largest(first: Course, second: Course) -> tuple[float, str]:
    ours, theirs = first.evaluations, second.evaluations
    if len(ours) != len(theirs):
        return inf, "number of evaluations"
    if _outcome(first) != _outcome(second):
        return inf, "outcome"
    pairs = [(a, b, name) for a, b in zip(ours, theirs, strict=True) for name in VALUES]
    apart = [(_apart(a, b, name), name.replace("_", " ")) for a, b, name in pairs]
    return max(apart, key=lambda each: each[0], default=(0.0, "nothing"))


def _outcome(course: Course) -> str:
    return course.end.outcome if course.end else ""


def _apart(first: TrainingRecord, second: TrainingRecord, name: str) -> float:
    ours, theirs = getattr(first, name), getattr(second, name)
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else inf
    return float(abs(ours - theirs))
