"""A loss with one value per task: taken where a method says so, refused in words elsewhere."""

from typing import Any

import pytest
import torch
from oracles import identical, snapshot
from task_problems import of_heads, two_heads
from torch import Tensor
from torch.optim import SGD

from teleport_core import ProblemError, Schedule, Status, advise, teleport
from teleport_core.nullspace import keep_bases

SCALAR = r"expected loss_fn to return a scalar tensor; got \(2,\): .* method='cost' takes it"


@pytest.mark.parametrize("verify", ["full", "outputs", "off"])
def test_other_methods_name_the_one_that_takes_it(verify: str) -> None:
    problem = two_heads(samples=5)
    before, batch = snapshot(problem), (problem.inputs, problem.targets)

    for method in ("nullspace", "identity"):
        if (method, verify) == ("identity", "off"):
            continue  # nobody looks, and nothing moves
        with pytest.raises(ProblemError, match=SCALAR):
            teleport(problem.model, of_heads, batch, method=method, verify=verify)
    assert identical(problem, before)


def test_so_do_schedule_and_advice_and_kept_bases() -> None:
    problem = two_heads()
    batch = (problem.inputs, problem.targets)
    optimizer = SGD(problem.model.parameters(), lr=0.1)

    with pytest.raises(ProblemError, match=SCALAR):
        Schedule(epochs=(0,)).before_epoch(0, problem.model, of_heads, [batch], optimizer)
    with pytest.raises(ProblemError, match=SCALAR):
        advise(problem.model, of_heads, [batch])
    with pytest.raises(ProblemError, match=SCALAR):
        keep_bases(problem.model, of_heads, batch)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda losses: losses.mean(), r"one value per task, \[tasks\], of two or more; got \(\)"),
        (lambda losses: losses[:1], r"of two or more; got \(1,\): stack the losses of the tasks"),
        (lambda losses: losses[None], r"of two or more; got \(1, 2\)"),
        (lambda losses: [*losses], "one value per task, .*; got list: use torch.stack"),
        (
            lambda losses: losses * torch.nan,
            "expected a finite loss on .*; got nan",
        ),
    ],
)
@pytest.mark.parametrize("verify", ["full", "off"])
def test_a_loss_that_is_none_of_several_tasks_is_refused(loss: Any, said: str, verify: str) -> None:
    problem = two_heads()
    before, batch = snapshot(problem), (problem.inputs, problem.targets)

    def wrong(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Any:
        return loss(of_heads(outputs, targets))

    if verify == "off" and "finite" in said:  # then it is a status
        result = teleport(problem.model, wrong, batch, method="cost", verify=verify)
        assert (result.status, result.steps_done) == (Status.NON_FINITE, 0)
        return
    with pytest.raises(ProblemError, match=said):
        teleport(problem.model, wrong, batch, method="cost", verify=verify)
    assert identical(problem, before)


@pytest.mark.parametrize("verify", ["full", "outputs", "off"])
def test_what_is_reported_is_of_the_mean(verify: str) -> None:
    problem = two_heads()
    batch = (problem.inputs, problem.targets)
    losses = problem.losses_of(problem.output())
    gradients = torch.autograd.grad(losses.mean(), [*problem.model.parameters()])

    result = teleport(
        problem.model, of_heads, batch, method="cost", trigger="always", verify=verify
    )

    assert result.loss[0] == pytest.approx(float(losses.mean().detach()))
    assert result.task_losses[0] == pytest.approx(losses.tolist())
    assert len(result.task_losses) == len(result.loss) == result.steps_done + 1
    norm_sq = float(sum(g.square().sum() for g in gradients))
    assert result.grad_norm_sq[0] == pytest.approx(norm_sq)
    assert result.to_dict()["task_losses"] == result.task_losses
