"""After an error parameters are bit for bit as before, whatever the forward pass wrote."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import Problem, TeleportError
from teleport_core.forward.belongings import Belongings


class Writes(nn.Module):
    """A forward pass that does something to the model's own weights."""

    def __init__(self, write: Callable[["Writes"], object]) -> None:
        super().__init__()
        self.e = nn.Embedding(8, 12)
        self.h = nn.Linear(12, 3)
        self.average = nn.Parameter(torch.full((3,), -0.0), requires_grad=False)
        self.write = write

    def forward(self, ids: Tensor) -> Tensor:
        with torch.no_grad():
            self.write(self)
        return self.h(torch.tanh(self.e(ids))) + self.average


def bounds(model: Writes) -> None:
    model.e.max_norm = 1.0


def clamps(model: Writes) -> None:
    model.h.weight.clamp_(-0.01, 0.01)


def assigns(model: Writes) -> None:
    model.h.weight.data = model.h.weight.data * 0.5


def writes_data(model: Writes) -> None:
    model.h.weight.data.mul_(0.5)


def sets_data(model: Writes) -> None:
    model.h.weight.data.clamp_(-0.01, 0.01)


def averages(model: Writes) -> None:
    model.average.add_(0.0)  # -0.0 becomes 0.0


def freezes(model: Writes) -> None:
    model.h.weight.requires_grad_(False)


def leaves_train_mode(model: Writes) -> None:
    model.e.eval()


def accumulates(model: Writes) -> None:
    with torch.enable_grad():
        model.h.weight.square().sum().backward()


@pytest.mark.parametrize(
    "write",
    [bounds, clamps, assigns, writes_data, averages, freezes, leaves_train_mode, accumulates],
)
def test_a_refusal_leaves_no_trace_of_what_the_forward_pass_wrote(
    write: Callable[[Writes], object],
) -> None:
    torch.manual_seed(0)
    model = Writes(write)
    model.e.weight.data.mul_(3)
    model.h.weight.grad = torch.ones_like(model.h.weight)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    where = {n: (id(p), p.data_ptr(), id(p.grad)) for n, p in model.named_parameters()}
    counted = {n: p.requires_grad for n, p in model.named_parameters()}

    with pytest.raises(TeleportError, match="labels from 0 to 2"):
        teleport_core.teleport(
            model, nn.CrossEntropyLoss(), (torch.arange(4), torch.tensor([0, 1, 2, 9]))
        )

    for name, p in model.named_parameters():
        assert p.detach().numpy().tobytes() == before[name].numpy().tobytes()
    assert {n: (id(p), p.data_ptr(), id(p.grad)) for n, p in model.named_parameters()} == where
    assert {n: p.requires_grad for n, p in model.named_parameters()} == counted
    assert model.h.weight.grad is not None
    assert torch.equal(model.h.weight.grad, torch.ones(3, 12))
    assert all(module.training for module in model.modules())


def test_a_graph_that_the_caller_has_of_the_model_stays_good() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    loss = model(torch.randn(2, 4)).sum()

    with pytest.raises(TeleportError, match="labels"):
        teleport_core.teleport(model, F.cross_entropy, (torch.randn(2, 4), torch.tensor([0, 9])))

    loss.backward()


@pytest.mark.parametrize(
    "buffer",
    [
        torch.ones(2, 1).expand(2, 5),
        torch.arange(6.0)[2:4],
        torch.eye(3).to_sparse(),
        torch.tensor(1.5),
        torch.ones(0, 3),
    ],
)
def test_buffers_of_any_layout_are_kept(buffer: Tensor) -> None:
    model = nn.Linear(2, 2)
    model.register_buffer("table", buffer)
    before = buffer.clone()

    own = Belongings([model])
    (buffer[:, :1] if buffer.layout is torch.strided and buffer.dim() > 1 else buffer).data.mul_(3)
    model.table = torch.zeros(7)
    own.put_back()

    assert model.table is buffer
    assert torch.equal(buffer.to_dense(), before.to_dense())


@pytest.mark.parametrize("write", [clamps, sets_data, averages])
def test_a_refusal_after_all_looks_leaves_no_trace_either(
    write: Callable[[Writes], object],
) -> None:
    """Once a pass has been seen to write nothing, no copy is held; what it wrote is held on."""
    torch.manual_seed(0)
    model = Writes(write)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    loss_calls = 0

    def loss_fn(output: Tensor, targets: Tensor) -> Tensor:
        nonlocal loss_calls
        loss_calls += 1
        if loss_calls == 2:  # the first look is over
            raise KeyboardInterrupt
        return F.cross_entropy(output, targets)

    with pytest.raises(KeyboardInterrupt):
        teleport_core.teleport(model, loss_fn, (torch.arange(4), torch.tensor([0, 1, 2, 0])))

    for name, p in model.named_parameters():
        assert p.detach().numpy().tobytes() == before[name].numpy().tobytes()


def test_copies_of_parameters_that_nobody_writes_are_given_away() -> None:
    model = Writes(writes_data)
    own, problem = Belongings([model]), Problem(model, F.cross_entropy, None, None)
    before = model.e.weight.detach().clone()

    model(torch.arange(4))
    own.give_unwritten(problem)

    assert set(problem.copies) == {*problem.parameters()} - {"h.weight"}
    assert torch.equal(problem.copies["e.weight"], before)
    assert problem.kept(["e.weight"])["e.weight"] is problem.copies["e.weight"]
    assert [kept.tensor is model.h.weight for kept in own._parameters] == [True]


def test_buffers_that_moved_stay_unless_everything_is_put_back() -> None:
    model = nn.BatchNorm1d(2)
    own = Belongings([model])
    moved, other = model.running_mean, model.running_var
    for buffer in (moved, other):
        buffer.fill_(7.0)

    own.put_back(moved=[moved])

    assert moved.tolist() == [7.0, 7.0]
    assert other.tolist() == [1.0, 1.0]
    own.put_all_back()
    assert moved.tolist() == [0.0, 0.0]
