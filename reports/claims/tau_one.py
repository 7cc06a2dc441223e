"""Is the exact null space enough? A verdict for each network from dimensions, growth and drift.

The null-space paper: "even without approximating the input null space, sufficient dimensions are
typically available ... This validates our choice of setting tau to be 1 in most cases" (Section
4.4). What "enough" comes to here is in ``CRITERION``, for the reader to disagree with.
"""

import math
from collections.abc import Sequence
from itertools import groupby, takewhile
from typing import NamedTuple

from bench.storage.records import PreservationRecord, SpectrumRecord
from reports.claims.claim import Claim, Evidence
from reports.preservation.curves import gain, step_line
from reports.preservation.null_dimensions import NUMERICAL, free_dimensions
from reports.run.run import NULLSPACE, as_float
from reports.text.formatting import DASH, number, tau

TOLERATED_DRIFT = 1e-3
_HALF = 0.5
CRITERION = (
    "Holds for a network if at τ = 1 most layers that may move have a free dimension by numerical "
    "rank, and the logarithm of the growth of ‖g‖² is at least half of the largest that any τ "
    "below 1 reaches before the loss has drifted by 10⁻³, at one learning rate. Does not hold if "
    "either fails. Layers fed by data alone never move at τ = 1 and are not counted. The number of "
    "samples decides: with fewer columns than dimensions every layer has a null space."
)


class Reached(NamedTuple):
    """The largest growth of ||g||^2 along a curve before the loss drifts too far, and its tau."""

    growth: float
    tau: float


class Finding(NamedTuple):
    """What one network on one data set shows; ``verdict`` is one of three sentences."""

    model: str
    dataset: str
    verdict: str
    layers: int
    layers_free: int
    exact: Reached | None
    best: Reached | None


HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "cannot be told"


def findings(
    spectrum: Sequence[SpectrumRecord], preservation: Sequence[PreservationRecord]
) -> list[Finding]:
    """One for each network and data set that has both kinds of records, in the order of names."""

    def place(record: SpectrumRecord | PreservationRecord) -> tuple[str, str]:
        return (record.model, record.dataset)

    own = (r for r in preservation if r.method == NULLSPACE and r.variant == NULLSPACE)
    followed = [record for record in own if record.rows]
    layers = {key: list(g) for key, g in groupby(sorted(spectrum, key=place), place)}
    curves = {key: list(g) for key, g in groupby(sorted(followed, key=place), place)}
    return [_finding(key, layers[key], curves[key]) for key in sorted(layers) if key in curves]


def _finding(
    place: tuple[str, str], layers: list[SpectrumRecord], curves: list[PreservationRecord]
) -> Finding:
    known = [free_dimensions(layer, NUMERICAL, 1.0) for layer in layers if not layer.data_fed]
    counts = [count for count in known if count is not None]
    exact = _best([record for record in curves if record.tau == 1.0])
    best = _best([record for record in curves if as_float(record.tau) < 1.0])
    free_layers = sum(count > 0 for count in counts)
    verdict = _verdict(len(counts), free_layers, exact, best)
    return Finding(*place, verdict, len(counts), free_layers, exact, best)


def _verdict(layers: int, layers_free: int, exact: Reached | None, best: Reached | None) -> str:
    if not layers or exact is None or best is None:
        return UNKNOWN
    if layers_free <= _HALF * layers:
        return FAILS
    if max(exact.growth, best.growth) <= 1.0:
        return UNKNOWN
    return HOLDS if math.log(exact.growth) >= _HALF * math.log(best.growth) else FAILS


def _best(curves: list[PreservationRecord]) -> Reached | None:
    """The largest growth that any of the curves reaches within the tolerated drift."""
    steps = [(record, step) for record in curves for step in _tolerable(record)]
    reached = [Reached(gain(record, step), as_float(record.tau)) for record, step in steps]
    known = [each for each in reached if math.isfinite(each.growth)]
    return max(known, key=lambda each: each.growth, default=None)


def _tolerable(record: PreservationRecord) -> list[int]:
    """Steps up to the first at which the loss has drifted too far."""
    points = zip(*step_line(record, "drift_float64"), strict=True)
    return [step for step, _ in takewhile(lambda point: point[1] <= TOLERATED_DRIFT, points)]


def enough(evidence: Evidence) -> Claim:
    """The claim, a line for each network."""
    found = findings(evidence.spectrum, evidence.preservation)
    return Claim(
        "τ = 1 is enough for CNNs and Transformers: the exact null space has sufficient "
        "dimensions.",
        "Section 4.4",
        [_words(finding) for finding in found],
        CRITERION,
    )


def _words(finding: Finding) -> str:
    exact, best = finding.exact, finding.best
    at_one = f"‖g‖² grew {number(exact.growth)}-fold at τ = 1" if exact else DASH
    below = f"{number(best.growth)}-fold at τ = {tau(best.tau)}" if best else DASH
    return (
        f"{finding.model} on {finding.dataset}: {finding.verdict}; "
        f"{finding.layers_free} of {finding.layers} layers have a free dimension; "
        f"{at_one}, at most {below} with a drift up to 10⁻³"
    )
