"""A method's word is held to the model's own outputs and gradients."""

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from deceiving_models import ByHand, Forces, Listed, Mapped, Masked, Net, Read
from oracles import identical, snapshot
from small_problems import classification
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import (
    Guarantee,
    ModelError,
    Problem,
    Status,
    TeleportResult,
    TeleportWarning,
    teleport,
)
from teleport_core.verification.guarantee import require_gradient
from teleport_core.verification.reference import look, output_change


def made(build: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> Problem:
    torch.manual_seed(0)
    model = build().to(dtype)
    return Problem(model, smooth, torch.randn(5, 6, dtype=dtype), None)


def smooth(output: Tensor, _targets: None) -> Tensor:
    return output.square().mean() + output.sin().mean()


def run(problem: Problem, **options: Any) -> TeleportResult:
    return teleport(problem.model, problem.loss_fn, (problem.inputs, problem.targets), **options)


@pytest.mark.parametrize("engine", ["auto", "textbook"])
@pytest.mark.parametrize("build", [Net, Masked, Read])
def test_uses_that_can_be_seen_keep_the_promise(build: type[Net], engine: str) -> None:
    problem = made(build)
    problem.output()  # a mask that is written in the forward pass is written from now on
    before = look(problem)

    result = run(problem, engine=engine, lr=0.5, steps=3)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.output_change == output_change(before, look(problem)) < 1e-13
    assert result.grad_norm_sq[0] == pytest.approx(before.grad_norm_sq, rel=1e-10)
    assert result.grad_norm_sq[-1] > before.grad_norm_sq
    if build is not Net:
        assert "inner.weight" in result.held


@pytest.mark.parametrize(
    ("build", "engine"),
    [
        *((build, "auto") for build in (Listed, Mapped, ByHand, Forces)),
        (Listed, "textbook"),
    ],
)
@pytest.mark.parametrize("steps", [1, 3])
def test_a_gradient_that_is_not_the_models_is_refused_and_nothing_moves(
    build: type[Net], engine: str, steps: int
) -> None:
    problem = made(build)
    before = snapshot(problem)

    with pytest.raises(ModelError, match=r"expected .*; .*a parameter is used where nobody can"):
        run(problem, engine=engine, lr=0.5, steps=steps)

    assert identical(problem, before)


def test_a_loss_that_reads_parameters_is_refused() -> None:
    problem = made(Net)
    weights = [*problem.model.parameters()]

    def decayed(output: Tensor, targets: None) -> Tensor:
        return (
            smooth(output, targets) + 0.05 * torch.stack([w.square().sum() for w in weights]).sum()
        )

    with pytest.raises(ModelError, match="a loss_fn that reads parameters"):
        run(Problem(problem.model, decayed, problem.inputs, None))


def test_a_layer_by_hand_is_no_obstacle_to_the_published_formulation() -> None:
    result = run(made(ByHand), engine="textbook", lr=0.1, steps=3)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.output_change < 1e-13


@pytest.mark.parametrize("build", [Mapped, Forces])
@pytest.mark.parametrize("steps", [1, 3])
def test_where_not_even_one_step_keeps_the_outputs_nothing_moves(
    build: type[Net], steps: int
) -> None:
    problem = made(build)
    before = snapshot(problem)

    with pytest.warns(TeleportWarning, match="were to stay, and changed by") as caught:
        result = run(problem, engine="textbook", lr=0.5, steps=steps)

    assert caught[0].filename == __file__
    assert f"taken back, 0 of {steps} are kept" in str(caught[0].message)
    assert result.status is Status.OUTPUTS_CHANGED
    assert "used where nobody can see it" in result.status.value
    assert (result.steps_done, result.output_change) == (0, 0.0)
    assert identical(problem, before)


def test_a_forward_of_its_own_makes_no_layer_of_a_stack() -> None:
    """As adapters and offloaders put one on a layer."""
    problem = made(lambda: nn.Sequential(*[nn.Linear(6, 20), nn.Tanh(), *_hidden()]))
    inner = problem.model[2]  # type: ignore[index]
    inner.forward = lambda x: F.linear(x.cos(), inner.weight, inner.bias)

    result = run(problem, lr=0.1, steps=3)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.output_change < 1e-12
    with pytest.raises(ModelError, match="has a forward of its own"):
        run(problem, method="symmetry")


def _hidden() -> list[nn.Module]:
    return [nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 3)]


def large_and_small(large: float) -> nn.Module:
    """One feature is ``large``, and the next layer makes up for it."""
    model = nn.Sequential(
        nn.Linear(7, 41), nn.ReLU(), nn.Linear(41, 20), nn.Tanh(), nn.Linear(20, 3)
    )
    first, second = model[0], model[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    with torch.no_grad():
        first.weight[0], first.bias[0] = 0.0, 0.0
        first.weight[0, 6] = large
        second.weight[:, 0] /= large
    model[4].requires_grad_(False)
    return model


@pytest.mark.parametrize("large", [1.0, 1e4, 1e6])
def test_what_the_dtype_cannot_hold_is_not_promised(large: float) -> None:
    """The cut at eps times the largest singular value frees directions that small features need."""
    torch.manual_seed(0)
    model = large_and_small(large)
    double = copy.deepcopy(model).double()
    x = torch.cat([torch.randn(8, 6), 1 + 0.1 * torch.rand(8, 1)], 1)
    y = torch.randint(0, 3, (8,))

    if large == 1e6:
        with pytest.warns(TeleportWarning, match=r"torch.float32 cannot hold .* try float64"):
            result = teleport(model, F.cross_entropy, (x, y), lr=0.1, steps=5)
        assert result.status is Status.OUTPUTS_CHANGED
        assert result.output_change < 1e-4
    else:
        result = teleport(model, F.cross_entropy, (x, y), lr=0.1, steps=5)
        assert result.guarantee is Guarantee.EXACT_ON_BATCH
    held = teleport(double, F.cross_entropy, (x.double(), y), lr=0.1, steps=5)
    assert held.guarantee is Guarantee.EXACT_ON_BATCH


@pytest.mark.parametrize("engine", ["half_hvp", "textbook"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_however_far_the_weights_moved_outputs_that_changed_did_not_stay(
    dtype: torch.dtype, engine: str
) -> None:
    for lr in (10.0**k for k in range(2, 12, 2)):
        problem = classification([20, 16, 12, 5], 8, dtype=dtype)
        batch = (problem.inputs, problem.targets)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = teleport(problem.model, problem.loss_fn, batch, lr=lr, steps=1, engine=engine)
        assert result.guarantee is Guarantee.EXACT_ON_BATCH
        assert (result.status is Status.OUTPUTS_CHANGED) == bool(caught)
        assert result.output_change < 2 * torch.finfo(dtype).eps ** 0.25
        assert result.steps_done == (not caught)
    assert caught


def test_a_gradient_that_is_rounding_is_not_held_against_a_method() -> None:
    """A net that fits its batch: what is left of softmax minus one-hot is a few eps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 30), nn.Tanh(), nn.Linear(30, 3))
    x, y = torch.randn(5, 6), torch.randint(0, 3, (5,))
    with torch.no_grad():
        target = 16.0 * F.one_hot(y, 3).float()
        h = model[:2](x)
        last = model[2]
        assert isinstance(last, nn.Linear)
        last.weight.copy_(torch.linalg.lstsq(h, target - last.bias).solution.T)
    problem = Problem(model, F.cross_entropy, x, y)
    seen = look(problem)
    assert 0 < seen.grad_norm_sq < 1e-10

    require_gradient(problem, seen, 1.3 * seen.grad_norm_sq)
    with pytest.raises(ModelError):
        require_gradient(problem, seen, 1e4 * seen.grad_norm_sq)


def test_no_norm_is_no_wrong_norm() -> None:
    problem = made(Net)
    require_gradient(problem, look(problem), math.nan)


@pytest.mark.parametrize("lr", [2.0, 1e6])
@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding shows
def test_a_teleport_that_diverges_ends_where_everything_is_finite(lr: float) -> None:
    """Where the norm of the kept pass is finite and the real one is not, too."""
    ends = set()
    for seed in range(40):
        torch.manual_seed(seed)
        norms = nn.BatchNorm1d(40), nn.BatchNorm1d(40)
        body = [nn.Linear(6, 40), norms[0], nn.ReLU(), nn.Linear(40, 40), norms[1], nn.ReLU()]
        model = nn.Sequential(*body, nn.Linear(40, 3))
        problem = Problem(model, F.mse_loss, torch.randn(6, 6), torch.randn(6, 3))
        first = float(problem.loss().detach())
        before = snapshot(problem)

        result = run(problem, lr=lr)

        seen = look(problem)
        assert seen.finite
        assert result.loss[-1] == seen.loss
        assert result.grad_norm_sq[-1] == pytest.approx(seen.grad_norm_sq, rel=1e-3)
        assert result.loss[0] == first
        assert len(result.loss) == len(result.grad_norm_sq) == result.steps_done + 1
        assert (result.steps_done == 0) == identical(problem, before)
        ends.add((result.status, result.steps_done == 0))
    assert (Status.NON_FINITE, lr == 1e6) in ends


class Shifted(nn.Module):
    """A linear layer with a bias of any shape that can be added."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(20, 6)), nn.Parameter(torch.randn(*shape))
        self.inner, self.leave = nn.Linear(20, 20), nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.linear(x, self.weight, self.bias).tanh()
        output: Tensor = self.leave(self.inner(h).tanh())
        return output


@pytest.mark.parametrize("shape", [(20,), (1,), (5, 20), (5, 1)])
def test_a_bias_of_another_shape_counts_in_the_gradient(shape: tuple[int, ...]) -> None:
    problem = made(lambda: Shifted(*shape))
    norm = look(problem).grad_norm_sq

    result = run(problem, lr=0.1, steps=3)

    assert result.grad_norm_sq[0] == pytest.approx(norm, rel=1e-10)
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert ("bias" in result.held) == (shape != (20,))


@pytest.mark.parametrize("engine", ["auto", "textbook"])
def test_a_bias_whose_weight_is_frozen_is_held(engine: str) -> None:
    problem = made(lambda: nn.Sequential(nn.Linear(6, 20), nn.Tanh(), *_hidden()))
    problem.model.get_parameter("2.weight").requires_grad_(False)

    assert run(problem, engine=engine, lr=0.1).held == {"2.bias": "used in linear"}


def test_a_hook_changes_what_arrives_and_not_the_gradient() -> None:
    problem = made(Net)
    norm = look(problem).grad_norm_sq
    weight = problem.model.get_parameter("inner.weight")
    weight.register_hook(lambda gradient: 0.0 * gradient)

    result = run(problem, lr=0.1, steps=2)

    assert result.grad_norm_sq[0] == pytest.approx(norm, rel=1e-10)
    assert result.guarantee is Guarantee.EXACT_ON_BATCH


class WithMean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        output = self.net(x)
        return output, F.layer_norm(output, (3,)).mean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_output_that_is_rounding_takes_no_guarantee_back(dtype: torch.dtype) -> None:
    problem = made(WithMean, dtype)
    problem = Problem(problem.model, lambda o, t: smooth(o[0], t), problem.inputs, None)

    result = run(problem, lr=0.05, steps=3)

    assert result.output_change > 1e-3
    assert result.guarantee is Guarantee.EXACT_ON_BATCH


class Scores(Mapped):
    """Scores that are masked, as those of words that are not allowed."""

    def forward(self, x: Tensor) -> Tensor:
        output = super().forward(x)
        return torch.cat([output, torch.full((len(x), 1), -math.inf, dtype=x.dtype)], 1)


class Boxed:
    """An output that torch cannot look into."""

    def __init__(self, value: Tensor) -> None:
        self.value = value


class Opaque(Mapped):
    def forward(self, x: Tensor) -> Boxed:  # type: ignore[override]
        return Boxed(super().forward(x))


@pytest.mark.parametrize("build", [Scores, Opaque])
def test_masked_and_opaque_outputs_are_held_to_the_promise_too(build: type[Net]) -> None:
    problem = made(build)
    loss = {Scores: lambda o, t: smooth(o[:, :3], t), Opaque: lambda o, t: smooth(o.value, t)}
    problem = Problem(problem.model, loss[build], problem.inputs, None)

    with pytest.warns(TeleportWarning, match="were to stay, and changed by"):
        result = run(problem, engine="textbook", lr=0.5, steps=1)

    assert (result.status, result.steps_done) == (Status.OUTPUTS_CHANGED, 0)


def test_a_loss_for_one_dtype_alone_is_refused_as_any_other() -> None:
    problem = made(ByHand, torch.float32)
    weight = torch.ones(3)
    loss = nn.CrossEntropyLoss(weight=weight)
    targets = torch.tensor([0, 1, 2, 0, 1])

    with pytest.raises(ModelError, match=r"expected \|\|g\|\|\^2 = .*; the method found"):
        run(Problem(problem.model, loss, problem.inputs, targets), lr=0.1, steps=1)
