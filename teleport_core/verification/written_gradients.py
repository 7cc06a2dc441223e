"""Backward passes inside of the backward pass, which write ``.grad`` and are no part of dL/dW."""

from collections.abc import Iterator
from contextlib import contextmanager

from teleport_core.errors import ModelError
from teleport_core.problem import Problem


@contextmanager
def gradients_left_alone(problem: Problem) -> Iterator[None]:
    """Hold a backward pass to leaving every ``.grad`` as it was; in any case it is so afterwards.

    Raises:
        ModelError: it writes one.
    """
    parameters = problem.parameters()
    before = {name: parameter.grad for name, parameter in parameters.items()}
    for parameter in parameters.values():
        parameter.grad = None
    try:
        yield
        written = [name for name, parameter in parameters.items() if parameter.grad is not None]
    finally:
        for name, gradient in before.items():
            parameters[name].grad = gradient
    if written:
        raise ModelError(
            f"expected a backward pass that hands gradients on; the model's own writes "
            f"{written[0]}.grad, as reversible layers and checkpointing by a torch.autograd."
            "Function do: switch that off for the call"
        )
