"""Freezing the forward pass of one batch: the stack run once, slopes, Gram matrices and bases."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from teleport_core import products
from teleport_core.nullspace.bases.gram import gram_bases
from teleport_core.nullspace.half_hvp.layer import FrozenLayer, empty
from teleport_core.phases import BASIS
from teleport_core.problem import Problem
from teleport_core.stack import Stack


@dataclass
class _Pass:
    """What the forward pass leaves: of each layer inputs X [in, n] and slopes s'(z) [out, n]."""

    # Columns lie in memory one after another where ``by_onednn`` holds for any layer.

    inputs: list[Tensor]
    slopes: list[Tensor]
    loss: Tensor
    top: Tensor
    by_onednn: list[bool]


def freeze(problem: Problem, stack: Stack) -> tuple[list[FrozenLayer], Tensor, Tensor]:
    """Run the stack once; the layers, the loss, and dL/dz of the last layer [out, n]."""
    values = problem.parameters()
    with torch.no_grad():
        forward = _forward(problem, stack, values)
        layers = _layers(stack, values, forward)
        _find_bases(layers)
    return layers, forward.loss, forward.top


def _forward(problem: Problem, stack: Stack, values: dict[str, nn.Parameter]) -> _Pass:
    """Each layer's z is a leaf of its own, so that one call of autograd gives all derivatives."""
    # The derivative of an elementwise map is that of the sum of its values.
    x = problem.tensors()[0].detach()
    for flatten in stack.flattens:
        x = flatten(x)
    leading = x.shape[:-1]
    x = x.reshape(-1, x.shape[-1])
    fast = [_by_onednn(x.shape[0], values[layer.weight]) for layer in stack.layers]
    columns = any(fast)
    x = x if columns else x.T
    inputs: list[Tensor] = []
    leaves: list[Tensor] = []
    ends: list[Tensor] = []
    for layer in stack.layers:
        inputs.append(x.T if columns else x)
        bias = None if layer.bias is None else values[layer.bias]
        z = _linear(x, values[layer.weight], bias, columns=columns)
        if layer is not stack.layers[-1]:
            leaves.append(z.requires_grad_(True))
            end = z
            with torch.enable_grad():
                for sigma in layer.activations:
                    end = sigma.forward(end)
            ends.append(end)
            x = end.detach()
    z = z if columns else z.T.contiguous()  # as the model hands it to the loss
    output = z.reshape(*leading, z.shape[1]).requires_grad_(True)
    with torch.enable_grad():
        loss = problem.loss_of(output)
    along = [*map(torch.ones_like, ends), None]
    *slopes, top = torch.autograd.grad(
        [*ends, loss], [*leaves, output], along, allow_unused=True, materialize_grads=True
    )
    top = top.reshape(-1, z.shape[1]).T
    slopes = [*(s.T if columns else s for s in slopes), torch.ones_like(top)]
    return _Pass(inputs, slopes, loss.detach(), top, fast)


def _by_onednn(n: int, weight: Tensor) -> bool:
    """Whether oneDNN is the faster one for W and for W^T times n columns."""
    return products.gains(n, weight) and products.gains(n, weight.T)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None, *, columns: bool) -> Tensor:
    """W x + b of each sample, as they lie in memory: samples first where ``columns``, or last."""
    if columns:
        return products.linear(x, weight, bias)
    z = weight @ x
    return z if bias is None else z.add_(bias[:, None])


def _layers(stack: Stack, values: dict[str, nn.Parameter], forward: _Pass) -> list[FrozenLayer]:
    """The layers with their buffers, bases not yet found."""
    layers: list[FrozenLayer] = []
    data_fed, columns = True, any(forward.by_onednn)
    for position, layer in enumerate(stack.layers):
        weight, x = values[layer.weight], forward.inputs[position]
        bias = None if layer.bias is None else values[layer.bias]
        counts = (weight.requires_grad, bias is not None and bias.requires_grad)
        (features, n), out = x.shape, weight.shape[0]
        fast = forward.by_onednn[position]
        one = FrozenLayer(
            name=layer.weight,
            bias_name=layer.bias if all(counts) else None,
            weight=weight.detach(),
            bias=bias.detach() if all(counts) and bias is not None else None,
            slope=forward.slopes[position],
            inputs=x,
            gram=None,
            counts=counts,
            data_fed=data_fed,
            basis=None,
            D=empty(x, out, n, columns=columns),
            D_before=empty(x, out, n, columns=columns),
            along=empty(x, out, n, columns=columns),
            tangent=empty(x, 0 if data_fed else features, n, columns=columns),
            by_onednn=fast,
            columns=columns,
        )
        data_fed = data_fed and not any(counts)
        layers.append(one)
    return layers


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
