"""What is known of a forward pass so far: labels of activations, and uses of parameters."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from baselines.rescale.graph.layers import Use
from baselines.rescale.graph.places import Places
from baselines.rescale.graph.units import Units, of_data
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
        # A tensor is kept as long as its id is; with it whether it had a history when it was met.
        self._labelled: dict[int, tuple[Tensor, Tensor, bool]] = {}
        self.label(problem.tensors())

    def movable(self, tensor: Tensor | None) -> str | None:
        """The name of a parameter that may be scaled; None for anything else."""
        name = self._names.get(id(tensor))
        return name if name in self._movable else None

    def is_parameter(self, tensor: object) -> bool:
        """Whether it is one, movable or not."""
        return id(tensor) in self._names

    def is_ours(self, tensor: Tensor) -> bool:
        """Whether it is a parameter, or may depend on one."""
        return self.is_parameter(tensor) or id(tensor) in self._labelled or _has_history(tensor)

    def meet(self, tensors: Iterable[Tensor]) -> None:
        """Have labels for all of them, before an operation writes into one.

        Raises:
            ModelError: one depends on parameters in a way that nobody saw.
        """
        for tensor in (one for one in tensors if not self.is_parameter(one)):
            # What a torch.autograd.Function returns gets its history after it was made.
            had = self._labelled[id(tensor)][2] if id(tensor) in self._labelled else False
            if _has_history(tensor) and not had:
                how = "a torch.autograd.Function or a backward hook"
                raise ModelError(unseen(how, self.places.here))
            if id(tensor) not in self._labelled:
                self.label([tensor])

    def labels_of(self, tensor: Tensor) -> Tensor:
        """Of an activation that was met."""
        return self._labelled[id(tensor)][1]

    def label(self, tensors: Iterable[Tensor], labels: Iterable[Tensor] | None = None) -> None:
        """Note the labels of activations that were made; by default scale 1."""
        tensors = list(tensors)
        if labels is None:
            labels = [of_data(t.dim()) for t in tensors]
        for tensor, label in zip(tensors, labels, strict=True):
            if not self.is_parameter(tensor):
                self._labelled[id(tensor)] = (tensor, label, _has_history(tensor))

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
            self.label([tensor], [labels])  # it may be written into, and have a history now
        if found and name not in self.obstacles:
            self.obstacles.append(name)

    def fix(self, labels: Tensor, func: Any) -> bool:
        """Leave scale 1 alone to units that come to an operation; whether one was free."""
        return self.units.fix(labels, f"its units come to {self._called(func)}")

    def end_outputs(self, outputs: Iterable[Tensor]) -> None:
        """Leave scale 1 alone to what the model returns."""
        outputs = list(outputs)
        self.meet(outputs)
        for output in (one for one in outputs if not self.is_parameter(one)):
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


def _has_history(tensor: Tensor) -> bool:
    return has_gradient(tensor) and tensor.grad_fn is not None
