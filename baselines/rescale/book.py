"""What is known of a forward pass so far: labels of activations, and uses of parameters."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from baselines.rescale.layers import Use
from baselines.rescale.places import Places
from baselines.rescale.units import Units, of_data
from teleport_core.errors import ModelError
from teleport_core.problem import Parameters, Problem
from teleport_core.torch_private import has_gradient


class Book:
    """Labels of what was made of parameters, and what was found out about these.

    Attributes:
        units: the labels.
        uses: parameter -> the uses by which it is scaled.
        others: parameter -> the use that leaves it scale 1 alone.
        obstacles: operations that did so to units or parameters, in order.
    """

    def __init__(self, problem: Problem, parameters: Parameters) -> None:
        self.units = Units()
        self.uses: dict[str, list[Use]] = {}
        self.others: dict[str, str] = {}
        self.obstacles: list[str] = []
        self.places = Places(problem.model)
        own = problem.parameters()
        # A loss may read the model's own where the model is run on others.
        self._names = {id(p): name for group in (own, parameters) for name, p in group.items()}
        self._movable = {n for n, p in own.items() if p.requires_grad and not p.is_complex()}
        # A tensor is kept as long as its id is.
        self._labelled: dict[int, tuple[Tensor, Tensor]] = {}
        self.label(problem.tensors())

    def movable(self, tensor: Tensor | None) -> str | None:
        """The name of a parameter that may be scaled; None for anything else."""
        name = self._names.get(id(tensor))
        return name if name in self._movable else None

    def is_parameter(self, tensor: object) -> bool:
        """Whether it is one, movable or not."""
        return id(tensor) in self._names

    def is_ours(self, tensor: Tensor) -> bool:
        """Whether it is a parameter, or depends on one as far as anybody can see."""
        return self.is_parameter(tensor) or id(tensor) in self._labelled or _made(tensor)

    def labels_of(self, tensor: Tensor) -> Tensor:
        """Of an activation; 0, for scale 1, of data.

        Raises:
            ModelError: it depends on parameters in a way that nobody saw.
        """
        if id(tensor) in self._labelled:
            return self._labelled[id(tensor)][1]
        if _made(tensor):
            raise ModelError(unseen("a torch.autograd.Function", self.places.here))
        return of_data(tensor.dim())

    def label(self, tensors: Iterable[Tensor], labels: Iterable[Tensor] | None = None) -> None:
        """Note the labels of activations that were made; by default scale 1."""
        tensors = list(tensors)
        if labels is None:
            labels = [of_data(t.dim()) for t in tensors]
        for tensor, label in zip(tensors, labels, strict=True):
            if not self.is_parameter(tensor):
                self._labelled[id(tensor)] = (tensor, label)

    def use(self, parameter: str, use: Use) -> None:
        """Note a use by which a parameter is scaled."""
        self.uses.setdefault(parameter, []).append(use)

    def end(self, func: Any, tensors: Iterable[Tensor]) -> None:
        """Leave scale 1 alone to what comes to an operation: all units, and parameters."""
        name, found = self._called(func), False
        for tensor in tensors:
            parameter = self._names.get(id(tensor))
            if parameter is not None:
                found |= parameter not in self.others
                self.others.setdefault(parameter, f"used in {name}")
                continue
            labels = self.labels_of(tensor)
            found |= self.fix(labels, func)
            # Data, which it may write into, is from now on something made.
            self.label([tensor], [labels])
        if found and name not in self.obstacles:
            self.obstacles.append(name)

    def fix(self, labels: Tensor, func: Any) -> bool:
        """Leave scale 1 alone to units that come to an operation; whether one was free."""
        return self.units.fix(labels, f"its units come to {self._called(func)}")

    def end_outputs(self, outputs: Iterable[Tensor]) -> None:
        """Leave scale 1 alone to what the model returns."""
        for output in outputs:
            self.units.fix(self.labels_of(output), "its units are the model's outputs")

    def _called(self, func: Any) -> str:
        name = getattr(func, "__name__", str(func))
        return f"{name} in {self.places.here}" if self.places.here else f"{name} in loss_fn"


def unseen(how: str, place: str) -> str:
    """The text of a refusal."""
    where = f" in {place}" if place else ""
    return (
        "expected to see what every activation is made of; one was made where nobody can see it, "
        f"by {how}{where}: take that part out, or use method='nullspace'"
    )


def _made(tensor: Tensor) -> bool:
    return has_gradient(tensor) and tensor.grad_fn is not None
