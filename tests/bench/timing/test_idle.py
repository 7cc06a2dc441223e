"""The idle check on injected readings, and once on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.timing import foreign_load
from bench.timing.foreign_load import ForeignLoad, busy_seconds


def reading(*values: float | None) -> Iterator[float | None]:
    yield from values


def load(busy: tuple[float | None, float | None], own: float, seconds: float) -> ForeignLoad:
    """A count that began at (busy[0], 10, 100) and ends ``seconds`` later."""
    all_busy, mine, clock = reading(*busy), reading(10.0, 10.0 + own), reading(100.0, 100 + seconds)
    return ForeignLoad(lambda: next(all_busy), lambda: next(mine), lambda: next(clock))  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("busy", "own", "cores"),
    [
        ((50.0, 58.0), 8.0, 0.0),  # all of it was ours
        ((50.0, 58.0), 4.0, 1.0),  # one core was somebody else's
        ((50.0, 50.0), 0.0, 0.0),
        ((50.0, 57.9), 8.0, 0.0),  # ticks are coarse: never below zero
    ],
)
def test_cores_of_others(busy: tuple[float, float], own: float, cores: float) -> None:
    assert load(busy, own, 4.0).cores() == pytest.approx(cores)


def test_a_busy_machine_is_flagged_and_an_idle_one_is_not() -> None:
    assert load((50.0, 58.0), 8.0, 4.0).flags() == []
    assert load((50.0, 58.0), 7.3, 4.0).flags() == []
    assert load((50.0, 58.0), 4.0, 4.0).flags() == [
        "busy machine: others used 1.00 cores meanwhile"
    ]


def test_a_system_that_does_not_tell_raises_no_flag(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(foreign_load, "_STAT", tmp_path / "absent")

    assert busy_seconds() is None
    assert load((None, None), 1.0, 4.0).cores() is None
    assert load((None, None), 1.0, 4.0).flags() == []


def test_of_a_process_that_is_tied_to_cores_these_alone_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stat = tmp_path / "stat"
    stat.write_text("".join(f"cpu{c}  {v} 0 0 0 0 0 0 0\n" for c, v in (("", 7), (0, 4), (1, 3))))
    monkeypatch.setattr(foreign_load, "_STAT", stat)
    ticks = os.sysconf("SC_CLK_TCK")

    for cores, busy in (({0}, 4), ({1}, 3), ({0, 1}, 7), ({0, 1, 2}, 7)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: cores)
        assert busy_seconds() == pytest.approx(busy / ticks)


def test_the_format_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 99999 88888 4 5 6 7 8\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    monkeypatch.setattr(foreign_load, "_STAT", stat)

    assert busy_seconds() == pytest.approx(165 / os.sysconf("SC_CLK_TCK"))
