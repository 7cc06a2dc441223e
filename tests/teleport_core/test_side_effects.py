"""Whatever the outcome of a call, nothing but values of parameters is other than before."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import TeleportError
from teleport_core.forward.generators import Generators
from teleport_core.forward.substitution import slots_of


class Net(nn.Module):
    """A body under two names, which writes into its input."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.again = body, body
        self.fails: type[BaseException] | None = None

    def forward(self, x: Tensor) -> Tensor:
        out = self.again(x.mul_(1.0))
        if self.fails is not None:
            raise self.fails
        return out


class Counting(nn.Module):
    """A loss with a buffer that changes in forward, and writes into its targets."""

    def __init__(self, fails: type[BaseException] | None = None) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.fails = fails

    def forward(self, output: Tensor, targets: Tensor) -> Tensor:
        self.calls += 1
        if self.fails is not None:
            raise self.fails
        return F.cross_entropy(output, targets.clamp_(min=0))


def deep() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 24), nn.BatchNorm1d(24), nn.Tanh(), nn.Linear(24, 24),
        nn.BatchNorm1d(24).eval(), nn.Tanh(), nn.Linear(24, 3),
    )  # fmt: skip


def stack() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 3)
    )


class Case:
    """A call: the net, what makes it fail, and what comes of it."""

    def __init__(
        self,
        raises: type[BaseException] | None = None,
        body: Callable[[], nn.Module] = deep,
        change: Callable[[Net], nn.Module] = lambda net: net,
        loss_fn: Callable[[], Any] = Counting,
        label: int = 1,
        **options: Any,
    ) -> None:
        self.raises, self.body, self.change, self.loss_fn = raises, body, change, loss_fn
        self.label, self.options = label, {"steps": 2, "lr": 1e-3, **options}


def bare(net: Net) -> nn.Module:
    return net.body


def fails(error: type[BaseException]) -> Callable[[Net], nn.Module]:
    def change(net: Net) -> nn.Module:
        net.fails = error
        return net

    return change


CASES = {
    "traced": Case(),
    "textbook": Case(engine="textbook"),
    "max_drift": Case(max_drift=1e-2),
    "chosen tau": Case(tau=0.9),
    "half_hvp": Case(body=stack, change=bare),
    "symmetry": Case(body=stack, change=bare, method="symmetry"),
    "level_set": Case(method="level_set"),
    "identity": Case(method="identity"),
    "labels": Case(TeleportError, label=9),
    "no stack": Case(TeleportError, method="symmetry"),
    "frozen": Case(TeleportError, change=lambda net: net.requires_grad_(False)),
    "nothing to see": Case(TeleportError, loss_fn=lambda: lambda o, _: o.detach().sum()),
    "random": Case(
        TeleportError, loss_fn=lambda: lambda o, t: F.cross_entropy(F.dropout(o), t % 3)
    ),
    "error in forward": Case(TeleportError, change=fails(RuntimeError)),
    "interrupt in forward": Case(KeyboardInterrupt, change=fails(KeyboardInterrupt)),
    "error in loss": Case(TeleportError, loss_fn=lambda: Counting(RuntimeError)),
    "interrupt in loss": Case(KeyboardInterrupt, loss_fn=lambda: Counting(KeyboardInterrupt)),
}


def bits(tensor: Tensor) -> bytes:
    return tensor.detach().numpy().tobytes()


def belongings(modules: list[nn.Module], batch: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Everything that is to be the same after any outcome."""
    parts = [part for module in modules for part in module.modules()]
    parameters = [p for module in modules for p in module.parameters()]
    pairs = [pair for module in modules for pair in slots_of(module)]
    return {
        "places": [(n, id(v)) for pair in pairs for s in pair for n, v in s.items()],
        "buffers": [bits(b) for module in modules for b in module.buffers()],
        "grad": [None if p.grad is None else (id(p.grad), bits(p.grad)) for p in parameters],
        "requires_grad": [p.requires_grad for p in parameters],
        "leaves": [(p.is_leaf, p.data_ptr(), dict(p._backward_hooks or {})) for p in parameters],
        "modes": [part.training for part in parts],
        "hooks": [
            [dict(getattr(part, name)) for name in vars(part) if name.endswith("_hooks")]
            for part in parts
        ],
        "attributes": [sorted(vars(part)) for part in parts],
        "batch": [(bits(t), t.requires_grad, t.data_ptr()) for t in batch],
        "modes of torch": (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()),
    }


@pytest.mark.parametrize("name", list(CASES))
def test_nothing_but_values_of_parameters_changes(name: str) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    net = Net(case.body())
    net.register_buffer("table", torch.ones(3))
    model = case.change(net)
    first, *_ = parameters = list(model.parameters())
    first.grad = torch.ones_like(first)
    if model is net:  # the symmetry method moves every layer
        parameters[-1].requires_grad_(False)
    if first.requires_grad:
        first.register_hook(lambda gradient: gradient * 2)
    loss_fn = case.loss_fn()
    modules = [one for one in (model, loss_fn) if isinstance(one, nn.Module)]
    batch = (torch.randn(4, 6), torch.tensor([0, -1, 2, case.label]))
    before, values = belongings(modules, batch), [bits(p) for p in parameters]
    generators = Generators(modules, [])

    if case.raises is None:
        result = teleport_core.teleport(model, loss_fn, batch, **case.options)
        assert result.steps_done == 2
    else:
        with pytest.raises(case.raises):
            teleport_core.teleport(model, loss_fn, batch, **case.options)

    after = belongings(modules, batch)
    for what, value in before.items():
        assert after[what] == value, what
    assert not generators.moved()
    assert (values != [bits(p) for p in parameters]) == (case.raises is None and name != "identity")


def test_the_comparison_can_fail() -> None:
    """A pass that is not put back shows."""
    net = Net(deep())
    batch = (torch.randn(4, 6), torch.tensor([0, 1, 2, 1]))
    before = belongings([net], batch)

    net(batch[0] + 0)

    assert {what for what, value in belongings([net], batch).items() if value != before[what]} == {
        "buffers"
    }
