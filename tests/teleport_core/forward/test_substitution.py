"""A forward pass with other tensors leaves every place of the model with its own object."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import ModelError, Problem, ProblemError
from teleport_core.forward.substitution import slots_of


class TwoNames(nn.Module):
    """One module as attribute and as member of another, with a table that both share."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 32), nn.BatchNorm1d(32), nn.Tanh())
        self.all = nn.Sequential(self.body, nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3))
        self.register_buffer("shift", torch.zeros(3))
        self.all.register_buffer("shift", self.shift)
        self.register_buffer("seen", None)
        self.all[3].tied = self.all[3].bias
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        if self.fails:
            raise KeyboardInterrupt
        self.shift = self.shift + 1
        self.seen = x
        return self.all(x) + self.all[3].tied


def places(model: nn.Module) -> list[tuple[str, int]]:
    return [
        (name, id(value)) for pair in slots_of(model) for s in pair for name, value in s.items()
    ]


def two_names() -> tuple[TwoNames, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    return TwoNames().double(), (torch.randn(4, 5).double(), torch.tensor([0, 1, 2, 0]))


@pytest.mark.parametrize("engine", ["auto", "textbook"])
def test_every_place_holds_its_own_object_after_a_call(engine: str) -> None:
    model, batch = two_names()
    before, values = places(model), {n: b.clone() for n, b in model.named_buffers()}

    result = teleport_core.teleport(model, F.cross_entropy, batch, lr=1e-3, steps=2, engine=engine)

    assert result.steps_done == 2
    assert places(model) == before
    assert all(torch.equal(b, values[n]) for n, b in model.named_buffers())


def test_every_place_holds_its_own_object_after_a_refusal_or_an_interrupt() -> None:
    model, (x, y) = two_names()
    before = places(model)

    with pytest.raises(ProblemError, match="labels"):
        teleport_core.teleport(model, F.cross_entropy, (x, y + 7))
    assert places(model) == before

    model.fails = True
    problem = Problem(model, F.cross_entropy, x, y)
    with pytest.raises(KeyboardInterrupt):
        problem.output(problem.copy())
    assert places(model) == before


def test_what_is_tied_gets_one_substitute_in_all_places() -> None:
    model, (x, y) = two_names()
    problem = Problem(model, F.cross_entropy, x, y)
    values = problem.copy()
    values["all.3.bias"] += 1

    with torch.no_grad():
        moved = problem.output(values) - problem.output()

    assert torch.allclose(moved, torch.full_like(moved, 2.0))


def test_a_parameter_that_is_also_a_buffer_has_its_gradient() -> None:
    model = nn.Sequential(nn.Linear(5, 3))
    model.register_buffer("shown", model[0].weight)
    problem = Problem(model, F.cross_entropy, torch.randn(4, 5), torch.tensor([0, 1, 2, 0]))

    problem.loss().backward()

    assert model[0].weight.grad is not None


def test_data_parallel_works_on_a_cpu_and_is_refused_on_several_devices() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 3)).double()
    model = nn.DataParallel(net)
    model.device_ids = []  # as on a machine without a GPU
    batch = (torch.randn(4, 5).double(), torch.tensor([0, 1, 2, 0]))

    assert teleport_core.teleport(model, F.cross_entropy, batch, lr=1e-3).steps_done == 8

    model.device_ids = [0, 1]
    with pytest.raises(ModelError, match=r"DataParallel.* on 2 devices.*model\.module"):
        teleport_core.teleport(model, F.cross_entropy, batch)
