"""Models and batches on which ranks with some of the samples each are held to one with all."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core.distributed import MeanOver

CE = nn.CrossEntropyLoss()
SOME = nn.CrossEntropyLoss(ignore_index=0)


class Tied(nn.Module):
    """A language model whose head is its table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 24)
        options = {"dim_feedforward": 48, "dropout": 0.0, "batch_first": True}
        self.body = nn.TransformerEncoderLayer(24, 2, **options)  # type: ignore[arg-type]

    def forward(self, tokens: Tensor) -> Tensor:
        return F.linear(self.body(self.table(tokens)), self.table.weight).mT


class Gpt(nn.Module):
    """A tiny GPT-2, to its logits."""

    def __init__(self) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        super().__init__()
        sizes = {"vocab_size": 13, "n_positions": 8, "n_embd": 24, "n_layer": 2, "n_head": 2}
        off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        self.body = GPT2LMHeadModel(GPT2Config(**sizes, **off))

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.body(tokens).logits
        return logits


class Experts(nn.Module):
    """Each sample goes to one of two experts."""

    def __init__(self) -> None:
        super().__init__()
        self.below, self.gate = nn.Linear(6, 40), nn.Linear(6, 2)
        self.experts = nn.ModuleList(nn.Linear(40, 4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        h, chosen = torch.tanh(self.below(x)), self.gate(x).argmax(1)
        out = h.new_zeros(len(x), 4)
        for number, expert in enumerate(self.experts):
            mine = (chosen == number).nonzero()[:, 0]
            if len(mine):
                out = out.index_copy(0, mine, expert(h[mine]))
        return out


class Pieces(nn.Module):
    """One process that normalizes by the statistics of each rank's samples."""

    def __init__(self, model: nn.Module, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.model, self.sizes = model, sizes

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.model(part) for part in x.split(self.sizes)])


def mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def conv(*, norm: bool = False) -> nn.Sequential:
    normed = [nn.BatchNorm2d(8)] if norm else []
    body = [nn.Conv2d(3, 8, 3), *normed, nn.Tanh(), nn.Conv2d(8, 32, 3, groups=2), nn.Tanh()]
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(128, 40), nn.Tanh(), nn.Linear(40, 4))


def vectors(features: int, distinct: int | None = None) -> Callable[[int], tuple[Tensor, Tensor]]:
    def made(rows: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(distinct or rows, features).repeat(-(-rows // (distinct or rows)), 1)[:rows]
        return x[torch.randperm(rows)], torch.randint(0, 4, (rows,))

    return made


def images(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 3, 6, 6), torch.randint(0, 4, (rows,))


def sequences(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 3, 16), torch.randint(0, 4, (rows,))


def words(rows: int) -> tuple[Tensor, Tensor]:
    # Fewer words than rows of the table are looked up by the first; many targets do not count.
    targets = torch.randint(0, 11, (rows, 3)) * (torch.rand(rows, 3) < 0.6)
    targets[:, 0] = 3
    return torch.randint(0, 8, (rows, 3)), targets


def of_words(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0)


def counted(targets: Tensor) -> Tensor:
    return (targets != 0).sum()


@dataclass(frozen=True)
class Row:
    """One model; ``sizes`` has the samples of each rank by the number of ranks."""

    model: Callable[[], nn.Module]
    batch: Callable[[int], tuple[Tensor, Tensor]]
    sizes: dict[int, tuple[int, ...]]
    loss: Any = CE
    options: tuple[tuple[str, Any], ...] = (("lr", 0.02), ("steps", 4))


def encoder() -> nn.Module:
    options = {"dim_feedforward": 32, "dropout": 0.0, "batch_first": True}
    layer = nn.TransformerEncoderLayer(16, 4, **options)  # type: ignore[arg-type]
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(48, 4))


def thin_and_dense() -> nn.Module:
    return mlp(20, 64, 256, 4)


SMALL = {2: (7, 17), 3: (1, 3, 20)}
FEW = {2: (2, 4), 3: (1, 2, 3)}
ROWS = {
    "mlp": Row(lambda: mlp(20, 64, 48, 4), vectors(20), SMALL),
    "thin and dense": Row(thin_and_dense, vectors(20), {2: (20, 30), 3: (5, 40, 5)}),
    "repeated": Row(
        lambda: mlp(20, 128, 96, 4), vectors(20, 60), {2: (190, 110), 3: (90, 110, 100)}
    ),
    "one layer full": Row(lambda: mlp(30, 64, 256, 4), vectors(30), {2: (30, 70), 3: (30, 25, 45)}),
    "cap": Row(lambda: mlp(20, 64, 48, 4), vectors(20), SMALL, options=(("lr", 1.0), ("cap", 0.6))),
    "growth": Row(
        lambda: mlp(20, 64, 48, 4), vectors(20), SMALL, options=(("growth", 3.0), ("steps", 2))
    ),
    "convolutions": Row(conv, images, {2: (3, 6), 3: (1, 3, 4)}),
    "encoder": Row(encoder, sequences, FEW),
    "l1": Row(encoder, sequences, FEW, options=(("lr", 0.01), ("steps", 2), ("objective", "l1"))),
    "tied": Row(Tied, words, FEW, SOME, options=(("lr", 2e-4), ("steps", 3))),
    "batch norm": Row(lambda: conv(norm=True), images, {2: (3, 6), 3: (2, 3, 4)}),
    "gpt2": Row(Gpt, words, FEW, MeanOver(of_words, counted), options=(("lr", 2e-4), ("steps", 3))),
}
