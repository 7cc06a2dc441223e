"""Ratios of times to the target, a line per axis: a forest plot, whose names are the page's."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from reports.text.formatting import interval, tick_number
from reports.training.verdicts import AXIS_LABELS, Compared

WIDTH, LINE, TOP = 320, 13, 9  # in units of the drawing
_MARGIN = 10
_WIDEST = 10.0  # ratios beyond are at the edge
_NARROWEST = 1.3
# The reach of the axis -> ratios with a label, far enough apart for it.
_TICKS = {
    1.5: (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4),
    4.0: (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0),
    math.inf: (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
}
SHAPES = {
    "steps": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "seconds": "M-3.6 -3.6h7.2v7.2h-7.2z",
    "gradient_equivalents": "M0 -5l5 5l-5 5l-5 -5z",
}


class Mark(NamedTuple):
    """A ratio with its interval, which is no line where it is not known."""

    shape: str
    x: float
    y: float
    low: float | None
    high: float | None
    words: str


class Picture(NamedTuple):
    """One arm of an optimizer under one rule."""

    rule: str
    marks: list[Mark]
    words: str


class Line(NamedTuple):
    """One arm of an optimizer, under each rule."""

    optimizer: str
    arm: str
    colour: str
    pictures: list[Picture]


class Tick(NamedTuple):
    """A ratio on the horizontal axis."""

    x: float
    label: str


class Forest(NamedTuple):
    """All lines on one logarithmic axis; ``band`` is where the minimum effect lies."""

    lines: list[Line]
    rules: list[str]
    ticks: list[Tick]
    one: float
    band: tuple[float, float]
    shapes: list[tuple[str, str]]
    width: int = WIDTH
    height: int = TOP * 2 + LINE * 2


def forest(
    every: Sequence[Compared], rules: Sequence[str], colours: dict[str, str], effect: float
) -> Forest | None:
    """The plot of every comparison that has a ratio; None where none has."""
    known = [each for each in every if any(row.ratio >= 0 for row in each.rows.values())]
    if not known:
        return None
    span = _span(known)
    places = dict.fromkeys((each.optimizer, each.arm) for each in known)
    by_place = {(each.optimizer, each.arm, each.rule): each for each in known}
    lines = [
        Line(
            optimizer,
            arm,
            colours[arm],
            [_picture(by_place.get((optimizer, arm, rule)), rule, span) for rule in rules],
        )
        for optimizer, arm in places
    ]
    labelled = next(ticks for reach, ticks in _TICKS.items() if span <= math.log(reach))
    ticks = [Tick(_x(t, span), tick_number(t)) for t in labelled if abs(math.log(t)) <= span]
    named = [(SHAPES[axis], label) for axis, label in AXIS_LABELS.items()]
    band = (_x(1 / (1 + effect), span), _x(1 + effect, span))
    return Forest(lines, list(rules), ticks, _x(1.0, span), band, named)


def _span(every: Sequence[Compared]) -> float:
    """How far the axis reaches to both sides of 1, as a logarithm."""
    rows = [row for each in every for row in each.rows.values()]
    values = [v for row in rows for v in (row.ratio, row.ci_low, row.ci_high)]
    far = [abs(math.log(v)) for v in values if v > 0 and math.isfinite(v)]
    return min(max([math.log(_NARROWEST), *far]) * 1.08, math.log(_WIDEST))


def _x(ratio: float, span: float) -> float:
    """The place of a ratio; what lies beyond the axis is at its end."""
    share = math.log(ratio) / span if 0 < ratio < math.inf else math.copysign(1, ratio - 1)
    half = WIDTH / 2 - _MARGIN
    return round(WIDTH / 2 + half * max(-1.0, min(1.0, share)), 1)


def _picture(found: Compared | None, rule: str, span: float) -> Picture:
    marks = []
    for place, (axis, label) in enumerate(AXIS_LABELS.items()):
        row = found.rows.get(axis) if found else None
        if row is None or math.isnan(row.ratio):
            continue
        low, high = (None if math.isnan(b) else _x(b, span) for b in (row.ci_low, row.ci_high))
        words = f"{label}: {interval(row.ratio, row.ci_low, row.ci_high)}, {row.verdict}"
        marks.append(Mark(SHAPES[axis], _x(row.ratio, span), TOP + LINE * place, low, high, words))
    return Picture(rule, marks, "; ".join(mark.words for mark in marks) or "no ratio is known")
