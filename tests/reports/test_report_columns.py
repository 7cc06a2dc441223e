"""Times of all cells at once are what the samples of each cell say, taken one by one."""

import math
import random

import numpy as np
import pytest
import synthetic_run as synthetic
from msgspec.structs import replace

from bench.statistics.medians import median_interval
from bench.storage.records import Sample, Stop
from reports.run.run import as_float
from reports.run.setting import base_point, is_at, swept_axes
from reports.tables import runtime
from reports.tables.cell_times import cell_times
from reports.tables.crossings import crossings
from reports.tables.grouped_medians import grouped_medians
from reports.tables.ratios import ratio_rows
from reports.tables.roofline import roof_of

CELLS = synthetic.structs(r for r in synthetic.records() if r["kind"] == "cell")
ODD = [None, 0.0, -1.0, 3.0]


def a_sample(draw):
    """A sample that lacks something, now and then, or comes from another clock or round."""
    prepare, steps, whole = (
        draw.choice(ODD) if draw.random() < 0.1 else draw.random() for _ in range(3)
    )
    clock = "cuda_event" if draw.random() < 0.1 else "wall"
    number = draw.choice([None, *range(8)])
    return Sample(round=number, clock=clock, prepare_s=prepare, steps_s=steps, seconds=whole)


def odd_cells(seed):
    draw = random.Random(seed)
    return [
        replace(
            cell,
            samples=[a_sample(draw) for _ in range(draw.choice([0, 1, 2, 7, 8, 20]))],
            steps_done=draw.choice([0, 16, 16, 16]),
            status=draw.choice(["ok", "ok", "ok", "crashed"]),
            stop=Stop(interval_level=draw.choice([None, 0.95, 0.99, 2.0])),
        )
        for cell in CELLS
    ]


def same(found, wanted):
    return all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize("seed", range(5))
def test_times_are_those_of_each_cell(seed):
    cells = odd_cells(seed)
    draw = random.Random(seed)
    partners = {cell.cell_id: draw.choice(cells) for cell in cells if draw.random() < 0.8}

    times = cell_times(cells, partners, [*map(runtime.interval_level, cells)])

    for cell, found in zip(cells, times, strict=True):
        wall, level = runtime.wall_samples(cell), runtime.interval_level(cell)
        under = runtime.step_by_round(partners.get(cell.cell_id))
        step = runtime.per_step(cell)
        seconds = [as_float(sample.seconds) for sample in wall]
        of_total = runtime.paired(cell, under, lambda sample: as_float(sample.seconds), level)
        assert same(found.total, runtime.summary(seconds, level))
        assert same(found.prepare, runtime.summary([*map(runtime.prepare, wall)]))
        assert same(found.step, runtime.summary([*map(step, wall)]))
        assert same(found.sgd, runtime.summary([*under.values()] if wall else []))
        assert same(found.phases_sgd_steps, of_total)
        assert same(found.sgd_steps, runtime.paired(cell, under, step, level))


def test_medians_of_groups_are_those_of_each():
    draw = np.random.default_rng(2)
    sizes = [0, 1, 2, 5, 6, 7, 0, 7, 40, 0]
    group = np.repeat(np.arange(len(sizes)), sizes)
    values = draw.lognormal(size=len(group))
    values[::9] = np.nan
    levels = [0.95, 0.5] * 5

    found = grouped_medians(values, group, len(sizes), levels)

    for number, (estimate, level) in enumerate(zip(found, levels, strict=True)):
        own = values[(group == number) & np.isfinite(values)]
        assert same(estimate, median_interval(own.tolist(), level))


def test_a_ratio_beyond_all_numbers_is_unknown():
    cell, sgd = CELLS[1], CELLS[0]
    tiny = [replace(sample, steps_s=1e-320) for sample in sgd.samples]
    partner = replace(sgd, samples=tiny)

    (row,) = runtime.cell_rows([cell], {cell.cell_id: partner}, roof_of(None))

    assert math.isnan(row.sgd_steps)
    assert row.median_s > 0


def test_a_sweep_is_at_the_base_but_for_its_axis():
    base = base_point(CELLS, None)
    for cell in CELLS:
        assert [*swept_axes(cell, base)] == [a for a in "tdnlb" if is_at(cell, base, but=a)]
    untaken = replace(CELLS[0], **{**base, "d": None})  # a model that takes no d
    assert is_at(untaken, base)
    assert [*swept_axes(untaken, base)] == ["t", "n", "l", "b"]
    assert not is_at(replace(untaken, n=base["n"] + 1), base)


def test_cells_without_a_level_cross_nowhere():
    base = base_point(CELLS, None)
    unplaced = [replace(c, d=None) if c.d == 512 else c for c in CELLS]

    levels = {c.axis: c.levels for c in crossings(ratio_rows(unplaced), base)}

    assert levels["d"] == [32, 64, 128, 256]
