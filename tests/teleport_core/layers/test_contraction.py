"""Matrices of a weight with three axes, one for each expert or relation: each moves by itself."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import output_change
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Guarantee, Problem, TeleportResult, teleport
from teleport_core.layers import find_layers

Use = Callable[["Experts", Tensor], Tensor]


class Experts(nn.Module):
    """``use`` makes [4, 32] of [4, 32] with weights of three experts, [3, 32, 32]."""

    def __init__(self, use: Use) -> None:
        super().__init__()
        self.a, self.c = nn.Linear(5, 32), nn.Linear(32, 3)
        self.w = nn.Parameter(torch.randn(3, 32, 32) / 6)
        self.b = nn.Parameter(torch.randn(3, 32) / 6)
        self.bias = nn.Parameter(torch.randn(32) / 6)
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.use(self, self.a(x).tanh()).tanh())


def routed(m: Experts, h: Tensor) -> Tensor:
    """As mixtures of experts do it; no sample for the last one."""
    total = torch.zeros_like(h)
    for e, samples in enumerate((torch.tensor([0, 2]), torch.tensor([1, 3]), torch.tensor([]))):
        some = h[samples.long()]
        total = total.index_add(0, samples.long(), F.linear(some, m.w[torch.tensor(e)], m.b[e]))
    return total


def halves(m: Experts, h: Tensor) -> Tensor:
    gate, up = F.linear(h, m.w[1]).chunk(2, -1)
    return torch.cat([gate.sigmoid() * F.linear(h.sin(), m.w[0, :16]), up], -1)


def three(h: Tensor) -> Tensor:
    return torch.stack([h, h.sin(), h.cos()])


MOVES: dict[str, Use] = {
    "linear of each": lambda m, h: F.linear(h, m.w[0]) + F.linear(h.sin(), m.w[1]),
    "routed": routed,
    "x W": lambda m, h: h @ m.w[0] + h.sin() @ m.w[2],
    "two orientations": lambda m, h: h @ m.w[0] + F.linear(h.sin(), m.w[2]),
    "unbound": lambda m, h: sum(f @ w for f, w in zip(three(h), m.w.unbind(), strict=True)),
    "rows of a matrix": halves,
    "one bias for all": lambda m, h: F.linear(h, m.w[0], m.bias) + F.linear(h, m.w[1], m.bias),
    "bmm": lambda m, h: torch.bmm(three(h), m.w).sum(0),
    "bmm, transposed": lambda m, h: torch.bmm(three(h), m.w.transpose(1, 2)).sum(0),
    "baddbmm": lambda m, h: torch.baddbmm(m.b[:, None], three(h), m.w).sum(0),
    "matmul": lambda m, h: (three(h) @ m.w).sum(0),
    "matmul of one x": lambda m, h: (h @ m.w).tanh().sum(0),
    "W x": lambda m, h: (m.w @ three(h).mT).sum(0).mT,
    "W x of one x": lambda m, h: (m.w @ h.T).tanh().sum(0).T,
    "einsum": lambda m, h: torch.einsum("enf,erf->ner", three(h), m.w).sum(1),
    "einsum, weight first": lambda m, h: torch.einsum("erf, enf -> nr e", m.w, three(h)).sum(-1),
    "einsum, ellipsis": lambda m, h: torch.einsum("...i,io->...o", three(h), m.w[1]).sum(0),
    "einsum, two features": lambda m, h: torch.einsum("nef,efr->nr", three(h).transpose(0, 1), m.w),
    "einsum, two rows": lambda m, h: torch.einsum("nf,rsf->nrs", h, m.w).sum(1),
}
STAYS: dict[str, Use] = {
    "summed": lambda m, h: torch.einsum("nf,erf->nr", h, m.w),
    "rows apart": lambda m, h: torch.einsum("nf,efr->ner", h, m.w).sum(1),
    "a diagonal": lambda m, h: h * torch.einsum("nf,eff->ne", h, m.w).sum(1, keepdim=True),
    "a scale": lambda m, h: torch.einsum("nf,f->nf", h, m.w[0, 0]),
    "whole and in parts": lambda m, h: (three(h) @ m.w).sum(0) + h.sin() @ m.w[1],
    "copies": lambda m, h: h @ m.w[[1]].squeeze(0),
}


def problem_of(use: Use) -> Problem:
    torch.manual_seed(0)
    batch = (torch.randn(4, 5).double(), torch.tensor([0, 1, 2, 0]))
    return Problem(Experts(use).double(), F.cross_entropy, *batch)


def run(use: Use, **options: Any) -> tuple[Problem, TeleportResult]:
    problem = problem_of(use)
    batch = (problem.inputs, problem.targets)
    return problem, teleport(problem.model, problem.loss_fn, batch, lr=0.02, steps=3, **options)


@pytest.mark.parametrize("name", MOVES)
def test_each_matrix_moves_by_itself(name: str) -> None:
    outputs = problem_of(MOVES[name]).output().detach()

    problem, result = run(MOVES[name])
    other, oracle = run(MOVES[name], engine="textbook")

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert "w" not in result.held
    assert any(result.null_dims["w"])
    assert not torch.equal(problem.model.w, problem_of(MOVES[name]).model.w)
    assert output_change(problem, outputs) < 1e-12
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
    assert result.null_dims == oracle.null_dims
    assert result.grad_norm_sq == pytest.approx(oracle.grad_norm_sq, rel=1e-9)
    torch.testing.assert_close(problem.model.w, other.model.w, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", STAYS)
def test_what_is_no_product_with_rows_of_the_weight_is_held(name: str) -> None:
    problem, result = run(STAYS[name])

    assert "w" in result.held
    assert torch.equal(problem.model.w, problem_of(STAYS[name]).model.w)
    assert result.guarantee is Guarantee.EXACT_ON_BATCH


def test_an_expert_without_samples_stays() -> None:
    problem, result = run(routed)

    assert len(result.null_dims["w"]) == 2
    assert torch.equal(problem.model.w[2], problem_of(routed).model.w[2])


@pytest.mark.parametrize("name", MOVES)
def test_representations_are_what_the_rows_see(name: str) -> None:
    """A move of rows along their inputs changes outputs; one beside them does not."""
    problem = problem_of(MOVES[name])
    output, parameters = problem.output().detach(), problem.copy()
    layers = [layer for layer in find_layers(problem).layers if layer.weight == "w"]
    for layer in layers:
        R = layer.representation()
        basis, _, _ = torch.linalg.svd(R, full_matrices=True)
        beside = basis[:, torch.linalg.matrix_rank(R) :].T
        layer.add(parameters, R.new_ones(layer.shape[0], len(beside)) @ beside)
    torch.testing.assert_close(problem.output(parameters), output, rtol=1e-10, atol=1e-10)
    layers[0].add(parameters, layers[0].representation().T[:1].expand(layers[0].shape))
    assert (problem.output(parameters) - output).abs().max() > 1e-3
