"""The two sections of a spec that say how to measure: sampling, and preservation."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from bench.errors import SpecError
from bench.spec import checks
from bench.spec.axes import Axis
from bench.spec.variants import Variant, parse_variant, refuse_reserved

STARTS = ("init", "trained")
CACHES = ("hot", "cold")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How often the cells of a block are timed; one round times each of them once.

    Attributes:
        warmup: rounds that are always thrown away; more are, until no cell gets faster any more
            (see ``bench.timing.stopping``).
        max_warmup: rounds after which the warm-up always ends.
        min_samples: rounds that are always kept. Default 7: the range of 6 samples covers the
            median with 95 %, and an odd count makes the median one of the samples.
        max_samples: rounds after which a block always stops.
        block_seconds: once a block has its minimum, no round is begun after this time; it counts
            from the end of the warm-up.
        target: a block stops as soon as every median is known to this half width of its interval,
            relative to the median. Default 2 %.
        cache: "hot", or "cold": the L2 cache of a GPU is flushed before every sample, off the
            clock.
    """

    warmup: int = 2
    max_warmup: int = 60
    min_samples: int = 7
    max_samples: int = 25
    block_seconds: float = 10.0
    target: float = 0.02
    cache: str = "hot"

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        checks.whole("sampling.warmup", self.warmup, at_least=0)
        checks.whole("sampling.min_samples", self.min_samples)
        checks.whole("sampling.max_samples", self.max_samples)
        if self.max_samples < self.min_samples:
            raise SpecError(
                f"expected sampling.max_samples >= sampling.min_samples ({self.min_samples}); "
                f"got {self.max_samples}: raise the one or lower the other"
            )
        checks.whole("sampling.max_warmup", self.max_warmup, at_least=self.warmup)
        target = checks.number("sampling.target", self.target, above=0)
        object.__setattr__(self, "target", target)
        checks.choice("sampling.cache", self.cache, CACHES)
        seconds = checks.number("sampling.block_seconds", self.block_seconds, above=0)
        object.__setattr__(self, "block_seconds", seconds)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A network on a data set, with its sizes: one of several whose preservation is measured.

    Attributes:
        model: as in a spec.
        dataset: as in a spec.
        d: hidden width.
        n: batch size.
        l: depth.
    """

    model: str
    dataset: str
    d: int
    n: int
    l: int  # noqa: E741  (the letter of the papers)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for name in ("model", "dataset"):
            checks.text(f"{name} of a pair", getattr(self, name))
        for letter in ("d", "n", "l"):
            checks.whole(f"{letter} of a pair", getattr(self, letter))

    def __str__(self) -> str:
        """``cnn on cifar-10, d=16, n=64, l=4``."""
        return f"{self.model} on {self.dataset}, d={self.d}, n={self.n}, l={self.l}"


@dataclass(frozen=True, kw_only=True)
class Preservation:
    """How well the loss is kept, measured at one point apart from the clock.

    Attributes:
        enabled: False leaves the measurement out.
        variants: what is measured; one that fixes ``tau`` itself runs at that tau alone, one whose
            method knows no tau runs once.
        taus: the energy thresholds, each in (0, 1]. Default: those asked of the paper's Fig. 6b.
        steps: teleport steps. Default 8, the paper's t.
        starts: at the initial weights, "init", or after a short training, "trained".
        growth: the learning rate is chosen so that the last step has multiplied ||g||^2 by this,
            so that methods are compared at the same gain. Default 4, ours.
        d: hidden width.
        n: batch size.
        l: weight layers.
        pairs: networks, data sets and sizes to measure, one after another, instead of the spec's
            own model and data set at d, n, l; a run with pairs may have no methods to time.
        layers: whose spectrum Fig. 6a shows in front, counted from 1. Default: the second, the
            paper's.
    """

    enabled: bool = True
    variants: tuple[Variant, ...] = (Variant("nullspace"), Variant("symmetry"))
    taus: tuple[float, ...] = (1.0, 0.9999, 0.999, 0.99, 0.95, 0.9)
    steps: int = 8
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
        object.__setattr__(self, "pairs", _check_pairs(self.pairs))
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


def _check_pairs(pairs: object) -> tuple[Pair, ...]:
    """Pairs as a tuple, each once; tables are read as pairs."""
    found = tuple(_pair(entry) for entry in checks.items("preservation.pairs", pairs))
    checks.distinct("preservation.pairs", found)
    return found


def _pair(entry: object) -> Pair:
    if isinstance(entry, Pair):
        return entry
    names = [f.name for f in fields(Pair)]
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise SpecError(
            f"expected a pair to be a table of {', '.join(names)}; got {checks.shown(entry)}: "
            'write for example {model = "cnn", dataset = "cifar-10", d = 16, n = 64, l = 4}'
        )
    return Pair(**entry)


def check_variants(name: str, variants: object) -> tuple[Variant, ...]:
    """Variants as a tuple, each once and none of them reserved; texts are read as variants."""
    found = tuple(_variant(name, entry) for entry in checks.items(name, variants))
    for variant in found:
        refuse_reserved(variant)
    checks.distinct(name, found)
    return found


def _variant(name: str, entry: object) -> Variant:
    return entry if isinstance(entry, Variant) else parse_variant(checks.text(name, entry))


def section_of(kind: type[Any], name: str, table: object) -> Any:
    """Build ``kind`` from a TOML table whose keys are its fields."""
    if not isinstance(table, dict):
        raise SpecError(f"expected [{name}] to be a table; got {checks.shown(table)}")
    known = [f.name for f in fields(kind)]
    for key in table:
        if key not in known:
            raise checks.unknown_name(f"a key of [{name}]", key, known)
    return kind(**table)
