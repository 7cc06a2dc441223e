"""What the papers claim about loss, gradient and input variance, beside what was measured."""

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from bench.storage.records import PreservationRecord, SpectrumRecord
from reports.claims.claim import Claim, Evidence
from reports.claims.verdict import LITTLE, ROUNDING, overall, within
from reports.preservation.curves import curve_order, followed, gain, largest, step_line
from reports.preservation.eigenvalues import (
    SECOND_LAYER,
    eigenvectors,
    eigenvectors_for,
    height,
)
from reports.run.run import NULLSPACE, SYMMETRY, as_float
from reports.text.formatting import listed, number, small, tau

_SHARES = (0.5, 0.9, 0.99)


def preserved(evidence: Evidence) -> Claim:
    """Drift of the loss in the exact null space."""
    chosen = [r for r in followed(evidence.preservation, NULLSPACE) if r.tau == 1.0]
    return Claim(
        "In the exact null space (τ = 1) the loss stays constant while the gradient norm rises.",
        "Section 4.4, Figure 6b",
        [
            f"{_name(r, evidence)}: {_drift_words(r)}, ‖g‖² grew {number(gain(r))}-fold"
            for r in chosen
        ],
        "Drift is the change of the loss of the teleport batch relative to its first value. "
        "float32 resolves about 10⁻⁷; in float64 the same weights are evaluated again. The verdict "
        "allows 10⁻⁵.",
        _kept(chosen, ROUNDING),
    )


def above_99(evidence: Evidence) -> Claim:
    """Drift of the loss where the null space is approximate but small."""
    known = followed(evidence.preservation, NULLSPACE)
    chosen = [record for record in known if 0.99 <= as_float(record.tau) < 1.0]
    return Claim(
        "The loss remains constant for τ above 0.99.",
        "Figure 6 (caption); Section 4.4 says so of τ = 0.99 itself",
        [f"{_name(r, evidence)}, τ = {tau(as_float(r.tau))}: {_drift_words(r)}" for r in chosen],
        "The paper followed a transformer on sMNIST; this run followed what its headings name. The "
        "verdict allows a drift of 10⁻³.",
        _kept(chosen, LITTLE),
    )


def gradient(evidence: Evidence) -> Claim:
    """Growth of the squared gradient norm by tau, at one learning rate."""

    def same_but_tau(record: PreservationRecord) -> tuple[str, ...]:
        return (record.model, record.dataset, record.start, record.variant, str(record.lr))

    chosen = sorted(
        followed(evidence.preservation, NULLSPACE), key=lambda r: (same_but_tau(r), curve_order(r))
    )
    families = [list(family) for _, family in groupby(chosen, same_but_tau)]
    return Claim(
        "The gradient norm grows faster for smaller τ.",
        "Section 4.4, Figure 6b",
        [_family_words(family, evidence) for family in families if len(family) > 1],
        "Growth of ‖g‖² at one learning rate, up to the last step that every τ reached.",
        overall(_rises(family) for family in families if len(family) > 1),
    )


def variance(evidence: Evidence) -> Claim:
    """How few eigenvectors hold the variance of the second layer's input."""
    second = [r for r in evidence.spectrum if r.position == SECOND_LAYER]
    return Claim(
        "A majority of the input variance lies in relatively few eigenvectors.",
        "Section 4.4, Figure 6a",
        [_variance_words(record) for record in second],
        "A batch of fewer samples than input dimensions spans a small part of them whatever the "
        "data are: read the counts against the eigenvectors the batch has. The verdict takes half "
        "of the variance in a tenth of them for few, in more than a quarter for many.",
        overall(_few(record) for record in second),
    )


def symmetry_preserves(evidence: Evidence) -> Claim:
    """Drift of the loss under the symmetry actions, the published ones among them."""
    chosen = followed(evidence.preservation, SYMMETRY)
    return Claim(
        "Symmetry teleport leaves the loss unchanged.",
        "Zhao et al. 2022 and 2023, the published code",
        [f"{_name(record, evidence)}: {_drift_words(record)}" for record in chosen],
        "Variants with published=true repeat the released code step for step; the others use the "
        "group action of the text. The verdict allows 10⁻⁵.",
        _kept(chosen, ROUNDING),
    )


def _kept(records: Sequence[PreservationRecord], allowed: float) -> str:
    """Whether every curve stays within a relative drift."""
    drifts = [largest(record, "drift_float32") for record in records]
    return overall(None if math.isnan(drift) else drift <= allowed for drift in drifts)


def _rises(family: Sequence[PreservationRecord]) -> bool:
    """Whether the gradient grows more from each tau to the next smaller one."""
    last = min(max(step_line(record, "grad_norm_sq")[0], default=0) for record in family)
    gains = [gain(record, last) for record in sorted(family, key=lambda r: -as_float(r.tau))]
    return all(before < after for before, after in pairwise(gains))


def _few(record: SpectrumRecord) -> bool | None:
    half = eigenvectors_for(record, 0.5)
    share = half / eigenvectors(record) if half else math.nan
    return within(share, 0.1, 0.25)


def _name(record: PreservationRecord, evidence: Evidence) -> str:
    """Variant and start; model and data set too where the run has several."""
    places = {(r.model, r.dataset) for r in evidence.preservation}
    where = f"{record.model} on {record.dataset}" if len(places) > 1 else ""
    return ", ".join(part for part in (where, record.variant, record.start) if part)


def _drift_words(record: PreservationRecord) -> str:
    single, double = (largest(record, key) for key in ("drift_float32", "drift_float64"))
    dtype = record.dtype or "float32"
    words = f"loss drift at most {small(single)} in {dtype}"
    if math.isfinite(double) and dtype != "float64":
        words += f", {small(double)} in float64"
    return f"{words}, {len(record.rows) - 1} steps"


def _family_words(family: list[PreservationRecord], evidence: Evidence) -> str:
    last = min(max(step_line(record, "grad_norm_sq")[0], default=0) for record in family)
    parts = [f"{number(gain(r, last))}-fold at τ = {tau(as_float(r.tau))}" for r in family]
    return f"{_name(family[0], evidence)}, after {last} steps: {listed(parts)}"


def _variance_words(record: SpectrumRecord) -> str:
    counts = [(share, eigenvectors_for(record, share)) for share in _SHARES]
    parts = [f"{100 * share:g} % in {count}" for share, count in counts if count]
    return (
        f"{record.model} on {record.dataset}, {record.layer}: {listed(parts)} of "
        f"{len(record.eigenvalues)} eigenvectors (input dimensions: {height(record)})"
    )
