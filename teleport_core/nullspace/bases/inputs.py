"""What tells one layer's inputs from others: their shape, and a sketch that shows any change.

Each sample is reduced to its products with a few fixed random vectors (Johnson and Lindenstrauss):
for inputs that differ by d they differ by about |d|, whatever the direction.
"""

import math
from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from teleport_core.layers import Layer
from teleport_core.layers.operator import Operator

_PROBES = 4
# Inputs computed again after an exact move differ by so many eps at the most; measured: 10, where
# ||g||^2 of a net of four layers grew 4000 times.
_ROUNDING_EPS = 100


class Inputs(NamedTuple):
    """The inputs of one layer.

    Attributes:
        weight: name of the weight that sees them.
        ones: whether a feature of ones is there for a bias.
        uses: each input x [samples, ...] with the operator that reads it; None where the features
            of a sample are its last axis.
    """

    weight: str
    ones: bool
    uses: Sequence[tuple[Tensor, Operator | None]]


def inputs_of(layer: Layer) -> Inputs:
    """Those of a layer that was watched."""
    return Inputs(layer.weight, layer.bias is not None, [(u.x, u.operator) for u in layer.uses])


class Fingerprint(NamedTuple):
    """Of one layer's inputs.

    Attributes:
        facts: shapes, dtype and operators, in words.
        sketches: of each use [samples, probes], float64.
    """

    facts: str
    sketches: list[Tensor]


def fingerprint(inputs: Inputs) -> Fingerprint:
    """What is kept of inputs, to know them again."""
    facts = [f"{_words(operator)} {tuple(x.shape)} {x.dtype}" for x, operator in inputs.uses]
    if inputs.ones:
        facts.append("with a bias")
    return Fingerprint(", ".join(facts), [_sketch(x) for x, _ in inputs.uses])


def change(before: Fingerprint, now: Fingerprint) -> float:
    """How far the sample that changed most did, relative to the largest; facts are equal."""
    return max(map(_change, before.sketches, now.sketches), default=0.0)


def tolerance(inputs: Inputs) -> float:
    """What rounding may change of inputs, relative to their size."""
    eps = max((torch.finfo(x.dtype).eps for x, _ in inputs.uses), default=0.0)
    return min(_ROUNDING_EPS * eps, math.sqrt(eps))


def _words(operator: Operator | None) -> str:
    return repr(operator) if is_dataclass(operator) else type(operator).__name__


def _sketch(x: Tensor) -> Tensor:
    rows = x.reshape(len(x), -1) if x.dim() > 1 else x.reshape(1, -1)
    if torch.finfo(rows.dtype).bits < torch.finfo(torch.float32).bits:
        rows = rows.float()
    generator = torch.Generator().manual_seed(0)
    probes = torch.rand(rows.shape[1], _PROBES, generator=generator, dtype=torch.float64) - 0.5
    return (rows @ probes.to(rows)).double().cpu()


def _change(before: Tensor, now: Tensor) -> float:
    off, size = ((now - before).norm(dim=1), before.norm(dim=1))
    largest: Any = size.max() if len(size) else 0.0
    if not float(largest):
        return math.inf if len(off) and float(off.max()) else 0.0
    return float(off.max() / largest)
