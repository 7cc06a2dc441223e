"""docs/level_set.md, executed."""

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "level_set.md").read_text()


def test_the_example_ends_at_the_maximum(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

    exec(compile(example, "level_set.md", "exec"), {})

    first, second, third = capsys.readouterr().out.splitlines()
    steps = re.search(r"stops moving at .* ours is there after (\d+) \|", TEXT)
    assert steps is not None
    assert first == f"STATIONARY {steps[1]} steps"
    loss, end = map(float, second.removeprefix("loss ").split(" -> "))
    assert end == pytest.approx(loss, rel=1e-6)
    assert float(third.split()[-1]) == pytest.approx(1, abs=1e-6)
