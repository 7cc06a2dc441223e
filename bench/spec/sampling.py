"""The section of a spec that says how often each cell is timed."""

from dataclasses import dataclass, replace
from typing import Self

from bench.errors import SpecError
from bench.spec import checks

CACHES = ("hot", "cold")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How often the cells of a block are timed; one round times each of them once.

    Attributes:
        warmup: rounds that are always thrown away; more are, until no cell gets faster any more
            (see ``bench.timing.stopping``).
        min_samples: rounds that are always kept. Default 7: the range of 6 samples covers the
            median with 95 %, and an odd count makes the median one of the samples.
        block_seconds: once a block has its minimum, no round is begun after this time; it counts
            from the end of the warm-up.
        target: a block stops as soon as every median is known to this half width of its interval,
            relative to the median. Default 2 %.
        cache: "hot", or "cold": the L2 cache of a GPU is flushed before every sample, off the
            clock.
    """

    warmup: int = 2
    max_warmup: int = 60  # rounds after which the warm-up always ends
    min_samples: int = 7
    max_samples: int = 25  # rounds after which a block always stops
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

    def at_most(self, samples: int) -> Self:
        """The same with no more samples of a cell than these."""
        least = min(self.min_samples, checks.whole("samples", samples))
        return replace(self, min_samples=least, max_samples=samples)
