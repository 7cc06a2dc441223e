"""Parts of one parameter that lie in one piece: each is a weight by itself where none overlap."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import output_change
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Guarantee, Problem, TeleportResult, teleport

Use = Callable[["Flat", Tensor], Tensor]


class Flat(nn.Module):
    """One vector with the weights of all paths, as equivariant linear layers have it."""

    def __init__(self, use: Use) -> None:
        super().__init__()
        self.a, self.c = nn.Linear(5, 32), nn.Linear(16, 3)
        self.w = nn.Parameter(torch.randn(1024) / 4)
        self.wide = nn.Parameter(torch.randn(1024, 2))
        self.kernel = nn.Parameter(torch.randn(32, 8, 3) / 4)
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.use(self, self.a(x).tanh()).tanh())


def paths(m: Flat, h: Tensor) -> Tensor:
    """Scalars by one block, vectors of three components by another, normalised by a constant."""
    scalars, vectors = h[:, :14], h[:, 14:].view(-1, 6, 3)
    w, v = m.w[:224].view(14, 16), m.w.narrow(0, 224, 96).reshape(6, 16)
    mixed = torch.einsum("zui,uw->zwi", vectors, v) / 6**0.5
    return scalars @ w / 14**0.5 + mixed.square().sum(-1)


def kernels(m: Flat, h: Tensor) -> Tensor:
    h = h.view(-1, 8, 4)
    first = F.conv1d(h, m.kernel[:16]).mean(-1)
    return first + F.conv1d(h.sin(), m.kernel[16:], padding=1).mean(-1)


MOVES: dict[str, Use] = {
    "paths": paths,
    "transposed": lambda m, h: F.linear(h, m.w[:512].view(32, 16).t()),
    "one block twice": lambda m, h: (
        h @ m.w[:512].view(32, 16) + h.sin() @ m.w[:512].reshape(32, 16)
    ),
    "three axes": lambda m, h: torch.einsum(
        "nef,efr->nr", h.view(-1, 4, 8), m.w[512:].view(4, 8, 16)
    ),
}  # fmt: skip
STAYS: dict[str, Use] = {
    "overlapping": lambda m, h: h @ m.w[:512].view(32, 16) + h @ m.w[32:544].view(32, 16),
    "of two shapes": lambda m, h: h @ m.w[:512].view(32, 16) + h[:, :16] @ m.w[:256].view(16, 16),
    "also a bias": lambda m, h: (
        (h @ m.w[:512].view(32, 16)).tanh()
        + F.linear(h[:, :2], m.wide, m.w).unfold(1, 16, 16).mean(1)
    ),
    "with gaps": lambda m, h: h @ m.w[::2].view(32, 16),
}


def problem_of(use: Use) -> Problem:
    torch.manual_seed(0)
    batch = (torch.randn(4, 5).double(), torch.tensor([0, 1, 2, 0]))
    return Problem(Flat(use).double(), F.cross_entropy, *batch)


def run(use: Use, **options: Any) -> tuple[Problem, TeleportResult]:
    problem = problem_of(use)
    outputs, batch = problem.output().detach(), (problem.inputs, problem.targets)
    result = teleport(problem.model, problem.loss_fn, batch, lr=0.02, steps=3, **options)
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert output_change(problem, outputs) < 1e-12
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
    return problem, result


@pytest.mark.parametrize("name", MOVES)
def test_blocks_of_a_flat_vector_move(name: str) -> None:
    problem, result = run(MOVES[name])
    other, oracle = run(MOVES[name], engine="textbook")

    assert "w" not in result.held
    assert any(result.null_dims["w"])
    assert result.null_dims == oracle.null_dims
    assert result.grad_norm_sq == pytest.approx(oracle.grad_norm_sq, rel=1e-9)
    torch.testing.assert_close(problem.model.w, other.model.w, rtol=1e-8, atol=1e-9)


def test_kernels_of_one_parameter_move() -> None:
    problem, result = run(kernels)
    other, _ = run(kernels, engine="textbook")

    assert "kernel" not in result.held
    assert len(result.null_dims["kernel"]) == 2
    torch.testing.assert_close(problem.model.kernel, other.model.kernel, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("engine", ["auto", "textbook"])
@pytest.mark.parametrize("name", STAYS)
def test_blocks_that_overlap_or_have_gaps_are_held(name: str, engine: str) -> None:
    problem, result = run(STAYS[name], engine=engine)

    assert "w" in result.held
    assert torch.equal(problem.model.w, problem_of(STAYS[name]).model.w)
