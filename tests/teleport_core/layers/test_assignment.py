"""A parameter that is written into another tensor is used there, whoever answers what."""

from collections.abc import Callable

import pytest
import torch
from oracles import output_change, snapshot
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Guarantee, Problem, teleport

Write = Callable[[Tensor, nn.Parameter], object]


class Written(nn.Module):
    """A class token, and the weight of a layer, written into zeros."""

    def __init__(self, write: Write, *, weight: bool) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 8), nn.Linear(8, 32), nn.Linear(32, 3)
        self.token = nn.Parameter(torch.randn(8))
        self.write, self.weight = write, weight

    def forward(self, x: Tensor) -> Tensor:
        t = x.new_zeros(len(x), 2, 8)
        t[:, 1] = self.a(x)
        if self.weight:
            t = torch.cat([t, self.copied(x)], 1)
        else:
            self.write(t[:, 0], self.token)
        return self.c(self.b(t).tanh().mean(1))

    def copied(self, x: Tensor) -> Tensor:
        t = x.new_zeros(32, 8)
        self.write(t, self.b.weight)
        return t.expand(len(x), -1, -1)


def without_gradient(t: Tensor, value: nn.Parameter) -> None:
    with torch.no_grad():
        t[:] = value


WAYS: dict[str, Write] = {
    "assigned": lambda t, value: t.__setitem__(slice(None), value),
    "assigned without gradient": without_gradient,
    "copied": lambda t, value: t.copy_(value),
    "added in one call": lambda t, value: torch._foreach_add_([t], [value.expand_as(t)]),
    "by data": lambda t, value: t.data.add_(value),
}


@pytest.mark.parametrize("engine", ["auto", "textbook"])
@pytest.mark.parametrize("weight", [False, True], ids=["token", "weight"])
@pytest.mark.parametrize("name", WAYS)
def test_what_is_written_is_held(name: str, weight: bool, engine: str) -> None:
    torch.manual_seed(0)
    model = Written(WAYS[name], weight=weight).double()
    batch = (torch.randn(4, 5).double(), torch.tensor([0, 1, 2, 0]))
    problem = Problem(model, F.cross_entropy, *batch)
    outputs, before = problem.output().detach(), snapshot(problem)

    result = teleport(model, F.cross_entropy, batch, lr=0.1, steps=4, engine=engine)

    held = "b.weight" if weight else "token"
    assert held in result.held
    assert torch.equal(model.state_dict()[held], before[held])
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert output_change(problem, outputs) < 1e-12
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
