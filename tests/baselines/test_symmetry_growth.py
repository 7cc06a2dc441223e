"""growth of the symmetry method: ||g||^2 ends where it was asked to, outputs stay."""

import pytest
import torch
from oracles import output_change, snapshot
from small_problems import classification
from torch import nn

from teleport_core import Guarantee, Problem, Status, TeleportResult, make, teleport

both = pytest.mark.parametrize("acts_on", ["preactivations", "activations"])


def build(width: int = 40) -> Problem:
    return classification([width, width, width, 10], 8, lambda: nn.LeakyReLU(0.1))


def run(problem: Problem, **options: object) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, method="symmetry", **options)


@both
@pytest.mark.parametrize("growth", [1.5, 4])
def test_it_grows_as_far_as_asked(acts_on: str, growth: float) -> None:
    problem = build()
    before = problem.output().detach()

    result = run(problem, growth=growth, acts_on=acts_on)

    assert (result.status, result.steps_done) == (Status.DONE, 8)
    assert result.grad_norm_sq[-1] / result.grad_norm_sq[0] == pytest.approx(growth, rel=0.0101)
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert output_change(problem, before) < 1e-11
    assert len(result.lrs) == 8


@both
@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding shows
def test_too_far_ends_at_the_nearest_point(acts_on: str) -> None:
    result = run(build(), growth=1e30, steps=2, acts_on=acts_on)

    assert result.status in (Status.GROWTH_NOT_REACHED, Status.NON_FINITE, Status.OUTPUTS_CHANGED)
    assert result.grad_norm_sq[-1] >= result.grad_norm_sq[0]
    assert len(result.lrs) == result.steps_done


@both
def test_no_step_passes_the_cap(acts_on: str) -> None:
    cap = 3 * run(build(), growth=1.5, acts_on=acts_on).grad_norm_sq[0]

    result = run(build(), growth=20, acts_on=acts_on, cap=cap)

    assert result.status is Status.CAPPED
    assert 0.98 * cap <= result.grad_norm_sq[-1] == max(result.grad_norm_sq) <= cap


@both
def test_fewer_steps_are_the_first_of_the_same(acts_on: str) -> None:
    problem = build()
    method = make("symmetry", growth=4, acts_on=acts_on)
    state = method.prepare(problem)
    whole = method.advance(problem, state)
    assert state.step_back(problem)
    back = snapshot(problem)
    state.restore(problem)

    part = type(method)(growth=4, acts_on=acts_on, steps=7).advance(problem, state)

    assert part.lrs == whole.lrs[:7]
    assert part.grad_norm_sq == whole.grad_norm_sq[:8]
    assert all(torch.equal(value, back[name]) for name, value in snapshot(problem).items())
