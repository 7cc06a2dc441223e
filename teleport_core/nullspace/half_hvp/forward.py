"""Freezing the forward pass of one batch: slopes, Gram matrices and bases of a chain of layers."""

from functools import partial

import torch
from torch import Tensor

from teleport_core import products
from teleport_core.nullspace.bases.gram import GramBasis, gram_bases
from teleport_core.nullspace.bases.inputs import Inputs
from teleport_core.nullspace.bases.kept import Source
from teleport_core.nullspace.half_hvp.chain import Chain, Link, NoChain
from teleport_core.nullspace.half_hvp.layer import FrozenLayer, empty
from teleport_core.phases import BASIS
from teleport_core.problem import Problem
from teleport_core.verification.derivatives import graph


def freeze(problem: Problem, chain: Chain, source: Source) -> tuple[list[FrozenLayer], Tensor]:
    """The layers of a chain, and dL/dz of the last one [out, n].

    Raises:
        NoChain: the loss depends on an activation otherwise than by the layers above it.
    """
    values = problem.parameters()
    top, slopes = _derivatives(chain)
    n = chain.links[0].x.shape[:-1].numel()
    fast = [_by_onednn(n, values[link.weight]) for link in chain.links]
    columns = any(fast)
    with torch.no_grad():
        layers: list[FrozenLayer] = []
        data_fed = True
        for link, slope, by_onednn in zip(chain.links, slopes, fast, strict=True):
            where = (by_onednn, columns, data_fed)
            layers.append(_layer(problem, link, _matrix(slope, columns), where))
            data_fed = data_fed and not any(layers[-1].counts)
        _find_bases(layers, source)
    return layers, _matrix(top, columns)


def _derivatives(chain: Chain) -> tuple[Tensor, list[Tensor]]:
    """dL/dz of the last layer, and s'(z) of every layer; ones for the last."""
    # The derivative of an elementwise map is that of the sum of its values.
    *lower, last = chain.links
    given = [link.z for link in chain.links]
    _require_alone(chain.loss, given[:-1])
    ends = [link.end for link in lower]
    along = [*map(torch.ones_like, ends), None]
    *slopes, top = torch.autograd.grad(
        [*ends, chain.loss], given, along, allow_unused=True, materialize_grads=True
    )
    return top, [*slopes, torch.ones_like(last.z)]


def _require_alone(loss: Tensor, leaves: list[Tensor]) -> None:
    """Refuse a loss with one of ``leaves`` in its graph."""
    below = {id(leaf) for leaf in leaves}
    if any(id(getattr(node, "variable", None)) in below for node in graph([loss])):
        raise NoChain("the loss reads an activation")


def _matrix(x: Tensor, columns: bool) -> Tensor:
    """[..., features] as [features, n]; columns one after another in memory, or rows."""
    flat = x.reshape(-1, x.shape[-1]).T
    return flat if columns else flat.contiguous()


def _by_onednn(n: int, weight: Tensor) -> bool:
    """Whether oneDNN is the faster one for W and for W^T times n columns."""
    return products.gains(n, weight) and products.gains(n, weight.T)


def _layer(
    problem: Problem, link: Link, slope: Tensor, where: tuple[bool, bool, bool]
) -> FrozenLayer:
    """One layer with its buffers, its basis not yet found."""
    by_onednn, columns, data_fed = where
    values = problem.parameters()
    weight, x = values[link.weight], _matrix(link.x, columns)
    bias = None if link.bias is None else values[link.bias]
    counts = (weight.requires_grad, bias is not None and bias.requires_grad)
    (features, n), out = x.shape, weight.shape[0]
    return FrozenLayer(
        name=link.weight,
        bias_name=link.bias if all(counts) else None,
        weight=weight.detach(),
        bias=bias.detach() if all(counts) and bias is not None else None,
        slope=slope,
        inputs=x,
        gram=None,
        counts=counts,
        data_fed=data_fed,
        basis=None,
        D=empty(x, out, n, columns=columns),
        D_before=empty(x, out, n, columns=columns),
        along=empty(x, out, n, columns=columns),
        tangent=empty(x, 0 if data_fed else features, n, columns=columns),
        by_onednn=by_onednn,
        columns=columns,
    )


def _find_bases(layers: list[FrozenLayer], source: Source) -> None:
    """Bases of all layers that may move, those with inputs of one shape together; then M."""
    alike: dict[tuple[int, bool], list[FrozenLayer]] = {}
    for layer in layers:
        if layer.counts[0] and not layer.data_fed:
            key = (layer.inputs.shape[0], layer.bias_name is not None)
            alike.setdefault(key, []).append(layer)
    for (_, ones), same in alike.items():
        with BASIS:
            decompose = partial(gram_bases, [layer.inputs for layer in same], ones=ones)
            inputs = [Inputs(layer.name, ones, [(layer.inputs.T, None)]) for layer in same]
            found = source.of("half_hvp", GramBasis, inputs, decompose)
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
