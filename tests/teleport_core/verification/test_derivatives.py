"""Where torch has no derivative the refusal names operation and module, and advises no circle."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import identical, snapshot
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from teleport_core import ModelError, Problem, TeleportResult, teleport
from teleport_core.layers import register, registry

ENGINES: list[dict[str, Any]] = [{}, {"engine": "textbook"}, {"tau": 0.9}, {"max_drift": 1e-3}]


class Once(torch.autograd.Function):
    """A tangent hyperbolic by hand, the usual way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(y := x.tanh())
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        (y,) = ctx.saved_tensors
        return gradients[0] * (1 - y * y)


class Apply(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def ctc(h: Tensor) -> Tensor:
    loss = F.ctc_loss(
        h[:, None].log_softmax(-1), torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2])
    )
    return h * loss


TWICE: dict[str, Callable[[Tensor], Tensor]] = {
    "cdist": lambda h: torch.cdist(h, h + 1) @ h,
    "pdist": lambda h: h * F.pdist(h).sum(),
    "segment_reduce": lambda h: h + torch.segment_reduce(h, "max", lengths=torch.tensor([4])),
    "ctc_loss": ctc,
    "multi_margin_loss": lambda h: h * F.multi_margin_loss(h, torch.tensor([0, 1, 2, 3])),
}


def nested_tanh(h: Tensor) -> Tensor:
    nested = torch.nested.as_nested_tensor([h[:2], h[2:]]).tanh()
    return torch.nested.to_padded_tensor(nested, 0.0).flatten(0, 1)


ONCE: dict[str, Callable[[Tensor], Tensor]] = {
    "igamma": lambda h: torch.special.gammainc(h.abs() + 0.1, h.abs()),
    "tanh": nested_tanh,
}


def problem_with(function: Callable[[Tensor], Tensor]) -> Problem:
    torch.manual_seed(0)
    inner = nn.Sequential(Apply(function), nn.Linear(12, 12), nn.Tanh())
    model = nn.Sequential(nn.Linear(6, 12), inner, nn.Linear(12, 3)).double()
    return Problem(model, F.cross_entropy, torch.randn(4, 6).double(), torch.tensor([0, 1, 2, 0]))


def run(problem: Problem, **options: Any) -> TeleportResult:
    return teleport(problem.model, problem.loss_fn, (problem.inputs, problem.targets), **options)


@pytest.mark.parametrize("options", ENGINES, ids=str)
@pytest.mark.parametrize("name", TWICE)
def test_without_a_second_derivative(name: str, options: dict[str, Any]) -> None:
    problem = problem_with(TWICE[name])
    before = snapshot(problem)

    with pytest.raises(ModelError) as caught:
        run(problem, **options)

    assert str(caught.value) == (
        f"expected operations with a second derivative in torch; {name} in 1.0 (Apply) has none: "
        "write it with operations that have one, or tell what it is made of with "
        "teleport_core.layers.register"
    )
    assert identical(problem, before)


@pytest.mark.parametrize("options", ENGINES[:2], ids=str)
def test_the_advice_helps(options: dict[str, Any]) -> None:
    register(torch.cdist, lambda a, b, **_: (a[:, None] - b[None]).square().sum(-1).sqrt())
    try:
        result = run(problem_with(TWICE["cdist"]), lr=1e-4, **options)
    finally:
        del registry._ADAPTERS[torch.cdist]
        registry.ONCE_DIFFERENTIABLE.discard(torch.cdist)

    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]


@pytest.mark.parametrize("options", ENGINES, ids=str)
def test_a_function_by_hand_without_a_second_derivative(options: dict[str, Any]) -> None:
    problem = problem_with(Once.apply)
    before = snapshot(problem)

    with pytest.raises(ModelError, match=r"second derivative .*; Once, a torch.autograd.F"):
        run(problem, **options)

    assert identical(problem, before)


def test_a_function_by_hand_behind_all_layers_needs_none_with_the_default_engine() -> None:
    problem = problem_with(torch.tanh)
    last = nn.Sequential(problem.model, Apply(Once.apply))

    result = run(Problem(last, problem.loss_fn, problem.inputs, problem.targets), lr=0.1)

    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
@pytest.mark.parametrize("options", [*ENGINES, {"method": "identity"}], ids=str)
@pytest.mark.parametrize("name", ONCE)
def test_without_a_first_derivative(name: str, options: dict[str, Any]) -> None:
    problem = problem_with(ONCE[name])
    before = snapshot(problem)

    with pytest.raises(ModelError, match=rf"first derivative .*; {name} in 1.0 \(Apply\) has none"):
        run(problem, **options)

    assert identical(problem, before)


@pytest.mark.parametrize("options", ENGINES[1:], ids=str)
@pytest.mark.parametrize(
    "loss_fn", [F.multi_margin_loss, nn.MultiMarginLoss()], ids=["function", "module"]
)
def test_a_loss_without_a_second_derivative_needs_none_with_the_default_engine(
    loss_fn: Any, options: dict[str, Any]
) -> None:
    problem = problem_with(torch.tanh)
    hinge = Problem(problem.model, loss_fn, problem.inputs, problem.targets)

    with pytest.raises(ModelError, match=r"multi_margin_loss in loss_fn has none: use engine='au"):
        run(hinge, **options)
    assert run(hinge, lr=1e-3).grad_norm_sq[-1] > 0


@pytest.mark.parametrize("options", ENGINES[1:], ids=str)
def test_second_derivatives_that_are_not_numbers(options: dict[str, Any]) -> None:
    problem = problem_with(lambda h: h * (h * (h > 0)).pow(1.5))
    before = snapshot(problem)

    with pytest.raises(ModelError, match=r"torch gives NaN for 0\..*, as .*: use engine='auto'"):
        run(problem, **options)

    assert identical(problem, before)
    assert run(problem, lr=0.01).grad_norm_sq[-1] > 0


def test_tangents_that_are_not_numbers() -> None:
    problem = problem_with(lambda h: torch.logcumsumexp(h, 1))
    before = snapshot(problem)

    with pytest.raises(ModelError, match=r"torch gives NaN for 1.1.weight, .*: use another oper"):
        run(problem)

    assert identical(problem, before)


def test_other_errors_are_left_alone() -> None:
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            del ctx
            return x.tanh()

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            raise RuntimeError("out of memory, say")

    with pytest.raises(RuntimeError, match=r"^out of memory, say$"):
        run(problem_with(Broken.apply))


class Overwritten(nn.Module):
    """Changes its own weight, which the first use of two has kept for the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            with torch.no_grad():
                self.inner.weight.clamp_(-1, 1)
            x = self.inner(x).tanh()
        return x


@pytest.mark.parametrize("options", ENGINES)
def test_what_the_backward_pass_needs_is_overwritten(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), Overwritten(), nn.Linear(8, 3)).double()
    batch = (torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 0]))
    problem = Problem(model, F.cross_entropy, *batch)
    before = snapshot(problem)

    with pytest.raises(
        ModelError, match=r"needs to be left alone; .*: use operations that are not"
    ):
        teleport(model, F.cross_entropy, batch, steps=2, **options)

    assert identical(problem, before)
