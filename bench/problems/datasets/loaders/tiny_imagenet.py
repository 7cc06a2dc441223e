"""Tiny-ImageNet: 64 x 64 photographs of 200 classes, in folders of JPEG files.

    tiny-imagenet-200/wnids.txt                              the classes, one a line
    tiny-imagenet-200/train/WNID/images/*.JPEG
    tiny-imagenet-200/val/images/*.JPEG, val/val_annotations.txt
    tiny-imagenet-200/val/WNID/*.JPEG or val/WNID/images/*.JPEG, once sorted into class folders

Source: Stanford CS231n, http://cs231n.stanford.edu/tiny-imagenet-200.zip. Images are decoded when
a batch asks for them. The test folder has no labels and is not read; val is held out.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.problems.datasets.dataset import Dataset, Part
from bench.problems.datasets.loaders.sources import damaged, read_text
from bench.problems.datasets.locations import FileSet, locate
from bench.problems.datasets.provider import FileProvider
from bench.problems.datasets.split import SPLIT_SEED, split_indices

if TYPE_CHECKING:
    import torch

_SIDE = 64
# Names come from text files and become paths: nothing but these is followed.
_WNID = re.compile(r"n[0-9]{8}")
_VAL_NAME = re.compile(r"val_[0-9]{1,6}\.JPEG")

Labelled = list[tuple[Path, int]]


@dataclass(frozen=True)
class Photographs:
    """Images by number, read and decoded when asked for; ``Rows`` of a data set."""

    paths: Sequence[Path]

    @property
    def shape(self) -> tuple[int, ...]:
        """``[samples, 3, 64, 64]``."""
        return (len(self.paths), 3, _SIDE, _SIDE)

    @property
    def dtype(self) -> "torch.dtype":
        """Bytes."""
        import torch

        return torch.uint8

    def __getitem__(self, rows: Any) -> "torch.Tensor":
        """Pixels ``[rows, 3, 64, 64]``."""
        import torch

        numbers = range(len(self.paths))[rows] if isinstance(rows, slice) else rows.tolist()
        pixels = [read_photograph(self.paths[number]) for number in numbers]
        return torch.from_numpy(np.stack(pixels))


def read_photograph(path: Path) -> NDArray[np.uint8]:
    """Pixels ``[3, 64, 64]`` of one file; grey images have three equal channels.

    Raises:
        DataError: no JPEG of 64 x 64 pixels, or a truncated one.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # Pillow only warns of a header that promises a very large image.
        refused = warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning)
        with refused, Image.open(path, formats=("JPEG",)) as image:
            if image.size != (_SIDE, _SIDE):
                found = f"{image.size[0]} x {image.size[1]}"
                raise damaged(path, f"{_SIDE} x {_SIDE} pixels", found)
            pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise damaged(path, "a JPEG file", "something else") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise damaged(
            path, f"{_SIDE} x {_SIDE} pixels", "a header that promises far more"
        ) from error
    except OSError as error:
        raise damaged(path, "a whole JPEG file", str(error)) from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def load(data_dir: Path | None = None) -> Dataset:
    """The training folders, and val held out; without val 20 % of the training images are.

    Raises:
        DataError: the folder is nowhere, or its lists and folders do not fit together.
    """
    located = locate(FILES, data_dir)
    classes = read_classes(located.files)
    train = training_files(located.files, classes)
    heldout = validation_files(located.files, classes)
    how = f"{len(train)} training images, {len(heldout)} of val held out"
    if not heldout:
        ours, theirs = split_indices(len(train))
        heldout = [train[i] for i in theirs]
        train = [train[i] for i in ours]
        how = (
            f"only train: {len(train)} images for training, {len(heldout)} held out "
            f"(seed {SPLIT_SEED})"
        )
        if (located.files / "val").is_dir():
            how += "; val has neither val_annotations.txt nor class folders and is not used"
    return Dataset.from_parts(
        "tiny-imagenet", _part(train), _part(heldout), len(classes), f"{located.where}, {how}"
    )


def _part(files: Labelled) -> Part:
    import torch

    return Photographs([path for path, _ in files]), torch.tensor([label for _, label in files])


def read_classes(folder: Path) -> dict[str, int]:
    """Class name -> number, in the order of ``wnids.txt``.

    Raises:
        DataError: an entry that is no WordNet number, or one given twice.
    """
    path = folder / "wnids.txt"
    classes: dict[str, int] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        name = line.strip()
        if not _WNID.fullmatch(name) or name in classes:
            expected = "a WordNet number in each line, n and eight digits, each once"
            raise damaged(path, expected, f"{name[:40]!r} in line {number}")
        classes[name] = len(classes)
    if not classes:
        raise damaged(path, "a WordNet number in each line", "nothing")
    return classes


def training_files(folder: Path, classes: dict[str, int]) -> Labelled:
    """Every training image with its class number, class by class, names in order.

    Raises:
        DataError: a class without images.
    """
    files: Labelled = []
    for name, label in classes.items():
        images = folder / "train" / name / "images"
        found = sorted(images.glob(f"{name}_*.JPEG"))
        if not found:
            raise damaged(images, f"images {name}_0.JPEG and so on", "none")
        files += [(path, label) for path in found]
    return files


def validation_files(folder: Path, classes: dict[str, int]) -> Labelled:
    """Every validation image with its class number, in the order of ``val_annotations.txt``.

    Raises:
        DataError: an entry that names no image of the folder or no class of ``wnids.txt``.
    """
    listing = folder / "val" / "val_annotations.txt"
    if not listing.is_file():
        return [(path, classes[name]) for name in classes for path in _sorted_into(folder, name)]
    files: Labelled = []
    for number, line in enumerate(read_text(listing).splitlines(), 1):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if not _VAL_NAME.fullmatch(name) or wnid not in classes:
            raise damaged(
                listing,
                "val_NUMBER.JPEG and a class of wnids.txt in each line",
                f"{line[:40]!r} in line {number}",
            )
        files.append((_listed(folder / "val", name, wnid), classes[wnid]))
    return files


def _listed(val: Path, name: str, wnid: str) -> Path:
    """Where an image of the list is: among all of them, or in its class's folder."""
    for folder in (val / "images", val / wnid, val / wnid / "images"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(
        f"{val / 'val_annotations.txt'}: expected its {name} in {val / 'images'} or in the folder "
        f"of its class, {val / wnid}; it is in neither: unpack the archive again"
    )


def _sorted_into(folder: Path, wnid: str) -> list[Path]:
    """Images of val in the folder of a class, names in order."""
    val = folder / "val" / wnid
    return sorted(path for place in (val, val / "images") for path in place.glob("val_*.JPEG"))


def _find(folder: Path) -> Path | None:
    return folder if (folder / "wnids.txt").is_file() else None


def _count(folder: Path) -> int:
    classes = read_classes(folder)
    return len(training_files(folder, classes)) + len(validation_files(folder, classes))


def _check(folder: Path) -> list[tuple[Path, tuple[int, ...]]]:
    classes = read_classes(folder)
    parts = (training_files(folder, classes), validation_files(folder, classes))
    for path, _ in (file for part in parts for file in part):
        read_photograph(path)
    shapes = [(len(part), 3, _SIDE, _SIDE) for part in parts]
    places = (folder / "train", folder / "val")
    return [(place, shape) for place, shape in zip(places, shapes, strict=True) if shape[0]]


FILES = FileSet(
    "tiny-imagenet",
    "tiny-imagenet-200",
    "wnids.txt, train/ and val/",
    "download http://cs231n.stanford.edu/tiny-imagenet-200.zip and unpack it: it holds the "
    "folder tiny-imagenet-200",
    _find,
    _count,
    _check,
)
TINY_IMAGENET = FileProvider(load, FILES)
