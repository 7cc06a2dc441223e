"""The trials of an experiment: training runs, those of one optimizer and seed side by side."""

from dataclasses import asdict, dataclass

from bench.seeds import stable_hash
from bench.training.arms import NORMALISED, PLAIN, Arm, all_arms
from bench.training.settings import Training

_FIRST_TUNING_SEED = 1_000_000  # those that are judged count from 0


@dataclass(frozen=True)
class Trial:
    """A training run; a learning rate that is to be found yet is None."""

    optimizer: str
    arm: str
    lr_rule: str
    role: str
    lr: float | None
    seed: int

    def identity(self, place: object) -> str:
        """16 hex digits, the same for the same run at the same place."""
        return stable_hash(["trial", place, asdict(self)])[:16]


def tuned(arm: Arm) -> bool:
    """Whether an arm has trials of its own; the others take the rate of the arm they explain."""
    return arm.name in (PLAIN, NORMALISED) or bool(arm.variant or arm.combiner)


def arms_of(settings: Training, optimizer: str) -> list[Arm]:
    """The arms of an optimizer; steps of a fixed length are those of SGD."""
    every = all_arms(settings.arms)
    return [arm for arm in every if optimizer == "sgd" or not arm.normalised]


def lr_source(arm: Arm) -> str:
    """The arm whose tuning gives this one's learning rate."""
    return arm.name if tuned(arm) else PLAIN


def tuning_trials(settings: Training, optimizer: str, run: int) -> list[Trial]:
    """What finds learning rates and the targets, with the ``run``-th of its seeds.

    Plain training is run at the fixed learning rate, too, for the target of that question.
    """
    seed = _FIRST_TUNING_SEED + run
    arms = [arm.name for arm in arms_of(settings, optimizer) if tuned(arm)]
    grid = settings.grid(optimizer) if settings.tune else []
    found = [Trial(optimizer, arm, "tuned", "tuning", lr, seed) for arm in arms for lr in grid]
    if optimizer in settings.lrs:
        lr = settings.lrs[optimizer]
        baselines = [arm for arm in arms if arm in (PLAIN, NORMALISED)]
        found += [Trial(optimizer, arm, "fixed", "tuning", lr, seed) for arm in baselines]
    return found


def judged_trials(settings: Training, optimizer: str, seed: int) -> list[Trial]:
    """What is judged with one seed: every arm, as it is and tuned."""
    found = []
    for arm in arms_of(settings, optimizer):
        if optimizer in settings.lrs:
            lr = settings.lrs[optimizer]
            found.append(Trial(optimizer, arm.name, "fixed", "test", lr, seed))
        if settings.tune:
            found.append(Trial(optimizer, arm.name, "tuned", "test", None, seed))
    return found
