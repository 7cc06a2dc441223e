"""The singular values of every layer's input, and what rank rules make of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.preservation.starting_point import Subject
from teleport_core.layers import linear_layers
from teleport_core.rank import RULES

Record = dict[str, Any]


def spectra(where: Subject, taus: Sequence[float] = (1.0,)) -> Iterator[Record]:
    """Singular values of every movable layer's input, squared (the paper's Fig. 6a).

    Beside them the dimensions that each rank rule leaves free at each of ``taus``.
    """
    data_fed = {layer.weight: layer.data_fed for layer in linear_layers(where.problem)}
    parts = Counter(layer.weight for layer in where.inputs)
    seen: Counter[str] = Counter()
    for position, layer in enumerate(where.inputs, 1):
        seen[layer.weight] += 1
        # A grouped convolution has a space for each group.
        part = f" ({seen[layer.weight]})" if parts[layer.weight] > 1 else ""
        yield {
            "layer": layer.weight + part,
            "position": position,
            "rows": layer.shape[0],
            "columns": layer.shape[1],
            "data_fed": data_fed[layer.weight],
            "free": free_dimensions(layer.sigma, layer.shape, where.dtype_of(layer), taus),
            "eigenvalues": layer.sigma.square().tolist(),
        }


def free_dimensions(
    sigma: Tensor, shape: tuple[int, int], dtype: torch.dtype, taus: Sequence[float]
) -> list[Record]:
    """Dimensions of a layer's input that each rank rule leaves free at each threshold.

    Numerical rank has no threshold: it stands once, at tau = 1.
    """
    return [
        {"rule": name, "tau": tau, "dimensions": shape[0] - rule(sigma, shape, dtype, tau)}
        for name, rule in RULES.items()
        for tau in ((1.0,) if name == "numerical" else taus)
    ]
