"""What a data set is, and the loaders by name: ours, and those registered as entry points.

Another package adds one with

    [project.entry-points."teleport_bench.problems"]
    "dataset.NAME" = "package.module:load"

where ``load(data_dir: Path | None) -> Dataset``.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

GROUP = "teleport_bench.problems"
PREFIX = "dataset."
DEFAULT = "digits"
HELDOUT_SHARE = 0.2
SPLIT_SEED = 0

_OURS = {
    "digits": "bench.problems.datasets.digits:load",
    "fashion-mnist": "bench.problems.datasets.mnist:load_fashion_mnist",
    "mnist": "bench.problems.datasets.mnist:load_mnist",
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to teleport and train on, and held-out ones of the same kind.

    Attributes:
        name: what ``load_dataset`` was asked for.
        inputs: ``[samples, features]``, float32, ours in [0, 1].
        targets: ``[samples]``, int64, class numbers from 0.
        heldout_inputs: ``[heldout, features]``, float32.
        heldout_targets: ``[heldout]``, int64.
        classes: number of classes.
        source: where the samples came from and how they were split, for the report.
    """

    name: str
    inputs: "Tensor"
    targets: "Tensor"
    heldout_inputs: "Tensor"
    heldout_targets: "Tensor"
    classes: int
    source: str

    def __post_init__(self) -> None:
        self._check_part("inputs", self.inputs, "targets", self.targets)
        self._check_part(
            "heldout_inputs", self.heldout_inputs, "heldout_targets", self.heldout_targets
        )
        if self.inputs.shape[1] != self.heldout_inputs.shape[1]:
            raise self._wrong(
                "heldout_inputs",
                f"{self.inputs.shape[1]} features as inputs have",
                str(self.heldout_inputs.shape[1]),
            )

    def _check_part(self, inputs_name: str, x: "Tensor", targets_name: str, y: "Tensor") -> None:
        if x.ndim != 2 or x.shape[0] == 0 or str(x.dtype) != "torch.float32":
            came = f"{list(x.shape)} of {x.dtype}"
            raise self._wrong(inputs_name, "[samples, features] of torch.float32", came)
        if y.shape != x.shape[:1] or str(y.dtype) != "torch.int64":
            came = f"{list(y.shape)} of {y.dtype}"
            raise self._wrong(targets_name, f"[{x.shape[0]}] of torch.int64", came)
        low, high = int(y.min()), int(y.max())
        if low < 0 or high >= self.classes:
            came = f"{low} to {high}"
            raise self._wrong(targets_name, f"class numbers 0 to {self.classes - 1}", came)

    def _wrong(self, field: str, expected: str, came: str) -> DataError:
        return DataError(f"data set {self.name!r}: expected {field} to be {expected}; got {came}")


Loader = Callable[[Path | None], Dataset]


def addresses() -> dict[str, str]:
    """Every known data set's name with the address of its loader, ``package.module:function``.

    Raises:
        DataError: two packages register the same name.
    """
    found = dict(_OURS)
    for point in entry_points(group=GROUP):
        if not point.name.startswith(PREFIX):
            continue
        name = point.name.removeprefix(PREFIX)
        if found.setdefault(name, point.value) != point.value:
            raise DataError(
                f"expected one data set named {name!r}; both {found[name]} and {point.value} are "
                "registered: rename one of them"
            )
    return found


def dataset_names() -> list[str]:
    """Names that ``load_dataset`` accepts, sorted; ``auto`` stands for the default."""
    return sorted(addresses())


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


def load_dataset(name: str, data_dir: Path | None = None) -> Dataset:
    """Load a data set; nothing is downloaded.

    Args:
        name: one of ``dataset_names()``, or ``auto``.
        data_dir: folder to look in before all others.

    Raises:
        DataError: unknown name, files that are absent or damaged, a loader that cannot be
            imported or returns something else.
    """
    name = resolve_name(name)
    address = addresses()[name]
    dataset = _import(name, address)(data_dir)
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"expected the loader of data set {name!r}, {address}, to return a "
            f"bench.problems.datasets.Dataset; got {type(dataset).__name__}"
        )
    return dataset


def _import(name: str, address: str) -> Loader:
    module, _, attribute = address.partition(":")
    try:
        loader: Loader = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise DataError(
            f"expected the loader of data set {name!r} at {address}; {error}: install what it "
            "needs, or correct the entry point"
        ) from error
    return loader


def split_indices(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split ``count`` samples into training and held-out indices, the same on every machine.

    The samples are ranked by the raw output of a seeded PCG64: numpy promises that stream for
    all time, but not what ``Generator.permutation`` makes of it.

    Returns:
        ``[count - heldout]`` and ``[heldout]``, disjoint, 20 % held out (at least one).

    Raises:
        DataError: fewer than two samples.
    """
    if count < 2:
        raise DataError(f"expected at least 2 samples to split; got {count}")
    order = np.argsort(np.random.PCG64(SPLIT_SEED).random_raw(count), kind="stable")
    heldout = max(1, int(count * HELDOUT_SHARE))
    return order[heldout:], order[:heldout]
