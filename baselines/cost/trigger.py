"""When a teleport of several tasks is due: dominated conflict (Zhou et al., 2503.04046)."""

import torch
from torch import Tensor

DOMINATED, ANY, ALWAYS = "dominated", "any", "always"
TRIGGERS = (DOMINATED, ANY, ALWAYS)


def conflict_cosines(gradients: Tensor) -> Tensor:
    """cos(g_0, g_i) [tasks] of the mean gradient g_0, of G [tasks, parameters]."""
    return torch.nn.functional.cosine_similarity(gradients, gradients.mean(0, keepdim=True))


def is_due(trigger: str, gradients: Tensor) -> bool:
    """Whether a teleport is due by one of ``TRIGGERS``.

    Args:
        trigger: "dominated", the paper's; "any", the released code's: the smallest cosine over all
            tasks is <= 0; "always".
        gradients: [tasks, parameters], those of the shared parameters.
    """
    if trigger == DOMINATED:
        return dominated_conflict(gradients)
    return trigger == ALWAYS or bool(conflict_cosines(gradients).min() <= 0)


def dominated_conflict(gradients: Tensor) -> bool:
    """Whether the mean gradient points against the task whose gradient is smallest.

    The paper's condition cos(g_0, g_i) < 0, with i the task of the smallest norm.

    Args:
        gradients: [tasks, parameters], those of the shared parameters.
    """
    weakest = gradients[torch.linalg.vector_norm(gradients, dim=1).argmin()]
    return bool(weakest @ gradients.mean(0) < 0)
