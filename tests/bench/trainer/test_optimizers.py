"""Optimizers by name, and the learning rate at every step."""

import copy

import pytest
import torch
from torch import nn

from bench.trainer.optimizers import lr_factor, optimizer_for, set_lr
from bench.training.settings import OPTIMIZERS, Training


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


def step(net: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(torch.randn(4, 1, 4, 4)), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_moves_everything_and_goes_on_from_its_state(name: str) -> None:
    net = model()
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = optimizer_for(name, net, 0.01)
    step(net, optimizer, 1)
    assert all(not torch.equal(p, b) for p, b in zip(net.parameters(), before, strict=True))

    twin = copy.deepcopy(net)
    taken_up = optimizer_for(name, twin, 0.01)
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
    step(net, optimizer_for("muon", net, 0.01), 1)
    matrices = [p for p in twin.parameters() if p.ndim == 2]
    others = [p for p in twin.parameters() if p.ndim != 2]
    torch.manual_seed(1)
    loss = nn.functional.cross_entropy(twin(torch.randn(4, 1, 4, 4)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    torch.optim.Muon(matrices, lr=0.01).step()
    torch.optim.AdamW(others, lr=0.01).step()

    pairs = zip(net.parameters(), twin.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_rate_rises_and_falls() -> None:
    warm = Training(warmup=4)
    assert [lr_factor(warm, k, 100) for k in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    step_wise = Training(lr_schedule="step")
    assert [lr_factor(step_wise, k, 100) for k in (0, 49, 50, 74, 75)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01]
    )
    cosine = Training(lr_schedule="cosine")
    assert [lr_factor(cosine, k, 100) for k in (0, 50, 100)] == pytest.approx([1, 0.5, 0])
