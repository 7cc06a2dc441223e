"""Attention and recurrence, for the zoo."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from zoo_problem import noise, problem, tokens

from teleport_core import Problem

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
