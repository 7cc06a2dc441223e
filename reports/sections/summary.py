"""The paragraph under the title: what was measured, and the numbers most readers come for."""

import math
from collections import Counter
from collections.abc import Sequence

from bench.spec.axes import AXES
from bench.storage.records import PreservationRecord
from bench.storage.training_records import TrialFacts
from reports.preservation.curves import followed, gain, largest
from reports.run.run import NULLSPACE, SGD
from reports.run.setting import Setting, is_at, setting_of, settings, taken
from reports.tables.runtime import CellRow
from reports.text.formatting import interval, listed, number, point, seconds_interval, small, whole


def title(rows: Sequence[CellRow] | Sequence[TrialFacts]) -> str:
    """Names what was run: cells, or trials where there are none."""
    found = sorted({(row.model, row.dataset) for row in rows})
    devices = sorted({row.device for row in rows})
    if not found:
        return "Teleportation benchmark"
    what = listed([f"{model} on {dataset}" for model, dataset in found])
    return f"Teleportation benchmark: {what}, {listed(devices)}"


def paragraph(
    rows: Sequence[CellRow], preservation: Sequence[PreservationRecord], base: dict[str, int]
) -> str:
    """A few sentences; only what was measured is said."""
    return " ".join([*_at_base(rows, base), *_drift(preservation)])


def counts(rows: Sequence[CellRow], profiled: int = 0) -> str:
    """How many variants, points and cells a whole run holds, whatever of it a page shows.

    ``profiled`` is the number of profiles, which matters where there is nothing else.
    """
    if not rows and profiled:
        return f"{profiled} {_plural('cell', profiled)} profiled; nothing else was asked for."
    if not rows:
        return "The journal holds no cells: nothing was timed."
    variants = {row.variant for row in rows if row.method != SGD}
    points = {(setting_of(row), *(getattr(row, axis) for axis in AXES)) for row in rows}
    statuses = Counter(row.status for row in rows)
    dtypes = listed(sorted({row.dtype for row in rows}))
    failed = [f"{count} {status}" for status, count in sorted(statuses.items()) if status != "ok"]
    rest = f"; the others: {listed(failed)}" if failed else ""
    return (
        f"{len(variants)} {_plural('variant', len(variants))} and SGD were timed at {len(points)} "
        f"{_plural('point', len(points))} in {dtypes}: {statuses['ok']} of {len(rows)} cells "
        f"have a time{rest}.{_flagged(rows)}{_own_models(rows)}"
    )


def _own_models(rows: Sequence[CellRow]) -> str:
    """What the user's own models are, and what was done to them."""
    said = []
    for model in sorted({row.model for row in rows if ":" in row.model}):
        own = sorted({(r.parameters or 0, r.network) for r in rows if r.model == model})
        known = [each for each in own if each[1]]
        if known:
            sizes = " to ".join(dict.fromkeys(whole(number) for number, _ in (known[0], known[-1])))
            said.append(f"{model} is {known[0][1]} with {sizes} parameters.")
        notes = {row.model_note for row in rows if row.model == model} - {""}
        said += sorted(f"{note[0].upper()}{note[1:]}." for note in notes)
    return "".join(f" {sentence}" for sentence in said)


def _flagged(rows: Sequence[CellRow]) -> str:
    """A sentence if some cells were measured while something was not as it should be."""
    count = sum(bool(row.flags) for row in rows)
    if not count:
        return ""
    return (
        f" {count} {_plural('cell', count)} {'is' if count == 1 else 'are'} flagged: see the "
        "column flags of the last table before their times are used."
    )


def _at_base(rows: Sequence[CellRow], base: dict[str, int]) -> list[str]:
    """Times and costs in SGD steps at the base point, the first variant of each method."""
    chosen = [row for row in rows if row.status == "ok" and row.method != SGD and is_at(row, base)]
    places = settings(chosen)
    own = {place: [row for row in chosen if setting_of(row) == place] for place in places}
    return [_base_sentence(rows, base, place, places) for place, rows in own.items()]


def _base_sentence(
    rows: list[CellRow], base: dict[str, int], setting: Setting, places: Sequence[Setting]
) -> str:
    first = {row.method: row for row in reversed(rows)}
    times = [
        f"{seconds_interval(row.median_s, row.ci_low_s, row.ci_high_s)} with "
        f"{row.variant}{_steps(row)}"
        for _, row in sorted(first.items())
    ]
    where = f" ({', '.join(setting)})" if len(places) > 1 else ""
    at = point(taken(rows, base))
    return f"At the base point {at}{where} prepare and steps take {listed(times)}."


def _steps(row: CellRow) -> str:
    if not math.isfinite(row.sgd_steps):
        return ""
    ratio = interval(row.sgd_steps, row.sgd_steps_low, row.sgd_steps_high)
    whole = interval(row.call_sgd_steps, row.call_sgd_steps_low, row.call_sgd_steps_high)
    call = f", a whole call with its checks {whole}" if math.isfinite(row.call_sgd_steps) else ""
    return f" (a teleport step costs {ratio} SGD steps{call})"


def _drift(preservation: Sequence[PreservationRecord]) -> list[str]:
    exact = [record for record in followed(preservation, NULLSPACE) if record.tau == 1.0]
    if not exact:
        return []
    single, double = (
        max((largest(r, key) for r in exact if math.isfinite(largest(r, key))), default=math.nan)
        for key in ("drift_float32", "drift_float64")
    )
    gains = sorted(gain(record) for record in exact if math.isfinite(gain(record)))
    in_double = f" ({small(double)} when evaluated in float64)" if math.isfinite(double) else ""
    moved = f"moved by at most {small(single)} of its value" if single else "did not move"
    grown = f" while the squared gradient norm grew {_range(gains)}-fold" if gains else ""
    return [
        f"In the exact null space (τ = 1) the loss of the teleport batch {moved}{in_double}{grown}."
    ]


def _range(gains: list[float]) -> str:
    low, high = number(gains[0]), number(gains[-1])
    return low if low == high else f"{low} to {high}"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"
