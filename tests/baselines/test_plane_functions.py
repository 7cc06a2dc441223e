"""Test functions: their minima, their charts, and that they are models like any other."""

import math

import pytest
import torch
from plane_problems import point_of

from baselines.test_functions import (
    FUNCTIONS,
    PlanePoint,
    descend,
    problem_of,
    two_tasks_losses,
)
from baselines.test_functions.model import two_tasks
from teleport_core import OptionError

every = pytest.mark.parametrize("name", list(FUNCTIONS))
charted = pytest.mark.parametrize("name", ["booth", "rosenbrock", "ellipse"])


@every
def test_minima_are_minima(name: str) -> None:
    function = FUNCTIONS[name]
    for minimiser in function.minimisers:
        point = torch.tensor(minimiser, dtype=torch.float64, requires_grad=True)
        value = function.value(point)
        (gradient,) = torch.autograd.grad(value, point)
        hessian = torch.autograd.functional.hessian(function.value, point)

        assert float(value.detach()) == pytest.approx(function.minimum, abs=1e-12)
        assert gradient.tolist() == pytest.approx([0, 0], abs=1e-12)
        assert float(torch.linalg.eigvalsh(hessian)[0]) > 0


def test_values_at_the_starts() -> None:
    found = {name: float(problem_of(name).loss().detach()) for name in FUNCTIONS}

    assert found == {
        "booth": 144,
        "rosenbrock": 404,
        "ellipse": 100,
        "goldstein_price": 600,
        "beale": 1.5**2 + 2.25**2 + 2.625**2,
        "hyperbola": 2.3125,
    }


@charted
def test_a_chart_makes_a_sum_of_two_squares(name: str) -> None:
    function = FUNCTIONS[name]
    assert function.chart is not None
    torch.manual_seed(0)
    for point in torch.randn(5, 2, dtype=torch.float64):
        uv = function.chart.into(point)
        assert float(uv @ uv) == pytest.approx(float(function.value(point)), rel=1e-13)
        assert function.chart.back(uv).tolist() == pytest.approx(point.tolist(), abs=1e-13)


def test_beale_and_rosenbrock_as_they_are_written() -> None:
    x, y = 0.3, -1.2
    point = torch.tensor([x, y], dtype=torch.float64)
    beale = (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2

    assert float(FUNCTIONS["beale"].value(point)) == pytest.approx(beale)
    rosenbrock = 100 * (x**2 - y) ** 2 + (x - 1) ** 2
    assert float(FUNCTIONS["rosenbrock"].value(point)) == pytest.approx(rosenbrock)


def test_a_start_of_ones_own_and_a_name_that_is_none() -> None:
    assert point_of(problem_of("booth", (7.5, -4.0))).tolist() == [7.5, -4.0]
    with pytest.raises(OptionError, match=r"expected a test function to be one of .*'both'; did"):
        problem_of("both")


def test_gradient_descent_on_booth_is_its_closed_form() -> None:
    problem = problem_of("booth")
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.08)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = problem.loss()
        losses.append(float(loss.detach()))
        loss.backward()
        optimizer.step()

    expected = [72 * 0.1936**k + 72 * 0.7056**k for k in range(10)]
    assert losses == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("point", [(-8.5, 7.5), (9.0, 9.0), (0.0, -3.0), (1.0, 0.0)])
def test_the_two_tasks_as_they_are_written(point: tuple[float, float]) -> None:
    x, y = point
    above, below = max(math.tanh(y / 2), 0), max(math.tanh(-y / 2), 0)
    one = math.log(max(abs(0.5 * (-x - 7) - math.tanh(-y)), 5e-6)) + 6
    two = math.log(max(abs(0.5 * (-x + 3) + math.tanh(-y) + 2), 5e-6)) + 6
    first = ((-x + 7) ** 2 + 0.1 * (-y - 8) ** 2) / 10 - 20
    second = ((-x - 7) ** 2 + 0.1 * (-y - 8) ** 2) / 10 - 20
    expected = [one * above + first * below, two * above + second * below]

    losses = two_tasks_losses(torch.tensor(point, dtype=torch.float64))

    assert losses.tolist() == pytest.approx(expected, rel=1e-12)
    model, loss_fn = two_tasks(point)
    assert isinstance(model, PlanePoint)
    assert torch.equal(loss_fn(model(torch.zeros(1)), None).detach(), losses)


def test_a_descent_with_teleports() -> None:
    plain = descend("booth", lr=0.08, steps=10)
    turned = descend("booth", lr=0.08, steps=10, teleports={4: {"method": "so2"}})

    assert len(plain.points) == 11
    assert (plain.jumps, turned.jumps, len(turned.points)) == ([], [4], 12)
    assert turned.points[:5] == plain.points[:5]
    assert turned.loss[9] == pytest.approx(4.8814e-3, rel=1e-5)
    assert plain.loss[9] == pytest.approx(3.1215, rel=1e-5)
    assert turned.grad_norm_sq[4] == pytest.approx(36 * turned.loss[4], rel=1e-12)
    there = torch.tensor(turned.points[5], dtype=torch.float64)
    assert float(FUNCTIONS["booth"].value(there)) == pytest.approx(turned.loss[4], rel=1e-13)


def test_a_teleport_to_the_level_sets_maximum_makes_the_next_step_the_last() -> None:
    options = {"method": "level_set", "steps": 40, "sublevel": False}
    found = descend("booth", lr=1 / 18, steps=1, teleports={0: options}, start=(7.5, -4.0))

    assert found.points[0] == (7.5, -4.0)
    assert found.points[-1] == pytest.approx((1, 3), abs=1e-3)


@every
def test_many_points_have_a_value_each(name: str) -> None:
    function, points = FUNCTIONS[name], torch.randn(2, 3, 4, dtype=torch.float64)

    values = function.value(points)

    assert values.shape == (3, 4)
    assert float(values[1, 2]) == pytest.approx(float(function.value(points[:, 1, 2])), rel=1e-12)
