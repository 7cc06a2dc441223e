"""Methods on networks: what each costs, keeps and gains on every one of several."""

from dataclasses import dataclass, replace
from typing import Any

from bench.errors import SpecError
from bench.plan.places import place_of
from bench.plan.points import Plan, Point
from bench.plan.units import Unit, common
from bench.seeds import stable_hash
from bench.spec import checks
from bench.spec.pair import Pair, check_pairs
from bench.spec.spec import Spec, device_kind
from bench.spec.variants import check_variants
from bench.storage.kinds.network_records import NetworkRecord

_SECONDS = 7.0  # of a method on a small network


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section [networks] of a spec; the base's t says how many steps a call takes.

    Attributes:
        pairs: the networks, each with its data set and sizes.
        variants: the methods. One that does not apply to a network says so there.
        growth: the learning rate of those that take one is chosen so that a call multiplies
            ||g||^2 by this. Default 4, as for preservation.
    """

    pairs: tuple[Pair, ...]
    variants: tuple[str, ...]
    growth: float = 4.0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        variants = tuple(map(str, check_variants("networks.variants", self.variants)))
        object.__setattr__(self, "variants", variants)
        object.__setattr__(self, "pairs", check_pairs(self.pairs))
        growth = checks.number("networks.growth", self.growth, above=1)
        object.__setattr__(self, "growth", growth)
        if not (self.pairs and self.variants):
            raise SpecError(
                "expected networks.pairs and variants to hold at least one entry each; got an "
                "empty list: add one, or leave [networks] out"
            )


class Networks:
    """One unit a network; one record a variant."""

    name = "networks"
    settings = Settings
    records = (NetworkRecord,)
    runs = "bench.worker.beside.networks:run_networks"

    def units(self, plan: Plan) -> list[Unit]:
        """Those of a spec with the section."""
        settings: Settings | None = plan.spec.sections.get(self.name)
        if settings is None:
            return []
        return [_unit(plan.spec, settings, pair) for pair in settings.pairs]


def describe_networks(settings: Settings) -> str:
    """The networks and methods in words, before a run."""
    count = len(settings.pairs) * len(settings.variants)
    lines = [f"methods on {pair}" for pair in settings.pairs]
    return "\n".join(
        [
            *lines,
            f"methods: {', '.join(settings.variants)}",
            f"estimated time: some {count * _SECONDS / 60:.0f} min for {count} of them",
        ]
    )


def _unit(spec: Spec, settings: Settings, pair: Pair) -> Unit:
    spec = replace(spec, model=pair.model, dataset=pair.dataset)
    place: dict[str, Any] = {name: getattr(spec, name) for name in ("model", "device", "dtype")}
    sizes: dict[str, Any] = {"d": pair.d, "n": pair.n, "l": pair.l, "t": spec.base["t"], "b": 1}
    point = Point(**sizes, **place, dataset=spec.data)
    asked: dict[str, Any] = {
        "variants": list(settings.variants),
        "growth": settings.growth,
        **common(spec, point),
    }
    there = {**asked["point"], "device": device_kind(spec.device)}
    unit = stable_hash(["networks", {**asked, "point": there, "data_dir": None}])[:16]
    return Unit(
        unit=unit,
        label=f"methods on {pair.model}, {spec.data}",
        command={"do": "networks", "unit": unit, **asked},
        base={"kind": "network", "unit": unit, "method": "", "variant": "", **place_of(point)},
        cell_ids=(unit,),
    )


NETWORKS = Networks()
