"""J = sum |g_i|, the norm dual to steps of one size in every entry: those of sign descent and Adam.

From an empty state Adam's first step is lr g / (|g| + eps), which lowers the loss by lr ||g||_1.
"""

import torch
from torch import Tensor

from teleport_core.norms import real_view
from teleport_core.objectives.objective import Objective
from teleport_core.problem import Parameters

# Entries below this share of the largest one of their parameter are rounding, and have no sign.
_ROUNDING = 1e-12


class L1(Objective):
    """J = ||g||_1, hence v = sign(g); a complex number counts as two real ones."""

    def value_and_slope(
        self, gradient: Parameters, parameters: Parameters
    ) -> tuple[float, Parameters]:
        """J and v."""
        del parameters
        sizes = [real_view(g).abs().sum(dtype=torch.float64) for g in gradient.values()]
        return float(torch.stack(sizes).sum()), {name: sign(g) for name, g in gradient.items()}


def sign(values: Tensor) -> Tensor:
    """The sign of every entry; 0 for what is rounding beside the largest one."""
    if not values.numel():
        return values
    if values.is_complex():
        return torch.view_as_complex(sign(real_view(values)).contiguous())
    size = values.abs()
    return values.sign().masked_fill_(size <= _ROUNDING * size.max(), 0.0)
