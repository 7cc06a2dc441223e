"""docs/level_set.md, executed."""

import re
from pathlib import Path
from typing import Any

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "level_set.md").read_text()
EXAMPLE, PICTURE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_example_ends_at_the_maximum(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(EXAMPLE, "level_set.md", "exec"), {})

    first, second, third = capsys.readouterr().out.splitlines()
    steps = re.search(r"stops moving at .* ours is there after (\d+) \|", TEXT)
    assert steps is not None
    assert first == f"STATIONARY {steps[1]} steps"
    loss, end = map(float, second.removeprefix("loss ").split(" -> "))
    assert end == pytest.approx(loss, rel=1e-6)
    assert float(third.split()[-1]) == pytest.approx(1, abs=1e-6)


def test_the_picture_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    exec(compile(PICTURE, "level_set.md", "exec"), names)

    assert (tmp_path / "booth.pdf").stat().st_size > 10_000
    losses = [descent.loss[-1] for descent in names["descents"].values()]
    assert losses[0] > 1 > losses[1] > 1e-3 > losses[2]
