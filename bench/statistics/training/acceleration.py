"""From curves to verdicts: every arm of an experiment against plain training, on one axis."""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from bench.statistics.rank_tests import holm
from bench.statistics.training.arrivals import Arrival, Curve, arrival
from bench.statistics.training.pairs import LogRatios, log_ratios, ratio, sign_test
from bench.statistics.training.power import needed_seeds, spread
from bench.statistics.training.survival import followed, log_rank, median_time, restricted_mean
from bench.statistics.training.verdicts import FALSE_ALARMS, MIN_EFFECT, Evidence, Verdict, judge


@dataclass(frozen=True)
class Acceleration:
    """One arm against plain training. Times are in the unit of ``axis``, ratios arm over plain.

    ``_against`` is plain's side of a number. Means are restricted to ``horizon``, up to which runs
    of both were followed.
    """

    arm: str
    against: str
    axis: str
    target: float  # loss
    seeds: int  # that both were run with
    hit_rate: float
    hit_rate_against: float
    ratio: float  # 0 and inf where most runs of one side never arrive
    ci_low: float  # 95 %; NaN below six seeds
    ci_high: float
    p: float  # of the sign test, corrected by Holm over the arms
    verdict: Verdict
    reason: str  # why it is UNDECIDED
    needed_seeds: float  # for a true effect of 2 %, see ``power``
    median: float  # of Kaplan and Meier; inf where half of the runs do not arrive
    median_against: float
    horizon: float
    restricted_mean: float
    restricted_mean_error: float  # standard error
    restricted_mean_against: float
    restricted_mean_against_error: float
    log_rank_p: float  # unpaired and not corrected: a second look that decides nothing


@dataclass(frozen=True)
class _Pairs:
    """The runs of one arm and of plain with the same seeds."""

    arm: list[Arrival]
    plain: list[Arrival]
    missing: tuple[int, ...]
    logs: LogRatios


def accelerations(
    arms: Mapping[str, Mapping[int, Curve]],
    plain: Mapping[int, Curve],
    target: float,
    *,
    axis: str,
    against: str = "plain",
    min_effect: float = MIN_EFFECT,
    left_out: Mapping[str, AbstractSet[int]] | None = None,
) -> list[Acceleration]:
    """Compare every arm with plain training, seed by seed.

    Args:
        arms: for each arm, the curve of every seed; their number is what p-values are corrected
            for. A run that failed is a curve that ends in a loss of inf, not an absent seed.
        plain: the curves of plain training.
        target: the loss to arrive at, fixed before (``targets``).
        axis: what the axis values of all curves are: steps, seconds, gradient equivalents.
        against: what ``plain`` is called.
        min_effect: the smallest relative difference that matters.
        left_out: for an arm, seeds that neither side is judged with, since a measured axis cannot
            be trusted there.

    Raises:
        ValueError: a curve that is none, a target that is not finite, or a minimum effect that is
            not positive.
    """
    without = {arm: (left_out or {}).get(arm, frozenset()) for arm in arms}
    found = {arm: _pair(curves, plain, target, without[arm]) for arm, curves in arms.items()}
    p_values = holm(np.array([sign_test(pairs.logs) for pairs in found.values()])).tolist()
    return [
        _compare(pairs, p_value, len(found), min_effect, arm, against, axis, target)
        for (arm, pairs), p_value in zip(found.items(), p_values, strict=True)
    ]


def _pair(
    arm: Mapping[int, Curve], plain: Mapping[int, Curve], target: float, without: AbstractSet[int]
) -> _Pairs:
    both = sorted((arm.keys() & plain.keys()) - without)
    ours = [arrival(arm[seed], target) for seed in both]
    theirs = [arrival(plain[seed], target) for seed in both]
    missing = tuple(sorted((arm.keys() ^ plain.keys()) - without))
    return _Pairs(ours, theirs, missing, log_ratios(ours, theirs))


def _compare(
    pairs: _Pairs,
    p_value: float,
    arms: int,
    min_effect: float,
    arm: str,
    against: str,
    axis: str,
    target: float,
) -> Acceleration:
    found = ratio(pairs.logs)
    hits, hits_against = (sum(a.arrived for a in side) for side in (pairs.arm, pairs.plain))
    evidence = Evidence(found, p_value, arms, hits, hits_against, pairs.logs.unknown, pairs.missing)
    judged = judge(evidence, min_effect)
    horizon = min(max((a.end for a in side), default=math.nan) for side in (pairs.arm, pairs.plain))
    ours, theirs = (followed(side, horizon) for side in (pairs.arm, pairs.plain))
    mean, mean_against = restricted_mean(ours, horizon), restricted_mean(theirs, horizon)
    return Acceleration(
        arm=arm,
        against=against,
        axis=axis,
        target=target,
        seeds=found.count,
        hit_rate=hits / found.count if found.count else math.nan,
        hit_rate_against=hits_against / found.count if found.count else math.nan,
        ratio=found.value,
        ci_low=found.low,
        ci_high=found.high,
        p=p_value,
        verdict=judged.verdict,
        reason=judged.reason,
        needed_seeds=needed_seeds(spread(pairs.logs.values), FALSE_ALARMS / arms),
        median=median_time(ours),
        median_against=median_time(theirs),
        horizon=horizon,
        restricted_mean=mean.value,
        restricted_mean_error=mean.error,
        restricted_mean_against=mean_against.value,
        restricted_mean_against_error=mean_against.error,
        log_rank_p=log_rank(ours, theirs),
    )
