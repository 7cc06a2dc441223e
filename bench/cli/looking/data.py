"""``teleport-bench data``: which data sets are here, whether they are whole, and fetching them."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import new_app
from bench.cli.table import print_table
from bench.errors import DataError

app = new_app(help="List, check and fetch data sets.", no_args_is_help=True)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder that holds a folder per data set; looked in first."),
]
Name = Annotated[str, typer.Argument(help="A data set with an official address, such as mnist.")]
OptionalName = Annotated[
    str | None, typer.Argument(help="A data set; all that are here if left out.")
]


@app.command("list")
def list_datasets(data_dir: DataDir = None) -> None:
    """Show every data set: found or not, where, how many samples."""
    from bench.problems.datasets.inventory import inventory

    rows = [
        (entry.name, entry.state, entry.where, str(entry.samples or "-"))
        for entry in inventory(data_dir)
    ]
    print_table(("name", "found", "where", "samples"), rows)


@app.command()
def check(name: OptionalName = None, data_dir: DataDir = None) -> None:
    """Parse and hash the files of a data set; exit code 2 if one is absent or damaged."""
    from bench.problems.datasets.inventory import check as check_dataset
    from bench.problems.datasets.inventory import present

    rows: list[tuple[str, ...]] = []
    problems: list[str] = []
    for each in present(data_dir) if name is None else [name]:
        try:
            checked = check_dataset(each, data_dir)
        except DataError as error:
            # The others are still worth checking; all problems are raised together below.
            problems.append(str(error))
            continue
        rows += [(c.name, c.what, " x ".join(map(str, c.shape)), c.md5, c.note) for c in checked]
    if rows:
        print_table(("name", "file", "shape", "md5", "note"), rows)
    if problems:
        raise DataError("\n".join(problems))


@app.command()
def fetch(name: Name, data_dir: DataDir = None) -> None:
    """Download a data set from its official address; the hashes are pinned."""
    from bench.problems.datasets.fetch import fetch as fetch_dataset

    for path in fetch_dataset(name, data_dir):
        typer.echo(str(path))
