"""Convolutions of every kind, for the zoo."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from zoo_problem import images, noise, problem

from teleport_core import Problem


def conv2d() -> Problem:
    return images(
        nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, 4),
        ), 2, 2, 6,
    )  # fmt: skip


def conv1d_circular() -> Problem:
    model = nn.Sequential(
        nn.Conv1d(3, 8, 3, padding=1, padding_mode="circular"), nn.Tanh(),
        nn.Conv1d(8, 8, 5, padding=2, padding_mode="circular"), nn.Tanh(),
        nn.Conv1d(8, 4, 3, padding=1, padding_mode="reflect"), nn.Tanh(), nn.Flatten(),
        nn.Linear(32, 4),
    )  # fmt: skip
    return problem(model, noise(3, 3, 8), 4, (3,))


def conv_same() -> Problem:
    return images(
        nn.Sequential(
            nn.Conv2d(2, 8, 3, padding="same"), nn.GELU(),
            nn.Conv2d(8, 8, (4, 3), padding="same", dilation=(1, 2), padding_mode="replicate"),
            nn.GELU(), nn.Conv2d(8, 6, 4, padding="same"), nn.GELU(),
            nn.AvgPool2d(5), nn.Flatten(), nn.Linear(6, 4),
        ), 2, 2, 5,
    )  # fmt: skip


def conv3d() -> Problem:
    model = nn.Sequential(
        nn.Conv3d(1, 6, 2), nn.Tanh(), nn.Conv3d(6, 6, 2, stride=2), nn.Tanh(), nn.Flatten(),
        nn.Linear(6, 3),
    )  # fmt: skip
    return problem(model, noise(4, 1, 4, 4, 4), 3, (4,))


class GroupedResidual(nn.Module):
    """Grouped, dilated and strided convolutions, batch norm in train mode, a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2)
        self.inner = nn.BatchNorm2d(8)
        self.down = nn.Conv2d(8, 12, 3, stride=2, groups=4)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.first(x)))
        h = h + torch.relu_(self.inner(self.grouped(h)))
        return self.head(F.gelu(self.down(h)).mean((2, 3)))


def depthwise_separable() -> Problem:
    return images(
        nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(),
            nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.Conv2d(8, 12, 1), nn.SiLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4),
        ), 2, 3, 6,
    )  # fmt: skip


def transposed() -> Problem:
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2), nn.ELU(),
        nn.ConvTranspose2d(6, 8, 3, stride=2, output_padding=1), nn.ELU(),
        nn.ConvTranspose2d(8, 6, 3, padding=1, dilation=2, groups=2), nn.ELU(),
        nn.Flatten(), nn.Linear(600, 4),
    )  # fmt: skip
    return problem(model, noise(2, 2, 7, 7), 4, (2,))


def transposed1d() -> Problem:
    model = nn.Sequential(
        nn.Linear(5, 5), nn.Tanh(), nn.ConvTranspose1d(4, 6, 4, stride=3, padding=2), nn.Tanh(),
        nn.Conv1d(6, 6, 3, stride=3), nn.Tanh(), nn.Flatten(), nn.Linear(24, 4),
    )  # fmt: skip
    return problem(model, noise(2, 4, 5), 4, (2,))


def transposed3d() -> Problem:
    model = nn.Sequential(
        nn.Conv3d(1, 6, 2), nn.Tanh(), nn.ConvTranspose3d(6, 5, 2, stride=2), nn.Tanh(),
        nn.Flatten(), nn.Linear(40, 3),
    )  # fmt: skip
    return problem(model, noise(3, 1, 2, 2, 2), 3, (3,))


def unet() -> Problem:
    """Skips by concatenation, instance norm, upsampling."""

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(1, 6, 3, padding=1)
            self.deep = nn.Conv2d(6, 10, 3, padding=1)
            self.norm = nn.InstanceNorm2d(10, affine=True)
            self.up = nn.ConvTranspose2d(10, 6, 2, stride=2)
            self.out = nn.Conv2d(12, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            a = torch.tanh(self.down(x))
            b = torch.tanh(self.norm(self.deep(F.avg_pool2d(a, 2))))
            return self.out(torch.cat([a, torch.tanh(self.up(b))], 1)).movedim(1, -1)

    return problem(UNet(), noise(1, 1, 4, 4), 3, (1, 4, 4))
