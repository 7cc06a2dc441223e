"""The forward pass of one batch, frozen: what every step of the fast engine needs of a layer.

Columns are samples. Every tensor that a step writes is allocated here, once.

D, its slope and D M lie in memory by rows where they are much wider than long: W^T D then reads W
in the order in which it is stored, and splitting its inner dimension in two keeps two cores busy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from teleport_core.nullspace.gram import gram_bases
from teleport_core.phases import BASIS
from teleport_core.problem import Problem
from teleport_core.stack import Elementwise, Stack

# Weights of at least a quarter of a million entries, 1 MiB in float32.
_LARGE = 2**18


@dataclass
class FrozenLayer:
    """One layer at the forward pass that all steps share.

    Attributes:
        name: of the weight.
        bias_name: of the bias that moves with it, or None.
        weight: W [out, in], the model's own storage.
        bias: b [out], the model's own storage, when it moves.
        slope: s'(z) [out, n]; ones for the last layer.
        slope_in_place: the same, laid out in memory as D is.
        inputs: X [in, n].
        gram: M [n, n], or None where D M is cheaper by way of X.
        counts: whether weight and bias count in the gradient.
        data_fed: no counted parameter lies beneath: R{X} = 0 and the layer stays.
        basis: Q [in (+1), k]; None when the layer stays.
        D: dL/dz [out, n].
        D_before: its value one step earlier, once there was one.
        along: D M [out, n].
        z_tangent: R{z} [out, n].
        halves: the two halves of the product that gives D [2, n, out], where it is split.
        tangent: R{X} [in, n], and its free part once it was projected.
    """

    name: str
    bias_name: str | None
    weight: Tensor
    bias: Tensor | None
    slope: Tensor
    slope_in_place: Tensor
    inputs: Tensor
    gram: Tensor | None
    counts: tuple[bool, bool]
    data_fed: bool
    basis: Tensor | None
    D: Tensor
    D_before: Tensor
    along: Tensor
    z_tangent: Tensor
    halves: Tensor | None
    tangent: Tensor

    @property
    def features(self) -> int:
        """Rows of the representation matrix: inputs, and one for a bias that moves."""
        return self.weight.shape[1] + (self.bias_name is not None)

    def take_gradient_from(self, upper: "FrozenLayer") -> None:
        """D = s'(z) * (W^T D) of the layer above."""
        self.D, self.D_before = self.D_before, self.D
        if self.halves is not None:
            half = upper.weight.shape[0] // 2
            D = upper.D.T.reshape(-1, 2, half).transpose(0, 1)
            torch.bmm(D, upper.weight.view(2, half, -1), out=self.halves)
            torch.add(self.halves[0], self.halves[1], out=self.D.T)
        else:
            torch.mm(upper.weight.T, upper.D, out=self.D)
        self.D.mul_(self.slope_in_place)

    def push_tangent_to(self, upper: "FrozenLayer") -> None:
        """R{z} = D M + W R{X}, and R{X} = s'(z) * R{z} of the layer above."""
        if self.data_fed:
            torch.mul(self.along, self.slope_in_place, out=upper.tangent)
        else:
            torch.addmm(self.along, self.weight, self.tangent, out=self.z_tangent)
            torch.mul(self.z_tangent, self.slope, out=upper.tangent)

    def gradient_norm_sq(self) -> Tensor:
        """||dL/d[W b]||^2 = <D, D M>."""
        self.along_gradient()
        return torch.dot(_flat(self.D), _flat(self.along))

    def along_gradient(self) -> Tensor:
        """D M: what z gains when W and b move along their gradients."""
        if self.gram is not None:
            torch.mm(self.D, self.gram, out=self.along)
            return self.along
        if self.counts[0]:
            torch.mm(self.D @ self.inputs.T, self.inputs, out=self.along)
        else:
            self.along.zero_()
        if self.counts[1]:
            self.along.add_(self.D.sum(1, keepdim=True))
        return self.along

    def has_free_inputs(self) -> bool:
        """Whether the inputs leave a direction free, for a layer whose basis was not computed."""
        if self.features > self.inputs.shape[1]:
            return True
        (found,) = gram_bases([self.inputs], ones=self.bias_name is not None)
        return found.vectors.shape[1] < self.features


def _flat(matrix: Tensor) -> Tensor:
    """All entries in memory order, of a matrix stored by rows or by columns."""
    return matrix.as_strided((matrix.numel(),), (1,))


@dataclass
class _Pass:
    """What the forward pass leaves: of each layer inputs X [in, n] and slopes s'(z) [out, n]."""

    inputs: list[Tensor]
    slopes: list[Tensor]
    loss: Tensor
    top: Tensor


def freeze(problem: Problem, stack: Stack) -> tuple[list[FrozenLayer], Tensor, Tensor]:
    """Run the stack once; the layers, the loss, and dL/dz of the last layer [out, n]."""
    values = problem.parameters()
    with torch.no_grad():
        forward = _forward(problem, stack, values)
        layers = _layers(stack, values, forward)
        _find_bases(layers)
    return layers, forward.loss, forward.top


def _forward(problem: Problem, stack: Stack, values: dict[str, nn.Parameter]) -> _Pass:
    """Each layer's z is a leaf of its own, so that one call of autograd gives all derivatives.

    The derivative of an elementwise map is that of the sum of its values.
    """
    x = problem.tensors()[0].detach()
    for flatten in stack.flattens:
        x = flatten(x)
    leading = x.shape[:-1]
    x = x.reshape(-1, x.shape[-1]).T
    inputs: list[Tensor] = []
    leaves: list[Tensor] = []
    ends: list[Tensor] = []
    for layer in stack.layers:
        inputs.append(x)
        z = values[layer.weight] @ x
        if layer.bias is not None:
            z += values[layer.bias][:, None]
        if layer is not stack.layers[-1]:
            leaves.append(z.requires_grad_(True))
            with torch.enable_grad():
                ends.append(_through(z, layer.activations))
            x = ends[-1].detach()
    output = z.T.reshape(*leading, z.shape[0]).requires_grad_(True)
    with torch.enable_grad():
        loss = problem.loss_fn(output, problem.targets)
    *slopes, top = torch.autograd.grad(
        [*ends, loss],
        [*leaves, output],
        [*map(torch.ones_like, ends), None],
        allow_unused=True,
        materialize_grads=True,
    )
    top = top.reshape(-1, z.shape[0]).T
    return _Pass(inputs, [*slopes, torch.ones_like(top)], loss.detach(), top)


def _through(z: Tensor, activations: tuple[Elementwise, ...]) -> Tensor:
    for sigma in activations:
        z = sigma(z)
    return z


def _layers(stack: Stack, values: dict[str, nn.Parameter], forward: _Pass) -> list[FrozenLayer]:
    """The layers with their buffers, bases not yet found."""
    layers: list[FrozenLayer] = []
    data_fed = True
    for position, layer in enumerate(stack.layers):
        weight, x = values[layer.weight], forward.inputs[position]
        bias = None if layer.bias is None else values[layer.bias]
        counts = (weight.requires_grad, bias is not None and bias.requires_grad)
        (features, n), out = x.shape, weight.shape[0]
        above = [values[upper.weight] for upper in stack.layers[position + 1 : position + 2]]
        split = any(_pays_to_split(upper, n) for upper in above)
        slope = forward.slopes[position]
        one = FrozenLayer(
            name=layer.weight,
            bias_name=layer.bias if all(counts) else None,
            weight=weight.detach(),
            bias=bias.detach() if all(counts) and bias is not None else None,
            slope=slope,
            slope_in_place=slope.T.contiguous().T if split else slope,
            inputs=x,
            gram=None,
            counts=counts,
            data_fed=data_fed,
            basis=None,
            D=_empty(x, out, n, by_rows=split),
            D_before=_empty(x, out, n, by_rows=split),
            along=_empty(x, out, n, by_rows=split),
            z_tangent=x.new_empty((0, 0) if data_fed else (out, n)),
            halves=x.new_empty(2, n, out) if split else None,
            tangent=x.new_empty((0, 0) if data_fed else (features, n)),
        )
        data_fed = data_fed and not any(counts)
        layers.append(one)
    return layers


def _pays_to_split(above: Tensor, n: int) -> bool:
    """Whether W^T D is split: W too large for the nearest cache, D much thinner than W."""
    out = above.shape[0]
    wide = out % 2 == 0 and 8 * n <= out and above.numel() >= _LARGE
    return wide and above.is_contiguous() and above.device.type == "cpu"


def _empty(x: Tensor, out: int, n: int, *, by_rows: bool) -> Tensor:
    """An [out, n] matrix; ``by_rows`` stores the n-rows of its transpose one after another.

    Each in memory of its own: a product's last bits may depend on where its operands begin.
    """
    return x.new_empty(n, out).T if by_rows else x.new_empty(out, n)


def _find_bases(layers: list[FrozenLayer]) -> None:
    """Bases of all layers that may move, those with inputs of one shape together; then M."""
    alike: dict[tuple[int, bool], list[FrozenLayer]] = {}
    for layer in layers:
        if layer.counts[0] and not layer.data_fed:
            key = (layer.inputs.shape[0], layer.bias_name is not None)
            alike.setdefault(key, []).append(layer)
    for (_, ones), same in alike.items():
        with BASIS:
            found = gram_bases([layer.inputs for layer in same], ones=ones)
        for layer, basis in zip(same, found, strict=True):
            layer.basis = basis.vectors if basis.vectors.shape[1] < layer.features else None
            if layer.counts[1] == ones:
                layer.gram = basis.gram
    for layer in layers:
        if layer.gram is None and layer.inputs.shape[1] < 2 * layer.inputs.shape[0]:
            layer.gram = _gram(layer.inputs, layer.counts)


def _gram(x: Tensor, counts: tuple[bool, bool]) -> Tensor:
    """M = X^T X where the weight counts, plus 1 where the bias does."""
    gram = x.T @ x if counts[0] else x.new_zeros(x.shape[1], x.shape[1])
    return gram + 1 if counts[1] else gram
