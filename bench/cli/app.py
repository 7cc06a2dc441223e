"""The top of the command line: which commands there are, and how errors reach the user."""

import contextlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from bench.cli import data
from bench.cli.env import env
from bench.cli.judging.calibrate import calibrate
from bench.cli.judging.compare import compare
from bench.cli.judging.gate import gate
from bench.cli.merge import merge
from bench.cli.profile import profile
from bench.cli.report import report
from bench.cli.run import run
from bench.errors import BenchError
from bench.plain_text import plain_lines


class CommandFaultError(Exception):
    """An exception to which typer would give the exit code of a regression; its cause says more."""


class _Commands(TyperGroup):
    """Keeps from typer what it would end with exit code 1: any end of file, any broken pipe."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (EOFError, BrokenPipeError) as error:
            raise CommandFaultError(f"{type(error).__name__}: {error}") from error


app = typer.Typer(
    cls=_Commands,
    name="teleport-bench",
    help="What teleporting a network's weights costs and does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(report)
app.command()(merge)
app.command()(profile)
app.command()(compare)
app.command()(gate)
app.command()(calibrate)
app.command()(env)
app.add_typer(data.app, name="data")


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
