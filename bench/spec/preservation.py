"""The section of a spec that says how the drift of the loss is measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from bench.errors import SpecError
from bench.spec import checks
from bench.spec.axes import Axis
from bench.spec.pair import Pair, check_pairs
from bench.spec.variants import Variant, check_variants

STARTS = ("init", "trained")


@dataclass(frozen=True, kw_only=True)
class Preservation:
    """How well the loss is kept, measured at one point apart from the clock.

    Attributes:
        variants: what is measured; one that fixes ``tau`` itself runs at that tau alone, one whose
            method knows no tau runs once.
        taus: the energy thresholds, each in (0, 1]. Default: those asked of the paper's Fig. 6b.
        starts: at the initial weights, "init", or after a short training, "trained".
        growth: the learning rate is chosen so that the last step has multiplied ||g||^2 by this,
            so that methods are compared at the same gain. Default 4, ours.
        pairs: networks, data sets and sizes to measure, one after another, instead of the spec's
            own model and data set at d, n, l; a run with pairs may have no methods to time.
        layers: whose spectrum Fig. 6a shows in front, counted from 1. Default: the second, the
            paper's.
    """

    enabled: bool = True  # False leaves the measurement out
    variants: tuple[Variant, ...] = (Variant("nullspace"), Variant("symmetry"))
    taus: tuple[float, ...] = (1.0, 0.9999, 0.999, 0.99, 0.95, 0.9)
    steps: int = 8  # of the teleport: the paper's t
    starts: tuple[str, ...] = ("init",)
    growth: float = 4.0
    d: int = 128
    n: int = 32
    l: int = 3  # noqa: E741  (the letter of the papers)
    pairs: tuple[Pair, ...] = ()
    layers: tuple[int, ...] = (2,)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        checks.flag("preservation.enabled", self.enabled)
        object.__setattr__(self, "variants", check_variants("preservation.variants", self.variants))
        given = checks.items("preservation.taus", self.taus)
        name = "a threshold of preservation.taus"
        taus = tuple(checks.number(name, tau, above=0, at_most=1) for tau in given)
        starts = checks.items("preservation.starts", self.starts)
        for start in starts:
            checks.choice("preservation.starts", start, STARTS)
        checks.distinct("preservation.taus", taus)
        checks.distinct("preservation.starts", starts)
        object.__setattr__(self, "taus", taus)
        object.__setattr__(self, "starts", starts)
        object.__setattr__(self, "pairs", check_pairs(self.pairs))
        layers = tuple(
            checks.whole("a layer of preservation.layers", layer)
            for layer in checks.items("preservation.layers", self.layers)
        )
        checks.distinct("preservation.layers", layers)
        object.__setattr__(self, "layers", layers)
        growth = checks.number("preservation.growth", self.growth, above=1)
        object.__setattr__(self, "growth", growth)
        for letter in ("steps", "d", "n", "l"):
            checks.whole(f"preservation.{letter}", getattr(self, letter))
        if self.enabled and not (self.variants and taus and starts):
            raise SpecError(
                "expected preservation.variants, taus and starts to hold at least one entry each; "
                "got an empty list: add one, or write enabled = false"
            )

    def within(self, axes: Sequence[Axis]) -> Self:
        """The same, at the nearest level of every axis that names a size; pairs have their own."""
        sizes: dict[str, Any] = {
            axis.name: min(axis.values, key=lambda level: abs(level - getattr(self, axis.name)))
            for axis in axes
            if axis.name in ("d", "n", "l") and not self.pairs
        }
        return replace(self, **sizes)
