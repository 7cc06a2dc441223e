"""A table on the terminal; plain aligned columns where the output goes elsewhere."""

from collections.abc import Sequence

import typer


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings; every row has as many entries as there are headings."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError("nobody reads the table")  # rich would exit with 1

    console = Terminal()
    if console.is_terminal:
        table = Table(*headings)
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        cells = (entry.ljust(width) for entry, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
