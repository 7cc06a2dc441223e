"""What the paper claims about time, beside what was measured."""

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from bench.spec.axes import AXES
from bench.statistics.growth import TOLERANCE
from bench.statistics.growth_verdicts import grows_faster
from reports.claims.claim import Claim, Evidence
from reports.claims.verdict import LARGE, NEGLIGIBLE, answer, overall, within
from reports.run.run import NULLSPACE, SYMMETRY
from reports.tables.growth import Grown
from reports.text.formatting import levels, percent_interval, slope_interval

Words = Callable[[Grown], str]


def near_constant(evidence: Evidence) -> Claim:
    """The total's slope in d and n."""
    return Claim(
        "Near-constant runtime in d and n.",
        "Section 4.1, Figure 3",
        _lines(evidence, (NULLSPACE,), "dn", _judged(_slope)),
        "A constant time has slope 0; one that doubles with the level has slope 1. Near-constant "
        f"is a slope below {TOLERANCE}: less than 11 % for each doubling.",
        _verdict(evidence, "dn"),
    )


def linear(evidence: Evidence) -> Claim:
    """The total's exponent in t, l and b."""
    return Claim(
        "Runtime grows linearly in t, l and b.",
        "Section 4.1, Figure 3",
        _lines(evidence, (NULLSPACE,), "tlb", _judged(_exponent)),
        "Linear growth on top of a constant floor has exponent 1; the floor makes the plain slope "
        f"smaller. Linear is an exponent of 1 within {TOLERANCE}.",
        _verdict(evidence, "tlb"),
    )


def single_svd(evidence: Evidence) -> Claim:
    """What of the time grows with t."""
    lines = [
        f"{phase}, {line}"
        for phase in ("prepare", "steps")
        for line in _lines(evidence, (NULLSPACE,), "t", _judged(_slope), phase)
    ]
    return Claim(
        "One SVD per batch removes the dependence of the complexity on t.",
        "Section 4.1",
        lines,
        "The SVD belongs to prepare; the t steps that follow are timed apart from it. The verdict "
        "is that on prepare.",
        _verdict(evidence, "t", "prepare"),
    )


def faster(evidence: Evidence) -> Claim:
    """The total's slopes of both methods, axis by axis."""
    methods = (NULLSPACE, SYMMETRY)
    both = [a for a in AXES if all(_grown(evidence, each, a, "total") for each in methods)]
    return Claim(
        "The runtime of symmetry teleport grows faster in every one of t, d, n, l and b.",
        "Section 4.1, Figure 3",
        [
            f"{line}{_compared(evidence, axis)}"
            for axis in both
            for line in _lines(evidence, methods, axis, _slope)
        ],
        "Compare the slopes over the same levels; intervals that overlap do not tell them apart.",
        overall(
            answer(str(grows_faster(ours.growth, theirs.growth)))
            for axis in both
            for ours, theirs in _pairs(evidence, axis)
        ),
    )


def negligible(evidence: Evidence) -> Claim:
    """What the schedule costs beside the training."""
    lines = [
        f"{evidence.where(cost.variant, table.setting)}: {percent_interval(*cost.share[:3])} of "
        "the SGD time"
        for table in evidence.costs
        for cost in table.costs
        if cost.variant.startswith(NULLSPACE)
    ]
    return Claim(
        "The cost of teleportation is negligible compared to gradient descent.",
        "Section 4.1, Figure 2 (bottom)",
        lines,
        "Computed from the times of a whole call, where one was timed, and of an SGD step; no "
        f"training was run. Negligible is less than {100 * NEGLIGIBLE:g} %, and more than "
        f"{100 * LARGE:g} % is not.",
        overall(
            within(cost.share.value, NEGLIGIBLE, LARGE)
            for table in evidence.costs
            for cost in table.costs
            if cost.variant.startswith(NULLSPACE)
        ),
    )


def _lines(
    evidence: Evidence,
    methods: Sequence[str],
    axes: Sequence[str],
    words: Words,
    phase: str = "total",
) -> list[str]:
    """A line per axis and range of levels, with every variant that has times over it."""
    lines: dict[str, list[str]] = {}
    for axis, method in product(axes, methods):
        for grown in _grown(evidence, method, axis, phase):
            over = levels(axis, grown.lowest, grown.highest)
            lines.setdefault(over, []).append(f"{_where(evidence, grown)} {words(grown)}")
    return [f"{over}: {'; '.join(parts)}" for over, parts in lines.items()]


def _grown(evidence: Evidence, method: str, axis: str, phase: str) -> list[Grown]:
    return [
        grown
        for grown in evidence.growth
        if (grown.method, grown.axis, grown.phase) == (method, axis, phase)
        and math.isfinite(grown.growth.slope)
    ]


def _where(evidence: Evidence, grown: Grown) -> str:
    return evidence.where(grown.variant, grown.setting)


def _judged(words: Words) -> Words:
    """The numbers of a growth with the verdict on the claim that its axis is held against."""
    return lambda grown: f"{words(grown)} ({grown.verdict})" if grown.verdict else words(grown)


def _compared(evidence: Evidence, axis: str) -> str:
    """Verdicts on the first null-space variant and every symmetry variant over the same levels."""
    found = [
        f"{_where(evidence, theirs)} {grows_faster(ours.growth, theirs.growth)}"
        for ours, theirs in _pairs(evidence, axis)
    ]
    return f" (grows faster: {'; '.join(found)})" if found else ""


def _pairs(evidence: Evidence, axis: str) -> list[tuple[Grown, Grown]]:
    """Null-space teleport as it is by default, and a symmetry variant over the same levels."""
    both = product(*(_grown(evidence, name, axis, "total") for name in (NULLSPACE, SYMMETRY)))
    return [
        (ours, theirs)
        for ours, theirs in both
        if _range(ours) == _range(theirs) and ours.variant == NULLSPACE
    ]


def _verdict(evidence: Evidence, axes: str, phase: str = "total") -> str:
    """On null-space teleport as it is by default, over all these axes."""
    own = [g for axis in axes for g in _grown(evidence, NULLSPACE, axis, phase)]
    return overall(answer(g.verdict) for g in own if g.variant == NULLSPACE)


def _range(grown: Grown) -> tuple[Any, ...]:
    return (grown.setting, grown.lowest, grown.highest)


def _slope(grown: Grown) -> str:
    growth = grown.growth
    return f"slope {slope_interval(growth.slope, growth.slope_low, growth.slope_high)}"


def _exponent(grown: Grown) -> str:
    growth = grown.growth
    exponent = slope_interval(growth.exponent, growth.ci_low, growth.ci_high)
    return f"exponent {exponent}, {_slope(grown)}"
