"""<g, u(g)>, u the next update of an optimizer: against the optimizer's own step."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import identical, snapshot
from small_problems import CASES, classification
from torch import Tensor, nn, optim
from torch.optim import Optimizer

from teleport_core import Problem, Status, TeleportResult, teleport
from teleport_core.objectives.optimizer import UPDATES, NextStep
from teleport_core.problem import Parameters

Make = Callable[[Any], Optimizer]
KINDS: dict[str, Make] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "sgd-decay": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.3),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.1),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, weight_decay=0.1),
    "rmsprop-all": lambda p: optim.RMSprop(p, lr=0.01, centered=True, momentum=0.8, eps=1e-4),
    "adam": lambda p: optim.Adam(p, lr=0.01, eps=1e-3),
    "adam-decay": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.2),
    "amsgrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "maximize": lambda p: optim.Adam(p, lr=0.01, maximize=True, weight_decay=0.1),
    "adamw": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.2),
}
if hasattr(optim, "Muon"):
    KINDS["muon"] = lambda p: optim.Muon([x for x in p if x.dim() == 2], lr=0.01)
    KINDS["muon-plain"] = lambda p: optim.Muon(
        [x for x in p if x.dim() == 2], nesterov=False, adjust_lr_fn="match_rms_adamw"
    )


def trained(problem: Problem, make: Make, steps: int) -> Optimizer:
    """An optimizer of the model that took some steps, each on another part of the batch."""
    optimizer = make([*problem.model.parameters()])
    for step in range(steps):
        part = slice(step % 3, None, 2)
        optimizer.zero_grad()
        output = problem.model(problem.inputs[part])
        problem.loss_fn(output, problem.targets[part]).backward()
        optimizer.step()
    optimizer.zero_grad()
    return optimizer


def decrease(problem: Problem, optimizer: Optimizer, lr: float = 1e-3) -> float:
    """<g, (W - W') / lr> by a real step of copies, without the part of decoupled decay."""
    model, twin = copy.deepcopy((problem.model, optimizer))  # one memo: the copy holds the copy
    g = gradient_of(problem)
    for group in twin.param_groups:
        group["lr"] = lr
        if group.get("decoupled_weight_decay", "ns_steps" in group):
            group["weight_decay"] = 0.0
    for name, parameter in model.named_parameters():
        parameter.grad = g[name].clone()
    twin.step()
    moves = {n: (problem.detached()[n] - p.detach()) / lr for n, p in model.named_parameters()}
    return sum(float((g[n] * move).sum()) for n, move in moves.items())


def gradient_of(problem: Problem) -> Parameters:
    names = problem.counted()
    own = problem.parameters()
    found = torch.autograd.grad(problem.loss(), [own[n] for n in names])
    return dict(zip(names, found, strict=True))


def run(problem: Problem, **options: Any) -> TeleportResult:
    return teleport(problem.model, problem.loss_fn, (problem.inputs, problem.targets), **options)


@pytest.mark.parametrize("steps", [0, 5])
@pytest.mark.parametrize("kind", list(KINDS))
def test_it_is_what_a_real_step_takes_per_lr(kind: str, steps: int) -> None:
    problem = classification([6, 7, 4], 5, nn.Tanh)
    optimizer = trained(problem, KINDS[kind], steps)
    state = copy.deepcopy(optimizer.state_dict())

    value, _ = NextStep(optimizer, problem).value_and_slope(
        gradient_of(problem), problem.detached()
    )

    # torch's own Newton-Schulz rounds to bfloat16.
    rel = 0.02 if kind.startswith("muon") else 1e-8
    assert value == pytest.approx(decrease(problem, optimizer), rel=rel)
    after = optimizer.state_dict()
    assert after["param_groups"] == state["param_groups"]
    for key, known in state["state"].items():
        assert all(torch.equal(torch.as_tensor(after["state"][key][n]), torch.as_tensor(v))
                   for n, v in known.items() if v is not None)  # fmt: skip


@pytest.mark.parametrize("steps", [0, 5])
@pytest.mark.parametrize("kind", list(KINDS))
def test_the_slope_is_its_derivative(kind: str, steps: int) -> None:
    problem = classification([6, 7, 4], 5, nn.Tanh)
    objective = NextStep(trained(problem, KINDS[kind], steps), problem)
    g, W = gradient_of(problem), problem.detached()
    generator = torch.Generator().manual_seed(1)
    along = {n: torch.randn(x.shape, generator=generator).to(x) * x for n, x in g.items()}
    _, slope = objective.value_and_slope(g, W)

    h = 1e-5
    ends = [
        objective.value_and_slope({n: g[n] + s * h * along[n] for n in g}, W)[0] for s in (1, -1)
    ]

    expected = sum(float((slope[n] * along[n]).sum()) for n in g)
    size = sum(float((slope[n] * along[n]).abs().sum()) for n in g)
    assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(expected, abs=1e-6 * size)


def test_every_known_optimizer_is_in_the_table() -> None:
    held = [nn.Parameter(torch.ones(2, 2))]
    assert {type(make(held)) for make in KINDS.values()} == set(UPDATES)


def test_the_first_step_of_adam_is_the_l1_norm() -> None:
    problem = CASES["gelu-deep"].build()
    optimizer = optim.Adam(problem.model.parameters(), eps=1e-15)

    value, slope = NextStep(optimizer, problem).value_and_slope(
        g := gradient_of(problem), problem.detached()
    )

    assert value == pytest.approx(sum(float(x.abs().sum()) for x in g.values()), rel=1e-9)
    assert all(torch.allclose(slope[n], g[n].sign(), atol=1e-5) for n in g)


def test_dead_units_have_no_slope_and_no_nan() -> None:
    problem = CASES["relu"].build()
    with torch.no_grad():
        problem.parameters()["0.bias"].fill_(-100.0)
    for make in KINDS.values():
        value, slope = NextStep(trained(problem, make, 0), problem).value_and_slope(
            gradient_of(problem), problem.detached()
        )
        assert all(bool(torch.isfinite(v).all()) for v in slope.values())
        assert value == value


def asked_for(steps: int, **options: Any) -> tuple[float, float, TeleportResult]:
    """<g, u(g)> of Adam by real steps after over before, that of l2 beside it."""
    factors = []
    for objective in ("adam", "l2"):
        problem = classification([20, 40, 40, 10], 8, nn.Tanh)
        optimizer = trained(problem, lambda p: optim.Adam(p, lr=1e-3), steps)
        before = decrease(problem, optimizer)
        result = run(problem, objective=optimizer if objective == "adam" else "l2", **options)
        assert result.status is Status.DONE
        factors.append(decrease(problem, optimizer) / before)
        if objective == "adam":
            found = result
    return factors[0], factors[1], found


@pytest.mark.parametrize("steps", [0, 50])
def test_the_step_of_adam_gains_what_was_asked_for_and_by_l2_it_does_not(steps: int) -> None:
    own, by_l2, result = asked_for(steps, growth=2.0)

    assert own == pytest.approx(2.0, rel=0.1)
    assert own == pytest.approx(result.objective[-1] / result.objective[0], rel=1e-6)
    assert abs(by_l2 / 2.0 - 1) > 0.1


def test_groups_count_in_proportion_to_their_lr() -> None:
    problem = classification([6, 7, 4], 5, nn.Tanh)
    first, second = problem.model[0], problem.model[2]  # type: ignore[index]
    g, W = gradient_of(problem), problem.detached()
    halves = [{"params": first.parameters(), "lr": 0.2}, {"params": second.parameters(), "lr": 0.1}]
    parts = [sum(float(g[n].square().sum()) for n in g if n[0] == layer) for layer in "02"]

    value, _ = NextStep(optim.SGD(halves, lr=1.0), problem).value_and_slope(g, W)
    assert value == pytest.approx(parts[0] + 0.5 * parts[1])

    warming = optim.SGD([{"params": first.parameters()}, {"params": second.parameters()}], lr=0.0)
    assert NextStep(warming, problem).value_and_slope(g, W)[0] == pytest.approx(sum(parts))

    alone = optim.SGD(second.parameters(), lr=0.1)
    value, slope = NextStep(alone, problem).value_and_slope(g, W)
    assert value == pytest.approx(parts[1])
    assert not slope["0.weight"].any()


@pytest.mark.parametrize("options", [{}, {"growth": 2.0}, {"engine": "textbook"}])
@pytest.mark.parametrize("net", ["leaky-bias", "residual-batchnorm"])
def test_a_step_that_would_raise_the_loss_has_a_status_of_its_own(
    net: str, options: dict[str, Any]
) -> None:
    problem = CASES[net].build()
    before = snapshot(problem)
    optimizer = optim.SGD(problem.model.parameters(), lr=0.1, momentum=0.9)
    for parameter, g in zip(problem.model.parameters(), gradient_of(problem).values(), strict=True):
        optimizer.state[parameter]["momentum_buffer"] = -10 * g

    result = run(problem, objective=optimizer, **options)

    assert (result.status, result.steps_done) == (Status.NOT_POSITIVE, 0)
    assert result.objective[0] < 0
    assert "would not lower the loss" in result.status.value
    assert identical(problem, before)


def buffers(optimizer: Optimizer) -> list[Tensor]:
    return [x for state in optimizer.state.values() for x in state.values() if x is not None]


def test_a_call_leaves_the_optimizer_as_it_was() -> None:
    problem = CASES["leaky-bias"].build()
    optimizer = trained(problem, KINDS["adam"], 3)
    before = [x.clone() for x in buffers(optimizer)]

    run(problem, objective=optimizer, growth=1.5)

    assert all(map(torch.equal, before, buffers(optimizer)))
