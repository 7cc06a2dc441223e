"""published=True repeats the authors' released code; their demo's losses are the reference."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from oracles import identical, output_change, snapshot
from small_problems import classification
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from baselines.symmetry.actions import pseudo_inverse, sweep_preactivations
from baselines.symmetry.search import Batch, Sweep, slope
from baselines.symmetry.teleporter import SymmetryTeleporter
from teleport_core import Guarantee, ModelError, Problem, Status

PRE, ACT = "preactivations", "activations"


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


def half_squared_error(output: Tensor, targets: Tensor) -> Tensor:
    return 0.5 * (output - targets).square().sum()


def demo(seed: int) -> Problem:
    """X 5x4, W1 6x5, W2 7x6, W3 8x7, Y 8x4, all U[0, 1), samples in columns."""
    torch.manual_seed(seed)
    weights = [torch.rand(6, 5), torch.rand(7, 6), torch.rand(8, 7)]
    X, Y = torch.rand(5, 4), torch.rand(8, 4)
    layers = [nn.Linear(w.shape[1], w.shape[0], bias=False) for w in weights]
    for layer, weight in zip(layers, weights, strict=True):
        layer.weight.data.copy_(weight)
    model = nn.Sequential(layers[0], leaky(), layers[1], leaky(), layers[2])
    return Problem(model, half_squared_error, X.T, Y.T)


def gradient_descent(problem: Problem) -> torch.optim.Optimizer:
    return torch.optim.SGD(problem.model.parameters(), lr=1e-4)


def adagrad(problem: Problem) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(problem.model.parameters(), lr=0.1, eps=1e-10)


def loss_at_epoch_five(
    seed: int,
    make_optimizer: Callable[[Problem], torch.optim.Optimizer],
    method: teleport_core.Teleporter | None,
) -> float:
    """Five descent steps, the teleport if any, and the loss that epoch 5 records."""
    problem = demo(seed)
    optimizer = make_optimizer(problem)
    for _ in range(5):
        optimizer.zero_grad()
        problem.loss().backward()
        optimizer.step()
    if method is not None:
        result = method.advance(problem, method.prepare(problem))
        assert result.status is Status.DONE
        assert result.guarantee is Guarantee.FIRST_ORDER
    return float(problem.loss().detach())


SEEDS = [n * n * 12345 for n in range(5)]


@dataclass(frozen=True)
class Run:
    """One row of the reference table; ``options`` None without a teleport."""

    optimizer: Callable[[Problem], torch.optim.Optimizer]
    options: dict[str, float] | None
    mean: float
    losses: tuple[float, ...] = ()


RUNS = {
    "gd": Run(gradient_descent, None, 609.3, (595.7, 685.5, 614.2, 576.0, 575.1)),
    "gd-teleport": Run(
        gradient_descent,
        {"lr": 1e-7, "steps": 8},
        237.8,
        (364.9, 90.6, 334.6, 347.3, 51.9),
    ),
    "adagrad": Run(adagrad, None, 150.4),
    "adagrad-teleport": Run(adagrad, {"lr": 1e-5, "steps": 2}, 33.72),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
def test_2022_regression_demo(run: Run) -> None:
    method = None
    if run.options is not None:
        method = teleport_core.make("symmetry", published=True, acts_on=ACT, **run.options)

    losses = [loss_at_epoch_five(seed, run.optimizer, method) for seed in SEEDS]

    assert sum(losses) / 5 == pytest.approx(run.mean, rel=0.01)
    if run.losses:
        assert losses == pytest.approx(run.losses, rel=0.01)


def test_exact_variant_keeps_the_demo_loss() -> None:
    """The control: what the released code loses is not in the method."""
    for seed in SEEDS:
        problem = demo(seed)
        optimizer = gradient_descent(problem)
        for _ in range(5):
            optimizer.zero_grad()
            problem.loss().backward()
            optimizer.step()
        model = problem.model.double()
        problem = Problem(model, problem.loss_fn, problem.inputs.double(), problem.targets.double())
        before = float(problem.loss().detach())
        method = teleport_core.make("symmetry", acts_on=ACT, lr=2e-7, steps=8)
        method.advance(problem, method.prepare(problem))
        assert float(problem.loss().detach()) == pytest.approx(before, rel=1e-9)


def released_2023(problem: Problem, lr: float, steps: int) -> list[Tensor]:
    """The 2023 pseudo-code, slow and obvious, columns as samples."""

    def sigma(z: Tensor) -> Tensor:
        return F.leaky_relu(z, 0.1)

    def sweep(W: list[Tensor], T: list[Tensor], h: list[Tensor]) -> list[Tensor]:
        W = list(W)
        for m in range(len(W) - 1):
            g = torch.eye(len(T[m]), dtype=T[m].dtype) + T[m]
            before, after = sigma(W[m] @ h[m]), sigma(g @ (W[m] @ h[m]))
            W[m], W[m + 1] = g @ W[m], W[m + 1] @ before @ torch.linalg.pinv(after)
        return W

    W = [p.detach().clone() for p in problem.model.parameters()]
    h = [problem.inputs.T]
    for V in W[:-2]:
        h.append(sigma(V @ h[-1]))
    for _ in range(steps):
        T = [torch.zeros(len(V), len(V), dtype=V.dtype, requires_grad=True) for V in W[:-1]]
        moved = sweep(W, T, h)
        out = problem.inputs.T
        for V in moved[:-1]:
            out = sigma(V @ out)
        loss = problem.loss_fn((moved[-1] @ out).T, problem.targets)
        gradient = torch.autograd.grad(loss, moved, create_graph=True)
        J = sum((g.square().sum() for g in gradient), torch.zeros(()))
        T = [lr * d for d in torch.autograd.grad(J, T)]
        W = sweep(W, T, h)
        for m in range(1, len(h)):
            h[m] = h[m] + T[m - 1] @ h[m]
    return W


@pytest.mark.parametrize("n", [6, 30], ids=["fits", "wider-batch"])
@pytest.mark.parametrize("widths", [[20, 16, 12, 5], [9, 12, 11, 10, 4], [7, 8, 3]])
def test_2023_steps_are_those_of_the_pseudo_code(widths: list[int], n: int) -> None:
    problem = classification(widths, n, leaky, bias=False)
    expected = released_2023(problem, lr=0.05, steps=4)
    before = snapshot(problem)
    method = teleport_core.make("symmetry", published=True, lr=0.05, steps=4)

    result = method.advance(problem, method.prepare(problem))

    assert result.status is Status.DONE
    fits = n <= min(widths[1:-1])
    assert result.guarantee is (Guarantee.FIRST_ORDER if fits else Guarantee.APPROXIMATE)
    for parameter, value in zip(problem.model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, rtol=1e-9, atol=1e-12)
    assert not identical(problem, before)


@pytest.mark.parametrize("acts_on", [PRE, ACT])
def test_the_released_code_moves_the_outputs_and_the_exact_one_does_not(acts_on: str) -> None:
    changes = []
    for published in (True, False):
        problem = classification([20, 16, 12, 5], 8, leaky, bias=False)
        with torch.no_grad():
            before = problem.output()
        method = teleport_core.make("symmetry", published=published, acts_on=acts_on, lr=0.1)
        method.advance(problem, method.prepare(problem))
        changes.append(output_change(problem, before))
    assert changes[0] > 1e-6
    assert changes[1] < 1e-12


@pytest.mark.parametrize(("acts_on", "real"), [(PRE, 1), (ACT, 3)])
def test_only_losses_of_the_models_own_weights_are_reported(acts_on: str, real: int) -> None:
    problem = classification([20, 16, 12, 5], 8, leaky, bias=False)
    twin = classification([20, 16, 12, 5], 8, leaky, bias=False)
    single = teleport_core.make("symmetry", published=True, acts_on=acts_on, lr=0.05, steps=1)
    true = []
    for _ in range(3):
        true.append(float(twin.loss().detach()))
        single.advance(twin, single.prepare(twin))
    method = teleport_core.make("symmetry", published=True, acts_on=acts_on, lr=0.05, steps=3)

    result = method.advance(problem, method.prepare(problem))

    assert result.loss[:real] == pytest.approx(true[:real], rel=1e-10)
    assert all(math.isnan(loss) for loss in result.loss[real:])
    assert all(math.isnan(norm) for norm in result.grad_norm_sq)
    assert len(result.loss) == len(result.grad_norm_sq) == 4


def measured_norm(problem: Problem) -> float:
    """J at W(0), which the released 2023 code compares with its cap."""
    state = SymmetryTeleporter(published=True).prepare(problem)
    batch: Batch = state.batch
    matrices = list(batch.mlp.read(problem.detached()).values())
    sweep: Sweep = partial(sweep_preactivations, batch.mlp, batch.inputs, cached=state.hidden)
    return float(slope(batch, sweep, matrices).grad_norm_sq)


def test_released_cap_is_passed_only_from_above() -> None:
    """`J > cap` there, >= elsewhere."""
    problem = classification([20, 16, 12, 5], 8, leaky, bias=False)
    before = snapshot(problem)
    J = measured_norm(problem)

    def statuses(cap: float) -> Status:
        method = teleport_core.make("symmetry", published=True, steps=1, cap=cap, lr=1e-3)
        return method.advance(problem, method.prepare(problem)).status

    assert statuses(math.nextafter(J, 0)) is Status.CAPPED
    assert identical(problem, before)
    assert statuses(J) is Status.DONE
    assert not identical(problem, before)


def test_caches_are_made_once_and_survive_the_steps() -> None:
    """``advance`` moves copies: a state may be used again."""
    problem = classification([20, 16, 12, 5], 8, leaky, bias=False)
    method = SymmetryTeleporter(published=True, lr=0.01)
    state = method.prepare(problem)

    for h, h_pinv in zip(state.hidden, state.hidden_pinv, strict=True):
        torch.testing.assert_close(h_pinv, pseudo_inverse(h))
    kept = [h.clone() for h in state.hidden]
    method.advance(problem, state)
    assert all(torch.equal(a, b) for a, b in zip(state.hidden, kept, strict=True))


@pytest.mark.parametrize("acts_on", [PRE, ACT])
def test_biases_are_refused_by_name(acts_on: str) -> None:
    problem = classification([20, 16, 12, 5], 8, leaky)
    before = snapshot(problem)
    method = teleport_core.make("symmetry", published=True, acts_on=acts_on)
    with pytest.raises(ModelError, match=r"without biases.*got 0\.bias.*bias=False.*published=Fal"):
        method.prepare(problem)
    assert identical(problem, before)
