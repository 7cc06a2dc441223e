"""The textbook engine against slower ways to know the answer, all in float64."""

from functools import partial

import pytest
import torch
from oracles import (
    flat_hessian_gradient,
    identical,
    loss_and_gradient,
    null_space_projector,
    output_change,
    snapshot,
)
from small_problems import batch, classification, mlp, regression, residual
from torch import nn
from torch.nn import functional as F

from teleport_core import Guarantee, Problem, Status, make
from teleport_core.layers import linear_layers
from teleport_core.norms import squared_norm
from teleport_core.nullspace import textbook
from teleport_core.nullspace.engine import Climb
from teleport_core.objectives.gradient import gradient_at, objective_gradient

BUILDERS = {
    "relu": lambda: classification([9, 8, 7, 4], 5),
    "no-bias": lambda: classification([9, 8, 7, 4], 5, nn.Tanh, bias=False),
    "regression": lambda: regression([6, 9, 9, 2], 4, nn.Softplus),
    "residual": residual,
}


@pytest.fixture(params=list(BUILDERS))
def problem(request: pytest.FixtureRequest) -> Problem:
    return BUILDERS[request.param]()


def raw_objective_gradient(problem: Problem) -> dict[str, torch.Tensor]:
    """H g for every counted parameter by double backward."""
    counted = problem.counted()
    leaves = {k: v.clone().requires_grad_(True) for k, v in problem.detached().items()}
    _, gradient = gradient_at(problem, leaves, counted, differentiable=True)
    return objective_gradient(leaves, gradient, counted)


def test_double_backward_is_the_dense_hessian_times_the_gradient(problem: Problem) -> None:
    flat = torch.cat([v.reshape(-1) for v in raw_objective_gradient(problem).values()])

    torch.testing.assert_close(flat, flat_hessian_gradient(problem), atol=1e-12, rtol=1e-9)


def test_one_step_is_the_projected_hessian_gradient_with_a_plus_sign(problem: Problem) -> None:
    before = snapshot(problem)
    full = raw_objective_gradient(problem)
    layers = linear_layers(problem)
    teleporter = make("nullspace", engine="textbook", steps=1, lr=0.37)

    teleporter.advance(problem, teleporter.prepare(problem))

    after = problem.detached()
    for layer in layers:
        free = null_space_projector(layer.representation().T)
        expected = layer.gather(before) + 0.37 * layer.gather(full) @ free
        torch.testing.assert_close(layer.gather(after), expected, atol=1e-11, rtol=0)


def test_projected_gradient_of_the_first_layer_is_zero(problem: Problem) -> None:
    full = raw_objective_gradient(problem)
    first = linear_layers(problem)[0]
    matrix = first.gather(full)

    left = matrix @ null_space_projector(first.representation().T)

    assert first.data_fed
    assert matrix.norm() > 1e-3
    assert left.norm() <= 1e-12 * matrix.norm()


def test_first_layer_does_not_move(problem: Problem) -> None:
    before = snapshot(problem)
    first = linear_layers(problem)[0]
    teleporter = make("nullspace", engine="textbook", steps=8, lr=0.05)

    result = teleporter.advance(problem, teleporter.prepare(problem))

    assert result.status is Status.DONE
    assert torch.equal(problem.detached()[first.weight], before[first.weight])
    assert result.null_dims[first.weight] is None
    assert not identical(problem, before)


def test_objective_rises_at_the_rate_of_the_projected_gradient() -> None:
    """d ||g||^2 = 2 lr ||pi(Hg)||^2 to first order (algorithms, oracle 3)."""
    problem = classification([9, 8, 7, 4], 5, nn.Tanh)
    state = textbook.prepare(problem, Climb(published=True))
    counted = problem.counted()
    leaves = {k: v.clone().requires_grad_(True) for k, v in problem.detached().items()}
    _, gradient = gradient_at(problem, leaves, counted, differentiable=True)
    uphill = textbook.projected_objective_gradient(state, leaves, gradient)
    slope = 2 * squared_norm(uphill.values())

    def objective(lr: float) -> torch.Tensor:
        moved = problem.detached() | {k: problem.detached()[k] + lr * v for k, v in uphill.items()}
        return squared_norm(loss_and_gradient(problem, moved, differentiable=False)[1].values())

    lr = 1e-4
    measured = (objective(lr) - objective(-lr)) / (2 * lr)

    torch.testing.assert_close(measured, slope.detach(), rtol=1e-5, atol=0)


def test_full_rank_inputs_leave_nothing_free() -> None:
    problem = classification([5, 4, 4, 3], 12, nn.Tanh)
    before = snapshot(problem)
    teleporter = make("nullspace", engine="textbook")

    result = teleporter.advance(problem, teleporter.prepare(problem))

    assert result.status is Status.NO_NULL_SPACE
    assert result.steps_done == 0
    assert identical(problem, before)


def test_one_layer_has_no_ascent_direction() -> None:
    for dtype in (torch.float64, torch.float32):
        problem = classification([20, 5], 6, dtype=dtype)
        before = snapshot(problem)
        teleporter = make("nullspace", engine="textbook")

        result = teleporter.advance(problem, teleporter.prepare(problem))

        assert result.status is Status.NO_ASCENT_DIRECTION
        assert identical(problem, before)


def test_cap_below_the_present_norm_moves_nothing(problem: Problem) -> None:
    before = snapshot(problem)
    teleporter = make("nullspace", engine="textbook", cap=1e-9)

    result = teleporter.advance(problem, teleporter.prepare(problem))

    assert result.status is Status.CAPPED
    assert result.steps_done == 0
    assert identical(problem, before)


def test_cap_is_tested_before_each_step_as_published() -> None:
    problem = classification([9, 8, 7, 4], 5, nn.Tanh)
    free = make("nullspace", engine="textbook", steps=6, lr=1.0)
    norms = free.advance(problem, free.prepare(problem)).grad_norm_sq
    problem = classification([9, 8, 7, 4], 5, nn.Tanh)
    capped = make("nullspace", engine="textbook", steps=6, lr=1.0, cap=norms[3] * 0.999)

    result = capped.advance(problem, capped.prepare(problem))

    assert norms == sorted(norms[:-1]) + norms[-1:]
    assert result.status is Status.CAPPED
    assert result.steps_done == 3
    assert result.grad_norm_sq == norms[:4]


def test_divergence_goes_back_to_the_last_finite_step() -> None:
    problem = regression([6, 9, 9, 2], 4, nn.Softplus)
    teleporter = make("nullspace", engine="textbook", steps=50, lr=50.0)

    result = teleporter.advance(problem, teleporter.prepare(problem))

    assert result.status is Status.NON_FINITE
    assert 0 < result.steps_done < 50
    replay = regression([6, 9, 9, 2], 4, nn.Softplus)
    steps = make("nullspace", engine="textbook", steps=result.steps_done, lr=50.0)
    steps.advance(replay, steps.prepare(replay))
    assert identical(problem, snapshot(replay))
    assert all(torch.isfinite(value).all() for value in problem.detached().values())


@pytest.mark.parametrize("rule", ["energy", "gpm", "energy_float32"])
def test_below_one_more_is_free_and_the_guarantee_says_so(rule: str) -> None:
    problem = classification([20, 16, 12, 5], 8)
    exact = make("nullspace", engine="textbook", steps=1)
    loose = make("nullspace", engine="textbook", steps=1, tau=0.9, rank_rule=rule)

    few = exact.advance(problem, exact.prepare(problem))
    many = loose.advance(problem, loose.prepare(problem))

    assert few.guarantee is Guarantee.EXACT_ON_BATCH
    assert many.guarantee is Guarantee.APPROXIMATE
    assert many.null_dims["2.weight"][0] > few.null_dims["2.weight"][0]  # type: ignore[index]
    assert many.null_dims["0.weight"] is not None


def test_without_the_row_of_ones_a_moving_bias_would_change_outputs() -> None:
    """The control of the exactness test: project the bias gradient on nothing."""
    problem = classification([20, 16, 12, 5], 8)
    before = problem.output().detach()
    bias = raw_objective_gradient(problem)["2.bias"]

    problem.write({"2.bias": problem.detached()["2.bias"] + 0.1 * bias})

    assert output_change(problem, before) > 1e-6


def test_frozen_parameters_neither_move_nor_count() -> None:
    problem = classification([9, 8, 7, 4], 5, nn.Tanh)
    problem.model[2].weight.requires_grad_(False)  # type: ignore[index]
    before = snapshot(problem)
    teleporter = make("nullspace", engine="textbook", steps=3, lr=0.3)

    result = teleporter.advance(problem, teleporter.prepare(problem))

    gradient = loss_and_gradient(
        Problem(problem.model, problem.loss_fn, problem.inputs, problem.targets),
        dict(before),
        differentiable=False,
    )[1]
    assert "2.weight" not in gradient
    assert result.grad_norm_sq[0] == pytest.approx(
        float(squared_norm(gradient.values())), rel=1e-12
    )
    assert torch.equal(problem.detached()["2.weight"], before["2.weight"])
    assert not torch.equal(problem.detached()["4.weight"], before["4.weight"])


def test_dict_and_tuple_inputs_give_the_same_teleport() -> None:
    inputs, targets = batch(4, 10, 3)
    ends = []
    for form in (inputs, (inputs,), {"input": inputs}):
        model = mlp([10, 8, 3], nn.Tanh)
        problem = Problem(model, partial(F.cross_entropy, reduction="mean"), form, targets)
        teleporter = make("nullspace", engine="textbook", steps=3, lr=0.3)
        teleporter.advance(problem, teleporter.prepare(problem))
        ends.append(snapshot(problem))

    assert all(torch.equal(ends[0][k], end[k]) for end in ends[1:] for k in end)
