"""What the null-space paper claims (arXiv 2502.11362), beside what this run measured.

A row states numbers and how to read them. Whether a claim holds is left to the reader: a run
covers one machine, one implementation and the levels it swept.
"""

from reports import claims_error, claims_runtime, enough
from reports.evidence import Claim, Evidence

NOT_MEASURED = "not measured in this run"


def claims(evidence: Evidence) -> list[Claim]:
    """Every claim of the paper that a run can speak to; unmeasured ones say so."""
    rows = [
        claims_runtime.near_constant(evidence),
        claims_runtime.linear(evidence),
        claims_runtime.single_svd(evidence),
        claims_runtime.faster(evidence),
        claims_runtime.negligible(evidence),
        claims_error.preserved(evidence),
        claims_error.above_99(evidence),
        claims_error.gradient(evidence),
        claims_error.variance(evidence),
        enough.enough(evidence),
        claims_error.symmetry_preserves(evidence),
    ]
    return [row if row.measured else row._replace(measured=[NOT_MEASURED]) for row in rows]
