"""Whether a teleport could pay, before anybody trains: one record an arm, start and seed."""

from typing import Any

from bench.plan.places import place_of
from bench.plan.points import Plan, Point
from bench.plan.units import Unit, common
from bench.seeds import seed_for, stable_hash
from bench.spec.probe import Probe as Settings
from bench.spec.spec import Spec, device_kind
from bench.storage.probe_records import AdviceRecord, ProbeRecord


class Probe:
    """One unit an optimizer and seed, at the base point of a spec with the section [probe]."""

    name = "probe"
    settings = Settings
    records = (ProbeRecord, AdviceRecord)
    runs = "bench.worker.probe:run_probe"

    def units(self, plan: Plan) -> list[Unit]:
        """What can move first, then seed by seed."""
        spec = plan.spec
        settings: Settings | None = spec.sections.get(self.name)
        if settings is None:
            return []
        seeds = range(settings.seeds)
        probes = [
            _unit(spec, settings, seed, name) for seed in seeds for name in settings.optimizers
        ]
        return [_advice(spec, settings), *probes] if settings.advise else probes


def _unit(spec: Spec, settings: Settings, seed: int, optimizer: str) -> Unit:
    facts = {
        "optimizer": optimizer,
        "number": seed,
        "variants": list(settings.arms),
        "epochs": list(settings.epochs),
        "horizons": list(settings.horizons),
        "lrs": list(settings.lrs_of(optimizer)),
        "teleports": settings.teleports,
    }
    return _made(spec, settings, seed, "probe", f"probe of {optimizer}, seed {seed}", facts)


def _advice(spec: Spec, settings: Settings) -> Unit:
    return _made(spec, settings, 0, "advice", "advice on what can move", {"advise": True})


def _made(
    spec: Spec, settings: Settings, seed: int, kind: str, label: str, facts: dict[str, object]
) -> Unit:
    point = _point(spec, settings)
    own = seed_for(spec.seed, "probe", seed)
    asked = {**facts, **common(spec, point), "seed": own}
    place = {**asked["point"], "device": device_kind(spec.device)}
    unit = stable_hash(["probe", {**asked, "point": place, "data_dir": None}])[:16]
    return Unit(
        unit=unit,
        label=f"{label}, {spec.model} on {spec.data}",
        command={"do": "probe", "unit": unit, **asked},
        base={"kind": kind, "unit": unit, **place_of(point)},
        cell_ids=(unit,),
    )


def _point(spec: Spec, settings: Settings) -> Point:
    letters: dict[str, Any] = {**spec.base, "b": settings.batches}
    place = {name: getattr(spec, name) for name in ("model", "device", "dtype")}
    return Point(**letters, **place, dataset=spec.data)


PROBE = Probe()
