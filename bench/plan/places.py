"""The places beside the sweep at which preservation and spectra are measured."""

from dataclasses import asdict, replace
from typing import Any

from bench.plan.points import Point
from bench.spec.spec import Spec


def places(spec: Spec) -> list[Spec]:
    """A spec for each place: every pair, or the spec's own; none where it is not enabled."""
    section = spec.preservation
    if not section.enabled:
        return []
    return [
        replace(
            spec,
            model=pair.model,
            dataset=pair.dataset,
            variants=spec.variants or section.variants,
            preservation=replace(section, d=pair.d, n=pair.n, l=pair.l, pairs=()),
        )
        for pair in section.pairs
    ] or [spec]


def point_of(spec: Spec, batches: int) -> Point:
    """The point of a place."""
    section = spec.preservation
    return Point(
        t=section.steps,
        d=section.d,
        n=section.n,
        l=section.l,
        b=batches,
        model=spec.model,
        dataset=spec.data,
        device=spec.device,
        dtype=spec.dtype,
    )


def place_of(point: Point) -> dict[str, Any]:
    """The point without b, of which a record of a place uses one."""
    return {key: value for key, value in asdict(point).items() if key != "b"}
