"""The look before a run: one point that can be built is enough."""

import re
from pathlib import Path
from typing import Any

import pytest

from bench.errors import SpecError
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.plan.units import PLACE
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.worker import check as worker_check


def places(*axes: str, model: str = "resnet") -> list[dict[str, Any]]:
    spec = load_preset("smoke").with_overrides(
        device="cpu", model=model, axes=tuple(parse_axis(text) for text in axes)
    )
    units = [unit for unit in make_units(make_plan(spec), []) if unit.is_block]
    return [{name: unit.command.get(name) for name in PLACE} for unit in units]


def check(given: list[dict[str, Any]], *variants: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    worker_check.run_check({"variants": variants, "places": given}, events.append)
    return events


def test_the_reason_of_the_first_is_given_where_none_can_be_built() -> None:
    (event,) = check(places("l=2,3"))

    assert event["event"] == "refused"
    assert event["reason"].startswith("expected l = 4, 7, 10")


def test_one_that_can_be_built_is_enough_and_nothing_is_built_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = places("l=2,3,4,7")
    tried = []

    def built(place: dict[str, Any]) -> None:
        tried.append(place["point"]["l"])
        if tried[-1] < 4:
            raise SpecError("no")

    monkeypatch.setattr(worker_check, "built_point", built)

    assert check(sorted(given, key=lambda place: place["point"]["l"])) == []
    assert tried == [2, 3, 4]


def test_another_failure_than_a_refusal_is_left_to_the_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def built(_place: dict[str, Any]) -> None:
        raise MemoryError

    monkeypatch.setattr(worker_check, "built_point", built)

    with pytest.raises(MemoryError):
        check(places("l=4"))


def test_a_function_of_the_users_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uncalled.py").write_text("def factory(d):\n    raise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)

    assert check(places("d=8,16", model="uncalled.py:factory")) == []
    (event,) = check(places("n=8,16", model="uncalled.py:factory"))
    assert "to take 'n', which is swept" in event["reason"]


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("nulspace", "expected method to be one of .*did you mean 'nullspace'"),
        ("nullspace:tua=1", "expected an option of nullspace to be one of .*did you mean 'tau'"),
        ("nullspace:tau=abc", r"expected tau in \(0, 1\]; got 'abc'"),
    ],
)
def test_a_method_that_cannot_be_made_is_named(variant: str, message: str) -> None:
    assert check(places("l=4"), "nullspace", "symmetry:published=true") == []
    (event,) = check(places("l=4"), "nullspace", variant)
    assert re.search(message, event["reason"])
