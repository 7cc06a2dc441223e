"""Nets whose units have scales of their own, each with the number of those that are free."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Net:
    """``free``: scales, one for each set of units that share one, counted by hand."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    free: int

    def model(self) -> nn.Module:
        """With running statistics and norms that are not those of a fresh one."""
        torch.manual_seed(0)
        model = self.build().double()
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias)
        model(self.inputs(9))
        return model

    def inputs(self, n: int, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(n, *self.shape, generator=generator, dtype=torch.float64)


class Written(nn.Module):
    """A module whose forward method is a function of its children."""

    def __init__(self, forward: Callable[["Written", Tensor], Tensor], **children: nn.Module):
        super().__init__()
        self.function = forward
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


class Block(nn.Module):
    """As in ResNet-18, with functional activations."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if channels != out:
            conv = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm1(self.conv1(x)), inplace=True)
        h = self.norm2(self.conv2(h))
        h += self.shortcut(x)
        return F.relu(h)


def residual_net(*blocks: tuple[int, int, int]) -> nn.Module:
    """A stem, blocks of (channels in, out, stride), a mean over pixels and a head."""

    def forward(self: Written, x: Tensor) -> Tensor:
        h = F.max_pool2d(F.relu(self.norm(self.conv(x))), 3, 2, 1)
        h = F.adaptive_avg_pool2d(self.blocks(h), 1)
        return self.head(torch.flatten(h, 1))

    first, last = blocks[0][0], blocks[-1][1]
    return Written(
        forward,
        conv=nn.Conv2d(3, first, 3, 1, 1, bias=False),
        norm=nn.BatchNorm2d(first),
        blocks=nn.Sequential(*(Block(*block) for block in blocks)),
        head=nn.Linear(last, 3),
    )


def resnet() -> nn.Module:
    return residual_net((4, 4, 1), (4, 4, 1), (4, 6, 2), (6, 6, 1))


def resnet_18() -> nn.Module:
    """Its eight blocks in four stages, narrow."""
    widths = (3, 4, 5, 6)
    stages = zip((3, *widths[:-1]), widths, (1, 2, 2, 2), strict=True)
    pairs = (((c, out, stride), (out, out, 1)) for c, out, stride in stages)
    return residual_net(*(block for pair in pairs for block in pair))


def parameter_free_shortcut() -> nn.Module:
    """Every other pixel, and channels of zeros beside it."""

    def forward(self: Written, x: Tensor) -> Tensor:
        h = F.relu(self.first(x))
        h = F.relu(self.second(h) + F.pad(h[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1)))
        return self.last(h.mean((2, 3)))

    first, second = nn.Conv2d(2, 3, 3, 1, 1), nn.Conv2d(3, 5, 3, 2, 1)
    return Written(forward, first=first, second=second, last=nn.Linear(5, 3))


def dense() -> nn.Module:
    def forward(self: Written, x: Tensor) -> Tensor:
        one = F.relu(self.one(x))
        two = F.leaky_relu(self.two(one), 0.2)
        h = self.three(torch.cat([x, one, two], dim=1))
        left, right = h.relu().chunk(2, dim=1)
        return self.last(torch.stack([left, right], dim=1).flatten(1))

    return Written(
        forward, one=nn.Linear(4, 3), two=nn.Linear(3, 2), three=nn.Linear(9, 6),
        last=nn.Linear(6, 3),
    )  # fmt: skip


def by_hand() -> nn.Module:
    """Numbers, masks and sums that do not disturb a scale."""

    def forward(self: Written, x: Tensor) -> Tensor:
        mask = (x[:, :1] > 0).double()
        h = 2 * torch.relu(self.one(x)) * mask / 3
        h = sum([h, -self.two(h), h / mask.shape[0]])
        return self.last(torch.maximum(h, self.three(h)))

    layers = {name: nn.Linear(5, 5) for name in ("one", "two", "three")}
    return Written(forward, **layers, last=nn.Linear(5, 3))


def recurrent() -> nn.Module:
    """The same layer at every step, so that all steps share their scales."""

    def forward(self: Written, x: Tensor) -> Tensor:
        h = self.reads(x[:, 0])
        for step in range(1, x.shape[1]):
            h = torch.relu(self.goes_on(h) + self.reads(x[:, step]))
        return self.last(h)

    return Written(
        forward, reads=nn.Linear(4, 5), goes_on=nn.Linear(5, 5, bias=False), last=nn.Linear(5, 3)
    )


def mixer() -> nn.Module:
    """A layer over tokens ties channels, one over channels ties tokens."""

    def forward(self: Written, x: Tensor) -> Tensor:
        h = F.relu(self.over_channels(x))
        h = F.relu(self.over_tokens(h.transpose(1, 2))).mean(dim=1)
        return self.last(h)

    return Written(
        forward, over_channels=nn.Linear(4, 5), over_tokens=nn.Linear(6, 7), last=nn.Linear(7, 3)
    )


def tokens() -> nn.Module:
    """Whole numbers are looked up, put beside activations and used as indices; none is a unit."""

    def forward(self: Written, x: Tensor) -> Tensor:
        numbers = (10 * x).long().clamp(-3, 3).abs().reshape(-1, 4)
        h = F.relu(self.one(self.table(numbers)[:, 0]))
        h = torch.cat([numbers, F.relu(self.two(h))], dim=1)[:, torch.tensor([6, 0, 1, 4, 5])]
        return self.last(h)

    return Written(
        forward, table=nn.Embedding(4, 6), one=nn.Linear(6, 5), two=nn.Linear(5, 3),
        last=nn.Linear(5, 3),
    )  # fmt: skip


def partly() -> nn.Module:
    """Tanh, a norm and softmax in some places leave others free."""
    return nn.Sequential(
        nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.LayerNorm(4),
        nn.Linear(4, 3), nn.LogSoftmax(-1),
    )  # fmt: skip


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU(inplace=True),
        nn.MaxPool2d(2), nn.Conv2d(4, 5, 2, bias=False), nn.PReLU(5), nn.AvgPool2d(2, 1),
        nn.Flatten(), nn.Dropout(0.0), nn.Linear(5 * 2 * 2, 3),
    )  # fmt: skip


def normed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3, bias=False),
        nn.BatchNorm2d(5), nn.PReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 6),
        nn.BatchNorm1d(6), nn.LeakyReLU(0.3), nn.Linear(6, 3),
    )  # fmt: skip


def depthwise() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(),
        nn.Conv2d(4, 6, 1, groups=2), nn.ReLU(), nn.Conv2d(6, 3, 4),
    )  # fmt: skip


def transposed() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(2, 4, 2), nn.ReLU(), nn.ConvTranspose2d(4, 6, 2, 2, groups=2),
        nn.ReLU(), nn.PixelShuffle(1), nn.Upsample(scale_factor=2), nn.Conv2d(6, 2, 3),
    )  # fmt: skip


def one_and_three_axes() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.ReLU(), nn.MaxPool1d(2), nn.ConvTranspose1d(4, 5, 2, groups=1),
        nn.ReLU(), nn.Unflatten(2, (2, 2, 2)), nn.Conv3d(5, 6, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(6, 3),
    )  # fmt: skip


NETS: dict[str, Net] = {
    "mlp": Net(
        lambda: nn.Sequential(
            nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 7, bias=False), nn.LeakyReLU(0.1),
            nn.Identity(), nn.Linear(7, 3),
        ), (6,), 16,
    ),
    "sequence": Net(
        lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), (5, 4), 6
    ),
    "convolutions": Net(convolutions, (2, 8, 8), 9),
    "batch norm": Net(normed, (2, 6, 6), 4 + 5 + 6),
    "depthwise": Net(depthwise, (2, 6, 6), 4 + 4 + 6),
    "transposed": Net(transposed, (2, 3, 3), 4 + 6),
    "1d and 3d": Net(one_and_three_axes, (2, 16), 4 + 5 + 6),
    "resnet": Net(resnet, (3, 12, 12), 4 + 2 * 4 + 6 + 2 * 6),
    "resnet-18": Net(resnet_18, (3, 12, 12), 3 * (3 + 4 + 5 + 6)),
    "parameter-free shortcut": Net(parameter_free_shortcut, (2, 4, 4), 3 + 2),
    "dense": Net(dense, (4,), 3 + 2 + 6),
    "by hand": Net(by_hand, (5,), 5),
    "recurrent": Net(recurrent, (3, 4), 5),
    "mixer": Net(mixer, (6, 4), 1 + 7),
    "tokens": Net(tokens, (4,), 5 + 3),
    "partly": Net(partly, (4,), 5),
}  # fmt: skip
