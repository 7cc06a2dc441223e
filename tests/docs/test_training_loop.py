"""docs/training_loop.md, executed."""

import re
from pathlib import Path
from typing import Any

import pytest

from teleport_core import Teleports

TEXT = (Path(__file__).parents[2] / "docs" / "training_loop.md").read_text()
LOOP, ADVICE, *CALLBACKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_loop_teleports_before_two_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(LOOP, names)

    assert all(isinstance(results, Teleports) for results in names["found"])
    assert [len(results) for results in names["found"]] == [4, 4, 0]
    assert [results.lookahead is None for results in names["found"]] == [False, False, True]
    assert capsys.readouterr().out.startswith("4 ")


def test_the_advice_is_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(LOOP, names)
    capsys.readouterr()
    exec(ADVICE, names)

    # What follows are bounds, whose last digit may be another on another machine.
    shown, bounds = capsys.readouterr().out.split("At 32 samples by tau", maxsplit=1)
    assert shown in TEXT
    assert "e-0" in bounds
    assert max(map(len, bounds.splitlines())) <= 100


def test_both_callbacks_are_where_the_page_says() -> None:
    for text, library in zip(CALLBACKS, ("transformers", "lightning"), strict=True):
        compile(text, "page", "exec")
        assert f"from teleport_core.integrations.{library} import TeleportCallback" in text
