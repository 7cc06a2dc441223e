"""What a call holds of memory: its peak, and how it got there."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from bench.profiling.trace import Allocation

MOST_POINTS = 120

Curves = dict[str, list[tuple[float, int]]]


def memory_peaks(
    changes: Sequence[Allocation], calls: Sequence[tuple[float, float]]
) -> dict[str, int]:
    """Per device the highest sum of what was taken and given back since a call began."""
    peaks: dict[str, int] = {}
    for call in calls:
        for device, own in _within(changes, call).items():
            sums = accumulate(change.size for change in own)
            peaks[device] = max(peaks.get(device, 0), *sums)
    return peaks


def memory_curves(changes: Sequence[Allocation], calls: Sequence[tuple[float, float]]) -> Curves:
    """Per device bytes against seconds since the last call began, without what was there before.

    Of a long call the highest of every stretch is kept, so that its peak stays.
    """
    if not calls:
        return {}
    start, end = calls[-1]
    found: Curves = {}
    for device, own in _within(changes, (start, end)).items():
        held = accumulate((change.size for change in own), initial=0)
        moments = [0.0, *(change.moment - start for change in own)]
        points = _thinned(list(zip(moments, held, strict=True)))
        found[device] = [*points, (end - start, points[-1][1])]
    return found


def _within(
    changes: Sequence[Allocation], call: tuple[float, float]
) -> dict[str, list[Allocation]]:
    found: dict[str, list[Allocation]] = {}
    for change in changes:
        if call[0] <= change.moment < call[1]:
            found.setdefault(change.device, []).append(change)
    return found


def _thinned(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """The highest point of each of ``MOST_POINTS`` stretches, and the last."""
    if len(points) <= MOST_POINTS:
        return points
    stride = len(points) / (MOST_POINTS - 1)
    edges = [round(number * stride) for number in range(MOST_POINTS)]
    kept = [max(points[a:b], key=lambda p: p[1]) for a, b in pairwise(edges) if a < b]
    return [*kept, points[-1]]
