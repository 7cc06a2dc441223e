"""When a teleport of several tasks is due: dominated conflict (Zhou et al., 2503.04046)."""

import torch
from torch import Tensor


def dominated_conflict(gradients: Tensor) -> bool:
    """Whether the mean gradient points against the task whose gradient is smallest.

    The paper's condition cos(g_0, g_i) < 0, with i the task of the smallest norm. The released code
    takes the smallest cosine over all tasks instead, and <= 0.

    Args:
        gradients: [tasks, parameters], those of the shared parameters.
    """
    weakest = gradients[torch.linalg.vector_norm(gradients, dim=1).argmin()]
    return bool(weakest @ gradients.mean(0) < 0)
