"""The teleport of several tasks against slow and obvious ways to know the answer."""

from typing import Any

import pytest
import torch
from oracles import identical, snapshot
from task_problems import TwoHeads, of_heads, one_output, two_heads
from torch import Tensor, nn

from baselines.cost import CostTeleporter
from baselines.cost.lora import ALPHA, changes, pairs_of
from baselines.cost.objective import gradient_objective, perturbation, ratios, task_objective
from baselines.cost.tasks import tasks_at
from baselines.test_functions.model import two_tasks
from teleport_core import (
    Guarantee,
    OptionError,
    Problem,
    ProblemError,
    Status,
    TeleportResult,
    teleport,
)


def run(problem: Problem, **options: Any) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    options = {"method": "cost", "trigger": "always"} | options
    return teleport(problem.model, problem.loss_fn, batch, **options)


class Lora(nn.Module):
    """A linear layer with a low-rank branch beside it, as PEFT attaches it."""

    def __init__(self, layer: nn.Linear, A: Tensor, B: Tensor) -> None:
        super().__init__()
        self.layer, self.A, self.B = layer, A, B

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + ALPHA / len(self.A) * (x @ self.A.T) @ self.B.T


def test_the_merged_model_is_the_model_with_branches() -> None:
    problem = two_heads()
    own = {n: v for n, v in problem.copy().items() if n in ("body.0.weight", "body.3.weight")}
    pairs = pairs_of(own, 3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for pair in pairs.values():
            pair.B.normal_()
    merged = problem.output({n: own[n] + part for n, part in changes(pairs, own).items()})

    body = problem.model.body  # type: ignore[attr-defined]
    for place in (0, 3):
        A, B = pairs[f"body.{place}.weight"]
        body[place] = Lora(body[place], A, B)
    for one, other in zip(problem.output(), merged, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_kernel_moves_as_a_convolution_with_a_branch_of_two() -> None:
    kernel = {"w": torch.randn(6, 4, 3, 3, dtype=torch.float64)}
    pairs = pairs_of(kernel, 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        pairs["w"].B.normal_()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    A, B = pairs["w"]

    merged = nn.functional.conv2d(x, kernel["w"] + changes(pairs, kernel)["w"])

    down = nn.functional.conv2d(x, A.view(2, 4, 3, 3))
    branch = nn.functional.conv2d(down, B.view(6, 2, 1, 1))
    torch.testing.assert_close(merged, nn.functional.conv2d(x, kernel["w"]) + ALPHA / 2 * branch)


@pytest.mark.parametrize("rank", [1, 3])
def test_a_move_has_the_rank_that_was_asked_for(rank: int) -> None:
    problem = two_heads()
    before = problem.copy()

    result = run(problem, rank=rank, steps=5)

    assert result.status is Status.DONE
    for name, value in problem.detached().items():
        off = value - before[name]
        wanted = rank if name in ("body.0.weight", "body.3.weight") else 0
        found = torch.linalg.matrix_rank(off, rtol=1e-9) if off.dim() == 2 else off.any()
        assert int(found) == wanted, name
        assert (name in result.held) == (wanted == 0)


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_the_weights_of_the_tasks_sum_to_k_times_k_minus_one(tasks: int) -> None:
    G = torch.logspace(-1, 1, tasks, dtype=torch.float64)[:, None] * torch.randn(tasks, 7)

    R = ratios(G)

    assert float(R.sum()) == pytest.approx(tasks * (tasks - 1))
    assert R.argsort().tolist() == G.norm(dim=1).argsort(descending=True).tolist()


@pytest.mark.parametrize("tolerance", [10.0, 1e-1, 1e-3, 1e-5])
def test_every_task_keeps_its_loss_to_the_tolerance(tolerance: float) -> None:
    problem = two_heads()
    before = of_heads(problem.output(), problem.targets)

    result = run(problem, tolerance=tolerance, lr=0.1, gamma=10.0)

    after = of_heads(problem.output(), problem.targets)
    assert result.guarantee is Guarantee.APPROXIMATE
    assert ((after - before).abs() <= tolerance * before + 1e-12).all()
    assert result.task_losses[0] == pytest.approx(before.tolist(), rel=1e-12)
    assert result.task_losses[-1] == pytest.approx(after.tolist(), rel=1e-12)
    assert result.loss[-1] == pytest.approx(float(after.mean().detach()), rel=1e-12)
    assert all(0 < length < 1 for length in result.lengths)
    assert len(result.lengths) == (0 if tolerance == 10.0 else 8)


def test_the_gradient_of_every_task_grows() -> None:
    problem = two_heads()
    start = tasks_at(problem, None)

    run(problem, steps=60, gamma=0.5)

    growth = tasks_at(problem, start.shared).matrix().norm(dim=1) / start.matrix().norm(dim=1)
    assert growth.min() > 1.02


def test_the_perturbed_branch_stays_in_the_graph() -> None:
    """The slope of L_g is that of finite differences; detached it is not."""
    problem = two_heads()
    tasks = tasks_at(problem, None)
    own, shared = problem.detached(), tasks.shared
    generator = torch.Generator().manual_seed(0)
    noises = [perturbation({n: own[n] for n in shared}, 1e-2, generator) for _ in range(3)]
    R, name = ratios(tasks.matrix()), "body.3.weight"

    def proxy(weight: Tensor, *, in_graph: bool = True) -> Tensor:
        def losses_at(parameters: dict[str, Tensor]) -> Tensor:
            with torch.set_grad_enabled(in_graph):
                return problem.losses_of(problem.output(parameters))

        there = {**own, name: weight}
        return gradient_objective(losses_at, there, losses_at(there), noises, R, 1e-2)

    weight, direction = own[name].clone(), torch.randn_like(own[name])
    step = 1e-6 * direction
    expected = float((proxy(weight + step) - proxy(weight - step)) / 2e-6)
    (slope,) = torch.autograd.grad(proxy(leaf := weight.clone().requires_grad_()), leaf)
    assert float((slope * direction).sum()) == pytest.approx(expected, rel=1e-5)
    # L_g is the gradient norm's stand-in: to first order max |<g_i, noise>| / radius.
    products = [
        torch.stack([sum((g[n] * e[n]).sum() for n in shared) for e in noises]).abs().max()
        for g in tasks.gradients
    ]
    first_order = float((R * torch.stack(products)).mean() / 1e-2)
    assert float(proxy(weight)) == pytest.approx(first_order, rel=0.05)


def test_task_objective_is_the_mean_of_the_distances() -> None:
    losses, kept = torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.0])
    assert float(task_objective(losses, kept)) == 2.0


def test_shared_are_the_parameters_that_every_task_reaches() -> None:
    problem = two_heads()
    body = [name for name in problem.counted() if name.startswith("body")]

    assert tasks_at(problem, None).shared == body
    assert tasks_at(problem, ["body.3", "body.0.bias"]).shared == body[1:]
    with pytest.raises(OptionError, match=r"expected shared to name .* got .bod.: there are body"):
        run(problem, shared="bod")
    before = problem.copy()
    run(problem, shared="body.3+first")
    moved = [n for n, v in problem.detached().items() if not torch.equal(v, before[n])]
    assert moved == ["body.3.weight", "first.weight"]


def test_tasks_that_share_nothing_are_refused() -> None:
    def apart(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        return torch.stack([outputs[0].square().mean(), outputs[1].detach().square().mean()])

    problem = two_heads()
    before = snapshot(problem)
    with pytest.raises(ProblemError, match="expected tasks that share parameters; none has"):
        teleport(problem.model, apart, (problem.inputs, problem.targets), method="cost")
    assert identical(problem, before)


def opposed(*, weak: float) -> Problem:
    """Tasks whose gradients are opposed, one of them ``weak`` times as large."""

    def losses(output: Tensor, targets: Tensor) -> Tensor:
        first = output.square().mean()
        return torch.stack([2 + first, 2 - weak * first])

    problem = one_output()
    return Problem(problem.model, losses, problem.inputs, problem.targets, by_task=True)


def test_a_call_waits_for_a_conflict_of_the_weakest_task() -> None:
    assert run(opposed(weak=0.5), trigger="dominated").steps_done == 8
    problem = opposed(weak=-0.5)
    before = snapshot(problem)

    result = run(problem, trigger="dominated")

    assert (result.status, result.steps_done) == (Status.NO_CONFLICT, 0)
    assert identical(problem, before)
    assert run(problem, trigger="any").status is Status.NO_CONFLICT


def test_where_no_move_keeps_the_losses_nothing_moves() -> None:
    problem = two_heads()
    start = problem.output()[0].detach()

    def jumps(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        return of_heads(outputs, targets) + (outputs[0] != start).any()

    problem = Problem(problem.model, jumps, problem.inputs, problem.targets, by_task=True)
    before = snapshot(problem)

    result = run(problem)

    assert (result.status, result.steps_done) == (Status.LOSSES_NOT_KEPT, 0)
    assert result.loss == [float(problem.loss().detach())]
    assert identical(problem, before)


def test_without_gradient_objective_nothing_moves() -> None:
    """L_t alone is least where the call starts."""
    problem = two_heads()
    before = snapshot(problem)

    result = run(problem, gamma=0.0)

    assert (result.status, result.steps_done) == (Status.NO_ASCENT_DIRECTION, 0)
    assert identical(problem, before)


def test_a_cap_is_kept_on_the_way() -> None:
    whole = run(two_heads(), steps=30, cap=1e9, gamma=1.0, tolerance=10.0)
    cap = whole.grad_norm_sq[12]
    problem = two_heads()

    result = run(problem, steps=30, cap=cap, gamma=1.0, tolerance=10.0)

    assert result.status is Status.CAPPED
    assert all(norm < cap for norm in result.grad_norm_sq[:-1])
    assert result.grad_norm_sq[-1] >= cap
    assert result.grad_norm_sq == pytest.approx(whole.grad_norm_sq[: len(result.grad_norm_sq)])


def test_a_loss_that_ends_is_taken_back() -> None:
    def lost(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        good = of_heads(outputs, targets)
        return torch.where((good - start).abs() > 1e-3, torch.nan, good)

    problem = two_heads()
    start = of_heads(problem.output(), problem.targets).detach()
    problem = Problem(problem.model, lost, problem.inputs, problem.targets, by_task=True)

    result = run(problem, gamma=10.0, lr=0.01, steps=8)

    assert result.status is Status.NON_FINITE
    assert 0 < result.steps_done < 8
    assert problem.loss().isfinite()


def test_the_toy_problem_moves_along_its_level_sets() -> None:
    model, loss_fn = two_tasks((-3.0, 4.0))
    nothing = torch.zeros(1, dtype=torch.float64)
    before = loss_fn(model.point, None).detach()

    options = {"method": "cost", "trigger": "always", "tolerance": 0.05, "lr": 0.05}
    result = teleport(model, loss_fn, (nothing, nothing), **options)  # type: ignore[arg-type]

    after = loss_fn(model.point, None).detach()
    assert result.steps_done == 8
    assert ((after - before).abs() <= 0.05 * before.abs()).all()
    assert model.point.tolist() != [-3.0, 4.0]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"trigger": "weak"}, "expected trigger to be one of dominated, any, always; got 'weak'"),
        ({"shared": ""}, "expected shared to name parameters or modules"),
        ({"shared": ["body", 1]}, "expected shared to name parameters or modules"),
        ({"gamma": -0.1}, "expected gamma to be a finite number >= 0; got -0.1"),
        ({"rank": 0}, "expected rank to be a whole number >= 1; got 0"),
        ({"published": True, "gamma": 0.2}, "expected no gamma with published=True"),
        ({"growth": 2.0}, "expected no growth for these options of cost"),
    ],
)
def test_what_makes_no_sense_is_refused(option: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        CostTeleporter(**option)


def test_what_bounds_a_call_can_be_left_out() -> None:
    free = CostTeleporter(cap=5.0).unbounded()

    assert (free.cap, free.tolerance, free.trigger) == (float("inf"), float("inf"), "always")
    assert CostTeleporter(published=True).unbounded().trigger == "always"


def test_an_interrupt_leaves_the_model_as_it_was() -> None:
    problem = two_heads()
    before = snapshot(problem)
    calls = iter(range(100))

    def interrupted(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        if next(calls) == 20:
            raise KeyboardInterrupt
        return of_heads(outputs, targets)

    batch = (problem.inputs, problem.targets)
    with pytest.raises(KeyboardInterrupt):
        teleport(problem.model, interrupted, batch, method="cost", trigger="always")
    assert identical(problem, before)
    assert isinstance(problem.model, TwoHeads)
