"""The figure of the first screen: a dot with its interval per method, and a line for SGD."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reports.text.canvas import Style
from reports.text.formatting import interval, tick_number

WIDTH, HEIGHT = 400, 20
_MARGIN = 14
_ROOM = 1.12
_FEWEST_TICKS, _MOST_TICKS = 3, 6
_UNKNOWN = "#595959"


class Dot(NamedTuple):
    """What is drawn of one method: in multiples of the line."""

    name: str
    value: float
    low: float
    high: float
    words: str


class Line(NamedTuple):
    """A line of the figure, in units of the drawing; no interval is None."""

    name: str
    colour: str
    x: float
    low: float | None
    high: float | None
    number: str
    words: str


class Tick(NamedTuple):
    """A label of the axis."""

    x: float
    label: str


class Dots(NamedTuple):
    """All lines on one logarithmic axis; ``one`` is where the line of 1 stands."""

    title: str
    reference: str
    unit: str
    note: str
    lines: list[Line]
    ticks: list[Tick]
    one: float
    width: int = WIDTH
    height: int = HEIGHT


def dots(
    title: str,
    reference: str,
    unit: str,
    note: str,
    found: Sequence[Dot],
    styles: Mapping[str, Style],
) -> Dots | None:
    """The figure; None where no method has a positive finite value.

    Args:
        title: its heading.
        reference: what the line of 1 stands for.
        unit: of the axis, in words.
        note: the line under it.
        found: a dot per method, in the order of the page.
        styles: the colour of each name.
    """
    shown = [dot for dot in found if 0 < dot.value < math.inf]
    if not shown:
        return None
    values = [v for dot in shown for v in (dot.value, dot.low, dot.high) if 0 < v < math.inf]
    low, high = min(1.0, *values) / _ROOM, max(1.0, *values) * _ROOM

    def place(value: float) -> float:
        share = math.log(min(max(value, low), high) / low) / math.log(high / low)
        return round(_MARGIN + share * (WIDTH - 2 * _MARGIN), 1)

    def line(dot: Dot) -> Line:
        style = styles.get(dot.name)
        low, high = (place(b) if math.isfinite(b) else None for b in (dot.low, dot.high))
        number = interval(dot.value, dot.low, dot.high)
        words = dot.words or f"{dot.name}: {number}"
        colour = style.colour if style else _UNKNOWN
        return Line(dot.name, colour, place(dot.value), low, high, number, words)

    ticks = [Tick(place(tick), tick_number(tick)) for tick in _ticks(low, high)]
    return Dots(title, reference, unit, note, [*map(line, shown)], ticks, place(1.0))


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers inside an axis, few enough that their labels stay apart."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [1.0]
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= _MOST_TICKS:
            found = inside or found
        if len(found) >= _FEWEST_TICKS:
            break
    return found[:: math.ceil(len(found) / _MOST_TICKS)]
