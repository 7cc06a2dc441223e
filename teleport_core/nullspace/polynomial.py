"""Where a function of one variable reaches a value, from what trials and its slope at 0 tell.

The polynomial through all of them is followed within the bracket that the trials leave.
"""

import math
from itertools import pairwise
from typing import NamedTuple, Protocol

_HALVINGS = 50
# Without an upper end a length grows by so much at most.
_LONGER = 8.0


class Trial(NamedTuple):
    """A value at a length along a direction."""

    length: float
    value: float


class Ends(Protocol):
    """The value that is sought."""

    @property
    def aim(self) -> float:
        """To come close to."""


def next_length(here: float, slope: float, window: Ends, trials: list[Trial]) -> float:
    """The next length to try; ``here`` and ``slope`` are value and slope at length 0."""
    aim = window.aim
    finite = [each for each in trials if math.isfinite(each.value)]
    below = [each.length for each in finite if each.value < aim]
    above = [each.length for each in trials if not each.value < aim]
    low = max((x for x in below if x < min(above, default=math.inf)), default=0.0)
    high = min(above, default=_LONGER * low)
    nodes = [Trial(0.0, here), Trial(0.0, here), *finite]
    found = _crossing(nodes, _differences(nodes, slope), aim, low, high)
    inside = 1e-3 * (high - low)
    if low + inside < found < high - inside:
        return found
    return (low + high) / 2 if low or finite else high / _LONGER


def _differences(nodes: list[Trial], slope: float) -> list[float]:
    """Coefficients of Newton's form; the first two nodes are one, whose slope is known."""
    column = [each.value for each in nodes]
    found = [column[0]]
    for order in range(1, len(nodes)):
        column = [
            (after - before) / (nodes[i + order].length - nodes[i].length)
            if nodes[i + order].length != nodes[i].length
            else slope
            for i, (before, after) in enumerate(pairwise(column))
        ]
        found.append(column[0])
    return found


def _crossing(
    nodes: list[Trial], coefficients: list[float], aim: float, low: float, high: float
) -> float:
    """Where the polynomial passes the aim between both ends; the upper one where it does not."""

    def value(length: float) -> float:
        total = 0.0
        for node, coefficient in zip(reversed(nodes), reversed(coefficients), strict=True):
            total = total * (length - node.length) + coefficient
        return total

    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if value(middle) < aim:
            low = middle
        else:
            high = middle
    return high
