"""The tables of a training experiment that hold what the journal holds: evaluations, teleports."""

from reports.tables.columns import Row, row_of
from reports.training.experiment import Experiment


class TrainingRow(Row, frozen=True):
    """A trial at an evaluation in ``training.csv``; seconds and costs are since its start."""

    trial_id: str
    model: str
    dataset: str
    optimizer: str
    arm: str
    lr: float
    seed: int
    epoch: float
    step: int
    train_seconds: float
    teleport_seconds: float
    gradient_equivalents: float | None
    train_loss: float | None
    test_loss: float | None
    test_metric: float | None
    # Ours, beyond the contract.
    role: str
    lr_rule: str
    busy_epochs: int
    interruptions: int


class TeleportRow(Row, frozen=True):
    """A teleport on one batch in ``teleports.csv``."""

    trial_id: str
    optimizer: str
    arm: str
    lr_rule: str
    seed: int
    epoch: int
    step: int
    batch: int
    status: str
    steps_done: int
    loss_before: float | None
    loss_after: float | None
    train_loss_before: float | None
    train_loss_after: float | None
    objective_before: float | None
    objective_after: float | None
    displacement: float | None
    seconds: float | None
    # Ours, beyond the contract.
    role: str
    gradient_equivalents: float | None
    kept: bool | None
    ahead_without: float | None
    ahead_with: float | None
    horizon: int | None
    test_loss_before: float | None
    test_loss_after: float | None


def training_rows(experiment: Experiment) -> list[TrainingRow]:
    """A row per evaluation, one trial after the other."""
    return [row_of(TrainingRow, each) for c in experiment.courses for each in c.evaluations]


def teleport_rows(experiment: Experiment) -> list[TeleportRow]:
    """A row per teleport, one trial after the other."""
    return [
        row_of(TeleportRow, each, status=each.teleport_status)
        for course in experiment.courses
        for each in course.teleports
    ]
