"""The two actions as pure functions: exactness, error orders, tangents, search gradient."""

from collections.abc import Callable, Sequence

import pytest
import torch
from oracles import loss_and_gradient
from small_problems import classification
from torch import Tensor, nn

from baselines.symmetry.actions import (
    Inverse,
    Swept,
    pseudo_inverse,
    smallest_rank,
    sweep_activations,
    sweep_preactivations,
)
from baselines.symmetry.extraction import extract
from baselines.symmetry.mlp import MLP, with_ones
from baselines.symmetry.search import Batch, slope
from teleport_core import Problem
from teleport_core.norms import squared_norm

SIZES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
PRE, ACT = ACTIONS = ("preactivations", "activations")


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


class Net:
    """A small MLP with normal weights, as in the published table of error orders."""

    def __init__(
        self,
        bias: bool,
        seed: int,
        activation: Callable[[], nn.Module] = leaky,
        widths: Sequence[int] = (16, 12, 10, 8),
    ) -> None:
        self.problem = classification(list(widths), 4, activation, bias=bias, seed=seed)
        torch.manual_seed(seed)
        for parameter in self.problem.model.parameters():
            nn.init.normal_(parameter)
        self.mlp: MLP
        self.mlp, rows = extract(self.problem)
        self.X = rows.T
        self.matrices = [m.clone() for m in self.mlp.read(self.problem.detached()).values()]
        T = [torch.randn(d, d, dtype=torch.float64) for d in widths[1:-1]]
        self.unit_T = [t / torch.linalg.matrix_norm(t) for t in T]

    def move(
        self,
        acts_on: str,
        T: Sequence[Tensor],
        *,
        stale: bool = False,
        inverse: Inverse = "true",
    ) -> list[Tensor]:
        cached = self.mlp.layer_inputs(self.matrices, self.X) if stale else None
        if acts_on == "preactivations":
            return sweep_preactivations(self.mlp, self.X, self.matrices, T, cached).matrices
        pinv = pseudo_inverse(with_ones(self.X, self.matrices[0]))
        return sweep_activations(
            self.mlp, self.X, pinv, self.matrices, T, inverse=inverse, cached=cached
        ).matrices

    def change(self, size: float, acts_on: str, **choices: object) -> float:
        """Largest relative change of an output under T of norm ``size``."""
        before = self.mlp.output(self.matrices, self.X)
        moved = self.move(acts_on, [size * t for t in self.unit_T], **choices)  # type: ignore[arg-type]
        return float((self.mlp.output(moved, self.X) - before).norm() / before.norm())

    def order(self, acts_on: str, **choices: object) -> float:
        """Log-log slope of the change over ||T||."""
        x = torch.tensor(SIZES, dtype=torch.float64).log()
        y = torch.tensor([self.change(s, acts_on, **choices) for s in SIZES], dtype=x.dtype).log()
        x, y = x - x.mean(), y - y.mean()
        return float((x @ y) / (x @ x))


@pytest.mark.parametrize("bias", [False, True], ids=["no-bias", "bias"])
@pytest.mark.parametrize("acts_on", ACTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_true_inverse_and_refreshed_activations_are_exact(
    acts_on: str, bias: bool, seed: int
) -> None:
    net = Net(bias, seed)
    for size in (*SIZES, 1.0):
        assert net.change(size, acts_on) < 1e-12


@pytest.mark.parametrize("bias", [False, True], ids=["no-bias", "bias"])
@pytest.mark.parametrize("seed", range(3))
def test_first_order_inverse_misses_in_second_order(bias: bool, seed: int) -> None:
    net = Net(bias, seed)
    assert net.order("activations", inverse="first_order") == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("inverse", ["true", "first_order"])
@pytest.mark.parametrize("acts_on", ACTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_stale_activations_miss_in_first_order(acts_on: str, inverse: str, seed: int) -> None:
    net = Net(False, seed)
    assert net.order(acts_on, inverse=inverse, stale=True) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("acts_on", ACTIONS)
def test_stale_activations_would_fail_the_exactness_test(acts_on: str) -> None:
    """Control: the exactness above hangs on refreshing, so its test is able to fail."""
    for size in SIZES:
        assert Net(False, 0).change(size, acts_on, stale=True) > 1e-6


def test_parameters_handed_in_are_not_written() -> None:
    net = Net(True, 0)
    before = [m.clone() for m in net.matrices]
    for acts_on in ACTIONS:
        net.move(acts_on, net.unit_T, stale=True)
        net.move(acts_on, net.unit_T)
    assert all(torch.equal(a, b) for a, b in zip(net.matrices, before, strict=True))


@pytest.mark.parametrize("acts_on", ACTIONS)
@pytest.mark.parametrize("activation", [leaky, nn.Identity])
def test_gradient_is_orthogonal_to_the_orbit(
    acts_on: str, activation: Callable[[], nn.Module]
) -> None:
    """<grad L, M.w> = 0 for the tangent M.w of every one-parameter group exp(sM)."""
    net = Net(True, 2, activation)
    zeros = tuple(torch.zeros_like(t) for t in net.unit_T)
    weights, tangent = torch.autograd.functional.jvp(
        lambda *T: tuple(net.move(acts_on, T)), zeros, tuple(net.unit_T)
    )
    values = net.mlp.split(dict(zip(_names(net.mlp), weights, strict=True)))
    _, gradient = loss_and_gradient(net.problem, values, differentiable=False)
    moves = net.mlp.split(dict(zip(_names(net.mlp), tangent, strict=True)))

    inner = torch.stack([(gradient[name] * moves[name]).sum() for name in gradient])
    assert inner.abs().max() > 1e-3 * squared_norm(gradient.values()).sqrt()
    assert abs(float(inner.sum())) < 1e-12 * float(inner.abs().sum())


@pytest.mark.parametrize("bias", [False, True], ids=["no-bias", "bias"])
def test_tangents_are_those_of_the_papers(bias: bool) -> None:
    """2022: dV = (M A / sigma') h^+, dU = -U M. 2023: dV = M V, dU A = -U A A^+ (sigma' M z)."""
    net = Net(bias, 1, widths=[16, 12, 8])
    (V, U), (M,) = net.matrices, net.unit_T
    h = with_ones(net.X, V)
    z = V @ h
    A, derivative = nn.functional.leaky_relu(z, 0.1), 0.1 + 0.9 * (z > 0)
    W = U[:, :12]

    def tangent(acts_on: str) -> tuple[Tensor, Tensor]:
        _, (dV, dU) = torch.autograd.functional.jvp(
            lambda T: tuple(net.move(acts_on, [T])), torch.zeros_like(M), M
        )
        assert bool((dU[:, 12:] == 0).all())  # the bias of U stays
        return dV, dU[:, :12]

    dV, dW = tangent("activations")
    torch.testing.assert_close(dV, (M @ A / derivative) @ torch.linalg.pinv(h))
    torch.testing.assert_close(dW, -W @ M)
    dV, dW = tangent("preactivations")
    torch.testing.assert_close(dV, M @ V)
    kept = W @ A @ torch.linalg.pinv(A)  # the action at g = I projects U on the span of A
    torch.testing.assert_close(dW @ A, -kept @ (derivative * (M @ z)))


@pytest.mark.parametrize(
    ("acts_on", "activation"),
    [(PRE, leaky), (PRE, nn.Tanh), (PRE, nn.Softplus), (ACT, leaky), (ACT, nn.Identity)],
)
def test_search_gradient_equals_finite_differences(
    acts_on: str, activation: Callable[[], nn.Module]
) -> None:
    """Of 1/2 ||g||^2 of the model itself, moved with the true inverse; the search may use I - T."""
    net = Net(True, 3, activation)
    batch = Batch(net.mlp, net.X, lambda y: net.problem.loss_fn(y, net.problem.targets))

    here = slope(batch, lambda _, T: _swept(net, acts_on, T), net.matrices)
    analytic = sum(float((d * t).sum()) for d, t in zip(here.derivative(), net.unit_T, strict=True))

    def objective(s: float) -> float:
        moved = net.move(acts_on, [s * t for t in net.unit_T])
        return _half_norm(net.problem, net.mlp, moved)

    step = 1e-5
    numeric = (objective(step) - objective(-step)) / (2 * step)
    assert analytic == pytest.approx(numeric, rel=1e-6)
    assert float(here.grad_norm_sq) == pytest.approx(2 * objective(0.0), rel=1e-12)


def test_times_inverse_of_a_singular_matrix_is_not_finite() -> None:
    """torch's solve raises; the ascent needs a value that it can take back."""
    net = Net(False, 0)
    moved = net.move("activations", [-torch.eye(12).double(), torch.zeros(10, 10).double()])
    assert not all(bool(torch.isfinite(m).all()) for m in moved)


@pytest.mark.parametrize("bad", [torch.inf, torch.nan])
def test_pseudo_inverse_of_a_non_finite_matrix_is_nan(bad: float) -> None:
    """torch raises, from some shapes up; the ascent needs a value that it can take back."""
    matrix = torch.ones(16, 8)
    matrix[3, 2] = bad
    found = pseudo_inverse(matrix)
    assert found.shape == (8, 16)
    assert bool(found.isnan().all())


def test_smallest_rank_counts_repeated_columns_once() -> None:
    full = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    poor = full.clone()
    poor[:, 3] = poor[:, 2]
    pairs = [(A, pseudo_inverse(A)) for A in (full, poor)]
    assert float(smallest_rank(pairs[:1])) == pytest.approx(4)
    assert float(smallest_rank(pairs)) == pytest.approx(3)


def _names(mlp: MLP) -> list[str]:
    return [layer.weight for layer in mlp.layers]


def _swept(net: Net, acts_on: str, T: Sequence[Tensor]) -> Swept:
    if acts_on == "preactivations":
        return sweep_preactivations(net.mlp, net.X, net.matrices, T)
    pinv = pseudo_inverse(with_ones(net.X, net.matrices[0]))
    return sweep_activations(net.mlp, net.X, pinv, net.matrices, T, inverse="first_order")


def _half_norm(problem: Problem, mlp: MLP, matrices: list[Tensor]) -> float:
    values = mlp.split(dict(zip(_names(mlp), matrices, strict=True)))
    _, gradient = loss_and_gradient(problem, values, differentiable=False)
    return float(0.5 * squared_norm(gradient.values()))
