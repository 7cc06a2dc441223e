"""An advice leaves everything as it was, and refuses what a teleport refuses."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from loops import bits, data, loader, net
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from teleport_core import ModelError, OptionError, ProblemError, advise


def drawn() -> tuple[Any, ...]:
    return (torch.rand(1).item(), random.random(), np.random.rand())


def seeded() -> None:
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)


def test_model_generators_and_loader_are_as_before() -> None:
    ends = []
    for ask in (False, True):
        seeded()
        model, batches = net(), loader(generator=torch.Generator().manual_seed(5))
        model(data().tensors[0]).sum().backward()
        seen, modes = [], [module.training for module in model.modules()]
        for place, (x, _) in enumerate(batches):
            if ask and place in (0, 2):
                advise(model, F.cross_entropy, batches)
            seen.append(x.sum().item())
        seen += [x.sum().item() for x, _ in batches]
        gradients = [p.grad.sum().item() for p in model.parameters() if p.grad is not None]
        assert [module.training for module in model.modules()] == modes
        ends.append((bits(model), seen, gradients, drawn()))

    assert ends[0] == ends[1]
    assert len(ends[0][2]) == len(list(net().parameters()))


def test_a_forward_pass_that_accumulates_adds_to_no_gradient() -> None:
    class Accumulates(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.side = net().eval(), nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            with torch.enable_grad():
                self.side.sum().backward()
            return self.body(x)

    model = Accumulates()
    model.side.grad = torch.tensor([5.0])

    advise(model, F.cross_entropy, loader())

    assert model.side.grad.item() == 5.0


def test_dropout_is_off_and_batch_norm_on() -> None:
    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append([model[1].training, model[3].training])
            return x

    seen: list[list[bool]] = []
    model = nn.Sequential(*net(), Watched())

    advise(model, F.cross_entropy, loader())

    assert seen[-1] == [True, False]
    assert model[3].training


def test_targets_that_the_loss_overwrites_are_copies() -> None:
    def loss_fn(output: Tensor, targets: Tensor) -> Tensor:
        loss = F.cross_entropy(output, targets.clone())
        targets.clamp_(max=0)
        return loss

    x, y = data().tensors
    before = y.clone()

    advise(net(), loss_fn, (x, y))

    assert before.max() > 0
    assert torch.equal(y, before)


def test_after_a_refusal_everything_is_as_before_too() -> None:
    seeded()
    model, batches = net(), loader()
    before, state = bits(model), torch.get_rng_state()

    with pytest.raises(ProblemError, match="finite"):
        advise(model, lambda out, _: out.sum() * torch.nan, batches)

    assert bits(model) == before
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"batches": 0}, OptionError, "expected batches to be a whole number >= 1; got 0"),
        ({"loader": iter([])}, OptionError, "expected loader to be a DataLoader or a list"),
        ({"loader": 5}, OptionError, "expected loader to be a DataLoader or a list"),
        ({"loader": []}, ProblemError, "at least one batch"),
        ({"model": "resnet"}, ModelError, "expected model to be a torch.nn.Module; got str"),
        ({"model": nn.Tanh()}, ModelError, "at least one parameter"),
        ({"model": nn.LazyLinear(3)}, ModelError, "expected parameters with values"),
        ({"loss_fn": lambda out, _: out}, ProblemError, "scalar"),
    ],
)
def test_refusals(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"model": net(), "loss_fn": F.cross_entropy, "loader": loader(), **changed}

    with pytest.raises(error, match=message):
        advise(**given)


def test_one_batch_as_a_loader_yields_it() -> None:
    batches = DataLoader(data(), 8)

    found = advise(net(), F.cross_entropy, next(iter(batches)))

    assert found.sizes[-1] == found.own_size == 8
    assert found.layers == advise(net(), F.cross_entropy, batches, batches=1).layers


def test_two_batches_are_no_pair() -> None:
    two = list(DataLoader(data(16), 8))

    assert advise(net(), F.cross_entropy, two).sizes == (2, 4, 8, 16)
