"""What the paper claims about time, beside what was measured."""

import math
from collections.abc import Callable

from reports.evidence import NULLSPACE, SYMMETRY, Claim, Evidence
from reports.formatting import bracket, interval, percent
from reports.run import Record
from reports.sweeps import Setting


def near_constant(evidence: Evidence, axis: str) -> Claim:
    """The total's slope in d or n."""
    return Claim(
        f"Near-constant runtime in {axis}.",
        "Section 4.1, Figure 3",
        _growth_lines(evidence, NULLSPACE, axis, _slope_words),
        "A constant time has slope 0; one that doubles with the level has slope 1.",
    )


def linear(evidence: Evidence, axis: str) -> Claim:
    """The total's exponent in t, l or b."""
    return Claim(
        f"Runtime grows linearly in {axis}.",
        "Section 4.1, Figure 3",
        _growth_lines(evidence, NULLSPACE, axis, _exponent_words),
        "Linear growth on top of a constant has exponent 1; the constant makes the plain slope "
        "smaller.",
    )


def single_svd(evidence: Evidence) -> Claim:
    """What of the time grows with t."""
    lines = [
        f"{_where(evidence, row)}: {phase}, {_slope_words(row)}"
        for phase in ("prepare", "steps")
        for row in _growth_rows(evidence, NULLSPACE, "t", phase)
    ]
    return Claim(
        "One SVD per batch removes the dependence of the complexity on t.",
        "Section 4.1",
        lines,
        "The SVD is in the phase prepare; the t steps that follow are timed apart from it.",
    )


def faster(evidence: Evidence, axis: str) -> Claim:
    """The total's slopes of both methods."""
    ours = _growth_lines(evidence, NULLSPACE, axis, _slope_words)
    theirs = _growth_lines(evidence, SYMMETRY, axis, _slope_words)
    return Claim(
        f"Symmetry teleport's runtime grows faster in {axis}.",
        "Section 4.1, Figure 3",
        [*ours, *theirs] if ours and theirs else [],
        "Compare the slopes over the same levels; intervals that overlap do not tell them apart.",
    )


def _growth_lines(
    evidence: Evidence, method: str, axis: str, words: Callable[[Record], str]
) -> list[str]:
    rows = _growth_rows(evidence, method, axis, "total")
    return [f"{_where(evidence, row)}: {words(row)}" for row in rows]


def _growth_rows(evidence: Evidence, method: str, axis: str, phase: str) -> list[Record]:
    return [
        row
        for row in evidence.scaling
        if (row["method"], row["axis"], row["phase"]) == (method, axis, phase)
        and math.isfinite(row["slope"])
    ]


def _where(evidence: Evidence, row: Record) -> str:
    return evidence.where(row["variant"], Setting(*(row[name] for name in Setting._fields)))


def _slope_words(row: Record) -> str:
    slope = interval(row["slope"], row["slope_low"], row["slope_high"])
    return f"slope {slope} {_over(row)}"


def _exponent_words(row: Record) -> str:
    exponent = interval(row["exponent"], row["ci_low"], row["ci_high"])
    return f"exponent {exponent}, {_slope_words(row)}"


def _over(row: Record) -> str:
    return f"over {row['axis']} = {row['lowest']} .. {row['highest']}"


def negligible(evidence: Evidence) -> Claim:
    """What the schedule costs beside the training."""
    lines = [
        f"{evidence.where(cost.variant, table.setting)}: {percent(cost.share.value)} of the SGD time"
        + (
            f" {bracket(100 * cost.share.low, 100 * cost.share.high)}"
            if math.isfinite(cost.share.low)
            else ""
        )
        for table in evidence.costs
        for cost in table.costs
        if cost.variant.startswith(NULLSPACE)
    ]
    return Claim(
        "The cost of teleportation is negligible compared to gradient descent.",
        "Section 4.1, Figure 2 (bottom)",
        lines,
        "Computed from the time of a batch, a teleport step and an SGD step; no training was run.",
    )
