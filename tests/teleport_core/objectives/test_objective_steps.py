"""Every engine's step on every objective is the double backward of <g, v>, projected."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import (
    identical,
    loss_and_grad_norm_sq,
    null_space_projector,
    output_change,
    snapshot,
)
from recording import record
from small_problems import CASES, batch, classification, mlp
from torch import Tensor, nn
from torch.nn import functional as F
from zoo import build

from teleport_core import Problem, Status, TeleportResult, make, teleport
from teleport_core.nullspace import textbook
from teleport_core.nullspace.engine import Climb
from teleport_core.nullspace.half_hvp import engine
from teleport_core.nullspace.half_hvp.cuda_graph import Recordings
from teleport_core.objectives.goal import goal_of
from teleport_core.problem import Parameters


def three_halves(gradient: Parameters) -> Tensor:
    return sum((g.abs().pow(1.5).sum() for g in gradient.values()), torch.zeros(()))


def shifted(gradient: Parameters) -> Tensor:
    """With a slope where there is no gradient, and the more where the sum is large."""
    return torch.cat([g.flatten() + 0.1 for g in gradient.values()]).square().sum().exp().log1p()


OBJECTIVES: dict[str, Callable[[Problem], Any]] = {
    "l1": lambda problem: "l1",
    "nuclear": lambda problem: "nuclear",
    "adam": lambda problem: torch.optim.Adam(problem.model.parameters(), eps=1e-3),
    "three-halves": lambda problem: three_halves,
    "shifted": lambda problem: shifted,
}


def run(problem: Problem, **options: Any) -> TeleportResult:
    return teleport(problem.model, problem.loss_fn, (problem.inputs, problem.targets), **options)


def pulled_back(problem: Problem, objective: Any) -> tuple[Parameters, Parameters]:
    """H v by double backward of <g, v>; the gradients it is taken from."""
    leaves = problem.leaves(problem.detached())
    names = problem.counted()
    g = dict(
        zip(
            names,
            torch.autograd.grad(
                problem.loss(leaves),
                [leaves[n] for n in names],
                create_graph=True,
                allow_unused=True,
                materialize_grads=True,
            ),
            strict=True,
        )
    )
    goal = goal_of(objective, "up", problem)
    assert goal is not None
    _, v = goal.look(g, problem.detached())
    paired = sum(((g[n] * v[n].detach()).sum() for n in names), torch.zeros(()))
    found = torch.autograd.grad(
        paired, [leaves[n] for n in names], allow_unused=True, materialize_grads=True
    )
    return dict(zip(names, found, strict=True)), {n: x.detach() for n, x in g.items()}


def assert_moved(
    problem: Problem, before: Parameters, expected: Parameters, full: Parameters, lr: float
) -> None:
    for name, value in problem.detached().items():
        gained = expected.get(name, torch.zeros_like(value))
        off = (value - before[name] - lr * gained).norm()
        rounding = 1e-15 * value.norm()
        assert off <= 1e-10 * lr * full[name].norm() + rounding, name


def random_net(seed: int) -> Problem:
    torch.manual_seed(seed)
    depth = int(torch.randint(2, 6, ()))
    widths = torch.randint(3, 10, (depth + 1,)).tolist()
    activation = (nn.Tanh, nn.GELU, nn.Softplus, nn.LeakyReLU)[seed % 4]
    model = mlp(widths, activation, bias=bool(seed % 3), seed=seed)
    inputs, targets = batch(1 + seed % 5, widths[0], widths[-1], seed=seed)
    return Problem(model, F.cross_entropy, inputs, targets)


def layer_inputs(problem: Problem) -> dict[str, Tensor]:
    """Inputs of every nn.Linear of a stack, with ones for the bias."""
    found, h = {}, problem.inputs
    for name, module in problem.model.named_children():
        if isinstance(module, nn.Linear):
            ones = h.new_ones(len(h), 1)
            found[name] = h if module.bias is None else torch.cat([h, ones], 1)
        h = module(h).detach()
    return found


def well_conditioned(x: Tensor) -> bool:
    sigma = torch.linalg.svdvals(x)
    return bool(sigma[-1] > 1e-3 * sigma[0])


def dense_step(problem: Problem, full: Parameters) -> Parameters:
    """The projection by dense projectors, layer by layer."""
    found = {}
    for name, x in layer_inputs(problem).items():
        W, b = full[f"{name}.weight"], full.get(f"{name}.bias")
        matrix = W if b is None else torch.cat([W, b[:, None]], 1)
        free = matrix @ null_space_projector(x)
        found[f"{name}.weight"] = free[:, : W.shape[1]]
        if b is not None:
            found[f"{name}.bias"] = free[:, -1]
    return found


@pytest.mark.parametrize("start", range(0, 200, 40))
def test_random_nets_step_as_double_backward_says(start: int) -> None:
    moved = 0
    for seed in range(start, start + 40):
        problem = random_net(seed)
        if not all(map(well_conditioned, layer_inputs(problem).values())):
            continue  # rounding turns the span itself
        objective = list(OBJECTIVES.values())[seed % 5](problem)
        before, lr = snapshot(problem), 0.1
        full, _ = pulled_back(problem, objective)
        expected = dense_step(problem, full)
        by = "textbook" if seed % 7 == 0 else "half_hvp"
        method = make("nullspace", objective=objective, steps=1, lr=lr, engine=by)
        result = method.advance(problem, method.prepare(problem))
        if result.status is Status.DONE:
            assert_moved(problem, before, expected, full, lr)
            moved += 1
    assert moved > 25


ROWS = [
    "encoder-prenorm",
    "causal-decoder-tied-bias",
    "conv2d-pool",
    "shared-layers",
    "frozen-trunk",
]


@pytest.mark.parametrize("objective", list(OBJECTIVES))
@pytest.mark.parametrize("row", ROWS)
def test_any_module_steps_as_double_backward_says(row: str, objective: str) -> None:
    problem = build(row)
    before, lr = snapshot(problem), 0.01
    climbed = OBJECTIVES[objective](problem)
    with torch.enable_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        full, _ = pulled_back(problem, climbed)
    state = textbook.prepare(problem, Climb(published=True))
    assert isinstance(state, textbook.TextbookState)
    expected = textbook.free_part(state.layers, state.bases, full)
    names = set(textbook.moving_names(state.layers))

    result = run(problem, objective=climbed, steps=1, lr=lr, verify="off")

    assert (result.engine.name, result.status) == ("traced", Status.DONE)
    for name in names:
        off = (problem.detached()[name] - before[name] - lr * expected.get(name, 0.0)).norm()
        assert off <= 1e-10 * lr * full[name].norm() + 1e-15 * before[name].norm(), name


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize(
    ("net", "options"),
    [
        ("leaky-bias", {}),
        ("leaky-bias", {"engine": "textbook"}),
        ("residual-batchnorm", {}),
        ("leaky-bias", {"method": "symmetry"}),
        ("leaky-bias", {"method": "symmetry", "acts_on": "activations"}),
    ],
)
@pytest.mark.parametrize("objective", ["l2", *OBJECTIVES])
def test_the_objective_rises_or_falls_at_every_step(
    objective: str, net: str, options: dict[str, Any], direction: str
) -> None:
    problem = CASES[net].build()
    before = problem.output().detach()
    climbed = OBJECTIVES.get(objective, lambda problem: "l2")(problem)
    lr = 1e-7 if objective == "shifted" else 1e-4

    result = run(problem, objective=climbed, direction=direction, steps=4, lr=lr, **options)

    assert (result.status, result.steps_done) == (Status.DONE, 4)
    assert len(result.objective) == len(result.grad_norm_sq) == 5
    pairs = list(itertools.pairwise(result.objective))
    assert all(b > a if direction == "up" else b < a for a, b in pairs)
    assert output_change(problem, before) < 1e-11
    _, gradient = pulled_back(problem, climbed) if objective != "l2" else (None, {})
    if objective != "l2":
        goal = goal_of(climbed, "up", problem)
        assert goal is not None
        value, _ = goal.look(gradient, problem.detached())
        assert result.objective[-1] == pytest.approx(value, rel=1e-10)
    assert result.to_dict()["objective"] == result.objective


def test_half_of_the_squared_norm_is_what_is_climbed_without_asking() -> None:
    problem, asked = CASES["leaky-bias"].build(), CASES["leaky-bias"].build()

    result = run(problem, lr=0.1)
    other = run(asked, lr=0.1, objective="l2", direction="up")

    assert result.objective == [norm / 2 for norm in result.grad_norm_sq]
    assert identical(asked, snapshot(problem))
    assert other.objective == result.objective


@pytest.mark.parametrize("net", ["gelu-deep", "residual-batchnorm"])
def test_the_function_of_the_gradients_that_l2_is_steps_like_it(net: str) -> None:
    ends = []
    for objective in ("l2", lambda g: 0.5 * sum(x.square().sum() for x in g.values())):
        problem = CASES[net].build()
        result = run(problem, objective=objective, steps=3, lr=0.05)
        ends.append((snapshot(problem), result))

    (one, plain), (other, written) = ends
    assert written.objective == pytest.approx(plain.objective, rel=1e-12)
    assert all(torch.allclose(one[n], other[n], rtol=1e-12, atol=1e-14) for n in one)


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("objective", ["l1", "nuclear", "adam", "three-halves"])
@pytest.mark.parametrize("options", [{}, {"engine": "textbook"}, {"method": "symmetry"}])
def test_growth_is_that_of_the_objective(
    objective: str, options: dict[str, Any], direction: str
) -> None:
    problem = classification([20, 40, 40, 10], 8, lambda: nn.LeakyReLU(0.1))
    climbed, growth = OBJECTIVES[objective](problem), 1.3

    result = run(problem, objective=climbed, growth=growth, direction=direction, steps=4, **options)

    assert (result.status, result.steps_done) == (Status.DONE, 4)
    factor = result.objective[-1] / result.objective[0]
    assert factor == pytest.approx(growth if direction == "up" else 1 / growth, rel=0.05)
    assert len(result.lrs) == 4
    pairs = itertools.pairwise(result.objective)
    assert all(b > a if direction == "up" else b < a for a, b in pairs)


@pytest.mark.parametrize("options", [{}, {"growth": 3.0}, {"engine": "textbook"}])
@pytest.mark.parametrize("overshoot", [True, False])
def test_the_cap_stays_on_the_squared_norm(options: dict[str, Any], overshoot: bool) -> None:
    lr = {} if "growth" in options else {"lr": 0.02}
    free = run(CASES["leaky-bias"].build(), objective="l1", **options, **lr)
    cap = (free.grad_norm_sq[3] + free.grad_norm_sq[4]) / 2

    problem = CASES["leaky-bias"].build()
    result = run(problem, objective="l1", cap=cap, overshoot=overshoot, **options, **lr)

    assert (result.status, result.steps_done) == (Status.CAPPED, 4)
    last = result.grad_norm_sq[-1]
    assert last >= cap if overshoot else 0.999 * cap <= last <= cap
    assert result.objective[:4] == pytest.approx(free.objective[:4], rel=1e-12)
    _, gradient = pulled_back(problem, "l1")
    value = sum(float(g.abs().sum()) for g in gradient.values())
    assert result.objective[-1] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("net", ["leaky-bias", "residual-batchnorm"])
@pytest.mark.parametrize("verify", ["full", "outputs", "off"])
def test_a_call_at_its_cap_moves_nothing(net: str, verify: str) -> None:
    problem = CASES[net].build()
    before = snapshot(problem)

    result = run(problem, objective="l1", cap=1e-9, verify=verify)

    assert (result.status, result.steps_done) == (Status.CAPPED, 0)
    assert len(result.objective) == 1
    assert math.isnan(result.objective[0]) == (verify == "full")
    assert identical(problem, before)


@pytest.mark.parametrize("options", [{}, {"engine": "textbook"}, {"growth": 4.0}])
def test_an_objective_that_stops_being_a_number_takes_the_step_back(
    options: dict[str, Any],
) -> None:
    problem = CASES["leaky-bias"].build()
    start = run(CASES["leaky-bias"].build(), objective=three_halves, lr=1e-9).objective[0]
    edge = 1.2 * start

    def edged(gradient: Parameters) -> Tensor:
        value = three_halves(gradient)
        return value + 0 * (edge - value).log().detach()

    lr = {} if "growth" in options else {"lr": 0.05}
    result = run(problem, objective=edged, steps=30, **options, **lr)

    expected = Status.GROWTH_NOT_REACHED if "growth" in options else Status.NON_FINITE
    assert result.status is expected
    assert 0 < result.steps_done < 30
    assert start < result.objective[-1] < edge
    _, gradient = pulled_back(problem, edged)
    assert float(three_halves(gradient)) == pytest.approx(result.objective[-1], rel=1e-11)


@pytest.mark.parametrize("net", ["leaky-bias", "residual-batchnorm"])
@pytest.mark.parametrize("options", [{}, {"engine": "textbook"}, {"growth": 2.0}])
def test_asked_again_it_takes_the_same_steps(net: str, options: dict[str, Any]) -> None:
    problem = CASES[net].build()
    teleporter = make("nullspace", objective="l1", steps=4, **options)
    state = teleporter.prepare(problem)
    ends = []
    for _ in range(2):
        result = teleporter.advance(problem, state)
        ends.append((snapshot(problem), result.objective))
        state.restore(problem)

    assert ends[0][1] == ends[1][1]
    assert all(torch.equal(ends[0][0][n], ends[1][0][n]) for n in ends[0][0])


@pytest.mark.parametrize("objective", ["l1", "adam"])
def test_where_steps_are_recorded_others_are_taken_one_by_one(
    objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for recorded in (False, True):
        if recorded:
            recordings = Recordings(record=record)
            monkeypatch.setattr(engine, "recordings_of", lambda model, found=recordings: found)
        problem = classification([9, 8, 8, 7, 4], 5, nn.Tanh)
        climbed = OBJECTIVES[objective](problem)
        teleporter = make("nullspace", objective=climbed, lr=0.05, steps=4)
        state = teleporter.prepare(problem)
        result = teleporter.advance(problem, state)
        ends.append((snapshot(problem), result.objective))
        state.restore(problem)
        norm_sq = loss_and_grad_norm_sq(problem)[1]
        assert state.grad_norm_sq(problem) == pytest.approx(norm_sq, rel=1e-12)

    assert ends[0][1] == ends[1][1]
    assert all(torch.equal(ends[0][0][n], ends[1][0][n]) for n in ends[0][0])


@pytest.mark.parametrize("objective", ["l1", "nuclear", "adam"])
def test_spaces_below_tau_one_take_any_objective(objective: str) -> None:
    problem = CASES["leaky-bias"].build()

    result = run(problem, objective=OBJECTIVES[objective](problem), tau=0.9, steps=3, lr=1e-3)

    assert result.engine.name == "textbook"
    assert result.objective == sorted(result.objective)
    assert all(map(math.isfinite, result.loss))
