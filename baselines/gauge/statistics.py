"""Running statistics of a batch norm whose inputs are scaled."""

from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.problem import Parameters


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a batch norm takes its inputs to be, channel by channel.

    Attributes:
        mean: name of the buffer running_mean; None where the norm takes those of the batch, and
            with it the scale drops out of its outputs but for ``eps``.
        var: name of running_var, likewise.
        eps: what is added to the variance.
        index: [blocks], the channels.
    """

    mean: str | None
    var: str | None
    eps: float
    index: Tensor

    @property
    def exact(self) -> bool:
        """Whether no output changes."""
        return self.mean is not None

    def smallest(self, buffers: Parameters) -> Tensor:
        """The smallest tau^2 at which the variance is not negative yet [blocks]."""
        if self.var is None:
            return torch.zeros(len(self.index), dtype=torch.float64, device=self.index.device)
        var = buffers[self.var][self.index].double()
        return self.eps / (var + self.eps)

    def scaled(self, buffers: Parameters, tau: Tensor) -> Parameters:
        """The buffers for inputs times tau [blocks]: tau mean, tau^2 (var + eps) - eps.

        (z - mean) / sqrt(var + eps) is then what it was.
        """
        if self.mean is None or self.var is None:
            return {}
        mean, var = buffers[self.mean].clone(), buffers[self.var].clone()
        mean[self.index] = (tau * mean[self.index].double()).to(mean.dtype)
        moved = tau.square() * (var[self.index].double() + self.eps) - self.eps
        var[self.index] = moved.clamp_min(0.0).to(var.dtype)  # of rounding, at the smallest tau
        return {self.mean: mean, self.var: var}
