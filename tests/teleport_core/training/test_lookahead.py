"""The guard: one step from both points decides, and leaves no trace."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from loops import bits, data, net, step
from torch import nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, Adagrad, Adam, Optimizer, RMSprop
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader

from teleport_core import Schedule, Teleports
from teleport_core.training import Lookahead

OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "small SGD": partial(SGD, lr=0.05),
    "huge SGD": partial(SGD, lr=3.0),
    "momentum": partial(SGD, lr=0.1, momentum=0.9),
    "adam": partial(Adam, lr=1e-3),
    "fused adam": partial(Adam, lr=1e-3, fused=True),
    "rmsprop": partial(RMSprop, lr=1e-2),
    "adagrad": partial(Adagrad, lr=1e-2),
    "lbfgs": partial(LBFGS, lr=0.1),
}
MOVES = {"batches": 2, "lr": 1e-2, "steps": 4}


def started(kind: Callable[[Any], Optimizer]) -> tuple[nn.Module, Optimizer, list[Any]]:
    batches = [tuple(batch) for batch in DataLoader(data(), 8)]
    model = net()
    optimizer = kind(model.parameters())
    if not isinstance(optimizer, LBFGS):
        step(model, batches[4], optimizer)
    return model, optimizer, batches


def by_hand(model: nn.Module, optimizer: Optimizer, batch: Any) -> float:
    """One step on copies; of the pair, so that the copied optimizer holds the copied weights."""
    model, optimizer = copy.deepcopy((model, optimizer))
    model[3].eval()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        return loss

    optimizer.step(closure)
    return F.cross_entropy(model(batch[0]), batch[1]).item()


def guarded(model: nn.Module, optimizer: Optimizer, loader: Any, **options: Any) -> Teleports:
    schedule = Schedule(guard="lookahead", **{**MOVES, **options})
    return schedule.before_epoch(0, model, F.cross_entropy, loader, optimizer)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "lbfgs"])
@pytest.mark.parametrize("rule", ["keep", "reset"])
def test_it_is_a_step_from_both_points_on_the_next_batch(name: str, rule: str) -> None:
    model, optimizer, batches = started(OPTIMIZERS[name])
    twin, its_optimizer, _ = started(OPTIMIZERS[name])
    stayed = by_hand(twin, its_optimizer, batches[2])
    Schedule(**MOVES, optimizer_state=rule).before_epoch(
        0, twin, F.cross_entropy, batches, its_optimizer
    )
    moved = by_hand(twin, its_optimizer, batches[2])
    before = bits(model, optimizer)

    results = guarded(model, optimizer, batches, optimizer_state=rule)

    assert results.lookahead == pytest.approx((stayed, moved), rel=1e-12)
    assert abs(stayed - moved) > 1e-6
    assert results.kept == (moved <= stayed)
    assert len(results) == 2
    assert bits(model, optimizer) == (bits(twin, its_optimizer) if results.kept else before)


def test_the_small_step_keeps_the_move_and_the_huge_one_does_not() -> None:
    """On the very batch it was made for, a larger gradient helps until the step is too long."""
    kept = {}
    for name in ("small SGD", "huge SGD"):
        model, optimizer, batches = started(OPTIMIZERS[name])
        kept[name] = guarded(model, optimizer, batches[:1], lr=0.1, steps=8).kept

    assert kept == {"small SGD": True, "huge SGD": False}


@pytest.mark.parametrize("name", ["small SGD", "huge SGD"])
def test_schedules_hooks_and_other_models_are_not_touched(name: str) -> None:
    model, _, batches = started(OPTIMIZERS[name])
    other = nn.Linear(2, 2)
    other(torch.ones(2)).sum().backward()
    optimizer = OPTIMIZERS[name]([*model.parameters(), *other.parameters()])
    StepLR(optimizer, 5)
    calls: list[Any] = []
    optimizer.register_step_post_hook(lambda *_: calls.append("hook"))
    attributes = {k: v for k, v in vars(optimizer).items() if k != "state"}
    foreign, gradients = bits(other), [p.grad for p in model.parameters()]
    groups = [dict(group) for group in optimizer.param_groups]

    guarded(model, optimizer, batches)

    assert calls == []
    assert {k: v for k, v in vars(optimizer).items() if k != "state"} == attributes
    assert [repr(g) for g in optimizer.param_groups] == [repr(g) for g in groups]
    assert bits(other) == foreign
    assert all(a is p.grad for a, p in zip(gradients, model.parameters(), strict=True))
    assert all(module.training for module in model.modules())


class Counting(SGD):
    """Notes its steps in what its groups hold."""

    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["seen"].append(1)
        return super().step(closure)


def test_what_a_group_holds_is_copied() -> None:
    model, _, batches = started(OPTIMIZERS["small SGD"])
    optimizer = Counting([{"params": list(model.parameters()), "seen": []}], lr=0.1)

    guarded(model, optimizer, batches)

    assert optimizer.param_groups[0]["seen"] == []


def test_an_optimizer_that_evaluates_again_and_again_looks_ahead_too() -> None:
    model, optimizer, batches = started(OPTIMIZERS["lbfgs"])

    results = guarded(model, optimizer, batches)

    assert results.lookahead.moved < results[-1].loss[-1]
    assert optimizer.state_dict()["state"] == {}


def test_a_loss_that_is_no_number_is_no_reason_to_move() -> None:
    nan = float("nan")

    assert Lookahead(1.0, 1.0).not_worse
    assert not Lookahead(1.0, 1.1).not_worse
    assert not Lookahead(1.0, nan).not_worse
    assert not Lookahead(nan, nan).not_worse


def test_after_the_last_batch_of_a_short_loader_comes_its_first() -> None:
    model, optimizer, batches = started(OPTIMIZERS["small SGD"])
    twin, its_optimizer, _ = started(OPTIMIZERS["small SGD"])

    results = guarded(model, optimizer, batches[:2], batches=7)

    assert len(results) == 2
    stayed = by_hand(twin, its_optimizer, batches[0])
    assert results.lookahead.stayed == pytest.approx(stayed, rel=1e-12)


def test_an_error_in_the_guard_moves_nothing() -> None:
    model, optimizer, batches = started(OPTIMIZERS["adam"])
    before = bits(model, optimizer)
    batches[2] = (batches[2][0], batches[2][1] + 9)

    with pytest.raises(IndexError):
        guarded(model, optimizer, batches, optimizer_state="reset")

    assert bits(model, optimizer) == before


@pytest.mark.parametrize("kept", [True, False])
def test_buffers_that_moved_with_the_weights_go_back_with_them(
    *, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch norm in eval mode, whose running statistics ``gauge`` moves along."""
    monkeypatch.setattr(Lookahead, "not_worse", property(lambda _: kept))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 4))
    model = model.double().eval()
    batches = [(torch.randn(8, 6, dtype=torch.float64), torch.arange(8) % 4)]
    before = copy.deepcopy(model)

    results = Schedule("gauge", guard="lookahead", batches=1, lr=1e3).before_epoch(
        0, model, F.cross_entropy, batches, SGD(model.parameters(), lr=0.1)
    )

    assert results[0].steps_done == 8
    assert torch.equal(model[1].running_var, before[1].running_var) is not kept
    assert (bits(model) == bits(before)) is not kept
    assert results.lookahead is not None
    stayed = by_hand_once(before, batches[0])
    assert results.lookahead.stayed == pytest.approx(stayed, rel=1e-12)
    if kept:
        moved = by_hand_once(model, batches[0])
        assert results.lookahead.moved == pytest.approx(moved, rel=1e-12)


def by_hand_once(model: nn.Module, batch: Any) -> float:
    model = copy.deepcopy(model)
    optimizer = SGD(model.parameters(), lr=0.1)
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()
    return F.cross_entropy(model(batch[0]), batch[1]).item()
