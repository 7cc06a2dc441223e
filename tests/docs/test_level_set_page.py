"""docs/level_set.md, executed."""

import re
import tomllib
from pathlib import Path

import pytest

from bench.measurements.descents import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "level_set.md").read_text()
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
(SECTION,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def test_the_example_ends_at_the_maximum(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(EXAMPLE, "level_set.md", "exec"), {})

    first, second, third = capsys.readouterr().out.splitlines()
    steps = re.search(r"stops moving at .* ours is there after (\d+) \|", TEXT)
    assert steps is not None
    assert first == f"STATIONARY {steps[1]} steps"
    loss, end = map(float, second.removeprefix("loss ").split(" -> "))
    assert end == pytest.approx(loss, rel=1e-6)
    assert float(third.split()[-1]) == pytest.approx(1, abs=1e-6)


def test_the_section_of_a_spec_is_one() -> None:
    table = tomllib.loads(SECTION)["descents"]

    assert Settings(**table) == Settings(lr=0.05, steps=30, at=(0, 10), teleport_steps=40)
