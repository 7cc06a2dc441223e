"""Historical trajectory reuse, against Adam written out."""

from typing import Any

import pytest
import torch
from task_problems import two_heads
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import StepLR

from teleport_core import ProblemError, Schedule
from teleport_core.problem import Problem
from teleport_core.training.reuse import Trace, reuse


def stepped(problem: Problem, optimizer: Optimizer, *, zero_after: bool = False) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(problem.loss())
    optimizer.step()
    if zero_after:
        optimizer.zero_grad()


def trained(steps: int = 3) -> tuple[Problem, Adam]:
    problem = two_heads()
    optimizer = Adam(problem.model.parameters(), lr=1e-3)
    for _ in range(steps):
        stepped(problem, optimizer)
    return problem, optimizer


def by_hand(problem: Problem, optimizer: Adam, betas: tuple[float, float]) -> list[torch.Tensor]:
    """Where one step of Adam with these betas leads from here, as its paper writes it."""
    gradients = torch.autograd.grad(problem.loss(), list(problem.model.parameters()))
    ends = []
    for p, g in zip(problem.model.parameters(), gradients, strict=True):
        state = optimizer.state[p]
        t = float(state["step"]) + 1
        m = betas[0] * state["exp_avg"] + (1 - betas[0]) * g
        v = betas[1] * state["exp_avg_sq"] + (1 - betas[1]) * g**2
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        ends.append(p.detach() - 1e-3 * m_hat / (v_hat.sqrt() + 1e-8))
    return ends


def test_scaled_betas_act_in_exactly_one_step() -> None:
    problem, optimizer = trained()
    reuse(optimizer, 0.4)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)

    for betas in ((0.4 * 0.9, 0.4 * 0.999), (0.9, 0.999), (0.9, 0.999)):
        expected = by_hand(problem, optimizer, betas)
        stepped(problem, optimizer)
        for p, end in zip(problem.model.parameters(), expected, strict=True):
            torch.testing.assert_close(p.detach(), end, rtol=1e-10, atol=1e-12)
        assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_put_back_before_the_step_they_act_never() -> None:
    """As in the released code, where the step is computed again and that restores the betas."""
    problem, optimizer = trained()
    optimizer.param_groups[0]["betas"] = (0.36, 0.4)
    optimizer.param_groups[0]["betas"] = (0.9, 0.999)
    expected = by_hand(problem, optimizer, (0.9, 0.999))
    stepped(problem, optimizer)
    torch.testing.assert_close([p.detach() for p in problem.model.parameters()], expected)


def test_a_move_along_the_gradient_leaves_adam_as_it_is() -> None:
    problem, optimizer = trained()
    twin, plain = trained()
    trace = Trace.of(optimizer)
    for own in (problem, twin):
        with torch.no_grad():
            for p, gradient in zip(own.model.parameters(), trace.gradients, strict=True):
                p.add_(0.1 * gradient)

    cosine = trace.cosine()
    assert cosine == pytest.approx(1)
    reuse(optimizer, 1.0)

    stepped(problem, optimizer)
    stepped(twin, plain)
    for one, other in zip(problem.model.parameters(), twin.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("cosine", [0.0, -0.3])
def test_a_move_against_it_empties_the_state_and_keeps_the_schedule(cosine: float) -> None:
    problem, optimizer = trained()
    rates = StepLR(optimizer, step_size=1, gamma=0.5)

    reuse(optimizer, cosine)

    assert not optimizer.state
    stepped(problem, optimizer)
    rates.step()
    assert optimizer.param_groups[0]["lr"] == 5e-4
    assert all(float(state["step"]) == 1 for state in optimizer.state.values())


def test_of_two_moves_before_a_step_the_last_counts() -> None:
    problem, optimizer = trained()
    reuse(optimizer, 0.9)
    reuse(optimizer, 0.4)

    expected = by_hand(problem, optimizer, (0.4 * 0.9, 0.4 * 0.999))
    stepped(problem, optimizer)

    torch.testing.assert_close([p.detach() for p in problem.model.parameters()], expected)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def scheduled(problem: Problem, optimizer: Optimizer, **options: Any) -> Any:
    settings = {"trigger": "always", "optimizer_state": "reuse", "batches": 1} | options
    schedule = Schedule("cost", epochs=(0,), **settings)
    batch = [(problem.inputs, problem.targets)]
    return schedule.before_epoch(0, problem.model, problem.loss_fn, batch, optimizer)


def test_a_schedule_reuses_by_the_cosine_of_its_move() -> None:
    problem, optimizer = trained()
    before = problem.copy()
    gradients = {n: p.grad.clone() for n, p in problem.parameters().items()}  # type: ignore[union-attr]

    results = scheduled(problem, optimizer)

    moves = {n: v - before[n] for n, v in problem.detached().items()}
    moved = [n for n, move in moves.items() if move.any()]
    one, other = (torch.cat([each[n].flatten() for n in moved]) for each in (gradients, moves))
    assert results.cosine == pytest.approx(float(one @ other / one.norm() / other.norm()))
    assert bool(optimizer.state) == (results.cosine > 0)


def test_what_did_not_move_changes_nothing() -> None:
    problem, optimizer = trained()
    results = scheduled(problem, optimizer, gamma=0.0)

    assert results.cosine is None
    assert optimizer.state
    assert not optimizer._optimizer_step_pre_hooks


def test_before_the_first_step_there_is_nothing_to_reuse() -> None:
    problem, optimizer = trained(steps=0)
    results = scheduled(problem, optimizer)

    assert results[0].steps_done == 8
    assert results.cosine is None


def test_a_move_taken_back_changes_nothing() -> None:
    problem, optimizer = trained()
    state = {p: one["exp_avg"].clone() for p, one in optimizer.state.items()}

    schedule = Schedule(
        "cost", epochs=(0,), batches=1, trigger="always", optimizer_state="reuse",
        guard="lookahead", gamma=50.0, lr=5.0, tolerance=1e9,
    )  # fmt: skip
    batch = [(problem.inputs, problem.targets)]
    before = problem.copy()
    results = schedule.before_epoch(0, problem.model, problem.loss_fn, batch, optimizer)

    assert not results.kept
    assert all(torch.equal(v, before[n]) for n, v in problem.detached().items())
    assert all(torch.equal(one["exp_avg"], state[p]) for p, one in optimizer.state.items())
    assert not optimizer._optimizer_step_pre_hooks


def test_what_cannot_be_reused_is_refused_in_words() -> None:
    problem, optimizer = trained()
    before = problem.copy()
    stepped(problem, optimizer, zero_after=True)
    before = problem.copy()
    with pytest.raises(ProblemError, match=r"expected the gradients of the step before in .grad"):
        scheduled(problem, optimizer)
    with pytest.raises(ProblemError, match=r"expected an optimizer with betas, .* got SGD"):
        scheduled(problem, SGD(problem.model.parameters(), lr=0.1))
    assert all(torch.equal(v, before[n]) for n, v in problem.detached().items())
