"""What the encoder and the decoder are made of: blocks of attention and a two-layer perceptron.

Width d in heads of 64, as in the null-space paper. It does not give the rest; assumed are norms
before each half, GELU, an inner width of 4 d, and the sinusoidal table of Vaswani et al. (2017),
arXiv:1706.03762. Queries, keys and values have one packed weight, since their input and with it
the null space is the same. No dropout.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import SpecError

HEAD_WIDTH = 64
_INNER = 4


class Attention(nn.Module):
    """Multi-head self-attention (Eq. 6-7), over all places or over those up to each."""

    def __init__(self, d: int, *, causal: bool, bias: bool) -> None:
        super().__init__()
        self.heads = max(1, d // HEAD_WIDTH)
        self.causal = causal
        self.packed = nn.Linear(d, 3 * d, bias=bias)
        self.out = nn.Linear(d, d, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[samples, length, d]`` to the same shape."""
        samples, length, d = x.shape
        packed = self.packed(x).view(samples, length, 3, self.heads, d // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).reshape(samples, length, d))  # type: ignore[no-any-return]


class Block(nn.Module):
    """x + attention, then + perceptron, each on a normed input."""

    def __init__(self, d: int, *, causal: bool, bias: bool) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d)
        self.attention = Attention(d, causal=causal, bias=bias)
        self.norm = nn.LayerNorm(d)
        self.up = nn.Linear(d, _INNER * d, bias=bias)
        self.down = nn.Linear(_INNER * d, d, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[samples, length, d]`` to the same shape."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.down(F.gelu(self.up(self.norm(x))))  # type: ignore[no-any-return]


def check_width(model: str, d: int) -> None:
    """Refuse a width that heads of 64 do not fill.

    Raises:
        SpecError: d above 64 that is no multiple of it, or odd.
    """
    if d % 2 or (d > HEAD_WIDTH and d % HEAD_WIDTH):
        lower = max(2, d // HEAD_WIDTH * HEAD_WIDTH if d > HEAD_WIDTH else d - 1)
        raise SpecError(
            f"expected an even d up to {HEAD_WIDTH} or a multiple of {HEAD_WIDTH} for --model "
            f"{model}, whose heads are {HEAD_WIDTH} wide; got d={d}: write for example d={lower}"
        )


def positions(length: int, d: int) -> Tensor:
    """The sinusoidal table ``[length, d]``, d even."""
    places = torch.arange(length).unsqueeze(1)
    rates = torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
    return torch.stack([torch.sin(places * rates), torch.cos(places * rates)], dim=2).flatten(1)
