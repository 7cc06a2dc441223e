"""A problem of its own: the paper's encoder on digits that it reads row by row.

Small enough for a processor, and with data on every machine: eight tokens of eight pixels, a
Transformer of width 64 and two blocks.
"""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

from bench.problems.datasets.loaders.digits import CLASSES, load
from bench.problems.factory import Batch, LossFunction
from bench.problems.networks.network import Shape
from bench.problems.networks.transformer import build

_WIDTH, _BLOCKS, _SIDE = 64, 2, 8


def factory(n: int, seed: int) -> tuple[nn.Module, LossFunction, Iterator[Batch]]:
    """The encoder, without biases, its loss, and batches of ``n`` digits without end."""
    model = build(Shape("digits", (_SIDE, _SIDE), CLASSES, "classes", _WIDTH, _BLOCKS, False))
    return model, F.cross_entropy, _batches(n, seed)


def _batches(n: int, seed: int) -> Iterator[Batch]:
    digits, generator = load(), torch.Generator().manual_seed(seed)
    while True:
        images, classes = digits.batch(torch.randperm(len(digits), generator=generator)[:n])
        yield images.flatten(1, 2), classes
