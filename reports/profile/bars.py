"""A bar per variant, as long as its time, cut into its phases."""

from collections.abc import Sequence
from typing import NamedTuple

from bench.storage.records import ProfileRecord
from reports.profile.phase_colours import colour_of, is_dark
from reports.profile.tables import phase_rows
from reports.run.run import as_float
from reports.text import formatting

BAR_WIDTH, BAR_HEIGHT = 600, 24
_CHARACTER = 6.2  # of a label, in units of the bar
_LEAST = 1.0  # of a bar, so that it is seen
_NAMED = 3  # phases beside a bar


class Piece(NamedTuple):
    """One phase of a bar: its place in units of the bar, its label if that fits, its words."""

    x: float
    width: float
    colour: str
    label: str
    light: bool
    words: str


class Bar(NamedTuple):
    """The time of one variant, cut into its phases; ``most`` names the longest of them."""

    variant: str
    time: str
    most: str
    pieces: list[Piece]
    words: str


def bars(records: Sequence[ProfileRecord], order: Sequence[str]) -> list[Bar]:
    """On one scale: the longest fills its line."""
    longest = max((as_float(record.seconds) for record in records), default=1.0)
    return [_bar(record, order, longest) for record in records]


def _bar(record: ProfileRecord, order: Sequence[str], longest: float) -> Bar:
    shares = {row.phase: max(row.share, 0.0) for row in phase_rows(record)}
    length = max(BAR_WIDTH * as_float(record.seconds) / longest, _LEAST)
    pieces = []
    x = 0.0
    for name in (name for name in order if name in shares):
        width = length * shares[name]
        label = _label(name, f"{100 * shares[name]:.0f} %", width)
        words = f"{name} {formatting.percent(shares[name])}"
        place = (round(x, 2), round(width, 2), colour_of(name))
        pieces.append(Piece(*place, label, is_dark(name), words))
        x += width
    first = sorted(shares, key=lambda name: -shares[name])[:_NAMED]
    most = ", ".join(f"{name} {100 * shares[name]:.0f}\N{NO-BREAK SPACE}%" for name in first)
    alt = f"{record.variant}: " + ", ".join(piece.words for piece in pieces)
    return Bar(record.variant, formatting.seconds(as_float(record.seconds)), most, pieces, alt)


def _label(name: str, percent: str, width: float) -> str:
    """The longest label that fits into a piece."""
    labels = (f"{name} {percent}", percent)
    return next((label for label in labels if (len(label) + 1) * _CHARACTER <= width), "")
