"""The test functions for a sweep: functions as ``--model pkg.module:factory`` takes them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from baselines.test_functions.model import BATCH, problem_of, two_tasks
from teleport_core.problem import LossFn

Made = tuple[nn.Module, LossFn, list[tuple[Any, Any]]]


def made(name: str) -> Made:
    """Model, loss and the one batch of a test function."""
    problem = problem_of(name)
    return problem.model, problem.loss_fn, [(problem.inputs, problem.targets)]


def cagrad_toy() -> Made:
    """The toy problem of CAGrad (Liu et al. 2021): two tasks that share a point of the plane."""
    model, loss_fn = two_tasks()
    return model, loss_fn, [BATCH]


Factory = Callable[[], Made]

booth: Factory = partial(made, "booth")
rosenbrock: Factory = partial(made, "rosenbrock")
ellipse: Factory = partial(made, "ellipse")
goldstein_price: Factory = partial(made, "goldstein_price")
beale: Factory = partial(made, "beale")
hyperbola: Factory = partial(made, "hyperbola")
