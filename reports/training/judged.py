"""A training experiment with what it comes to, once, for all its sections."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.run.run import Run
from reports.training.acceleration import AccelerationRow, acceleration_rows
from reports.training.experiment import Experiment, experiment_of
from reports.training.targets import TuningRow, tuning_rows


@dataclass(frozen=True)
class Judged:
    """An experiment, its comparisons and its learning rates."""

    experiment: Experiment
    comparisons: Sequence[AccelerationRow]
    rates: Sequence[TuningRow]


def judged(run: Run) -> Judged | None:
    """What the training experiment of a run comes to; None where it has none.

    Raises:
        bench.errors.JournalError: evaluations that are no curve.
    """
    experiment = experiment_of(run)
    if experiment is None:
        return None
    return Judged(experiment, acceleration_rows(experiment), tuning_rows(experiment))
