"""The loss that a trial has to come down to, and what found it: the trials of the tuning seeds."""

from collections.abc import Sequence
from math import isfinite, nan
from statistics import median
from typing import NamedTuple

from bench.errors import JournalError, RunError, SpecError
from bench.statistics.training.targets import best_loss, target_of
from bench.statistics.training.tuning import Best
from bench.training.arms import CONTROLS, NORMALISED, PLAIN
from bench.training.tuning import chosen_lr
from reports.run.harmless import shortened
from reports.tables.columns import Row
from reports.training.experiment import Course, Experiment


class Target(NamedTuple):
    """What one arm reaches; NaN with a ``reason`` where it is not known."""

    loss: float
    lr: float = nan
    reason: str = ""


class TuningRow(Row, frozen=True):
    """A learning rate of an arm in ``tuning.csv``, over the tuning seeds.

    ``final_losses`` are training losses, by seed; inf of a trial that diverged or failed.
    """

    model: str
    dataset: str
    optimizer: str
    arm: str
    lr: float
    final_losses: str
    chosen: bool | None
    at_edge: bool | None
    # Ours, beyond the contract.
    lr_rule: str
    median_loss: float
    runs: int
    lost: int


def tuned_rate(experiment: Experiment, optimizer: str, arm: str) -> Best | str:
    """The learning rate that is chosen for an arm, or why there is none."""
    settings = experiment.settings
    if settings is None:
        return "spec.toml does not say what was tuned"
    found = experiment.tuning(optimizer, arm, "tuned")
    wanted = settings.tune * settings.tuning_seeds
    if len(found) < wanted:
        return f"{len(found)} of {wanted} tuning trials of {arm} have ended"
    try:
        return chosen_lr(arm, [course.end for course in found if course.end is not None])
    except SpecError as error:
        return str(error)


def target(experiment: Experiment, optimizer: str, arm: str, rule: str) -> Target:
    """What ``arm`` reaches, in the median over the tuning seeds, in the share of its budget.

    The share is ``target_at`` of the spec; what a run reaches is its lowest training loss.

    Raises:
        JournalError: evaluations that are no curve.
    """
    settings = experiment.settings
    if settings is None:
        return Target(nan, reason="spec.toml does not say at which share of the budget")
    if rule == "fixed":
        lr = settings.lrs.get(optimizer, nan)
    else:
        chosen = tuned_rate(experiment, optimizer, arm)
        if isinstance(chosen, str):
            return Target(nan, reason=chosen)
        lr = chosen.lr
    found = [c for c in experiment.tuning(optimizer, arm, rule) if c.facts.lr == lr]
    if len(found) < settings.tuning_seeds:
        ended = f"{len(found)} of {settings.tuning_seeds}"
        return Target(nan, lr, f"{ended} trials of {arm} with the tuning seeds have ended")
    share = round(settings.target_at * settings.epochs, 9)  # 0.57 of 100 epochs are 57
    try:
        return Target(target_of([best_loss(c.curve("epoch"), share) for c in found]), lr)
    except RunError as error:
        return Target(nan, lr, str(error))
    except ValueError as error:
        raise not_curves(optimizer, arm, error) from None


def not_curves(optimizer: str, arms: str, error: ValueError) -> JournalError:
    """What to raise where the evaluations of a journal are no curve."""
    return JournalError(
        f"expected training records of {shortened(f'{optimizer}, {arms}')} that make curves; "
        f"{shortened(str(error))}: restore the journal"
    )


def tuning_rows(experiment: Experiment) -> list[TuningRow]:
    """A row per optimizer, arm, rule and learning rate."""
    found = []
    for optimizer in experiment.optimizers:
        for arm in experiment.arms_of(optimizer):
            chosen = tuned_rate(experiment, optimizer, arm)
            best = None if isinstance(chosen, str) else chosen
            for rule in experiment.rules:
                by_rate: dict[float, list[Course]] = {}
                for course in experiment.tuning(optimizer, arm, rule):
                    by_rate.setdefault(course.facts.lr, []).append(course)
                tuned = best if rule == "tuned" else None
                place = (optimizer, arm, rule)
                found += [_row(experiment, place, own, tuned) for own in by_rate.values()]
    return found


def source(arm: str) -> str:
    """The arm whose tuning gives this one its learning rate."""
    return PLAIN if arm in CONTROLS and arm != NORMALISED else arm


def _row(
    experiment: Experiment, place: tuple[str, str, str], own: Sequence[Course], best: Best | None
) -> TuningRow:
    optimizer, arm, rule = place
    lr = own[0].facts.lr
    losses = [course.last_loss for course in own]
    chosen = None if best is None else lr == best.lr
    return TuningRow(
        model=experiment.model,
        dataset=experiment.dataset,
        optimizer=optimizer,
        arm=arm,
        lr=lr,
        final_losses=";".join(f"{loss:.6g}" for loss in losses),
        chosen=chosen,
        at_edge=best.at_edge if best is not None and chosen else None,
        lr_rule=rule,
        median_loss=median(losses),
        runs=len(losses),
        lost=sum(not isfinite(loss) for loss in losses),
    )
