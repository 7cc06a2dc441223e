"""What a step of a CNN and of a Transformer encoder costs, against SGD and the published step.

Only on an idle machine: ``make verify``.
"""

from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Problem, make

STEPS = 8


def cnn() -> Problem:
    """3-16-32-64 on images of CIFAR's size, n = 256."""
    blocks: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        blocks += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(1024, 10))
    return Problem(model, F.cross_entropy, torch.randn(256, 3, 32, 32), torch.arange(256) % 10)


class Encoder(nn.Module):
    """Width 256, FFN 1024, 4 layers, GELU, pre-norm."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            256, 8, 1024, dropout=0.0, activation="gelu", norm_first=True, batch_first=True
        )
        self.enter, self.head = nn.Linear(8, 256), nn.Linear(256, 8)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.enter(x)))


def encoder() -> Problem:
    """32 sequences of 168 tokens."""
    return Problem(Encoder(), F.mse_loss, torch.randn(32, 168, 8), torch.randn(32, 168, 8))


def sgd_step(problem: Problem) -> None:
    parameters = list(problem.model.parameters())
    gradients = torch.autograd.grad(problem.loss(), parameters)
    with torch.no_grad():
        torch._foreach_add_(parameters, gradients, alpha=-1e-6)


class Cost(NamedTuple):
    """In SGD steps: a step, preparing, a step of the published formulation."""

    step: float
    prepare: float
    textbook: float


def measured(problem: Problem, rounds: int) -> Cost:
    fast = make("nullspace", steps=STEPS, lr=1e-7)
    slow = make("nullspace", steps=1, lr=1e-7, engine="textbook")
    bases = slow.prepare(problem)
    found: list[Cost] = []
    for _ in range(rounds + 1):
        times = [perf_counter()]
        for _ in range(2):
            sgd_step(problem)
        times.append(perf_counter())
        state = fast.prepare(problem)
        times.append(perf_counter())
        assert fast.advance(problem, state).steps_done == STEPS
        times.append(perf_counter())
        del state
        slow.advance(problem, bases)
        times.append(perf_counter())
        sgd, prepare, steps, textbook = (b - a for a, b in pairwise(times))
        found.append(Cost(steps / STEPS / (sgd / 2), prepare / (sgd / 2), textbook / (sgd / 2)))
    return Cost(*(median(column) for column in zip(*found[1:], strict=True)))


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("make_problem", "step", "prepare"), [(cnn, 1.2, float("inf")), (encoder, 1.8, 2.5)]
)
def test_a_step_costs_little_more_than_an_sgd_step(make_problem, step, prepare) -> None:
    torch.manual_seed(0)
    cost = measured(make_problem(), 5)
    print(f"{make_problem.__name__}: {cost}")

    assert cost.step <= step
    assert cost.step <= 0.55 * cost.textbook
    assert cost.prepare <= prepare
