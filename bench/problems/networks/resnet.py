"""The residual network of the null-space paper for Tiny-ImageNet.

Channels 3-64-64-64-128-128-128-256-256-256: three stages of an entry convolution with stride 2
and a residual block of two convolutions. d is the number of channels of the first stage, which
doubles with each further one, and l the number of weight layers, three a stage and the head; the
paper's is d=64, l=10. Batch norm is ours: the paper says nothing of norms. Images come at their
official 64 x 64; the paper enlarges them to 224 x 224.
"""

from torch import Tensor, nn

from bench.errors import SpecError
from bench.problems.networks.network import Shape, require_images

_A_STAGE = 3


def build(shape: Shape) -> nn.Sequential:
    """Stages, average pooling over the image, a linear head.

    Raises:
        SpecError: no images, or a depth that is not whole stages.
    """
    channels, height, width = require_images("resnet", shape)
    stages, rest = divmod(shape.l - 1, _A_STAGE)
    if stages < 1 or rest:
        nearest = max(1, stages) * _A_STAGE + 1
        raise SpecError(
            "expected l = 4, 7, 10, ... for --model resnet, three convolutions a stage and the "
            f"head; got l={shape.l}: write for example --axis l={nearest}"
        )
    most = min(height, width).bit_length() - 1
    if stages > most:
        raise SpecError(
            f"expected l <= {most * _A_STAGE + 1} for --model resnet on {shape.dataset}, since "
            f"each stage halves images of {height} x {width}; got l={shape.l}"
        )
    layers: list[nn.Module] = []
    for number in range(stages):
        wider = shape.d * 2**number
        layers += [_entry(channels, wider, bias=shape.bias), Residual(wider, bias=shape.bias)]
        channels = wider
    head = nn.Linear(channels, shape.outputs, bias=shape.bias)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


class Residual(nn.Module):
    """x + two convolutions of x, then ReLU."""

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[samples, channels, height, width]`` to the same shape."""
        inner = nn.functional.relu(self.first_norm(self.first(x)))
        return nn.functional.relu(x + self.second_norm(self.second(inner)))


def _entry(channels: int, wider: int, *, bias: bool) -> nn.Sequential:
    convolution = nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=bias)
    return nn.Sequential(convolution, nn.BatchNorm2d(wider), nn.ReLU())
