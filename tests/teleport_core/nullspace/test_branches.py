"""Branches that the loss does not read and layers that get no sample stay; the rest moves."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import output_change, snapshot
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Guarantee, Problem, Status, teleport

ENGINES: list[dict[str, Any]] = [{}, {"engine": "textbook"}, {"tau": 0.999}, {"max_drift": 1e-3}]


class Branched(nn.Module):
    """``aside`` is what hangs on the hidden activations of two layers."""

    def __init__(self, aside: nn.Module, reads: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 32), nn.Linear(32, 32), nn.Linear(32, 3)
        self.aside, self.reads = aside, reads

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.b(self.a(x).tanh()).tanh()
        return self.c(h), self.reads(self.aside, h)


def first_alone(output: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    return F.cross_entropy(output[0], targets)


def both(output: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    return F.cross_entropy(output[0], targets) + output[1].sum()


class OnEvery(Problem):
    """The first output stands for all."""

    def output(self, parameters: Any = None) -> Any:
        return super().output(parameters)[0]


def moved_only_the_rest(aside: nn.Module, reads: Any, loss: Any, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = Branched(aside, reads).double()
    batch = (torch.randn(4, 5).double(), torch.tensor([0, 1, 2, 0]))
    problem = OnEvery(model, loss, *batch)
    outputs, before = problem.output().detach(), snapshot(problem)

    result = teleport(model, loss, batch, lr=0.1, steps=4, **options)

    assert result.status is Status.DONE
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
    after = model.state_dict()
    assert {n for n in before if not torch.equal(after[n], before[n])} >= {"b.weight", "c.weight"}
    assert all(torch.equal(after[n], before[n]) for n in before if n.startswith("aside."))
    if result.guarantee is Guarantee.EXACT_ON_BATCH:
        assert output_change(problem, outputs) < 1e-12
    else:
        assert options.keys() & {"tau", "max_drift"}


def head() -> nn.Module:
    return nn.Sequential(nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 2, bias=False))


@pytest.mark.parametrize("options", ENGINES, ids=str)
def test_a_branch_that_the_loss_does_not_read_stays(options: dict[str, Any]) -> None:
    moved_only_the_rest(head(), lambda m, h: m(h), first_alone, options)


ASIDE: dict[str, tuple[Callable[[], nn.Module], Callable[[Any, Tensor], Tensor]]] = {
    "linear": (lambda: nn.Linear(32, 4), lambda m, h: m(h[:0])),
    "linear, no tokens": (lambda: nn.Linear(32, 4), lambda m, h: m(h[:, None][:, :0])),
    "product": (lambda: nn.Linear(4, 32, bias=False), lambda m, h: h[:0] @ m.weight),
    "behind another": (head, lambda m, h: m(h[:0])),
    "conv1d": (lambda: nn.Conv1d(32, 4, 1), lambda m, h: m(h[:0, :, None])),
    "conv2d in groups": (
        lambda: nn.Conv2d(32, 4, 3, padding=1, groups=2), lambda m, h: m(h[:0, :, None, None]),
    ),
    "conv3d": (lambda: nn.Conv3d(32, 4, 1), lambda m, h: m(h[:0, :, None, None, None])),
    "transposed": (lambda: nn.ConvTranspose1d(32, 4, 2), lambda m, h: m(h[:0, :, None])),
    "lstm": (lambda: nn.LSTM(32, 4, batch_first=True), lambda m, h: m(h[:0, None])[0]),
    "gru cell": (lambda: nn.GRUCell(32, 4), lambda m, h: m(h[:0])),
    "attention": (
        lambda: nn.MultiheadAttention(32, 2, batch_first=True),
        lambda m, h: m(h[:0, None], h[:0, None], h[:0, None])[0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("options", ENGINES, ids=str)
@pytest.mark.parametrize("name", ASIDE)
def test_a_layer_without_samples_stays(name: str, options: dict[str, Any]) -> None:
    build, reads = ASIDE[name]
    moved_only_the_rest(build(), reads, both, options)


def test_a_layer_with_samples_in_one_of_its_uses_moves() -> None:
    torch.manual_seed(0)
    middle = nn.Linear(32, 32)
    model = Branched(middle, lambda m, h: m(m(h[:0])).sum() + m(h).tanh().sum()).double()
    batch = (torch.randn(4, 5).double(), torch.tensor([0, 1, 2, 0]))

    result = teleport(model, both, batch, lr=1e-4, steps=4)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.null_dims["aside.weight"] == [33 - 4]
    assert "aside.weight" not in result.held


def test_what_gets_no_sample_is_held_with_a_reason() -> None:
    torch.manual_seed(0)
    model = Branched(nn.Linear(32, 4), lambda m, h: m(h[:0])).double()
    batch = (torch.randn(4, 5).double(), torch.tensor([0, 1, 2, 0]))

    assert teleport(model, both, batch).held["aside.weight"] == "used on no sample"
