"""level_set on functions whose answer is known, and its closed-form subproblem."""

import math

import pytest
import torch
from oracles import flat_hessian_gradient, identical, snapshot
from plane_problems import descended, point_of, problem_at, run
from torch import Tensor

from baselines.level_set import slp
from baselines.level_set.level import Level
from baselines.level_set.point import Model, inner
from baselines.test_functions import problem_of
from teleport_core import Guarantee, ModelError, OptionError, Status, make


def test_booth_ends_at_the_top_eigenvector_from_which_one_step_is_newtons() -> None:
    problem = problem_of("booth", (5.0, -5.0))

    result = run(problem, rho=10.0, sublevel=False, steps=30)

    expected = [1 - 2 * math.sqrt(2), 3 - 2 * math.sqrt(2)]
    assert (result.status, result.guarantee) == (Status.STATIONARY, Guarantee.APPROXIMATE)
    assert point_of(problem).tolist() == pytest.approx(expected, abs=1e-4)
    assert result.loss[-1] == pytest.approx(144, rel=1e-6)
    assert result.grad_norm_sq[-1] == pytest.approx(36 * 144, rel=1e-6)
    assert descended(problem, 1 / 18) == pytest.approx([1, 3], abs=1e-4)


def test_below_the_level_of_booth() -> None:
    result = run(problem_of("booth", (7.5, -4.0)), rho=10.0, steps=25)

    assert result.status is Status.STATIONARY
    assert result.steps_done < 25
    assert result.grad_norm_sq[-1] / (36 * result.loss[0]) == pytest.approx(1, abs=1e-6)
    assert result.loss[-1] <= 92.25 * (1 + 1e-6)


@pytest.mark.parametrize("rho", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("sublevel", [True, False])
def test_on_the_hyperbola_the_gradient_is_an_eigenvector(rho: float, sublevel: bool) -> None:
    problem = problem_of("hyperbola")

    result = run(problem, rho=rho, sublevel=sublevel, steps=200)

    (gradient,) = torch.autograd.grad(problem.loss(), [problem.parameters()["point"]])
    Hg = flat_hessian_gradient(problem)
    assert result.status is Status.STATIONARY
    assert float(Hg @ gradient / Hg.norm() / gradient.norm()) >= 1 - 1e-10
    assert result.loss[-1] == pytest.approx(result.loss[0], rel=1e-6)


def test_on_any_quadratic_a_step_from_there_is_the_last() -> None:
    A = torch.diag(torch.tensor([1.0, 3.0, 8.0], dtype=torch.float64))
    problem = problem_at(lambda w: w @ A @ w / 2, (1.0, -2.0, 0.3))

    run(problem, steps=200, rho=1.0, tolerance=1e-20)

    assert descended(problem, 1 / 8) == pytest.approx([0, 0, 0], abs=1e-8)


def test_the_path_does_not_depend_on_the_units_of_the_loss() -> None:
    ends = []
    for unit in (1.0, 1e6):
        booth = problem_of("booth")
        problem = problem_at(lambda w, u=unit, f=booth: u * f.loss_fn(w, None), (5.0, -5.0))
        run(problem, rho=1.0, steps=6)
        ends.append(point_of(problem).tolist())

    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def model_of(q: Tensor, g: Tensor, loss: float) -> Model:
    parameters = {"w": torch.zeros_like(g)}
    return Model.of(parameters, loss, {"w": g}, {"w": q * g.square().sum()})


@pytest.mark.parametrize("sublevel", [True, False])
@pytest.mark.parametrize("excess", [-2.0, 0.0, 0.7])
def test_a_step_solves_its_subproblem(sublevel: bool, excess: float) -> None:
    torch.manual_seed(0)
    for _ in range(10):
        q, g = torch.randn(2, 5, dtype=torch.float64)
        rho = 0.3
        # max <q, d> - ||d||^2 / (2 rho) subject to r + <g, d> = 0, by its linear system.
        system = torch.cat([torch.eye(5) / rho, g.view(1, 5)]).double()
        system = torch.cat([system, torch.cat([g, g.new_zeros(1)]).view(6, 1)], dim=1)
        expected = torch.linalg.solve(system, torch.cat([q, g.new_tensor([-excess])]))[:5]
        if sublevel and float(excess + g @ (rho * q)) <= 0:
            expected = rho * q  # the constraint does not bind
        model = model_of(q, g, 1 + excess)
        level = Level(1.0, sublevel)

        v = level.normal_step(model, rho)
        d = model.moved(rho, v)["w"]

        assert torch.allclose(d, expected, atol=1e-12)
        assert model.rise(rho, v) == pytest.approx(float(q @ d), abs=1e-12)
        off = model.multiplier * g - q
        assert model.residual == pytest.approx(float(off @ off), rel=1e-12)


def test_violations() -> None:
    assert (Level(2.0, True).violation(1.5), Level(2.0, True).violation(2.5)) == (0.0, 0.5)
    assert (Level(2.0, False).violation(1.5), Level(2.0, False).violation(2.5)) == (0.5, 0.5)
    z = {"z": torch.tensor([1 + 2j, 3j])}
    assert inner(z, z) == 14.0


def test_without_a_way_back_the_call_ends_at_its_best_point_on_the_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slp, "_MOST_CORRECTIONS", 0)
    problem = problem_of("booth", (5.0, -5.0))

    result = run(problem, rho=10.0, steps=4, sublevel=False)

    assert result.status is Status.OFF_LEVEL_SET
    assert result.steps_done < 4
    assert len(result.loss) == len(result.lrs) + 1 == result.steps_done + 1
    assert result.loss[-1] == pytest.approx(result.loss[0], rel=1e-6)
    assert result.grad_norm_sq[-1] >= result.grad_norm_sq[0]


def test_an_end_is_put_back_onto_the_level() -> None:
    result = run(problem_of("booth", (5.0, -5.0)), rho=10.0, steps=4, sublevel=False)

    assert (result.status, result.steps_done) == (Status.DONE, 4)
    assert max(abs(loss - 144) for loss in result.loss[:-1]) > 1
    assert result.loss[-1] == pytest.approx(144, rel=1e-6)


@pytest.mark.parametrize(
    ("start", "f"),
    [((1.0, 3.0), None), ((2.0, 1.0), lambda w: w.sum())],
    ids=["no gradient", "no curvature"],
)
def test_where_nothing_rises_nothing_moves(start: tuple[float, float], f: object) -> None:
    problem = problem_of("booth", start) if f is None else problem_at(f, start)  # type: ignore[arg-type]
    before = snapshot(problem)

    result = run(problem)

    assert (result.status, result.steps_done) == (Status.STATIONARY, 0)
    assert identical(problem, before)


def test_a_line_search_without_end_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slp, "MOST_TRIALS", 1)
    problem = problem_of("goldstein_price")
    before = snapshot(problem)

    result = run(problem, rho=1e6)

    assert (result.status, result.steps_done) == (Status.NO_STEP_ACCEPTED, 0)
    assert identical(problem, before)


def test_without_a_maximum_the_cap_ends_it() -> None:
    problem = problem_at(lambda w: (w[0] * w[1] - 1) ** 2 / 2, (2.0, 1.5))

    result = run(problem, steps=100, cap=1e3)

    assert result.status is Status.CAPPED
    assert result.grad_norm_sq[-2] < 1e3 <= result.grad_norm_sq[-1]


def test_second_derivatives_that_are_not_numbers_are_refused() -> None:
    problem = problem_at(lambda w: w[0] ** 2 + w[1].pow(1.5), (1.0, 0.0))
    before = snapshot(problem)

    with pytest.raises(ModelError, match=r"torch gives NaN for point, .*: use method='nullspace'"):
        run(problem)

    assert identical(problem, before)


def test_lr_is_the_first_trial_along_the_level() -> None:
    result = run(problem_of("booth"), lr=1e-4, steps=3)

    G = result.grad_norm_sq[0]
    assert result.lrs == pytest.approx([1e-4 * G, 1e-4 * G / 0.8, 1e-4 * G / 0.64])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rho": 1.0, "lr": 0.1}, "expected rho without lr, which takes its place; got rho=1.0"),
        ({"rho": -1}, "expected rho to be a number > 0; got -1"),
        ({"rho": math.inf}, "expected rho to be a finite number > 0; got inf"),
        ({"tolerance": 0}, "expected tolerance to be a number > 0; got 0"),
        ({"sublevel": 1}, "expected sublevel to be True or False; got 1"),
        ({"published": "yes"}, "expected published to be True or False; got 'yes'"),
        ({"growth": 2}, "expected no growth for these options of level_set"),
    ],
)
def test_options_are_read(options: dict[str, object], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        make("level_set", **options)


def test_fewer_steps_are_the_first_of_the_same() -> None:
    whole = run(problem_of("goldstein_price"), steps=8)
    part = run(problem_of("goldstein_price"), steps=5)

    assert part.lrs == whole.lrs[:5]
    assert part.grad_norm_sq[:5] == whole.grad_norm_sq[:5]
