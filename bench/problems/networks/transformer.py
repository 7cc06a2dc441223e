"""The Transformer encoder of the null-space paper, for sequential MNIST and time series.

d is the width, in heads of 64, and l the number of blocks. The paper's is d=128, l=2 for
sequential MNIST and d=256, l=4 for the series. For classes the places are averaged, as there; for
values, "without pooling", the head reads the last place, whose successor is to be told.
"""

from torch import Tensor, nn

from bench.problems.networks.attention import Block, check_width, positions
from bench.problems.networks.network import Shape, require_sequences


class Transformer(nn.Module):
    """A linear embedding plus positions, blocks, a norm, a linear head."""

    table: Tensor

    def __init__(self, shape: Shape, length: int, values: int) -> None:
        super().__init__()
        self.pooled = shape.task == "classes"
        self.embedding = nn.Linear(values, shape.d, bias=shape.bias)
        self.register_buffer("table", positions(length, shape.d))
        blocks = [Block(shape.d, causal=False, bias=shape.bias) for _ in range(shape.l)]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(shape.d)
        self.head = nn.Linear(shape.d, shape.outputs, bias=shape.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[samples, length, values]`` to ``[samples, outputs]``."""
        hidden = self.norm(self.blocks(self.embedding(x) + self.table))
        return self.head(hidden.mean(dim=1) if self.pooled else hidden[:, -1])  # type: ignore[no-any-return]


def build(shape: Shape) -> Transformer:
    """The encoder for a data set of sequences.

    Raises:
        SpecError: no sequences, or a width that heads of 64 do not fill.
    """
    length, values = require_sequences("transformer", shape)
    check_width("transformer", shape.d)
    return Transformer(shape, length, values)
