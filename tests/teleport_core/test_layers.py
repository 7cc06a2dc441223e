from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_problems import batch, classification, residual
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Guarantee, Problem, teleport
from teleport_core.layers import linear_layers


def test_representation_has_a_column_per_sample_and_a_row_of_ones_for_the_bias() -> None:
    problem = classification([6, 5, 3], 4)

    first, second = linear_layers(problem)

    assert first.weight == "0.weight"
    assert first.bias == "0.bias"
    assert first.representation().shape == (7, 4)
    torch.testing.assert_close(first.representation()[:-1], problem.inputs.T)
    assert torch.equal(second.representation()[-1], torch.ones(4, dtype=torch.float64))


def test_without_bias_there_is_no_row_of_ones() -> None:
    problem = classification([6, 5, 3], 4, bias=False)

    assert [layer.representation().shape for layer in linear_layers(problem)] == [(6, 4), (5, 4)]


def test_only_the_first_layer_is_fed_by_data_alone() -> None:
    assert [layer.data_fed for layer in linear_layers(residual())] == [True, False, False]


def test_a_layer_above_frozen_ones_is_fed_by_data_alone() -> None:
    problem = classification([6, 5, 4, 3], 4)
    for parameter in problem.model[0].parameters():  # type: ignore[index]
        parameter.requires_grad_(False)

    layers = linear_layers(problem)

    assert [layer.weight for layer in layers] == ["2.weight", "4.weight"]
    assert [layer.data_fed for layer in layers] == [True, False]


def test_gather_and_add_undo_each_other() -> None:
    problem = classification([6, 5, 3], 4)
    layer = linear_layers(problem)[0]
    values = problem.detached()

    parts = {name: torch.zeros_like(values[name]) for name in layer.names()}
    layer.add(parts, layer.gather(values))

    assert set(parts) == {"0.weight", "0.bias"}
    assert all(torch.equal(values[name], part) for name, part in parts.items())


class Uses(nn.Module):
    """One parameter for each way of being used."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Linear(6, 6)
        self.transposed = nn.Linear(6, 6, bias=False)
        self.scaled = nn.Linear(6, 6, bias=False)
        self.twice = nn.Linear(6, 6)
        self.shared_bias = nn.Parameter(torch.zeros(6))
        self.one = nn.Parameter(torch.randn(6, 6))
        self.two = nn.Parameter(torch.randn(6, 6))
        self.table = nn.Embedding(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.plain(x)) @ self.transposed.weight
        h = torch.tanh(F.linear(h, self.scaled.weight * 2.0))
        h = torch.tanh(self.twice(torch.tanh(self.twice(h))))
        h = torch.tanh(F.linear(h, self.one, self.shared_bias))
        h = torch.tanh(F.linear(h, self.two, bias=self.shared_bias))
        h = F.linear(h, self.table.weight * 1.0) @ self.table(torch.arange(4))
        assert self.plain.weight.shape == (6, 6)
        assert self.plain.weight.dtype.is_floating_point
        return self.head(h)


@pytest.fixture
def uses() -> dict[str, object]:
    torch.manual_seed(0)
    problem = Problem(Uses().double(), F.cross_entropy, *batch(3, 6, 3))
    return {layer.weight: layer for layer in linear_layers(problem)}


def test_a_parameter_with_any_other_use_is_held_fixed(uses: dict[str, object]) -> None:
    assert set(uses) == {
        "plain.weight", "transposed.weight", "twice.weight", "one", "two", "head.weight"
    }  # fmt: skip


def test_a_weight_used_twice_has_the_inputs_of_both_uses(uses: dict[str, object]) -> None:
    assert uses["twice.weight"].representation().shape == (7, 6)  # type: ignore[attr-defined]


def test_a_bias_of_two_weights_is_held_fixed(uses: dict[str, object]) -> None:
    assert uses["one"].bias is None  # type: ignore[attr-defined]
    assert uses["two"].bias is None  # type: ignore[attr-defined]


def test_reading_a_shape_is_not_a_use(uses: dict[str, object]) -> None:
    assert "plain.weight" in uses


class OfSingleSamples(nn.Module):
    """A part that is written for one sample, or for its derivative, by torch.func."""

    def __init__(self, transform: Callable[..., Any]) -> None:
        super().__init__()
        self.lower, self.part = nn.Linear(5, 20), nn.Sequential(nn.Linear(20, 20), nn.Tanh())
        self.transform, self.middle, self.upper = transform, nn.Linear(20, 20), nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.transform(self.part)(torch.tanh(self.lower(x)))
        return self.upper(torch.tanh(self.middle(h)))


@pytest.mark.parametrize("engine", ["auto", "textbook"])
@pytest.mark.parametrize(
    "transform",
    [torch.vmap, lambda part: torch.vmap(torch.func.grad(lambda one: part(one).square().sum()))],
    ids=["vmap", "grad"],
)
def test_what_torch_func_transforms_is_held_and_the_rest_moves(
    transform: Callable[..., Any], engine: str
) -> None:
    torch.manual_seed(0)
    model = OfSingleSamples(transform).double()
    x, y = torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    before, kept = model(x).detach(), model.part[0].weight.detach().clone()

    result = teleport(model, F.cross_entropy, (x, y), lr=0.1, steps=3, engine=engine)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.held["part.0.weight"] == "used in torch.func or torch.vmap"
    assert result.grad_norm_sq[-1] > 1.01 * result.grad_norm_sq[0]
    assert torch.equal(model.part[0].weight, kept)
    assert not torch.equal(model(x), before)
    torch.testing.assert_close(model(x), before, rtol=1e-12, atol=1e-12)


class WithoutSome(nn.Module):
    """A layer without outputs, a parameter without entries, and one that is a single number."""

    def __init__(self) -> None:
        super().__init__()
        self.lower, self.upper, self.none = nn.Linear(5, 20), nn.Linear(20, 3), nn.Linear(5, 0)
        self.empty = nn.Parameter(torch.zeros(0))
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        nothing = self.none(x).sum() + self.empty.sum()
        return self.upper(torch.tanh(self.lower(x))) * self.scale + nothing


@pytest.mark.parametrize("engine", ["auto", "textbook"])
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_parameters_without_entries_are_no_hindrance(engine: str) -> None:
    torch.manual_seed(0)
    model = WithoutSome().double()
    x, y = torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 0])

    result = teleport(model, F.cross_entropy, (x, y), lr=0.1, steps=3, engine=engine)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.grad_norm_sq[-1] > 1.01 * result.grad_norm_sq[0]
