"""The networks of the sweep."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

NEGATIVE_SLOPE = 0.1


def mlp(features: int, classes: int, d: int, l: int, *, bias: bool, seed: int) -> "nn.Sequential":  # noqa: E741
    """An MLP of ``l`` weight layers, hidden width ``d``, LeakyReLU(0.1) in between.

    This activation is bijective, so both symmetry actions apply; without biases every method
    does the same work. Weights are U[-1/sqrt(fan_in), 1/sqrt(fan_in)], torch's default.
    """
    import torch
    from torch import nn

    widths = [features, *[d] * (l - 1), classes]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for i in range(l):
            if i:
                layers.append(nn.LeakyReLU(NEGATIVE_SLOPE))
            layers.append(nn.Linear(widths[i], widths[i + 1], bias=bias))
    return nn.Sequential(*layers)
