"""The examples of the pages on own models and notebooks run as they stand."""

import re
from pathlib import Path

import pytest

from bench.plan.points import Point
from bench.problems.build import build
from reports.measured.measured import Measured

DOCS = Path(__file__).parents[2] / "docs"


def example(page: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    (found,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return found


def test_the_factory_is_one(tmp_path: Path) -> None:
    (tmp_path / "my_cnn.py").write_text(example("own_models.md"))
    place = f"{tmp_path}/my_cnn.py:factory", "its own batches", "cpu", "float32"

    built = build(Point(2, 8, 4, 3, 2, *place), seed=0, bias=False, data_dir=None)

    assert [len(inputs) for inputs, _ in built.batches] == [8, 8]
    assert built.heldout is not None
    assert len(built.heldout[0]) == 64
    assert built.note == "dropout is off for the measurement: drop (Dropout)"


def test_the_live_model_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.timing.whole_calls.CELL_SECONDS", 0.0)
    names: dict[str, object] = {}

    exec(compile(example("notebooks.md"), "notebooks.md", "exec"), names)

    found = names["found"]
    assert isinstance(found, Measured)
    assert [each.status for each in found.methods] == ["ok", "ok"]
    said = str(found)
    assert "whole call, in SGD steps" in said
    assert "‖g‖² times" in said
