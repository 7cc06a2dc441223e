"""The convolutional network of the null-space paper for CIFAR: channels 3-16-32-64 and a head.

d is the number of channels after the first convolution, which doubles with each further one, and
l the number of weight layers: l - 1 convolutions and the head. The paper's is d=16, l=4. It does
not give the kernels; 3 x 3 with padding 1 is assumed.
"""

from torch import nn

from bench.errors import SpecError
from bench.problems.networks.network import Shape, require_images


def build(shape: Shape) -> nn.Sequential:
    """Convolution, ReLU and max pooling l - 1 times, then a linear head on all that is left.

    Raises:
        SpecError: no images, or too many poolings for their size.
    """
    channels, height, width = require_images("cnn", shape)
    most = min(height, width).bit_length()
    if not 2 <= shape.l <= most:
        raise SpecError(
            f"expected l from 2 to {most} for --model cnn on {shape.dataset}, since each of its "
            f"l - 1 poolings halves images of {height} x {width}; got l={shape.l}"
        )
    layers: list[nn.Module] = []
    for number in range(shape.l - 1):
        wider = shape.d * 2**number
        convolution = nn.Conv2d(channels, wider, 3, padding=1, bias=shape.bias)
        layers += [convolution, nn.ReLU(), nn.MaxPool2d(2)]
        channels, height, width = wider, height // 2, width // 2
    head = nn.Linear(channels * height * width, shape.outputs, bias=shape.bias)
    return nn.Sequential(*layers, nn.Flatten(), head)
