"""Objective and loss around each teleport: a saw with a tooth a teleport."""

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import median
from typing import NamedTuple

from matplotlib.ticker import MaxNLocator

from bench.storage.records import TeleportRecord
from reports.text.canvas import Drawing, Style, finish, log_ticks, look, panel
from reports.text.formatting import number
from reports.training.experiment import RULE_WORDS, Experiment
from reports.training.figures.curves import Line, draw_lines
from reports.training.moves import moving

_ROOM = 1.1
_MOST_DRAWN = 400  # teleports of a trial
# Field -> what the axis is called.
_QUANTITIES = {"objective": "objective of the teleport", "loss": "loss on the teleport batch"}


class MovePanel(NamedTuple):
    """One quantity around the teleports of one optimizer."""

    drawing: Drawing
    caption: str


def move_panels(experiment: Experiment, rule: str, styles: Mapping[str, Style]) -> list[MovePanel]:
    """A panel for each optimizer and quantity: a saw of values before and after each teleport."""
    found = []
    with look():
        for optimizer, quantity in product(experiment.optimizers, _QUANTITIES):
            arms = moving(experiment, optimizer, rule)
            saws = {arm: [_saw(c.teleports, quantity) for c in own] for arm, own in arms.items()}
            if any(saw for own in saws.values() for saw in own):
                label, where = _QUANTITIES[quantity], f"{optimizer}, {RULE_WORDS[rule]}"
                drawing = _draw(saws, label, styles, where)
                found.append(MovePanel(drawing, f"{optimizer}, {label}"))
    return found


def _saw(teleports: Sequence[TeleportRecord], quantity: str) -> Line:
    """Two points a teleport, its number from 1 on in the middle."""
    found = []
    for place, each in enumerate(teleports[:_MOST_DRAWN], 1):
        for shift, side in ((-0.3, "before"), (0.3, "after")):
            value = getattr(each, f"{quantity}_{side}")
            if value is not None and value > 0:
                found.append((place + shift, value))
    return found


def _draw(
    saws: Mapping[str, Sequence[Line]], label: str, styles: Mapping[str, Style], where: str
) -> Drawing:
    figure, axes = panel("teleport, in order", label)
    axes.set_yscale("log")
    middle = {arm: _middle(own) for arm, own in saws.items()}
    for arm, own in saws.items():
        draw_lines(axes, own, middle[arm], styles[arm], arm, 200)
    values = [y for own in saws.values() for line in own for _, y in line]
    log_ticks(axes, min(values) / _ROOM, max(values) * _ROOM)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    words = [
        f"{arm}: {number(line[0][1])} before the first, {number(line[-1][1])} after the last."
        for arm, line in middle.items()
        if line
    ]
    return finish(figure, f"{label.capitalize()} around each teleport, {where}. {' '.join(words)}")


def _middle(lines: Sequence[Line]) -> Line:
    at: dict[float, list[float]] = {}
    for x, y in (point for line in lines for point in line):
        at.setdefault(x, []).append(y)
    return [(x, median(at[x])) for x in sorted(at)]
