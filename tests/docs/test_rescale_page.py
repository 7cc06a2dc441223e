"""docs/rescale.md, executed."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "rescale.md"


def test_the_page_runs_and_says_what_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict[str, object] = {}

    exec(compile(first, "rescale.md", "exec"), names)
    change = names["change"]
    exec(compile(second, "rescale.md", "exec"), names)

    printed = capsys.readouterr().out
    assert printed.startswith("DONE 16 scales, growth")
    assert float(printed.split()[4]) == pytest.approx(2, rel=0.01)
    assert change < 1e-12  # type: ignore[operator]
    assert re.findall(r"norm change by (\S+)", printed) == ["0.0006", "0.2"]
    assert "prints 0.0006 and 0.2." in text
