"""The gain of an optimizer's next step, against the step itself."""

import pytest
import torch
from small_problems import classification

from bench.probing.optimizers import first_order_gain, made
from bench.spec.probe import OPTIMIZERS
from teleport_core import Problem


def with_gradient(problem: Problem) -> torch.Tensor:
    """The gradient of the loss, flat; the parameters hold it."""
    problem.model.zero_grad()
    problem.loss().backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.reshape(-1) for p in problem.model.parameters() if p.grad is not None])


def test_at_the_start_it_is_a_norm_of_the_gradient() -> None:
    problem = classification([6, 8, 3], 4)
    g = with_gradient(problem)

    assert first_order_gain("sgd", problem.model, None) == pytest.approx(float(g.square().sum()))
    assert first_order_gain("momentum", problem.model, None) == pytest.approx(float(g @ g))
    # Adam's first step is the sign, up to its eps.
    l1 = float((g.square() / (g.abs() + 1e-8)).sum())
    assert first_order_gain("adam", problem.model, None) == pytest.approx(l1, rel=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_later_it_is_what_the_next_step_gains_a_unit_of_the_learning_rate(name: str) -> None:
    problem = classification([6, 8, 3], 4)
    optimizer = made(name, problem.model.parameters(), 1e-3, None)
    for _ in range(5):
        with_gradient(problem)
        optimizer.step()
    state = optimizer.state_dict()
    before = [p.detach().clone() for p in problem.model.parameters()]
    g = with_gradient(problem)

    gain = first_order_gain(name, problem.model, state)

    # AdamW shrinks weights besides, which is no part of u(g).
    assert all(map(torch.equal, before, problem.model.parameters()))
    assert optimizer.state_dict()["state"].get(0, {}).get("step", 5) == 5
    lr = 1e-7
    step = made(name, problem.model.parameters(), lr, state)
    for group in step.param_groups:
        group["weight_decay"] = 0.0
    step.step()
    moved = torch.cat(
        [
            (p.detach() - b).reshape(-1)
            for p, b in zip(problem.model.parameters(), before, strict=True)
        ]
    )
    assert gain == pytest.approx(-float(g @ moved) / lr, rel=1e-6)
    assert gain > 0
