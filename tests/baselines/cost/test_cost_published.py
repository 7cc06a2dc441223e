"""What the released code computes, and what comes of it."""

import pytest
import torch
from oracles import identical, snapshot
from task_problems import of_heads, two_heads
from torch import Tensor

from baselines.cost.lora import changes, pairs_of
from baselines.cost.tasks import tasks_at
from teleport_core import Problem, Status, teleport


def run(problem: Problem, **options: object) -> object:
    batch = (problem.inputs, problem.targets)
    options = {"method": "cost", "trigger": "always"} | options
    return teleport(problem.model, problem.loss_fn, batch, **options)


def losses(problem: Problem) -> Tensor:
    return of_heads(problem.output(), problem.targets).detach()


def test_its_gradient_is_the_loss_gradient_with_a_sign_by_chance() -> None:
    """Its perturbed losses are constants: L_g's slope is R_i s_i g_i / 1e-4, s_i = -1 or 1."""
    problem = two_heads()
    own = problem.detached()
    start = tasks_at(problem, None)
    names = ["body.0.weight", "body.3.weight"]
    R = 2 * (1 - start.matrix().norm(dim=1) / start.matrix().norm(dim=1).sum())
    pairs = pairs_of({n: own[n] for n in names}, 5, torch.Generator().manual_seed(0))

    run(problem, published=True, steps=1, lr=1e-3)

    # Adam's first step is lr times the sign of the slope of every entry of B; A's is zero.
    moved = {n: problem.detached()[n] - start_value for n, start_value in _before(names).items()}
    signs = [(a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    explained = []
    for pair in signs:
        weights = [float(r) * s for r, s in zip(R, pair, strict=True)]
        steps = {}
        for n in names:
            slope = sum(w * g[n] for w, g in zip(weights, start.gradients, strict=True))
            A = pairs[n].A.detach()
            steps[n] = 1e-3 * (slope @ A.T).sign()
        guess = {n: 1.6 * steps[n] @ pairs[n].A.detach() for n in names}
        explained.append(all(torch.allclose(moved[n], guess[n], atol=1e-9) for n in names))
    assert any(explained)
    assert changes(pairs, {n: own[n] for n in names})[names[0]].abs().max() == 0


def _before(names: list[str]) -> dict[str, Tensor]:
    fresh = two_heads().copy()
    return {n: fresh[n] for n in names}


def test_its_losses_are_not_kept_where_ours_are() -> None:
    drift = {}
    for published in (True, False):
        problem = two_heads()
        before = losses(problem)
        run(problem, published=published, steps=30, lr=0.1)
        drift[published] = float(((losses(problem) - before) / before).abs().max())

    assert drift[False] <= 1e-2
    assert drift[True] > 0.3


def test_its_trigger_is_any_conflict() -> None:
    def apart(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        """Gradients 3, 3, -4 along one direction, and a weak one across: the mean is with it."""
        whole = outputs[0].sum()
        return torch.stack([9 + 3 * whole, 9 + 3 * whole, 9 - 4 * whole, 9 + 0.01 * whole])

    problem = two_heads()
    problem = Problem(problem.model, apart, problem.inputs, problem.targets, by_task=True)
    before = snapshot(problem)

    ours = run(problem, trigger="dominated")
    assert ours.status is Status.NO_CONFLICT  # type: ignore[attr-defined]
    assert identical(problem, before)
    theirs = run(problem, trigger="dominated", published=True)
    assert theirs.status is not Status.NO_CONFLICT  # type: ignore[attr-defined]


def test_it_looks_in_eval_mode_and_leaves_the_modes_alone() -> None:
    """Where batch norm has other statistics than the batch, the losses it keeps are not these."""
    problem = two_heads(norm=True)
    problem.model.train()
    before = losses(problem)

    result = run(problem, published=True, steps=2, lr=1e-4)

    assert problem.model.training
    assert all(module.training for module in problem.model.modules())
    theirs = torch.tensor(result.task_losses[0])  # type: ignore[attr-defined]
    assert not torch.allclose(theirs.double(), before, rtol=1e-3)
    problem.model.eval()
    eval_losses = losses(two_heads_in_eval())
    torch.testing.assert_close(theirs.double(), eval_losses)


def two_heads_in_eval() -> Problem:
    problem = two_heads(norm=True)
    problem.model.eval()
    return problem


def test_in_float32_its_radius_drowns_in_rounding() -> None:
    """Of 1e-4 the change of a loss is rounding, of our 1e-2 it is not."""
    problem = two_heads()
    own = problem.detached()
    shared = tasks_at(problem, None).shared
    off = {}
    for radius in (1e-4, 1e-2):
        rises = {}
        for dtype in (torch.float32, torch.float64):
            generator = torch.Generator().manual_seed(0)
            values = {n: v.to(torch.float32).to(dtype) for n, v in own.items()}
            noise = {n: torch.randn(own[n].shape, generator=generator) for n in shared}
            moved = {n: values[n] + (radius / e.norm() * e).to(dtype) for n, e in noise.items()}
            twin = Problem(problem.model, of_heads, problem.inputs.to(dtype), problem.targets)
            change = twin.losses_of(twin.output({**values, **moved}))
            rises[dtype] = (change - twin.losses_of(twin.output(values))).double()
        exact = rises[torch.float64]
        off[radius] = float(((rises[torch.float32] - exact) / exact).abs().max())
    assert off[1e-4] > 10 * off[1e-2]


@pytest.mark.parametrize("option", ["radius", "tolerance", "gamma"])
def test_its_constants_are_its_own(option: str) -> None:
    with pytest.raises(ValueError, match=f"expected no {option} with published=True"):
        run(two_heads(), published=True, **{option: 0.5})
