"""Nets put together at random: whatever is found free must leave outputs alone."""

import copy
import random
from collections.abc import Callable

import pytest
import torch
from rescale_nets import Net
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.rescale.teleporter import RescaleTeleporter
from teleport_core import ModelError, Problem

WIDTH = 4
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="circular"),
    "depthwise": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False),
    "groups": lambda: nn.Conv2d(WIDTH, WIDTH, 1, groups=2),
    "transposed": lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 3, padding=1, groups=2),
    "norm": lambda: nn.BatchNorm2d(WIDTH),
    "slopes": lambda: nn.PReLU(WIDTH),
}
# From an activation and an earlier one, both [samples, WIDTH, 3, 3].
OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda h, _: F.relu(h),
    "in place": lambda h, _: h.clone().relu_(),
    "leaky": lambda h, _: F.leaky_relu(h, 0.2),
    "pool": lambda h, _: F.max_pool2d(h, 3, 1, 1) - F.avg_pool2d(h, 3, 1, 1),
    "sum": lambda h, e: sum([h, -e]),  # type: ignore[arg-type,return-value]
    "sum in place": lambda h, e: h.clone().add_(e, alpha=0.5),
    "maximum": torch.maximum,
    "halves": lambda h, e: torch.cat([h.chunk(2, 1)[1], e[:, :2]], 1),
    "mix": lambda h, e: torch.stack([h, e], 2).flatten(1, 2)[:, 1 : WIDTH + 1],
    "shift": lambda h, _: F.pad(h, (0, 0, 0, 0, 1, 0))[:, :WIDTH],
    "order": lambda h, _: h.roll(1, 1)[:, torch.tensor([2, 0, 3, 1])].transpose(2, 3),
    "view": lambda h, _: h.reshape(-1, 2, 2, 3, 3).transpose(1, 2).reshape(h.shape),
    "mean": lambda h, _: h - h.mean((2, 3), keepdim=True),
    "gate": lambda h, e: h * torch.sigmoid(e.mean((2, 3), keepdim=True)),
    "norm of channels": lambda h, _: F.layer_norm(h.permute(0, 2, 3, 1), (WIDTH,)).movedim(3, 1),
}
RARE = ("mean", "gate", "norm of channels")


class RandomNet(nn.Module):
    """Layers and operations in an order of chance, one layer used twice."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        names = [*LAYERS, *OPERATIONS, *LAYERS, *OPERATIONS]
        names = [name for name in names if name not in RARE or draw.random() < 0.3]
        self.plan = [(name, draw.random()) for name in draw.choices(names, k=draw.randint(5, 12))]
        self.plan.append(("convolution 0", 0.0))
        self.layers = nn.ModuleDict(
            {
                f"{name} {k}": LAYERS[name]()
                for k, (name, _) in enumerate(self.plan)
                if name in LAYERS
            }
        )
        self.layers["convolution 0"] = LAYERS["convolution"]()
        self.first, self.last = nn.Conv2d(2, WIDTH, 1), nn.Linear(9 * WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        before = [self.first(x)]
        for k, (name, share) in enumerate(self.plan):
            h, earlier = before[-1], before[int(share * len(before))]
            layer = name if name in self.layers else f"{name} {k}"
            before.append(
                self.layers[layer](h) if layer in self.layers else OPERATIONS[name](h, earlier)
            )
        return self.last(F.relu(before[-1]).flatten(1))


def smooth(output: Tensor, targets: object) -> Tensor:
    return (output.square() + output).mean()


@pytest.mark.parametrize("train", [True, False])
def test_random_nets_keep_their_outputs_and_have_the_norm_that_was_said(train: bool) -> None:
    moved = 0
    for seed in range(30):
        net = Net(lambda seed=seed: RandomNet(seed), (2, 3, 3), 0)  # type: ignore[misc]
        model = net.model().train(train)
        problem, others = Problem(model, smooth, net.inputs(5), None), net.inputs(7, seed=2)
        before = copy.deepcopy(model)(others).detach()
        method = RescaleTeleporter(policy="random", bound=0.8, steps=1)
        try:
            result = method.advance(problem, method.prepare(problem))
        except ModelError:
            continue
        off = (copy.deepcopy(model)(others).detach() - before).abs().max() / before.abs().max()
        gradient = torch.autograd.grad(problem.loss(), list(model.parameters()), allow_unused=True)
        norm_sq = sum(float(g.square().sum()) for g in gradient if g is not None)
        assert float(off) < 1e-10, model.plan
        assert result.grad_norm_sq[-1] == pytest.approx(norm_sq, rel=1e-9), model.plan
        moved += 1

    assert moved > 20
