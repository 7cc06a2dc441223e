"""Records of a probe: what an arm came to from one start, and what can move at all."""

from typing import Annotated

from msgspec import Meta, Struct, field

from bench.spec.probe import PLAIN
from bench.storage.record import Level, Record, Whole

__all__ = ["PLAIN", "AdviceRecord", "ProbeRecord", "Trained"]

Positive = Annotated[float, Meta(gt=0)]


class Trained(Struct, kw_only=True, gc=False):
    """Mean losses of all batches after the steps of each horizon, at one learning rate.

    None where the loss was not finite any more.
    """

    lr: Positive
    losses: list[float | None]


class ProbeRecord(Record, kw_only=True, tag="probe"):
    """One arm from one start of one seed; losses are means over the batches of an epoch.

    ``gain`` is <g, u(g)>, where g is the gradient of that mean and -lr u(g) the optimizer's next
    step along it: the decrease of the loss to first order, for a learning rate of 1.
    """

    optimizer: str
    seed: Whole
    epochs: Whole
    variant: str
    horizons: Annotated[list[Level], Meta(min_length=1)]
    sweep: list[Trained] = field(default_factory=list)
    loss_start: float | None = None
    loss_moved: float | None = None
    gain: float | None = None
    grown: list[float] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    move_s: float | None = None
    step_s: Positive | None = None

    def __post_init__(self) -> None:
        """Refuse a sweep that does not fit the horizons."""
        if any(len(trained.losses) != len(self.horizons) for trained in self.sweep):
            raise ValueError("expected a loss for each horizon")


class AdviceRecord(Record, kw_only=True, tag="advice"):
    """What ``teleport_core.advise`` says of the model on the first batches, in words."""

    text: str
