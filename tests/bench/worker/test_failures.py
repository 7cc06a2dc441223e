"""What is said of an error: the last frames of the user's own code, and no others."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.problems.factory import load_factory
from bench.worker.failures import reason_of

DEEP = """
import torch, statistics

def outer():
    return middle()
def middle():
    return inner()
def inner():
    return deepest()
def deepest():
    return torch.zeros(2) @ torch.zeros(3)
def library():
    return statistics.mean([])
"""


@pytest.fixture
def reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "deep.py").write_text(DEEP)

    def of(name: str) -> str:
        function: Any = load_factory(f"{tmp_path}/deep.py:{name}")
        with pytest.raises((RuntimeError, ValueError)) as raised:
            function()
        # Without the frame of this test.
        error = raised.value.with_traceback(raised.tb.tb_next)
        return reason_of(error)

    return of


def test_the_last_frames_innermost_last(reason: Callable[[str], str]) -> None:
    said = reason("outer")
    assert said.startswith("RuntimeError: ")
    assert said.endswith(
        "(deep.py, line 7, in middle > deep.py, line 9, in inner > deep.py, line 11, in deepest)"
    )


def test_frames_of_libraries_are_none_of_the_users(reason: Callable[[str], str]) -> None:
    assert reason("library").endswith("(deep.py, line 13, in library)")
