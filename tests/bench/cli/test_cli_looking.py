"""What tells what there is: the version, methods and presets."""

import re

import pytest
from typer.testing import CliRunner

from bench.cli.app import COMMANDS, app
from bench.cli.looking.methods import promise
from bench.entry_points import found
from bench.machine.version import project_version
from bench.spec.preset import preset_names
from teleport_core import Teleporter, available, make


def said(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_version_is_that_of_the_project() -> None:
    assert said("--version") == f"teleport-bench {project_version()}\n"
    assert re.fullmatch(r"\d+\.\d+.*", str(project_version()))


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS), ("data", "list")])
def test_h_is_help(words: tuple[str, ...]) -> None:
    assert said(*words, "-h") == said(*words, "--help")


def test_every_method_is_listed_with_its_promise_and_its_options() -> None:
    text = said("methods")

    assert set(available()) == set(found("teleport_bench.methods"))
    for name in available():
        assert f"{name}: {type(make(name)).promise}\n" in text
        assert type(make(name)).promise
    assert "    tau=1.0, rank_rule, engine=auto, max_drift, overshoot=true, " in text
    assert "    rho, sublevel=true, tolerance, published=false\n" in text
    assert "identity: nothing moves\n    no options of its own\n" in text
    last = "all: steps=8, lr=0.01, growth, cap=inf, objective=l2, direction=up; steps is the axis t"
    assert last in text


def test_a_method_that_promises_nothing_says_what_it_does() -> None:
    class Elsewhere(Teleporter):
        """Move somewhere.

        And more.
        """

    assert promise(Elsewhere) == "Move somewhere."


def test_every_preset_is_listed_with_a_sentence() -> None:
    lines = dict(line.split(maxsplit=1) for line in said("presets").splitlines()[1:])

    assert list(lines) == preset_names()
    assert lines["quick"] == "All five axes, small enough for two CPU cores and a few minutes."
    assert all(line[0].isupper() and line.endswith(".") for line in lines.values())
