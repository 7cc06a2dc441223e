"""Models of every architecture, tiny and in float64; a new one is a new row of ``ZOO``."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from zoo_convolutions import (
    GroupedResidual,
    conv1d_circular,
    conv2d,
    conv3d,
    conv_same,
    depthwise_separable,
    transposed,
    transposed1d,
    transposed3d,
    unet,
)
from zoo_problem import images, noise, problem, tokens
from zoo_sequences import (
    CellLoop,
    Mixer,
    StateSpace,
    cross_attention,
    decoder_layer,
    encoder_layer,
    recurrent,
    tied_decoder,
    tied_decoder_with_bias,
)

from teleport_core import Problem, Status

# --- weights used in their own ways -----------------------------------------------------------


class Raw(nn.Module):
    """Weights as bare parameters: x @ W, W @ x, addmm, rows of one weight used apart."""

    def __init__(self) -> None:
        super().__init__()
        self.right = nn.Parameter(torch.randn(5, 12) / 3)
        self.left = nn.Parameter(torch.randn(10, 12) / 3)
        self.added = nn.Parameter(torch.randn(10, 11) / 3)
        self.bias = nn.Parameter(torch.zeros(11))
        self.packed = nn.Parameter(torch.randn(14, 11) / 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(x @ self.right)
        h = torch.tanh(self.left @ h.T).T
        h = torch.tanh(torch.addmm(self.bias, h, self.added))
        a, b = self.packed[:7], self.packed[7:]
        out = torch.tanh(F.linear(h, a)) * torch.matmul(h * h, b.T)
        return out[:, :4]


class SharedLayers(nn.Module):
    """One block applied three times, and a convolution at two strides."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(5, 14)
        self.block = nn.Linear(14, 14)
        self.conv = nn.Conv1d(1, 6, 5, padding=2)
        self.mix = nn.Conv1d(6, 6, 3)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.enter(x))
        for _ in range(3):
            h = h + torch.tanh(self.block(h))
        c = torch.tanh(self.conv(h.unsqueeze(1)))
        once = self.mix(c)
        twice = F.conv1d(torch.tanh(once), self.mix.weight, self.mix.bias, stride=4)
        return self.head(twice.mean(-1))


def frozen_trunk() -> Problem:
    found = conv2d()
    for parameter in found.model[0].parameters():  # type: ignore[index]
        parameter.requires_grad_(False)
    return found


def parametrised() -> Problem:
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(5, 12)), nn.Tanh(), nn.Linear(12, 12),
        nn.Tanh(), nn.Linear(12, 4),
    )  # fmt: skip
    return problem(model, noise(4, 5), 4, (4,))


def eval_batch_norm() -> Problem:
    found = images(GroupedResidual(), 2, 2, 9)
    found.model.eval()
    return found


# --- transformers -----------------------------------------------------------------------------


class Outputs(nn.Module):
    """One field of what a model of the transformers package returns."""

    def __init__(self, model: nn.Module, field: str = "logits") -> None:
        super().__init__()
        self.model, self.field = model, field

    def forward(self, **inputs: Tensor) -> Tensor:
        found: Tensor = getattr(self.model(**inputs), self.field)
        return found


def gpt2() -> Problem:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=24, n_positions=8, n_embd=12, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    model = Outputs(GPT2LMHeadModel(config)).eval()
    return problem(model, {"input_ids": tokens(1, 6, of=24)}, 24, (1, 6))


def bert() -> Problem:
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=24, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=20, max_position_embeddings=8,
    )  # fmt: skip
    model = Outputs(BertForMaskedLM(config)).eval()
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    # Token 0 is padding: its row gets no gradient though the loss depends on it, and with such a
    # "gradient" J^T g (double backward) and J g (forward mode) are two things.
    inputs = {"input_ids": 1 + tokens(2, 5, of=23), "attention_mask": mask}
    return problem(model, inputs, 24, (2, 5))


def vit() -> Problem:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20,
        image_size=6, patch_size=3, num_channels=2, num_labels=4,
    )  # fmt: skip
    model = Outputs(ViTForImageClassification(config)).eval()
    return problem(model, {"pixel_values": noise(2, 2, 6, 6)}, 4, (2,))


# --- nothing to move ----------------------------------------------------------------------------


def full_rank() -> Problem:
    """More patches than features everywhere: the inputs span their spaces."""
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 2, 3, padding=1), nn.Tanh(),
        nn.AvgPool2d(4), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip
    return problem(model, noise(12, 1, 8, 8), 3, (12,))


def one_convolution() -> Problem:
    model = nn.Sequential(nn.Conv1d(3, 4, 5), nn.Flatten())
    return problem(model, noise(2, 3, 5), 4, (2,))


@dataclass(frozen=True)
class Row:
    """A model and how a teleport of it ends.

    Attributes:
        build: the same problem every time.
        status: at the learning rates that make anything grow.
        forward_mode: whether forward-mode differentiation knows all of its operations.
    """

    build: Callable[[], Problem]
    status: Status = Status.DONE
    forward_mode: bool = True


ZOO: dict[str, Row] = {
    "conv2d-pool": Row(conv2d),
    "conv1d-circular-reflect": Row(conv1d_circular),
    "conv2d-same-replicate": Row(conv_same),
    "conv3d-stride": Row(conv3d),
    "grouped-dilated-strided-batchnorm-residual": Row(lambda: images(GroupedResidual(), 2, 2, 9)),
    "batchnorm-eval": Row(eval_batch_norm),
    "depthwise-separable": Row(depthwise_separable),
    "transposed-conv2d-groups": Row(transposed),
    "transposed-conv1d": Row(transposed1d),
    "transposed-conv3d": Row(transposed3d),
    "unet-instancenorm": Row(unet),
    "encoder-postnorm": Row(lambda: encoder_layer(norm_first=False)),
    "encoder-prenorm": Row(lambda: encoder_layer(norm_first=True, activation="gelu")),
    "cross-attention": Row(cross_attention),
    "decoder-layer": Row(decoder_layer),
    "causal-decoder-tied": Row(tied_decoder),
    "causal-decoder-tied-bias": Row(tied_decoder_with_bias),
    "mlp-mixer": Row(lambda: problem(Mixer(), noise(2, 4, 5), 4, (2,))),
    "lstm": Row(lambda: recurrent(nn.LSTM(6, 9, 2, batch_first=True), 9)),
    "lstm-projected-bidirectional": Row(
        lambda: recurrent(nn.LSTM(6, 9, proj_size=8, bidirectional=True, batch_first=True), 16)
    ),
    "gru": Row(lambda: recurrent(nn.GRU(6, 10, batch_first=True), 10)),
    "rnn": Row(lambda: recurrent(nn.RNN(6, 10, bias=False, batch_first=True), 10)),
    "recurrent-cells": Row(lambda: problem(CellLoop(), noise(2, 3, 3), 4, (2,))),
    "state-space": Row(lambda: problem(StateSpace(), noise(1, 5, 4), 4, (1, 5))),
    "raw-products": Row(lambda: problem(Raw(), noise(4, 5), 4, (4,))),
    "shared-layers": Row(lambda: problem(SharedLayers(), noise(3, 5), 4, (3,))),
    "frozen-trunk": Row(frozen_trunk),
    "weight-norm": Row(parametrised, forward_mode=False),
    "gpt2": Row(gpt2),
    "bert": Row(bert),
    "vit": Row(vit),
    "full-rank": Row(full_rank, Status.NO_NULL_SPACE),
    "one-convolution": Row(one_convolution, Status.NO_ASCENT_DIRECTION),
}


def build(name: str) -> Problem:
    """The problem of a row, from the same random numbers each time."""
    torch.manual_seed(0)
    return ZOO[name].build()
