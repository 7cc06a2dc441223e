"""Descents on a function of two numbers: where gradient steps and teleports lead."""

from dataclasses import asdict, dataclass
from typing import Any

from bench.measurements.training import point_of_training
from bench.plan.places import place_of
from bench.plan.points import Plan
from bench.plan.units import Unit, common
from bench.seeds import stable_hash
from bench.spec import checks
from bench.spec.problems import address_of
from bench.spec.spec import Spec, device_kind
from bench.storage.kinds.descent_records import DescentRecord, LandscapeRecord

_MOST_STEPS = 4000  # so that a journal stays one that is read in a moment


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Gradient descent, and the steps before which a method teleports.

    Attributes:
        lr: length of the steps, or where a line search begins.
        steps: how many.
        at: the steps, from 0, before which there is a teleport.
        search: shrink each step by 0.8 until the loss falls by half of what its slope promises.
        teleport_steps: of one teleport.
    """

    lr: float
    steps: int
    at: tuple[int, ...]
    search: bool = False
    teleport_steps: int = 10

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        object.__setattr__(self, "lr", checks.number("descents.lr", self.lr, above=0))
        checks.whole("descents.steps", self.steps, at_most=_MOST_STEPS)
        checks.whole("descents.teleport_steps", self.teleport_steps)
        checks.flag("descents.search", self.search)
        given = checks.items("descents.at", self.at)
        last = self.steps - 1
        at = tuple(
            checks.whole("a step of descents.at", step, at_least=0, at_most=last) for step in given
        )
        checks.distinct("descents.at", at)
        object.__setattr__(self, "at", at)


# Those with a rotation as in figures 2 and 3 of Zhao et al. (2022) and their released scripts, the
# others as in figure 1 of Mishkin et al. (2024).
_SEARCHED = Settings(lr=1.0, steps=40, at=(0,), search=True, teleport_steps=200)
PAPERS = {
    "booth": Settings(lr=0.08, steps=10, at=(4,), teleport_steps=40),
    "ellipse": Settings(lr=0.08, steps=10, at=(4,), teleport_steps=40),
    "rosenbrock": Settings(lr=1e-3, steps=1000, at=tuple(range(99, 1000, 100))),
    "goldstein_price": _SEARCHED,
    "beale": _SEARCHED,
    "hyperbola": _SEARCHED,
}
"""Name of a problem -> how the papers descend on it."""


class Descents:
    """One unit: without teleports, with those of each variant, and the function around them.

    Of a problem in ``PAPERS``, and of any model of two parameters whose spec has the section.
    """

    name = "descents"
    settings = Settings
    records = (DescentRecord, LandscapeRecord)
    runs = "bench.worker.beside.descents:run_descents"

    def units(self, plan: Plan) -> list[Unit]:
        """At most one."""
        spec = plan.spec
        known = {address_of(name): settings for name, settings in PAPERS.items()}
        settings: Settings | None = spec.sections.get(self.name) or known.get(spec.model)
        return [] if settings is None else [_unit(spec, settings)]


def _unit(spec: Spec, settings: Settings) -> Unit:
    point = point_of_training(spec)
    variants = [str(variant) for variant in spec.variants]
    asked: dict[str, Any] = {
        "settings": asdict(settings),
        "variants": variants,
        **common(spec, point),
    }
    place = {**asked["point"], "device": device_kind(spec.device)}
    unit = stable_hash(["descents", {**asked, "point": place, "data_dir": None}])[:16]
    return Unit(
        unit=unit,
        label=f"descents on {spec.model}",
        command={"do": "descents", "unit": unit, **asked},
        base={"kind": "descent", "unit": unit, "variant": "", **place_of(point)},
        cell_ids=(unit,),
    )


DESCENTS = Descents()
