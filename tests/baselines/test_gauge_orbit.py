"""The ascent: no step descends, the bound holds, and the closed forms are those of autograd."""

import itertools
import math
from typing import Any

import pytest
import torch
from gauge_models import build
from oracles import loss_and_grad_norm_sq, snapshot
from torch import Tensor

from baselines.gauge.orbit import Bounds, bounds_of, clipped, direction, moved, start_of, step
from baselines.gauge.pairs import Pair, Part, act, slope
from baselines.gauge.teleporter import GaugeState
from teleport_core import OptionError, Problem, Status, TeleportResult, make, teleport

NOBODY: dict[str, Tensor] = {}


def run(problem: Problem, **options: Any) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, method="gauge", **options)


def two_sided() -> tuple[list[Pair], dict[str, Tensor]]:
    """Two pairs that act on the two sides of b, and a gradient of everything."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"a": (4, 3), "b": (5, 4), "c": (2, 5), "rest": (3,)}
    gradient = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }
    four, five = torch.arange(4).view(2, 2), torch.arange(5).view(1, 5)
    low = Pair((Part("a", 0, four), Part("b", 1, four, dual=True)))
    high = Pair((Part("b", 0, five), Part("c", 1, five, dual=True)))
    return [low, high], gradient


def half(gradient: dict[str, Tensor]) -> Tensor:
    return torch.stack([g.square().sum() for g in gradient.values()]).sum() / 2


def test_the_slope_is_that_of_autograd() -> None:
    pairs, gradient = two_sided()
    for pair in pairs:
        T = torch.zeros(*pair.shape, pair.shape[1], dtype=torch.float64, requires_grad=True)
        M = torch.linalg.matrix_exp(T)
        turned = act(pair, gradient, left=torch.linalg.inv(M).mT, right=M)
        (derivative,) = torch.autograd.grad(half(turned), T)

        found = slope(pair, gradient, gradient)

        assert torch.allclose(found, (derivative + derivative.mT) / 2, rtol=1e-12)
        assert torch.allclose(derivative, derivative.mT)  # turning a pair changes no norm


def test_the_slope_of_another_objective_is_that_of_autograd() -> None:
    (pair, _), gradient = two_sided()
    derivative = {name: g.sign() for name, g in gradient.items()}  # of the sum of |g|
    T = torch.zeros(2, 2, 2, dtype=torch.float64, requires_grad=True)
    M = torch.linalg.matrix_exp((T + T.mT) / 2)
    turned = act(pair, gradient, left=torch.linalg.inv(M).mT, right=M)
    total = torch.stack([g.abs().sum() for g in turned.values()]).sum()
    (expected,) = torch.autograd.grad(total, T)

    assert torch.allclose(slope(pair, gradient, derivative), expected, rtol=1e-12)


def test_a_short_step_is_one_of_the_gradient_in_m() -> None:
    pairs, gradient = two_sided()
    bounds = [bounds_of(pair, 100.0, NOBODY) for pair in pairs]
    lr = 1e-6

    after = step(pairs, bounds, start_of(pairs, gradient), lr)

    assert after is not None
    for pair, factor in zip(pairs, after.factors, strict=True):
        T = (factor.M - torch.eye(pair.shape[1], dtype=torch.float64)) / lr
        assert torch.allclose(T, slope(pair, gradient, gradient), rtol=1e-4, atol=1e-4)


def test_the_direction_is_the_gradient_in_p_anywhere() -> None:
    """With S and S' of the start, 1/2 tr(P^-1 S) + 1/2 tr(P S') by autograd."""
    (pair, _), gradient = two_sided()
    limits = [bounds_of(pair, 100.0, NOBODY)]
    after = step([pair], limits, start_of([pair], gradient), 0.02)
    assert after is not None
    (now,) = after.factors
    S, dual = (part.gather(gradient) @ part.gather(gradient).mT for part in pair.parts)
    P = (now.M @ now.M).requires_grad_(True)
    value = ((torch.linalg.inv(P) @ S + P @ dual).diagonal(dim1=1, dim2=2).sum()) / 2
    (expected,) = torch.autograd.grad(value, P)

    found = direction(now, slope(pair, after.gradient, after.gradient)) / 2

    assert float((now.M - torch.eye(2)).norm()) > 0.05
    assert torch.allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("lr", [1e-3, 1e-1, 10.0, 1e6])
@pytest.mark.parametrize("bound", [1.5, 100.0])
def test_no_step_descends_and_the_bound_holds(lr: float, bound: float) -> None:
    pairs, gradient = two_sided()
    bounds = [bounds_of(pair, bound, NOBODY) for pair in pairs]
    orbit = start_of(pairs, gradient)
    norms = [orbit.grad_norm_sq()]
    for _ in range(12):
        after = step(pairs, bounds, orbit, lr)
        assert after is not None
        orbit = after
        norms.append(orbit.grad_norm_sq())
        for factor in orbit.factors:
            values = torch.linalg.svdvals(factor.M)
            assert float(torch.linalg.cond(factor.M).max()) <= bound * (1 + 1e-12)
            assert float(values.max()) <= math.sqrt(bound) * (1 + 1e-12)
            assert float(values.min()) >= (1 - 1e-12) / math.sqrt(bound)

    assert all(high >= low * (1 - 1e-13) for low, high in itertools.pairwise(norms))
    assert norms[1] > norms[0]


def test_the_gradient_along_the_orbit_is_that_of_all_factors_at_once() -> None:
    """What is taken step by step for the gradient, in one go; weights go the other way round."""
    pairs, gradient = two_sided()
    bounds = [bounds_of(pair, 10.0, NOBODY) for pair in pairs]
    orbit = start_of(pairs, gradient)
    for _ in range(5):
        after = step(pairs, bounds, orbit, 0.05)
        assert after is not None
        orbit = after
    expected = gradient
    for pair, factor in zip(pairs, orbit.factors, strict=True):
        expected = act(pair, expected, left=factor.inverse, right=factor.M)

    for name, value in orbit.gradient.items():
        assert torch.allclose(value, expected[name], rtol=1e-12)
    weights = moved(pairs, orbit.factors, gradient)
    # <W, G> of everything is what it was: one goes by M, the other by M^-T.
    before = sum(float((g * g).sum()) for g in gradient.values())
    after_all = sum(float((weights[n] * orbit.gradient[n]).sum()) for n in gradient)
    assert after_all == pytest.approx(before, rel=1e-12)


def test_long_steps_end_at_the_maximum_over_a_diagonal_pair() -> None:
    """Every scale stands at one of its ends: the better of the two, by trying both."""
    generator = torch.Generator().manual_seed(3)
    gradient = {
        name: torch.randn(6, 3, generator=generator, dtype=torch.float64) for name in ("a", "b")
    }
    index = torch.arange(6)[:, None]
    pair = Pair((Part("a", 0, index), Part("b", 0, index, dual=True)))
    limits = bounds_of(pair, 4.0, NOBODY)

    after = step([pair], [limits], start_of([pair], gradient), 1e9)

    assert after is not None
    a, b = (gradient[n].square().sum(1) for n in ("a", "b"))
    best = torch.maximum(4 * a + b / 4, a / 4 + 4 * b)
    assert after.grad_norm_sq() == pytest.approx(float(best.sum()), rel=1e-12)


def test_a_clipped_matrix_is_the_nearest_within_limits() -> None:
    generator = torch.Generator().manual_seed(4)
    P = torch.randn(1, 4, 4, generator=generator, dtype=torch.float64)
    P = P + P.mT
    limits = Bounds(torch.full((1, 1), 0.5).double(), torch.full((1, 1), 2.0).double())
    factor = clipped(P, limits)
    nearest = factor.M @ factor.M

    assert torch.allclose(factor.M @ factor.inverse, torch.eye(4).double(), atol=1e-12)
    for _ in range(200):
        values = 0.5 + 1.5 * torch.rand(4, generator=generator, dtype=torch.float64)
        Q = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
        other = Q @ torch.diag(values) @ Q.T
        assert float((P - nearest).norm()) <= float((P - other).norm()) + 1e-12


# --- the method ----------------------------------------------------------------------------------


@pytest.mark.parametrize("growth", [1.5, 4.0])
def test_growth_ends_where_it_was_asked_to(growth: float) -> None:
    problem = build("self-attention")

    result = run(problem, steps=3, growth=growth)

    assert result.status is Status.DONE
    assert len(result.lrs) == 3
    assert result.grad_norm_sq[-1] / result.grad_norm_sq[0] == pytest.approx(growth, rel=0.011)
    assert loss_and_grad_norm_sq(problem)[1] == pytest.approx(result.grad_norm_sq[-1], rel=1e-12)


def test_growth_beyond_the_bound_says_so() -> None:
    result = run(build("self-attention"), steps=3, growth=4.0, bound=1.1)

    assert result.status is Status.GROWTH_NOT_REACHED
    assert result.grad_norm_sq[-1] >= result.grad_norm_sq[0]


def test_the_cap_is_tested_before_each_step() -> None:
    free = run(build("self-attention"), steps=6, lr=1.0)
    cap = (free.grad_norm_sq[2] + free.grad_norm_sq[3]) / 2

    result = run(build("self-attention"), steps=6, lr=1.0, cap=cap)

    assert (result.status, result.steps_done) == (Status.CAPPED, 3)
    assert result.grad_norm_sq == free.grad_norm_sq[:4]


def test_fewer_steps_from_one_state_are_the_first_of_more() -> None:
    ends = []
    for steps in (2, 4):
        problem = build("self-attention")
        state = make("gauge").prepare(problem)
        assert isinstance(state, GaugeState)
        make("gauge", steps=4, lr=1.0).advance(problem, state)
        state.restore(problem)
        make("gauge", steps=steps, lr=1.0).advance(problem, state)
        state.restore(problem)
        make("gauge", steps=2, lr=1.0).advance(problem, state)
        ends.append(snapshot(problem))

    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_nothing_goes_up_where_the_gradient_is_zero() -> None:
    problem = build("self-attention")
    before = snapshot(problem)
    problem = Problem(problem.model, lambda o, _: 0.0 * o.sum(), problem.inputs, problem.targets)

    result = run(problem, lr=1.0)

    assert (result.status, result.steps_done) == (Status.NO_ASCENT_DIRECTION, 0)
    assert all(torch.equal(value, before[n]) for n, value in snapshot(problem).items())


@pytest.mark.parametrize("bound", [1.0, 0.5, math.inf, math.nan, "two", None])
def test_a_bound_that_is_none_is_refused(bound: object) -> None:
    with pytest.raises(OptionError, match=r"expected bound to be a finite number > 1; got"):
        make("gauge", bound=bound)
