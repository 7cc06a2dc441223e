"""The section of a spec that says how a probe looks before anybody trains."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.errors import SpecError
from bench.spec import checks
from bench.spec.variants import Variant, check_variants, parse_variant

PLAIN = "plain"
"""The arm that is not teleported."""

# The learning rates of each optimizer's sweep unless others are named, a factor of 2 apart: those
# at which 64-128-128-10 on the digits goes from slow to divergent, and lower ones, as a teleport
# that raises the gradient lowers the best learning rate.
LEARNING_RATES: Mapping[str, tuple[float, ...]] = {
    "sgd": tuple(0.00625 * 2**k for k in range(9)),
    "momentum": tuple(0.000625 * 2**k for k in range(9)),
    "adagrad": tuple(0.00125 * 2**k for k in range(10)),
    "rmsprop": tuple(0.000125 * 2**k for k in range(10)),
    "adam": tuple(0.00025 * 2**k for k in range(10)),
    "adamw": tuple(0.00025 * 2**k for k in range(10)),
}
OPTIMIZERS = tuple(LEARNING_RATES)

# Options that say how far a variant goes: one of its own is left as it is.
_REACH = ("growth", "lr", "max_drift")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What is tried from the same weights on the same batches, seed by seed.

    Attributes:
        optimizers: each by itself.
        variants: methods with options; one that names no growth, lr or max_drift is tried at each
            of ``growths``. ``steps`` is the spec's t.
        growths: what ||g||^2 is multiplied by, batch after batch.
        epochs: where it is looked: after so many epochs of plain training, 0 at the start.
        horizons: steps after which the loss is looked at; the last decides.
        lrs: of every arm's sweep, plain training's too; none takes the optimizer's own.
        seeds: of weights and batches; an interval takes 6.
        batches: an epoch, whose mean loss is what decreases.
        teleports: of these batches so many are teleported on, one after another.
        advise: whether a table of what can move goes with it.
    """

    optimizers: tuple[str, ...] = ("sgd",)
    variants: tuple[str, ...] = ("nullspace", "symmetry")
    growths: tuple[float, ...] = (2.0, 4.0, 16.0)
    epochs: tuple[int, ...] = (0, 2)
    horizons: tuple[int, ...] = (1, 10, 100)
    lrs: tuple[float, ...] = ()
    seeds: int = 8
    batches: int = 32
    teleports: int = 4
    advise: bool = False

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for name in ("optimizers", "variants", "growths", "epochs", "horizons", "lrs"):
            values = checks.items(f"probe.{name}", getattr(self, name))
            checks.distinct(f"probe.{name}", values)
            if not values and name != "lrs":
                raise SpecError(f"expected probe.{name} to name at least one; got none: add one")
            object.__setattr__(self, name, values)
        for optimizer in self.optimizers:
            checks.choice("an optimizer of probe.optimizers", optimizer, OPTIMIZERS)
        self._keep("variants", map(str, check_variants("probe.variants", self.variants)))
        self._keep("growths", (self._number("growths", each, 1) for each in self.growths))
        self._keep("lrs", sorted(self._number("lrs", each, 0) for each in self.lrs))
        self._keep("epochs", sorted(self._whole("epochs", each, 0) for each in self.epochs))
        self._keep("horizons", sorted(self._whole("horizons", each, 1) for each in self.horizons))
        for name in ("seeds", "batches", "teleports"):
            checks.whole(f"probe.{name}", getattr(self, name))
        checks.flag("probe.advise", self.advise)
        if self.teleports > self.batches:
            raise SpecError(
                f"expected probe.teleports <= probe.batches, {self.batches}; got {self.teleports}: "
                "a batch is teleported on once"
            )
        checks.distinct("the arms of the probe", self.arms)

    @property
    def arms(self) -> tuple[str, ...]:
        """Every variant at every growth, in writing."""
        variants = map(parse_variant, self.variants)
        return tuple(str(arm) for each in variants for arm in _arms(each, self.growths))

    def lrs_of(self, optimizer: str) -> tuple[float, ...]:
        """The learning rates of a sweep, ascending."""
        return self.lrs or LEARNING_RATES[optimizer]

    def _keep(self, name: str, values: object) -> None:
        object.__setattr__(self, name, tuple(values))  # type: ignore[arg-type]

    @staticmethod
    def _number(name: str, value: object, above: float) -> float:
        return checks.number(f"each of probe.{name}", value, above=above)

    @staticmethod
    def _whole(name: str, value: object, at_least: int) -> int:
        return checks.whole(f"each of probe.{name}", value, at_least=at_least)


def _arms(variant: Variant, growths: tuple[float, ...]) -> list[Variant]:
    if any(name in variant.options for name in _REACH):
        return [variant]
    return [Variant(variant.method, {**variant.options, "growth": growth}) for growth in growths]
