"""Bars that cut the difference at the end of training into its parts."""

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from reports.text.formatting import MINUS, small
from reports.training.experiment import RULE_WORDS
from reports.training.gains import PARTS, Gain

WIDTH, HEIGHT = 600, 24
_MARGIN = 6
COLOURS = dict(zip(PARTS, ("#b5400f", "#e8a33d", "#6b9cc4"), strict=True))


class Piece(NamedTuple):
    """A part: lower losses lie left of the middle, higher ones right."""

    x: float
    width: float
    colour: str
    words: str


class Bar(NamedTuple):
    """One arm; ``net`` is where the whole difference is."""

    arm: str
    pieces: list[Piece]
    net: float
    words: str


class BarGroup(NamedTuple):
    """The arms of one optimizer under one rule, on one scale."""

    heading: str
    bars: list[Bar]
    unknown: list[str]


def bar_groups(found: Sequence[Gain]) -> list[BarGroup]:
    """A group for each optimizer and rule, in their order."""
    places: dict[tuple[str, str], list[Gain]] = {}
    for gain in found:
        places.setdefault((gain.optimizer, gain.rule), []).append(gain)
    return [
        _group(f"{optimizer}, {RULE_WORDS[rule]}", own) for (optimizer, rule), own in places.items()
    ]


def _group(heading: str, own: Sequence[Gain]) -> BarGroup:
    known = [gain for gain in own if gain.known]
    scale = max((_reach(gain.parts) for gain in known), default=0.0)
    unknown = [f"{gain.arm}: {_why(gain)}" for gain in own if not gain.known]
    return BarGroup(heading, [_bar(gain, scale) for gain in known], unknown)


def _why(gain: Gain) -> str:
    if not isfinite(gain.total):
        return "half of its trials or more were lost, so that there is no difference to divide."
    return "what the move changed, or the steps after it, was not recorded."


def _reach(parts: Sequence[float]) -> float:
    """The longer of the two sides."""
    return max(-sum(p for p in parts if p < 0), sum(p for p in parts if p > 0))


def _bar(gain: Gain, scale: float) -> Bar:
    unit = (WIDTH / 2 - _MARGIN) / scale if scale else 0.0
    left = right = WIDTH / 2
    pieces = []
    for name, part in zip(PARTS, gain.parts, strict=True):
        width = abs(part) * unit
        start = left - width if part < 0 else right
        left, right = (start, right) if part < 0 else (left, right + width)
        words = f"{name}: {signed(part)}"
        pieces.append(Piece(round(start, 2), round(width, 2), COLOURS[name], words))
    parts = ", ".join(piece.words for piece in pieces)
    pairs = "1 pair" if gain.pairs == 1 else f"{gain.pairs} pairs"
    words = f"{signed(gain.total)} against {gain.against} in {pairs} ({parts})"
    return Bar(gain.arm, pieces, round(WIDTH / 2 + gain.total * unit, 2), words)


def signed(value: float) -> str:
    """A difference with its sign; a falling loss has a minus."""
    text = small(value)
    return text if value == 0 or text.startswith(MINUS) else f"+{text}"
