"""Which learning rate an arm is judged at, of those its tuning trials tried."""

from collections.abc import Iterable
from math import inf

from bench.errors import RunError, SpecError
from bench.statistics.training.tuning import Best, best_trial
from bench.storage.training_records import TrialRecord


def chosen_lr(arm: str, trials: Iterable[TrialRecord]) -> Best:
    """The rate at which training losses ended lowest; see ``best_trial``.

    Raises:
        SpecError: there is none.
    """
    ends: dict[float, list[float]] = {}
    for trial in trials:
        if trial.arm == arm and trial.role == "tuning" and trial.lr_rule == "tuned":
            done = trial.outcome == "finished" and trial.train_loss is not None
            ends.setdefault(trial.lr, []).append((trial.train_loss or 0.0) if done else inf)
    try:
        return best_trial(ends)
    except RunError as error:
        raise SpecError(f"{arm} has no learning rate: {error}") from None
