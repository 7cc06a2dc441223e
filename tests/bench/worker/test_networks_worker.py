"""Methods on networks in the worker: a record each, and what does not apply in words."""

from dataclasses import replace
from typing import Any

import pytest

from bench.errors import SpecError
from bench.measurements.networks import Settings, describe_networks
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.problems.build import build
from bench.spec.axes import parse_axis
from bench.spec.pair import Pair
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.storage.kinds.network_records import NetworkRecord
from bench.storage.records import made
from bench.worker.beside import networks
from bench.worker.beside.networks import run_networks
from bench.worker.block import built_point
from teleport_core import available

MLP = Pair(model="mlp", dataset="digits", d=16, n=8, l=3)


def spec(*variants: str, pairs: tuple[Pair, ...] = (MLP,)) -> Spec:
    start = load_preset("methods").with_overrides(axes=(parse_axis("t=2"),), device="cpu")
    return replace(start, sections={"networks": Settings(pairs=pairs, variants=variants)})


def commands(of: Spec) -> list[dict[str, Any]]:
    return [unit.command for unit in make_units(make_plan(of), [])]


def recorded(command: dict[str, Any]) -> list[NetworkRecord]:
    events: list[dict[str, Any]] = []
    run_networks(command, events.append)
    return [made(e["record"], NetworkRecord) for e in events if e["event"] == "record"]


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "ROUNDS", 2)
    monkeypatch.setattr(networks, "_WARM_UP", 1)


def test_the_preset_has_every_method_on_three_networks() -> None:
    start = load_preset("methods").with_overrides(device="cpu")
    settings = start.sections["networks"]

    found = commands(start)

    assert [command["point"]["model"] for command in found] == [
        "mlp", "cnn", "bench.problems.digit_rows:factory"
    ]  # fmt: skip
    # A loss of several tasks is what that method needs.
    methods = {text.partition(":")[0] for text in settings.variants}
    assert methods == set(available()) - {"cost"}
    assert Spec.from_toml(start.to_toml("")) == start
    assert "methods on cnn on digits, d=16, n=32, l=3" in describe_networks(settings)


def test_the_encoder_is_built_and_its_batches_differ() -> None:
    (command,) = commands(spec("identity", pairs=(replace(MLP, model="digit_rows"),)))

    place, built = built_point(command)
    again = build(place, seed=0, bias=False, data_dir=None)
    inputs, targets = built.batches[0]
    assert inputs.shape == (8, 8, 8)
    assert built.model(inputs).shape == (8, 10)
    assert built.heldout is not None
    assert not (built.heldout[0] == inputs).all()
    assert (again.batches[0][0] == inputs).all()
    assert targets.shape == (8,)


def test_costs_gain_and_drift_of_a_method_that_applies() -> None:
    (command,) = commands(spec("nullspace", "enorm"))

    nullspace, enorm = recorded(command)

    assert (nullspace.guarantee, nullspace.moved) == ("EXACT_ON_BATCH", 2)
    assert len(nullspace.steps) == 2
    assert all(step.step_s > 0 and step.sgd_s > 0 for step in nullspace.steps)
    assert len(nullspace.calls) >= 3
    assert nullspace.peak_memory_bytes is not None
    assert 3 < nullspace.growth <= 4.01
    assert nullspace.drift < 1e-5 < nullspace.heldout_drift
    assert nullspace.lr is not None
    assert (enorm.lr, enorm.guarantee) == (None, "EXACT_EVERYWHERE")
    assert max(enorm.drift, enorm.heldout_drift) < 1e-5
    assert enorm.of == 2


def test_what_does_not_apply_says_why_and_the_run_is_fine() -> None:
    (command,) = commands(spec("so2", "identity"))

    so2, identity = recorded(command)

    assert so2.refusal.startswith("expected a PlanePoint of booth")
    assert (so2.status, so2.steps, so2.growth) == ("ok", [], None)
    assert (identity.refusal, identity.growth, identity.drift) == ("", 1.0, 0.0)


def test_a_method_that_breaks_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> float:
        raise ValueError("out of luck")

    monkeypatch.setattr(networks, "find_lr", broken)
    (command,) = commands(spec("nullspace"))

    (found,) = recorded(command)

    assert (found.status, found.refusal) == ("crashed", "")
    assert "out of luck" in found.reason


def test_of_a_resumed_unit_the_rest_is_measured() -> None:
    (command,) = commands(spec("so2", "identity"))

    found = recorded({**command, "done": [f"{command['unit']}-so2"]})

    assert [record.variant for record in found] == ["identity"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"variants": ()}, "expected networks.pairs and variants to hold at least one entry each"),
        ({"variants": ("identity", "identity")}, "to name each value once; got identity twice"),
        ({"growth": 1.0}, "expected networks.growth to be a number > 1; got 1.0"),
        ({"pairs": ("mlp",)}, "expected a pair to be a table of model, dataset, d, n, l"),
    ],
)
def test_settings_are_read(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        Settings(**{"pairs": (MLP,), "variants": ("identity",), **settings})
