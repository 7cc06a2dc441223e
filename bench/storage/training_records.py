"""Records of training experiments: evaluations, teleports, and how each trial ended.

A trial is one training run: an arm with an optimizer, a learning rate and a seed. Its ``role`` is
"tuning" for a run that finds learning rates and targets, and "test" for one that is judged; its
``lr_rule`` says whether the learning rate was given ("fixed") or found ("tuned").
"""

from typing import Literal

from bench.storage.record import Record, Whole

Role = Literal["tuning", "test"]
LrRule = Literal["fixed", "tuned"]


class TrialFacts(Record, kw_only=True):
    """What names a trial."""

    trial_id: str
    optimizer: str
    arm: str
    lr_rule: LrRule
    role: Role
    lr: float
    seed: Whole


class TrainingRecord(TrialFacts, kw_only=True, tag="training"):
    """A trial at an evaluation; the first is before any step, where nothing has been spent.

    The clock stands still while it is evaluated. A loss is None where it was not finite.
    """

    epoch: float  # epochs done, in part too
    step: Whole  # optimizer steps of the schedule
    train_seconds: float  # everything since the start, teleports included
    teleport_seconds: float  # the part of teleports, with all that is done for them
    # A forward and backward pass of a training batch is 1; None where it cannot be counted.
    gradient_equivalents: float | None = None
    train_loss: float | None = None
    test_loss: float | None = None
    test_metric: float | None = None  # share of right answers; None where there are no classes
    # Of each task, where there are several: losses, shares of right answers, and the cosine of its
    # gradient and the mean gradient in the step before, over what the tasks share.
    train_task_losses: list[float] | None = None
    test_task_losses: list[float] | None = None
    test_task_metrics: list[float] | None = None
    conflict_cosines: list[float] | None = None
    busy_epochs: Whole = 0  # epochs so far in which other processes used the machine
    interruptions: Whole = 0  # times the trial was taken up again so far


class TeleportRecord(TrialFacts, kw_only=True, tag="teleport"):
    """A teleport of a trial, on one batch; losses beside it are those of ``TrainingRecord``.

    Of these the first teleport of a moment has those before, and the last those after.

    ``ahead_*`` are training losses after so many plain steps on the same batches, off the clock,
    from the point before the first teleport of the moment and from that after the last; only the
    last teleport of a moment has them.
    """

    epoch: Whole
    step: Whole
    batch: Whole
    teleport_status: str
    steps_done: Whole
    loss_before: float | None = None  # on the batch
    loss_after: float | None = None
    train_loss_before: float | None = None
    train_loss_after: float | None = None
    test_loss_before: float | None = None
    test_loss_after: float | None = None
    objective_before: float | None = None
    objective_after: float | None = None
    displacement: float | None = None  # Euclidean length of the move in all parameters
    seconds: float | None = None  # of the whole call
    gradient_equivalents: float | None = None
    kept: bool = True  # False where the guard took it back
    horizon: Whole | None = None
    ahead_without: float | None = None
    ahead_with: float | None = None


class TrialRecord(TrialFacts, kw_only=True, tag="trial"):
    """How a trial ended; one that failed has a status and a reason.

    A trial whose loss was not finite any more has ``outcome`` "diverged": it ended there, and has
    reached no target after that.
    """

    outcome: Literal["finished", "diverged", "failed"]
    steps: Whole = 0
    train_loss: float | None = None
    test_loss: float | None = None
    at_edge: bool = False  # its learning rate is the end of the grid it was found on
