"""Models of every architecture, tiny and in float64; a new one is a new row of ``ZOO``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Problem, Status


def classes(output: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over the last axis, whatever stands before it."""
    return F.cross_entropy(output.reshape(-1, output.shape[-1]), targets.reshape(-1))


def problem(model: nn.Module, inputs: Any, classes_: int, shape: tuple[int, ...]) -> Problem:
    """A classification problem with random targets; ``inputs`` in float64."""
    generator = torch.Generator().manual_seed(7)
    targets = torch.randint(0, classes_, shape, generator=generator)
    return Problem(model.double(), classes, inputs, targets)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def tokens(*shape: int, of: int) -> Tensor:
    return torch.randint(0, of, shape, generator=torch.Generator().manual_seed(5))


def images(model: nn.Module, n: int, channels: int, size: int, outputs: int = 4) -> Problem:
    return problem(model, noise(n, channels, size, size), outputs, (n,))


# --- convolutions ---------------------------------------------------------------------------


def conv2d() -> Problem:
    return images(
        nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, 4),
        ), 2, 2, 6,
    )  # fmt: skip


def conv1d_circular() -> Problem:
    model = nn.Sequential(
        nn.Conv1d(3, 8, 3, padding=1, padding_mode="circular"), nn.Tanh(),
        nn.Conv1d(8, 8, 5, padding=2, padding_mode="circular"), nn.Tanh(),
        nn.Conv1d(8, 4, 3, padding=1, padding_mode="reflect"), nn.Tanh(), nn.Flatten(),
        nn.Linear(32, 4),
    )  # fmt: skip
    return problem(model, noise(3, 3, 8), 4, (3,))


def conv_same() -> Problem:
    return images(
        nn.Sequential(
            nn.Conv2d(2, 8, 3, padding="same"), nn.GELU(),
            nn.Conv2d(8, 8, (4, 3), padding="same", dilation=(1, 2), padding_mode="replicate"),
            nn.GELU(), nn.Conv2d(8, 6, 4, padding="same"), nn.GELU(),
            nn.AvgPool2d(5), nn.Flatten(), nn.Linear(6, 4),
        ), 2, 2, 5,
    )  # fmt: skip


def conv3d() -> Problem:
    model = nn.Sequential(
        nn.Conv3d(1, 6, 2), nn.Tanh(), nn.Conv3d(6, 6, 2, stride=2), nn.Tanh(), nn.Flatten(),
        nn.Linear(6, 3),
    )  # fmt: skip
    return problem(model, noise(4, 1, 4, 4, 4), 3, (4,))


class GroupedResidual(nn.Module):
    """Grouped, dilated and strided convolutions, batch norm in train mode, a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2)
        self.inner = nn.BatchNorm2d(8)
        self.down = nn.Conv2d(8, 12, 3, stride=2, groups=4)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.first(x)))
        h = h + torch.relu_(self.inner(self.grouped(h)))
        return self.head(F.gelu(self.down(h)).mean((2, 3)))


def depthwise_separable() -> Problem:
    return images(
        nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(),
            nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.Conv2d(8, 12, 1), nn.SiLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4),
        ), 2, 3, 6,
    )  # fmt: skip


def transposed() -> Problem:
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2), nn.ELU(),
        nn.ConvTranspose2d(6, 8, 3, stride=2, output_padding=1), nn.ELU(),
        nn.ConvTranspose2d(8, 6, 3, padding=1, dilation=2, groups=2), nn.ELU(),
        nn.Flatten(), nn.Linear(600, 4),
    )  # fmt: skip
    return problem(model, noise(2, 2, 7, 7), 4, (2,))


def transposed1d() -> Problem:
    model = nn.Sequential(
        nn.Linear(5, 5), nn.Tanh(), nn.ConvTranspose1d(4, 6, 4, stride=3, padding=2), nn.Tanh(),
        nn.Conv1d(6, 6, 3, stride=3), nn.Tanh(), nn.Flatten(), nn.Linear(24, 4),
    )  # fmt: skip
    return problem(model, noise(2, 4, 5), 4, (2,))


def transposed3d() -> Problem:
    model = nn.Sequential(
        nn.Conv3d(1, 6, 2), nn.Tanh(), nn.ConvTranspose3d(6, 5, 2, stride=2), nn.Tanh(),
        nn.Flatten(), nn.Linear(40, 3),
    )  # fmt: skip
    return problem(model, noise(3, 1, 2, 2, 2), 3, (3,))


def unet() -> Problem:
    """Skips by concatenation, instance norm, upsampling."""

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(1, 6, 3, padding=1)
            self.deep = nn.Conv2d(6, 10, 3, padding=1)
            self.norm = nn.InstanceNorm2d(10, affine=True)
            self.up = nn.ConvTranspose2d(10, 6, 2, stride=2)
            self.out = nn.Conv2d(12, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            a = torch.tanh(self.down(x))
            b = torch.tanh(self.norm(self.deep(F.avg_pool2d(a, 2))))
            return self.out(torch.cat([a, torch.tanh(self.up(b))], 1)).movedim(1, -1)

    return problem(UNet(), noise(1, 1, 4, 4), 3, (1, 4, 4))


# --- attention ------------------------------------------------------------------------------


def encoder_layer(*, norm_first: bool, activation: str = "relu") -> Problem:
    layer = nn.TransformerEncoderLayer(
        12, 3, 40, dropout=0.0, activation=activation, norm_first=norm_first, batch_first=True
    )
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    model = nn.Sequential(nn.Linear(6, 12), encoder, nn.Linear(12, 4))
    return problem(model, noise(2, 5, 6), 4, (2, 5))


class Cross(nn.Module):
    """Queries from one sequence, keys and values from another; heads of separate widths."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(5, 12)
        self.memory = nn.Linear(7, 10)
        self.packed = nn.MultiheadAttention(12, 3, batch_first=True, add_bias_kv=True)
        self.separate = nn.MultiheadAttention(12, 2, kdim=10, vdim=10, batch_first=True)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        q, m = torch.tanh(self.query(x)), torch.tanh(self.memory(memory))
        h = q + self.separate(q, m, m, need_weights=False)[0]
        half = F.pad(m, (1, 1))
        return self.head(h + self.packed(h, half, half)[0])


def cross_attention() -> Problem:
    return problem(Cross(), (noise(2, 3, 5), noise(2, 4, 7)), 4, (2, 3))


def decoder_layer() -> Problem:
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter = nn.Linear(6, 12)
            self.layer = nn.TransformerDecoderLayer(12, 3, 30, dropout=0.0, batch_first=True)
            self.head = nn.Linear(12, 4)

        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
            return self.head(self.layer(self.enter(x), memory, tgt_mask=mask, tgt_is_causal=True))

    return problem(Decoder(), (noise(2, 3, 6), noise(2, 4, 12)), 4, (2, 3))


class TiedDecoder(nn.Module):
    """A causal decoder whose embedding is its output head too, with a table of positions."""

    def __init__(self, *, bias: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 12)
        self.places = nn.Parameter(torch.randn(6, 12) * 0.1)
        self.layer = nn.TransformerEncoderLayer(
            12, 2, 32, dropout=0.0, batch_first=True, norm_first=True, activation="gelu"
        )
        self.head = nn.Linear(12, 20, bias=bias)
        self.head.weight = self.table.weight

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=self.places.dtype)
        h = self.table(x) + self.places[: x.shape[1]]
        return self.head(self.layer(h, src_mask=mask, is_causal=True))


def tied_decoder() -> Problem:
    return problem(TiedDecoder(), tokens(1, 6, of=20), 20, (1, 6))


def tied_decoder_with_bias() -> Problem:
    return problem(TiedDecoder(bias=True), tokens(1, 6, of=20), 20, (1, 6))


class Mixer(nn.Module):
    """Linear layers across tokens and across channels."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(5, 12)
        self.norm = nn.LayerNorm(12)
        self.tokens = nn.Sequential(nn.Linear(4, 10), nn.GELU(), nn.Linear(10, 4))
        self.inner = nn.LayerNorm(12)
        self.channels = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        h = h + self.tokens(self.norm(h).mT).mT
        h = h + self.channels(self.inner(h))
        return self.head(h.mean(1))


# --- sequences ------------------------------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(self, cell: nn.Module, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(3, 6)
        self.cell = cell
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(torch.tanh(self.enter(x)))[0][:, -1])


def recurrent(cell: nn.Module, width: int, steps: int = 3) -> Problem:
    return problem(Recurrent(cell, width), noise(2, steps, 3), 4, (2,))


class CellLoop(nn.Module):
    """Cells that the model calls by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.other = nn.LSTMCell(3, 9), nn.GRUCell(9, 10)
        self.plain = nn.RNNCell(10, 8, nonlinearity="relu")
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        state, g, p = None, None, None
        for step in x.unbind(1):
            state = self.enter(step, state)
            g = self.other(state[0], g)
            p = self.plain(g, p)
        return self.head(p)


class StateSpace(nn.Module):
    """A selective state-space block: gated, causal depthwise convolution, learned step sizes."""

    def __init__(self, width: int = 10, states: int = 3) -> None:
        super().__init__()
        self.enter = nn.Linear(4, 2 * width)
        self.conv = nn.Conv1d(width, width, 3, padding=2, groups=width)
        self.select = nn.Linear(width, 1 + 2 * states)
        self.step = nn.Linear(1, width)
        self.log_decay = nn.Parameter(torch.log(torch.arange(1.0, states + 1)).repeat(width, 1))
        self.skip = nn.Parameter(torch.ones(width))
        self.leave = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        u, gate = self.enter(x).chunk(2, -1)
        u = F.silu(self.conv(u.mT)[..., : x.shape[1]].mT)
        step, B, C = self.select(u).split([1, *[self.log_decay.shape[1]] * 2], -1)
        step = F.softplus(self.step(step)).unsqueeze(-1)
        decay = torch.exp(-step * self.log_decay.exp())
        drive = step * B.unsqueeze(2) * u.unsqueeze(-1)
        h, out = torch.zeros_like(drive[:, 0]), []
        for t in range(x.shape[1]):
            h = decay[:, t] * h + drive[:, t]
            out.append((h * C[:, t].unsqueeze(1)).sum(-1))
        y = torch.stack(out, 1) + self.skip * u
        return self.leave(y * F.silu(gate))


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
