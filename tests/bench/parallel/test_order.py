"""Who is next: the longest, with what waits for it; equals in the random order of the plan."""

from dataclasses import replace

from bench.measurements.units import make_units
from bench.parallel.order import block_seconds, longest_first
from bench.plan.points import make_plan
from bench.plan.units import Unit
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset


def unit(name: str, *needs: str, do: str = "training") -> Unit:
    return Unit(name, name, {"do": do}, {}, (name,), needs)


def names(units: list[Unit]) -> str:
    return "".join(each.unit for each in units)


def test_longest_first_and_blocks_before_all() -> None:
    units = [unit("a"), unit("b"), unit("c", do="block"), unit("d"), unit("e", do="block")]

    assert names(longest_first(units, {"a": 1, "b": 9, "c": 1, "d": 5, "e": 2})) == "ecbda"


def test_what_others_wait_for_counts_with_them() -> None:
    units = [unit("t"), unit("x"), unit("j", "t"), unit("k", "t", "x"), unit("z")]

    # t: 1 + 9; x: 2 + 8.5; z: 9.5
    assert names(longest_first(units, {"t": 1, "x": 2, "j": 9, "k": 8.5, "z": 9.5})) == "xtzjk"


def test_equals_keep_their_order() -> None:
    units = [unit(name) for name in "qcbza"]

    assert names(longest_first(units, dict.fromkeys("qcbza", 2.0))) == "qcbza"


def test_blocks_take_the_time_they_are_given_unless_they_are_slow() -> None:
    preset = load_preset("smoke")
    spec = preset.with_overrides(
        axes=(parse_axis("d=16,32,4096"),),
        preservation=replace(preset.preservation, enabled=False),
    )
    found = {
        each.command["point"]["d"]: block_seconds(each, spec.base, 1e-4)
        for each in make_units(make_plan(spec), [])
    }

    assert found[16] == found[32] == 1.0
    # 7 samples of 2 steps of two methods and SGD, of 65536 times as many products
    assert found[4096] == 0.5 + 7 * 2 * 21 * 1e-4 * 65536
