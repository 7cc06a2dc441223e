"""Trajectories on the toy problem of CAGrad: two tasks that share a point of the plane."""

import pytest
import torch
from torch import Tensor

from baselines.cost.combiners import fairgrad, mean
from baselines.test_functions import two_tasks_losses
from baselines.test_functions.model import two_tasks
from teleport_core import ProblemError, teleport

NOTHING = torch.zeros(1, dtype=torch.float64)


def gradients(point: Tensor) -> Tensor:
    losses = two_tasks_losses(point)
    found = [torch.autograd.grad(loss, point, retain_graph=True)[0] for loss in losses]
    return torch.stack(found)


def descended(
    combine: object, *, most: int = 400, teleports: tuple[int, ...] = ()
) -> tuple[Tensor, int]:
    """Adam from (9, 9); where it is after ``most`` steps, or where no direction is left."""
    model, loss_fn = two_tasks((9.0, 9.0))
    point = model.point
    adam = torch.optim.Adam([point], lr=0.05)
    for step in range(most):
        if step in teleports:
            before = two_tasks_losses(point).detach()
            options = {"method": "cost", "trigger": "always", "lr": 0.05}
            result = teleport(model, loss_fn, (NOTHING, NOTHING), **options)  # type: ignore[arg-type]
            off = (two_tasks_losses(point).detach() - before).abs()
            assert result.steps_done == 8
            assert (off <= 0.01 * before.abs() + 1e-12).all()
        try:
            point.grad = combine(gradients(point))  # type: ignore[operator]
        except ProblemError:
            return point.detach(), step
        adam.step()
    return point.detach(), most


def test_the_mean_stays_in_a_valley_that_fairgrad_leaves() -> None:
    stuck, _ = descended(mean)
    found, steps = descended(fairgrad)

    assert two_tasks_losses(stuck).mean() > 0.5
    assert steps < 400  # no direction is left: the gradients are opposed, or nearly
    assert two_tasks_losses(found).mean() < -13
    a, b = gradients(found.requires_grad_())
    assert float(a @ b / a.norm() / b.norm()) == pytest.approx(-1, abs=1e-2)


def test_with_teleports_on_the_way_it_comes_as_far() -> None:
    plain, _ = descended(fairgrad, most=60)
    found, _ = descended(fairgrad, most=60, teleports=(5, 30))

    assert found.tolist() != plain.tolist()
    assert two_tasks_losses(found).mean() < two_tasks_losses(torch.tensor([9.0, 9.0])).mean() - 0.5
    assert float((found - plain).norm()) < 1
