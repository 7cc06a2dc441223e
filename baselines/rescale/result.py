"""What a rescaling did: the result of every method, and the scales."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from baselines.rescale.scaling import Scaling
from teleport_core.results import TeleportResult


@dataclass(frozen=True, kw_only=True, repr=False)
class RescaleResult(TeleportResult):
    """The same with what it takes to move an optimizer's state along.

    Attributes:
        log_tau: log of every free scale; one for each set of units that share one.
        scaling: which parameters they scale.
    """

    log_tau: list[float]
    scaling: Scaling

    def scales(self) -> Mapping[str, Tensor]:
        """Parameter -> s of its move W -> s W, of a shape that broadcasts; empty for no move."""
        if not self.steps_done:
            return {}
        return self.scaling.scales(torch.tensor(self.log_tau, dtype=torch.float64, device="cpu"))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: the free scales, without what they scale."""
        return {name: value for name, value in super().to_dict().items() if name != "scaling"}


def with_scales(result: TeleportResult, log_tau: Tensor, scaling: Scaling) -> RescaleResult:
    """A result of which the scales are known."""
    known = {each.name: getattr(result, each.name) for each in fields(result)}
    return RescaleResult(**known, log_tau=log_tau.tolist(), scaling=scaling)
