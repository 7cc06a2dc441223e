"""Help comes at once: what it does not show is not imported. Names are held, not times."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from bench.cli.app import COMMANDS, app, loaded

ROOT = Path(__file__).parents[3]

# All of ours that the help of all commands takes.
OURS = {
    *("bench", "bench.__main__", "bench.cli", "bench.cli.app", "bench.errors", "bench.plain_text")
}
# What took it longer than everything else together; each comes with a family of its own.
SLOW = {"email", "filelock", "importlib.metadata", "msgspec", "pydantic", "rich.console", "tomllib"}
HEAVY = {"filelock", "matplotlib", "numpy", "pandas", "pydantic", "rich.console", "scipy", "torch"}


def modules_after(statement: str) -> set[str]:
    """What a fresh interpreter has loaded when it ends."""
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, sep=' ')); {statement}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.splitlines()[-1].split())


def modules_of(*words: str) -> set[str]:
    """What ``teleport-bench WORDS`` loads."""
    return modules_after(f"sys.argv[1:] = {list(words)!r}; from bench.__main__ import main; main()")


def test_help_loads_little_more_than_typer() -> None:
    more = modules_of("--help") - modules_after("import typer, rich")

    assert {name for name in more if name.split(".")[0] == "bench"} == OURS
    assert {name.split(".")[0] for name in more} - sys.stdlib_module_names <= {"bench", "typer"}
    assert not more & SLOW


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_loads_nothing_heavy(name: str) -> None:
    assert not modules_of(name, "--help") & HEAVY


def test_the_check_of_loaded_modules_can_fail() -> None:
    assert modules_after("import bench.cli.measuring.run") >= {"bench.cli.measuring.run", "msgspec"}
    assert "rich.console" in modules_after("import rich.console")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "data"])
def test_help_says_of_a_command_what_it_says_itself(name: str) -> None:
    module, line = COMMANDS[name]
    function = getattr(import_module(module), name)

    assert " ".join(inspect.getdoc(function).split("\n\n")[0].split()) == line


def test_help_lists_every_command_and_each_has_its_own() -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["--help"]).stdout

    for name in COMMANDS:
        own = runner.invoke(app, [name, "--help"])
        assert own.exit_code == 0
        assert f"Usage: teleport-bench {name} " in own.stdout
        assert f"\n  {name} " in listed
    assert "--resume" in runner.invoke(app, ["run", "--help"]).stdout
    assert list(get_command(app).commands) == [*COMMANDS]


def test_a_command_that_is_none_is_named_with_its_neighbour() -> None:
    done = CliRunner().invoke(app, ["rum"])

    assert done.exit_code == 2
    assert "No such command 'rum'. Did you mean 'run'?" in done.output


def test_a_loaded_command_has_the_options_of_its_function() -> None:
    names = {parameter.name for parameter in loaded("gate").params}

    assert {"base", "head", "strict"} <= names
