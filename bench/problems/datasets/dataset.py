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
from typing import TYPE_CHECKING, Any, Literal, Protocol

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
    "cifar-10": "bench.problems.datasets.loaders.cifar:load_cifar_10",
    "cifar-100": "bench.problems.datasets.loaders.cifar:load_cifar_100",
    "digits": "bench.problems.datasets.loaders.digits:load",
    "electricity": "bench.problems.datasets.loaders.series:load_electricity",
    "exchange_rate": "bench.problems.datasets.loaders.series:load_exchange_rate",
    "fashion-mnist": "bench.problems.datasets.loaders.mnist:load_fashion_mnist",
    "mnist": "bench.problems.datasets.loaders.mnist:load_mnist",
    "ptb": "bench.problems.datasets.loaders.ptb:load",
    "sequential-mnist": "bench.problems.datasets.loaders.mnist:load_sequential_mnist",
    "tiny-imagenet": "bench.problems.datasets.loaders.tiny_imagenet:load",
    "traffic": "bench.problems.datasets.loaders.series:load_traffic",
}

Task = Literal["classes", "values", "tokens"]
Batch = tuple["Tensor", "Tensor"]
# task -> types of the inputs, targets' type and shape in words
_FORMS = {
    "classes": (("torch.float32", "torch.uint8"), "torch.int64", "[samples]"),
    "values": (("torch.float32",), "torch.float32", "[samples, outputs]"),
    "tokens": (("torch.int64",), "torch.int64", "[samples, length], as the inputs"),
}


class Rows(Protocol):
    """Samples by number: a tensor, or something that reads them when they are asked for."""

    @property
    def shape(self) -> Any:
        """``[samples, ...]``."""

    @property
    def dtype(self) -> Any:
        """A torch dtype."""

    def __getitem__(self, rows: Any) -> "Tensor":
        """The samples of a tensor of row numbers or of a slice."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to teleport and train on, and held-out ones of the same kind.

    Attributes:
        name: what ``load_dataset`` was asked for.
        inputs: ``[samples, *shape]``: float32; uint8 for pixels, which stand for value / 255;
            int64 for tokens. The shape is ``[channels, height, width]`` of an image,
            ``[length, values]`` of a series, ``[length]`` of a text, ``[features]`` otherwise.
        targets: class numbers ``[samples]``, int64; or values ``[samples, outputs]``, float32; or
            the token after each token, ``[samples, length]``, int64.
        heldout_inputs: as ``inputs``.
        heldout_targets: as ``targets``.
        outputs: number of classes, of values, or of words in the vocabulary.
        source: where the samples came from and how they were split, for the report.
        task: what is to be told from an input: its class, values, or each next token.
    """

    name: str
    inputs: Rows
    targets: "Tensor"
    heldout_inputs: Rows
    heldout_targets: "Tensor"
    outputs: int
    source: str
    task: Task = "classes"

    def __post_init__(self) -> None:
        self._check_part("inputs", self.inputs, "targets", self.targets)
        self._check_part(
            "heldout_inputs", self.heldout_inputs, "heldout_targets", self.heldout_targets
        )
        if self.sample_shape != tuple(self.heldout_inputs.shape[1:]):
            raise self._wrong(
                "heldout_inputs",
                f"samples of {list(self.sample_shape)} as inputs are",
                str(list(self.heldout_inputs.shape[1:])),
            )

    def __len__(self) -> int:
        """Samples for training."""
        return int(self.inputs.shape[0])

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.inputs.shape[1:])

    def batch(self, rows: "Tensor") -> Batch:
        """Inputs and targets of some training samples; pixels as float32 in [0, 1]."""
        return _scaled(self.inputs[rows]), self.targets[rows]

    def heldout_batch(self, count: int) -> Batch:
        """The first ``count`` held-out samples, or all there are."""
        return _scaled(self.heldout_inputs[:count]), self.heldout_targets[:count]

    def _check_part(self, inputs_name: str, x: Rows, targets_name: str, y: "Tensor") -> None:
        input_types, target_type, target_shape = _FORMS[self.task]
        if len(x.shape) < 2 or x.shape[0] == 0 or str(x.dtype) not in input_types:
            came = f"{list(x.shape)} of {x.dtype}"
            expected = f"[samples, ...] of {' or '.join(input_types)}"
            raise self._wrong(inputs_name, expected, came)
        shapes = {
            "classes": (x.shape[0],),
            "values": (x.shape[0], self.outputs),
            "tokens": tuple(x.shape),
        }
        if tuple(y.shape) != shapes[self.task] or str(y.dtype) != target_type:
            came = f"{list(y.shape)} of {y.dtype}"
            expected = f"{target_shape} = {list(shapes[self.task])} of {target_type}"
            raise self._wrong(targets_name, expected, came)
        if self.task != "values":
            self._check_numbers(targets_name, y)
        if self.task == "tokens":
            self._check_numbers(inputs_name, x[:])

    def _check_numbers(self, field: str, values: "Tensor") -> None:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= self.outputs:
            word = "token" if self.task == "tokens" else "class"
            raise self._wrong(field, f"{word} numbers 0 to {self.outputs - 1}", f"{low} to {high}")

    def _wrong(self, field: str, expected: str, came: str) -> DataError:
        return DataError(f"data set {self.name!r}: expected {field} to be {expected}; got {came}")


def _scaled(inputs: "Tensor") -> "Tensor":
    return inputs.float().div_(255.0) if str(inputs.dtype) == "torch.uint8" else inputs


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
