"""How far pre-activations may move, beside how far they do, on every architecture."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from oracles import snapshot
from zoo import ZOO, build

from teleport_core import Problem, Status, make
from teleport_core.nullspace.bases import bounds
from teleport_core.nullspace.bases.bounds import (
    LayerInputs,
    bound_of,
    change_of,
    layer_inputs,
    preactivation_bound,
    preactivation_change,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
]

TAUS = (0.9999, 0.99, 0.95, 0.9)
RULES = ("energy", "gpm", "energy_float32")
MOVING = [name for name, row in ZOO.items() if row.status is Status.DONE]
CASES = [
    (name, rule, TAUS[(i + j) % len(TAUS)])
    for (i, name), (j, rule) in product(enumerate(MOVING), enumerate(RULES))
]

Values = dict[str, torch.Tensor]


def moved(name: str, rule: str, tau: float) -> tuple[Problem, list[LayerInputs], Values, Values]:
    """A row, its inputs, and its parameters before and after two steps."""
    problem = build(name)
    inputs, before = layer_inputs(problem, tau, rule), snapshot(problem)
    teleporter = make("nullspace", tau=tau, rank_rule=rule, steps=2, lr=1e-3)
    teleporter.advance(problem, teleporter.prepare(problem))
    return problem, inputs, before, snapshot(problem)


def held(layer: LayerInputs, before: Values, after: Values) -> bool:
    """The bound, up to the rounding of weights and products in float64."""
    size = float(layer.layer.gather(before).norm()) * float(layer.sigma[0])
    rounding = 64 * torch.finfo(torch.float64).eps * size
    return change_of(layer, before, after) <= bound_of(layer, before, after) * (1 + 1e-9) + rounding


@pytest.mark.parametrize(("name", "rule", "tau"), CASES)
def test_no_layer_moves_further_than_its_bound(name: str, rule: str, tau: float) -> None:
    _, inputs, before, after = moved(name, rule, tau)

    assert all(held(layer, before, after) for layer in inputs)
    change, bound = (f(inputs, before, after) for f in (preactivation_change, preactivation_bound))
    assert change <= bound * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("name", ["conv2d-pool", "encoder-prenorm", "lstm", "raw-products"])
def test_the_next_singular_value_would_not_do(name: str) -> None:
    """sigma_{k+2} in place of sigma_{k+1}: the bound is as tight as it can be."""
    missed = []
    for tau in TAUS:
        _, inputs, before, after = moved(name, "energy", tau)
        for layer in inputs:
            k = int((layer.sigma > layer.residual).sum())
            if k + 1 < len(layer.sigma):
                wrong = replace(layer, residual=float(layer.sigma[k + 1]))
                move = _along(layer, k)
                worst = after | {n: before[n] + move[n] for n in layer.layer.names()}
                assert held(layer, before, worst)
                missed.append(held(wrong, before, worst))

    assert missed.count(False) > len(missed) / 2


def _along(layer: LayerInputs, k: int) -> Values:
    """A move of the first row along the first direction that the rule leaves free."""
    left = torch.linalg.svd(layer.layer.representation().double(), full_matrices=False).U
    values = layer.layer.uses[0].tape.parameters
    zeros = {name: torch.zeros_like(values[name]) for name in layer.layer.names()}
    matrix = torch.zeros(layer.layer.shape, dtype=torch.float64)
    matrix[0] = left[:, k]
    layer.layer.add(zeros, matrix)
    return zeros


@pytest.mark.parametrize("name", ["conv2d-pool", "unet-instancenorm", "shared-layers"])
def test_pieces_add_up_to_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, inputs, before, after = moved(name, "energy", 0.9)
    whole = [
        float((layer.moved(before, after) @ layer.layer.representation().double()).norm())
        for layer in inputs
    ]

    monkeypatch.setattr(bounds, "_COLUMNS", 3)
    pieces = [change_of(layer, before, after) for layer in inputs]

    assert pieces == pytest.approx(whole, rel=1e-10, abs=1e-15)
    assert max(pieces) > 0
