"""What a call costs in SGD steps, per variant, at one point of the sweep."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.spec.axes import AXES
from reports.run.run import NULLSPACE, SGD
from reports.run.setting import Setting, setting_of
from reports.tables.runtime import CellRow


class Cost(NamedTuple):
    """A variant's call in SGD steps with its interval, NaN where unknown.

    ``whole`` says whether the checks around prepare and steps are in it.
    """

    variant: str
    steps: float
    low: float
    high: float
    seconds: float
    whole: bool


class CostsAt(NamedTuple):
    """The costs of all variants at one point in one setting, the lead's first in no other way."""

    setting: Setting
    point: dict[str, int]
    costs: list[Cost]

    @property
    def lead(self) -> Cost:
        """Null-space teleport where it was measured, else the first."""
        return next((c for c in self.costs if c.variant == NULLSPACE), self.costs[0])


def costs_at(rows: Sequence[CellRow], base: dict[str, int], order: Sequence[str]) -> CostsAt | None:
    """At the base point, or at the one beside it that has most variants; None without any.

    Args:
        rows: every cell.
        base: the levels while another axis is swept.
        order: variants in the order of the page.
    """
    places: dict[tuple[Setting, tuple[int | None, ...]], dict[str, Cost]] = {}
    for row in rows:
        levels = [getattr(row, axis) for axis in AXES]
        if row.status != "ok" or row.method == SGD:
            continue
        found = _cost(row)
        if math.isfinite(found.steps):
            places.setdefault((setting_of(row), tuple(levels)), {})[row.variant] = found
    if not places:
        return None
    wanted = [base[axis] for axis in AXES]

    def distance(place: tuple[Setting, tuple[int | None, ...]]) -> tuple[float, int, Setting]:
        pairs = zip(place[1], wanted, strict=True)
        known = [(a, b) for a, b in pairs if a and b]  # a model of the user's takes some letters
        apart = sum(abs(math.log(a / b)) for a, b in known)
        return (round(apart, 6), -len(places[place]), place[0])

    best = min(places, key=distance)
    own = places[best]
    known = {variant: place for place, variant in enumerate(order)}
    names = sorted(own, key=lambda name: (known.get(name, len(known)), name))
    point = {axis: n for axis, n in zip(AXES, best[1], strict=True) if n is not None}
    return CostsAt(best[0], point, [own[name] for name in names])


def _cost(row: CellRow) -> Cost:
    """A whole call; where none was timed, both phases of one batch."""
    if math.isfinite(row.call_sgd_steps):
        numbers = (row.call_sgd_steps, row.call_sgd_steps_low, row.call_sgd_steps_high)
        return Cost(row.variant, *numbers, row.call_s, whole=True)
    batches = row.b or math.nan
    phases = (row.phases_sgd_steps, row.phases_sgd_steps_low, row.phases_sgd_steps_high)
    steps, low, high = (each / batches for each in phases)
    return Cost(row.variant, steps, low, high, row.median_s / batches, whole=False)


def cheapest(found: CostsAt) -> str:
    """Where the lead stands among the others: their intervals have to lie apart to tell."""
    lead, count = found.lead, len(found.costs)
    others = [cost for cost in found.costs if cost is not lead]
    if not others:
        return "THE ONE METHOD"
    if any(not known(cost) for cost in (lead, *others)):
        by_median = "LOWEST" if lead.steps <= min(c.steps for c in others) else "NOT THE LOWEST"
        return f"{by_median} MEDIAN OF {count}"
    if all(lead.high < cost.low for cost in others):
        return f"CHEAPEST OF {count}"
    if any(cost.high < lead.low for cost in others):
        return f"NOT THE CHEAPEST OF {count}"
    return f"AMONG THE CHEAPEST OF {count}"


def known(cost: Cost) -> bool:
    """Whether a cost has an interval."""
    return math.isfinite(cost.low) and math.isfinite(cost.high)
