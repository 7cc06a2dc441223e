"""How many dimensions of every layer's input are free on one batch, at each tau."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.layers import Layer, find_layers
from teleport_core.nullspace.bases.spaces import same_inputs
from teleport_core.phases import BASIS, CAPTURE
from teleport_core.problem import Problem
from teleport_core.projection import require_finite
from teleport_core.rank import RULES, resolve_rule

# Columns of a layer's input that are laid out in float64 at a time.
_COLUMNS = 4096

Block = tuple[object, ...]
"""Which rows of which weight: equal for the same rows on batches of any size."""


@dataclass(frozen=True)
class Freedom:
    """A layer on one batch.

    Attributes:
        shape: [rows, features], a feature for a bias that moves along.
        data_fed: no input depends on a parameter.
        moving: rows that may move.
        free: dimensions in which they may, at each tau.
        bound: sigma_{k+1} / sigma_1 at each tau.
    """

    weight: str
    shape: tuple[int, int]
    data_fed: bool
    moving: int
    free: tuple[int, ...]
    bound: tuple[float, ...]


def freedoms(
    problem: Problem, taus: Sequence[float]
) -> tuple[dict[Block, Freedom], dict[str, str]]:
    """What is free in every layer, in order of first use; parameters that are held, and why.

    Raises:
        ProblemError, ModelError: as ``find_layers``; or the input of a layer is not finite.
    """
    with CAPTURE:
        found = find_layers(problem)
    found.seen.drop_graph()
    known: dict[object, list[Tensor]] = {}
    made: dict[Block, Freedom] = {}
    with BASIS, torch.no_grad():
        for layer in found.layers:
            key = same_inputs(layer)
            if key not in known:
                known[key] = list(singular_values(layer.pieces(_COLUMNS)))
            block = (layer.weight, layer.part.block, layer.part.rows, layer.group)
            made[block] = _freedom(layer, known[key][layer.group], taus)
    return made, found.held


def singular_values(pieces: Iterable[Tensor]) -> Tensor:
    """Those of X [groups, columns, features], given piece by piece, float64, descending."""
    held: list[Tensor] = []
    for piece in pieces:
        require_finite(piece)
        held.append(piece.double())
        if len(held) > 1 and sum(each.shape[1] for each in held) > max(_COLUMNS, piece.shape[2]):
            held = [torch.linalg.qr(torch.cat(held, 1), mode="r").R]
    X = torch.cat(held, 1) if len(held) > 1 else held[0]
    if X.shape[1] > X.shape[2]:
        # The triangle has the same singular values, for a fraction of the time.
        X = torch.linalg.qr(X, mode="r").R
    sigma: Tensor = torch.linalg.svdvals(X)
    return sigma


def _freedom(layer: Layer, sigma: Tensor, taus: Sequence[float]) -> Freedom:
    rows, features = layer.shape
    columns, dtype = sum(use.columns for use in layer.uses), layer.uses[0].x.dtype
    ranks = [RULES[resolve_rule(None, t)](sigma, (features, columns), dtype, t) for t in taus]
    values: list[float] = sigma.tolist()
    largest = max(values, default=0.0)
    bounds = [values[k] / largest if k < len(values) and largest else 0.0 for k in ranks]
    stay = 0 if layer.looked_up is None else len(layer.looked_up)
    return Freedom(
        layer.weight,
        (rows, features),
        layer.data_fed,
        rows - stay,
        tuple(features - k for k in ranks),
        tuple(bounds),
    )
