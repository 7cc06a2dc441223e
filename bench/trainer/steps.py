"""A training step, and the gradient in it."""

from math import sqrt
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from bench.problems.factory import Batch
from bench.trainer.data import Task
from teleport_core.forward.arguments import arguments
from teleport_core.norms import squared_norm


def take_step(
    task: Task, model: nn.Module, optimizer: Optimizer, batch: Batch, rescale: Any
) -> None:
    """Forward, backward and the optimizer's step."""
    optimizer.zero_grad(set_to_none=True)
    backward(task, model, batch)
    rescale(model)
    optimizer.step()


def backward(task: Task, model: nn.Module, batch: Batch) -> None:
    """Add the gradient of a batch to the parameters'."""
    positional, keywords = arguments(batch[0])
    torch.autograd.backward(task.loss_fn(model(*positional, **keywords), batch[1]))


def norm_of(model: nn.Module) -> float:
    """||g|| of the gradients that are there."""
    found = [p.grad for p in model.parameters() if p.grad is not None]
    return sqrt(float(squared_norm(found)))
