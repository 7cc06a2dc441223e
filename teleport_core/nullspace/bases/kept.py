"""Bases that serve several calls, and where an engine gets its bases from.

A move inside the exact null spaces changes no activation of the batch, so that what was found of
the inputs holds for the next call on the same batch. Whether it does is told by the inputs
themselves, which each call computes anyhow.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Protocol, Self, TypeVar

from torch import Tensor

from teleport_core.errors import OptionError
from teleport_core.nullspace.bases import file
from teleport_core.nullspace.bases.inputs import (
    Fingerprint,
    Inputs,
    change,
    fingerprint,
    tolerance,
)
from teleport_core.problem import Problem

T = TypeVar("T")

_AGAIN = "call teleport_core.nullspace.keep_bases"


class Source(Protocol):
    """Where an engine gets what it needs to know of the inputs of its layers."""

    def of(
        self, engine: str, kind: type[T], layers: Sequence[Inputs], decompose: Callable[[], list[T]]
    ) -> list[T]:
        """Of each layer a ``kind``, fields of tensors and numbers; ``decompose`` finds it."""


class Fresh:
    """Every call decomposes."""

    def of(
        self, engine: str, kind: type[T], layers: Sequence[Inputs], decompose: Callable[[], list[T]]
    ) -> list[T]:
        """By decomposition."""
        del engine, kind, layers
        return decompose()


FRESH = Fresh()


@dataclass(frozen=True, eq=False)
class KeptLayer:
    """What was found of one layer's inputs, field by field, and what these were."""

    inputs: Fingerprint
    found: dict[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Bases:
    """Bases of the inputs of a model's layers on one batch, for ``teleport(..., bases=bases)``.

    ``keep_bases`` makes them. They are never written, so that several calls may share them.

    Attributes:
        engine: the way of computing steps that they are for.
        rank_rule: by which they were cut.
        tau: its threshold.
        parameters: name of each parameter of the model -> its shape and dtype.
        layers: by weight; where parts of a weight see inputs of their own, "name[1]", ....
    """

    engine: str
    rank_rule: str
    tau: float
    parameters: dict[str, str]
    layers: dict[str, KeptLayer]

    def of(
        self, engine: str, kind: type[T], layers: Sequence[Inputs], decompose: Callable[[], list[T]]
    ) -> list[T]:
        """What was kept; nothing is decomposed.

        Raises:
            OptionError: another engine asks, or the inputs of a layer are not what they were.
        """
        del decompose
        if engine != self.engine:
            raise OptionError(
                f"expected bases for the engine {engine!r}, which this call takes; these were kept "
                f"for {self.engine!r}: {_AGAIN} with the same engine"
            )
        return [kind(**self._of(name, inputs)) for name, inputs in _named(layers)]

    def _of(self, name: str, inputs: Inputs) -> dict[str, Any]:
        kept = self.layers.get(name)
        if kept is None:
            raise OptionError(
                f"expected bases of every layer that may move; there are none of {name}, which "
                f"could not move when they were kept: {_AGAIN} again"
            )
        now = fingerprint(inputs)
        if now.facts != kept.inputs.facts:
            raise OptionError(
                f"expected the batch for which the bases were kept; the inputs of {name} were "
                f"[{kept.inputs.facts}] and are [{now.facts}]: {_AGAIN} again"
            )
        off = change(kept.inputs, now)
        if not off <= tolerance(inputs):
            raise OptionError(
                f"expected the inputs for which the bases were kept; those of {name} changed by "
                f"{off:.2g} of their size: either this is another batch, or weights were trained, "
                f"or moved so far that rounding shows: {_AGAIN} again"
            )
        device = inputs.uses[0][0].device
        return {n: v.to(device) if isinstance(v, Tensor) else v for n, v in kept.found.items()}

    def require_model(self, problem: Problem) -> None:
        """Refuse another model, or the same in another dtype.

        Raises:
            OptionError: a parameter is not what it was.
        """
        given = facts_of(problem)
        for name in [*self.parameters, *given]:
            was, now = self.parameters.get(name, "missing"), given.get(name, "missing")
            if was != now:
                raise OptionError(
                    f"expected the model for which the bases were kept; its parameter {name} was "
                    f"{was} and is {now}: {_AGAIN} for this model"
                )

    def require_rule(self, rank_rule: str, tau: float) -> None:
        """Refuse another rank rule or threshold.

        Raises:
            OptionError: see there.
        """
        if (rank_rule, tau) != (self.rank_rule, self.tau):
            raise OptionError(
                f"expected bases cut by rank_rule={rank_rule!r} at tau={tau}; these were cut by "
                f"rank_rule={self.rank_rule!r} at tau={self.tau}: {_AGAIN} with the same options"
            )

    def save(self, path: str | PathLike[str]) -> None:
        """Write them to a file. It has neither weights nor samples, but what these span."""
        own = {name: value for name, value in vars(self).items() if name != "layers"}
        layers = {
            name: {**kept.inputs._asdict(), "found": kept.found}
            for name, kept in self.layers.items()
        }
        file.write(path, own | {"layers": layers})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read them into the memory of the CPU; nothing in the file is executed.

        Raises:
            OptionError: ``save`` did not write it.
            OSError: it cannot be read.
        """
        own = file.read(path)
        layers = {
            name: KeptLayer(Fingerprint(one["facts"], one["sketches"]), one["found"])
            for name, one in own.pop("layers").items()
        }
        return cls(**own, layers=layers)


class Recorder:
    """Decomposes, and keeps what was found."""

    def __init__(self) -> None:
        self._engine = ""
        self._layers: dict[str, KeptLayer] = {}

    def of(
        self, engine: str, kind: type[T], layers: Sequence[Inputs], decompose: Callable[[], list[T]]
    ) -> list[T]:
        """By decomposition."""
        del kind
        found = decompose()
        self._engine = engine
        for (name, inputs), one in zip(_named(layers), found, strict=True):
            self._layers[name] = KeptLayer(fingerprint(inputs), _fields(one))
        return found

    def bases(self, problem: Problem, rank_rule: str, tau: float) -> Bases:
        """All that was found."""
        return Bases(self._engine, rank_rule, tau, facts_of(problem), self._layers)


def facts_of(problem: Problem) -> dict[str, str]:
    """Shape and dtype of every parameter, in words."""
    return {n: f"{tuple(p.shape)} {p.dtype}" for n, p in problem.parameters().items()}


def _fields(one: Any) -> dict[str, Any]:
    """Of a named tuple or a dataclass."""
    return dict(one._asdict() if hasattr(one, "_asdict") else vars(one))


def _named(layers: Sequence[Inputs]) -> Iterator[tuple[str, Inputs]]:
    """The parts of a weight, such as the groups of a convolution, by number."""
    seen: Counter[str] = Counter()
    for inputs in layers:
        part = seen[inputs.weight]
        seen[inputs.weight] += 1
        yield f"{inputs.weight}[{part}]" if part else inputs.weight, inputs
