"""Teleports across ranks: what a call takes, and what goes over the wire, on so many processes."""

from dataclasses import dataclass
from typing import Any

from bench.errors import SpecError
from bench.measurements.training import point_of_training
from bench.plan.places import place_of
from bench.plan.points import Plan
from bench.plan.units import Unit, common
from bench.seeds import stable_hash
from bench.spec import checks
from bench.spec.spec import Spec, device_kind
from bench.spec.variants import Variant
from bench.storage.kinds.ranks_records import RanksRecord

ALONE = "alone"
"""The way of a call on a single rank."""

_SCALINGS = ("strong", "weak")
_WAYS = ("replicated", "sharded")
_MOST_RANKS = 64


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section [ranks] of a spec; every variant of the spec is measured, at its base.

    Attributes:
        levels: numbers of ranks. The times of the others are held against those of 1.
        scaling: strong: n samples in all; weak: n samples a rank. Default both.
        ways: replicated, sharded. Default both; a single rank goes neither way.
    """

    levels: tuple[int, ...]
    scaling: tuple[str, ...] = _SCALINGS
    ways: tuple[str, ...] = _WAYS

    def __post_init__(self) -> None:
        """Refuse values outside their range; put the levels in order."""
        given = checks.items("ranks.levels", self.levels)
        levels = [checks.whole("a level of ranks", n, at_most=_MOST_RANKS) for n in given]
        checks.distinct("ranks.levels", levels)
        if not levels:
            raise SpecError(
                "expected ranks.levels to hold at least one number; got an empty list: write for "
                "example levels = [1, 2, 4]"
            )
        object.__setattr__(self, "levels", tuple(sorted(levels)))
        for name, known in (("scaling", _SCALINGS), ("ways", _WAYS)):
            chosen = checks.items(f"ranks.{name}", getattr(self, name))
            words = tuple(checks.choice(f"an entry of ranks.{name}", one, known) for one in chosen)
            checks.distinct(f"ranks.{name}", words)
            object.__setattr__(self, name, words or known)


class Ranks:
    """One unit a variant, with all ranks and ways in turn; a record each."""

    name = "ranks"
    settings = Settings
    records = (RanksRecord,)
    runs = "bench.worker.across.scaling:run_ranks"

    def units(self, plan: Plan) -> list[Unit]:
        """Those of a spec with the section."""
        settings: Settings | None = plan.spec.sections.get(self.name)
        if settings is None:
            return []
        return [_unit(plan.spec, settings, variant) for variant in plan.spec.variants]


def describe_ranks(settings: Settings) -> str:
    """The levels in words, before a run."""
    scaling = " and ".join(settings.scaling)
    return (
        f"whole calls on {', '.join(map(str, settings.levels))} ranks, "
        f"{' and '.join(settings.ways)}: {scaling} scaling at the base"
    )


def _unit(spec: Spec, settings: Settings, variant: Variant) -> Unit:
    point = point_of_training(spec)
    asked: dict[str, Any] = {"variant": str(variant), **common(spec, point)}
    place = {**asked["point"], "device": device_kind(spec.device)}
    identity = stable_hash(["ranks", {**asked, "point": place, "data_dir": None}])[:16]
    cases = [
        {"scaling": scaling, "ranks": level, "way": way}
        for scaling in settings.scaling
        for level in settings.levels
        for way in (settings.ways if level > 1 else (ALONE,))
    ]
    unit = stable_hash([identity, cases])[:16]
    ids = [f"{identity}-{case['scaling']}-{case['ranks']}-{case['way']}" for case in cases]
    listed = [{**case, "cell_id": own} for case, own in zip(cases, ids, strict=True)]
    return Unit(
        unit=unit,
        label=f"{variant} on {', '.join(map(str, settings.levels))} ranks",
        command={"do": "ranks", "unit": unit, "cases": listed, **asked},
        base={
            "kind": "ranks",
            "unit": unit,
            "method": variant.method,
            "variant": str(variant),
            **place_of(point),
        },
        cell_ids=(ids[0],),
    )


RANKS = Ranks()
