"""Every method has a profile: its phases are within the call, on a model that it moves."""

from pathlib import Path

import pytest
from small_problems import CASES

from baselines.test_functions import problem_of
from bench.plan.points import Point
from bench.plan.profiles import Detail
from bench.profiling import cells
from bench.profiling.cells import profile_cell
from teleport_core import Problem, available

# A loss of several tasks is what that method needs.
METHODS = [name for name in available() if name != "cost"]


def movable(method: str) -> Problem:
    if method == "so2":
        return problem_of("booth")
    return CASES["attention" if method == "gauge" else "leaky-no-bias"].build()


@pytest.mark.parametrize(
    "method",
    [pytest.param(name, marks=() if name == "rescale" else pytest.mark.long) for name in METHODS],
)
def test_every_method_has_a_profile(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "REPEATS", 1)
    problem = movable(method)
    point = Point(2, 16, 8, 3, 1, "mlp", "digits", "cpu", "float64")
    cell = {"variant": method, "cell_id": "0123456789abcdef"}

    found = profile_cell(cell, point, [problem], tmp_path, Detail(shapes=False, memory=False))

    assert found.get("status", "ok") == "ok", found
    phases = {each["phase"]: each["self_s"] for each in found["phases"]}
    assert 0 <= sum(phases.values()) <= found["seconds"] * (1 + 1e-9)
    assert phases or method == "identity"
    assert (tmp_path / found["raw_trace"]).stat().st_size > 0
    assert found["operations"] is not None
