"""The multilayer perceptron, the network of the sweep.

d is the width of every hidden layer and l the number of weight layers. The null-space paper's
784-1024-1024-10 is d=1024, l=3; its 784-16-10-10 is the model mlp-16-10.
"""

import re
from itertools import pairwise
from math import prod

from torch import nn

from bench.errors import SpecError
from bench.problems.networks.network import Build, Shape, require_numbers

NEGATIVE_SLOPE = 0.1
_WIDTHS = re.compile(r"mlp(-[1-9][0-9]{0,5})+")


def build(shape: Shape) -> nn.Sequential:
    """``l`` weight layers with LeakyReLU(0.1) in between; takes flat inputs.

    This activation is bijective, so both symmetry actions apply; without biases every method does
    the same work. Weights are U[-1/sqrt(fan_in), 1/sqrt(fan_in)], torch's default.

    Raises:
        SpecError: the data set holds text.
    """
    require_numbers("mlp", shape)
    return _stack(shape, [shape.d] * (shape.l - 1))


def with_widths(model: str) -> Build:
    """The same with the hidden widths that a name such as ``mlp-16-10`` lists; d and l are unused.

    Raises:
        SpecError: a name that lists no widths.
    """
    if not _WIDTHS.fullmatch(model):
        raise SpecError(
            f"expected the hidden widths after mlp, each a whole number; got {model!r}: write for "
            "example mlp-16-10"
        )
    widths = [int(width) for width in model.split("-")[1:]]

    def build_these(shape: Shape) -> nn.Sequential:
        require_numbers(model, shape)
        return _stack(shape, widths)

    return build_these


def _stack(shape: Shape, hidden: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([prod(shape.sample), *hidden, shape.outputs]):
        if layers:
            layers.append(nn.LeakyReLU(NEGATIVE_SLOPE))
        layers.append(nn.Linear(inputs, outputs, bias=shape.bias))
    return nn.Sequential(*layers)
