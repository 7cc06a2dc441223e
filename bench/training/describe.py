"""A training experiment in words, before it is begun."""

from bench.training.moments import parse_moments
from bench.training.settings import Training
from bench.training.trials import arms_of, judged_trials, tuning_trials


def describe_training(settings: Training, batches: int) -> str:
    """Its arms, its seeds, how many trials that comes to; ``batches`` at each moment."""
    trials = sum(
        settings.seeds * len(judged_trials(settings, optimizer, 0))
        + settings.tuning_seeds * len(tuning_trials(settings, optimizer, 0))
        for optimizer in settings.optimizers
    )
    names = {arm.name: None for each in settings.optimizers for arm in arms_of(settings, each)}
    rates = ", ".join(f"{lr:g} for {name}" for name, lr in settings.lrs.items())
    lines = [
        f"training with {', '.join(settings.optimizers)}, {settings.seeds} seeds, "
        f"{settings.epochs} epochs each; teleports on {batches} batches "
        f"{parse_moments(settings.schedule)}",
        f"arms: {', '.join(names)}",
        *([f"compared at a given learning rate: {rates}"] if rates else []),
        *(
            [
                f"compared after tuning: {settings.tune} learning rates an arm, on "
                f"{settings.tuning_seeds} seeds that are not judged"
            ]
            if settings.tune
            else []
        ),
        f"{trials} trials, {trials * settings.epochs} epochs of training in all",
    ]
    return "\n".join(lines)
