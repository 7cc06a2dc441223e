"""Modules that keep a use of a weight, or what comes of it, from being seen."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Problem, teleport


class Net(nn.Module):
    """Three layers; ``middle`` is what the rows below change."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.inner, self.leave = nn.Linear(6, 20), nn.Linear(20, 20), nn.Linear(20, 3)
        self.aside = [self.inner.weight]
        self.register_buffer("mask", (torch.rand(20, 20) > 0.5).to(torch.get_default_dtype()))

    def middle(self, h: Tensor) -> Tensor:
        return self.inner(h)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.leave(self.middle(self.enter(x).tanh()).tanh())
        return output


class Masked(Net):
    def middle(self, h: Tensor) -> Tensor:
        with torch.no_grad():
            self.inner.weight.mul_(self.mask)
        return super().middle(h)


class Read(Net):
    def middle(self, h: Tensor) -> Tensor:
        return super().middle(h) * (1 + self.inner.weight[0, 0].item())


class Listed(Net):
    def middle(self, h: Tensor) -> Tensor:
        return super().middle(h) + F.linear(h.cos(), self.aside[0])


class Mapped(Net):
    def middle(self, h: Tensor) -> Tensor:
        mapped: Tensor = torch.func.vmap(lambda w: h.cos() @ w)(self.inner.weight)
        return super().middle(h) + mapped.T


class Own(torch.autograd.Function):
    """A linear layer by hand, which no watcher can see."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return x @ w.T

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, w = ctx.saved_tensors
        return gradients[0] @ w, gradients[0].T @ x


class ByHand(Net):
    def middle(self, h: Tensor) -> Tensor:
        found: Tensor = Own.apply(h, self.inner.weight)
        return found


class Forces(Net):
    """Energy and its gradient with respect to the inputs."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            energy = super().forward(x)
            (force,) = torch.autograd.grad(energy.sum(), x, create_graph=True)
        return torch.cat([energy, force], 1)


def overflowing(problem: Problem, finite: int, **options: Any) -> Problem:
    """The same problem, its loss infinite after more than so many steps; outputs stay."""
    start = {name: p.detach().clone() for name, p in problem.parameters().items()}

    def moved() -> float:
        now = problem.parameters().items()
        return max(float((p.detach() - start[name]).norm()) for name, p in now)

    lengths = []
    for steps in (finite, finite + 1):
        if steps:
            batch = (problem.inputs, problem.targets)
            teleport(problem.model, problem.loss_fn, batch, steps=steps, **options)
        lengths.append(moved())
        problem.write(start)
    limit = sum(lengths) / 2
    assert lengths[0] < limit < lengths[1]

    def loss(output: Any, targets: Any) -> Tensor:
        return problem.loss_fn(output, targets) + (math.inf if moved() > limit else 0.0)

    return replace(problem, loss_fn=loss)
