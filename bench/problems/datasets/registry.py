"""Data sets by name: ours, and those that other packages register.

    [project.entry-points."teleport_bench.datasets"]
    NAME = "package.module:PROVIDER"

where PROVIDER is a ``bench.problems.datasets.Provider``.
"""

import contextlib
import difflib
from pathlib import Path

from bench.entry_points import found, load
from bench.errors import DataError, RegistrationError
from bench.problems.datasets.dataset import Dataset
from bench.problems.datasets.provider import FileProvider, Provider

GROUP = "teleport_bench.datasets"
DEFAULT = "digits"


def dataset_names() -> list[str]:
    """Names that ``load_dataset`` accepts, sorted; ``auto`` stands for the default."""
    return sorted(found(GROUP))


def resolve_name(name: str) -> str:
    """The data set's own name: ``auto`` becomes the default.

    Raises:
        DataError: an unknown name; the nearest known one is suggested.
    """
    if name == "auto":
        return DEFAULT
    names = dataset_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(f"expected a data set, one of {', '.join(names)}; got {name!r}{hint}")
    return name


def provider_of(name: str) -> Provider:
    """What knows where a data set is and loads it; ``name`` as for ``load_dataset``.

    Raises:
        DataError: an unknown name, or an entry that is no provider.
        RegistrationError: an entry that cannot be imported.
    """
    point = found(GROUP)[resolve_name(name)]
    provider = load(point)
    if not isinstance(provider, Provider):
        raise DataError(
            f"expected {point.value}, which is registered as the data set {point.name!r}, to be a "
            f"bench.problems.datasets.Provider; got {type(provider).__name__}"
        )
    return provider


def file_providers() -> dict[str, FileProvider]:
    """Data sets in files by name, sorted; without those whose entry leads nowhere."""
    providers: dict[str, FileProvider] = {}
    for name in dataset_names():
        with contextlib.suppress(DataError, RegistrationError):
            provider = provider_of(name)
            if isinstance(provider, FileProvider):
                providers[name] = provider
    return providers


def load_dataset(name: str, data_dir: Path | None = None) -> Dataset:
    """Load one of ``dataset_names()``, or ``auto``; nothing is downloaded.

    ``data_dir`` is looked in before all other folders.

    Raises:
        DataError: unknown name, files that are absent or damaged, a loader that returns something
            else.
        RegistrationError: an entry that cannot be imported.
    """
    dataset = provider_of(name).load(data_dir)
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"expected the loader of data set {name!r} to return a "
            f"bench.problems.datasets.Dataset; got {type(dataset).__name__}"
        )
    return dataset
