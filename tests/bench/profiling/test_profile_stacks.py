"""Folded stacks and memory over time: every second and every byte of a call is in them, once."""

from pathlib import Path

import cuda_trace
import pytest

from bench.profiling.memory import MOST_POINTS, memory_curves
from bench.profiling.stacks import most, write
from bench.profiling.summary import Summary, summarise
from bench.profiling.trace import Allocation, parse


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarise(parse(cuda_trace.document()))


def test_an_operator_stands_below_its_phase_and_the_operator_around_it(summary: Summary) -> None:
    own = round(1e6 * summary.stacks["forward", "aten::linear", "aten::mm"])

    assert own == round(1e6 * summary.operators["forward", "aten::mm"].self_cpu_s) + 20  # launches
    assert ("aten::mm",) not in summary.stacks


def test_what_a_phase_and_all_within_it_took_adds_up(summary: Summary) -> None:
    for phase in ("forward", "basis"):
        parts = [s for path, s in summary.stacks.items() if path[0] == phase]
        assert sum(parts) == pytest.approx(summary.phases[phase].total_cpu_s)


def test_a_file_has_a_line_a_stack_in_microseconds(tmp_path: Path) -> None:
    stacks = {("basis", "a;b c\n"): 1.5e-3, ("basis",): 2e-6, ("x",): 1e-9}

    path = write(tmp_path / "stacks" / "one.folded", stacks)

    assert path.read_text() == "basis 2\nbasis;a,b c 1500\n"
    assert [each.name for each in path.parent.iterdir()] == ["one.folded"]


def test_a_record_keeps_the_stacks_with_most_time() -> None:
    found = most({("a",): 1.0, ("b",): 3.0, ("c",): 2.0}, count=2)

    assert found == [{"stack": ["b"], "seconds": 3.0}, {"stack": ["c"], "seconds": 2.0}]


def test_memory_of_the_last_call_begins_at_nothing_and_ends_with_it() -> None:
    changes = [
        Allocation(1.0, "cpu", 99),
        Allocation(11.0, "cpu", 30),
        Allocation(13.0, "cpu", -10),
        Allocation(21.0, "cpu", 5),
    ]

    curves = memory_curves(changes, [(0.0, 5.0), (10.0, 20.0)])

    assert curves == {"cpu": [(0.0, 0), (1.0, 30), (3.0, 20), (10.0, 20)]}
    assert memory_curves(changes, []) == {}


def test_of_many_changes_the_peak_stays() -> None:
    changes = [Allocation(1.0 + i, "cpu", 1 if i % 2 == 0 else -1) for i in range(5000)]
    changes[2500:2500] = [Allocation(2500.5, "cpu", 1000), Allocation(2500.6, "cpu", -1000)]

    (curve,) = memory_curves(changes, [(0.0, 6000.0)]).values()

    assert len(curve) <= MOST_POINTS + 2
    assert max(held for _, held in curve) in (1000, 1001)
