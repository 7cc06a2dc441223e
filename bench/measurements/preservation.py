"""What a method does to loss and gradient norm, step by step: one record a threshold."""

from bench.plan.places import place_of, places, point_of
from bench.plan.points import Plan, preservation_id
from bench.plan.units import Unit, common
from bench.seeds import stable_hash
from bench.spec.checks import number
from bench.spec.preservation import Preservation as Settings
from bench.spec.spec import Spec
from bench.spec.variants import Variant
from bench.storage.records import PreservationRecord

# What the section's ``taus`` are called where a variant fixes its own. A method whose threshold has
# another name is followed by the worker, which asks it for that.
_TAU = "tau"
_BATCHES = 8  # a trained start takes them in turn


class Preservation:
    """One unit a variant and start, at every place of the spec."""

    name = "preservation"
    settings = Settings
    records = (PreservationRecord,)
    runs = "bench.worker.untimed:run_preservation"

    def units(self, plan: Plan) -> list[Unit]:
        """Every variant from every start."""
        return [
            _unit(spec, variant, start)
            for spec in places(plan.spec)
            for start in spec.preservation.starts
            for variant in spec.preservation.variants
        ]


def _unit(spec: Spec, variant: Variant, start: str) -> Unit:
    own = variant.options.get(_TAU)
    taus = spec.preservation.taus if own is None else (number(_TAU, own, above=0, at_most=1),)
    items = [{"cell_id": preservation_id(spec, variant, tau, start), "tau": tau} for tau in taus]
    point = point_of(spec, _BATCHES)
    unit = stable_hash(["preservation", [item["cell_id"] for item in items]])[:16]
    return Unit(
        unit=unit,
        label=f"preservation of {variant}, start {start}, {spec.model} on {spec.data}",
        command={
            "do": "preservation",
            "unit": unit,
            "variant": str(variant),
            "start": start,
            "growth": spec.preservation.growth,
            "items": items,
            **common(spec, point),
        },
        base={
            "kind": "preservation",
            "unit": unit,
            "method": variant.method,
            "variant": str(variant),
            "start": start,
            "tau": taus[0],
            "rows": [],
            **place_of(point),
        },
        cell_ids=(str(items[0]["cell_id"]),),
    )


PRESERVATION = Preservation()
