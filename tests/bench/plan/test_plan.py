"""Plans: which points and cells a spec comes to, their ids and their order."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_strategies import specs

from bench.errors import SpecError
from bench.measurements.units import make_units
from bench.plan.points import make_plan, preservation_id
from bench.plan.shards import Shard, parse_shard, share
from bench.spec.axes import AXES, Axis
from bench.spec.preset import load_preset
from bench.spec.variants import SGD, Variant


@pytest.fixture
def quick():
    return load_preset("quick")


def ids(plan):
    return {cell.cell_id for block in plan.blocks for cell in block.cells}


def points(plan):
    return Counter(tuple(block.point.letters().values()) for block in plan.blocks)


@given(specs())
@settings(max_examples=50, deadline=None)
def test_counts(spec):
    plan = make_plan(spec)
    through_base = sum(spec.base[axis.name] in axis.values for axis in spec.axes)
    levels = sum(len(axis.values) for axis in spec.axes)
    expected = levels - max(through_base - 1, 0) if spec.axes else 1
    assert plan.point_count == len(plan.blocks) == expected
    assert plan.cell_count == expected * (len(spec.variants) + 1) == len(ids(plan))
    assert len({block.block_id for block in plan.blocks}) == expected


@given(specs())
@settings(max_examples=50, deadline=None)
def test_one_letter_at_a_time_and_no_point_twice(spec):
    seen = points(make_plan(spec))
    assert set(seen.values()) == {1}
    base = tuple(spec.base[letter] for letter in AXES)
    for letters in seen:
        assert sum(a != b for a, b in zip(letters, base, strict=True)) <= 1
    for position, letter in enumerate(AXES):
        found = {letters[position] for letters in seen} - {spec.base[letter]}
        wanted = {level for axis in spec.axes if axis.name == letter for level in axis.values}
        assert found == wanted - {spec.base[letter]}


@given(specs(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_ids_do_not_depend_on_the_order_of_writing(spec, random):
    turned = replace(
        spec,
        axes=tuple(random.sample(spec.axes, len(spec.axes))),
        variants=tuple(random.sample(spec.variants, len(spec.variants))),
    )
    assert ids(make_plan(turned)) == ids(make_plan(spec))
    order = [block.block_id for block in make_plan(spec).blocks]
    assert order == [block.block_id for block in make_plan(turned).blocks]


def test_a_cell_keeps_its_id_in_another_sweep(quick):
    wider = quick.with_overrides(
        axes=(Axis("d", (64, 96, 128)),), variants=(Variant("identity"), *quick.variants)
    )
    shared = 2 * (len(quick.variants) + 1)  # d=64 and the base point, each variant and sgd
    assert len(ids(make_plan(quick)) & ids(make_plan(wider))) == shared


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"preset": "other"}, True),
        ({"budget": 9.0}, True),
        ({"data_dir": "/data"}, True),
        ({"sampling": "warmup"}, True),
        ({"preservation": "steps"}, True),
        ({"seed": 1}, False),
        ({"bias": True}, False),
        ({"threads": 1}, False),
        ({"dtype": "float64"}, False),
        ({"device": "cuda"}, False),
        ({"dataset": "mnist"}, False),
        ({"model": "other"}, False),
    ],
)
def test_ids_follow_what_decides_a_cell(quick, change, kept):
    if isinstance(name := next(iter(change.values())), str) and name in ("warmup", "steps"):
        section = next(iter(change))
        change = {section: replace(getattr(quick, section), **{name: 9})}
    before, after = ids(make_plan(quick)), ids(make_plan(replace(quick, **change)))
    assert after == before if kept else after.isdisjoint(before)


def test_ids_are_pinned(quick):
    # Written out by hand: a change here makes every journal written so far impossible to resume.
    shared = '{"bias":false,"seed":0,"threads":null}'
    point = (
        '{"b":2,"d":128,"dataset":"digits","device":"cpu","dtype":"float32","l":3,"model":"mlp",'
        '"n":32,"t":4}'
    )
    [block] = make_plan(quick.with_overrides(axes=(Axis("t", (4,)),), device="cpu")).blocks
    assert block.block_id == sha256(f"[{shared},{point}]".encode()).hexdigest()[:16]
    cell = sha256(f'[{shared},{point},"nullspace"]'.encode()).hexdigest()[:16]
    assert block.cells[1].cell_id == cell


def everything(spec):
    """Ids of cells and units, of all that a spec measures, and where it runs."""
    units = make_units(make_plan(spec), [])
    names = [(unit.unit, unit.cell_ids) for unit in units]
    items = [unit.command.get("items") for unit in units]
    return names, items, {unit.base["device"] for unit in units}


def test_which_device_of_a_kind_it_runs_on_decides_nothing(quick):
    any_gpu, first, second, cpu = (
        quick.with_overrides(device=device) for device in ("cuda", "cuda:0", "cuda:1", "cpu")
    )

    assert everything(any_gpu)[:2] == everything(first)[:2] == everything(second)[:2]
    assert everything(second)[2] == {"cuda:1"}
    assert any_gpu.digest() == second.digest() != cpu.digest()
    assert not set(ids(make_plan(any_gpu))) & set(ids(make_plan(cpu)))


def test_every_block_holds_sgd_and_all_variants(quick):
    for block in make_plan(quick).blocks:
        assert [cell.variant for cell in block.cells] == [SGD, *quick.variants]


def test_the_order_is_a_function_of_the_seed(quick):
    orders = {}
    for seed in range(5):
        first, second = (make_plan(replace(quick, seed=seed)) for _ in range(2))
        assert first == second
        orders[seed] = [tuple(block.point.letters().values()) for block in first.blocks]
    assert len({tuple(order) for order in orders.values()}) == 5
    assert all(set(order) == set(orders[0]) for order in orders.values())


def test_the_order_is_free_of_trend(quick):
    # A machine that slows down steadily must not look like growth in d: over many seeds the
    # place of the largest width is as often in the first half as in the second.
    early = 0
    for seed in range(200):
        blocks = make_plan(replace(quick, seed=seed)).blocks
        early += [b.point.d for b in blocks].index(512) < len(blocks) / 2
    assert 70 < early < 135  # 105 expected, 5 standard deviations each way


@pytest.mark.parametrize("count", range(1, 8))
def test_shards_make_up_the_plan(quick, count):
    plan = make_plan(quick)
    parts = [share(plan, Shard(index, count)) for index in range(1, count + 1)]
    together = [block for part in parts for block in part.blocks]
    assert sorted(b.block_id for b in together) == sorted(b.block_id for b in plan.blocks)
    assert max(map(len, (p.blocks for p in parts))) - min(map(len, (p.blocks for p in parts))) <= 1


@pytest.mark.parametrize(("index", "count"), [(0, 4), (5, 4), (1, 0), (-1, 2)])
def test_a_shard_outside_the_plan_is_refused(index, count):
    with pytest.raises(SpecError, match=f"I <= N; got '{index}/{count}': write for example 1/4"):
        parse_shard(f"{index}/{count}")


def test_preservation_ids_differ_by_variant_tau_and_start(quick):
    cases = [
        (variant, tau, start)
        for variant in quick.variants
        for tau in (1.0, 0.9)
        for start in ("init", "trained")
    ]
    found = {preservation_id(quick, *case) for case in cases}
    assert len(found) == len(cases)
    assert found.isdisjoint(ids(make_plan(quick)))
    assert preservation_id(quick, quick.variants[0], 1, "init") in found
    other = replace(quick, preservation=replace(quick.preservation, d=64))
    assert preservation_id(other, *cases[0]) not in found


def test_swept_letters(quick):
    only = quick.with_overrides(axes=(Axis("t", (1, 2)), Axis("d", (64,))))
    assert make_plan(only).spec.swept == ("t",)
    assert make_plan(quick).spec.swept == AXES
    assert replace(quick, axes=(Axis("t", (4,)),)).swept == ()


@pytest.mark.parametrize("name", ["smoke", "quick", "paper"])
def test_presets_leave_room_to_move(name):
    # From n = d on nothing is free, no step is taken and the cell is invalid.
    spec = load_preset(name)
    assert all(block.point.n < block.point.d for block in make_plan(spec).blocks)
    assert all(block.point.l >= 2 for block in make_plan(spec).blocks)
    assert spec.preservation.n < spec.preservation.d
