"""What happens to a trial where its experiment teleports: a teleport, or what a control does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from bench.problems.factory import Batch
from teleport_core import TeleportResult
from teleport_core.norms import squared_norm


@dataclass
class Move:
    """One batch of a moment: what it did, and losses beside it."""

    status: str
    steps_done: int = 0
    displacement: float = 0.0
    seconds: float | None = None
    equivalents: float | None = None  # None where they cannot be counted
    result: TeleportResult | None = None
    before: tuple[float | None, float | None] = (None, None)  # training and held-out loss
    after: tuple[float | None, float | None] = (None, None)
    kept: bool = True

    def facts(self) -> dict[str, Any]:
        """As a record has them."""
        found: dict[str, Any] = {
            "teleport_status": self.status,
            "steps_done": self.steps_done,
            "displacement": self.displacement,
            "seconds": self.seconds,
            "gradient_equivalents": self.equivalents,
            "train_loss_before": self.before[0],
            "train_loss_after": self.after[0],
            "test_loss_before": self.before[1],
            "test_loss_after": self.after[1],
            "kept": self.kept,
        }
        if self.result is not None:
            ends = {"loss": self.result.loss, "objective": self.result.objective}
            for name, along in ends.items():
                found |= {f"{name}_before": _finite(along[0]), f"{name}_after": _finite(along[-1])}
        return found


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


@dataclass
class Happened:
    """What the latest moment of a trial came to; controls do as their paired arm did.

    Attributes:
        displacements: of each batch.
        equivalents: of all teleports, in forward and backward passes of a training batch.
        gain: gradient norm on the next training batch after the moves over that before them.
        floor: that gradient norm before them.
        lasted: steps until the gradient norm was back at the floor; as many as there were so far.
        over: whether it was.
    """

    step: int
    displacements: list[float] = field(default_factory=list)
    equivalents: float = 0.0
    gain: float = 1.0
    floor: float = 0.0
    lasted: int = 0
    over: bool = False

    def watch(self, norm: float) -> None:
        """Note the gradient norm of a step."""
        self.over = self.over or norm <= self.floor
        self.lasted += not self.over


class Observed:
    """A loader that tells an observer whenever the next batch is asked for.

    What a schedule did on the batch before is over then. It has no attributes but functions, so
    that who puts a loader's parts back finds none.
    """

    __slots__ = ("_draw",)

    def __init__(self, batches: Iterator[Batch], asked: Callable[[], None]) -> None:
        def draw() -> Iterator[Batch]:
            for batch in batches:
                asked()
                yield batch

        self._draw = draw

    def __iter__(self) -> Iterator[Batch]:
        return self._draw()


def values(model: nn.Module) -> list[Tensor]:
    """The present parameters in memory of their own."""
    return [p.detach().clone() for p in model.parameters()]


def distance(one: list[Tensor], other: list[Tensor]) -> float:
    """Euclidean, over all parameters."""
    with torch.no_grad():
        return sqrt(float(squared_norm([a - b for a, b in zip(one, other, strict=True)])))


def perturb(
    model: nn.Module, seed: int, *, length: float | None = None, relative: float = 0.0
) -> None:
    """Move all parameters at random: by ``length`` altogether, or each by a relative N(0, 1)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        own = list(model.parameters())
        drawn = [torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p) for p in own]
        scale = 0.0 if length is None else length / sqrt(float(squared_norm(drawn)))
        for p, noise in zip(own, drawn, strict=True):
            p.add_(scale * noise if length is not None else relative * p * noise)
