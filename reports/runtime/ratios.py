"""How many times as long as the fastest engine the other variants take, from paired samples.

All variants of a block were sampled in turn, so that a round's times pair up: what slows a round
down cancels. The reference is null-space teleport with the engine that ``auto`` picks.
"""

from collections.abc import Iterator, Sequence
from math import isfinite

import pandas as pd

from bench.statistics.medians import Estimate, paired_ratio
from reports.claims.claim import NULLSPACE
from reports.run.run import AXES, SGD, Record, number
from reports.tables.growth import Setting
from reports.tables.runtime import Seconds, frame, per_step, wall_samples
from reports.text import html_tables as html
from reports.text.html_tables import Table

RATIO_COLUMNS = (
    *("cell_id", "method", "variant", "reference", *Setting._fields, *AXES),
    *("step_ratio", "step_ratio_low", "step_ratio_high"),
    *("call_ratio", "call_ratio_low", "call_ratio_high"),
    *("operations", "reference_operations", "rounds"),
)


def ratios(cells: Sequence[Record]) -> pd.DataFrame:
    """A row per cell that was sampled in turn with the reference, ``RATIO_COLUMNS``.

    ``step_ratio`` is the time of one step over the reference's, ``call_ratio`` that of a whole
    call; both are medians over rounds with 95 % intervals. Of ``sgd`` only steps compare.
    """
    return frame(list(_rows(cells)), RATIO_COLUMNS)


def _rows(cells: Sequence[Record]) -> Iterator[Record]:
    reference = {
        (cell["block_id"], cell.get("session")): cell
        for cell in reversed(cells)
        if cell["variant"] == NULLSPACE and cell["status"] == "ok"
    }
    for cell in cells:
        under = reference.get((cell["block_id"], cell.get("session")))
        if under is None or under is cell or cell["status"] != "ok":
            continue
        step = _ratio(cell, under, per_step(cell), per_step(under))
        call = _ratio(cell, under, _whole, _whole) if cell["method"] != SGD else None
        yield {
            **cell,
            "reference": under["variant"],
            **_named("step_ratio", step),
            **(_named("call_ratio", call) if call else {}),
            "reference_operations": under.get("operations"),
            "rounds": step.count,
        }


def _whole(sample: Record) -> float:
    return number(sample.get("seconds"))


def _ratio(cell: Record, under: Record, above: Seconds, below: Seconds) -> Estimate:
    by_round = {s.get("round"): below(s) for s in wall_samples(under)}
    pairs = [(above(s), by_round.get(s.get("round"), 0.0)) for s in wall_samples(cell)]
    known = [(a, b) for a, b in pairs if isfinite(a) and isfinite(b) and b > 0]
    return paired_ratio([a for a, _ in known], [b for _, b in known])


def _named(name: str, found: Estimate) -> Record:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def ratio_table(rows: Sequence[Record], base: dict[str, int]) -> Table:
    """The base point and every width that was measured there, a row per variant."""
    shown = [
        row for row in rows if all(row[axis] == base.get(axis) for axis in AXES if axis != "d")
    ]
    several = len({tuple(row[name] for name in Setting._fields) for row in shown}) > 1
    text = ["setting", "variant"] if several else ["variant"]
    numeric = ["d", "step", "call", "operations of a call", "operations, ratio"]
    cells = [
        [
            *([html.words(", ".join(str(row[k]) for k in Setting._fields))] if several else []),
            html.words(row["variant"]),
            html.whole(number(row["d"])),
            html.numbers(row["step_ratio"], row["step_ratio_low"], row["step_ratio_high"]),
            html.numbers(row["call_ratio"], row["call_ratio_low"], row["call_ratio_high"]),
            html.numbers(number(row["operations"])),
            html.numbers(_quotient(row["operations"], row["reference_operations"])),
        ]
        for row in sorted(shown, key=lambda row: (row["variant"], number(row["d"])))
    ]
    caption = "Times as long as null-space teleport"
    return Table(caption, html.columns(text, numeric), cells).without_empty()


def _quotient(above: float, under: float) -> float:
    above, under = number(above), number(under)
    return above / under if under > 0 else float("nan")
