"""Optimizers by name."""

import copy

import pytest
import torch
from torch import nn

from bench.problems.optimizers import optimizer_for
from bench.trainer.rates import set_lr
from bench.training.settings import OPTIMIZERS


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


def step(net: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(torch.randn(4, 1, 4, 4)), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()


@pytest.mark.parametrize("name", ["rmsprop", *OPTIMIZERS])
def test_every_optimizer_moves_everything_and_goes_on_from_its_state(name: str) -> None:
    net = model()
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = optimizer_for(name, net.parameters(), 0.01)
    step(net, optimizer, 1)
    assert all(not torch.equal(p, b) for p, b in zip(net.parameters(), before, strict=True))

    twin = copy.deepcopy(net)
    taken_up = optimizer_for(name, twin.parameters(), 0.01)
    taken_up.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    set_lr(optimizer, 0.02)
    set_lr(taken_up, 0.02)
    step(net, optimizer, 2)
    step(twin, taken_up, 2)

    pairs = zip(net.parameters(), twin.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_muon_is_torchs_for_matrices_and_adamw_for_all_else() -> None:
    net = model()
    twin = copy.deepcopy(net)
    step(net, optimizer_for("muon", net.parameters(), 0.01), 1)
    matrices = [p for p in twin.parameters() if p.ndim == 2]
    others = [p for p in twin.parameters() if p.ndim != 2]
    torch.manual_seed(1)
    loss = nn.functional.cross_entropy(twin(torch.randn(4, 1, 4, 4)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    torch.optim.Muon(matrices, lr=0.01).step()
    torch.optim.AdamW(others, lr=0.01).step()

    pairs = zip(net.parameters(), twin.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
