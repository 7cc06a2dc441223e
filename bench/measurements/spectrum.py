"""The singular values of every layer's input, where preservation is measured."""

from bench.plan.places import place_of, places, point_of
from bench.plan.points import Plan
from bench.plan.units import Unit, common
from bench.seeds import stable_hash
from bench.spec.spec import Spec, device_kind
from bench.storage.records import SpectrumRecord


class Spectrum:
    """One unit a place of the spec; one record a layer."""

    name = "spectrum"
    settings = None
    records = (SpectrumRecord,)
    runs = "bench.worker.untimed:run_spectrum"

    def units(self, plan: Plan) -> list[Unit]:
        """Every place."""
        return [_unit(spec) for spec in places(plan.spec)]


def _unit(spec: Spec) -> Unit:
    point = point_of(spec, batches=1)
    facts = common(spec, point)
    place = {**facts["point"], "device": device_kind(spec.device)}
    unit = stable_hash(["spectrum", {**facts, "point": place}])[:16]
    return Unit(
        unit=unit,
        label=f"spectrum of the layer inputs, {spec.model} on {spec.data}",
        command={"do": "spectrum", "unit": unit, "taus": list(spec.preservation.taus), **facts},
        base={"kind": "spectrum", "unit": unit, **place_of(point)},
        cell_ids=(unit,),
    )


SPECTRUM = Spectrum()
