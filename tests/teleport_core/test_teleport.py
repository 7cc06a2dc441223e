"""The public call: what it returns, what it refuses, and what it leaves as it was."""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from oracles import identical, output_change, snapshot
from small_problems import batch, classification, mlp, residual
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import Guarantee, ModelError, OptionError, Problem, ProblemError, Status


def call(problem: Problem, **options: object) -> teleport_core.TeleportResult:
    return teleport_core.teleport(
        problem.model, problem.loss_fn, (problem.inputs, problem.targets), **options
    )


def test_result_has_real_losses_at_both_ends_and_a_norm_at_every_step() -> None:
    problem = classification([20, 16, 12, 5], 8)
    before = float(problem.loss().detach())

    result = call(problem, steps=8, lr=0.5)

    assert result.status is Status.DONE
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.steps_done == 8
    assert len(result.loss) == len(result.grad_norm_sq) == 9
    assert result.loss[0] == before
    assert result.loss[-1] == float(problem.loss().detach())
    assert result.grad_norm_sq == sorted(result.grad_norm_sq)
    assert result.seconds.prepare > 0
    assert result.seconds.steps > 0


def test_last_loss_is_computed_not_copied() -> None:
    """A loss that is not preserved must show: tau far below one."""
    problem = classification([20, 16, 12, 5], 8)

    result = call(problem, steps=4, lr=1.0, tau=0.3)

    assert result.loss[-1] == float(problem.loss().detach())
    assert result.loss[-1] != result.loss[0]


def test_parameters_and_optimizer_stay_the_users_objects() -> None:
    problem = classification([20, 16, 12, 5], 8)
    optimizer = torch.optim.Adam(problem.model.parameters(), lr=1e-2)
    problem.loss().backward()
    optimizer.step()
    parameters = list(problem.model.parameters())
    gradients = [p.grad.clone() for p in parameters if p.grad is not None]

    call(problem, lr=0.5)

    assert all(a is b for a, b in zip(parameters, problem.model.parameters(), strict=True))
    for parameter, gradient in zip(parameters, gradients, strict=True):
        assert parameter.requires_grad
        assert torch.equal(parameter.grad, gradient)
    loss = problem.loss()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    assert problem.loss() < loss


def test_buffers_end_as_they_began() -> None:
    problem = residual()
    running = problem.model.norm.running_mean.clone()  # type: ignore[union-attr,operator]
    counter = int(problem.model.norm.num_batches_tracked)  # type: ignore[union-attr,arg-type]
    before = problem.output().detach()

    result = call(problem, lr=0.003)

    assert result.status is Status.DONE
    assert result.grad_norm_sq[-1] > 1.01 * result.grad_norm_sq[0]
    assert torch.equal(problem.model.norm.running_mean, running)  # type: ignore[union-attr,arg-type]
    assert int(problem.model.norm.num_batches_tracked) == counter  # type: ignore[union-attr,arg-type]
    assert output_change(problem, before) < 1e-10


def test_two_calls_on_equal_models_are_bit_identical() -> None:
    one, two = classification([20, 16, 12, 5], 8), classification([20, 16, 12, 5], 8)

    call(one, lr=0.5)
    call(two, lr=0.5)

    assert identical(two, snapshot(one))


def test_inputs_and_targets_that_were_made_in_inference_mode_are_copied() -> None:
    one, two = classification([20, 16, 12, 5], 8), classification([20, 16, 12, 5], 8)
    with torch.inference_mode():
        batch = (one.inputs.clone(), one.targets.clone())

    teleport_core.teleport(one.model, one.loss_fn, batch, lr=0.5)
    call(two, lr=0.5)

    assert identical(two, snapshot(one))


def test_inside_no_grad_it_works_all_the_same() -> None:
    problem = classification([20, 16, 12, 5], 8)

    with torch.no_grad():
        result = call(problem, lr=0.5)

    assert result.status is Status.DONE


class Random(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.dropout(x, 0.5, training=True))


def with_dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.3), nn.Linear(4, 3))


def integer_weights() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    weight = torch.ones(4, 6, dtype=torch.int32)
    model[0].weight = nn.Parameter(weight, requires_grad=False)
    return model


def all_frozen() -> nn.Module:
    model = mlp([6, 4, 3])
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def one_memory() -> nn.Module:
    model = mlp([6, 6, 6, 3])
    model[2].weight = nn.Parameter(model[0].weight)
    return model


def expanded() -> nn.Module:
    model = mlp([6, 4, 3])
    model[0].weight = nn.Parameter(model[0].weight[:1].detach().expand(4, 6))
    return model


def nan_weights() -> nn.Module:
    model = mlp([6, 4, 3])
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    return model


X, Y = batch(5, 6, 3)
NAN = X.clone()
NAN[2, 3] = float("nan")

BAD_INPUT: dict[str, tuple[Callable[[], nn.Module], object, object, object, type, str]] = {
    "wrong shape": (
        lambda: mlp([6, 4, 3]), F.cross_entropy, X[:, :4], Y, ProblemError,
        r"expected inputs that the model accepts; on inputs of shape \(5, 4\)",
    ),
    "NaN inputs": (
        lambda: mlp([6, 4, 3]), F.cross_entropy, NAN, Y, ProblemError,
        r"; got nan; 1 values in an input of shape \(5, 6\) are NaN or infinite: clean",
    ),
    "empty batch": (
        lambda: mlp([6, 4, 3]), F.cross_entropy, X[:0], Y[:0], ProblemError,
        r"expected at least one sample; the model returns an empty output of shape \(0, 3\)",
    ),
    "labels out of range": (
        lambda: mlp([6, 4, 3]), F.cross_entropy, X, Y + 7, ProblemError,
        r"expected labels from 0 to 2; got labels from 7 to 8",
    ),
    "batch sizes differ": (
        lambda: mlp([6, 4, 3]), F.cross_entropy, X, Y[:3], ProblemError,
        r"accept an output of shape \(5, 3\) and targets of shape \(3,\)",
    ),
    "loss not a scalar": (
        lambda: mlp([6, 4, 3]), lambda o, t: F.cross_entropy(o, t, reduction="none"), X, Y,
        ProblemError, r"expected loss_fn to return a scalar tensor; got \(5,\)",
    ),
    "loss not finite": (
        lambda: mlp([6, 4, 3]), lambda o, t: o.sum() / 0.0, X, Y, ProblemError,
        r"expected a finite loss on the teleport batch; got -?inf",
    ),
    "no tensor": (
        lambda: mlp([6, 4, 3]), F.cross_entropy, [1, 2], Y, ProblemError,
        r"expected inputs to hold at least one tensor; got list",
    ),
    "integer weights": (
        integer_weights, F.cross_entropy, X, Y, ModelError,
        r"expected floating-point or complex parameters; 0.weight is torch.int32: convert the",
    ),
    "NaN weights": (
        nan_weights, F.cross_entropy, X, Y, ModelError,
        r"expected finite parameters; 0.weight holds NaN or infinity",
    ),
    "two parameters in one memory": (
        one_memory, F.cross_entropy, X, Y, ModelError,
        r"expected parameters with memory of their own; 0.weight and 2.weight overlap: give each",
    ),
    "a parameter that was expanded": (
        expanded, F.cross_entropy, X, Y, ModelError,
        r"expected parameters with memory of their own; 0.weight overlap",
    ),
    "a loss that is a number": (
        lambda: mlp([6, 4, 3]), lambda o, t: F.cross_entropy(o, t).item(), X, Y, ProblemError,
        r"expected loss_fn to return a scalar tensor; got float: leave out .item\(\)",
    ),
    "a loss without a gradient": (
        lambda: mlp([6, 4, 3]), lambda o, t: F.cross_entropy(o, t).detach(), X, Y, ProblemError,
        r"expected a loss that depends on the parameters; it has no gradient: leave out .detach",
    ),
    "active dropout": (
        with_dropout, F.cross_entropy, X, Y, ModelError,
        r"without randomness; 1 \(Dropout\) drops with p=0.3 in train mode: call model.eval\(\)",
    ),
    "random layer": (
        lambda: Random().double(), F.cross_entropy, X, Y, ModelError,
        r"without randomness; the forward pass draws from torch's generator: call model.eval\(\)",
    ),
    "all frozen": (
        all_frozen, F.cross_entropy, X, Y, ModelError,
        r"expected at least one parameter with requires_grad=True; got none",
    ),
    "not a module": (
        lambda: F.relu, F.cross_entropy, X, Y, ModelError,  # type: ignore[dict-item,return-value]
        r"expected model to be a torch.nn.Module; got",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD_INPUT))
@pytest.mark.parametrize("method", ["nullspace", "symmetry", "identity", "level_set", "rescale"])
def test_bad_input_is_refused_and_nothing_moves(name: str, method: str) -> None:
    build, loss_fn, inputs, targets, error, text = BAD_INPUT[name]
    model = build()
    before = copy.deepcopy(getattr(model, "state_dict", dict)())

    with pytest.raises(error, match=text):
        teleport_core.teleport(model, loss_fn, (inputs, targets), method=method)  # type: ignore[arg-type]

    after = getattr(model, "state_dict", dict)()
    assert all(torch.equal(after[k].nan_to_num(7), before[k].nan_to_num(7)) for k in before)


BAD_OPTIONS = {
    "steps zero": ({"steps": 0}, "expected steps to be a whole number >= 1; got 0"),
    "steps float": ({"steps": 2.5}, "expected steps to be a whole number >= 1; got 2.5"),
    "lr negative": ({"lr": -1.0}, "expected lr to be a number > 0; got -1.0"),
    "cap NaN": ({"cap": float("nan")}, "expected cap to be a number > 0; got nan"),
    "tau": ({"tau": 1.5}, r"expected tau in \(0, 1\]; got 1.5"),
    "engine": ({"engine": "warp"}, "expected engine to be one of auto, .*; got 'warp'"),
    "unknown": ({"step": 3}, "option of nullspace to be one of .*'step'; did you mean 'steps'"),
    "method": (
        {"method": "nulspace"},
        "expected method to be one of .*identity, .*did you mean 'nullspace'",
    ),
}


@pytest.mark.parametrize("name", list(BAD_OPTIONS))
def test_bad_options_are_refused_and_nothing_moves(name: str) -> None:
    options, text = BAD_OPTIONS[name]
    problem = classification([6, 5, 3], 4)
    before = snapshot(problem)

    with pytest.raises(OptionError, match=text):
        call(problem, **options)

    assert identical(problem, before)


def test_a_batch_that_is_no_pair_is_refused() -> None:
    with pytest.raises(ProblemError, match=r"expected batch to be a pair \(inputs, targets\)"):
        teleport_core.teleport(mlp([6, 4, 3]), F.cross_entropy, X)  # type: ignore[arg-type]


def test_dropout_in_eval_mode_is_welcome() -> None:
    model = with_dropout().double().eval()

    assert teleport_core.teleport(model, F.cross_entropy, (X[:3], Y[:3])).status is Status.DONE


def test_ignored_labels_are_not_out_of_range() -> None:
    targets = Y.clone()
    targets[0] = -100

    result = teleport_core.teleport(mlp([6, 9, 3]), F.cross_entropy, (X, targets))

    assert result.status is Status.DONE


def test_a_model_without_a_weight_that_can_move_is_refused_and_says_why() -> None:
    model = nn.Sequential(nn.LayerNorm(6), nn.Tanh()).double()

    with pytest.raises(
        ModelError,
        match=r"linear in its input and nothing else; Sequential has none: 0.weight is used in "
        r"layer_norm; 0.bias is used in layer_norm: see teleport_core.layers.register",
    ):
        teleport_core.teleport(model, F.cross_entropy, (X, Y))


@pytest.mark.parametrize("method", ["nullspace", "symmetry", "rescale"])
@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (lambda: torch.autocast("cpu", torch.bfloat16), "teleport outside of autocast"),
        (torch.inference_mode, "outside of torch.inference_mode"),
    ],
)
def test_modes_without_exact_derivatives_are_refused(
    method: str, mode: Callable[[], AbstractContextManager[object]], text: str
) -> None:
    problem = classification([6, 9, 3], 4, dtype=torch.float32)
    before = snapshot(problem)

    with mode(), pytest.raises(ModelError, match=text):
        call(problem, method=method)

    assert identical(problem, before)


@pytest.mark.parametrize(
    "build", [lambda: nn.LazyLinear(3), lambda: mlp([6, 4, 3]).to("meta")], ids=["lazy", "meta"]
)
def test_parameters_without_values_are_refused(build: Callable[[], nn.Module]) -> None:
    with pytest.raises(ModelError, match=r"expected parameters with values; .*weight has none yet"):
        teleport_core.teleport(build(), F.cross_entropy, (X, Y))


def test_what_has_no_second_derivative_needs_none_with_the_fast_engine() -> None:
    plain = classification([6, 9, 9, 3], 4)
    problem = Problem(plain.model, nn.MultiMarginLoss(), plain.inputs, plain.targets)
    before = snapshot(problem)

    with pytest.raises(ModelError, match=r"multi_margin_loss in loss_fn has none: use engine='a"):
        call(problem, engine="textbook")

    assert identical(problem, before)
    assert call(problem, lr=0.1).guarantee is Guarantee.EXACT_ON_BATCH


def test_an_exception_in_the_middle_of_the_steps_leaves_everything_as_it_was() -> None:
    calls = 0

    def fails_later(output: Tensor, targets: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise RuntimeError("out of memory, say")
        return F.cross_entropy(output, targets)

    model = mlp([6, 9, 3])
    before = copy.deepcopy(model.state_dict())

    with pytest.raises(RuntimeError, match="out of memory"):
        teleport_core.teleport(model, fails_later, (X, Y), steps=8, lr=0.5, engine="textbook")

    assert calls == 7
    assert all(torch.equal(model.state_dict()[k], before[k]) for k in before)
