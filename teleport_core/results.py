"""What a teleport answers: how it ended, what it promises, what it did and what it took."""

from dataclasses import dataclass, field, fields
from enum import Enum
from math import nan
from typing import Any, NamedTuple


class Status(Enum):
    """How a teleport ended; the value is the sentence a user needs."""

    DONE = "every step was carried out"
    CAPPED = "the squared gradient norm had reached the cap, so the remaining steps were not taken"
    NO_NULL_SPACE = (
        "nothing is free: the inputs of every layer span its whole input space, so no weight can "
        "move without changing an output; use a smaller batch, wider layers or tau < 1"
    )
    NO_ASCENT_DIRECTION = (
        "there are free directions, but the gradient of the objective has no part in them, as "
        "where data alone feeds every layer that has some; use a smaller batch or wider layers, "
        "and at least two layers"
    )
    NON_FINITE = (
        "the loss, its gradient or the objective became infinite or NaN, and the parameters were "
        "put back to the last step where they were finite; use a smaller lr or a cap"
    )
    NOT_POSITIVE = (
        "the objective is not positive at the start, so that nothing moved: the optimizer's next "
        "step would not lower the loss to first order, or growth has nothing to multiply; wait for "
        "a step that would, use lr in place of growth, or another objective"
    )
    OUTPUTS_CHANGED = (
        "outputs that were to stay changed, and the parameters were put back to the last step that "
        "kept them, or to the start; use a smaller lr, a cap or float64; where not even one small "
        "step keeps them, a parameter is used where nobody can see it"
    )
    DRIFTED = (
        "every further step would have changed the loss by more than max_drift allows, or lowered "
        "the gradient norm, so the remaining steps were not taken"
    )
    GROWTH_NOT_REACHED = (
        "the squared gradient norm, or the objective in its place, did not come as far as growth "
        "asks, and the parameters are at the nearest point that was found; use a smaller growth, "
        "more steps or lr in its place"
    )
    STATIONARY = (
        "the gradient norm is stationary on the level set of the loss, to the tolerance, so the "
        "remaining steps were not taken"
    )
    NO_STEP_ACCEPTED = (
        "no step, however short, would have raised the gradient norm near the level set of the "
        "loss, so the remaining steps were not taken; use a larger tolerance, or float64"
    )
    NO_CONFLICT = (
        "the tasks do not conflict as the trigger asks, so nothing moved; wait for a batch on "
        "which they do, or use trigger='always'"
    )
    LOSSES_NOT_KEPT = (
        "no move along the way that was found, however short, would have kept the loss of every "
        "task to the tolerance, so nothing moved; use a larger tolerance, or a smaller lr"
    )
    OFF_LEVEL_SET = (
        "the steps left the level set of the loss and there was no way back onto it, and the "
        "parameters were put back to the last step on it that had raised the gradient norm; use a "
        "smaller rho or fewer steps"
    )


class Guarantee(Enum):
    """What one call promises about the model's outputs, up to rounding."""

    EXACT_EVERYWHERE = "outputs are unchanged for every input"
    EXACT_ON_BATCH = "outputs are unchanged for every sample of the teleport batch"
    FIRST_ORDER = "outputs change by an error that is first or second order in the step"
    APPROXIMATE = "outputs change by an amount that is not bounded by the method"


class Seconds(NamedTuple):
    """Wall time of one call in seconds; the sum is that of the whole call.

    Attributes:
        prepare: what the method does once per batch.
        steps: all of its steps.
        checks: the rest: what the problem and the result are held to.
    """

    prepare: float
    steps: float
    checks: float


class Engine(NamedTuple):
    """Which of a method's ways of computing steps ran, and why this one."""

    name: str
    why: str


@dataclass(frozen=True, repr=False)
class TeleportResult:
    """What one teleport did.

    Attributes:
        steps_done: teleport steps that are in the parameters now.
        loss: one entry per visited point, entry 0 before the first step; NaN where not computed.
        grad_norm_sq: squared norm of the gradient at the same points.
        null_dims: weight name -> free input dimensions, one per independent block; None for a
            layer that cannot move because only data feeds it (0 for such a block).
        seconds: wall time of ``prepare``, of the steps and of the checks.
        guarantee: what this very call promises.
        held: parameters that count in the gradient and were held fixed -> why.
        taus: the tau of each step, where the method chose it; else empty.
        lengths: the share of each step that was taken; empty where all are whole.
        lrs: the lr of each step, where ``growth`` or a line search chose it; else empty.
        output_change: ||o' - o|| / ||o|| of the model's outputs o on the batch, of several outputs
            the largest, by real forward passes before and after; NaN where nobody looked.
        engine: which way of computing the steps ran, and why.
        objective: what was climbed, at the same points; 1/2 ||g||^2 unless another was asked for.
        task_losses: the losses of all tasks at the same points, of a loss that has several; else
            empty. ``loss`` is their mean.
    """

    status: Status
    steps_done: int
    loss: list[float]
    grad_norm_sq: list[float]
    null_dims: dict[str, list[int] | None]
    guarantee: Guarantee
    seconds: Seconds = field(default=Seconds(nan, nan, nan))
    held: dict[str, str] = field(default_factory=dict)
    taus: list[float] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)
    output_change: float = nan
    engine: Engine = field(default=Engine("", ""))
    objective: list[float] = field(default_factory=list)
    task_losses: list[list[float]] = field(default_factory=list)

    def __repr__(self) -> str:
        ends = [f"{each[0]:.4g} -> {each[-1]:.4g}" for each in (self.loss, self.grad_norm_sq)]
        return (
            f"{type(self).__name__}({self.status.name}, {self.steps_done} steps, loss {ends[0]}, "
            f"||g||^2 {ends[1]}, {self.guarantee.name})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything in lists, dictionaries, texts and numbers, as JSON has them."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        names = {"status": self.status.name, "guarantee": self.guarantee.name}
        pairs = {"seconds": self.seconds._asdict(), "engine": self.engine._asdict()}
        return plain | names | pairs
