"""Where a series of times moves to another level, and where it only wavers.

The series, in logarithms, is cut into stretches of constant level so that

    sum |log x_i - median of its stretch| / b  +  PENALTY log(n) (number of cuts)

is smallest, b being the noise's mean absolute deviation. Absolute values keep single outliers from
looking like levels; b comes from differences of neighbours, which steps hardly touch. The search is
exact (dynamic programming, as in Potts segmentation; Friedrich et al., J. Comput. Graph. Stat. 17,
2008). The penalty is three times that of the BIC for a level and a place, because the noise is
estimated, too, and from few points.

On independent noise, normal or heavy-tailed, at most 5 % of series of 8 to 200 points get any cut
(see the tests). Noise that remembers (a machine that is slow for days) looks like steps, and is
one as far as these data go.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

PENALTY = 3.0
FEWEST = 3  # points at a level before it is called one
SMALLEST = 0.02  # steps below this are nobody's concern

_MAD_OF_NORMAL = 0.6745
_MEAN_DEVIATION_OF_NORMAL = 0.7979
_LEAST_NOISE = 0.002  # relative; below this the clock and the rounding in the file are the noise


def change_points(values: Sequence[float]) -> list[int]:
    """The indices, ascending, at which times, oldest first, reach a new level.

    Empty for fewer than ``2 * FEWEST`` values.

    Raises:
        ValueError: a value that is not positive and finite.
    """
    if any(not (math.isfinite(value) and value > 0) for value in values):
        raise ValueError(f"expected positive times; got {min(values)!r} among them")
    logs = [math.log(value) for value in values]
    if len(logs) < 2 * FEWEST:
        return []
    noise = mean_deviation(logs)
    cuts = _segments(logs, PENALTY * math.log(len(logs)) * noise)
    return _large(logs, cuts)


def mean_deviation(logs: Sequence[float]) -> float:
    """The mean absolute deviation of the noise, from differences of neighbours."""
    differences = [abs(after - before) for before, after in pairwise(logs)]
    scale = median(differences) / _MAD_OF_NORMAL / math.sqrt(2)
    return max(scale * _MEAN_DEVIATION_OF_NORMAL, _LEAST_NOISE)


def _segments(logs: Sequence[float], penalty: float) -> list[int]:
    """The cuts of the cheapest segmentation, each stretch at least ``FEWEST`` long."""
    count = len(logs)
    best = [-penalty] + [math.inf] * count
    begin = [0] * (count + 1)
    for start in range(count - FEWEST + 1):
        if math.isinf(best[start]):
            continue
        for end, cost in _costs(logs, start):
            total = best[start] + cost + penalty
            if end - start >= FEWEST and total < best[end]:
                best[end], begin[end] = total, start
    cuts = []
    end = count
    while begin[end] > 0:
        end = begin[end]
        cuts.append(end)
    return cuts[::-1]


def _costs(logs: Sequence[float], start: int) -> list[tuple[int, float]]:
    """For every end the sum of absolute deviations of logs[start:end] from their median."""
    ordered: list[float] = []
    costs, cost = [], 0.0
    for end in range(start, len(logs)):
        value = logs[end]
        # The sum about the median grows by the new value's distance to the old median.
        if ordered:
            low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
            cost += max(low - value, value - high, 0.0)
        insort(ordered, value, bisect_left(ordered, value))
        costs.append((end + 1, cost))
    return costs


def _large(logs: Sequence[float], cuts: list[int]) -> list[int]:
    """Without the cuts whose step is too small to matter, the smallest taken out first."""
    kept = list(cuts)
    while kept:
        edges = [0, *kept, len(logs)]
        levels = [median(logs[a:b]) for a, b in pairwise(edges)]
        steps = [abs(after - before) for before, after in pairwise(levels)]
        least = min(range(len(steps)), key=steps.__getitem__)
        if steps[least] >= math.log1p(SMALLEST):
            return kept
        del kept[least]
    return kept
