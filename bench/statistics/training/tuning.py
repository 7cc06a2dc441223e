"""Which learning rate an arm is run with, from trials on seeds of their own."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from bench.errors import RunError


class Best(NamedTuple):
    """The learning rate chosen, and whether the grid ends there: a better one may lie beyond."""

    lr: float
    at_edge: bool


def best_trial(trials: Mapping[float, Sequence[float]]) -> Best:
    """The learning rate of the smallest median over tuning seeds; of equal ones the smallest.

    ``trials`` maps each rate to one number for each tuning seed, a final loss or a time to target.
    A rate with a run that diverged or never arrived (NaN, inf) is not chosen, but is part of
    the grid: a best rate beside one that diverges is not at the edge.

    Raises:
        RunError: no rate is left, or rates were not tried equally often.
    """
    counts = {len(results) for results in trials.values()}
    if len(counts) != 1 or counts == {0}:
        tried = ", ".join(f"lr {lr:g}: {len(results)}" for lr, results in trials.items())
        raise RunError(
            f"expected every learning rate to be tried with the same tuning seeds; got "
            f"{tried or 'no trial'}: run the seeds that are missing"
        )
    scores = {
        lr: median(results) for lr, results in trials.items() if all(map(math.isfinite, results))
    }
    if not scores:
        rates = ", ".join(f"{lr:g}" for lr in sorted(trials))
        raise RunError(
            f"expected a learning rate whose runs all end with a finite number; at {rates} some "
            "run diverged or missed the target: try smaller ones, or a longer budget"
        )
    best = min(sorted(scores), key=scores.__getitem__)
    return Best(best, best in {min(trials), max(trials)})
