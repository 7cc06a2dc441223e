"""The time of one teleport by pytest-benchmark; on CUDA device time.

pytest tests/performance --benchmark-json=base.json
teleport-bench compare base.json head.json
"""

import pytest
from performance_points import CELLS, DEVICE, NAMES, SPEC

from bench.problems.build import build
from bench.timing.device_timer import timer_for
from bench.timing.rounds import TIMING_LR
from bench.timing.start import restore
from teleport_core import Problem, make

ROUNDS = 30


@pytest.mark.benchmark(timer=timer_for(DEVICE), disable_gc=True)
@pytest.mark.parametrize(("point", "variant"), CELLS, ids=NAMES)
def test_teleport(benchmark, point, variant):
    built = build(point, seed=SPEC.seed, bias=SPEC.bias, data_dir=SPEC.data_dir)
    start = {name: value.clone() for name, value in built.model.state_dict().items()}
    problem = Problem(built.model, built.loss_fn, *built.batches[0])
    options = {**variant.options, "steps": point.t, "lr": TIMING_LR, "cap": float("inf")}
    teleporter = make(variant.method, **options)

    def call():
        return teleporter.advance(problem, teleporter.prepare(problem))

    result = benchmark.pedantic(
        call, setup=lambda: restore(built.model, start), rounds=ROUNDS, warmup_rounds=3
    )

    assert result.steps_done == point.t
