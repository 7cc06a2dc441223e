"""Every model with a symmetry: outputs stay for any input, gradients go where they are said to."""

import itertools
from collections import Counter
from typing import Any

import pytest
import torch
from gauge_models import MODELS, build, other_inputs
from oracles import loss_and_grad_norm_sq, loss_and_gradient, output_change
from torch import Tensor

from baselines.gauge.orbit import Factor, moved_buffers
from baselines.gauge.pairs import Pair, act
from baselines.gauge.teleporter import GaugeState
from teleport_core import Guarantee, Problem, Status, TeleportResult, make, teleport
from teleport_core.problem import Parameters

EXACT = 1e-12


def prepared(problem: Problem) -> GaugeState:
    state = make("gauge").prepare(problem)
    assert isinstance(state, GaugeState)
    return state


def run(problem: Problem, **options: Any) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, method="gauge", **options)


def any_factor(pair: Pair, generator: torch.Generator) -> Tensor:
    """An M of the group that no ascent would choose: not symmetric, planes turned."""
    blocks, r = pair.shape
    noise = torch.randn(blocks, r, r, generator=generator, dtype=torch.float64)
    if pair.conformal:
        a, b = 1 + 0.3 * noise[:, 0, 0], noise[:, 0, 1]
        return torch.stack([torch.stack([a, -b], 1), torch.stack([b, a], 1)], 1)
    if r == 1:
        return (0.5 * noise).exp()
    return torch.eye(r, dtype=torch.float64) + 0.3 * noise


def outputs(problem: Problem) -> Tensor:
    with torch.no_grad():
        return problem.output().detach().clone()


@pytest.mark.parametrize("name", list(MODELS))
def test_any_matrix_of_the_group_keeps_outputs_and_turns_gradients(name: str) -> None:
    problem = build(name)
    other = other_inputs(problem)
    before, elsewhere = outputs(problem), outputs(other)
    state, own = prepared(problem), problem.copy()
    gradient: Parameters = loss_and_gradient(problem, own, differentiable=False)[1]
    generator = torch.Generator().manual_seed(2)
    factors = []
    weights, expected = own, gradient
    for pair in state.pairs:
        M = any_factor(pair, generator)
        factors.append(Factor(M, M.inverse()))
        contragredient = M.inverse().mT
        weights = act(pair, weights, left=M, right=contragredient)
        expected = act(pair, expected, left=contragredient, right=M)

    buffers = dict(problem.model.named_buffers())
    state.write(problem, weights, moved_buffers(state.pairs, factors, buffers))

    assert output_change(problem, before) < EXACT
    assert output_change(other, elsewhere) < EXACT
    real = loss_and_gradient(problem, problem.detached(), differentiable=False)[1]
    for weight, value in real.items():
        scale = max(float(expected[weight].norm()), float(gradient[weight].norm()))
        assert float((value - expected[weight]).norm()) <= EXACT * max(scale, 1e-3), weight
    assert any(not torch.allclose(real[w], gradient[w], rtol=1e-2) for w in real)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_pair_is_found(name: str) -> None:
    row = MODELS[name]
    kinds = Counter(
        "planes" if pair.conformal else "diagonal" if pair.shape[1] == 1 else "full"
        for pair in prepared(build(name)).pairs
    )

    # What is not rotated of a head is a pair beside its planes.
    assert kinds == +Counter(full=row.full, diagonal=row.diagonal, planes=row.planes)


@pytest.mark.parametrize("name", list(MODELS))
def test_a_teleport_climbs_at_every_step_and_keeps_outputs(name: str) -> None:
    problem = build(name)
    other = other_inputs(problem)
    before, elsewhere = outputs(problem), outputs(other)

    result = run(problem, steps=4, lr=1.0)  # some stand at the bound before the last step

    assert (result.status, result.guarantee) == (Status.DONE, Guarantee.EXACT_EVERYWHERE)
    assert output_change(problem, before) < EXACT
    assert output_change(other, elsewhere) < EXACT
    norms = result.grad_norm_sq
    assert all(high >= low * (1 - 1e-13) for low, high in itertools.pairwise(norms))
    assert norms[-1] > 1.001 * norms[0]
    assert norms[-1] == pytest.approx(loss_and_grad_norm_sq(problem)[1], rel=EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_is_held_by_the_bound(dtype: torch.dtype) -> None:
    problem = build("llama")
    problem.model.to(dtype)
    before = outputs(problem)

    result = run(problem, steps=8, lr=1e6)

    assert result.status is Status.DONE
    assert output_change(problem, before) < 1e3 * torch.finfo(dtype).eps
    assert result.grad_norm_sq[-1] > 10 * result.grad_norm_sq[0]


def test_heads_of_a_group_share_one_matrix() -> None:
    """Two queries to a key: with M on the key's rows, both sets of query rows take M^-T."""
    problem = build("llama")
    (planes,) = (pair for pair in prepared(problem).pairs if pair.conformal)
    sides = {part.name.split(".")[-2]: part.dual for part in planes.parts}
    parts = Counter(part.name.split(".")[-2] for part in planes.parts)

    assert sides["q_proj"] != sides["k_proj"]
    assert parts == {"q_proj": 4, "k_proj": 2}  # weight and bias, of two heads and of one
    assert planes.shape == (2 * 2, 2)


def test_a_head_is_moved_by_the_matrix_that_its_weights_show() -> None:
    """The oracle: M of a head by least squares from its queries, found again in all else."""
    problem = build("self-attention")
    before = problem.copy()
    gradient = loss_and_gradient(problem, before, differentiable=False)[1]

    run(problem, steps=4, lr=1.0)

    after = problem.copy()
    turned = loss_and_gradient(problem, after, differentiable=False)[1]
    name, bias = "attention.in_proj_weight", "attention.in_proj_bias"
    for head in range(3):
        q = slice(4 * head, 4 * head + 4)
        k = slice(12 + 4 * head, 16 + 4 * head)
        M = after[name][q] @ torch.linalg.pinv(before[name][q])
        assert float((M - torch.eye(4)).norm()) > 1e-3
        assert torch.allclose(after[bias][q], M @ before[bias][q])
        assert torch.allclose(after[name][k], M.inverse().T @ before[name][k])
        assert torch.allclose(turned[name][q], M.inverse().T @ gradient[name][q])
        assert torch.allclose(turned[name][k], M @ gradient[name][k])
    assert torch.equal(after["attention.out_proj.bias"], before["attention.out_proj.bias"])
