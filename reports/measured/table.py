"""The methods of a live model as tables: for pandas, and for a reader."""

from collections.abc import Sequence

import pandas as pd

from reports.measured.rows import Interval, MethodMeasured
from reports.text import html_tables as html
from reports.text.html_tables import Cell, Table

_INTERVALS = ("sgd_s", "call_s", "step_sgd_steps", "prepare_sgd_steps", "call_sgd_steps")
_NUMBERS = ("gain", "loss_change", "heldout_change", "output_change")
_TEXTS = ("variant", "status", "teleport_status", "guarantee")


def frame(methods: Sequence[MethodMeasured]) -> pd.DataFrame:
    """A row per method; an interval is three columns, its ends behind ``_low`` and ``_high``."""
    rows = [
        {
            **{name: getattr(each, name) for name in _TEXTS},
            **{key: value for name in _INTERVALS for key, value in _ends(each, name)},
            **{name: getattr(each, name) for name in _NUMBERS},
            "reason": each.reason,
        }
        for each in methods
    ]
    return pd.DataFrame(rows)


def _ends(method: MethodMeasured, name: str) -> list[tuple[str, float]]:
    found: Interval = getattr(method, name)
    return [(name, found.value), (f"{name}_low", found.low), (f"{name}_high", found.high)]


def worded(methods: Sequence[MethodMeasured], caption: str) -> Table:
    """What a reader wants of those that moved; the others are sentences."""
    columns = html.columns(
        ["method", "guarantee"],
        [
            *("SGD step", "teleport step, in SGD steps", "preparing, in SGD steps"),
            *("whole call, in SGD steps", "whole call", "‖g‖² times"),
            *("change of the loss", "of held-out data's", "of the outputs"),
        ],
    )
    rows = [_row(each) for each in methods if each.grad_norm_sq]
    return Table(caption, columns, rows).without_empty()


def _row(method: MethodMeasured) -> list[Cell]:
    return [
        *html.texts(method.variant, method.guarantee.lower().replace("_", " ")),
        html.seconds(*method.sgd_s),
        html.numbers(*method.step_sgd_steps),
        html.numbers(*method.prepare_sgd_steps),
        html.numbers(*method.call_sgd_steps),
        html.seconds(*method.call_s),
        html.numbers(method.gain),
        html.small(method.loss_change),
        html.small(method.heldout_change),
        html.small(method.output_change),
    ]


def plain(table: Table) -> str:
    """A table in columns of characters."""
    heads = [column.label for column in table.columns]
    lines = [[f"{cell.text} {cell.remark}".strip() for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in [heads, *lines]
    )
