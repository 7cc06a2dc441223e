"""The tables of a training experiment that hold what the journal holds: evaluations, teleports."""

from bench.storage.records import TrainingRecord
from bench.training.arms import PLAIN
from reports.tables.columns import Row, row_of
from reports.training.experiment import Course, Experiment


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
    # Of each of several tasks, with blanks in between.
    train_task_losses: str
    test_task_losses: str
    test_task_metrics: str
    conflict_cosines: str
    delta_m: float | None


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
    plain = {
        (*_pair(course), each.step): each.test_task_losses
        for course in experiment.courses
        if course.facts.arm == PLAIN and course.facts.role == "test"
        for each in course.evaluations
    }
    return [
        _training_row(each, plain.get((*_pair(course), each.step)))
        for course in experiment.courses
        for each in course.evaluations
    ]


def _pair(course: Course) -> tuple[str, str, int]:
    """What a trial and that of plain training beside it have in common."""
    return course.facts.optimizer, course.facts.lr_rule, course.facts.seed


def _training_row(record: TrainingRecord, plain: list[float] | None) -> TrainingRow:
    lists = ("train_task_losses", "test_task_losses", "test_task_metrics", "conflict_cosines")
    texts = {name: " ".join(map(repr, getattr(record, name) or ())) for name in lists}
    judged = plain if record.role == "test" else None
    return row_of(TrainingRow, record, **texts, delta_m=delta_m(record.test_task_losses, judged))


def delta_m(losses: list[float] | None, plain: list[float] | None) -> float | None:
    """The mean over the tasks of the change of their losses against plain training, in percent.

    Lower is better. None where a task's loss is not known, or 0 in plain training.
    """
    if not losses or not plain or len(losses) != len(plain) or 0 in plain:
        return None
    changes = [(one - other) / abs(other) for one, other in zip(losses, plain, strict=True)]
    return 100 * sum(changes) / len(changes)


def teleport_rows(experiment: Experiment) -> list[TeleportRow]:
    """A row per teleport, one trial after the other."""
    return [
        row_of(TeleportRow, each, status=each.teleport_status)
        for course in experiment.courses
        for each in course.teleports
    ]
