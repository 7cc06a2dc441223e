"""Functions of two numbers whose minima and maximal gradients are known, as models."""

from baselines.test_functions.descent import Descent, descend
from baselines.test_functions.functions import FUNCTIONS, PlaneFunction
from baselines.test_functions.model import PlanePoint, problem_of
from baselines.test_functions.two_tasks import two_tasks_losses

__all__ = [
    "FUNCTIONS",
    "Descent",
    "PlaneFunction",
    "PlanePoint",
    "descend",
    "problem_of",
    "two_tasks_losses",
]
