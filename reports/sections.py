"""The tables of the page, from the tables of the run."""

import math
from collections.abc import Sequence
from typing import Any

from reports.claims.error import gain, largest
from reports.preservation.error_tables import curve_order, eigenvectors_for
from reports.run.run import AXES, Record, number
from reports.runtime.roofline import SHARES
from reports.runtime.schedule import CostTable
from reports.tables.growth import MEMORY, SGD_PHASE, Setting
from reports.text import html_tables as html
from reports.text.formatting import DASH, tau
from reports.text.html_tables import Cell, Column, Table

_GROWTH = ("total", "prepare", "steps")


Place = tuple[Any, ...]
"""A setting, a variant and an axis."""


def scaling_tables(scaling: Sequence[Record]) -> list[Table]:
    """How the total grows along each axis; how its phases and the memory do, where it is known."""
    swept = {row["axis"] for row in scaling if row["levels"] > 1}
    rows: dict[Place, dict[str, Record]] = {}
    for row in (row for row in scaling if row["axis"] in swept):
        place = tuple(row[name] for name in (*Setting._fields, "variant", "axis"))
        rows.setdefault(place, {})[row["phase"]] = row
    several = len({place[:4] for place in rows}) > 1
    text = ["setting", "variant", "axis"] if several else ["variant", "axis"]
    whole = html.columns([*text], ["levels", "slope", "exponent", "floor"])
    whole += [Column(label, False) for label in ("law", "verdict", "remark")]
    parts = html.columns([*text], ["slope of prepare", "slope of steps", "slope of peak memory"])
    named = [(_named(place, phases, several), phases) for place, phases in rows.items()]
    of_parts = [
        (name, [_slope(phases.get(phase)) for phase in ("prepare", "steps", MEMORY)])
        for name, phases in named
        if SGD_PHASE not in phases or MEMORY in phases
    ]
    known = any(cell.text != DASH for _, cells in of_parts for cell in cells)
    return [
        Table(
            "How the time of a call grows along each axis that was swept",
            whole,
            [[*name, *_total_cells(phases)] for name, phases in named],
        ).without_empty(),
        Table(
            "How its phases and its memory grow",
            parts,
            [[*name, *cells] for name, cells in of_parts] if known else [],
        ).without_empty(),
    ]


def _named(place: Place, phases: dict[str, Record], several: bool) -> list[Cell]:
    name = f"{place[4]} (a single step)" if SGD_PHASE in phases else place[4]
    setting = [html.words(", ".join(place[:4]))] if several else []
    return [*setting, html.words(name), html.words(place[5])]


def _total_cells(phases: dict[str, Record]) -> list[Cell]:
    total = phases.get("total") or phases[SGD_PHASE]
    return [
        html.words(_levels(total)),
        _slope(total),
        html.slope(total["exponent"], total["ci_low"], total["ci_high"]),
        html.seconds(total["floor_s"]),
        html.words(_law(total)),
        html.words(total["verdict"]),
        html.words(total["reason"]),
    ]


def _law(row: Record) -> str:
    rivals = row["rivals"].replace(";", ", ")
    return f"{row['law']} ({rivals})" if rivals else row["law"]


def _levels(row: Record) -> str:
    if not math.isfinite(number(row["lowest"])):
        return DASH
    return f"{int(row['lowest'])} to {int(row['highest'])} ({row['levels']})"


def _slope(row: Record | None) -> Cell:
    return html.slope(row["slope"], row["slope_low"], row["slope_high"]) if row else Cell(DASH)


def preservation_table(records: Sequence[Record]) -> Table:
    """A row per curve of Figure 6b."""
    text = ["variant", "model", "data", "start"]
    numeric = ["τ", "learning rate", "steps", "‖g‖² grew", "largest drift", "in float64"]
    numeric += ["held-out drift", "pre-activation change", "its bound"]
    last = [Column(label, False) for label in ("guarantee", "ended", "free dimensions")]
    rows = [_curve_cells(record) for record in sorted(records, key=curve_order)]
    caption = "Loss and gradient along the steps, a row per curve"
    found = Table(caption, [*html.columns(text, numeric), *last], rows).without_empty()
    return found.with_common_in_caption(("model", "data", "start", "steps", "ended"))


def _curve_cells(record: Record) -> list[Cell]:
    ended = str(record.get("teleport_status") or "").replace("_", " ").lower()
    return [
        html.words(record["variant"]),
        html.words(record["model"]),
        html.words(record["dataset"]),
        html.words(record.get("start") or ""),
        Cell(tau(number(record.get("tau"))), "", number(record.get("tau"))),
        html.numbers(number(record.get("lr"))),
        html.whole(max(len(record["rows"]) - 1, 0)),
        _times(gain(record)),
        html.small(largest(record, "drift_float32")),
        html.small(largest(record, "drift_float64")),
        html.small(largest(record, "heldout_drift")),
        html.small(largest(record, "preactivation_change")),
        html.small(largest(record, "preactivation_bound")),
        html.words(str(record.get("guarantee") or "").replace("_", " ").lower()),
        html.words(ended if record["status"] == "ok" else record["status"]),
        html.words(_free_dimensions(record)),
    ]


def _times(ratio: float) -> Cell:
    cell = html.numbers(ratio)
    return cell._replace(text=cell.text + "-fold") if math.isfinite(ratio) else cell


def _free_dimensions(record: Record) -> str:
    """``1.weight 480, 2.weight 96``; layers that only data feeds cannot move and are left out."""
    found = record.get("null_dims") or {}
    parts = [f"{name} {'+'.join(map(str, dims))}" for name, dims in found.items() if dims]
    return ", ".join(parts)


def spectrum_table(records: Sequence[Record]) -> Table:
    """A row per layer: how many eigenvectors hold how much."""
    text = ["model", "data", "layer"]
    numeric = ["position", "input dimensions", "eigenvectors", "for 50 %", "for 90 %", "for 99 %"]
    rows = [
        [
            *(html.words(record[key]) for key in ("model", "dataset", "layer")),
            html.whole(record.get("position")),
            html.whole(record.get("rows")),
            html.whole(len(record["eigenvalues"])),
            *(html.whole(eigenvectors_for(record, share)) for share in (0.5, 0.9, 0.99)),
        ]
        for record in records
    ]
    caption = "Eigenvectors needed for a share of the energy"
    return Table(caption, html.columns(text, numeric), rows)


def schedule_table(table: CostTable) -> Table:
    """A row per variant: what the schedule takes."""
    numeric = ["prepare, per batch", "teleport step", "all teleports", "all SGD steps", "share"]
    rows = [
        [
            html.words(cost.variant),
            html.seconds(cost.prepare_s),
            html.seconds(cost.step_s),
            html.seconds(cost.teleport_s),
            html.seconds(cost.training_s),
            html.percent(cost.share.value, cost.share.low, cost.share.high),
        ]
        for cost in table.costs
    ]
    return Table(
        "Time of the teleports and of the training", html.columns(["variant"], numeric), rows
    )


def cells_table(runtime: Sequence[Record]) -> Table:
    """A row per cell, failed ones included."""
    several = len({tuple(row[name] for name in Setting._fields) for row in runtime}) > 1
    text = ["setting", "variant", "status"] if several else ["variant", "status"]
    text.append("flags")
    numeric = [
        *AXES,
        "time of a call",
        "samples",
        "prepare, per batch",
        "teleport step",
        "SGD step",
    ]
    numeric += ["step in SGD steps", "call in SGD steps", "peak memory"]
    numeric += ["of the product rate", "of the copy rate"]
    rows = [_cell_cells(row, several=several) for row in runtime]
    columns = [*html.columns(text, numeric), Column("reason", False)]
    return Table("Every cell", columns, rows, sortable=True).without_empty()


def _cell_cells(row: Record, *, several: bool) -> list[Cell]:
    setting = ", ".join(str(row[name]) for name in Setting._fields)
    return [
        *([html.words(setting)] if several else []),
        html.words(row["variant"]),
        html.words(row["status"]),
        html.words(row["flags"]),
        *(html.whole(number(row[axis])) for axis in AXES),
        html.seconds(row["median_s"], row["ci_low_s"], row["ci_high_s"]),
        html.whole(number(row["samples"])),
        html.seconds(row["prepare_s"]),
        html.seconds(row["step_s"]),
        html.seconds(row["sgd_s"]),
        html.numbers(row["sgd_steps"], row["sgd_steps_low"], row["sgd_steps_high"]),
        html.numbers(row["call_sgd_steps"], row["call_sgd_steps_low"], row["call_sgd_steps_high"]),
        html.memory(number(row["peak_memory_bytes"])),
        *(html.percent(row[column]) for column in SHARES),
        html.words(row["reason"]),
    ]


def environment_table(environment: Record) -> Table:
    """A row per entry; nested entries get a dotted name."""
    rows = [[html.words(key), html.words(_plain(value))] for key, value in _flat("", environment)]
    return Table("What it ran on", html.columns(["entry", "value"], []), rows)


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [
        entry
        for key, item in value.items()
        for entry in _flat(f"{prefix}.{key}" if prefix else key, item)
    ]


def _plain(value: Any) -> str:
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(_plain(item) for item in value) if isinstance(value, list) else str(value)
