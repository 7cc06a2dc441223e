"""Which models are read as stacks, and what is said of the others."""

from collections.abc import Callable

import pytest
import torch
from small_problems import batch
from torch import nn
from torch.nn import functional as F

from teleport_core import Problem
from teleport_core.stack import Refusal, Stack, read_stack


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))


def problem_of(model: nn.Module, inputs: object = None) -> Problem:
    own, targets = batch(4, 6, 4)
    return Problem(model.double(), F.cross_entropy, own if inputs is None else inputs, targets)


def backward_hook() -> nn.Module:
    model = net()
    model[1].register_full_backward_hook(lambda *_: None)
    return model


def half_double() -> nn.Module:
    model = net().double()
    model[2].float()
    return model


def test_activations_stand_behind_their_layers_and_are_never_in_place() -> None:
    model = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(6, 5, bias=False), nn.Dropout(0.5), nn.ReLU(inplace=True)),
        nn.Tanh(),
        nn.Identity(),
        nn.Linear(5, 4),
    ).eval()

    stack = read_stack(problem_of(model))

    assert isinstance(stack, Stack)
    assert [(x.weight, x.bias) for x in stack.layers] == [
        ("1.0.weight", None),
        ("4.weight", "4.bias"),
    ]
    assert [(x.in_features, x.out_features) for x in stack.layers] == [(6, 5), (5, 4)]
    assert [[sigma.place for sigma in x.activations] for x in stack.layers] == [
        ["1.2 (ReLU)", "2 (Tanh)"],
        [],
    ]
    assert len(stack.flattens) == 1
    z = torch.full((2,), -1.0)
    assert stack.layers[0].activations[0].forward(z).tolist() == [0.0, 0.0]
    assert z.tolist() == [-1.0, -1.0]


@pytest.mark.parametrize(
    ("build", "inputs", "text"),
    [
        (backward_hook, None, "a module has a backward hook"),
        (net, (torch.zeros(4, 6), torch.zeros(4, 6)), "more than one input tensor"),
        (net, torch.zeros(4, 6), "inputs and layers differ in dtype or device"),
    ],
)
def test_what_only_the_batch_or_the_backward_pass_tells(
    build: Callable[[], nn.Module], inputs: object, text: str
) -> None:
    found = read_stack(problem_of(build(), inputs))

    assert isinstance(found, Refusal)
    assert text in str(found)


def test_layers_of_two_dtypes_are_no_stack() -> None:
    inputs, targets = batch(4, 6, 4)

    found = read_stack(Problem(half_double(), F.cross_entropy, inputs, targets))

    assert isinstance(found, Refusal)
    assert "differ in dtype" in str(found)
