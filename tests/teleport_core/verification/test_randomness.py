"""A draw that reaches the outputs or the loss is found, however seldom it changes them."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import Guarantee, ModelError
from teleport_core.forward.generators import Generators


class Draws(nn.Module):
    """``draw`` makes a factor of a branch."""

    def __init__(self, draw: Callable[["Draws", Tensor], Tensor | float]) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 30), nn.Linear(30, 30), nn.Linear(30, 3)
        self.draw = draw
        self.own = torch.Generator().manual_seed(0)
        self.dice = random.Random(0)
        self.numpys = np.random.default_rng(0)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        return self.c(h + self.draw(self, x) * self.b(h))


def column(x: Tensor) -> Tensor:
    return torch.empty(len(x), 1)


def drawn_once(model: Draws, x: Tensor) -> Tensor:
    if not hasattr(model, "kept"):
        model.kept = torch.rand(len(x), 1)
    return model.kept


# Each of these makes a difference once in a thousand calls at the most.
SELDOM: dict[str, Callable[[Draws, Tensor], Tensor | float]] = {
    "bernoulli": lambda _, x: torch.bernoulli(column(x).fill_(1 - 1e-6)),
    "bernoulli_": lambda _, x: column(x).bernoulli_(1 - 1e-6),
    "rand": lambda _, x: (torch.rand(len(x), 1) > 1e-6).float(),
    "uniform_": lambda _, x: (column(x).uniform_(-1, 1) > 1e-6 - 1).float(),
    "randn": lambda _, x: (torch.randn(len(x), 1) < 20).float(),
    "randint": lambda _, x: (torch.randint(10**6, (len(x), 1)) > 0).float(),
    "dropout": lambda _, x: F.dropout(torch.ones(len(x), 1), 1e-6),
    "own": lambda m, x: (torch.rand(len(x), 1, generator=m.own) > 1e-6).float(),
    "random": lambda *_: float(random.random() > 1e-6),
    "dice": lambda m, _: float(m.dice.random() > 1e-6),
    "numpy": lambda *_: float(np.random.rand() > 1e-6),
    "numpys": lambda m, _: float(m.numpys.random() > 1e-6),
}
# Layer drop as transformers write it, in eval mode; noise of size nought; the same every time.
NEVER: dict[str, Callable[[Draws, Tensor], Tensor | float]] = {
    "layer drop": lambda m, _: float(not (m.training and torch.rand([]) < 0.5)),
    "rate 0": lambda _, x: (torch.rand(len(x), 1) >= 0).float(),
    "no noise": lambda _, x: 1 + 0 * torch.randn(len(x), 1),
    "seeded": lambda _, x: torch.rand(len(x), 1, generator=torch.manual_seed(7)),
    "drawn once": drawn_once,
}


def net(draw: Callable[[Draws, Tensor], Tensor | float]) -> tuple[Draws, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    return Draws(draw), (torch.randn(4, 6), torch.tensor([0, 1, 2, 0]))


@pytest.mark.parametrize("name", list(SELDOM))
def test_a_rare_draw_is_refused_by_the_name_of_what_it_was_drawn_from(name: str) -> None:
    model, batch = net(SELDOM[name])
    generators = Generators([model], [])
    from_torch = name not in ("own", "random", "dice", "numpy", "numpys")
    drawn = "torch's generator" if from_torch else {"numpy": r"numpy\.random"}.get(name, name)

    with pytest.raises(ModelError, match=f"without randomness; .* draws from {drawn}:"):
        teleport_core.teleport(model, F.cross_entropy, batch)

    assert not generators.moved()


@pytest.mark.parametrize("name", list(NEVER))
def test_a_draw_that_reaches_nothing_is_welcome(name: str) -> None:
    model, batch = net(NEVER[name])
    model.eval()
    generators = Generators([model], [])

    result = teleport_core.teleport(model, F.cross_entropy, batch, steps=2, lr=1e-3)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert not generators.moved()


def test_layer_drop_in_train_mode_is_refused() -> None:
    model, batch = net(NEVER["layer drop"])

    with pytest.raises(ModelError, match="without randomness"):
        teleport_core.teleport(model, F.cross_entropy, batch)


def test_a_loss_that_draws_is_refused() -> None:
    model, batch = net(lambda *_: 1.0)

    with pytest.raises(ModelError, match="without randomness"):
        teleport_core.teleport(
            model, lambda o, t: F.cross_entropy(o * (torch.rand([]) > 1e-6), t), batch
        )
