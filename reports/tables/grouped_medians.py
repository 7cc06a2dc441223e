"""Medians of many small groups of samples at once, without a loop over the samples."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.statistics.medians import LEVEL, Estimate, median_ranks

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def grouped_medians(
    values: Floats, group: Integers, groups: int, levels: Sequence[float] | None = None
) -> list[Estimate]:
    """The median and its interval of what is finite in each group, as ``median_interval`` has them.

    Args:
        values: [samples].
        group: the group of each, from 0 on, ascending, [samples].
        groups: how many there are; of an empty one nothing is known.
        levels: that of each interval; ``LEVEL`` if left out.
    """
    known = np.isfinite(values)
    values, group = values[known], group[known]
    count = np.bincount(group, minlength=groups)
    start = np.cumsum(count) - count
    ordered = np.append(_ordered(values, start, count), np.nan)
    nothing = len(values)  # an empty group has the NaN at the end
    middle = np.where(count > 0, start + count // 2, nothing)
    before = np.where(count > 0, start + (count - 1) // 2, nothing)
    with np.errstate(over="ignore"):
        halfway = (ordered[before] + ordered[middle]) / 2
    value = np.where(count % 2 == 1, ordered[middle], halfway)
    low, high = _bounds(ordered, start, count, levels or [LEVEL] * groups)
    columns = (value, low, high, count)
    return [Estimate(*each) for each in zip(*(c.tolist() for c in columns), strict=True)]


def _ordered(values: Floats, start: Integers, count: Integers) -> Floats:
    """Ascending within each group; those of one size are sorted together."""
    ordered = values.copy()
    for size in np.unique(count[count > 1]).tolist():
        places = start[count == size][:, None] + np.arange(size)
        ordered[places] = np.sort(values[places], axis=1, kind="stable")
    return ordered


def _bounds(
    ordered: Floats, start: Integers, count: Integers, levels: Sequence[float]
) -> tuple[Floats, Floats]:
    """Two order statistics of each group; NaN, the last of all, where it is too small for them."""
    asked = list(zip(count.tolist(), levels, strict=True))
    rank = {each: (found := median_ranks(*each)) and found.low for each in set(asked)}
    low = np.array([rank[each] or 0 for each in asked], dtype=np.int64)
    unknown = len(ordered) - 1
    return (
        ordered[np.where(low > 0, start + low - 1, unknown)],
        ordered[np.where(low > 0, start + count - low, unknown)],
    )
