"""Models that are refused, and neighbours that are not."""

import warnings
from collections.abc import Callable

import pytest
import torch
from oracles import identical, snapshot
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Guarantee, ModelError, Problem, Status, teleport


class Sequence(nn.Module):
    """A layer over tokens between two linear ones."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.enter, self.inner, self.leave = nn.Linear(3, 8), inner, nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.enter(x))
        if isinstance(self.inner, nn.RNNBase):
            output = self.inner(h)[0]
        elif isinstance(self.inner, nn.MultiheadAttention):
            output = self.inner(h, h, h)[0].repeat(1, 1, 3)
        else:
            output = self.inner(h)
        left: Tensor = self.leave(output[:, -1])
        return left


def recurrent(kind: type[nn.RNNBase], layers: int, *, both_ways: bool = False) -> nn.Module:
    width = 12 if both_ways else 24
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says itself that nothing is dropped
        return kind(8, width, layers, dropout=0.2, batch_first=True, bidirectional=both_ways)


def widened(dropout: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 24), nn.Tanh(), dropout)


NEVER: dict[str, Callable[[], nn.Module]] = {
    "gru": lambda: recurrent(nn.GRU, 1),
    "lstm": lambda: recurrent(nn.LSTM, 1),
    "rnn": lambda: recurrent(nn.RNN, 1),
    "gru both ways": lambda: recurrent(nn.GRU, 1, both_ways=True),
    "attention": lambda: nn.MultiheadAttention(8, 2, dropout=0.0, batch_first=True),
    "attention in eval mode": lambda: nn.MultiheadAttention(
        8, 2, dropout=0.2, batch_first=True
    ).eval(),
    "two layers in eval mode": lambda: recurrent(nn.LSTM, 2).eval(),
    "dropout in eval mode": lambda: widened(nn.Dropout(0.2).eval()),
    "dropout of nothing": lambda: widened(nn.Dropout(0.0)),
}

DROPS: dict[str, Callable[[], nn.Module]] = {
    "gru": lambda: recurrent(nn.GRU, 2),
    "lstm both ways": lambda: recurrent(nn.LSTM, 2, both_ways=True),
    "attention": lambda: nn.MultiheadAttention(8, 2, dropout=0.2, batch_first=True),
    "dropout": lambda: nn.Sequential(nn.Linear(8, 24), nn.Dropout(0.2)),
}


def made(inner: Callable[[], nn.Module]) -> Problem:
    torch.manual_seed(0)
    layer = inner()
    modes = [module.training for module in layer.modules()]
    model = Sequence(layer).double().train()
    for module, training in zip(layer.modules(), modes, strict=True):
        module.training = training
    inputs = torch.randn(2, 3, 3, dtype=torch.float64)
    return Problem(model, F.cross_entropy, inputs, torch.tensor([0, 1]))


@pytest.mark.parametrize("name", list(NEVER))
def test_what_never_drops_is_moved(name: str) -> None:
    problem = made(NEVER[name])

    result = teleport(
        problem.model, problem.loss_fn, (problem.inputs, problem.targets), lr=0.1, steps=2
    )

    assert (result.status, result.guarantee) == (Status.DONE, Guarantee.EXACT_ON_BATCH)
    assert result.output_change < 1e-12
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]


@pytest.mark.parametrize("name", list(DROPS))
def test_what_drops_is_refused(name: str) -> None:
    problem = made(DROPS[name])
    before = snapshot(problem)

    with pytest.raises(ModelError, match=r"inner.* drops with p=0.2 in train mode"):
        teleport(problem.model, problem.loss_fn, (problem.inputs, problem.targets))

    assert identical(problem, before)
