"""The section [ranks] and the units that it comes to; the axis r of a command line."""

from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli.app import app
from bench.cli.measuring.carried import Carrying, described
from bench.cli.measuring.ranks_axis import split_ranks, with_ranks
from bench.errors import SpecError
from bench.measurements.ranks import RANKS, Settings
from bench.plan.points import make_plan
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.spec.variants import parse_variant


def spec(settings: Settings, **changes: Any) -> Spec:
    variants = (parse_variant("nullspace"), parse_variant("enorm"))
    start = load_preset("smoke").with_overrides(variants=variants, device="cpu", **changes)
    return replace(start, sections={"ranks": settings})


def ids(of: Spec) -> list[str]:
    return [
        case["cell_id"] for unit in RANKS.units(make_plan(of)) for case in unit.command["cases"]
    ]


def test_a_unit_a_variant_with_all_levels_and_one_way_on_a_single_rank() -> None:
    first, second = RANKS.units(make_plan(spec(Settings(levels=(2, 1), scaling=("weak",)))))

    cases = [(c["scaling"], c["ranks"], c["way"]) for c in first.command["cases"]]
    assert cases == [("weak", 1, "alone"), ("weak", 2, "replicated"), ("weak", 2, "sharded")]
    assert (first.base["variant"], second.base["variant"]) == ("nullspace", "enorm")
    assert first.command["do"] == "ranks"
    assert not first.is_block
    assert len(set(ids(spec(Settings(levels=(1, 2, 4)))))) == 2 * 2 * 5


def test_ids_depend_on_what_is_measured_and_on_no_other_level() -> None:
    few, more = (ids(spec(Settings(levels=levels))) for levels in ((1, 2), (1, 2, 3)))

    assert set(few) < set(more)
    assert not set(few) & set(ids(spec(Settings(levels=(1, 2)), threads=2)))
    assert not set(few) & set(ids(spec(Settings(levels=(1, 2)), axes=(parse_axis("n=16"),))))


def test_a_spec_without_the_section_has_none_and_one_with_it_reads_back() -> None:
    settings = Settings(levels=(1, 2), ways=("sharded",))

    assert RANKS.units(make_plan(load_preset("smoke"))) == []
    assert Spec.from_toml(spec(settings).to_toml("")) == spec(settings)
    assert "whole calls on 1, 2 ranks, sharded: strong and weak scaling" in described(
        make_plan(spec(settings))
    )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"levels": ()}, "expected ranks.levels to hold at least one number"),
        ({"levels": (0,)}, "a level of ranks to be a whole number from 1 to 64; got 0"),
        ({"levels": (2, 2)}, "ranks.levels to name each value once; got 2 twice"),
        ({"levels": (1,), "ways": ("thin",)}, "an entry of ranks.ways to be one of replicated"),
        ({"levels": (1,), "ways": (["sharded"],)}, "an entry of ranks.ways to be one of"),
        ({"levels": (1,), "scaling": "strong"}, "ranks.scaling to be a list; got 'strong'"),
    ],
)
def test_settings_are_read(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        Settings(**settings)


def test_r_of_a_command_line_is_taken_out_of_the_axes() -> None:
    assert split_ranks(["d=16", "r = 1,2"]) == (["d=16"], (1, 2))
    assert split_ranks(["r=1:8:x2"]) == ([], (1, 2, 4, 8))
    assert split_ranks(["d=16"]) == (["d=16"], ())
    known = spec(Settings(levels=(3,), scaling=("weak",)))
    assert with_ranks(known, (1, 2), alone=False).sections["ranks"] == Settings(
        levels=(1, 2), scaling=("weak",)
    )
    assert with_ranks(known, (1, 2), alone=False).axes == known.axes != ()
    assert with_ranks(known, (1, 2), alone=True).axes == ()


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        (["r=two"], r"whole numbers from 1 to .* for axis r \(ranks\); got 'two': .* r=1,2,4"),
        (["r="], "for axis r"),
        (["r=1", "r=2"], "expected the axes to name each value once; got r twice"),
    ],
)
def test_levels_that_are_none_are_refused(axes: list[str], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        split_ranks(axes)


def test_other_commands_say_whose_axis_it_is() -> None:
    with pytest.raises(SpecError, match="r, the ranks of a group, is an axis of 'run' alone"):
        parse_axis("r=1,2")


def test_the_command_line_writes_the_section(monkeypatch: pytest.MonkeyPatch) -> None:
    carried: list[Spec] = []
    monkeypatch.setattr(Carrying, "fitted", lambda _self, spec, _fit: spec)
    monkeypatch.setattr(Carrying, "carry_out", lambda _self, spec, _detail: carried.append(spec))
    words = ["run", "--preset", "smoke", "--method", "nullspace", "--axis", "r=1,2"]

    for more in ([], ["--axis", "d=8,16"]):
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == 0, done.output

    assert [one.sections["ranks"].levels for one in carried] == [(1, 2)] * 2
    assert [[str(axis) for axis in one.axes] for one in carried] == [[], ["d=8,16"]]
