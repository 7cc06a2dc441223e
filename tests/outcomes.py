"""A finished comparison with every verdict, and names that try to break out of every format."""

import math

from bench.comparison.judgement import Judgement
from bench.comparison.outcome import Outcome
from bench.comparison.verdicts import CellComparison, Verdict
from bench.statistics.medians import Estimate

COMPARED = {
    Verdict.SAME: 1.0 + 1 / 3e3,
    Verdict.FASTER: 0.7,
    Verdict.SLOWER: 1.3,
    Verdict.AMBIGUOUS: 1.1,
}


def comparison(verdict: Verdict, label: str) -> CellComparison:
    ratio = COMPARED.get(verdict, math.nan)
    tested = verdict in COMPARED
    return CellComparison(
        cell_id=f"id-{verdict.name}",
        label=label,
        verdict=verdict,
        ratio=Estimate(ratio, ratio - 0.05, ratio + 0.05, 24 if tested else 0),
        p_value=0.1 + 0.2 if tested else math.nan,
        min_effect=0.1 if tested else math.nan,
        base_count=48,
        head_count=48 if tested else 0,
        base_median=0.002,
        head_median=0.002 * ratio,
        paired=True,
        reason="" if tested else "head: crashed (ValueError: a|b <script>alert(1)</script>)",
    )


def outcome() -> Outcome:
    judgements = [
        Judgement(comparison(verdict, f"{verdict.name} a|b_<script>`x`"), "wall")
        for verdict in Verdict
    ]
    return Outcome(
        base="0123456789ab",
        head="ba9876543210 with changes",
        judgements=judgements,
        strict=False,
        environment="e" * 16,
        benchmark="b" * 16,
        command="teleport-bench gate --base origin/main",
        when=1.8e9 + 1 / 3,
    )
