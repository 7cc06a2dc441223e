"""Descents in the worker: every point of each, and the function around them."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from baselines.test_functions import FUNCTIONS
from bench.errors import SpecError
from bench.measurements.descents import PAPERS, Settings
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.spec.variants import parse_variant
from bench.storage.kinds.descent_records import DescentRecord, LandscapeRecord, Visit
from bench.storage.records import made
from bench.worker.beside.descents import run_descents
from teleport_core import ModelError


def spec(model: str, *methods: str, **settings: Any) -> Spec:
    start = load_preset("smoke").with_overrides(
        model=model, variants=tuple(map(parse_variant, methods)), device="cpu", dtype="float64"
    )
    return replace(start, sections={"descents": Settings(**settings)}) if settings else start


def commands(of: Spec) -> list[dict[str, Any]]:
    found = [unit.command for unit in make_units(make_plan(of), [])]
    return [command for command in found if command["do"] == "descents"]


def recorded(command: dict[str, Any]) -> tuple[list[DescentRecord], list[LandscapeRecord]]:
    events: list[dict[str, Any]] = []
    run_descents(command, events.append)
    said = [{"kind": "descent", **e["record"]} for e in events if e["event"] == "record"]
    return (
        [made(each, DescentRecord) for each in said if each["kind"] == "descent"],
        [made(each, LandscapeRecord) for each in said if each["kind"] == "landscape"],
    )


def descents(of: Spec) -> dict[str, list[Visit]]:
    (command,) = commands(of)
    return {record.variant: record.visits for record in recorded(command)[0]}


def test_a_unit_for_each_test_function_and_none_for_a_net() -> None:
    for name in FUNCTIONS:
        assert len(commands(spec(name, "level_set"))) == 1
    assert set(PAPERS) == set(FUNCTIONS)
    assert commands(spec("mlp", "nullspace")) == []


def test_booth_of_the_paper() -> None:
    found = descents(spec("booth", "so2"))

    plain, turned = found["plain"], found["so2"]
    assert [visit.step for visit in plain] == list(range(11))
    expected = [72 * 0.1936**k + 72 * 0.7056**k for k in range(11)]
    assert [visit.loss for visit in plain] == pytest.approx(expected, rel=1e-10)
    assert turned[:5] == plain[:5]
    assert [k for k, visit in enumerate(turned) if visit.teleported] == [5]
    assert (turned[5].step, turned[5].loss) == (4, pytest.approx(17.9482, rel=1e-5))
    assert turned[5].grad_norm_sq == pytest.approx(646.136, rel=1e-5)
    assert (turned[10].step, turned[10].loss) == (9, pytest.approx(4.8814e-3, rel=1e-5))


def test_rosenbrock_of_the_paper() -> None:
    found = descents(spec("rosenbrock", "so2"))

    plain, turned = found["plain"], found["so2"]
    losses = [plain[k].loss for k in (0, 99, 199, 999)]
    assert losses == pytest.approx([404, 0.764597, 0.541864, 0.111501], rel=2e-5)
    ends = [visit for visit in turned if visit.teleported]
    assert [visit.step for visit in ends] == list(range(99, 1000, 100))
    assert ends[0].grad_norm_sq == pytest.approx(2208.31, abs=0.005)


def test_from_the_level_sets_maximum_the_next_step_is_the_last() -> None:
    text = "level_set:sublevel=false"
    settings = {"lr": 1 / 18, "steps": 1, "at": (0,), "teleport_steps": 40}

    last = descents(spec("booth", text, **settings))[text][-1]

    assert (last.x, last.y) == pytest.approx((1, 3), abs=1e-3)


def test_a_searched_step_keeps_half_of_what_its_slope_promises() -> None:
    start = descents(spec("goldstein_price", "identity"))["plain"]

    for here, there in pairwise(start):
        length = math.hypot(there.x - here.x, there.y - here.y)
        assert here.grad_norm_sq is not None
        slope = here.grad_norm_sq**0.5
        assert there.loss <= here.loss - 0.5 * length * slope * (1 - 1e-9)
    assert start[-1].grad_norm_sq < 1e-6 * start[0].grad_norm_sq


def test_the_landscape_is_the_function_around_all_points() -> None:
    (command,) = commands(spec("booth", "so2"))

    found, (around,) = recorded(command)

    for descent in found:
        for visit in descent.visits:
            assert around.x[0] < visit.x < around.x[-1]
            assert around.y[0] < visit.y < around.y[-1]
    for i, j in ((0, 0), (7, 30), (60, 59)):
        x, y = around.x[j], around.y[i]
        value = (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2
        assert around.values[i][j] == pytest.approx(value, rel=1e-12)
    assert around.minimisers == [(1.0, 3.0)]


def test_a_method_that_refuses_says_why_and_the_others_descend() -> None:
    (command,) = commands(spec("beale", "so2", "level_set"))

    found, (around,) = recorded(command)

    assert [record.variant for record in found] == ["plain", "so2", "level_set"]
    assert [record.status for record in found] == ["ok", "skipped", "ok"]
    assert "expected a PlanePoint of booth" in found[1].reason
    assert found[2].visits[-1].loss < found[2].visits[0].loss
    assert {record.of for record in (*found, around)} == {4}


def test_of_a_resumed_unit_the_rest_is_recorded() -> None:
    (command,) = commands(spec("booth", "so2"))

    found, landscapes = recorded({**command, "done": [f"{command['unit']}-plain"]})

    assert [record.variant for record in found] == ["so2"]
    assert len(landscapes) == 1


def test_a_model_of_more_numbers_is_refused() -> None:
    (command,) = commands(spec("mlp", "nullspace", lr=0.1, steps=2, at=(0,)))

    with pytest.raises(ModelError, match=r"two trainable numbers .*; got \d+: leave \[descents\]"):
        recorded(command)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"lr": 0}, r"expected descents.lr to be a number > 0; got 0"),
        ({"steps": 5000}, r"expected descents.steps to be a whole number from 1 to 4000; got 5000"),
        ({"at": (10,)}, r"expected a step of descents.at to be a whole number from 0 to 9; got 10"),
        ({"at": (1, 1)}, r"expected descents.at to name each value once"),
        ({"search": 1}, r"expected descents.search to be true or false; got 1"),
    ],
)
def test_settings_are_read(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        Settings(**{"lr": 0.1, "steps": 10, "at": (4,), **settings})
