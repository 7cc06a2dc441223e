"""Which data sets are on this machine, and whether their files are whole; torch-free for ours."""

from pathlib import Path

from bench.errors import DataError, RegistrationError
from bench.problems.datasets.provider import Checked, Entry
from bench.problems.datasets.registry import (
    dataset_names,
    file_providers,
    provider_of,
    resolve_name,
)


def inventory(data_dir: Path | None = None) -> list[Entry]:
    """Every data set, from its files' headers only; which a damaged file may survive."""
    return [_entry(name, data_dir) for name in dataset_names()]


def present(data_dir: Path | None = None) -> list[str]:
    """Data sets that are here, damaged or not; of several made from the same files the first."""
    here = [entry.name for entry in inventory(data_dir) if entry.state != "no"]
    folders = {name: provider.files.folder for name, provider in file_providers().items()}
    made_from = {name: folders.get(name, name) for name in here}
    return [name for name in here if made_from[name] == name or made_from[name] not in here]


def check(name: str, data_dir: Path | None = None) -> list[Checked]:
    """Parse and hash everything a data set consists of; DataError: unknown, absent or damaged."""
    return provider_of(name).check(resolve_name(name), data_dir)


def _entry(name: str, data_dir: Path | None) -> Entry:
    try:
        return provider_of(name).entry(name, data_dir)
    except (DataError, RegistrationError) as error:
        return Entry(name, "damaged", str(error), None)
