"""Leases with a clock of the test's own, and owners that are here, elsewhere and gone."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bench.leases.leases import FOLDER, Leases, beating, others
from bench.leases.owner import Owner

EXPIRY = 90.0


class Clock:
    """Stands still."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def runner(directory: Path, clock: Clock, name: str, **facts: object) -> Leases:
    """One of a machine that is not this one, unless ``facts`` say otherwise."""
    owner = replace(Owner.here(), **{"name": name, "machine": "elsewhere", **facts})
    return Leases(directory, owner, EXPIRY, clock)


def ended() -> Owner:
    """A process of this machine that is gone."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        owner = replace(Owner.here(), name="ended", pid=process.pid)
        process.communicate(b"\n")
    return owner


def test_one_of_two_holds_it_until_it_gives_it_back(tmp_path: Path, clock: Clock) -> None:
    one, two = (runner(tmp_path, clock, name) for name in ("one", "two"))

    assert one.take("a")
    assert not one.take("a")
    assert not two.take("a")
    assert two.take("b")
    two.give_back("a")  # not its own
    assert one.holds("a")
    one.give_back("a")
    assert two.take("a")
    assert two.holds("a")
    assert not one.holds("a")


def test_of_many_threads_and_runners_one_gets_it(tmp_path: Path, clock: Clock) -> None:
    runners = [runner(tmp_path, clock, str(number)) for number in range(4)]
    start, got = threading.Barrier(16), []

    def try_it(own: Leases) -> None:
        start.wait()
        got.append(own.take("a"))

    threads = [threading.Thread(target=try_it, args=(runners[i % 4],)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 15 + [True]


def test_without_a_sign_of_life_it_is_taken_over(tmp_path: Path, clock: Clock) -> None:
    dead, alive = (runner(tmp_path, clock, name) for name in ("dead", "alive"))
    dead.take("a")

    assert not alive.take("a")
    clock.seconds += EXPIRY - 1
    assert not alive.take("a")
    clock.seconds += 1
    assert alive.take("a")
    assert not dead.holds("a")
    dead.give_back("a")  # it wakes up
    assert alive.holds("a")


def test_a_sign_of_life_keeps_it(tmp_path: Path, clock: Clock) -> None:
    alive, other = (runner(tmp_path, clock, name) for name in ("alive", "other"))
    alive.take("a")
    for _ in range(5):
        assert not other.take("a")
        clock.seconds += EXPIRY - 1
        alive.beat()

    assert alive.holds("a")


@pytest.mark.parametrize("skew", [-1e6, 1e6])
def test_clocks_of_two_machines_are_never_compared(
    tmp_path: Path, clock: Clock, skew: float
) -> None:
    one, other = (runner(tmp_path, clock, name) for name in ("one", "other"))
    one.take("a")
    file = tmp_path / FOLDER / "a.lease"
    os.utime(file, (file.stat().st_mtime + skew,) * 2)

    assert not other.take("a")
    clock.seconds += EXPIRY
    assert other.take("a")


def test_a_process_of_this_machine_that_is_gone_is_dead_at_once(
    tmp_path: Path, clock: Clock
) -> None:
    Leases(tmp_path, ended(), EXPIRY, clock).take("a")
    here = Leases(tmp_path, replace(Owner.here(), name="here"), EXPIRY, clock)
    here.take("b")
    third = Leases(tmp_path, Owner.here(), EXPIRY, clock)

    assert others(tmp_path) == ["here"]
    assert third.take("a")
    assert not third.take("b")
    clock.seconds += EXPIRY  # it lives, and yet gives no sign: it was stopped, perhaps
    assert third.take("b")


def test_who_comes_second_to_a_dead_lease_leaves_the_first_one_its_own(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, first, second = (runner(tmp_path, clock, name) for name in ("dead", "one", "two"))
    dead.take("a")
    for own in (first, second):
        own.beat()
    clock.seconds += EXPIRY

    def first_is_faster(_path: Path) -> bool:
        assert first.take("a")
        return True

    monkeypatch.setattr(second, "_is_dead", first_is_faster)
    assert not second.take("a")
    assert first.holds("a")


def test_a_lease_without_a_name_expires(tmp_path: Path, clock: Clock) -> None:
    own = runner(tmp_path, clock, "own")
    for name, text in (("empty", ""), ("other", '{"name": 3}'), ("none", "[" * 9)):
        (tmp_path / FOLDER / f"{name}.lease").write_text(text)
        assert not own.take(name)
    clock.seconds += EXPIRY

    assert all(own.take(name) for name in ("empty", "other", "none"))


def test_a_heart_beats_and_at_its_end_nothing_is_left(tmp_path: Path, clock: Clock) -> None:
    own, other = (runner(tmp_path, clock, name) for name in ("own", "other"))
    own.take("a")
    file = tmp_path / FOLDER / "a.lease"
    os.utime(file, (0, 0))
    began = threading.Event()

    with beating(own, 0.01):
        while file.stat().st_mtime == 0:
            began.wait(0.01)
    assert not (tmp_path / FOLDER).exists()
    assert other.take("a")


def test_names_of_owners_sort_by_time_and_are_distinct() -> None:
    names = [Owner.here().name for _ in range(3)]

    assert len(set(names)) == 3
    assert all(name.partition("-")[0] >= names[0].partition("-")[0] for name in names)
    assert Owner.read(Owner.here().facts() | {"pid": "1"}) is None
