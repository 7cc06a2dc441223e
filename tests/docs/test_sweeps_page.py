"""docs/sweeps.md, executed."""

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
(BLOCK,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_run_of_the_page_is_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}

    exec(compile(BLOCK, "sweeps.md", "exec"), names)

    printed = capsys.readouterr().out
    assert printed.split()[:3] == ["variant", "d", "median_s"]
    assert printed.count("nullspace") == printed.count("sgd") == 2
    assert (tmp_path / "runs" / "python" / "journal.jsonl").is_file()
