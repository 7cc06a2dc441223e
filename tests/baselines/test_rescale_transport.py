"""An optimizer's state taken along a rescaling, by real optimizers and the schedule."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from rescale_nets import NETS
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adagrad, Adam, Optimizer

from teleport_core import Schedule

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "momentum": partial(SGD, lr=0.05, momentum=0.9),
    "adam": partial(Adam, lr=1e-3, amsgrad=True),
    "adagrad": partial(Adagrad, lr=1e-2),
}


def batches_of(net: Any) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(3)
    return [(net.inputs(6, seed=k), torch.randint(0, 3, (6,), generator=draw)) for k in range(4)]


def step(model: nn.Module, optimizer: Optimizer, batch: tuple[Tensor, Tensor]) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()


@pytest.mark.parametrize("rule", ["transport", "keep"])
@pytest.mark.parametrize("policy", ["ascent", "random"])
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_the_state_is_that_of_a_run_at_the_rescaled_point(
    name: str, policy: str, rule: str
) -> None:
    """Gradients seen before are divided by s, as if all of them had been taken here."""
    net = NETS["resnet"]
    model, batches = net.model(), batches_of(net)
    optimizer = OPTIMIZERS[name](model.parameters())
    for batch in batches[:2]:
        step(model, optimizer, batch)
    before = copy.deepcopy((dict(model.named_parameters()), optimizer.state_dict()["state"]))
    schedule = Schedule(
        "rescale", batches=2, optimizer_state=rule, policy=policy, lr=1.0, bound=0.6
    )

    results = schedule.before_epoch(0, model, F.cross_entropy, batches, optimizer)

    assert len(results) == 2
    total = results[0].log_tau, results[1].log_tau
    assert all(max(map(abs, each)) > 1e-2 for each in total)
    moved = optimizer.state_dict()["state"]
    for k, (key, parameter) in enumerate(model.named_parameters()):
        s = parameter.detach() / before[0][key].detach()
        for entry, power in (
            ("momentum_buffer", 1), ("exp_avg", 1), ("exp_avg_sq", 2), ("max_exp_avg_sq", 2),
            ("sum", 2),
        ):  # fmt: skip
            if entry in moved[k]:
                there = before[1][k][entry] / s**power
                close = torch.allclose(moved[k][entry], there, rtol=1e-9, atol=1e-18)
                assert close == (rule == "transport" or bool((s == 1).all()))


def test_momentum_goes_on_as_if_it_had_been_there_all_along() -> None:
    """Of a quadratic loss in one weight pair: the buffer is the sum of gradients at this point."""
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).double()
    inputs = torch.rand(5, 2, dtype=torch.float64)
    optimizer = SGD(model.parameters(), lr=0.0, momentum=0.9)  # so that the point stays
    loss_fn = lambda output, targets: (output - targets).square().mean()  # noqa: E731
    batch = (inputs, torch.ones(5, 1, dtype=torch.float64))

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss_fn(model(batch[0]), batch[1]).backward()
            optimizer.step()

    run(3)
    schedule = Schedule("rescale", batches=1, optimizer_state="transport", policy="random")
    (result,) = schedule.before_epoch(0, model, loss_fn, [batch], optimizer)

    assert result.steps_done == 8
    buffers = [optimizer.state[p]["momentum_buffer"].clone() for p in model.parameters()]
    optimizer.state.clear()
    run(3)
    for p, buffer in zip(model.parameters(), buffers, strict=True):
        torch.testing.assert_close(
            buffer, optimizer.state[p]["momentum_buffer"], rtol=1e-12, atol=0
        )


def test_a_guard_takes_weights_and_state_back_together() -> None:
    net = NETS["mlp"]
    model, batches = net.model(), batches_of(net)
    optimizer = OPTIMIZERS["adam"](model.parameters())
    step(model, optimizer, batches[0])
    before = repr((model.state_dict(), optimizer.state_dict()))
    schedule = Schedule(
        "rescale", batches=1, optimizer_state="transport", guard="lookahead", policy="random",
        bound=0.99,
    )  # fmt: skip

    results = schedule.before_epoch(0, model, F.cross_entropy, batches, optimizer)

    assert results.lookahead is not None
    assert (repr((model.state_dict(), optimizer.state_dict())) == before) != results.kept
