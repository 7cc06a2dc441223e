"""The method that moves nothing."""

import math

import pytest
from oracles import identical, snapshot
from small_problems import CASES

import teleport_core
from teleport_core import Guarantee, Status


@pytest.mark.parametrize("case", ["relu", "residual-batchnorm"])
def test_moves_nothing_and_claims_nothing(case: str) -> None:
    problem = CASES[case].build()
    before = snapshot(problem)
    method = teleport_core.make("identity", steps=5, lr=3.0)

    result = method.advance(problem, method.prepare(problem))

    assert identical(problem, before)
    assert result.status is Status.DONE
    assert result.steps_done == 5
    assert result.guarantee is Guarantee.EXACT_EVERYWHERE
    assert result.null_dims == {}
    assert len(result.loss) == len(result.grad_norm_sq) == 6
    assert all(math.isnan(value) for value in result.loss + result.grad_norm_sq)
    assert result.loss is not result.grad_norm_sq


def test_computes_nothing() -> None:
    problem = CASES["relu"].build()
    calls = []
    problem.model.register_forward_hook(lambda *_: calls.append(1))
    method = teleport_core.make("identity")

    method.advance(problem, method.prepare(problem))

    assert calls == []


def test_ends_are_filled_in_by_real_passes() -> None:
    problem = CASES["relu"].build()
    result = teleport_core.teleport(
        problem.model, problem.loss_fn, (problem.inputs, problem.targets), method="identity"
    )

    assert result.loss[0] == result.loss[-1] == float(problem.loss().detach())
    assert result.grad_norm_sq[-1] > 0
    assert math.isnan(result.grad_norm_sq[0])
