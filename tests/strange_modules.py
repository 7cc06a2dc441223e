"""Random small modules, drawn as programs: what a stranger's model may do with its weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from strange_layers import LEAVES, WIDTH, WRAPPERS
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Problem

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
    "hardtanh": F.hardtanh,
    "sorted": lambda h: h.sort(-1).values,
    "cumulated": lambda h: h.tanh().cumsum(-1) / 8,
    "highest": lambda h: h * (h >= h.topk(9, -1).values[:, -1:]),
    "distances": lambda h: torch.cdist(h, h[:1] + 1) * h.sin(),
    "spectrum": lambda h: torch.fft.fft(h).abs().tanh(),
    "complex": lambda h: (
        torch.view_as_real(torch.view_as_complex(h.view(len(h), -1, 2)).exp()).flatten(1).tanh()
    ),
    "half": lambda h: h.float().tanh().double(),
    "noise": lambda h: h + torch.randn_like(h),
    "written to": lambda h: h.clone().index_fill_(1, torch.tensor([0]), 0.5),
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
    st.sampled_from(["", "", "", *WRAPPERS]),
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
