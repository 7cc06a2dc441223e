"""The top of the command line: which commands there are, and how errors reach the user."""

import sys

import typer

from bench.cli import data
from bench.cli.env import env
from bench.cli.report import report
from bench.cli.run import run
from bench.errors import BenchError

USAGE = 2
INTERRUPTED = 130

app = typer.Typer(
    name="teleport-bench",
    help="What teleporting a network's weights costs and does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(report)
app.command()(env)
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; our own errors are one message, never a traceback."""
    try:
        app()
    except BenchError as error:
        print(f"teleport-bench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(USAGE)
    except KeyboardInterrupt:
        print(  # noqa: T201
            "teleport-bench: interrupted; what was measured is in the journal: "
            "repeat with --out DIR --resume",
            file=sys.stderr,
        )
        sys.exit(INTERRUPTED)
