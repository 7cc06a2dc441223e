"""Images with two labels: a digit and whether it is odd, and two digits that overlap.

Each is a factory as ``--model pkg.module:factory`` takes it. Batches of n samples are the same in
every epoch, but for their order; initial weights are drawn anew for every seed.
"""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.problems.datasets import load_dataset
from bench.problems.factory import Batch, LossFunction
from bench.problems.tasks.network import Heads, cross_entropies

Loaders = tuple[list[Batch], list[Batch]]
Made = tuple[nn.Module, LossFunction, Loaders]

# As Sener and Koltun (2018), arXiv 1810.04650, lay two digits of 28 x 28 over each other.
_CANVAS = 36
_PAIRS, _HELDOUT_PAIRS = 4000, 1000


def digits_parity(d: int, l: int, n: int) -> Made:  # noqa: E741
    """scikit-learn's digits: which one, and whether it is odd."""
    return Heads(64, (10, 2), d, l), cross_entropies, _digits(n)


def two_digits(d: int, l: int, n: int) -> Made:  # noqa: E741
    """MNIST: 4,000 images of two digits each, that at the top left and that at the bottom right.

    Pictures of 36 x 36, halved to 18 x 18; 1,000 others are held out.

    Raises:
        DataError: MNIST is not there.
    """
    return Heads((_CANVAS // 2) ** 2, (10, 10), d, l), cross_entropies, _pairs(n)


@cache
def _digits(n: int) -> Loaders:
    data = load_dataset("digits")

    def of(batch: Batch) -> tuple[Tensor, Tensor]:
        images, digits = batch
        return images.flatten(1), torch.stack([digits, digits % 2], dim=1)

    return _batches(*of(data.batch(torch.arange(len(data)))), n), _batches(
        *of(data.heldout_batch(len(data.heldout_targets))), n
    )


@cache
def _pairs(n: int) -> Loaders:
    data = load_dataset("mnist")
    train = data.inputs[:], data.targets
    heldout = data.heldout_inputs[:], data.heldout_targets
    return (
        _batches(*overlapped(*train, _PAIRS, seed=0), n),
        _batches(*overlapped(*heldout, _HELDOUT_PAIRS, seed=1), n),
    )


def overlapped(images: Tensor, labels: Tensor, count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures [count, 324] in [0, 1] of two images each, and both labels [count, 2].

    Args:
        images: [samples, 1, 28, 28] of bytes.
        labels: [samples].
        count: how many pictures.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(images), (count, 2), generator=generator)
    pixels, side = images.float() / 255, images.shape[-1]
    margin = _CANVAS - side
    first = F.pad(pixels[chosen[:, 0]], (0, margin, 0, margin))
    second = F.pad(pixels[chosen[:, 1]], (margin, 0, margin, 0))
    pictures = F.avg_pool2d(torch.maximum(first, second), 2)
    return pictures.flatten(1), labels[chosen]


def _batches(inputs: Tensor, targets: Tensor, n: int) -> list[Batch]:
    """Of n samples each; a smaller rest is left out, unless there is nothing else."""
    count = max(len(inputs) // n, 1)
    return list(zip(torch.split(inputs, n)[:count], torch.split(targets, n)[:count], strict=True))
