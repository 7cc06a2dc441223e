"""Dropout of every kind is off for the call; nothing else is."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import Problem
from teleport_core.training.dropout import without_dropout


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.LSTM(6, 12, num_layers=2, dropout=0.5, batch_first=True)
        self.out = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.inner(x[:, None])[0][:, -1])


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.TransformerEncoderLayer(6, 2, 24, dropout=0.3, batch_first=True)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.inner(x[:, None])[:, 0])


class Functional(nn.Module):
    """Dropout by a function, and a whole layer that is dropped at times."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Linear(6, 24), nn.BatchNorm1d(24)
        self.b, self.out = nn.Linear(24, 24), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.dropout(torch.tanh(self.norm(self.a(x))), 0.3, self.training)
        if not self.training or torch.rand(()) < 0.7:
            h = h + torch.tanh(self.b(h))
        return self.out(h)


class Holding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Functional()
        self.after = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.body(x))


def stack() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 24), nn.BatchNorm1d(24), nn.Tanh(), nn.Dropout(0.5),
        nn.Linear(24, 24), nn.AlphaDropout(0.2), nn.Tanh(), nn.Linear(24, 3),
    )  # fmt: skip


def problem(build: Callable[[], nn.Module]) -> Problem:
    torch.manual_seed(0)
    model = build().double()
    return Problem(model, F.cross_entropy, torch.randn(5, 6).double(), torch.arange(5) % 3)


MODELS = [stack, Recurrent, Attending, Functional, Holding]


def modes(model: nn.Module) -> list[Any]:
    return [(m.training, getattr(m, "dropout", None)) for m in model.modules()]


@pytest.mark.parametrize("build", MODELS)
def test_the_model_draws_nothing_and_is_put_back(build: Callable[[], nn.Module]) -> None:
    found = problem(build)
    before, state = modes(found.model), found.model.state_dict()
    weights = {key: value.clone() for key, value in state.items()}
    drawn = torch.get_rng_state()
    assert found.loss() != found.loss()
    torch.set_rng_state(drawn)

    with without_dropout(found):
        assert found.loss() == found.loss()
        assert all(m.training for m in found.model.modules() if isinstance(m, nn.BatchNorm1d))

    assert modes(found.model) == before
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, weights[key]) for key, value in state.items())


def test_only_the_module_that_draws_is_switched() -> None:
    found = problem(Holding)

    with without_dropout(found):
        assert [n for n, m in found.model.named_modules() if not m.training] == ["body"]


@pytest.mark.parametrize("build", [Recurrent, Attending])
def test_layers_that_drop_inside_stay_in_training_mode(build: Callable[[], nn.Module]) -> None:
    """cuDNN computes no gradient of a recurrent layer in eval mode."""
    found = problem(build)

    with without_dropout(found):
        inside = [m for m in found.model.modules() if hasattr(m, "dropout")]
        dropped = [m.dropout for m in inside if isinstance(m, (nn.LSTM, nn.MultiheadAttention))]
        assert found.model.inner.training
        assert dropped == [0.0]


def test_a_model_in_eval_mode_stays_so_and_is_put_back_after_an_error() -> None:
    found = problem(stack)
    found.model[3].eval()
    before = modes(found.model)

    with pytest.raises(KeyError), without_dropout(found):
        raise KeyError

    assert modes(found.model) == before


def test_what_draws_in_eval_mode_too_is_left_to_the_refusal() -> None:
    class Noisy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.randn(3)

    found = problem(lambda: Noisy(6, 3))
    batch = [(found.inputs, found.targets)]
    optimizer = torch.optim.SGD(found.model.parameters(), lr=0.1)

    with pytest.raises(teleport_core.ModelError, match="without randomness"):
        teleport_core.Schedule().before_epoch(0, found.model, F.cross_entropy, batch, optimizer)

    assert found.model.training


@pytest.mark.parametrize("build", MODELS)
def test_such_a_model_teleports(build: Callable[[], nn.Module]) -> None:
    found = problem(build)
    optimizer = torch.optim.SGD(found.model.parameters(), lr=0.1)
    schedule = teleport_core.Schedule(lr=1e-3, steps=2)
    batch = [(found.inputs, found.targets)]

    (result,) = schedule.before_epoch(0, found.model, F.cross_entropy, batch, optimizer)

    assert result.steps_done == 2
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
    assert result.output_change < 1e-10
