"""so2: rotations keep the loss, the best angle is the best, the released ascent is repeated."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from oracles import identical, snapshot
from plane_problems import descended, point_of, run
from small_problems import CASES
from torch import Tensor

from baselines.so2.rotation import best_angles, climbed_angles, grad_norm_sq_at, rotated
from baselines.test_functions import FUNCTIONS, problem_of
from teleport_core import (
    Guarantee,
    ModelError,
    OptionError,
    Problem,
    ProblemError,
    Status,
    TeleportResult,
    make,
)

every = pytest.mark.parametrize("name", ["booth", "rosenbrock", "ellipse"])
LEVEL_99 = 0.7645973444710297  # of Rosenbrock after 99 steps of 1e-3 from (-1, -1)


def so2(problem: Problem, **options: object) -> TeleportResult:
    return run(problem, "so2", **options)


@every
@pytest.mark.parametrize("policy", ["exact", "random"])
def test_the_loss_stays_to_rounding(name: str, policy: str) -> None:
    problem = problem_of(name)

    result = so2(problem, policy=policy, steps=10)

    assert result.loss[-1] == pytest.approx(result.loss[0], rel=1e-13)
    assert all(loss == pytest.approx(result.loss[0], rel=1e-12) for loss in result.loss)
    assert (result.status, result.guarantee) == (Status.DONE, Guarantee.APPROXIMATE)
    assert len(result.grad_norm_sq) == result.steps_done + 1 == 11


@every
def test_the_best_angle_is_the_best_of_many(name: str) -> None:
    function = FUNCTIONS[name]
    start = torch.tensor(function.start, dtype=torch.float64)
    many = torch.linspace(0, 2 * math.pi, 200_001, dtype=torch.float64)
    norms = grad_norm_sq_at(function, rotated(function, start, many).requires_grad_(True)).detach()

    result = so2(problem_of(name))

    assert result.grad_norm_sq[-1] >= float(norms.max()) * (1 - 1e-14)
    assert result.grad_norm_sq[-1] == pytest.approx(float(norms.max()), rel=1e-7)
    assert result.grad_norm_sq[1:] == sorted(result.grad_norm_sq[1:])


@pytest.mark.parametrize("name", ["booth", "ellipse"])
def test_on_quadratics_the_best_is_the_top_eigenvector(name: str) -> None:
    problem = problem_of(name)

    result = so2(problem)

    assert result.grad_norm_sq[-1] == pytest.approx(36 * result.loss[0], rel=1e-13)
    minimiser = FUNCTIONS[name].minimisers[0]
    assert descended(problem, 1 / 18) == pytest.approx(minimiser, abs=1e-7)


def losses_of_descent(
    name: str, lr: float, steps: int, teleports: dict[int, Callable[[Problem], object]]
) -> list[float]:
    """Gradient descent with teleports before some steps; the loss before every step."""
    problem = problem_of(name)
    losses = []
    for step in range(steps):
        teleports.get(step, lambda _: None)(problem)
        losses.append(float(problem.loss().detach()))
        problem.write({"point": torch.tensor(descended(problem, lr), dtype=torch.float64)})
    return losses


def test_booth_of_the_paper() -> None:
    plain = losses_of_descent("booth", 0.08, 10, {})
    losses = losses_of_descent("booth", 0.08, 10, {4: so2})

    assert (plain[4], plain[9]) == (pytest.approx(17.9482, rel=1e-5), pytest.approx(3.1215))
    assert losses[:4] == plain[:4]
    assert losses[4] == pytest.approx(plain[4], rel=1e-13)
    assert losses[9] == pytest.approx(17.9482 * 0.1936**5, rel=1e-5)
    assert losses[9] == pytest.approx(4.8814e-3, rel=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_booth_of_the_released_script(seed: int) -> None:
    def turn(problem: Problem) -> None:
        _, _, end = released(problem, 1e-3, seed)
        problem.write({"point": end})

    losses = losses_of_descent("booth", 0.08, 10, {4: turn})

    assert losses[9] == pytest.approx(0.00488144, rel=5e-5)


def test_the_random_policy_is_the_released_ascent_from_its_own_draw() -> None:
    losses = losses_of_descent(
        "booth", 0.08, 10, {4: lambda p: so2(p, policy="random", steps=10, seed=2)}
    )

    assert losses[9] == pytest.approx(4.8814e-3, rel=2e-3)


def on_rosenbrocks_level() -> Problem:
    r = LEVEL_99**0.5
    chart = FUNCTIONS["rosenbrock"].chart
    assert chart is not None
    x, y = chart.back(torch.tensor([0.6 * r, -0.8 * r], dtype=torch.float64)).tolist()
    return problem_of("rosenbrock", (x, y))


def test_rosenbrocks_maximum_on_its_level() -> None:
    problem = on_rosenbrocks_level()

    result = so2(problem)

    assert result.loss[-1] == pytest.approx(LEVEL_99, rel=1e-12)
    assert result.grad_norm_sq[-1] == pytest.approx(2208.31, abs=0.005)
    assert point_of(problem).tolist() == pytest.approx([1.404836, 1.896060], abs=1e-6)


def test_level_set_finds_the_same_maximum() -> None:
    exact, problem = so2(on_rosenbrocks_level()), on_rosenbrocks_level()

    found = run(problem, "level_set", sublevel=False, rho=10.0, steps=300, tolerance=1e-10)

    assert found.grad_norm_sq[-1] == pytest.approx(exact.grad_norm_sq[-1], rel=1e-3)


def released(
    problem: Problem, lr: float, seed: int, dtype: torch.dtype = torch.float64
) -> tuple[float, Tensor, Tensor]:
    """||grad f||^2, the angles and the end of the released ascent, its angle drawn by numpy."""
    function = FUNCTIONS[problem.model.function]
    drawn = np.random.RandomState(seed).random_sample() * np.pi
    point = point_of(problem).to(dtype)
    angles = climbed_angles(function, point, torch.tensor([drawn], dtype=dtype), lr, 10)
    end = rotated(function, point, angles[-1:]).requires_grad_(True)
    return float(grad_norm_sq_at(function, end).detach()), angles, end.detach()[:, 0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_on_rosenbrock_the_released_ascent_throws(seed: int) -> None:
    # Steps of many radians: one rounding more or less leads elsewhere.
    double, angles, _ = released(on_rosenbrocks_level(), 0.1, seed)
    single, _, _ = released(on_rosenbrocks_level(), 0.1, seed, torch.float32)

    assert float((angles[1:] - angles[:-1]).abs().max()) > 2 * math.pi
    assert double != pytest.approx(single, rel=1e-3)
    assert 0.20 < min(double, single) <= max(double, single) < 2208.32


def test_the_released_ascent_ends_before_its_last_update() -> None:
    function, start = FUNCTIONS["booth"], torch.tensor([5.0, -5.0], dtype=torch.float64)
    theta, lr, visited = torch.tensor(1.0, dtype=torch.float64), 1e-4, []
    for _ in range(4):
        theta = theta.detach().requires_grad_(True)
        u, v = start[0] + 2 * start[1] - 7, 2 * start[0] + start[1] - 5
        p, q = theta.cos() * u - theta.sin() * v, theta.sin() * u + theta.cos() * v
        norm_sq = (2 * p + 4 * q) ** 2 + (4 * p + 2 * q) ** 2
        visited.append(float(theta.detach()))
        theta = theta + lr * torch.autograd.grad(norm_sq, theta)[0]

    found = climbed_angles(function, start, torch.tensor([1.0], dtype=torch.float64), lr, 4)

    assert found.tolist() == pytest.approx(visited, rel=1e-12)


def test_a_circle_of_equal_values_has_no_step() -> None:
    circle = FUNCTIONS["booth"]._replace(value=lambda p: p.square().sum())
    circle = circle._replace(chart=type(circle.chart)(lambda p: p, lambda uv: uv))

    angles = best_angles(circle, torch.tensor([1.0, 2.0], dtype=torch.float64), 3)

    assert bool(torch.isfinite(angles).all())


def test_seeds_and_learning_rates_of_ones_own() -> None:
    ends = [
        so2(problem_of("booth"), policy="random", steps=2, **options).grad_norm_sq
        for options in ({}, {"seed": 1}, {"lr": 1e-5}, {"lr": 1e-3})
    ]

    assert ends[0] == ends[3] != ends[2]
    assert ends[0][1] != ends[1][1]
    assert ends[0][1] == ends[2][1]


def test_the_cap_ends_it_and_may_be_passed_by_the_last_step() -> None:
    problem = problem_of("rosenbrock")
    before = snapshot(problem)
    assert so2(problem, cap=1.0, verify="off").status is Status.CAPPED
    assert identical(problem, before)

    result = so2(problem, cap=7e7, verify="off", steps=3)

    assert (result.status, result.steps_done) == (Status.CAPPED, 1)
    assert 7e7 <= result.grad_norm_sq[-1] < 7e8


@pytest.mark.parametrize("name", ["beale", "goldstein_price", "hyperbola", "relu"])
def test_any_other_model_is_refused_by_name(name: str) -> None:
    problem = CASES[name].build() if name in CASES else problem_of(name)
    came = "got Sequential: " if name in CASES else f"got PlanePoint of '{name}': "
    with pytest.raises(ModelError, match=f"expected a PlanePoint of booth, .*{came}build it"):
        so2(problem)


def test_another_loss_is_refused() -> None:
    problem = problem_of("booth")
    other = Problem(problem.model, lambda p, _: p.square().sum(), problem.inputs, problem.targets)
    with pytest.raises(ProblemError, match=r"expected the loss to be booth, 144 .*; got 50: use"):
        so2(other)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lr": 0.1}, "expected no lr with policy='exact', which needs none; got lr=0.1: leave"),
        ({"policy": "best"}, "expected policy to be one of exact, random; got 'best'"),
        ({"seed": -1}, "expected seed to be a whole number >= 0; got -1"),
        ({"growth": 2}, "expected no growth for these options of so2"),
    ],
)
def test_options_are_read(options: dict[str, object], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        make("so2", **options)
