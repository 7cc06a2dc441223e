"""level_set on nets: what a call keeps, what it costs, what it may move."""

import weakref
from typing import Any

import pytest
import torch
from oracles import loss_and_grad_norm_sq, snapshot
from plane_problems import point_of, problem_at, run
from small_problems import CASES
from torch import Tensor, nn

from baselines.level_set import slp
from baselines.test_functions import problem_of
from teleport_core import Guarantee, Problem, Status

TOLERANCE = 1e-6  # the square root of the default of ``tolerance``


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sublevel", [True, False])
@pytest.mark.parametrize("case", list(CASES))
def test_the_loss_stays_within_the_tolerance_and_the_gradient_grows(
    case: str, sublevel: bool, dtype: torch.dtype
) -> None:
    problem = in_dtype(CASES[case].build(), dtype)
    allowed = TOLERANCE + 64 * torch.finfo(dtype).eps

    result = run(problem, steps=8, sublevel=sublevel)

    loss, norm_sq = loss_and_grad_norm_sq(problem)
    change = (loss - result.loss[0]) / result.loss[0]
    assert change <= allowed
    assert sublevel or change >= -allowed
    assert result.guarantee is Guarantee.APPROXIMATE
    assert norm_sq > 1.5 * result.grad_norm_sq[0]
    assert result.status is Status.DONE


@pytest.mark.parametrize("case", ["relu", "leaky-bias", "tanh-regression", "gelu-deep"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_the_loss_as_far_as_it_resolves(case: str, dtype: torch.dtype) -> None:
    problem = in_dtype(CASES[case].build(), dtype)

    result = run(problem, steps=8, sublevel=False)

    assert result.loss[-1] == pytest.approx(result.loss[0], rel=4 * torch.finfo(dtype).eps)
    assert result.grad_norm_sq[-1] > 10 * result.grad_norm_sq[0]
    assert all(p.dtype is dtype for p in problem.model.parameters())


def in_dtype(problem: Problem, dtype: torch.dtype) -> Problem:
    def one(value: Tensor) -> Tensor:
        return value.to(dtype) if value.is_floating_point() else value

    model = problem.model.to(dtype)
    return Problem(model, problem.loss_fn, one(problem.inputs), one(problem.targets))


def test_a_step_is_one_product_and_a_pass_a_trial() -> None:
    problem = CASES["softplus"].build()
    passes: list[int] = []
    problem.model.register_forward_hook(lambda *_: passes.append(1))

    result = run(problem, steps=5, rho=1e-3, verify="off")

    assert result.steps_done == 5
    assert result.lrs[-1] > result.lrs[0]  # every first trial was accepted
    assert len(passes) <= 1 + 5 + 2  # the start, a trial a step, and the way back at the end


def test_one_graph_is_alive_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    visited: list[weakref.ref[Any]] = []
    used: set[int] = set()
    visit, hessian_times = slp.visit, slp.hessian_times

    def watched_visit(*args: Any, **options: Any) -> Any:
        alive = [there for there in (ref() for ref in visited) if there is not None]
        unused = [there for there in alive if id(there) not in used]
        assert not any(g.requires_grad for there in unused for g in there.graph.values())
        found = visit(*args, **options)
        used.discard(id(found))
        visited.append(weakref.ref(found))
        return found

    def watched_product(problem: Any, there: Any, vector: Any) -> Any:
        used.add(id(there))
        return hessian_times(problem, there, vector)

    monkeypatch.setattr(slp, "visit", watched_visit)
    monkeypatch.setattr(slp, "hessian_times", watched_product)

    result = run(CASES["softplus"].build(), steps=4, rho=100.0, verify="off")

    assert len(visited) > 1 + result.steps_done + 3  # trials were refused


def test_frozen_parameters_stay_and_the_gradient_is_that_of_the_others() -> None:
    problem = CASES["relu"].build()
    frozen = problem.model[2].weight
    frozen.requires_grad_(False)
    before = snapshot(problem)

    result = run(problem, steps=3)

    assert torch.equal(frozen, before["2.weight"])
    assert not torch.equal(problem.model[0].weight, before["0.weight"])
    assert result.grad_norm_sq[-1] == pytest.approx(loss_and_grad_norm_sq(problem)[1], rel=1e-12)


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.tensor([5 - 5j], dtype=torch.complex128))

    def forward(self, inputs: Tensor) -> Tensor:
        del inputs
        return torch.view_as_real(self.point)[0]


def test_complex_numbers_move_as_pairs_of_real_ones() -> None:
    booth = problem_of("booth")
    problem = Problem(Complex(), booth.loss_fn, booth.inputs, booth.targets)

    run(booth, steps=8)
    run(problem, steps=8)

    found = torch.view_as_real(point_of(problem))[0]
    assert found.tolist() == pytest.approx(point_of(booth).tolist(), rel=1e-9)


def test_recurrent_layers_and_attention_are_differentiated_twice() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.GRU(4, 8, batch_first=True)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            h, _ = self.recurrent(x)
            return self.attention(h, h, h)[0]

    torch.manual_seed(0)
    inputs = torch.randn(2, 5, 4)
    problem = Problem(Net(), lambda o, _: o.square().mean(), inputs, torch.zeros(1))

    result = run(problem, steps=3)

    assert result.steps_done == 3
    assert result.grad_norm_sq[-1] > 1.3 * result.grad_norm_sq[0]


def test_a_jump_to_infinity_is_refused_by_the_line_search() -> None:
    def f(w: Tensor) -> Tensor:
        wall = torch.where(w[0] > 5.2, torch.inf, 0.0)
        return problem_of("booth").loss_fn(w, None) + wall

    result = run(problem_at(f, (5.0, -5.0)), rho=10.0, steps=5)

    assert result.steps_done == 5
    assert all(loss < 1000 for loss in result.loss)
