"""Numbers of a comparison as text, the same in every export."""

from math import isfinite

from bench.comparison.judgement import WALL, Judgement
from bench.statistics.medians import Estimate
from bench.times import seconds

HEADINGS = ("verdict", "cell", "head / base", "base", "head", "remark")


def ratio(estimate: Estimate) -> str:
    """A ratio and its interval: 1.31 [1.27, 1.35]."""
    if not isfinite(estimate.value):
        return "-"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def row(judgement: Judgement) -> tuple[str, ...]:
    """One row under ``HEADINGS``."""
    comparison = judgement.comparison
    clock = f"by {judgement.clock} time" if judgement.clock != WALL else ""
    return (
        judgement.verdict.name.replace("_", " "),
        comparison.label,
        ratio(comparison.ratio),
        seconds(comparison.base_median),
        seconds(comparison.head_median),
        "; ".join(part for part in (comparison.reason, clock) if part),
    )
