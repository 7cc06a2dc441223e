"""How the released code of neural teleportation chooses among its draws."""

import torch
from torch import Tensor

from baselines.rescale.scaling import Scaling
from teleport_core.problem import Parameters


class GradientPerWeight:
    """||g / w||, entry by entry, as a function of t = log tau.

    Where both are zero the released code takes the mean of all other entries. Where only the weight
    is, the score is infinite, and no draw has a higher one than the start: weights of zero keep
    zero, so that a single bias of zero keeps the model where it is.
    """

    def __init__(self, scaling: Scaling, parameters: Parameters, gradient: Parameters) -> None:
        self._scaling = scaling
        self._ratios = {n: (g.detach() / parameters[n]).double() for n, g in gradient.items()}

    def __call__(self, log_tau: Tensor) -> float:
        """The score at t [count]."""
        scales = self._scaling.scales(log_tau)
        ratios = torch.cat(
            [
                (ratio / scales[name].to(ratio).square() if name in scales else ratio).flatten()
                for name, ratio in self._ratios.items()
            ]
        )
        unknown = ratios.isnan()
        return float(ratios.masked_fill(unknown, float(ratios[~unknown].mean())).norm())
