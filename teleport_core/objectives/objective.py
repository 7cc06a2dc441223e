"""A number J made of the gradient g, and v = dJ/dg: all that an ascent has to know of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from teleport_core.errors import OptionError
from teleport_core.norms import squared_norm
from teleport_core.problem import Parameters


class Objective(ABC):
    """A function J of the gradient.

    Attributes:
        positive: whether a J that is not positive means that there is nothing to climb.
    """

    positive: ClassVar[bool] = False

    @abstractmethod
    def value_and_slope(
        self, gradient: Parameters, parameters: Parameters
    ) -> tuple[float, Parameters]:
        """J and v = dJ/dg.

        Args:
            gradient: g by the name of every parameter that counts.
            parameters: the values at which g was taken.

        Returns:
            The value, and one tensor for each of ``gradient``, of its shape.
        """


class HalfSquare(Objective):
    """J = 1/2 ||g||^2, hence v = g."""

    def value_and_slope(
        self, gradient: Parameters, parameters: Parameters
    ) -> tuple[float, Parameters]:
        """J and v."""
        del parameters
        return 0.5 * float(squared_norm(gradient.values())), gradient


def differentiated(
    function: Callable[[Parameters], Tensor], gradient: Parameters, name: str
) -> tuple[float, Parameters]:
    """J and v = dJ/dg of any function of tensors that torch can differentiate.

    Raises:
        OptionError: it answers with something else than one real number, or detaches it.
    """
    with torch.enable_grad():
        leaves = {key: g.detach().requires_grad_(True) for key, g in gradient.items()}
        value = function(leaves)
        require_scalar(value, name, "the gradients")
        slopes = torch.autograd.grad(
            value, [*leaves.values()], allow_unused=True, materialize_grads=True
        )
    return float(value.detach()), dict(zip(leaves, slopes, strict=True))


def require_scalar(value: object, name: str, source: str) -> None:
    """Refuse what is no scalar tensor, or has no derivative.

    Raises:
        OptionError: it says what came instead.
    """
    if not isinstance(value, Tensor):
        found = type(value).__name__
    elif value.numel() != 1 or not value.is_floating_point():
        found = f"a tensor of shape {list(value.shape)} and {value.dtype}"
    elif not value.requires_grad:
        found = f"one that does not depend on {source}"
    else:
        return
    raise OptionError(
        f"expected {name} to return a scalar tensor that can be differentiated by {source}; got "
        f"{found}: compute it from them by operations of torch, without detach() or item()"
    )
