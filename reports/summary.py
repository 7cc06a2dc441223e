"""The paragraph under the title: what was measured, and the numbers most readers come for."""

import math
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from reports.claims.claim import NULLSPACE
from reports.claims.error import gain, largest
from reports.run.run import AXES, SGD, Record
from reports.run.run import number as as_float
from reports.tables.growth import Setting
from reports.text.formatting import interval, listed, number, point, seconds_interval, small


def title(runtime: Sequence[Record]) -> str:
    """Names what was run."""
    found = sorted({(row["model"], row["dataset"]) for row in runtime})
    devices = sorted({str(row["device"]) for row in runtime})
    if not found:
        return "Teleportation benchmark"
    what = listed([f"{model} on {dataset}" for model, dataset in found])
    return f"Teleportation benchmark: {what}, {listed(devices)}"


def paragraph(
    runtime: Sequence[Record], preservation: Sequence[Record], base: dict[str, int]
) -> str:
    """A few sentences; only what was measured is said."""
    return " ".join([*_at_base(runtime, base), *_drift(preservation)])


def counts(runtime: pd.DataFrame, profiled: int = 0) -> str:
    """How many variants, points and cells a whole run holds, whatever of it a page shows.

    ``profiled`` is the number of profiles, which matters where there is nothing else.
    """
    if runtime.empty and profiled:
        return f"{profiled} {_plural('cell', profiled)} profiled; nothing else was asked for."
    if runtime.empty:
        return "The journal holds no cells: nothing was timed."
    variants = runtime.loc[runtime["method"] != SGD, "variant"].unique()
    points = runtime[[*Setting._fields, *AXES]].drop_duplicates()
    statuses = Counter(runtime["status"])
    dtypes = listed(sorted(runtime["dtype"].unique()))
    failed = [f"{count} {status}" for status, count in sorted(statuses.items()) if status != "ok"]
    rest = f"; the others: {listed(failed)}" if failed else ""
    return (
        f"{len(variants)} {_plural('variant', len(variants))} and SGD were timed at {len(points)} "
        f"{_plural('point', len(points))} in {dtypes}: {statuses['ok']} of {len(runtime)} cells "
        f"have a time{rest}.{_flagged(runtime)}"
    )


def _flagged(runtime: pd.DataFrame) -> str:
    """A sentence if some cells were measured while something was not as it should be."""
    flags = runtime["flags"].astype(str)
    count = int((flags != "").sum())
    if not count:
        return ""
    return (
        f" {count} {_plural('cell', count)} {'is' if count == 1 else 'are'} flagged: see the "
        "column flags of the last table before their times are used."
    )


def _at_base(runtime: Sequence[Record], base: dict[str, int]) -> list[str]:
    """Time of a call and cost of a step at the base point, the first variant of each method."""
    chosen = [
        row
        for row in runtime
        if row["status"] == "ok"
        and row["method"] != SGD
        and all(row[axis] == base[axis] for axis in AXES)
    ]
    settings = sorted({tuple(row[name] for name in Setting._fields) for row in chosen})
    return [
        _base_sentence([row for row in chosen if _is_in(row, setting)], base, setting, settings)
        for setting in settings
    ]


def _base_sentence(
    rows: list[Record],
    base: dict[str, int],
    setting: tuple[str, ...],
    settings: list[tuple[str, ...]],
) -> str:
    first = {row["method"]: row for row in reversed(rows)}
    times = [
        f"{seconds_interval(row['median_s'], row['ci_low_s'], row['ci_high_s'])} with "
        f"{row['variant']}{_steps(row)}"
        for _, row in sorted(first.items())
    ]
    where = f" ({', '.join(setting)})" if len(settings) > 1 else ""
    return f"At the base point {point(base)}{where} a call takes {listed(times)}."


def _steps(row: Record) -> str:
    if not math.isfinite(row["sgd_steps"]):
        return ""
    ratio = interval(row["sgd_steps"], row["sgd_steps_low"], row["sgd_steps_high"])
    return f" (a teleport step costs {ratio} SGD steps)"


def _is_in(row: Record, setting: tuple[str, ...]) -> bool:
    return tuple(row[name] for name in Setting._fields) == setting


def _drift(preservation: Sequence[Record]) -> list[str]:
    exact = [
        record
        for record in preservation
        if record["method"] == NULLSPACE
        and record["status"] == "ok"
        and as_float(record.get("tau")) == 1.0
        and len(record["rows"]) > 1
    ]
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
