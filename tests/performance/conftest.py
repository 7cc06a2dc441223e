"""What the JSON of this suite says of machine and measuring code, so that ``compare`` can tell."""

from pathlib import Path

from bench.comparison.exports.pytest_benchmark import OURS
from bench.machine.benchmark_code import benchmark_key
from bench.machine.comparable import comparable_key
from bench.machine.environment import describe

ROOT = Path(__file__).parents[2]


def pytest_benchmark_update_machine_info(config, machine_info):
    from performance_points import DEVICE

    machine_info[OURS] = {
        "environment": comparable_key(describe(DEVICE)),
        "benchmark": benchmark_key(ROOT),
    }
