"""What the null-space paper claims (arXiv 2502.11362), beside what this run measured.

A row states numbers and how to read them. Whether a claim holds is left to the reader: a run
covers one machine, one implementation and the levels it swept.
"""

from markupsafe import Markup

from reports.claims import error, runtime, tau_one
from reports.claims.claim import Claim, Evidence
from reports.sections.section import TEMPLATES, Fill, Section, Shown

NOT_MEASURED = "not measured in this run"


class Claims(Section):
    """A row per claim."""

    name, title, order, measured = "claims", "Claims", 70, True

    def render(self, shown: Shown, fill: Fill) -> Markup:
        """One table."""
        run, (costs, _) = shown.run, shown.analysis.costs
        evidence = Evidence(shown.analysis.growth, run.preservation, run.spectrum, costs)
        return fill(TEMPLATES / "claims.html.j2", claims=claims(evidence))


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
