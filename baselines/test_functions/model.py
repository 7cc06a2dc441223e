"""A point of the plane as a model, and its function as a loss."""

from typing import Any

import torch
from torch import Tensor, nn

from baselines.test_functions.functions import FUNCTIONS, PlaneFunction
from baselines.test_functions.two_tasks import two_tasks_losses
from teleport_core.errors import unknown_name
from teleport_core.problem import LossFn, Problem


class PlanePoint(nn.Module):
    """A model whose one parameter is a point [2]; its output is the point, whatever the input.

    Attributes:
        point: the parameter.
        function: the name of the function whose loss it is for.
        minimisers: where that is smallest; pictures mark them.
    """

    def __init__(self, start: tuple[float, float], function: str = "") -> None:
        super().__init__()
        self.function = function
        self.minimisers = FUNCTIONS[function].minimisers if function in FUNCTIONS else ()
        self.point = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        """The point."""
        del inputs
        return self.point.clone()


def problem_of(name: str, start: tuple[float, float] | None = None) -> Problem:
    """A test function as a problem in float64, from ``start`` or from where the papers start.

    Raises:
        OptionError: no function has this name.
    """
    if name not in FUNCTIONS:
        raise unknown_name("a test function", name, FUNCTIONS)
    function = FUNCTIONS[name]
    model = PlanePoint(start or function.start, name)
    return Problem(model, loss_of(function), *BATCH)


def two_tasks(start: tuple[float, float] = (-8.5, 7.5)) -> tuple[PlanePoint, LossFn]:
    """The toy problem of CAGrad as a model and a loss that answers with one value per task."""
    return PlanePoint(start), lambda point, _: two_tasks_losses(point)


def loss_of(function: PlaneFunction) -> LossFn:
    """The function as a loss of the model's output."""

    def loss(point: Tensor, targets: Any) -> Tensor:
        del targets
        return function.value(point)

    return loss


# A batch that nobody reads.
BATCH = (torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
