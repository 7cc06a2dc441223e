"""Random small modules, drawn as programs: what a stranger's model may do with its weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Problem

# Hidden features; images are [2, 4, 4], sequences [4, 8], so that every block takes every other.
WIDTH = 32
SAMPLES = 3

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": F.relu,
    "relu in place": lambda h: F.relu_(h * 1.0),
    "gelu": F.gelu,
    "silu in place": lambda h: F.silu(h + 0.0, inplace=True),
    "hardsigmoid": F.hardsigmoid,
    "clamped in place": lambda h: (h * 1.0).clamp_(-1, 1),
    "softmax": lambda h: h.softmax(-1),
    "written to": lambda h: h.clone().index_fill_(1, torch.tensor([0]), 0.5),
}


class Residual(nn.Module):
    """A branch beside what it started from."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, h: Tensor) -> Tensor:
        return h + self.inner(h)


class Shaped(nn.Module):
    """A layer that sees its features as ``shape``; a linear layer brings them back to WIDTH."""

    def __init__(self, layer: nn.Module, shape: tuple[int, ...], features: int) -> None:
        super().__init__()
        self.layer, self.shape = layer, shape
        self.back = nn.Linear(features, WIDTH)

    def forward(self, h: Tensor) -> Tensor:
        out = self.layer(h.view(len(h), *self.shape))
        return self.back((out[0] if isinstance(out, tuple) else out).flatten(1))


class Attention(nn.Module):
    """Attention over four places of eight features."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, h: Tensor) -> Tensor:
        places = h.view(len(h), 4, 8)
        return self.inner(places, places, places)[0].flatten(1)


class Aliased(nn.Module):
    """One module under two names: attribute and member of a Sequential."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.body = inner
        self.all = nn.Sequential(self.body, nn.Tanh())

    def forward(self, h: Tensor) -> Tensor:
        return self.all(h)


class Twice(nn.Module):
    """The same weights, two times."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(self.inner(h).tanh())


class Views(nn.Module):
    """Parts of one parameter as weights: rows, a matrix of three dimensions, a transpose."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        shape = (2, WIDTH, WIDTH) if kind == "matrix" else (2 * WIDTH, WIDTH)
        self.weight = nn.Parameter(torch.randn(shape) / 6)

    def forward(self, h: Tensor) -> Tensor:
        if self.kind == "transposed":
            return h @ self.weight[:WIDTH].T
        if self.kind == "chunks":
            a, b = self.weight.chunk(2)
        elif self.kind == "scaled":
            a, b = 2 * self.weight[:WIDTH], self.weight[WIDTH:]
        else:
            a, b = (
                (self.weight[0], self.weight[1])
                if self.kind == "matrix"
                else (
                    self.weight[::2],
                    self.weight[1::2],
                )
            )
        return F.linear(h, a) + F.linear(h.sin(), b)


class Empty(nn.Module):
    """An expert that no sample is sent to."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, h: Tensor) -> Tensor:
        out = self.used(h)
        return out.index_add(0, torch.arange(0), self.idle(h[:0]))


class Routed(nn.Module):
    """Two experts, chosen by sign; one may be idle."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))

    def forward(self, h: Tensor) -> Tensor:
        chosen = (h.detach()[:, 0] > 0).long()
        out = torch.zeros_like(h)
        for i, expert in enumerate(self.experts):
            at = (chosen == i).nonzero()[:, 0]
            out = out.index_add(0, at, expert(h[at]))
        return out


class Assigned(nn.Module):
    """A parameter written by assignment beside a layer's output."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.inner = nn.Parameter(torch.randn(WIDTH)), nn.Linear(WIDTH, WIDTH)

    def forward(self, h: Tensor) -> Tensor:
        places = h.new_zeros(len(h), 2, WIDTH)
        places[:, 1] = self.inner(h)
        places[:, 0] = self.token
        return places.tanh().mean(1)


class Unused(nn.Module):
    """A head whose output nobody takes, and a parameter that nobody reads."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.aside = inner, nn.Sequential(nn.Linear(WIDTH, 5), nn.Tanh())
        self.never = nn.Parameter(torch.zeros(3))

    def forward(self, h: Tensor) -> Tensor:
        out = self.inner(h)
        self.aside(out)
        return out


class Elementwise(nn.Module):
    """A gate between layers; with the same weights as a scale it is a use that is not linear."""

    def __init__(self, *, squared: bool) -> None:
        super().__init__()
        self.inner, self.squared = nn.Linear(WIDTH, WIDTH), squared

    def forward(self, h: Tensor) -> Tensor:
        out = self.inner(h)
        return out * self.inner.weight.square().sum() if self.squared else out * h.sigmoid()


def grouped(groups: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 8, 3, padding=1, groups=1), nn.Conv2d(8, 8, 2, groups=groups))


LEAVES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH),
    "no bias": lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    "convolution": lambda: Shaped(nn.Conv2d(2, 6, 3, padding=1), (2, 4, 4), 96),
    "grouped": lambda: Shaped(grouped(2), (2, 4, 4), 72),
    "depthwise": lambda: Shaped(grouped(8), (2, 4, 4), 72),
    "transposed": lambda: Shaped(nn.ConvTranspose1d(4, 6, 3, stride=2), (4, 8), 102),
    "circular": lambda: Shaped(nn.Conv1d(4, 6, 3, padding=1, padding_mode="circular"), (4, 8), 48),
    "lstm": lambda: Shaped(nn.LSTM(8, 5, batch_first=True), (4, 8), 20),
    "gru": lambda: Shaped(nn.GRU(8, 5, batch_first=True, bidirectional=True), (4, 8), 40),
    "attention": Attention,
    "bilinear": lambda: Both(nn.Bilinear(WIDTH, WIDTH, WIDTH)),
    "layer norm": lambda: nn.LayerNorm(WIDTH),
    "batch norm": lambda: nn.BatchNorm1d(WIDTH),
    "group norm": lambda: nn.GroupNorm(4, WIDTH),
    "pooled": lambda: Shaped(nn.MaxPool2d(2), (2, 4, 4), 8),
    "dropout": lambda: nn.Dropout(0.5),
    "prelu": nn.PReLU,
    "views": lambda: Views("rows"),
    "chunks": lambda: Views("chunks"),
    "matrix": lambda: Views("matrix"),
    "transpose": lambda: Views("transposed"),
    "scaled view": lambda: Views("scaled"),
    "empty branch": Empty,
    "routed": Routed,
    "assigned": Assigned,
    "gate": lambda: Elementwise(squared=False),
    "weight as scale": lambda: Elementwise(squared=True),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(WIDTH, WIDTH)),
}


class Both(nn.Module):
    """A layer of two inputs, which get the same."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h, h.sin())


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "residual": Residual,
    "aliased": Aliased,
    "twice": Twice,
    "unused": Unused,
}
INPUTS = ("tensor", "tuple", "dict", "tokens", "mask", "flag", "nested", "expanded")
OUTPUTS = ("tensor", "tuple", "dict", "extra head", "detached", "one sample")
FROZEN = ("nothing", "first", "biases", "all but the head")


@dataclass(frozen=True)
class Program:
    """A model in words; the same words and seed are the same model."""

    blocks: tuple[tuple[str, str, str], ...]
    takes: str
    gives: str
    frozen: str
    tied: bool
    training: bool
    seed: int

    def problem(self) -> Problem:
        torch.manual_seed(self.seed)
        model = Net(self).double().train(self.training)
        _freeze(model, self.frozen)
        targets = torch.randint(0, 4, (SAMPLES,))
        return Problem(model, Loss(self.gives), self.inputs(), targets)

    def inputs(self) -> Any:
        x = torch.randn(SAMPLES, 5, dtype=torch.float64)
        mask = torch.tensor([[True, True, False, True, True]] * SAMPLES)
        return {
            "tensor": x,
            "tuple": (x,),
            "dict": {"x": x},
            "tokens": torch.randint(0, 7, (SAMPLES, 5)),
            "mask": {"x": x, "mask": mask},
            "flag": (x, None, True),
            "nested": ({"x": [x]},),
            "expanded": torch.randn(1, 5, dtype=torch.float64).expand(SAMPLES, 5),
        }[self.takes]


class Net(nn.Module):
    """What a program says: an entry, blocks, a head."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 5) if program.takes == "tokens" else None
        self.enter = nn.Linear(5, WIDTH)
        self.blocks = nn.ModuleList(_block(leaf, wrapper) for leaf, wrapper, _ in program.blocks)
        if program.tied:
            self.blocks.append(self.blocks[0])
        names = [name for _, _, name in program.blocks]
        self.after = [ACTIVATIONS[name] for name in [*names, names[0]]]
        self.head = nn.Linear(WIDTH, 4)
        self.extra = nn.Linear(WIDTH, 2) if program.gives == "extra head" else None
        self.gives = program.gives

    def forward(self, x: Any, mask: Tensor | None = None, flag: bool = False) -> Any:
        if isinstance(x, dict):
            x = x["x"][0]
        if self.words is not None:
            x = self.words(x).mean(1)
        h = self.enter(x if mask is None else x.masked_fill(~mask, 0.0))
        for block, after in zip(self.blocks, self.after, strict=False):
            h = after(block(h))
        out = self.head(-h if flag else h)
        if self.gives == "extra head":
            return out, self.extra(h).tanh()
        return {"tuple": (out, 3, None), "dict": {"logits": out, "hidden": h}}.get(self.gives, out)


@dataclass(frozen=True)
class Loss:
    """Cross-entropy of what the program gives."""

    gives: str

    def __call__(self, output: Any, targets: Tensor) -> Tensor:
        out = output["logits"] if isinstance(output, dict) else output
        out = out[0] if isinstance(out, tuple) else out
        if self.gives == "detached":
            out = out * out.detach().square().mean().add(1)
        if self.gives == "one sample":
            out, targets = out[:1], targets[:1]
        return F.cross_entropy(out, targets)


def _block(leaf: str, wrapper: str) -> nn.Module:
    inner = LEAVES[leaf]()
    return WRAPPERS[wrapper](inner) if wrapper else inner


def _freeze(model: nn.Module, kind: str) -> None:
    for name, parameter in model.named_parameters():
        frozen = {
            "first": name.startswith("enter"),
            "biases": name.endswith("bias"),
            "all but the head": not name.startswith("head"),
        }.get(kind, False)
        parameter.requires_grad_(not frozen)


BLOCKS = st.tuples(
    st.sampled_from(sorted(LEAVES)),
    st.sampled_from(["", "", *WRAPPERS]),
    st.sampled_from(sorted(ACTIVATIONS)),
)
PROGRAMS = st.builds(
    Program,
    blocks=st.lists(BLOCKS, min_size=1, max_size=3).map(tuple),
    takes=st.sampled_from(INPUTS),
    gives=st.sampled_from(OUTPUTS),
    frozen=st.sampled_from(FROZEN),
    tied=st.booleans(),
    training=st.booleans(),
    seed=st.integers(0, 99),
)
