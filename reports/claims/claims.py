"""What the null-space paper claims (arXiv 2502.11362), beside what this run measured.

A row states numbers, how to read them, and a verdict by a rule that stands beside it: a run covers
one machine, one implementation and the levels it swept.
"""

from collections.abc import Sequence

from markupsafe import Markup

from reports.claims import error, runtime, tau_one, verdict
from reports.claims.claim import Claim, Evidence
from reports.claims.verdict import FAILS, HOLDS, IN_PART, OPEN
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.text.formatting import listed

NOT_MEASURED = "not measured in this run"
_PAPERS = ("paper", "spectrum", "cuda")


class Claims(Section):
    """A row per claim."""

    name, title, order, measured = "claims", "Claims", 80, True

    def render(self, shown: Shown, fill: Fill) -> Markup:
        """One table."""
        run, (costs, _) = shown.run, shown.analysis.costs
        evidence = Evidence(shown.analysis.growth, run.preservation, run.spectrum, costs)
        found = claims(evidence)
        return fill(
            TEMPLATES / "claims.html.j2",
            claims=found,
            counted=_counted(found),
            papers=_is_papers(str((run.spec or {}).get("preset", ""))),
        )


def _is_papers(preset: str) -> bool:
    """Whether a preset repeats an experiment of the paper at its size."""
    return preset in _PAPERS or preset.startswith("fig")


def _counted(found: Sequence[Claim]) -> str:
    """``Of 11 claims 4 hold, 2 fail, ...``."""
    verdicts = [claim.verdict for claim in found]
    words = {HOLDS: "hold", FAILS: "fail", IN_PART: "hold in part", OPEN: "cannot be told"}
    words |= {verdict.NOT_MEASURED: "were not measured"}
    parts = [f"{verdicts.count(v)} {w}" for v, w in words.items() if v in verdicts]
    return f"Of {len(found)} claims {listed(parts)}."


def claims(evidence: Evidence) -> list[Claim]:
    """Every claim of the paper that a run can speak to; unmeasured ones say so."""
    rows = [
        runtime.near_constant(evidence),
        runtime.linear(evidence),
        runtime.single_svd(evidence),
        runtime.faster(evidence),
        runtime.negligible(evidence),
        error.preserved(evidence),
        error.above_99(evidence),
        error.gradient(evidence),
        error.variance(evidence),
        tau_one.enough(evidence),
        error.symmetry_preserves(evidence),
    ]
    return [row if row.measured else row._replace(measured=[NOT_MEASURED]) for row in rows]
