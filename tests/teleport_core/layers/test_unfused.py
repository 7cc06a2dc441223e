"""Calls that torch differentiates once are the same call taken apart, and stop no engine."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import output_change
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from teleport_core import Guarantee, Problem, Status, TeleportResult, teleport
from teleport_core.layers.unfused.embedding_bag import embedding_bag
from teleport_core.layers.unfused.hardsigmoid import hardsigmoid

TARGETS = torch.tensor([0, 1, 2, 0])


class Excited(nn.Module):
    """Squeeze and excite."""

    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        return self.c(h * self.gate(self.b(h)))


class Bags(nn.Module):
    """Bags of a table that is a parameter, or is computed."""

    def __init__(self, mode: str, computed: bool = False) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 12, mode=mode)
        self.a = nn.Linear(12, 12) if computed else None
        self.b, self.c = nn.Linear(12, 16), nn.Linear(16, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        if self.a is None:
            h = self.bag(tokens)
        else:
            h = F.embedding_bag(tokens, self.a(self.bag.weight).tanh(), mode=self.bag.mode)
        return self.c(self.b(h).tanh())


class Pinned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.c = nn.Linear(6, 24), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.a(x)[:, None].chunk(3, -1)
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return self.c(F.scaled_dot_product_attention(q, k, v))[:, 0].mean(1)


class WroteInPlace(nn.Module):
    def forward(self, h: Tensor) -> Tensor:
        h = h + 0.0
        F.hardsigmoid(h, inplace=True)
        return h


def run(build: Callable[[], nn.Module], x: Tensor, **options: Any) -> TeleportResult:
    torch.manual_seed(0)
    problem = Problem(build().double(), F.cross_entropy, x, TARGETS)
    before = problem.output().detach()
    batch = (x, TARGETS)
    result = teleport(problem.model, problem.loss_fn, batch, lr=0.1, steps=3, **options)
    assert result.status is Status.DONE
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
    if result.guarantee is Guarantee.EXACT_ON_BATCH:
        assert output_change(problem, before) < 1e-12
    return result


def on_every_engine(build: Callable[[], nn.Module], x: Tensor) -> TeleportResult:
    """Two derivations of the same steps; and spaces that are not exact."""
    found = run(build, x)
    assert found.guarantee is Guarantee.EXACT_ON_BATCH
    oracle = run(build, x, engine="textbook")
    assert found.null_dims == oracle.null_dims
    assert found.held == oracle.held
    # torch's own derivative of a hard sigmoid takes 1/6 in single precision.
    assert found.grad_norm_sq == pytest.approx(oracle.grad_norm_sq, rel=1e-8)
    run(build, x, tau=0.999)
    run(build, x, max_drift=1e-3)
    return found


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)).double()


@pytest.mark.parametrize(
    "gate",
    [
        nn.Hardsigmoid(), nn.Hardsigmoid(inplace=True), nn.Hardswish(), nn.Hardtanh(), nn.ReLU6(),
        nn.Hardshrink(), nn.Softshrink(), nn.Threshold(0.1, 0.2), nn.LeakyReLU(), nn.PReLU(),
        WroteInPlace(),
    ],
    ids=str,
)  # fmt: skip
def test_gates_in_pieces_move_on_every_engine(gate: nn.Module) -> None:
    assert "b.weight" in on_every_engine(lambda: Excited(gate), noise(4, 6)).null_dims


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_table_of_bags_is_held_and_the_rest_moves(mode: str, computed: bool) -> None:
    tokens = torch.tensor([[0, 1, 1], [3, 4, 0], [5, 6, 7], [2, 2, 2]])

    result = on_every_engine(lambda: Bags(mode, computed), tokens)

    assert set(result.held) == {"bag.weight"}


def test_attention_that_is_pinned_moves_on_every_engine() -> None:
    on_every_engine(Pinned, noise(4, 4, 6))


OFFSETS = torch.tensor([0, 2, 2, 5])
BAGS: dict[str, tuple[Tensor, dict[str, Any]]] = {
    "matrix": (torch.tensor([[0, 1, 1], [3, 4, 0]]), {}),
    "offsets": (torch.tensor([0, 1, 1, 5, 7, 0]), {"offsets": OFFSETS}),
    "last offset": (
        torch.tensor([0, 1, 1, 5, 7]), {"offsets": OFFSETS, "include_last_offset": True},
    ),
    "padding": (torch.tensor([0, 1, 1, 5, 7, 8]), {"offsets": OFFSETS, "padding_idx": 1}),
    "padding at the end": (torch.tensor([[0, 8], [8, 8]]), {"padding_idx": -1}),
    "weighted": (
        torch.tensor([[0, 1, 1], [3, 4, 0]]),
        {"per_sample_weights": noise(2, 3), "padding_idx": 3, "mode": "sum"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("name", BAGS)
def test_bags_taken_apart_are_the_same_bags(name: str, mode: str) -> None:
    tokens, given = BAGS[name]
    table = noise(9, 4).requires_grad_(True)
    expected, found = (
        function(tokens, table, **({"mode": mode} | given))
        for function in (F.embedding_bag, embedding_bag)
    )

    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad((z * z.cos()).sum(), table)[0] for z in (expected, found)]
    torch.testing.assert_close(gradients[1], gradients[0])


def test_the_hard_sigmoid_taken_apart_is_the_same_and_flat_at_its_kinks() -> None:
    x = torch.tensor([-4.0, -3.0, -1.0, 0.5, 3.0, 5.0]).double().requires_grad_(True)

    torch.testing.assert_close(hardsigmoid(x), F.hardsigmoid(x))
    slopes = [torch.autograd.grad(f(x).sum(), x)[0] for f in (F.hardsigmoid, hardsigmoid)]
    torch.testing.assert_close(slopes[1], slopes[0])
