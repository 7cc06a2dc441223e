"""A plan in words, and the time it is given."""

from dataclasses import replace

import pytest

from bench.plan.describe import describe, plan_seconds
from bench.plan.points import make_plan
from bench.spec.axes import Axis
from bench.spec.preset import load_preset
from bench.spec.variants import not_timed, parse_variant


@pytest.fixture
def quick():
    return load_preset("quick")


def test_description(quick):
    text = describe(make_plan(quick))
    assert "preset quick: model mlp on digits, device auto" in text
    assert "d  hidden width              48, 64, 128, 256, 512 (base 128)" in text
    assert "21 points, 147 cells (6 variants and sgd at each point)" in text
    assert "estimated time: about 3 min (a rough guess: 4 s a point and 3.4 s for its" in text
    assert "whole calls, more where cells are slow)" in text
    assert "note" not in text


def test_description_of_one_point_warns_of_full_spaces(quick):
    text = describe(make_plan(quick.with_overrides(axes=(Axis("n", (128,)),))))
    assert "1 point, 7 cells (6 variants and sgd" in text
    assert "n  batch size                128\n" in text
    assert "note: n >= d at 1 point:" in text


def test_description_says_where_preservation_is_measured(quick):
    line = "preservation and spectrum of {}\n"
    assert line.format("mlp at d=128, n=32, l=3") in describe(make_plan(quick))
    deeper = quick.with_overrides(axes=(Axis("l", (6, 8)),))
    assert line.format("mlp at d=128, n=32, l=6") in describe(make_plan(deeper))
    pairs = load_preset("spectrum").preservation.pairs
    text = describe(make_plan(load_preset("spectrum")))
    assert pairs
    assert all(line.format(pair) in text for pair in pairs)
    without = replace(quick, preservation=replace(quick.preservation, enabled=False))
    assert "preservation" not in describe(make_plan(without))


def test_time_is_that_of_the_blocks_and_of_preservation(quick):
    section = quick.preservation
    records = (len(section.variants) + len(section.taus)) * len(section.starts)
    a_block = 0.5 + 4.0 + 6 * 4.0 / 7
    assert plan_seconds(make_plan(quick)) == pytest.approx(10 + 21 * a_block + records)
    without = replace(quick, preservation=replace(section, enabled=False))
    assert plan_seconds(make_plan(without)) == pytest.approx(10 + 21 * a_block)
    assert plan_seconds(make_plan(replace(without, budget=30.0))) == pytest.approx(40)


@pytest.mark.parametrize(("block_seconds", "a_cell"), [(3.5, 0.5), (14.0, 2.0), (140.0, 2.0)])
def test_the_whole_calls_of_a_cell_take_two_seconds_at_most(quick, block_seconds, a_cell):
    """Of the six variants; the seventh cell is that of sgd, which has none."""
    sampling = replace(quick.sampling, block_seconds=block_seconds)
    preservation = replace(quick.preservation, enabled=False)
    plan = make_plan(replace(quick, sampling=sampling, preservation=preservation))
    expected = 10 + 21 * (0.5 + block_seconds + 6 * a_cell)
    assert plan_seconds(plan) == pytest.approx(expected)


def test_pairs_take_their_records_each():
    spec = load_preset("spectrum")
    section = spec.preservation
    records = (len(section.variants) + len(section.taus)) * len(section.starts)
    assert plan_seconds(make_plan(spec)) == pytest.approx(10 + len(section.pairs) * records)
    assert "a rough guess)" in describe(make_plan(spec))


@pytest.mark.parametrize(("name", "limit"), [("smoke", 60), ("quick", 240)])
def test_small_presets_are_meant_for_two_cores(name, limit):
    assert plan_seconds(make_plan(load_preset(name))) < limit


def test_a_probe_says_how_much_it_tries():
    text = describe(make_plan(load_preset("probe-quick")))
    assert "nothing is timed\nprobe of sgd: 6 arms and plain, 2 starts, 8 seeds\n" in text
    assert 60 < plan_seconds(make_plan(load_preset("probe-quick"))) < 120


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("nullspace", []),
        ("nullspace:tau=.9,growth=4", []),
        ("nullspace:cap=0.5,lr=0.1,tau=.9", ["lr", "cap"]),
        ("nullspace:cap=inf", ["cap"]),
        ("enorm:p=1", []),
    ],
)
def test_options_without_effect_on_times_are_said(quick, text, names):
    said = describe(make_plan(quick.with_overrides(variants=(parse_variant(text),))))
    variant = str(parse_variant(text))

    assert not_timed(variant) == names
    notes = [line for line in said.splitlines() if line.startswith("note: ")]
    start = f"note: no effect on times: {' and '.join(names)} of {variant}: cells are timed with"
    assert [line.startswith(start) for line in notes] == [True] * bool(names)
