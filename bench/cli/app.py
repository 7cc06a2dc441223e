"""The top of the command line: which commands there are, and how errors reach the user."""

import contextlib
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from bench.errors import BenchError
from bench.plain_text import plain_lines

# Command -> where its function is, and what the help of all says of it. One is imported when it is
# called: the help would wait half a second for what it does not show.
COMMANDS = {
    "run": (
        "bench.cli.measuring.run",
        "Run a sweep and write its report; prints the report's path.",
    ),
    "train": (
        "bench.cli.measuring.train",
        "Does a teleport pay? Train with and without, paired; prints the report's path.",
    ),
    "report": (
        "bench.cli.report",
        "Write the CSV files and report.html of a run, or compare two; prints the page's path.",
    ),
    "merge": (
        "bench.cli.merge",
        "Join shards of one sweep and write their report; prints the report's path.",
    ),
    "status": (
        "bench.cli.cluster.status",
        "Look on a run: what is measured, what runs on the cluster, what failed.",
    ),
    "cancel": (
        "bench.cli.cluster.cancel",
        "End what a run has on the cluster; what was measured stays.",
    ),
    "profile": (
        "bench.cli.measuring.profile",
        "Profile a few cells; prints their phases and the report's path.",
    ),
    "probe": (
        "bench.cli.measuring.probe",
        "Ask whether a teleport could pay, before anybody trains: go or no-go.",
    ),
    "compare": (
        "bench.cli.judging.compare",
        "Compare two run directories, or two files of pytest-benchmark.",
    ),
    "gate": (
        "bench.cli.judging.gate",
        "Compare the working tree with a revision, in turns on this machine.",
    ),
    "calibrate": (
        "bench.cli.judging.calibrate",
        "Measure this machine's own noise; gate and compare take the file with --calibration.",
    ),
    "env": (
        "bench.cli.looking.env",
        "Show the machine and software as a run records them, and the key they are compared by.",
    ),
    "data": ("bench.cli.looking.data", "List, check and fetch data sets."),
    "methods": (
        "bench.cli.looking.methods",
        "List every method: what it promises, and its options with their defaults.",
    ),
    "claims": (
        "bench.cli.looking.claims",
        "Show every claim of the papers with its outcome, from recorded runs or anew.",
    ),
    "presets": ("bench.cli.looking.presets", "List every preset and what it is for."),
}


class CommandFaultError(Exception):
    """An exception to which typer would give the exit code of a regression; its cause says more."""


class _Commands(TyperGroup):
    """Loads a command when it is called; keeps from typer what it would end with exit code 1."""

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False  # of None, typer would ask pydantic whether it is a bool
        return option

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, known, rest = super().resolve_command(ctx, args)
        return name, known and loaded(str(name)), rest

    def make_context(self, *names: Any, **settings: Any) -> Any:
        with _out_of_typers_reach():  # a help that nobody reads
            return super().make_context(*names, **settings)

    def invoke(self, ctx: Any) -> Any:
        with _out_of_typers_reach():
            return super().invoke(ctx)


@contextlib.contextmanager
def _out_of_typers_reach() -> Iterator[None]:
    """Any end of file and any broken pipe, as an error that typer leaves alone."""
    try:
        yield
    except (EOFError, BrokenPipeError) as error:
        raise CommandFaultError(f"{type(error).__name__}: {error}") from error


def new_app(**settings: Any) -> typer.Typer:
    """An app with plain help: what draws frames around it takes longer to load than all else."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def loaded(name: str) -> Any:
    """The command of a name as typer has it."""
    module, _ = COMMANDS[name]
    found = import_module(module)
    if name == "data":
        return get_command(found.app)
    alone = new_app()
    alone.command(name)(getattr(found, name))
    return get_command(alone)


def _stand_in() -> None:
    """Stands where a command will be loaded."""


app = new_app(
    cls=_Commands,
    name="teleport-bench",
    help="What teleporting a network's weights costs and does.",
    no_args_is_help=True,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from bench.machine.version import project_version

        typer.echo(f"teleport-bench {project_version() or 'of unknown version'}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options of all commands."""


for _name, (_, _line) in COMMANDS.items():
    app.command(_name, short_help=_line)(_stand_in)


def main() -> None:
    """Run the command line; our own errors are one message, never a traceback."""
    try:
        app()
    except BenchError as error:
        _say(str(error))
        sys.exit(error.exit_code)


def _say(text: str) -> None:
    """One message on standard error; a terminal that is gone hears nothing."""
    with contextlib.suppress(OSError):
        print(f"teleport-bench: {plain_lines(text)}", file=sys.stderr, flush=True)  # noqa: T201
