"""The summary of traces: one written by hand, and really recorded ones beside torch's own sums."""

import gzip
import json
from pathlib import Path
from typing import Any

import cuda_trace
import pytest
import torch
from small_problems import classification
from torch import nn

from bench.errors import RunError
from bench.plan.profiles import Detail
from bench.profiling.memory import memory_peaks
from bench.profiling.record import Call, record
from bench.profiling.summary import Summary, summarise
from bench.profiling.trace import Allocation, Span, covered, load, nest, parse
from teleport_core import make


def span(name: str, start: float, end: float, thread: str = "main") -> Span:
    return Span(name, "cpu_op", start, end, (1, thread))


def test_spans_nest_by_time_within_a_thread() -> None:
    spans = [
        span("outer", 0, 10),
        span("elsewhere", 1, 9, "other"),
        span("first", 1, 4),
        span("within", 2, 3),
        span("second", 4, 6),
        span("behind", 10, 12),
    ]

    nesting = nest(spans)

    assert nesting.parents == [None, None, 0, 2, 0, None]
    assert nesting.inner == [5, 0, 1, 0, 0, 0]


def test_a_span_that_outlasts_its_parent_counts_only_within_it() -> None:
    nesting = nest([span("outer", 0, 10), span("late", 8, 15)])

    assert nesting.inner == [2, 0]


def test_covered_counts_overlaps_once_and_only_inside_the_windows() -> None:
    spans = [(0.0, 4.0), (2.0, 6.0), (10.0, 11.0), (30.0, 40.0)]

    assert covered(spans, [(1.0, 5.0), (5.0, 12.0)]) == 6.0


def test_memory_peaks_are_running_sums_within_a_call() -> None:
    changes = [
        Allocation(0.0, "cpu", 5000),
        Allocation(1.0, "cpu", 10),
        Allocation(2.0, "cpu", 30),
        Allocation(3.0, "cpu", -40),
        Allocation(4.0, "cuda:0", 7),
        Allocation(9.0, "cpu", -5000),
        Allocation(11.0, "cpu", 35),
    ]

    assert memory_peaks(changes, [(1.0, 5.0), (10.0, 12.0)]) == {"cpu": 40, "cuda:0": 7}


@pytest.fixture(scope="module")
def cuda() -> Summary:
    return summarise(parse(cuda_trace.document()))


def microseconds(seconds: float) -> float:
    return round(1e6 * seconds, 3)


def test_device_time_goes_to_the_operators_that_launched_it(cuda: Summary) -> None:
    times = {
        key: (microseconds(u.self_device_s), microseconds(u.total_device_s))
        for key, u in cuda.operators.items()
    }

    assert times == {
        ("basis", "aten::copy_"): (5, 5),
        ("forward", "aten::linear"): (0, 30),
        ("forward", "aten::mm"): (30, 30),
        ("backward", "MmBackward0"): (10, 10),
    }


def test_launches_are_not_the_operators_own_time(cuda: Summary) -> None:
    usage = cuda.operators["forward", "aten::mm"]

    assert (microseconds(usage.self_cpu_s), microseconds(usage.total_cpu_s)) == (40, 60)
    assert usage.calls == 1


def test_phases_get_what_they_launched_on_any_thread(cuda: Summary) -> None:
    times = {
        name: (microseconds(u.self_cpu_s), microseconds(u.self_device_s))
        for name, u in cuda.phases.items()
    }

    assert times == {
        "other": (370, 0),
        "basis": (100, 5),
        "forward": (200, 30),
        "backward": (300, 10),
    }


def test_the_device_is_busy_for_its_kernels_and_copies(cuda: Summary) -> None:
    assert cuda.calls == cuda_trace.CALLS
    assert microseconds(cuda.call_s) == 970
    assert cuda.device_busy == pytest.approx(45 / 970)
    assert cuda.device_s == pytest.approx(45e-6)
    assert (cuda.launched, cuda.launched_in_steps) == (2, 2)
    assert cuda.memory_peaks == {"cuda:0": cuda_trace.PEAK_BYTES}


def test_a_trace_without_a_call_and_a_file_without_a_trace_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected ranges 'call: prepare' and 'call: steps'"):
        summarise(parse({"traceEvents": []}))
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(RunError, match="expected traceEvents in"):
        load(tmp_path / "a.json")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b"[1"))
    with pytest.raises(RunError, match=r"expected a trace of torch\.profiler at"):
        load(tmp_path / "b.json.gz")


@pytest.fixture(scope="module", params=["textbook", "half_hvp", "symmetry"])
def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Summary, Any]:
    """A recorded trace's summary, and what the profiler itself adds up."""
    here = classification(
        [20, 24, 24, 3], 8, lambda: nn.LeakyReLU(0.1), bias=False, dtype=torch.float32
    )
    name = request.param
    options = {"published": True} if name == "symmetry" else {"engine": name}
    method = "symmetry" if name == "symmetry" else "nullspace"
    teleporter = make(method, **options, steps=2, lr=1e-6)
    call = Call(lambda: teleporter.prepare(here), lambda state: teleporter.advance(here, state))
    path = tmp_path_factory.mktemp("trace") / "raw" / "cell.trace.json.gz"
    profilers = []
    export = torch.profiler.profile.export_chrome_trace

    def exported(self: Any, where: str) -> Any:
        profilers.append(self.key_averages())
        return export(self, where)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.profiler.profile, "export_chrome_trace", exported)
        record(call, path, "cpu", Detail())
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    return summarise(parse(load(path))), profilers[0]


def test_operators_agree_with_the_profilers_own_sums(recorded: tuple[Summary, Any]) -> None:
    summary, averages = recorded
    ours: dict[str, list[float]] = {}
    for (_, name), usage in summary.operators.items():
        sums = ours.setdefault(name, [0.0, 0.0, 0.0])
        for i, value in enumerate((usage.calls, usage.self_cpu_s, usage.total_cpu_s)):
            sums[i] += value * summary.calls
    theirs = {e.key: e for e in averages if not e.key.startswith(("Profiler", "call", "phase"))}

    assert set(ours) == set(theirs)
    assert len(ours) > 10
    for name, (calls, own, total) in ours.items():
        assert round(calls) == theirs[name].count
        assert 1e6 * own == pytest.approx(theirs[name].self_cpu_time_total, rel=0.01, abs=0.01)
        assert 1e6 * total == pytest.approx(theirs[name].cpu_time_total, rel=0.01, abs=0.01)


def test_phases_agree_with_the_profilers_own_sums(recorded: tuple[Summary, Any]) -> None:
    summary, averages = recorded
    theirs = {e.key.removeprefix("phase: "): e for e in averages if e.key.startswith("phase: ")}

    assert set(theirs) == set(summary.phases) - {"other"}
    for name, event in theirs.items():
        total = 1e6 * summary.phases[name].total_cpu_s * summary.calls
        assert total == pytest.approx(event.cpu_time_total, rel=0.01)
    parts = [e.cpu_time_total for e in averages if e.key.startswith("call: ")]
    assert 1e6 * summary.call_s * summary.calls == pytest.approx(sum(parts), rel=0.01)


def test_a_call_is_its_phases_and_the_rest(recorded: tuple[Summary, Any]) -> None:
    summary, _ = recorded

    assert summary.calls == 3
    assert sum(u.self_cpu_s for u in summary.phases.values()) == pytest.approx(summary.call_s)
    assert summary.device_busy is None
    assert summary.launched > summary.launched_in_steps > 0
    assert summary.memory_peaks["cpu"] > 0
    assert json.loads(json.dumps(summary.to_record()))["calls"] == 3
