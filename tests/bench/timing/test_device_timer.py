"""The running clock, and the performance suite whose samples it takes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest
import torch
from typer.testing import CliRunner

from bench.cli.app import app
from bench.comparison.exports.pytest_benchmark import loads
from bench.timing.device_timer import RunningClock, timer_for

ROOT = Path(__file__).parents[3]


class FakeClock:
    """Marks are numbers, spans their differences in single precision, as CUDA events give them."""

    name = "fake"

    def __init__(self, marks):
        self._marks = iter(marks)

    def mark(self):
        return next(self._marks)

    def seconds(self, start, end):
        return torch.tensor(end - start, dtype=torch.float32).item()


def test_readings_differ_by_the_spans_of_the_clock():
    timer = RunningClock(FakeClock([5.0, 5.5, 7.5]))

    assert [timer(), timer(), timer()] == [0.0, 0.5, 2.5]


def test_short_spans_stay_exact_long_after_the_start():
    timer = RunningClock(FakeClock([0.0, 1e5, 1e5 + 1e-3]))
    timer()
    before = timer()

    assert timer() - before == pytest.approx(1e-3, rel=1e-6)


def test_on_the_cpu_it_is_wall_time():
    assert timer_for("cpu") is perf_counter


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_it_is_the_time_between_two_events():
    timer = timer_for("cuda")
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    timer()
    first.record()
    before = timer()
    torch.cuda._sleep(50_000_000)
    seconds = timer() - before
    last.record()
    last.synchronize()

    assert seconds == pytest.approx(first.elapsed_time(last) / 1e3, rel=0.03)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The JSON of a run of two cells of the suite."""
    path = tmp_path_factory.mktemp("suite") / "head.json"
    suite = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/performance"]
    # Beside other workers of pytest-xdist the plugin would refuse to measure.
    alone = {key: value for key, value in os.environ.items() if "XDIST" not in key}
    done = subprocess.run(
        [sys.executable, *suite, "-k", "nullspace and 48", f"--benchmark-json={path}"],
        cwd=ROOT,
        env={**alone, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return path


def test_the_suite_writes_raw_samples_and_the_keys_of_machine_and_code(saved):
    sides = loads(saved.read_text(), "head.json")["wall"]

    assert {len(side.seconds) for side in sides.values()} == {30}
    assert len(sides) == 2
    assert all(len(side.environment) == len(side.benchmark) == 16 for side in sides.values())


def slower(path, factor, to):
    document = json.loads(path.read_text())
    for test in document["benchmarks"]:
        middle = sorted(test["stats"]["data"])[15]
        test["stats"]["data"] = [middle * factor * (1 + 1e-4 * i) for i in range(30)]
    to.write_text(json.dumps(document))
    return str(to)


def test_compare_and_gate_read_it(saved, tmp_path):
    base, head = (slower(saved, factor, tmp_path / f"{factor}.json") for factor in (1, 1.3))
    runner = CliRunner()

    assert runner.invoke(app, ["compare", base, head]).exit_code == 1
    out = str(tmp_path / "out")
    gate = runner.invoke(app, ["gate", "--base", base, "--head", head, "--out", out])
    assert gate.exit_code == 1, gate.output
    assert gate.output.count("SLOWER") == 2
    assert (tmp_path / "out" / "junit.xml").exists()
    assert runner.invoke(app, ["compare", base, base]).exit_code == 0
