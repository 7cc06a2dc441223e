"""The Transformer decoder of the null-space paper, for language.

d is the width, in heads of 64, and l the number of blocks; the paper's is d=256, l=4. As there it
is the encoder with an embedding in the place of the first linear layer, a causal mask, and the
vocabulary as outputs at every place; embedding and head are not tied.
"""

from torch import Tensor, nn

from bench.problems.networks.attention import Block, check_width, positions
from bench.problems.networks.network import Shape, require_text


class Decoder(nn.Module):
    """Embedding plus positions, causal blocks, a norm, a linear head."""

    table: Tensor

    def __init__(self, shape: Shape, length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.outputs, shape.d)
        self.register_buffer("table", positions(length, shape.d))
        blocks = [Block(shape.d, causal=True, bias=shape.bias) for _ in range(shape.l)]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(shape.d)
        self.head = nn.Linear(shape.d, shape.outputs, bias=shape.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[samples, length]`` to scores of the next token, ``[samples, length, outputs]``."""
        hidden = self.blocks(self.embedding(tokens) + self.table)
        return self.head(self.norm(hidden))  # type: ignore[no-any-return]


def build(shape: Shape) -> Decoder:
    """The decoder for a data set of text.

    Raises:
        SpecError: no text, or a width that heads of 64 do not fill.
    """
    length = require_text("decoder", shape)
    check_width("decoder", shape.d)
    return Decoder(shape, length)
