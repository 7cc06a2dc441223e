"""The exact variants through the public API: outputs stay, the gradient grows, guarantees hold."""

import copy
from collections.abc import Callable

import pytest
import torch
from oracles import identical, loss_and_grad_norm_sq, loss_and_gradient, output_change, snapshot
from small_problems import batch, classification
from torch import nn
from torch.nn import functional as F

import teleport_core
from baselines.symmetry.actions import pseudo_inverse, sweep_activations, sweep_preactivations
from baselines.symmetry.extraction import extract
from baselines.symmetry.mlp import with_ones
from teleport_core import Guarantee, Problem, Status, TeleportResult
from teleport_core.norms import squared_norm

PRE, ACT = "preactivations", "activations"
WIDTHS = [20, 16, 12, 5]


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


def advance(problem: Problem, **options: object) -> TeleportResult:
    method = teleport_core.make("symmetry", **options)
    return method.advance(problem, method.prepare(problem))


def outputs(problem: Problem) -> torch.Tensor:
    with torch.no_grad():
        return problem.output()


@pytest.mark.parametrize("bias", [False, True], ids=["no-bias", "bias"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("acts_on", "activation"),
    [
        *((PRE, a) for a in (leaky, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.ELU, nn.Identity)),
        (ACT, leaky),
        (ACT, nn.Identity),
    ],
)
def test_eight_steps_change_no_output_and_raise_the_gradient(
    acts_on: str, activation: Callable[[], nn.Module], bias: bool, seed: int
) -> None:
    problem = classification(WIDTHS, 8, activation, bias=bias, seed=seed)
    before = outputs(problem)
    _, start = loss_and_grad_norm_sq(problem)

    result = advance(problem, acts_on=acts_on, lr=1e-3)

    assert result.status is Status.DONE
    assert result.steps_done == 8
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.null_dims == {}
    assert output_change(problem, before) < 1e-10
    assert 1.000001 < loss_and_grad_norm_sq(problem)[1] / start < 100


@pytest.mark.parametrize("acts_on", [PRE, ACT])
def test_every_entry_of_the_result_is_that_of_the_point_it_names(acts_on: str) -> None:
    """Entry s equals what a fresh pass finds after s single steps."""
    problem = classification(WIDTHS, 8, leaky, seed=4)
    twin = copy.deepcopy(problem)
    true = [loss_and_grad_norm_sq(twin)]
    for _ in range(4):
        advance(twin, acts_on=acts_on, lr=0.05, steps=1)
        true.append(loss_and_grad_norm_sq(twin))

    result = advance(problem, acts_on=acts_on, lr=0.05, steps=4)

    assert result.loss[:4] == pytest.approx([loss for loss, _ in true[:4]], rel=1e-12)
    assert result.grad_norm_sq[:4] == pytest.approx([norm for _, norm in true[:4]], rel=1e-9)
    assert len(result.loss) == len(result.grad_norm_sq) == 5
    assert result.loss[4] != result.loss[4]
    assert result.grad_norm_sq[4] != result.grad_norm_sq[4]
    ours, theirs = snapshot(problem), snapshot(twin)
    assert all(torch.allclose(ours[name], theirs[name], rtol=1e-9) for name in ours)


@pytest.mark.parametrize("acts_on", [PRE, ACT])
def test_a_step_of_no_length_moves_nothing(acts_on: str) -> None:
    """g = I is the identity on the weights, unlike in the papers' formulas."""
    problem = classification(WIDTHS, 8, leaky)
    before = snapshot(problem)

    advance(problem, acts_on=acts_on, lr=1e-14, steps=1)

    after = snapshot(problem)
    assert all(torch.allclose(after[k], before[k], rtol=0, atol=1e-11) for k in before)


@pytest.mark.parametrize(
    ("acts_on", "activation"), [(PRE, nn.Tanh), (PRE, leaky), (ACT, leaky), (ACT, nn.Identity)]
)
def test_a_small_step_climbs_as_far_as_steepest_ascent_does(
    acts_on: str, activation: Callable[[], nn.Module]
) -> None:
    """1/2 ||g||^2 grows by lr ||d||^2, d its derivative at T = 0: direction, rate and the half."""
    problem = classification(WIDTHS, 8, activation, seed=2)
    _, start = loss_and_grad_norm_sq(problem)
    derivative_sq, lr = _derivative_sq(problem, acts_on), 1e-6

    advance(problem, acts_on=acts_on, lr=lr, steps=1)

    _, end = loss_and_grad_norm_sq(problem)
    assert (end - start) / 2 == pytest.approx(lr * derivative_sq, rel=1e-3)


def _derivative_sq(problem: Problem, acts_on: str) -> float:
    """||d||^2 by central differences of 1/2 ||g||^2 in every entry of every T."""
    mlp, rows = extract(problem)
    matrices = mlp.read(problem.detached())
    start = list(matrices.values())
    zeros = [torch.zeros(d, d, dtype=torch.float64) for d in WIDTHS[1:-1]]

    def half(T: list[torch.Tensor]) -> float:
        if acts_on == PRE:
            moved = sweep_preactivations(mlp, rows.T, start, T, keep_rest=True).matrices
        else:
            pinv = pseudo_inverse(with_ones(rows.T, start[0]))
            moved = sweep_activations(
                mlp, rows.T, pinv, start, T, inverse="true", keep_rest=True
            ).matrices
        values = mlp.split(dict(zip(matrices, moved, strict=True)))
        return 0.5 * float(
            squared_norm(loss_and_gradient(problem, values, differentiable=False)[1].values())
        )

    total = 0.0
    for m, zero in enumerate(zeros):
        for entry in range(zero.numel()):
            ends = []
            for step in (1e-5, -1e-5):
                T = [z.clone() for z in zeros]
                T[m].view(-1)[entry] = step
                ends.append(half(T))
            total += ((ends[0] - ends[1]) / 2e-5) ** 2
    return total


@pytest.mark.parametrize(
    ("acts_on", "n", "widths", "bias", "guarantee"),
    [
        (PRE, 12, WIDTHS, False, Guarantee.EXACT_ON_BATCH),
        (PRE, 13, WIDTHS, True, Guarantee.APPROXIMATE),  # sigma(gVh) has no ones row
        (PRE, 12, [3, 16, 12, 5], True, Guarantee.EXACT_ON_BATCH),  # X is not inverted
        (ACT, 16, [20, 16, 12, 5], False, Guarantee.EXACT_ON_BATCH),  # nor is the last hidden
        (ACT, 17, [20, 16, 12, 5], False, Guarantee.APPROXIMATE),
        (ACT, 17, [20, 16, 12, 5], True, Guarantee.EXACT_ON_BATCH),
        (ACT, 18, [20, 16, 12, 5], True, Guarantee.APPROXIMATE),
        (ACT, 8, [7, 16, 12, 5], False, Guarantee.APPROXIMATE),
        (ACT, 8, [7, 16, 12, 5], True, Guarantee.EXACT_ON_BATCH),
    ],
)
def test_guarantee_follows_from_batch_and_widths(
    acts_on: str, n: int, widths: list[int], bias: bool, guarantee: Guarantee
) -> None:
    problem = classification(widths, n, leaky, bias=bias)
    before = outputs(problem)

    result = advance(problem, acts_on=acts_on, lr=0.01, steps=3)  # twice that runs away

    assert result.guarantee is guarantee
    exact = output_change(problem, before) < 1e-10
    assert exact == (guarantee is Guarantee.EXACT_ON_BATCH)


def test_dead_units_take_the_guarantee_back() -> None:
    """Fewer samples than units, but sigma(gVh) has not the rank of the batch."""
    problem = classification(WIDTHS, 8)
    assert isinstance(problem.model[0], nn.Linear)
    with torch.no_grad():
        problem.model[0].bias[:12] = -100.0
    before = outputs(problem)

    result = advance(problem, lr=0.5, steps=2)

    assert result.guarantee is Guarantee.APPROXIMATE
    assert output_change(problem, before) > 1e-10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("acts_on", [PRE, ACT])
def test_both_dtypes(acts_on: str, dtype: torch.dtype) -> None:
    problem = classification(WIDTHS, 8, leaky, dtype=dtype)
    before = outputs(problem)

    result = advance(problem, acts_on=acts_on, lr=0.02)

    assert result.status is Status.DONE
    assert output_change(problem, before) < 500 * torch.finfo(dtype).eps
    assert all(p.dtype == dtype for p in problem.model.parameters())


class _OfTokens(nn.Module):
    """A loss of outputs [batch, tokens, classes] that insists on their shape and memory."""

    def forward(self, output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        assert output.shape[:2] == targets.shape
        return F.cross_entropy(output.view(-1, output.shape[-1]), targets.view(-1))


@pytest.mark.parametrize("acts_on", [PRE, ACT])
def test_tokens_are_columns(acts_on: str) -> None:
    model = classification(WIDTHS, 1, leaky).model
    inputs, targets = batch(6, 20, 5)
    problem = Problem(model, _OfTokens(), inputs.reshape(2, 3, 20), targets.reshape(2, 3))
    before = outputs(problem)

    result = advance(problem, acts_on=acts_on, lr=0.02)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert output_change(problem, before) < 1e-10


def test_nested_sequentials_flatten_identity_and_dropout_in_eval_mode() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(12, 10), nn.Dropout(0.5), nn.ReLU(inplace=True)),
        nn.Identity(),
        nn.Sequential(nn.Linear(10, 9, bias=False), nn.Tanh(), nn.Dropout(0.0)),
        nn.Linear(9, 3),
    ).double()
    model.eval()
    inputs, targets = batch(5, 12, 3)
    problem = Problem(model, F.cross_entropy, (inputs.reshape(5, 3, 4),), targets)
    before = outputs(problem)
    start = snapshot(problem)

    result = advance(problem, lr=0.05)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert output_change(problem, before) < 1e-10
    assert not identical(problem, start)


def test_last_bias_is_the_only_parameter_that_stays() -> None:
    problem = classification(WIDTHS, 8, leaky)
    before = snapshot(problem)

    advance(problem, acts_on=ACT, lr=0.05)

    after = snapshot(problem)
    same = [name for name in before if torch.equal(before[name], after[name])]
    assert same == ["4.bias"]
