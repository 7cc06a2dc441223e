"""Is the exact null space enough? A verdict for each network from dimensions, growth and drift.

The null-space paper: "even without approximating the input null space, sufficient dimensions are
typically available ... This validates our choice of setting tau to be 1 in most cases" (Section
4.4). What "enough" comes to here is in ``CRITERION``, for the reader to disagree with.
"""

import math
from itertools import groupby, takewhile
from typing import NamedTuple

from bench.storage.records import PreservationRecord, SpectrumRecord
from reports.claims.claim import Claim, Evidence
from reports.claims.verdict import overall
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


HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "cannot be told"
_ANSWERS = {HOLDS: True, FAILS: False, UNKNOWN: None}


def enough(evidence: Evidence) -> Claim:
    """The claim, a line for each network and data set that has both kinds of records, by name."""
    own = (r for r in evidence.preservation if r.method == NULLSPACE and r.variant == NULLSPACE)
    followed = sorted((record for record in own if record.rows), key=_place)
    layers = {key: list(g) for key, g in groupby(sorted(evidence.spectrum, key=_place), _place)}
    curves = {key: list(g) for key, g in groupby(followed, _place)}
    places = [place for place in sorted(layers) if place in curves]
    return Claim(
        "τ = 1 is enough for CNNs and Transformers: the exact null space has sufficient "
        "dimensions.",
        "Section 4.4",
        [_words(place, layers[place], curves[place]) for place in places],
        CRITERION,
        overall(_ANSWERS[_judge(layers[place], curves[place])[0]] for place in places),
    )


def _place(record: SpectrumRecord | PreservationRecord) -> tuple[str, str]:
    return (record.model, record.dataset)


def _words(
    place: tuple[str, str], layers: list[SpectrumRecord], curves: list[PreservationRecord]
) -> str:
    verdict, counts, free = _judge(layers, curves)
    exact, best = _reached(curves)
    at_one = f"‖g‖² grew {number(exact.growth)}-fold at τ = 1" if exact else DASH
    below = f"{number(best.growth)}-fold at τ = {tau(best.tau)}" if best else DASH
    return (
        f"{' on '.join(place)}: {verdict}; "
        f"{free} of {counts} layers have a free dimension; "
        f"{at_one}, at most {below} with a drift up to 10⁻³"
    )


def _judge(layers: list[SpectrumRecord], curves: list[PreservationRecord]) -> tuple[str, int, int]:
    """The verdict, how many layers were counted, and how many of them have a free dimension."""
    known = [free_dimensions(layer, NUMERICAL, 1.0) for layer in layers if not layer.data_fed]
    counts = [count for count in known if count is not None]
    free = sum(count > 0 for count in counts)
    return _verdict(len(counts), free, *_reached(curves)), len(counts), free


def _reached(curves: list[PreservationRecord]) -> tuple[Reached | None, Reached | None]:
    """In the exact null space, and at the best tau below."""
    exact = _best([record for record in curves if record.tau == 1.0])
    return exact, _best([record for record in curves if as_float(record.tau) < 1.0])


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
