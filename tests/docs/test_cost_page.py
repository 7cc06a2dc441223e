"""docs/cost.md, executed."""

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_example_keeps_every_task_and_raises_the_gradient(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(compile(EXAMPLE, "cost.md", "exec"), {})

    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("DONE ||g||^2")
    before, after = map(float, first.removeprefix("DONE ||g||^2 ").split(" -> "))
    assert after > 1.05 * before
    starts, ends = (
        [float(each) for each in part.strip("[] ").split(",")]
        for part in second.removeprefix("task losses ").split(" -> ")
    )
    assert ends == pytest.approx(starts, rel=0.0101)
    assert ends != starts
