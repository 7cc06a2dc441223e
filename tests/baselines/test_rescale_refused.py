"""What rescale cannot follow: refused by name, or held where something else is left to move."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import identical, snapshot
from rescale_nets import NETS, Written
from small_problems import mlp
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import teleport_core
from teleport_core import ModelError, Problem, TeleportResult


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


def between(middle: Callable[[Tensor], Tensor]) -> nn.Module:
    """One hidden layer of ReLU, and a function behind it."""
    return Written(
        lambda self, x: self.last(middle(F.relu(self.first(x)))),
        first=nn.Linear(6, 4), last=nn.Linear(4, 3),
    )  # fmt: skip


def module(middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), middle, nn.Linear(4, 3))


def attention() -> nn.Module:
    def forward(self: Written, x: Tensor) -> Tensor:
        h = x.reshape(-1, 2, 3)
        return self.last(self.attention(h, h, h, need_weights=False)[0]).flatten(1)

    return Written(forward, attention=nn.MultiheadAttention(3, 1), last=nn.Linear(3, 2))


def attention_by_hand() -> nn.Module:
    def forward(self: Written, x: Tensor) -> Tensor:
        q, k, v = self.read(x.reshape(-1, 2, 3)).chunk(3, dim=-1)
        return self.last(F.scaled_dot_product_attention(q, k, v)).flatten(1)

    return Written(forward, read=nn.Linear(3, 9), last=nn.Linear(3, 2))


def frozen() -> nn.Module:
    model = mlp([6, 4, 3])
    model[2].weight.requires_grad_(False)
    return model


def put(h: Tensor) -> Tensor:
    kept = torch.zeros(5, 4).double()
    kept[:, :] = h
    return kept


def put_out(h: Tensor) -> Tensor:
    kept = torch.empty(5, 4).double()
    with torch.no_grad():
        return torch.add(h, h, out=kept)


def put_aside(h: Tensor) -> Tensor:
    kept = torch.zeros(5, 4).double()
    kept[:, :2].copy_(h[:, :2])
    return kept


def transform(x: Tensor) -> Tensor:
    return torch.vmap(torch.relu)(x)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "gelu": (lambda: module(nn.GELU()), r"because of gelu in 1 \(GELU\)"),
    "tanh": (lambda: module(nn.Tanh()), r"tanh in 1 \(Tanh\)"),
    "elu": (lambda: module(nn.ELU()), r"elu in 1 \(ELU\)"),
    "relu6": (lambda: module(nn.ReLU6()), r"hardtanh in 1 \(ReLU6\)|relu6 in 1 \(ReLU6\)"),
    "sigmoid gate": (lambda: between(lambda h: h * h.sigmoid()), r"sigmoid in Written"),
    "softmax": (lambda: between(lambda h: h.softmax(-1)), r"softmax in Written"),
    "layer norm": (lambda: module(nn.LayerNorm(4)), r"layer_norm in 1 \(LayerNorm\)"),
    "group norm": (lambda: module(nn.GroupNorm(2, 4)), r"group_norm in 1 \(GroupNorm\)"),
    "norm without gain": (
        lambda: module(nn.BatchNorm1d(4, affine=False)), r"batch_norm in 1 \(BatchNorm1d\)",
    ),
    "attention": (attention, r"multi_head_attention_forward in attention \(MultiheadAttention\)"),
    "attention by hand": (attention_by_hand, r"scaled_dot_product_attention in Written"),
    "constant": (lambda: between(lambda h: h + 1), r"add in Written"),
    "data": (lambda: between(lambda h: h + torch.ones(4).double()), r"add in Written"),
    "product": (lambda: between(lambda h: h * h), r"mul in Written"),
    "quotient": (lambda: between(lambda h: 1 / (1 + h)), r"add in Written"),
    "floor": (lambda: between(lambda h: torch.div(h, 2, rounding_mode="floor")), "div in Written"),
    "value": (lambda: between(lambda h: h / h.mean().item()), r"item in Written"),
    "comparison": (lambda: between(lambda h: (h > 0.1).double()), r"gt in Written"),
    "whole numbers": (lambda: between(lambda h: h.to(torch.long).double()), "to in Written"),
    "bits": (
        lambda: between(lambda h: h.view(torch.float32).reshape(-1, 2, 4)[:, 0].double()),
        "view in Written",
    ),
    "padding": (lambda: between(lambda h: F.pad(h, (1, 0), value=2.0)[:, 1:]), "pad in Written"),
    "written into": (lambda: between(lambda h: torch.zeros(5, 4).double().copy_(h)), "copy_ in W"),
    "out": (lambda: between(put_out), "add in Written"),
    "put into": (lambda: between(put), "__setitem__ in Written"),
    "put into a view": (lambda: between(put_aside), "by a torch.autograd.Function or"),
    "weight norm": (
        lambda: nn.Sequential(
            parametrizations.weight_norm(nn.Linear(6, 4)), nn.ReLU(),
            parametrizations.weight_norm(nn.Linear(4, 3)),
        ), r"_weight_norm in 0.parametrizations.weight.0 \(_WeightNorm\)",
    ),
    "frozen": (frozen, r"linear in 2 \(Linear\)"),
    "two kinds": (
        lambda: Written(
            lambda self, x: F.conv1d(self.one(x)[:, :, None], self.one.weight[:, :, None])[..., 0],
            one=nn.Linear(6, 6),
        ), r"__getitem__ in Written",
    ),
    "function": (lambda: between(Twice.apply), r"Function or a backward hook in last \(Linear\)"),
    "transform": (lambda: between(transform), r"by torch.func or torch.vmap in Written"),
}  # fmt: skip


def problem_of(model: nn.Module, loss: Any = None) -> Problem:
    inputs = torch.randn(5, 6, generator=torch.Generator().manual_seed(1)).double()
    return Problem(model.double(), loss or (lambda out, _: out.square().mean()), inputs, None)


def rescale(problem: Problem, **options: Any) -> TeleportResult:
    batch = (problem.inputs, None)
    return teleport_core.teleport(
        problem.model, problem.loss_fn, batch, method="rescale", **options
    )


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_in_the_way_is_named_and_nothing_moves(name: str) -> None:
    build, text = REFUSED[name]
    torch.manual_seed(0)
    problem = problem_of(build())
    before = snapshot(problem)

    with pytest.raises(ModelError, match=text):
        rescale(problem, lr=1.0)

    assert identical(problem, before)


def test_of_many_obstacles_the_first_are_named() -> None:
    model = nn.Sequential(*[layer for _ in range(5) for layer in (nn.Linear(6, 6), nn.Tanh())])

    with pytest.raises(ModelError, match=r"tanh in 5 \(Tanh\) and 2 more: use method='nullspace'"):
        rescale(problem_of(model))


def test_a_loss_that_reads_weights_leaves_them_no_scale() -> None:
    model = mlp([6, 4, 3])

    def decayed(output: Tensor, targets: Any) -> Tensor:
        return output.square().mean() + sum(p.square().sum() for p in model.parameters())

    with pytest.raises(ModelError, match="because of square in loss_fn"):
        rescale(problem_of(model, decayed))


def test_a_loss_that_reads_one_weight_holds_that() -> None:
    model = mlp([6, 5, 4, 3])

    def decayed(output: Tensor, targets: Any) -> Tensor:
        return output.square().mean() + model[4].weight.square().sum()

    result = rescale(problem_of(model, decayed), policy="random")

    assert len(result.log_tau) == 5
    assert result.held["4.weight"] == "used in square in loss_fn"
    assert result.held["2.bias"] == "4.weight is used in square in loss_fn"
    assert result.loss[-1] == pytest.approx(result.loss[0], rel=1e-12)


def test_what_is_not_in_the_way_moves_and_the_rest_says_why() -> None:
    net = NETS["partly"]
    result = rescale(Problem(net.model(), lambda out, _: out.mean(), net.inputs(6), None))

    assert set(result.held) == {
        "0.weight", "0.bias", "4.bias", "5.weight", "5.bias", "6.weight", "6.bias"
    }  # fmt: skip
    assert result.held["0.weight"] == "its units come to tanh in 1 (Tanh)"
    assert result.held["4.bias"] == "its units come to layer_norm in 5 (LayerNorm)"
    assert result.held["5.weight"] == "used in layer_norm in 5 (LayerNorm)"


def test_a_frozen_bias_holds_its_units_alone() -> None:
    model = mlp([6, 5, 4, 3])
    model[2].bias.requires_grad_(False)
    problem = problem_of(model)
    before = model(problem.inputs).detach()

    result = rescale(problem, policy="random")

    assert len(result.log_tau) == 5
    assert torch.allclose(model(problem.inputs), before, rtol=1e-12, atol=1e-14)


def test_a_table_that_is_the_head_too_stays() -> None:
    def forward(self: Written, tokens: Tensor) -> Tensor:
        return F.linear(torch.relu(self.layer(self.table(tokens))), self.table.weight)

    model = Written(forward, table=nn.Embedding(7, 4), layer=nn.Linear(4, 4)).double()
    problem = Problem(model, lambda out, _: out.square().mean(), torch.arange(7), None)
    before = snapshot(problem)

    with pytest.raises(ModelError, match=r"embedding in table \(Embedding\)"):
        rescale(problem)

    assert identical(problem, before)
