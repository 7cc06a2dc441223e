"""The section [probe] of a spec."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bench.errors import SpecError
from bench.spec.preset import load_preset
from bench.spec.probe import LEARNING_RATES, Probe
from bench.spec.spec import Spec


def test_arms_are_every_variant_at_every_growth_but_those_that_say_how_far() -> None:
    section = Probe(
        variants=("nullspace:tau=.9", "symmetry:lr=0.1", "nullspace:growth=3"), growths=(2, 4.0)
    )

    assert section.arms == (
        "nullspace:growth=2.0,tau=0.9",
        "nullspace:growth=4.0,tau=0.9",
        "symmetry:lr=0.1",
        "nullspace:growth=3",
    )


def test_a_spec_with_it_is_read_back_and_decided_by_it() -> None:
    spec = load_preset("probe-quick")

    assert Spec.from_toml(spec.to_toml("")) == spec
    assert isinstance(spec.sections["probe"], Probe)
    other = replace(spec, sections={"probe": replace(spec.sections["probe"], seeds=9)})
    assert other.digest() != spec.digest()


def test_learning_rates_are_the_optimizers_unless_named() -> None:
    assert Probe().lrs_of("adam") == LEARNING_RATES["adam"]
    assert Probe(lrs=(0.3, 0.1)).lrs_of("adam") == (0.1, 0.3)
    for rates in LEARNING_RATES.values():
        assert all(b == pytest.approx(2 * a) for a, b in pairwise(rates))


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"optimizers": ("sgdd",)},
        r"optimizer of probe\.optimizers to be one of .*did you mean 'sgd'",
    ),
    ({"optimizers": ()}, r"expected probe\.optimizers to name at least one; got none"),
    ({"variants": ("nullspace", "nullspace")}, r"probe\.variants to name each value once"),
    ({"variants": ("nullspace", "nullspace:growth=2.0")}, "arms of the probe to name each .* once"),
    ({"variants": ("sgd",)}, "which is reserved"),
    ({"growths": (1.0,)}, r"each of probe\.growths to be a number > 1; got 1.0"),
    ({"lrs": (-1,)}, r"each of probe\.lrs to be a number > 0"),
    ({"epochs": (-1,)}, r"each of probe\.epochs to be a whole number from 0"),
    ({"horizons": (0,)}, r"each of probe\.horizons to be a whole number from 1"),
    ({"seeds": 0}, r"probe\.seeds to be a whole number"),
    ({"teleports": 33}, r"expected probe\.teleports <= probe\.batches, 32; got 33"),
    ({"advise": "yes"}, r"probe\.advise to be true or false"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_cannot_be_probed_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Probe(**given)
