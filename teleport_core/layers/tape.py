"""A forward pass that is kept: backward passes at new weights, and tangents, without a new one.

Every use z = A(x, W) + b goes through a function of its own. Its backward reads the weight anew
each time it runs, so that one kept graph answers for all steps of a batch. Moving the weights
inside their null spaces changes no z, so everything else that the graph holds stays true.

Tangents come from the transpose of the transpose. With s a scalar along which every weight moves
by its gradient, E(u) = <u, dX/ds> is linear in u; one backward pass through the graph of E, with
respect to u, is dX/ds = R{X}. The graph of E is built once, with u = 0; its values mean nothing.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from teleport_core.layers.operator import Operator
from teleport_core.layers.view import View
from teleport_core.problem import Parameters
from teleport_core.products import product
from teleport_core.torch_private import without_base


@dataclass(eq=False)
class Tape:
    """What all uses of one forward pass share.

    Attributes:
        parameters: the live values by name.
        along: s, the scalar along which all weights move.
        gradients: of the loss, by name, as far as uses contribute to them.
        norm_sq: of those gradients that are never formed.
        transposing: whether the backward pass that runs builds the graph of E.
    """

    parameters: Parameters
    along: Tensor
    gradients: Parameters = field(default_factory=dict)
    norm_sq: list[Tensor] = field(default_factory=list)
    transposing: bool = False

    def add(self, name: str, view: View, gradient: Tensor) -> None:
        """Add a gradient to that of a part of a parameter."""
        known = self.gradients.get(name)
        if known is None and view == View():
            self.gradients[name] = gradient
            return
        if known is None and view == View(transposed=True):
            self.gradients[name] = gradient.mT
            return
        if known is None:
            known = self.gradients[name] = torch.zeros_like(self.parameters[name])
        view(known).add_(gradient)


@dataclass(eq=False)
class Use:
    """One use z = A(x, W) + b of one weight.

    Attributes:
        operator: A.
        weight: name of the parameter behind W, and which part of it W is.
        bias: likewise, or None; a tensor that is no counted parameter is ``added`` instead.
        x: the input, without its history.
        data_fed: x depends on no counted parameter.
        columns: that x has for the operator.
        keeps: whether the gradient at z is kept for the update.
        gram: X X^T, plus one where the bias counts: for a use with few columns that is the only
            one of its weight, R{z} is taken by way of it and dL/dW is never formed.
        D: dL/dz, when it is kept.
    """

    operator: Operator
    weight: tuple[str, View]
    bias: tuple[str, View] | None
    x: Tensor
    data_fed: bool
    tape: Tape
    version: int
    columns: int = 0
    keeps: bool = False
    gram: Tensor | None = None
    D: Tensor | None = None
    D_gram: Tensor | None = None

    def part(self, values: Parameters) -> Tensor:
        """W of a parameter or of something shaped like it."""
        name, view = self.weight
        return view(values[name])

    def bias_part(self, values: Parameters) -> Tensor | None:
        """Likewise b."""
        return None if self.bias is None else self.bias[1](values[self.bias[0]])

    def forward(self) -> Tensor:
        """Z at the present values."""
        values = self.tape.parameters
        z: Tensor = self.operator.forward(self.x, self.part(values), self.bias_part(values))
        self.columns = self.operator.places(z)
        # A view must not be written in place, and activations after it do that.
        return without_base(z) if z._is_view() else z

    def take(self, D: Tensor) -> None:
        """Add this use's share to the gradients of weight and bias."""
        if self.keeps:
            self.D = D
        if self.gram is not None:
            rows = D.reshape(D.shape[:-1].numel(), D.shape[-1])
            self.D_gram = product(self.gram, rows)
            self.tape.norm_sq.append((rows * self.D_gram).sum())
            return
        gradient = self.operator.weight_gradient(D, self.x, self.part(self.tape.parameters))
        self.tape.add(*self.weight, gradient)
        if self.bias is not None:
            self.tape.add(*self.bias, self.operator.bias_gradient(D))

    def input_gradient(self, D: Tensor) -> Tensor:
        """What reaches x when D reaches z."""
        return self.operator.input_gradient(D, self.x, self.part(self.tape.parameters))

    def tangent(self, x_dot: Tensor | None) -> Tensor | None:
        """R{z}, from R{x} and the gradients; None where nothing moves it."""
        w = self.part(self.tape.parameters)
        if self.D_gram is None and self.weight[0] not in self.tape.gradients:
            # The loss does not read this branch: its weights have no gradient to move along.
            return None if x_dot is None else self.operator.apply(x_dot, w)
        if self.D_gram is not None:
            z_dot = self.D_gram.view(*self.x.shape[:-1], -1)
            return z_dot if x_dot is None else z_dot + self.operator.apply(x_dot, w)
        gradients = self.tape.gradients
        z_dot = self.operator.tangent(self.x, x_dot, w, self.part(gradients))
        bias = self.bias_part(gradients)
        return z_dot if bias is None else z_dot.add_(self.operator.along_channel(bias, z_dot))


class Kept(torch.autograd.Function):
    """z of one use; (x, s, use) -> z."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, along: Tensor, use: Use) -> Tensor:  # noqa: D102
        del x, along
        ctx.set_materialize_grads(False)
        ctx.use = use
        return use.forward()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:  # noqa: D102
        (D,) = gradients
        use, wanted = ctx.use, ctx.needs_input_grad[0]
        if D is None:
            return None, None, None
        if use.tape.transposing:
            return *_Transposed.apply(D, use, wanted), None  # type: ignore[no-untyped-call]
        use.take(D)
        return use.input_gradient(D) if wanted else None, None, None


class _Transposed(torch.autograd.Function):
    """(cotangent of z) -> (cotangents of x and s), of which only the graph is wanted."""

    @staticmethod
    def forward(ctx: Any, D: Tensor, use: Use, wanted: bool) -> Any:
        ctx.set_materialize_grads(False)
        ctx.use = use
        zero = D.new_zeros(())
        return (zero.expand(use.x.shape) if wanted else None), D.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *tangents: Any) -> Any:
        x_dot, along_dot = tangents
        del along_dot  # one, always: the weights move by their gradients
        return ctx.use.tangent(x_dot), None, None
