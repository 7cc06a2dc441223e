"""A training step, and the gradient in it."""

from math import sqrt
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from bench.problems.factory import Batch
from bench.trainer.data import Task
from bench.trainer.tasks.direction import backward_by_task
from teleport_core.forward.arguments import arguments
from teleport_core.norms import squared_norm


def take_step(
    task: Task, model: nn.Module, optimizer: Optimizer, batch: Batch, rescale: Any
) -> list[float]:
    """Forward, backward and the optimizer's step; see ``backward``."""
    optimizer.zero_grad(set_to_none=True)
    cosines = backward(task, model, batch)
    rescale(model)
    optimizer.step()
    return cosines


def backward(task: Task, model: nn.Module, batch: Batch) -> list[float]:
    """Have the parameters hold the gradient of a batch.

    Returns:
        The cosine of the mean gradient and that of each task, of a loss that has several.
    """
    positional, keywords = arguments(batch[0])
    loss = task.loss_fn(model(*positional, **keywords), batch[1])
    if loss.dim() == 1 and len(loss) > 1:
        return backward_by_task(loss, model, task.combine)
    torch.autograd.backward(loss)
    return []


def norm_of(model: nn.Module) -> float:
    """||g|| of the gradients that are there."""
    found = [p.grad for p in model.parameters() if p.grad is not None]
    return sqrt(float(squared_norm(found)))
