"""Random modules: a call ends well, or is refused in our words, and leaves nothing behind."""

import random
import warnings
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from oracles import identical, snapshot
from strange_modules import PROGRAMS, Program
from torch import Tensor

from teleport_core import Guarantee, Problem, Status, TeleportError, TeleportWarning, teleport
from teleport_core.torch_private import tree_leaves

# Of the gradient: weights move by little, so that rounding is all there is to see.
FACTOR = 1e-6
DRIFT = 1e-9
# Where a part of the model works in float32.
COARSE_DRIFT = 1e-6
# Statuses under which nothing has moved.
AT_REST = (Status.NO_NULL_SPACE, Status.NO_ASCENT_DIRECTION)


def outputs(problem: Problem) -> list[Tensor]:
    """Every floating output on the batch; what the model draws is put back."""
    state = torch.get_rng_state()
    with torch.no_grad():
        found = [x.clone() for x in tree_leaves(problem.output()) if isinstance(x, Tensor)]
    torch.set_rng_state(state)
    return found


def gradient_norm(problem: Problem) -> float:
    """0 for a model whose own backward pass raises."""
    wanted = [p for p in problem.parameters().values() if p.requires_grad]
    state = torch.get_rng_state()
    try:
        found = torch.autograd.grad(problem.loss(), wanted, allow_unused=True)
    except RuntimeError:
        return 0.0
    finally:
        torch.set_rng_state(state)
    return float(sum(float(g.square().sum()) for g in found if g is not None) ** 0.5)


def slots(problem: Problem) -> list[tuple[str, str, int]]:
    """Which object stands where, under every name a module has."""
    return [
        (path, name, id(value))
        for path, module in problem.model.named_modules(remove_duplicate=False)
        for kept in (module._parameters, module._buffers)
        for name, value in kept.items()
    ]


def surroundings(problem: Problem) -> list[Any]:
    """What a call leaves as it was, whatever comes of it."""
    return [
        slots(problem),
        [module.training for module in problem.model.modules()],
        [p.requires_grad for p in problem.parameters().values()],
        [p.grad is None for p in problem.parameters().values()],
        torch.get_rng_state().tolist(),
        random.getstate(),
        (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()),
    ]


def check(program: Program) -> str:
    """Hold one call to all of it; the outcome's name."""
    problem = program.problem()
    norm = gradient_norm(problem)
    before, saved = outputs(problem), snapshot(problem)
    around = surroundings(problem)
    batch = (problem.inputs, problem.targets)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TeleportWarning)
            result = teleport(
                problem.model, problem.loss_fn, batch, lr=FACTOR / (norm or 1.0), steps=3
            )
    except TeleportError as error:
        assert len(str(error)) > 20
        assert surroundings(problem) == around
        assert identical(problem, saved)
        return "refused"
    assert surroundings(problem) == around
    buffers = {name for name, _ in problem.model.named_buffers()}
    assert identical(problem, {k: v for k, v in saved.items() if k in buffers})
    if result.status in AT_REST:
        assert identical(problem, saved)
    limit = COARSE_DRIFT if any(name == "half" for _, _, name in program.blocks) else DRIFT
    if result.guarantee is Guarantee.EXACT_ON_BATCH:
        for old, new in zip(before, outputs(problem), strict=True):
            assert float((new - old).norm()) <= limit * float(old.norm())
    return result.status.name


# What torch says of the modules that are drawn.
TORCHS = pytest.mark.filterwarnings("ignore::UserWarning")


@TORCHS
@given(PROGRAMS)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_a_random_module_ends_well_or_is_refused(program: Program) -> None:
    check(program)


@TORCHS
@pytest.mark.long
@pytest.mark.timeout(1800)
@given(PROGRAMS)
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_three_thousand_random_modules(program: Program) -> None:
    check(program)
