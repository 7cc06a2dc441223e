"""A flame graph of a call: phases on top, the operators within them below, as wide as their time.

B. Gregg, The Flame Graph, ACM Queue 14 (2016), here with the root on top.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from bench.storage.records import ProfileRecord
from reports.profile.phase_colours import colour_of, is_dark
from reports.text import formatting

WIDTH, LINE = 1000, 18
_CHARACTER = 6.4
_NARROWEST = 2.5  # what is narrower is left out
_DEEPEST = 12


@dataclass
class _Node:
    seconds: float = 0.0
    within: dict[str, "_Node"] = field(default_factory=dict)


class Box(NamedTuple):
    """A phase or an operator: its place, its label if that fits, its words."""

    x: float
    y: int
    width: float
    colour: str
    label: str
    light: bool
    words: str


class Flame(NamedTuple):
    """The flame graph of a variant, and the file of its folded stacks."""

    variant: str
    boxes: list[Box]
    file: str
    words: str
    height: int
    width: int = WIDTH
    line: int = LINE


def flame(record: ProfileRecord) -> Flame | None:
    """None where no stacks were recorded, as before there were any."""
    found = record.traced.stacks if record.traced else []
    root = _Node()
    for each in found:
        node = root
        for name in each.stack[:_DEEPEST]:
            node.seconds += each.seconds
            node = node.within.setdefault(name, _Node())
        node.seconds += each.seconds
    if not root.seconds > 0:
        return None
    boxes: list[Box] = []
    _place(root, 0.0, 0, WIDTH / root.seconds, "", root.seconds, boxes)
    height = (max(box.y for box in boxes) // LINE + 1) * LINE
    first = sorted(root.within, key=lambda name: -root.within[name].seconds)[:4]
    parts = [f"{n} {formatting.percent(root.within[n].seconds / root.seconds)}" for n in first]
    words = f"{record.variant}: {', '.join(parts)}; of what is within see the folded stacks"
    return Flame(record.variant, boxes, record.stacks or "", words, height)


def _place(
    node: _Node, x: float, depth: int, unit: float, phase: str, whole: float, boxes: list[Box]
) -> None:
    """The children of a node below it, the longest first."""
    for name in sorted(node.within, key=lambda n: (-node.within[n].seconds, n)):
        own = node.within[name]
        width = own.seconds * unit
        if width < _NARROWEST:
            continue
        of = phase or name
        short = name.removeprefix("aten::")
        label = short if (len(short) + 1) * _CHARACTER <= width else ""
        share = formatting.percent(own.seconds / whole)
        words = f"{name}: {formatting.seconds(own.seconds)}, {share}"
        colour = colour_of(of)
        place = (round(x, 1), depth * LINE, round(width, 1))
        boxes.append(Box(*place, colour, label, is_dark(of), words))
        _place(own, x, depth + 1, unit, of, whole, boxes)
        x += width
