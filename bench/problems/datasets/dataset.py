"""What a data set is once it is loaded."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from bench.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Task = Literal["classes", "values", "tokens"]
Batch = tuple["Tensor", "Tensor"]
# task -> types of the inputs, targets' type and shape in words
_FORMS = {
    "classes": (("torch.float32", "torch.uint8"), "torch.int64", "[samples]"),
    "values": (("torch.float32",), "torch.float32", "[samples, outputs]"),
    "tokens": (("torch.int64",), "torch.int64", "[samples, length], as the inputs"),
}


Part = tuple["Rows", "Tensor"]


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

    @classmethod
    def from_parts(
        cls,
        name: str,
        train: Part,
        heldout: Part,
        outputs: int,
        source: str,
        task: Task = "classes",
    ) -> Self:
        """Inputs and targets for training, and those held out."""
        return cls(name, *train, *heldout, outputs, source, task)

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
