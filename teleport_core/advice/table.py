"""An advice as aligned plain text."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING

from teleport_core.advice.verdict import percent, samples

if TYPE_CHECKING:
    from teleport_core.advice.advice import Advice, LayerAdvice

_WIDTH = 100
_TOTAL = "all directions"
_DATA_FED = "data-fed"

Line = tuple[str, ...]


def text(advice: Advice) -> str:
    """The verdict, what is free by batch size, what each tau adds, what is held; 100 columns."""
    parts = [[f"What can move in {advice.model}"], wrap(advice.verdict, _WIDTH)]
    if advice.layers:
        own = f"the loader's is {advice.own_size}"
        parts += [
            [f"Free dimensions at tau = 1 (exact), by samples in a batch; {own}", *_sizes(advice)],
            [*_taus_title(advice), *_taus(advice)],
            wrap(_legend(advice), _WIDTH),
        ]
    if advice.held:
        parts.append(["Held", *_held(advice)])
    parts += [wrap(note, _WIDTH) for note in advice.notes]
    return "\n\n".join("\n".join(part) for part in parts)


def _groups(advice: Advice) -> list[list[LayerAdvice]]:
    """The layers weight by weight."""
    return [list(found) for _, found in groupby(advice.layers, lambda layer: layer.weight)]


def _sizes(advice: Advice) -> list[str]:
    lines: list[Line] = [("weight", "rows x features", *map(str, advice.sizes), "")]
    for layers in _groups(advice):
        free = [_range([_at(layer, i, 0) for layer in layers]) for i in range(len(advice.sizes))]
        fed = _DATA_FED if all(layer.data_fed for layer in layers) else ""
        lines.append((_name(layers), _shape(layers), *free, fed))
    shares = [percent(advice.share(size)) for size in advice.sizes]
    return _aligned([*lines, (_TOTAL, "", *shares, "")])


def _taus_title(advice: Advice) -> list[str]:
    return wrap(
        f"At {samples(advice.own_size)} by tau: more free dimensions than at tau = 1, and "
        "sigma_{k+1} / sigma_1, which bounds the change of pre-activations per unit of movement",
        _WIDTH,
    )


def _taus(advice: Advice) -> list[str]:
    own = advice.sizes.index(advice.own_size)
    lines: list[Line] = [("weight", "", *(f"{tau:g}" for tau in advice.taus[1:]), "")]
    for layers in _groups(advice):
        cells = []
        for j in range(1, len(advice.taus)):
            more = _range([_more(layer, own, j) for layer in layers])
            worst = max((b[j] for layer in layers if (b := layer.bound[own])), default=0.0)
            cells.append("-" if more == "-" else f"+{more} {_bound(more, worst):>7}")
        lines.append((_name(layers), "", *cells, ""))
    shares = [percent(advice.share(advice.own_size, tau)) for tau in advice.taus[1:]]
    return _aligned([*lines, (_TOTAL, "", *shares, "")])


def _bound(more: str, worst: float) -> str:
    # Where tau adds nothing what is left out is rounding.
    return "0" if more == "0" else f"{worst:.1e}"


def _legend(advice: Advice) -> str:
    said = (
        f"{_TOTAL}: the share of all entries of these weights, moving rows x free dimensions. "
        "max_drift chooses among such taus step by step, by what the loss does."
    )
    if any(layer.data_fed for layer in advice.layers):
        said += f" {_DATA_FED}: fed by data alone; it moves in what tau adds, and not at tau = 1."
    return said


def _held(advice: Advice) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for name, why in advice.held.items():
        reasons.setdefault(why, []).append(name)
    return [
        line
        for why, names in reasons.items()
        for line in wrap(f"{why}: {', '.join(names)}", _WIDTH, subsequent_indent="  ")
    ]


def _name(layers: list[LayerAdvice]) -> str:
    return layers[0].weight if len(layers) == 1 else f"{layers[0].weight} ({len(layers)} blocks)"


def _shape(layers: list[LayerAdvice]) -> str:
    return f"{_range([one.rows for one in layers])} x {_range([one.features for one in layers])}"


def _at(layer: LayerAdvice, size: int, tau: int) -> int | None:
    free = layer.free[size]
    return None if free is None else free[tau]


def _more(layer: LayerAdvice, size: int, tau: int) -> int | None:
    free = layer.free[size]
    return None if free is None else free[tau] - free[0]


def _range(numbers: list[int | None] | list[int]) -> str:
    known = [one for one in numbers if one is not None]
    if not known:
        return "-"
    low, high = min(known), max(known)
    return str(low) if low == high else f"{low}-{high}"


def _aligned(lines: list[Line]) -> list[str]:
    """Names to the left, without their beginnings where there is no room; numbers to the right."""
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    rest = sum(width + 2 for width in widths[1:] if width)
    most = max(_WIDTH - rest, len(_TOTAL))
    name = min(widths[0], most)
    shown = []
    for first, *others in lines:
        short = first if len(first) <= name else f"...{first[3 - name :]}"
        cells = [
            f"  {cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True) if width
        ]
        shown.append(f"{short:<{name}}{''.join(cells)}".rstrip())
    return shown
