"""Which parameters are linear in which inputs: found by watching one forward pass.

A weight may move in the null space of its inputs only if every one of its uses is of the form
W x. So each use of each parameter is watched, and a parameter with any other use (norm gains,
embeddings, attention's packed projections, raw ``x @ W``) is held fixed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from teleport_core.problem import Parameters, Problem


@dataclass
class LinearLayer:
    """A weight that is used as z = W x (+ b) only.

    Attributes:
        weight: name of W [out, features].
        bias: name of b when it moves together with W, else None.
        inputs: one tensor [..., features] per use in the forward pass.
        data_fed: no input depends on a counted parameter.
    """

    weight: str
    bias: str | None
    inputs: list[Tensor]
    data_fed: bool

    def representation(self) -> Tensor:
        """R [features (+1), columns], one column per sample or token (Eq. 8 of the paper).

        The paper absorbs the bias: a row of ones below the features.
        """
        rows = [x.reshape(-1, x.shape[-1]) for x in self.inputs]
        stacked = torch.cat(rows) if len(rows) > 1 else rows[0]
        if self.bias is not None:
            stacked = torch.cat([stacked, stacked.new_ones(len(stacked), 1)], dim=1)
        return stacked.T

    def gather(self, values: Mapping[str, Tensor]) -> Tensor:
        """[W b] as one matrix [out, features (+1)], from values by parameter name."""
        weight = values[self.weight]
        if self.bias is None:
            return weight
        return torch.cat([weight, values[self.bias].unsqueeze(1)], dim=1)

    def scatter(self, matrix: Tensor) -> Parameters:
        """Undo ``gather``."""
        if self.bias is None:
            return {self.weight: matrix}
        return {self.weight: matrix[:, :-1], self.bias: matrix[:, -1]}


@dataclass
class _Use:
    inputs: Tensor
    bias: str | None
    fixed_bias: bool


@dataclass
class _Uses:
    linear: dict[str, list[_Use]] = field(default_factory=dict)
    other: set[str] = field(default_factory=set)


class _Watch(TorchFunctionMode):
    """Records what each parameter is used for during one forward pass."""

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._names = {id(tensor): name for name, tensor in parameters.items()}
        self.uses = _Uses()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        result = func(*args, **given)
        if func is F.linear:
            self._linear(*args, **given)
        elif any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            # Reading a shape or a dtype is no use; whatever makes a tensor is.
            self._other((args, given))
        return result

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:  # noqa: A002
        self._other(input)
        name = self._names.get(id(weight))
        bias_name = self._names.get(id(bias))
        if name is None:
            self._other(bias)
            return
        use = _Use(input, bias_name, fixed_bias=bias is not None and bias_name is None)
        self.uses.linear.setdefault(name, []).append(use)

    def _other(self, values: Any) -> None:
        self.uses.other.update(
            self._names[id(leaf)] for leaf in tree_leaves(values) if id(leaf) in self._names
        )


def linear_layers(problem: Problem) -> list[LinearLayer]:
    """Run the model once; return the layers that may move, in order of first use."""
    counted = set(problem.counted())
    leaves = {
        name: value.detach().requires_grad_(name in counted)
        for name, value in problem.parameters().items()
    }
    with _Watch(leaves) as watch, torch.enable_grad():
        problem.output(leaves)
    uses = watch.uses
    free = {name for name in uses.linear if name in counted and name not in uses.other}
    owners = _bias_owners(uses)
    return [
        LinearLayer(
            weight=name,
            bias=_moving_bias(name, uses, owners, counted),
            inputs=[use.inputs.detach() for use in uses.linear[name]],
            data_fed=not any(use.inputs.requires_grad for use in uses.linear[name]),
        )
        for name in uses.linear
        if name in free
    ]


def _bias_owners(uses: _Uses) -> dict[str, set[str]]:
    owners: dict[str, set[str]] = {}
    for weight, each in uses.linear.items():
        for use in each:
            if use.bias is not None:
                owners.setdefault(use.bias, set()).add(weight)
    return owners


def _moving_bias(
    weight: str, uses: _Uses, owners: Mapping[str, set[str]], counted: set[str]
) -> str | None:
    """The bias moves with its weight when the two are always used together."""
    names = {use.bias for use in uses.linear[weight]}
    bias = names.pop()
    if names or bias is None or bias not in counted or bias in uses.other:
        return None
    return bias if owners[bias] == {weight} else None
