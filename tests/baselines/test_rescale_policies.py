"""Where the scales go: against closed forms for one hidden layer, and what draws expect."""

import json
import math
from typing import Any

import pytest
import torch
from oracles import identical, loss_and_grad_norm_sq, output_change, snapshot
from small_problems import classification, mlp
from torch import Tensor, nn

from baselines.rescale.policies import BoxLine, drawn
from baselines.rescale.published import GradientPerWeight
from baselines.rescale.teleporter import RescaleTeleporter
from teleport_core import OptionError, Problem, Status, make, teleport


def one_hidden_layer() -> tuple[Problem, Tensor, Tensor, float]:
    """A net with ||g||^2 = sum_i a_i / tau_i^2 + c_i tau_i^2 + rest, and its a, c and rest."""
    problem = classification([6, 9, 4], 5)
    loss = problem.loss()
    W, b, V, d = torch.autograd.grad(loss, list(problem.parameters().values()))
    return problem, W.square().sum(1) + b.square(), V.square().sum(0), float(d.square().sum())


def run(problem: Problem, **options: Any) -> Any:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, method="rescale", **options)


def test_norm_and_slope_are_the_closed_form_of_one_hidden_layer() -> None:
    problem, a, c, rest = one_hidden_layer()
    norm = RescaleTeleporter().prepare(problem).norm
    t = torch.linspace(-1, 1, 9, dtype=torch.float64)

    expected = float((a * (-2 * t).exp() + c * (2 * t).exp()).sum()) + rest
    assert float(norm.at(t)) == pytest.approx(expected, rel=1e-13)
    slope = c * (2 * t).exp() - a * (-2 * t).exp()
    torch.testing.assert_close(norm.slope(t), slope, rtol=1e-12, atol=0)


def test_a_step_is_gradient_ascent_by_log_tau() -> None:
    problem, a, c, _ = one_hidden_layer()
    lr = 1e-3

    result = run(problem, steps=2, lr=lr)

    t = lr * (c - a)
    t = t + lr * (c * (2 * t).exp() - a * (-2 * t).exp())
    assert result.log_tau == pytest.approx(t.tolist(), rel=1e-12)
    assert result.grad_norm_sq[-1] == pytest.approx(loss_and_grad_norm_sq(problem)[1], rel=1e-12)


def test_the_best_point_of_the_box_is_a_corner_where_each_unit_decides_for_itself() -> None:
    problem, a, c, rest = one_hidden_layer()
    bound = 1.3

    result = run(problem, steps=60, lr=100.0, bound=bound)

    corner = [bound * math.copysign(x != 0, x) for x in (c - a).tolist()]  # 0 for dead units
    best = sum(max(x * u + y / u for u in (math.exp(2 * bound), math.exp(-2 * bound)))
               for x, y in zip(a.tolist(), c.tolist(), strict=True)) + rest  # fmt: skip
    assert 0 < int((c > a).sum()) < len(c)
    assert result.log_tau == corner
    assert result.grad_norm_sq[-1] == pytest.approx(best, rel=1e-12)
    assert result.status is Status.DONE


def test_the_cap_is_tested_before_each_step() -> None:
    problem, *_ = one_hidden_layer()
    start = loss_and_grad_norm_sq(problem)[1]

    result = run(problem, lr=0.5, cap=1.05 * start)

    assert result.status is Status.CAPPED
    assert result.grad_norm_sq[-2] < 1.05 * start <= result.grad_norm_sq[-1]
    assert len(result.grad_norm_sq) == result.steps_done + 1 < 9


@pytest.mark.parametrize("growth", [1.1, 3.0])
def test_growth_ends_where_it_says(growth: float) -> None:
    problem, *_ = one_hidden_layer()
    result = run(problem, steps=4, growth=growth, bound=math.inf)

    norms = result.grad_norm_sq
    assert result.status is Status.DONE
    assert norms[-1] / norms[0] == pytest.approx(growth, rel=0.01)
    for step in range(1, 4):
        assert norms[step] / norms[0] == pytest.approx(growth ** (step / 4), rel=0.025)


def test_growth_ends_below_the_cap() -> None:
    problem, *_ = one_hidden_layer()
    cap = 1.2 * loss_and_grad_norm_sq(problem)[1]

    result = run(problem, steps=4, growth=3.0, bound=math.inf, cap=cap)

    assert result.status is Status.CAPPED
    assert 0.99 * cap <= result.grad_norm_sq[-1] <= cap


def test_growth_beyond_the_box_ends_at_its_corner() -> None:
    problem, a, c, rest = one_hidden_layer()
    result = run(problem, steps=4, growth=100.0, bound=0.2)

    top, low = math.exp(0.4), math.exp(-0.4)
    corner = float(torch.maximum(a * top + c * low, a * low + c * top).sum()) + rest
    assert result.status is Status.GROWTH_NOT_REACHED
    assert max(map(abs, result.log_tau)) == 0.2
    assert result.grad_norm_sq[-1] <= corner * (1 + 1e-12)
    assert result.grad_norm_sq[-1] == pytest.approx(corner, rel=0.1)


def test_a_line_leaves_out_what_the_box_holds() -> None:
    problem, a, c, _ = one_hidden_layer()
    line = BoxLine(RescaleTeleporter().prepare(problem).norm, bound=0.5)
    line.t = torch.tensor([0.5 if up else -0.2 for up in (c > a).tolist()], dtype=torch.float64)
    slope = c * (2 * line.t).exp() - a * (-2 * line.t).exp()
    inside = slope.masked_fill(c > a, 0.0)

    assert line.aim(first=True) == pytest.approx(float(inside.square().sum()), rel=1e-12)
    line.go(1e9)
    assert line.t.tolist() == [
        0.5 if x > 0 else -0.5 if x else -0.2  # a dead unit stays
        for x in (c - a).tolist()
    ]
    line.look()
    assert line.aim(first=False) is None


def test_random_draws_grow_gradients_by_what_independent_scales_expect() -> None:
    """(1 + s^2/3)/(1 - s^2) between hidden layers, 1/(1 - s^2) below and 1 + s^2/3 above them."""
    torch.manual_seed(0)
    problem = Problem(mlp([5, 6, 6, 3]), lambda out, _: out.square().mean(), torch.ones(2, 5), None)
    problem = Problem(problem.model, problem.loss_fn, problem.inputs.double(), None)
    sigma = 0.5
    state = RescaleTeleporter(policy="random", bound=sigma).prepare(problem)
    draw = drawn(state.norm, sigma, seed=1)
    growth: dict[str, list[Tensor]] = {"0.weight": [], "2.weight": [], "4.weight": []}
    for _ in range(1000):
        scales = state.scaling.scales(draw())
        for name, found in growth.items():
            # One entry, so that draws are independent; entries of one row share a scale.
            found.append(scales[name].expand_as(problem.detached()[name])[0, 0] ** -2)

    hidden = (1 + sigma**2 / 3) / (1 - sigma**2)
    assert hidden == pytest.approx(1.444, abs=1e-3)
    for name, expected in (
        ("0.weight", 1 / (1 - sigma**2)), ("2.weight", hidden), ("4.weight", 1 + sigma**2 / 3)
    ):  # fmt: skip
        values = torch.stack(growth[name])
        error = float(values.std()) / math.sqrt(1000)
        assert abs(float(values.mean()) - expected) < 3 * error
        assert error < 0.05


def test_a_random_move_is_its_last_draw_and_the_seed_decides() -> None:
    found = {}
    for seed, steps in ((0, 1), (0, 3), (1, 3)):
        problem, *_ = one_hidden_layer()
        result = run(problem, policy="random", bound=0.5, steps=steps, seed=seed)
        found[seed, steps] = result.log_tau
        assert all(math.log(0.5) <= t <= math.log(1.5) for t in result.log_tau)
        assert result.grad_norm_sq[-1] == pytest.approx(loss_and_grad_norm_sq(problem)[1])
    assert len(set(map(tuple, found.values()))) == 3


def test_a_second_call_draws_something_else() -> None:
    problem, *_ = one_hidden_layer()
    first, second = (run(problem, policy="random", steps=1).log_tau for _ in range(2))

    assert abs(first[0] - second[0]) > 1e-3


def test_the_best_of_its_draws_is_kept() -> None:
    problem, *_ = one_hidden_layer()
    method = RescaleTeleporter(policy="random", steps=20, seed=3)
    drawn_norms = method.advance(problem, method.prepare(problem)).grad_norm_sq
    problem, *_ = one_hidden_layer()

    result = run(problem, policy="best_of", steps=20, seed=3)

    best = [max(drawn_norms[: k + 1]) for k in range(21)]
    assert result.grad_norm_sq == pytest.approx(best, rel=1e-12)
    assert best[-1] > best[0]


def test_the_released_score_is_that_of_moved_gradients_and_weights() -> None:
    problem, *_ = one_hidden_layer()
    method = RescaleTeleporter(policy="best_of", published=True)
    state = method.prepare(problem)
    state.gradient["0.bias"][0] = 0.0
    own = problem.copy()
    own["0.bias"][0] = 0.0
    t = drawn(state.norm, 0.9, seed=0)()

    score = GradientPerWeight(state.scaling, own, state.gradient)(t)

    scales = state.scaling.scales(t)
    one = torch.ones((), dtype=torch.float64)
    ratios = torch.cat(
        [(state.gradient[n] / scales.get(n, one) / (own[n] * scales.get(n, one))).flatten()
         for n in own]
    )  # fmt: skip
    ratios[ratios.isnan()] = ratios[~ratios.isnan()].mean()
    assert score == pytest.approx(float(ratios.norm()), rel=1e-12)


def test_a_bias_of_zero_keeps_the_released_choice_at_the_start() -> None:
    """||g / w|| is infinite before and after, and infinite is not greater than infinite."""
    for zero in (False, True):
        problem, *_ = one_hidden_layer()
        if zero:
            nn.init.zeros_(problem.model[2].bias)
        before = snapshot(problem)
        run(problem, policy="best_of", published=True, steps=10)
        assert identical(problem, before) == zero
        run(problem, policy="best_of", steps=10)
        assert not identical(problem, before)


BAD = {
    "policy": ({"policy": "best"}, "expected policy to be one of ascent, random, best_of; got"),
    "bound": ({"bound": 0}, "expected bound to be a number > 0; got 0"),
    "range": ({"policy": "random", "bound": 1.0}, r"bound < 1 .*tau <= 0 needs other activations"),
    "released range": ({"published": True, "bound": 1.5}, "which is another architecture"),
    "released ascent": ({"policy": "ascent", "published": True}, "released code has no ascent"),
    "seed": ({"seed": -1}, "expected seed to be a whole number >= 0; got -1"),
    "growth of draws": ({"policy": "random", "growth": 2.0}, "no growth for these options of resc"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_wrong_options_are_refused_by_name(name: str) -> None:
    options, text = BAD[name]
    with pytest.raises(OptionError, match=text):
        make("rescale", **options)


def test_options_are_what_was_meant() -> None:
    assert (make("rescale").policy, make("rescale", published=True).policy) == ("ascent", "random")
    assert make("rescale", cap=2.0).unbounded() == make("rescale", bound=math.inf)
    assert make("rescale", policy="random", cap=2.0).unbounded().bound == 0.5


def test_the_result_is_written_as_json_has_it() -> None:
    problem, *_ = one_hidden_layer()
    written = json.loads(json.dumps(run(problem, policy="random").to_dict(), allow_nan=True))

    assert len(written["log_tau"]) == 9
    assert written["guarantee"] == "EXACT_EVERYWHERE"
    assert "scaling" not in written


def test_steps_that_are_too_long_end_at_the_last_finite_one() -> None:
    problem, *_ = one_hidden_layer()
    before = problem.output().detach()

    result = run(problem, lr=1e300, bound=math.inf)

    assert result.status is Status.NON_FINITE
    assert output_change(problem, before) < 1e-12
