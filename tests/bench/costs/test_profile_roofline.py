"""What the machine can do at most: the arithmetic by a fake clock, the rates for function."""

from collections.abc import Callable
from typing import Any

import pytest

from bench.costs import roofline
from bench.plan.points import make_plan
from bench.process.worker import WorkerGoneError
from bench.runner.runner import Runner
from bench.spec.preset import load_preset


class Machine:
    """Its work takes the times it is given, in turn."""

    def __init__(self, seconds: list[float]) -> None:
        self.moment = 0.0
        self.done = 0
        self._seconds = seconds

    def now(self) -> float:
        return self.moment

    def work(self) -> None:
        self.moment += self._seconds[min(self.done, len(self._seconds) - 1)]
        self.done += 1


def test_the_best_of_several_times_counts_and_the_warm_up_does_not() -> None:
    machine = Machine([0.001, 5.0, 4.0, 3.0, 6.0])

    assert roofline.best_seconds(machine.work, machine.now, seconds=13) == 3.0
    assert machine.done == 5


def test_slow_work_is_repeated_three_times_at_least() -> None:
    machine = Machine([100.0])

    assert roofline.best_seconds(machine.work, machine.now, seconds=1) == 100.0
    assert machine.done == 2 + 3


def test_short_work_is_timed_in_bunches() -> None:
    machine = Machine([1e-5])

    assert roofline.best_seconds(machine.work, machine.now, seconds=0.03) == pytest.approx(1e-5)
    assert 2 + 3000 <= machine.done <= 2 + 5000


def test_rates_are_bytes_and_operations_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "COPY_BYTES", 1000)
    monkeypatch.setattr(roofline, "SQUARE", {"cpu": 10})
    made = []

    def half_a_second(work: Callable[[], Any], now: Callable[[], float]) -> float:
        made.append(work())
        return 0.5

    monkeypatch.setattr(roofline, "best_seconds", half_a_second)

    rates = roofline.measure("cpu", "float64", d=6, n=2)

    assert rates["copy_bytes_per_s"] == 2 * 1000 / 0.5
    assert rates["matmul_flop_per_s"] == 2 * 10**3 / 0.5
    assert rates["thin_matmul_flop_per_s"] == 2 * 6 * 6 * 2 / 0.5
    assert [tuple(result.shape) for result in made] == [(1000,), (10, 10), (6, 2)]
    assert str(made[2].dtype) == "torch.float64"
    assert (rates["matmul_size"], rates["thin_matmul_size"]) == (10, [6, 6, 2])
    assert (rates["roofline_device"], rates["roofline_dtype"]) == ("cpu", "float64")


def test_the_faster_of_two_libraries_says_what_the_machine_can_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(roofline, "COPY_BYTES", 1000)
    monkeypatch.setattr(roofline, "SQUARE", {"cpu": 256})
    monkeypatch.setattr(roofline, "best_seconds", lambda work, now: 0.5)
    slow = roofline.measure("cpu", "float32", d=6, n=2)["matmul_flop_per_s"]
    shapes: list[tuple[int, ...]] = []

    def by_name(work: Callable[[], Any], now: Callable[[], float]) -> float:
        shapes.append(tuple(work().shape))
        return 0.1 if shapes.count((256, 256)) == 2 else 0.5

    monkeypatch.setattr(roofline, "best_seconds", by_name)
    fast = roofline.measure("cpu", "float32", d=6, n=2)["matmul_flop_per_s"]

    assert shapes == [(1000,), (256, 256), (256, 256), (6, 2)]
    assert fast == pytest.approx(5 * slow)


class Broken:
    """A worker that cannot measure, or dies over it."""

    def __init__(self, *, dies: bool) -> None:
        self._dies = dies
        self.messages = [
            {"event": "ready"},
            {"event": "failed", "reason": "no memory for the copy", "status": "oom"},
            {"event": "done"},
        ]

    def send(self, command: dict[str, Any]) -> None:
        assert command["do"] == "roofline"
        assert (command["d"], command["n"]) == (16, 8)

    def receive(self, timeout: float) -> dict[str, Any]:
        assert timeout > 0
        if self._dies and len(self.messages) < 3:
            raise WorkerGoneError("oom", "the worker ended with signal SIGKILL")
        return self.messages.pop(0)

    def kill(self) -> None: ...


@pytest.mark.parametrize(
    ("dies", "reason"),
    [(False, "no memory for the copy"), (True, "the worker ended with signal SIGKILL")],
)
def test_a_machine_that_cannot_be_measured_is_named_so(dies: bool, reason: str) -> None:
    spec = make_plan(load_preset("smoke").with_overrides(device="cpu", threads=1)).spec
    launch: Any = lambda: Broken(dies=dies)  # noqa: E731
    runner = Runner(progress=None, launch=launch)  # type: ignore[arg-type]

    assert runner.roofline(spec) == {"roofline_failed": reason}
