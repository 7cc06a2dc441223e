"""One forward pass of model and loss, watched."""

import torch
from torch import Tensor

from baselines.gauge.flow.entries import ENTRIES
from baselines.gauge.flow.flow import Flow
from baselines.gauge.flow.joints import Joints
from baselines.gauge.flow.layers import LAYERS
from teleport_core.problem import Parameters, Problem


def watch(problem: Problem, leaves: Parameters) -> tuple[Tensor, Joints]:
    """The loss at ``leaves`` with its graph, and every joint of the features of the model."""

    def buffers() -> dict[int, str]:
        return {id(buffer): name for name, buffer in problem.model.named_buffers()}

    flow = Flow(leaves, buffers, LAYERS | ENTRIES)
    with torch.enable_grad(), flow:
        with flow.readings.of(problem.model):
            output = problem.output(leaves)
        flow.end(output)
        loss = problem.loss_of(output)
    return loss, flow.joints
