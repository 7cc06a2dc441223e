"""Transposed convolutions: the same patches, read off an input spread out with zeros."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from teleport_core.layers.convolution import Convolution, batched, sizes


@dataclass(frozen=True)
class TransposedConvolution(Convolution):
    """A batched transposed convolution; its weight is [in, out / groups, *kernel]."""

    transposed: bool = True

    def rows(self, w: Tensor) -> Tensor:
        """[groups, out / groups, in / groups, *kernel]."""
        return torch.unflatten(w, 0, (self.groups, -1)).transpose(1, 2)

    def columns(self, x: Tensor, limit: int) -> Iterator[Tensor]:
        """Patches of the spread input; tap j of the kernel sees tap K-1-j of the window."""
        space = len(self.kernel)
        for piece in self._patches(self._spread(x), (1,) * space, limit):
            taps = torch.unflatten(piece, -1, (-1, *self.kernel))
            yield taps.flip(list(range(-space, 0))).flatten(-1 - space)

    def _patches_of_an_entry(self) -> int:
        """The input is spread out, and the window moves by one."""
        return prod(self.kernel)

    def _spread(self, x: Tensor) -> Tensor:
        """X with stride - 1 zeros between its entries, padded so that every output has a window."""
        lengths = [(n - 1) * s + 1 for n, s in zip(x.shape[2:], self.stride, strict=True)]
        spread = x.new_zeros(*x.shape[:2], *lengths)
        places = [slice(None, None, s) for s in self.stride]
        spread[(slice(None), slice(None), *places)] = x
        each = zip(self.kernel, self.dilation, self.padding, self._output_padding, strict=True)
        ends = [(d * (k - 1) - p, d * (k - 1) - p + more) for k, d, p, more in each]
        return F.pad(spread, [end for pair in reversed(ends) for end in pair])


def convolve_transposed(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """``torch.nn.functional.conv_transpose1d``, ``2d`` and ``3d``."""
    kernel = tuple(weight.shape[2:])
    space = len(kernel)
    given = (stride, padding, dilation, output_padding)
    steps, pads, holes, more = (sizes(value, space) for value in given)
    operator = TransposedConvolution(kernel, steps, pads, holes, groups, output_padding=more)
    return batched(operator, input, weight, bias)
