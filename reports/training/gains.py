"""Where a gain comes from: the move itself, larger steps right after it, and the rest.

Per trial, all in the training loss:

- the move: its change from before the first to after the last teleport, over all moments;
- larger first steps: how much lower it is after the same plain steps from the point after a moment
  than from that before, less what the move itself changed;
- the rest: what is left of the difference at the end.
"""

from collections.abc import Sequence
from itertools import groupby, product
from math import isfinite, isnan, nan
from statistics import median
from typing import NamedTuple

from bench.storage.records import TeleportRecord
from reports.training.experiment import Course, Experiment, against

PARTS = ("the move itself", "larger first steps", "the rest")


class Gain(NamedTuple):
    """Medians over pairs of trials; negative is a lower loss, ``rest`` what is left of the total.

    ``total`` is inf where most trials of the arm were lost. NaN: not recorded.
    """

    optimizer: str
    arm: str
    against: str
    rule: str
    total: float
    move: float
    first_steps: float
    rest: float
    pairs: int

    @property
    def parts(self) -> tuple[float, float, float]:
        """In the order of ``PARTS``."""
        return (self.move, self.first_steps, self.rest)

    @property
    def known(self) -> bool:
        """Whether every part is."""
        return all(map(isfinite, self.parts))


def gains(experiment: Experiment) -> list[Gain]:
    """One for each optimizer, rule and arm that teleports and has ended trials."""
    found = []
    for optimizer, rule, arm in product(experiment.optimizers, experiment.rules, _arms(experiment)):
        ours = experiment.judged(optimizer, arm, rule)
        theirs = experiment.judged(optimizer, against(arm), rule)
        both = sorted(ours.keys() & theirs.keys())
        if any(ours[seed].teleports for seed in both):
            pairs = [(ours[seed], theirs[seed]) for seed in both]
            found.append(_gain(pairs, optimizer, arm, rule))
    return found


def _arms(experiment: Experiment) -> list[str]:
    moving = {c.facts.arm for c in experiment.courses if c.teleports}
    return [arm for arm in experiment.arms if arm in moving]


def _gain(pairs: Sequence[tuple[Course, Course]], optimizer: str, arm: str, rule: str) -> Gain:
    totals = [_difference(ours.last_loss, theirs.last_loss) for ours, theirs in pairs]
    parts = [_of_moves(ours) for ours, _ in pairs]
    total = median(totals)
    move, first = (_median([part[i] for part in parts]) for i in (0, 1))
    return Gain(
        optimizer, arm, against(arm), rule, total, move, first, total - move - first, len(pairs)
    )


def _difference(ours: float, theirs: float) -> float:
    """Of two losses of which either may be infinite; two lost trials are equal."""
    return 0.0 if ours == theirs else ours - theirs


def _of_moves(course: Course) -> tuple[float, float]:
    """The move and the larger first steps, summed over all moments of a trial."""
    moved, steps = 0.0, 0.0
    for own in moments(course.teleports):
        move = moment_change(own)
        moved += move
        last = own[-1]
        if last.ahead_with is None or last.ahead_without is None:
            steps = nan
        else:
            steps += last.ahead_with - last.ahead_without - move
    return moved, steps


def moments(teleports: Sequence[TeleportRecord]) -> list[list[TeleportRecord]]:
    """The teleports of a trial, those of one moment together."""
    return [list(own) for _, own in groupby(teleports, key=lambda each: (each.epoch, each.step))]


def moment_change(teleports: Sequence[TeleportRecord], loss: str = "train_loss") -> float:
    """The change of a loss by the teleports of a moment; 0 where they were taken back.

    NaN where it was not recorded.
    """
    if not all(each.kept for each in teleports):
        return 0.0
    before = getattr(teleports[0], f"{loss}_before")
    after = getattr(teleports[-1], f"{loss}_after")
    return nan if before is None or after is None else float(after - before)


def _median(values: Sequence[float]) -> float:
    return nan if not values or any(map(isnan, values)) else median(values)
