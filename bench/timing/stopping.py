"""When a block has been sampled enough, and at which level its intervals must then be read.

Warm-up. Rounds are thrown away until no cell is still getting faster. A plateau of calls that are
all equally slow looks like a steady state while it lasts; the flags of
``machine_state`` tell of it.

Looks. The data are looked at after fixed numbers of rounds, each half as large again as the one
before. Whoever looks often and stops when pleased would find intervals that miss more often than
they say, so every look spends a part of the error of 5 %: up to n of at most N samples
5 % (n / N)^2, the power family of Kim and DeMets, Biometrika 74 (1987) 149-154. The intervals at
all looks then cover together with 95 %, whatever the reason for stopping at one of them.

Autocorrelation. Samples that resemble the one before tell less. With r the lag-1 correlation of
their ranks and the signs of a Gaussian AR(1) process, n samples are worth n / (1 + 2 sum_k s_k),
s_k = 2/pi asin(r^k). The normal quantile is widened accordingly.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from statistics import NormalDist, median
from typing import Any, NamedTuple

import numpy as np

from bench.spec.sampling import Sampling
from bench.statistics.medians import LEVEL, Estimate, median_interval

ERROR = 1 - LEVEL
GROWTH = 1.5
WARMUP_WINDOW = 6
WARMUP_SHARE = 0.5  # of block_seconds: no warm-up round is begun after it

_STABLE_LOOKS = 3
_STABLE_WITHIN = 0.1
_LEAST_FOR_CORRELATION = 8
_MOST_CORRELATION = 0.9
_LAGS = 40  # 0.9^40 is 1 %
_SURE = 1 - 1e-12
_NORMAL = NormalDist()


class StopReason(StrEnum):
    """Why a block was not sampled any longer."""

    PRECISE = "precise"  # every median's interval is narrow enough
    STABLE = "stable noise"  # the noise of some cell stays as it is, and the target out of reach
    TIME = "time spent"
    SAMPLES = "samples spent"


class Warmup(NamedTuple):
    """How the warm-up ended: ``why`` is "steady", "time" or "rounds"."""

    rounds: int
    why: str


def falling(seconds: Sequence[float]) -> bool:
    """Whether the last three times lie below the three before, in all of the nine pairs but one.

    Of six exchangeable times one in ten looks like that. Fewer than six tell nothing: True.
    """
    if len(seconds) < WARMUP_WINDOW:
        return True
    half = WARMUP_WINDOW // 2
    before, last = seconds[-WARMUP_WINDOW:-half], seconds[-half:]
    return sum(b > a for b in before for a in last) >= half**2 - 1


def warmed_up(
    series: Sequence[Sequence[float]], rounds: int, elapsed: float, sampling: Sampling
) -> str:
    """Why the warm-up is over, given the times of each cell so far; empty while it goes on.

    ``elapsed`` counts seconds since it began.
    """
    if rounds < sampling.warmup:
        return ""
    if not any(map(falling, series)):
        return "steady"
    if rounds >= sampling.max_warmup:
        return "rounds"
    return "time" if elapsed >= WARMUP_SHARE * sampling.block_seconds else ""


def planned_looks(least: int, most: int) -> list[int]:
    """The numbers of samples at which the data are looked at, ascending, ``most`` the last."""
    looks = [most]
    while looks[-1] / GROWTH >= least:
        looks.append(math.ceil(looks[-1] / GROWTH))
    return looks[::-1]


def spent(count: int, most: int) -> float:
    """The error spent by all looks up to the one at ``count`` of at most ``most`` samples."""
    return ERROR * (count / most) ** 2


def effective_samples(seconds: Sequence[float]) -> float:
    """How many independent samples tell as much about the median; at most ``len(seconds)``."""
    count = len(seconds)
    values = np.asarray(seconds, dtype=float)
    if count < _LEAST_FOR_CORRELATION or not np.isfinite(values).all():
        return float(count)
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable") - (count - 1) / 2
    if (values == values[0]).all():
        return float(count)
    lag = float(ranks[1:] @ ranks[:-1] / (ranks @ ranks))
    powers = min(max(lag, 0.0), _MOST_CORRELATION) ** np.arange(1, _LAGS)
    return float(count / (1 + 4 / math.pi * np.arcsin(powers).sum()))


def widened(level: float, count: int, effective: float) -> float:
    """The level at which ``count`` samples worth ``effective`` cover the median at ``level``."""
    quantile = _NORMAL.inv_cdf((1 + level) / 2) * math.sqrt(count / effective)
    return min(2 * _NORMAL.cdf(quantile) - 1, _SURE)


class Reading(NamedTuple):
    """What a look sees of one cell, relative to its median."""

    half_width: float  # of the median's interval; NaN where there is none
    noise: float  # interquartile range of the samples


def read(seconds: Sequence[float], error: float) -> Reading:
    """The precision of the median of ``seconds`` at a look that may err with ``error``."""
    if not seconds or not all(map(math.isfinite, seconds)) or median(seconds) <= 0:
        return Reading(math.nan, math.nan)
    centre, low, high, _ = interval(seconds, error)
    quarters = np.quantile(seconds, [0.25, 0.75])
    return Reading((high - low) / 2 / centre, float(quarters[1] - quarters[0]) / centre)


def interval(seconds: Sequence[float], error: float) -> Estimate:
    """The median with an interval that misses with ``error``, autocorrelation allowed for."""
    level = widened(1 - error, len(seconds), effective_samples(seconds))
    return median_interval(seconds, level)


class Stopping:
    """The rule that ends the sampling of one block; ask it after every complete round."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._looks = planned_looks(sampling.min_samples, sampling.max_samples)
        self._seen: list[int] = []
        self._readings: dict[str, list[Reading]] = {}
        self._last_error = ERROR
        self.reason: StopReason | None = None

    def decide(
        self, series: Mapping[str, Sequence[float]], count: int, elapsed: float
    ) -> StopReason | None:
        """Whether to stop now, and why, given the times of each cell in ``count`` rounds.

        ``elapsed`` counts seconds since the end of the warm-up.
        """
        if count < self._sampling.min_samples:
            return None
        if count in self._looks:
            self.reason = self._look(series, count)
        if self.reason is None and count >= self._sampling.max_samples:
            self.reason = StopReason.SAMPLES
        if self.reason is None and elapsed >= self._sampling.block_seconds:
            self.reason = StopReason.TIME
            # The last look takes what the looks not taken have left.
            self._last_error = ERROR - self._spent_before(count)
        return self.reason

    def _look(self, series: Mapping[str, Sequence[float]], count: int) -> StopReason | None:
        most = self._sampling.max_samples
        self._last_error = spent(count, most) - self._spent_before(count)
        self._seen.append(count)
        verdicts = []
        for cell, seconds in series.items():
            readings = self._readings.setdefault(cell, [])
            readings.append(read(seconds, self._last_error))
            verdicts.append(settled(readings, count, self._sampling))
        if not all(verdicts):
            return None
        precise = all(verdict is StopReason.PRECISE for verdict in verdicts)
        return StopReason.PRECISE if precise else StopReason.STABLE

    def _spent_before(self, count: int) -> float:
        earlier = [look for look in self._seen if look < count]
        return spent(earlier[-1], self._sampling.max_samples) if earlier else 0.0

    def facts(self, seconds: Sequence[float]) -> dict[str, Any]:
        """What the journal keeps of the stop, for a cell with these samples.

        ``interval_level`` is the level at which to read the order statistics of the samples, so
        that the interval covers with 95 %: looks and autocorrelation are paid for in it.
        """
        effective = effective_samples(seconds)
        return {
            "reason": None if self.reason is None else str(self.reason),
            "looks": list(self._seen),
            "effective_samples": effective,
            "interval_level": widened(1 - self._last_error, max(len(seconds), 1), effective or 1),
            "half_width": read(seconds, self._last_error).half_width if seconds else math.nan,
        }


def settled(readings: Sequence[Reading], count: int, sampling: Sampling) -> StopReason | None:
    """Whether a cell needs no more samples: precise, or noise that stays and a target too far."""
    half_width = readings[-1].half_width
    if half_width <= sampling.target:
        return StopReason.PRECISE
    recent = readings[-_STABLE_LOOKS:]
    needed = count * (half_width / sampling.target) ** 2
    if len(recent) < _STABLE_LOOKS or not needed > sampling.max_samples:
        return None
    changes = [abs(b.noise / a.noise - 1) for a, b in pairwise(recent)]
    return StopReason.STABLE if max(changes) <= _STABLE_WITHIN else None
