"""What a stranger's module may do with its weights: layers and wrappers of WIDTH features."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

# Hidden features; images are [2, 4, 4], sequences [4, 8], so that every block takes every other.
WIDTH = 32


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


class Checkpointed(nn.Module):
    """Computed again on the way back."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, h: Tensor) -> Tensor:
        return checkpoint(self.inner, h, use_reentrant=False)


class Hooked(nn.Module):
    """Hooks before and after, one that looks on, and one on the gradient of a parameter."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        inner.register_forward_hook(lambda module, args, out: out * 1.5)
        inner.register_forward_pre_hook(lambda module, args: (args[0] + 0.1,))
        inner.register_full_backward_hook(lambda module, into, out: None)
        for parameter in inner.parameters():
            parameter.register_hook(lambda gradient: gradient * 2)

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h)


class Silent(nn.Module):
    """A part without a gradient beside one that has it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, h: Tensor) -> Tensor:
        with torch.no_grad():
            fixed = self.inner(h)
        return h + fixed


class Counting(nn.Module):
    """Writes to itself in every forward pass: a buffer, an attribute and a cache."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.cache = inner, {}
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, h: Tensor) -> Tensor:
        self.calls += 1
        self.cache["last"] = out = self.inner(h)
        return out


class Product(torch.autograd.Function):
    """A linear layer by hand, which no watcher can see."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(h, weight)
        return h @ weight.T

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        h, weight = ctx.saved_tensors
        return gradients[0] @ weight, gradients[0].T @ h


class Hidden(nn.Module):
    """A weight used where nobody can see it, or changed before it is used."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.inner, self.kind = nn.Linear(WIDTH, WIDTH), kind
        self.aside = [self.inner.weight]
        self.register_buffer("mask", (torch.rand(WIDTH, WIDTH) > 0.3).double())

    def forward(self, h: Tensor) -> Tensor:
        weight = self.inner.weight
        if self.kind == "by hand":
            return Product.apply(h, weight)
        if self.kind == "read":
            return self.inner(h) * (1 + weight[0, 0].item())
        if self.kind == "listed":
            return self.inner(h) + F.linear(h.cos(), self.aside[0])
        if self.kind == "data":
            return self.inner(h) + F.linear(h.cos(), weight.data)
        if self.kind == "pruned":
            return F.linear(h, weight * self.mask, self.inner.bias)
        with torch.no_grad():
            weight.mul_(self.mask)
        return self.inner(h)


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


class Bag(nn.Module):
    """Rows looked up by what the features are."""

    def __init__(self) -> None:
        super().__init__()
        self.bag, self.inner = nn.EmbeddingBag(9, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, h: Tensor) -> Tensor:
        rows = (h.detach()[:, :4].tanh() * 4 + 4).long()
        return self.inner(h) + self.bag(rows)


class Cell(nn.Module):
    """A recurrent cell in a loop that ends by what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(8, WIDTH)

    def forward(self, h: Tensor) -> Tensor:
        state = torch.zeros_like(h)
        for part in h.view(len(h), 4, 8).unbind(1):
            state = self.cell(part, state)
            if float(state.detach().abs().mean()) > 0.3:
                break
        return state


class Multiplied(nn.Module):
    """One weight of four axes in an einsum, one in a batched product."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.Parameter(torch.randn(4, 8, 8) / 3)
        self.mixed = nn.Parameter(torch.randn(4, 8, 2, 4) / 3)

    def forward(self, h: Tensor) -> Tensor:
        places = h.view(len(h), 4, 8)
        each = torch.bmm(places.transpose(0, 1), self.heads).transpose(0, 1).tanh()
        return torch.einsum("npi,piab->npab", each, self.mixed).flatten(1)


class Both(nn.Module):
    """A layer of two inputs, which get the same."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, h: Tensor) -> Tensor:
        return self.inner(h, h.sin())


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
    "by hand": lambda: Hidden("by hand"),
    "read": lambda: Hidden("read"),
    "listed": lambda: Hidden("listed"),
    "data": lambda: Hidden("data"),
    "pruned": lambda: Hidden("pruned"),
    "pruned in place": lambda: Hidden("in place"),
    "bag": Bag,
    "cell": Cell,
    "layer": lambda: Shaped(
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), (4, 8), 32
    ),
    "instance norm": lambda: Shaped(nn.InstanceNorm1d(4, affine=True), (4, 8), 32),
    "einsum": Multiplied,
    "weight as scale": lambda: Elementwise(squared=True),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(WIDTH, WIDTH)),
}


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "residual": Residual,
    "aliased": Aliased,
    "twice": Twice,
    "unused": Unused,
    "checkpointed": Checkpointed,
    "hooked": Hooked,
    "silent": Silent,
    "counting": Counting,
}
