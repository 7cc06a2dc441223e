"""Convolutions of one to three dimensions; a weight W [out, in / groups, *kernel] sees patches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from teleport_core.layers.operator import Operator, use
from teleport_core.norms import square_sum

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Convolution(Operator):
    """A batched convolution [n, channels, *space] with zero padding on both sides."""

    kernel: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes
    groups: int
    channel: int = 1

    transposed: bool = False
    output_padding: Sizes = ()

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        """The convolution, without a bias."""
        return self.forward(x, w, None)

    def forward(self, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution and its bias."""
        return torch.convolution(
            x, w, bias, self.stride, self.padding, self.dilation,
            self.transposed, self._output_padding, self.groups,
        )  # fmt: skip

    def rows(self, w: Tensor) -> Tensor:
        """[groups, out / groups, in / groups, *kernel]."""
        return torch.unflatten(w, 0, (self.groups, -1))

    def input_gradient(self, g: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """By the kernel of the backward pass."""
        return self._backward(g, x, w, (True, False, False))[0]

    def weight_gradient(self, g: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """By the kernel of the backward pass: no patches are laid out."""
        return self._backward(g, x, w, (False, True, False))[1]

    def columns(self, x: Tensor, limit: int) -> Iterator[Tensor]:
        """Patches, a few samples or a few lines of one sample at a time."""
        padded = F.pad(x, [p for pad in reversed(self.padding) for p in (pad, pad)])
        yield from self._patches(padded, self.stride, limit)

    def energy(self, x: Tensor) -> Tensor | None:
        """Each entry times how many patches it is in at most."""
        grouped = torch.unflatten(x, 1, (self.groups, -1))
        sums = [square_sum(grouped[:, g]).double() for g in range(self.groups)]
        return self._patches_of_an_entry() * torch.stack(sums)

    def _patches_of_an_entry(self) -> int:
        """As many as the kernel has places at one stride's distance."""
        each = zip(self.kernel, self.stride, self.dilation, strict=True)
        return prod(k if d > 1 else -(-k // s) for k, s, d in each)

    def _patches(self, x: Tensor, stride: Sequence[int], limit: int) -> Iterator[Tensor]:
        """Windows over a padded input, flattened to [groups, columns, features]."""
        windows = x
        for axis, (size, step, holes) in enumerate(
            zip(self.kernel, stride, self.dilation, strict=True), start=2
        ):
            windows = windows.unfold(axis, holes * (size - 1) + 1, step)[..., ::holes]
        lines, line = windows.shape[2], windows[0, 0, 0].numel() // prod(self.kernel)
        samples = max(1, limit // (lines * line))
        rows = lines if samples > 1 else max(1, min(lines, limit // line))
        for some in torch.split(windows, samples):
            for piece in torch.split(some, rows, dim=2):
                yield self._flat(piece)

    def _flat(self, windows: Tensor) -> Tensor:
        space = len(self.kernel)
        grouped = torch.unflatten(windows, 1, (self.groups, -1))
        places = [0, *range(3, 3 + space)]
        patch = [2, *range(3 + space, 3 + 2 * space)]
        ordered = grouped.permute(1, *places, *patch)
        features = windows.shape[1] // self.groups * prod(self.kernel)
        return ordered.reshape(self.groups, -1, features)

    @property
    def _output_padding(self) -> Sizes:
        return self.output_padding or (0,) * len(self.kernel)

    def _backward(
        self, g: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor, Tensor, Tensor]:
        found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
            g, x, w, None, self.stride, self.padding, self.dilation,
            self.transposed, self._output_padding, self.groups, wanted,
        )  # fmt: skip
        return found


def convolve(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """``torch.nn.functional.conv1d``, ``conv2d`` and ``conv3d``."""
    kernel = tuple(weight.shape[2:])
    space = len(kernel)
    holes = sizes(dilation, space)
    if padding == "valid":
        padding = 0
    if padding == "same":
        whole = [d * (k - 1) for d, k in zip(holes, kernel, strict=True)]
        padding = [p // 2 for p in whole]
        odd = [side for p in reversed(whole) for side in (0, p % 2)]
        input = F.pad(input, odd) if any(odd) else input  # noqa: A001
    assert not isinstance(padding, str)
    operator = Convolution(kernel, sizes(stride, space), sizes(padding, space), holes, groups)
    return batched(operator, input, weight, bias)


def batched(operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Use ``operator`` on a batch, or on a single sample as a batch of one."""
    if x.dim() == weight.dim():
        return use(operator, x, weight, bias)
    return use(operator, x.unsqueeze(0), weight, bias).squeeze(0)


def sizes(value: int | Sequence[int], space: int) -> Sizes:
    """One number for every dimension."""
    if isinstance(value, int):
        return (value,) * space
    return tuple(value) * (space if len(value) == 1 else 1)
