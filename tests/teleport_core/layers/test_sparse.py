"""Sparse and nested tensors among the inputs: the numbers of dense ones, or a word why not."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Guarantee, ModelError, ProblemError, Status, TeleportResult, teleport

ENGINES: list[dict[str, Any]] = [{}, {"engine": "textbook"}, {"tau": 0.9}, {"max_drift": 1e-3}]
TARGETS = torch.tensor([0, 1, 2, 0, 1, 2])

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "coo": Tensor.to_sparse,
    "coo, not coalesced": lambda x: torch.sparse_coo_tensor(
        *_twice(x.to_sparse()), x.shape, check_invariants=True
    ),
    "csr": Tensor.to_sparse_csr,
    "csc": Tensor.to_sparse_csc,
}


def _twice(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([x.indices()] * 2, 1), torch.cat([x.values() / 2] * 2)


def sparse(x: Tensor, layout: str) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CS. tensor support is in beta")
        return LAYOUTS[layout](x)


class Graph(nn.Module):
    """A graph convolution, its links dense or not."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 40), nn.Linear(40, 3)

    def forward(self, x: Tensor, links: Tensor) -> Tensor:
        return links @ self.b(torch.tanh(links @ self.a(x)))


class Words(nn.Module):
    """``product`` brings the words and a weight together."""

    def __init__(self, product: Callable[["Words", Tensor], Tensor]) -> None:
        super().__init__()
        self.w, self.product = nn.Linear(9, 12), product
        self.b, self.c = nn.Linear(12, 16), nn.Linear(16, 3)

    def forward(self, words: Tensor) -> Tensor:
        return self.c(self.b(self.product(self, words).tanh()).tanh())


PRODUCTS: dict[str, Callable[[Words, Tensor], Tensor]] = {
    "linear": lambda m, x: m.w(x),
    "mm": lambda m, x: torch.mm(x, m.w.weight.t()),
    "@": lambda m, x: x @ m.w.weight.t(),
    "addmm": lambda m, x: torch.addmm(m.w.bias, x, m.w.weight.t()),
    "W x": lambda m, x: (m.w.weight @ x.t()).t(),
    "sparse.mm": lambda m, x: (
        torch.mm(x, m.w.weight.t()) if x.layout is torch.strided else
        torch.sparse.mm(x, m.w.weight.t())
    ),
}  # fmt: skip


def run(build: Callable[[], nn.Module], inputs: Any, options: dict[str, Any]) -> TeleportResult:
    torch.manual_seed(0)
    batch = (inputs, TARGETS)
    return teleport(build().double(), F.cross_entropy, batch, lr=0.05, steps=3, **options)


def assert_as_dense(build: Any, inputs: Any, dense: Any, options: dict[str, Any]) -> TeleportResult:
    result, expected = run(build, inputs, options), run(build, dense, options)
    assert result.status is expected.status is Status.DONE
    assert result.grad_norm_sq[0] == pytest.approx(expected.grad_norm_sq[0], rel=1e-10)
    if not options or "engine" in options:
        assert result.guarantee is Guarantee.EXACT_ON_BATCH
        assert result.grad_norm_sq == pytest.approx(expected.grad_norm_sq, rel=1e-10)
    return result


@pytest.mark.parametrize("options", ENGINES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sparse_links_are_as_good_as_dense_ones(layout: str, options: dict[str, Any]) -> None:
    links = torch.eye(6).double() + torch.eye(6).double().roll(1, 0)
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(3)).double()

    assert_as_dense(Graph, (x, sparse(links, layout)), (x, links), options)


@pytest.mark.parametrize("options", ENGINES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_weight_of_sparse_words_is_held(name: str, layout: str, options: dict[str, Any]) -> None:
    words = torch.randn(6, 9, generator=torch.Generator().manual_seed(3)).double().relu()

    result = assert_as_dense(lambda: Words(PRODUCTS[name]), sparse(words, layout), words, options)

    why = "_sparse_mm" if name == "sparse.mm" else "a product with a sparse input"
    assert result.held["w.weight"] == f"used in {why}"
    assert {"b.weight", "c.weight"} == result.null_dims.keys()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sparse_inputs_that_are_not_finite_are_refused(layout: str) -> None:
    links = torch.eye(6).double()
    links[1, 1] = torch.nan

    with pytest.raises(ProblemError, match=r"got nan; \d values in an input of shape"):
        run(Graph, (torch.randn(6, 5).double(), sparse(links, layout)), {})


class Padded(nn.Module):
    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.a, self.b, self.first = nn.Linear(5, 12), nn.Linear(12, 3), first

    def forward(self, x: Tensor) -> Tensor:
        if self.first:
            return self.b(self.a(torch.nested.to_padded_tensor(x, 0.0)).tanh().mean(1))
        return self.b(torch.nested.to_padded_tensor(self.a(x).relu(), 0.0).mean(1))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
@pytest.mark.parametrize("options", ENGINES, ids=str)
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_inputs_move_padded_and_are_refused_in_layers(
    layout: torch.layout, options: dict[str, Any]
) -> None:
    x = torch.nested.nested_tensor([torch.randn(n, 5).double() for n in range(2, 8)], layout=layout)

    assert run(lambda: Padded(first=True), x, options).status is Status.DONE
    with pytest.raises(ModelError, match=r"one is a nested tensor.*: pad it"):
        run(lambda: Padded(first=False), x, options)
