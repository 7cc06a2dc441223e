"""Which learning rate an arm is judged at: that whose training loss ended lowest."""

from collections.abc import Iterable
from math import inf
from statistics import median
from typing import NamedTuple

from bench.errors import SpecError
from bench.storage.training_records import TrialRecord


class Chosen(NamedTuple):
    """A learning rate, and whether it is the end of the grid it was found on."""

    lr: float
    at_edge: bool


def chosen_lr(arm: str, trials: Iterable[TrialRecord]) -> Chosen:
    """The rate with the lowest median training loss over the tuning seeds; among equals the lower.

    A run that diverged has ended infinitely high.

    Raises:
        SpecError: there is none that did not.
    """
    ends: dict[float, list[float]] = {}
    for trial in trials:
        if trial.arm == arm and trial.role == "tuning" and trial.lr_rule == "tuned":
            done = trial.outcome == "finished" and trial.train_loss is not None
            ends.setdefault(trial.lr, []).append(trial.train_loss or 0.0 if done else inf)
    medians = {lr: median(losses) for lr, losses in sorted(ends.items())}
    if not medians or min(medians.values()) == inf:
        raise SpecError(
            f"expected a learning rate at which {arm} trains; it diverged or failed at "
            f"{', '.join(f'{lr:g}' for lr in medians) or 'every one'}: leave the arm out, or name "
            "a lower rate with --lr and --tune 0"
        )
    best = min(medians, key=lambda lr: medians[lr])
    return Chosen(best, len(medians) > 1 and best in (min(medians), max(medians)))
