"""Objectives of the parameters: sharpness, curvature, a loss on other data."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from oracles import identical, null_space_projector, output_change, snapshot
from small_problems import CASES, classification
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import ModelError, Problem, Status, TeleportResult, teleport
from teleport_core.objectives import Curvature, Sharpness
from teleport_core.objectives.curvature import curvature
from teleport_core.problem import Parameters


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


def run(problem: Problem, **options: Any) -> TeleportResult:
    return teleport(problem.model, problem.loss_fn, (problem.inputs, problem.targets), **options)


@dataclass
class LossOn:
    inputs: Tensor
    targets: Tensor

    def value(self, problem: Problem, parameters: Parameters) -> Tensor:
        return replace(problem, inputs=self.inputs, targets=self.targets).loss(parameters)


def other_data(problem: Problem) -> LossOn:
    generator = torch.Generator().manual_seed(9)
    inputs = torch.randn(problem.inputs.shape, generator=generator, dtype=torch.float64)
    return LossOn(inputs, problem.targets)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_loss_on_other_data_moves_while_that_of_the_batch_stays(direction: str) -> None:
    problem = classification([20, 16, 12, 5], 6, nn.Tanh)
    before, objective = problem.output().detach(), other_data(problem)
    start = float(objective.value(problem, problem.detached()))

    result = run(problem, objective=objective, direction=direction, lr=0.05, steps=5)

    assert (result.status, result.engine.name) == (Status.DONE, "textbook")
    assert output_change(problem, before) < 1e-12
    assert result.objective[0] == pytest.approx(start, rel=1e-12)
    assert result.objective == sorted(result.objective, reverse=direction == "down")
    assert abs(result.objective[-1] - start) > 0.01
    end = float(objective.value(problem, problem.detached()))
    assert result.objective[-1] == pytest.approx(end, rel=1e-12)
    # The first layer, which data alone feeds, moves, too.
    assert result.null_dims["0.weight"] == [15]


def test_its_step_is_its_gradient_projected() -> None:
    problem = classification([20, 16, 12, 5], 6, nn.Tanh, bias=False)
    objective, before = other_data(problem), snapshot(problem)
    leaves = problem.leaves(problem.detached())
    (full,) = torch.autograd.grad(objective.value(problem, leaves), [leaves["0.weight"]])

    run(problem, objective=objective, direction="down", lr=0.1, steps=1)

    moved = problem.detached()["0.weight"] - before["0.weight"]
    expected = -0.1 * full @ null_space_projector(problem.inputs)
    assert (moved - expected).norm() < 1e-10 * expected.norm()


def test_growth_and_cap_go_with_it() -> None:
    problem = classification([20, 16, 12, 5], 6, nn.Tanh)

    grown = run(problem, objective=other_data(problem), growth=1.4, steps=3)

    assert grown.status is Status.DONE
    assert grown.objective[-1] / grown.objective[0] == pytest.approx(1.4, rel=0.0101)

    capped = classification([20, 16, 12, 5], 6, nn.Tanh)
    before = snapshot(capped)
    result = run(capped, objective=other_data(capped), cap=1e-9, verify="off")
    assert (result.status, result.steps_done) == (Status.CAPPED, 0)
    assert identical(capped, before)


@pytest.mark.parametrize("net", ["gelu-deep", "residual-batchnorm"])
def test_sharpness_is_the_mean_loss_around(net: str) -> None:
    problem = CASES[net].build()
    leaves = problem.leaves(problem.detached())
    names = problem.counted()
    one = Sharpness(radii=(0.2, 0.5), directions=2, seed=3)
    generator = torch.Generator().manual_seed(3)
    losses = []
    for radius in (0.2, 0.5):
        for _ in range(2):
            drawn = [
                torch.randn(leaves[n].shape, generator=generator, dtype=torch.float64)
                for n in names
            ]
            size = torch.cat([d.flatten() for d in drawn]).norm()
            moved = {n: leaves[n] + radius * d / size for n, d in zip(names, drawn, strict=True)}
            losses.append(problem.loss(moved))
    mean = torch.stack(losses).mean()

    value = one.value(problem, leaves)

    assert float(value.detach()) == pytest.approx(float(mean.detach()), rel=1e-13)
    wanted = [leaves[n] for n in names]
    found, expected = torch.autograd.grad(value, wanted), torch.autograd.grad(mean, wanted)
    pairs = zip(found, expected, strict=True)
    assert all(torch.allclose(a, b, rtol=1e-11, atol=1e-15) for a, b in pairs)
    assert torch.equal(one.value(problem, leaves).detach(), value.detach())


@pytest.mark.parametrize(
    ("objective", "growth"), [(Sharpness((0.3,), 2), 1.1), (Curvature(3), 1.2)]
)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_sharpness_and_curvature_go_both_ways(
    objective: Sharpness | Curvature, growth: float, direction: str
) -> None:
    problem = classification([20, 16, 12, 5], 8, leaky)

    result = run(problem, objective=objective, growth=growth, direction=direction, steps=2)

    factor = result.objective[-1] / result.objective[0]
    assert result.status is Status.DONE
    assert factor == pytest.approx(growth if direction == "up" else 1 / growth, rel=0.0101)


def test_a_circle_has_the_curvature_of_its_radius() -> None:
    t, r = torch.tensor(0.7, dtype=torch.float64), 2.5
    first = [r * 3 * torch.stack([-(3 * t).sin(), (3 * t).cos()])]
    second = [r * 9 * torch.stack([-(3 * t).cos(), -(3 * t).sin()])]

    assert float(curvature(first, second)) == pytest.approx(1 / r, rel=1e-14)


@pytest.mark.parametrize("bias", [True, False])
def test_curvature_is_that_of_the_orbit(bias: bool) -> None:
    """Both derivatives of the curve itself, by differences of three of its points."""
    problem = classification([9, 7, 6, 4], 5, leaky, bias=bias)
    values, h = problem.detached(), problem.inputs.T
    generator = torch.Generator().manual_seed(0)
    kappas = []
    for m, above in (("0", "2"), ("2", "4")):
        V, U = values[f"{m}.weight"], values[f"{above}.weight"]
        if bias:
            V = torch.cat([V, values[f"{m}.bias"][:, None]], 1)
            h = torch.cat([h, torch.ones(1, h.shape[1], dtype=torch.float64)])
        a, inverse = F.leaky_relu(V @ h, 0.1), torch.linalg.pinv(h)
        for _ in range(2):
            M = torch.rand(len(V), len(V), generator=generator, dtype=torch.float64)
            M = M / M.norm()

            back, here, on = (
                torch.cat([
                    (F.leaky_relu(torch.linalg.matrix_exp(t * M) @ a, 10.0) @ inverse).flatten(),
                    (U @ torch.linalg.matrix_exp(-t * M)).flatten(),
                ])
                for t in (-1e-3, 0.0, 1e-3)
            )  # fmt: skip
            first, second = (on - back) / 2e-3, (on - 2 * here + back) / 1e-6
            square = first.norm() ** 2 * second.norm() ** 2 - (first @ second) ** 2
            kappas.append(float(square.sqrt() / first.norm() ** 3))
        h = a

    found = Curvature(matrices=2).value(problem, values)

    assert float(found) == pytest.approx(sum(kappas) / 4, rel=1e-6)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (CASES["gelu-deep"].build, r"1 \(GELU\) is something else"),
        (CASES["residual-batchnorm"].build, "expected a stack of nn.Linear"),
        (lambda: classification([20, 5], 6), "there is one layer"),
    ],
)
def test_where_the_orbit_is_not_known_curvature_says_so(build: Any, text: str) -> None:
    problem = build()
    before = snapshot(problem)

    with pytest.raises(ModelError, match=text):
        run(problem, objective=Curvature())

    assert identical(problem, before)


class Edged:
    """A number up to where the first weight has moved by a twentieth."""

    def __init__(self, problem: Problem) -> None:
        self.start = problem.detached()["0.weight"].clone()

    def value(self, problem: Problem, parameters: Parameters) -> Tensor:
        moved = (parameters["0.weight"] - self.start).norm()
        return parameters["0.weight"].sum() + 0 * (0.05 - moved.detach()).log()


def test_a_value_that_stops_being_a_number_takes_the_step_back() -> None:
    problem = classification([20, 16, 5], 6, nn.Tanh)

    result = run(problem, objective=Edged(problem), lr=1e-3, steps=50)

    assert result.status is Status.NON_FINITE
    assert 0 < result.steps_done < 50
    assert math.isfinite(result.objective[-1])
    assert result.objective == sorted(result.objective)
