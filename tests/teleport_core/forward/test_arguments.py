"""Inputs of any kind: what tensors they hold, a copy for each pass, and how a model takes them."""

from collections import UserDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import ModelError, ProblemError, Status
from teleport_core.forward.arguments import arguments, copied, tensors_of

Graph = namedtuple("Graph", ["nodes", "weights"])


@dataclass(slots=True)
class Slotted:
    nodes: Tensor
    weights: Tensor


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.e = nn.Embedding(12, 24)
        self.h = nn.Sequential(nn.Linear(24, 40), nn.Tanh(), nn.Linear(40, 3))

    def forward(self, ids: Tensor, weight: Tensor) -> Tensor:
        return self.h((self.e(ids) * weight[..., None]).mean(1))


class Whole(Words):
    """Takes one argument, whatever it is."""

    def __init__(self, take: Callable[[Any], tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.take = take

    def forward(self, inputs: Any) -> Tensor:
        return super().forward(*self.take(inputs))


def batch() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randint(0, 12, (5, 4)), torch.rand(5, 4), torch.randint(0, 3, (5,))


IDS, WEIGHT, LABELS = batch()


def named(value: Any) -> tuple[Tensor, Tensor]:
    return value.nodes, value.weights


INPUTS: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "tuple": (Words, (IDS, WEIGHT)),
    "dict": (Words, {"ids": IDS, "weight": WEIGHT}),
    "UserDict": (Words, UserDict(ids=IDS, weight=WEIGHT)),
    "list": (lambda: Whole(tuple), [IDS, WEIGHT]),
    "named tuple": (lambda: Whole(named), Graph(IDS, WEIGHT)),
    "object": (lambda: Whole(named), SimpleNamespace(nodes=IDS, weights=WEIGHT)),
    "object in an object": (
        lambda: Whole(lambda one: named(one.store["x"])),
        SimpleNamespace(store={"x": SimpleNamespace(nodes=IDS, weights=WEIGHT)}),
    ),
    "slots": (lambda: Whole(named), Slotted(IDS, WEIGHT)),
}


@pytest.mark.parametrize("name", list(INPUTS))
def test_every_kind_of_inputs_gives_the_same_result(name: str) -> None:
    build, inputs = INPUTS[name]
    torch.manual_seed(0)
    reference = teleport_core.teleport(Words(), F.cross_entropy, ((IDS, WEIGHT), LABELS), steps=2)
    torch.manual_seed(0)

    result = teleport_core.teleport(build(), F.cross_entropy, (inputs, LABELS), steps=2)

    assert result.status is Status.DONE
    assert result.loss == reference.loss
    assert result.grad_norm_sq == reference.grad_norm_sq


def test_a_packed_sequence_is_one_argument() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 24), nn.Linear(24, 3)

        def forward(self, packed: Any) -> Tensor:
            return self.head(self.rnn(packed)[1][-1])

    torch.manual_seed(0)
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])

    with pytest.raises(ModelError, match="on padded sequences; got a PackedSequence: pad"):
        teleport_core.teleport(Last(), F.cross_entropy, (packed, torch.tensor([0, 2])))


@pytest.mark.parametrize("inputs", [[IDS, WEIGHT], Graph(IDS, WEIGHT)])
def test_a_model_of_several_arguments_is_told_to_be_given_a_tuple(inputs: Any) -> None:
    with pytest.raises(ProblemError, match=r"is one argument: write tuple\(inputs\) for several"):
        teleport_core.teleport(Words(), F.cross_entropy, (inputs, LABELS))


class Centre(nn.Module):
    def __init__(self, write: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.write = write
        self.net = nn.Sequential(nn.Linear(5, 30), nn.Tanh(), nn.Linear(30, 3))

    def forward(self, x: Any) -> Tensor:
        return self.net(self.write(x))


WRITES: dict[str, Callable[[Any], Tensor]] = {
    "sub_": lambda x: x.sub_(0.5),
    "clamp_": lambda x: x.clamp_(0, 1),
    "data": lambda x: x.data.mul_(0.5),
    "item": lambda x: x.__setitem__(0, 0.0) or x,
    "asks for a gradient": lambda x: x.requires_grad_() * 2,
}


@pytest.mark.parametrize("name", list(WRITES))
@pytest.mark.parametrize("engine", ["auto", "textbook"])
def test_each_pass_gets_the_batch_as_it_was_handed_over(name: str, engine: str) -> None:
    torch.manual_seed(0)
    x, labels = torch.randn(4, 5), torch.tensor([0, 1, 2, 0])
    kept = x.clone()

    result = teleport_core.teleport(
        Centre(WRITES[name]), F.cross_entropy, (x, labels), steps=2, lr=1e-3, engine=engine
    )

    assert result.status is Status.DONE
    assert torch.equal(x, kept)
    assert not x.requires_grad


def test_a_list_that_the_model_empties_is_full_afterwards() -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(4, 5)]

    teleport_core.teleport(
        Centre(lambda x: x.pop()), F.cross_entropy, (inputs, torch.tensor([0, 1, 2, 0])), steps=2
    )

    assert len(inputs) == 1


def test_a_loss_may_write_into_its_targets() -> None:
    def loss_fn(output: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(output, targets.clamp_(min=0))

    torch.manual_seed(0)
    targets = torch.tensor([0, -1, 2, 0])
    net = nn.Sequential(nn.Linear(5, 30), nn.Tanh(), nn.Linear(30, 3))

    teleport_core.teleport(net, loss_fn, (torch.randn(4, 5), targets), steps=2, lr=1e-3)

    assert targets.tolist() == [0, -1, 2, 0]


def test_a_copy_shares_what_holds_no_tensor_and_keeps_what_is_one() -> None:
    x, lock = torch.randn(3), SimpleNamespace(key=object())
    one, two, three = copied((x, {"again": x}, lock))

    assert one is two["again"]
    assert one is not x
    assert torch.equal(one, x)
    assert three is lock


def test_how_a_model_takes_its_inputs() -> None:
    x = torch.ones(1)

    assert arguments(x) == ((x,), {})
    assert arguments((x, 2)) == ((x, 2), {})
    assert arguments(UserDict(a=x)) == ((), {"a": x})
    assert arguments(Graph(x, x)) == ((Graph(x, x),), {})
    assert tensors_of((x, [x], {"a": x}, 3, None, nn.Linear(1, 1))) == [x, x, x]
    assert tensors_of("text") == []
