"""What all figures share: the look of a curve, the canvas, and a drawing as it enters the page.

No name from a journal is ever drawn: legends, titles and lists are HTML, so that fonts, escaping
and line breaks are the browser's, and a figure holds numbers and our own words only.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import quote

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from reports.text.formatting import power_of_ten, tick_number, tick_seconds

PANEL_INCHES = (3.7, 2.9)
REFERENCE_GREY = "0.45"
_SWATCH_INCHES = (0.56, 0.2)
_MOST_TICKS = 7
_PLAIN = " !$()*+,-./:;=?@[]_{|}~"  # in a data URI within quotes; much shorter than base64
_STYLE = re.compile(r'(?<=style=")[^"]+')
_HEAD = re.compile(r"<\?xml.*?(?=<svg)| *<metadata>.*?</metadata>\n", re.DOTALL)
_INDENTED = re.compile(r"\n +")
_PATH = re.compile(r' (?:d|x|y)="[^"]+"')
_UNTURNED = re.compile(r' transform="rotate\(-0 [^"]*"| (?=\n)')
_DIGITS = re.compile(r"(\.\d{3})\d+")  # a thousandth of a point is enough
_kept: ContextVar[list[Figure] | None] = ContextVar("kept", default=None)
_MARKERS = "os^Dv<>p*h"
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 1.5), (5, 1.5, 1, 1.5), (1, 1.2), (8, 2, 2, 2))
_DASH_NAMES = ("solid", "dashed", "dash-dotted", "dotted", "long-dashed")
_MARKER_NAMES = (
    *("circles", "squares", "triangles", "diamonds", "triangles pointing down"),
    *("triangles pointing left", "triangles pointing right", "pentagons", "stars", "hexagons"),
)
_COLOURS = sns.color_palette("colorblind", 10).as_hex()
_PALER, _PALEST = 0.14, 0.6  # of the way to white, for each further curve of a variant
_ORDER = (0, 1, 2, 4, 3, 5, 9, 8, 6, 7)  # neighbours differ in lightness, too

_LOOK: dict[Any, Any] = {
    "svg.hashsalt": "teleport-bench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.edgecolor": "0.35",
    "axes.labelcolor": "0.1",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.6,
    "xtick.color": "0.35",
    "ytick.color": "0.35",
    "xtick.labelcolor": "0.1",
    "ytick.labelcolor": "0.1",
    "lines.linewidth": 1.5,
    "lines.markersize": 5.0,
    "axes.axisbelow": True,
    # The same box in every panel: axes line up down a column of the page.
    "figure.subplot.left": 0.15,
    "figure.subplot.right": 0.985,
    "figure.subplot.bottom": 0.15,
    "figure.subplot.top": 0.91,
    "axes.titlesize": 8.0,
    "axes.titlelocation": "left",
}


class Style(NamedTuple):
    """How one curve is drawn everywhere; distinct without colour, too."""

    colour: str
    marker: str
    dashes: tuple[float, ...]
    words: str

    def line(self) -> dict[str, Any]:
        """Keyword arguments of a matplotlib line."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": (0, self.dashes) if self.dashes else "-",
            "markeredgecolor": "white",
            "markeredgewidth": 0.5,
        }


class Spot(NamedTuple):
    """A place in a drawing that says its value where a pointer rests on it; 0 to 1000 both ways."""

    x: float
    y: float
    words: str


class Drawing(NamedTuple):
    """A finished figure: SVG text, the sentence that stands for it, and spots with their values."""

    svg: str
    alt: str
    spots: tuple[Spot, ...] = ()

    @property
    def uri(self) -> str:
        """The SVG as a data URI, for the src of an <img>."""
        return "data:image/svg+xml," + quote(self.svg.replace("\n", " "), safe=_PLAIN)


class Entry(NamedTuple):
    """A line of a legend."""

    label: str
    swatch: Drawing


class Group(NamedTuple):
    """Panels that belong together, under one heading and one legend, with a line beside them."""

    heading: str
    legend: list[Entry]
    drawings: list[Drawing]
    note: str = ""


def styles(names: Sequence[str]) -> dict[str, Style]:
    """A style for each name, in order; ten differ in colour and marker, fifty altogether."""
    return {name: _style(index) for index, name in enumerate(names)}


def _style(index: int) -> Style:
    marker = index % len(_MARKERS)
    dash = (index + index // len(_MARKERS)) % len(_DASHES)
    colour = _COLOURS[_ORDER[index % len(_ORDER)]]
    words = f"{_DASH_NAMES[dash]} line with {_MARKER_NAMES[marker]}"
    return Style(colour, _MARKERS[marker], _DASHES[dash], words)


def lighter(style: Style, place: int) -> Style:
    """The same colour for a further curve of the same name, paler and of another shape.

    ``place`` counts its curves from 0.
    """
    share = min(_PALER * place, _PALEST)
    parts = (int(style.colour[i : i + 2], 16) for i in (1, 3, 5))
    colour = "#" + "".join(f"{round(part + (255 - part) * share):02x}" for part in parts)
    marker = (_MARKERS.index(style.marker) + place) % len(_MARKERS)
    dash = (_DASHES.index(style.dashes) + place) % len(_DASHES)
    words = f"{_DASH_NAMES[dash]} line with {_MARKER_NAMES[marker]}"
    return Style(colour, _MARKERS[marker], _DASHES[dash], words)


@contextmanager
def look() -> Iterator[None]:
    """Our settings and no others, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_LOOK)
        yield


def panel(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """An empty panel; all are of one size, so that they line up.

    The name of the y axis stands above it, where it is read without turning the head.
    """
    figure = Figure(figsize=PANEL_INCHES)
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_title(y_label, x=0.0, pad=7)
    return figure, axes


def spot(figure: Figure, axes: Axes, x: float, y: float, words: str) -> Spot:
    """Where a point of the data is in the drawing, once the axes have their limits."""
    pixel = axes.transData.transform((x, y))
    right, up = figure.transFigure.inverted().transform(pixel)
    return Spot(round(1000 * float(right), 1), round(1000 - 1000 * float(up), 1), words)


def finish(figure: Figure, alt: str, spots: Sequence[Spot] = ()) -> Drawing:
    """The same figure gives the same bytes: no date, no version, salted identifiers."""
    if (kept := _kept.get()) is not None:
        kept.append(figure)
    return Drawing(_svg(figure), alt, tuple(spots))


@contextmanager
def keeping() -> Iterator[list[Figure]]:
    """Every figure that is finished within, for files of their own."""
    figures: list[Figure] = []
    token = _kept.set(figures)
    try:
        yield figures
    finally:
        _kept.reset(token)


def _svg(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = _HEAD.sub("", buffer.getvalue().decode("utf-8"))
    text = _STYLE.sub(lambda style: style[0].replace(": ", ":").replace("; ", ";"), text)
    return _PATH.sub(
        lambda path: _DIGITS.sub(r"\1", path[0]), _UNTURNED.sub("", _INDENTED.sub("\n", text))
    )


def legend(chosen: dict[str, Style]) -> list[Entry]:
    """A swatch for each style, to be set beside its name in HTML."""
    with look():
        return [Entry(name, _swatch(style)) for name, style in chosen.items()]


def _swatch(style: Style) -> Drawing:
    figure = Figure(figsize=_SWATCH_INCHES)
    figure.add_artist(Line2D([0.02, 0.5, 0.98], [0.5] * 3, markevery=[1], **style.line()))
    return Drawing(_svg(figure), style.words)


def handle(style: Style) -> Line2D:
    """What stands for a style in a legend of the figure's own."""
    return Line2D([0.0], [0.0], **style.line())


def log_ticks(axes: Axes, low: float, high: float, *, seconds: bool = False) -> None:
    """Ticks of a logarithmic y axis from ``low`` > 0 to ``high``, in our own characters.

    With ``seconds`` times in sensible units instead of plain numbers.
    """
    axes.set_ylim(low, high)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps: tuple[float, ...] = (1, 2, 5)
    if high / low < 4:
        steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    elif high / low >= 40:
        steps = (1, 3) if high / low < 1000 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    shown = [tick for tick in ticks if low <= tick <= high]
    shown = shown[:: math.ceil(len(shown) / _MOST_TICKS) or 1]
    write = tick_seconds if seconds else tick_number
    axes.yaxis.set_major_locator(FixedLocator(shown))
    axes.yaxis.set_major_formatter(FixedFormatter([write(tick) for tick in shown]))
    axes.yaxis.set_minor_locator(NullLocator())


def symlog_ticks(axes: Axes, values: Sequence[float]) -> None:
    """A y axis for values that may be 0: logarithmic above the smallest positive one.

    Zero keeps its true place at the bottom, one decade below the smallest positive value.
    """
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    if not positive:
        axes.set_ylim(-0.05, 1)
        axes.yaxis.set_major_locator(FixedLocator([0]))
        axes.yaxis.set_major_formatter(FixedFormatter(["0"]))
        return
    lowest = math.floor(math.log10(min(positive)))
    highest = math.ceil(math.log10(max(positive)) + 0.05)
    axes.set_yscale("symlog", linthresh=10.0**lowest, linscale=1.0)
    axes.set_ylim(-0.2 * 10.0**lowest, 10.0**highest)
    stride = max(1, math.ceil((highest - lowest) / 6))
    decades = list(range(lowest, highest + 1, stride))
    axes.yaxis.set_major_locator(FixedLocator([0.0, *(10.0**decade for decade in decades)]))
    axes.yaxis.set_major_formatter(FixedFormatter(["0", *map(power_of_ten, decades)]))
    axes.yaxis.set_minor_locator(NullLocator())
