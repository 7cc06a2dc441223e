"""All groups of a convolution together: what it costs, and that nothing else comes of it."""

from collections import Counter
from typing import Any

import pytest
import torch
from oracles import snapshot
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from teleport_core import Problem, make
from teleport_core.nullspace.bases.spaces import Space
from teleport_core.nullspace.traced.groups import together


def depthwise(channels: int, kernel: int = 3, places: int = 4, bias: bool = True) -> Problem:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, channels, 1),
        nn.GELU(),
        nn.Conv2d(channels, channels, kernel, padding=1, groups=channels, bias=bias),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, 5),
    ).double()
    inputs = torch.randn(2, 3, places, places, dtype=torch.float64)
    return Problem(model, F.cross_entropy, inputs, torch.tensor([1, 2]))


class Calls(TorchDispatchMode):
    """How often each operation is called."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found[str(func.overloadpacket)] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("places", [2, 4], ids=["few columns", "many"])
def test_what_is_called_does_not_depend_on_the_number_of_groups(places: int) -> None:
    """Of a step everything; of the preparation what computes."""
    steps, prepared = [], []
    for channels in (8, 64):
        problem = depthwise(channels, kernel=3, places=places)
        teleporter = make("nullspace", steps=2, lr=1e-3)
        with Calls() as calls:
            state = teleporter.prepare(problem)
        prepared.append(
            {name: n for name, n in calls.found.items() if "linalg" in name or "mm" in name}
        )
        with Calls() as calls:
            teleporter.advance(problem, state)
        steps.append(calls.found)

    assert prepared[0]
    assert prepared[0] == prepared[1]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("bias", [True, False])
def test_groups_of_different_ranks_move_as_the_published_step_moves_them(bias: bool) -> None:
    """One sees zeros, one constants; what is free differs from group to group."""
    ours, published = (depthwise(6, places=3, bias=bias) for _ in range(2))
    for problem in (ours, published):
        with torch.no_grad():
            problem.model[0].weight[0], problem.model[0].bias[0] = 0.0, 0.0
            problem.model[0].weight[1] = 0.0
    moved = make("nullspace", steps=3, lr=0.5)
    slow = make("nullspace", steps=3, lr=0.5, engine="textbook")

    result = moved.advance(ours, moved.prepare(ours))
    expected = slow.advance(published, slow.prepare(published))

    assert len(set(result.null_dims["2.weight"] or [])) == 2 + bias
    assert result.null_dims == expected.null_dims
    assert result.grad_norm_sq[:3] == pytest.approx(expected.grad_norm_sq[:3], rel=1e-10)
    for name, value in snapshot(published).items():
        torch.testing.assert_close(snapshot(ours)[name], value, rtol=1e-9, atol=1e-12)


def test_groups_of_both_kinds_of_bases_and_groups_that_stay_project_at_once() -> None:
    generator = torch.Generator().manual_seed(3)
    Q = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=generator)).Q
    spaces = {
        0: Space(5, 2, span=Q[:, :3]),
        2: Space(5, 1, rest=Q[:, 4:]),
        3: Space(5, 5, span=Q[:, :0]),
    }
    update = torch.randn(4, 2, 5, dtype=torch.float64, generator=generator)

    found = together(4, spaces).project(update)

    for group, space in spaces.items():
        torch.testing.assert_close(found[group], space.project(update[group]))
    assert found[1].count_nonzero() == 0
