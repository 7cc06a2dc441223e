"""Claims of Mishkin et al., arXiv 2403.03362, and of their released code."""

from typing import Any

import torch

from baselines.test_functions import problem_of
from bench.claims.ledger import Finding, Outcome
from teleport_core import TeleportResult, teleport


def _on(function: str, start: tuple[float, float] | None, **options: Any) -> TeleportResult:
    problem = problem_of(function, start) if start else problem_of(function)
    data = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, data, method="level_set", rho=10.0, **options)


def released_penalty_ends_at_the_optimum(dtype: torch.dtype, seed: int) -> Finding:
    """Booth from (7.5, -4), whose largest ||g||^2 on the sub-level set is 36 f."""
    theirs = _on("booth", (7.5, -4.0), steps=500, published=True)
    ours = _on("booth", (7.5, -4.0), steps=25)
    shares = [result.grad_norm_sq[-1] / (36 * result.loss[0]) for result in (theirs, ours)]
    return Finding(
        outcome=Outcome.REPRODUCED if shares[0] > 1 - 1e-6 else Outcome.REFUTED,
        value=shares[0],
        text=f"{shares[0]:.5f} of the largest value after 500 steps; with a penalty of twice the "
        f"multiplier {shares[1]:.9f} after {ours.steps_done}",
    )


def keeps_the_level(dtype: torch.dtype, seed: int) -> Finding:
    """Goldstein-Price from (0, 0): how far the loss ends from its value, and the gain."""
    result = _on("goldstein_price", None, steps=60)
    violation = abs(result.loss[-1] / result.loss[0] - 1)
    growth = result.grad_norm_sq[-1] / result.grad_norm_sq[0]
    return Finding(
        outcome=Outcome.REPRODUCED if violation < 1e-6 and growth > 2 else Outcome.REFUTED,
        value=violation,
        text=f"the loss ends {violation:.1g} of itself away; ||g||^2 grows {growth:.3g}-fold",
    )


def a_newton_step_from_there(dtype: torch.dtype, seed: int) -> Finding:
    """Booth from (5, -5): one gradient step of 1/18 after the teleport."""
    problem = problem_of("booth", (5.0, -5.0))
    data = (problem.inputs, problem.targets)
    teleport(problem.model, problem.loss_fn, data, method="level_set", rho=10.0, steps=30)
    (point,) = problem.model.parameters()
    loss = problem.loss_fn(problem.model(problem.inputs), problem.targets)
    (gradient,) = torch.autograd.grad(loss, [point])
    end = (point - gradient / 18).detach().flatten()
    away = float((end - torch.tensor([1.0, 3.0], dtype=end.dtype)).norm())
    return Finding(
        outcome=Outcome.REPRODUCED if away < 1e-4 else Outcome.REFUTED,
        value=away,
        text=f"one step ends {away:.1g} from the minimum",
    )


def work_of_a_teleport(dtype: torch.dtype, seed: int) -> Finding:
    """Passes of the model, on the axis of iterations that the figures do not count."""
    problem = problem_of("goldstein_price")
    passes = 0

    def counting(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal passes
        passes += 1
        return problem.loss_fn(output, target)

    data = (problem.inputs, problem.targets)
    result = teleport(
        problem.model, counting, data, method="level_set", rho=10.0, steps=50, verify="off"
    )
    return Finding(
        outcome=Outcome.REFUTED if passes > 10 else Outcome.REPRODUCED,
        value=float(passes),
        text=f"one teleport of {result.steps_done} steps takes {passes} evaluations of the loss, "
        "most with a backward pass: none is on the axis",
    )
