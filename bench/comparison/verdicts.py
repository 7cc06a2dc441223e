"""Which cells became slower: the one room for verdicts.

Two sets of cells are compared, ``base`` and ``head``. A ratio above 1 means that head takes longer.

Pairs. Where both sides of a cell carry the same ``session``, they were measured interleaved, in
rounds: each round gives one ratio, the geometric mean of head's samples of that round over that of
base's. In an ABBA round a drift of the machine cancels. Otherwise the two sides are independent
samples (two run directories), and whatever changed between them is part of the ratio.

Verdicts. The *minimum effect* says from where on a difference matters (0.05: five percent). The
ordinary interval of the ratio (95 %) says how large the difference is, and a rank test, corrected
by Holm over all cells that are tested, whether there is one:

    SLOWER     the interval lies above 1 + minimum effect, and the test is significant
    FASTER     the interval lies below 1 / (1 + minimum effect), and the test is significant
    SAME       the interval lies between the two
    AMBIGUOUS  anything else: the noise is too large to tell, or the samples are too few

The correction makes false alarms rare however many cells there are; the minimum effect keeps
differences from mattering that two processes running the same code show, too.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from statistics import median

import numpy as np

from bench.comparison.sides import Side, are_paired, common_rounds, fault, logs
from bench.statistics.medians import LEVEL, Estimate
from bench.statistics.rank_tests import (
    Array,
    Shift,
    holm,
    independent_shift,
    least_pairs,
    least_samples,
    paired_shift,
)

__all__ = ["CellComparison", "Side", "Verdict", "compare_cells"]

MIN_EFFECT = 0.05  # ours: what two processes running the same code differ by stays below it
FALSE_ALARMS = 0.02  # two-sided: 1 % of suites of identical code show any SLOWER, 1 % any FASTER

_LARGEST = math.log(sys.float_info.max)
_NO_RATIO = Estimate(math.nan, math.nan, math.nan, 0)


class Verdict(Enum):
    """What became of a cell; the value is the sentence a reader needs."""

    SAME = "no difference that matters"
    FASTER = "faster by more than the minimum effect"
    SLOWER = "slower by more than the minimum effect"
    AMBIGUOUS = "cannot be told from these samples"
    NEW = "only head has it"
    MISSING = "only base has it"
    BROKEN = "has no usable time"
    NOT_COMPARABLE = "measured on another machine or by other benchmark code"


@dataclass(frozen=True)
class CellComparison:
    """The verdict on one cell and what it rests on; NaN where nothing was tested.

    The ratio is head over base, with its ordinary interval (not corrected) and the number of ratios
    or, for independent sides, of samples on the smaller side.
    """

    cell_id: str
    label: str
    verdict: Verdict
    ratio: Estimate
    p_value: float  # two-sided, of the rank test, corrected over all cells
    min_effect: float  # the smallest relative difference that matters in this cell
    base_count: int
    head_count: int
    base_median: float  # seconds; NaN without usable samples
    head_median: float
    paired: bool  # whether the sides were compared round by round
    reason: str  # for whoever reads the table; empty where the numbers say it all


def compare_cells(
    base: Mapping[str, Side],
    head: Mapping[str, Side],
    *,
    min_effects: Mapping[str, float] | float = MIN_EFFECT,
    level: float = LEVEL,
    false_alarms: float = FALSE_ALARMS,
) -> list[CellComparison]:
    """Compare cell by cell, in the order of ``base``, then what only ``head`` has.

    ``min_effects`` is one smallest relative difference that matters, or one for every cell that
    both sides have; ``level`` the coverage of the ordinary interval; ``false_alarms`` the chance
    that identical code gets any SLOWER or FASTER, as far as the test alone is concerned.

    Raises:
        ValueError: a minimum effect that is missing, not finite or not positive.
    """
    found = {cell: _untested(cell, base.get(cell), head.get(cell)) for cell in {**base, **head}}
    tested = [cell for cell, comparison in found.items() if comparison.verdict is Verdict.SAME]
    shapes: dict[tuple[int, ...], list[str]] = {}
    numbers = {cell: logs(base[cell], head[cell]) for cell in tested}
    for cell in tested:
        shapes.setdefault(tuple(map(len, numbers[cell])), []).append(cell)
    shifts: dict[str, tuple[float, ...]] = {}
    for cells in shapes.values():
        found_here = _shift([numbers[cell] for cell in cells], level)
        shifts.update(zip(cells, zip(*(n.tolist() for n in found_here), strict=True), strict=True))
    adjusted = holm(np.array([shifts[cell][3] for cell in tested]))
    for cell, p_value in zip(tested, adjusted.tolist(), strict=True):
        low, value, high = (_ratio(shifts[cell][i]) for i in (1, 0, 2))
        effect = _effect(min_effects, cell)
        count = min(map(len, numbers[cell]))
        judged = replace(
            found[cell], ratio=Estimate(value, low, high, count), p_value=p_value, min_effect=effect
        )
        found[cell] = _judge(judged, false_alarms, len(tested))
    return list(found.values())


def _ratio(shift: float) -> float:
    """What is beyond all floats, which only damaged times are, is the largest of them."""
    return math.exp(min(shift, _LARGEST))


def _untested(cell: str, base: Side | None, head: Side | None) -> CellComparison:
    """The verdict that needs no test; SAME where one is needed."""
    verdict, reason = _standing(base, head)
    sides = [side for side in (base, head) if side is not None]
    paired = base is not None and head is not None and are_paired(base, head)
    return CellComparison(
        cell_id=cell,
        label=sides[-1].label,
        verdict=verdict,
        ratio=_NO_RATIO,
        p_value=math.nan,
        min_effect=math.nan,
        base_count=len(base.seconds) if base else 0,
        head_count=len(head.seconds) if head else 0,
        base_median=_median(base),
        head_median=_median(head),
        paired=paired,
        reason=reason,
    )


def _standing(base: Side | None, head: Side | None) -> tuple[Verdict, str]:
    if base is None or head is None:
        verdict, absent = (Verdict.NEW, "base") if base is None else (Verdict.MISSING, "head")
        return verdict, f"{absent} has no such cell"
    for name in ("environment", "benchmark"):
        keys = getattr(base, name), getattr(head, name)
        if keys[0] != keys[1]:
            return Verdict.NOT_COMPARABLE, f"the {name} differs: base {keys[0]!r}, head {keys[1]!r}"
    faults = [
        f"{name}: {fault(side)}" for name, side in (("base", base), ("head", head)) if fault(side)
    ]
    if faults:
        recovered = base.status != "ok" and not fault(head)
        return (Verdict.NEW if recovered else Verdict.BROKEN), "; ".join(faults)
    reason = _too_coarse(base, head)
    return (Verdict.AMBIGUOUS if reason else Verdict.SAME), reason


def _too_coarse(base: Side, head: Side) -> str:
    """Why there is no ratio to test although both sides ran; empty if there is."""
    if 0 in base.seconds or 0 in head.seconds:
        return "a sample of 0 s is below the clock's resolution: time more work per sample"
    if are_paired(base, head) and not common_rounds(base, head):
        return "no round has equally many samples of both sides"
    return ""


def _median(side: Side | None) -> float:
    usable = side is not None and not fault(side)
    return median(side.seconds) if side is not None and usable else math.nan


def _shift(numbers: list[tuple[Array, ...]], level: float) -> Shift:
    """All cells of one shape at once."""
    if len(numbers[0]) == 1:
        return paired_shift(np.stack([differences for (differences,) in numbers]), level)
    base, head = (np.stack(side) for side in zip(*numbers, strict=True))
    return independent_shift(base, head, level)


def _effect(min_effects: Mapping[str, float] | float, cell: str) -> float:
    effect = min_effects.get(cell, math.nan) if isinstance(min_effects, Mapping) else min_effects
    if not (math.isfinite(effect) and effect > 0):
        raise ValueError(
            f"expected a positive minimum effect for cell {cell}; got {effect!r}: "
            "write 0.05 for 5 %"
        )
    return float(effect)


def _judge(judged: CellComparison, false_alarms: float, tests: int) -> CellComparison:
    upper = 1 + judged.min_effect
    low, high = judged.ratio.low, judged.ratio.high
    if 1 / upper <= low and high <= upper:
        return judged
    differs = judged.p_value <= false_alarms
    if differs and low > upper:
        return replace(judged, verdict=Verdict.SLOWER)
    if differs and high < 1 / upper:
        return replace(judged, verdict=Verdict.FASTER)
    reason = _why_ambiguous(judged, differs, false_alarms, tests)
    return replace(judged, verdict=Verdict.AMBIGUOUS, reason=reason)


def _why_ambiguous(judged: CellComparison, differs: bool, false_alarms: float, tests: int) -> str:
    error = false_alarms / tests
    needed = least_pairs(error) if judged.paired else least_samples(error)
    if judged.ratio.count < needed:
        what = "rounds" if judged.paired else "samples a side"
        return f"{judged.ratio.count} {what} are too few to test {tests} cells: take {needed}"
    if math.isnan(judged.ratio.low):
        return f"{judged.ratio.count} samples are too few for an interval"
    if differs:
        return "there is a difference, but it may be smaller than the minimum effect"
    width = judged.ratio.high / judged.ratio.low - 1
    if width > 2 * judged.min_effect:
        return f"the interval is {width:.0%} wide: the noise hides the minimum effect"
    return "the interval reaches beyond the minimum effect"
