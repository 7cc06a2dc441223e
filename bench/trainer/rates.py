"""The learning rate at every step."""

from math import cos, pi

from torch.optim import Optimizer

from bench.training.settings import Training


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def lr_factor(settings: Training, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step, of all steps of a run."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    done = step / steps
    if settings.lr_schedule == "cosine":
        return 0.5 * (1 + cos(pi * done))
    if settings.lr_schedule == "step":
        return 0.1 ** ((done >= 0.5) + (done >= 0.75))
    return 1.0
