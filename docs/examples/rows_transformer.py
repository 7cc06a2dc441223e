"""A model of one's own for ``teleport-bench train``: a Transformer that reads digits row by row.

teleport-bench train --model docs/examples/rows_transformer.py:factory --optimizer sgd,adam \
        --arm nullspace:growth=4 --arm aa --arm lr-gain --lr 0 --seeds 10 --epochs 8 --schedule 0:1
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

WIDTH, HEADS, BLOCKS = 64, 2, 2


class RowsTransformer(nn.Module):
    """Each of the eight rows of an image is a token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, WIDTH)
        self.places = nn.Parameter(0.02 * torch.randn(8, WIDTH))
        self.blocks = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, dropout=0.0, batch_first=True)
                for _ in range(BLOCKS)
            )
        )
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, images: Tensor) -> Tensor:
        """``[samples, 8, 8]`` to scores ``[samples, 10]``."""
        return self.head(self.blocks(self.embed(images) + self.places).mean(dim=1))


def factory(n: int) -> tuple[nn.Module, nn.Module, tuple[list, list]]:
    """The model, its loss, and batches of ``n`` images to train on and to hold out."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    classes = torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    batches = [(images[rows], classes[rows]) for rows in order.split(n)]
    heldout = len(batches) // 5
    return RowsTransformer(), nn.CrossEntropyLoss(), (batches[heldout:], batches[:heldout])
