"""Records of descents on a function of two numbers, and of the function around them."""

from itertools import pairwise
from typing import Annotated

from msgspec import Meta, Struct, field

from bench.storage.record import Record, Whole

_MOST = 10_000


class Visit(Struct, kw_only=True, gc=False):
    """A point of a descent, with the loss and ||g||^2 there; None where they are not finite.

    ``step`` is the gradient step that begins at it, or at the point to which a teleport leads
    from it; ``teleported`` says that a teleport led to it.
    """

    step: Whole
    x: float
    y: float
    loss: float | None = None
    grad_norm_sq: float | None = None
    teleported: bool = False


class DescentRecord(Record, kw_only=True, tag="descent"):
    """Gradient descent with teleports of one variant, or without any, as ``plain``."""

    variant: str
    visits: Annotated[list[Visit], Meta(max_length=_MOST)] = field(default_factory=list)


class LandscapeRecord(Record, kw_only=True, tag="landscape"):
    """The function on a grid that holds all descents: ``values[i][j]`` is f(x[j], y[i])."""

    x: Annotated[list[float], Meta(min_length=2, max_length=_MOST)]
    y: Annotated[list[float], Meta(min_length=2, max_length=_MOST)]
    values: list[list[float | None]]
    minimisers: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse a grid that is none, or values that do not fit it."""
        if any(after <= before for side in (self.x, self.y) for before, after in pairwise(side)):
            raise ValueError("expected coordinates in ascending order")
        rows = {len(row) for row in self.values}
        if len(self.values) != len(self.y) or rows != {len(self.x)}:
            raise ValueError("expected a value for each point of the grid")
