"""From curves to verdicts: every arm of an experiment against plain training, on one axis."""

import math
from collections.abc import Mapping, Sequence
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
class _Arm:
    """The runs of one arm and those of plain with the same seeds."""

    name: str
    runs: list[Arrival]
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
        left_out: for an arm, seeds of which neither side is judged, as where the machine was busy
            while seconds were counted.

    Raises:
        ValueError: a curve that is none, a target that is not finite, or a minimum effect that is
            not positive.
    """
    aside = left_out or {}
    paired = [_pair(arm, arms[arm], plain, target, aside.get(arm, frozenset())) for arm in arms]
    p_values = holm(np.array([sign_test(arm.logs) for arm in paired])).tolist()
    return [
        _compare(arm, p_value, len(paired), min_effect, against, axis, target)
        for arm, p_value in zip(paired, p_values, strict=True)
    ]


def _pair(
    name: str,
    curves: Mapping[int, Curve],
    plain: Mapping[int, Curve],
    target: float,
    aside: AbstractSet[int],
) -> _Arm:
    both = sorted((curves.keys() & plain.keys()) - aside)
    ours = [arrival(curves[seed], target) for seed in both]
    theirs = [arrival(plain[seed], target) for seed in both]
    missing = tuple(sorted((curves.keys() ^ plain.keys()) - aside))
    return _Arm(name, ours, theirs, missing, log_ratios(ours, theirs))


def _compare(
    arm: _Arm, p_value: float, arms: int, min_effect: float, against: str, axis: str, target: float
) -> Acceleration:
    found = ratio(arm.logs)
    hits, hits_against = _hits(arm.runs), _hits(arm.plain)
    unknown = arm.logs.unknown
    evidence = Evidence(found, p_value, arms, hits, hits_against, unknown, arm.missing)
    judged = judge(evidence, min_effect)
    horizon = min(_longest(arm.runs), _longest(arm.plain))
    ours, theirs = followed(arm.runs, horizon), followed(arm.plain, horizon)
    mean, mean_against = restricted_mean(ours, horizon), restricted_mean(theirs, horizon)
    return Acceleration(
        arm=arm.name,
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
        needed_seeds=needed_seeds(spread(arm.logs.values), FALSE_ALARMS / arms),
        median=median_time(ours),
        median_against=median_time(theirs),
        horizon=horizon,
        restricted_mean=mean.value,
        restricted_mean_error=mean.error,
        restricted_mean_against=mean_against.value,
        restricted_mean_against_error=mean_against.error,
        log_rank_p=log_rank(ours, theirs),
    )


def _hits(runs: Sequence[Arrival]) -> int:
    return sum(run.arrived for run in runs)


def _longest(runs: Sequence[Arrival]) -> float:
    return max((run.end for run in runs), default=math.nan)
