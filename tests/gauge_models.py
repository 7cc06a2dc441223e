"""Models with symmetries that need no data, tiny and in float64; a new one is a new row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from zoo import Outputs
from zoo_problem import classes, noise, problem, tokens

from bench.problems.networks.attention import Block
from teleport_core import Problem

# --- attention ------------------------------------------------------------------------------


class SelfAttention(nn.Module):
    """One head or several over one sequence, or over another one's tokens; nothing else."""

    def __init__(
        self, *, batch_first: bool, weights: bool, masked: bool = False, **options: Any
    ) -> None:
        super().__init__()
        self.mask = torch.full((5, 5), -torch.inf).triu(1).double() if masked else None
        self.attention = nn.MultiheadAttention(12, 3, batch_first=batch_first, **options)
        self.weights = weights

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        y = x if memory is None else memory
        options = {"need_weights": self.weights, "attn_mask": self.mask}
        found: Tensor = self.attention(x, y, y, **options)[0]
        return found


def self_attention(*, batch_first: bool = True, weights: bool = False, **options: Any) -> Problem:
    model = SelfAttention(batch_first=batch_first, weights=weights, **options)
    if options.get("bias", True):
        nn.init.normal_(model.attention.in_proj_bias)
    return problem(model, noise(2, 5, 12), 12, (2, 5))


def cross_attention(*, kdim: int | None = None) -> Problem:
    model = SelfAttention(batch_first=True, weights=False, kdim=kdim, vdim=kdim)
    nn.init.normal_(model.attention.in_proj_bias)
    return problem(model, (noise(2, 3, 12), noise(2, 5, kdim or 12)), 12, (2, 3))


def blocks(*, causal: bool, bias: bool) -> Problem:
    model = nn.Sequential(Block(128, causal=causal, bias=bias), nn.Linear(128, 4))
    return problem(model, noise(2, 3, 128), 4, (2, 3))


# --- Hugging Face ---------------------------------------------------------------------------

WORDS = {"vocab_size": 24, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
SMALL = {
    **WORDS,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 20,
    "max_position_embeddings": 8,
}
GROUPED = {**SMALL, "num_key_value_heads": 2, "attention_bias": True}
GPT2 = {**WORDS, "n_positions": 8, "n_embd": 12, "n_layer": 1, "n_head": 2}
VIT = {
    "hidden_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "image_size": 6,
    "patch_size": 3,
    "num_channels": 2,
    "num_labels": 4,
}


def hugging_face(name: str, options: dict[str, Any], **more: Any) -> Problem:
    """A model by its name, on tokens or, a ViT, on images."""
    import transformers

    kind = getattr(transformers, name)
    config = kind.config_class(**{**options, **more})
    model = Outputs(kind(config)).eval()
    for norm in (m for m in model.modules() if "Norm" in type(m).__name__):
        nn.init.uniform_(norm.weight, 0.5, 2.0)
    if "ViT" in name:
        return problem(model, {"pixel_values": noise(2, 2, 6, 6)}, 4, (2,))
    return problem(model, {"input_ids": tokens(2, 5, of=24)}, 24, (2, 5))


# --- pairs of linear maps ---------------------------------------------------------------------


class Adapted(nn.Module):
    """A frozen layer and a pair of low rank beside it, as PEFT computes it."""

    def __init__(self, *, merged: bool) -> None:
        super().__init__()
        self.base = nn.Linear(6, 5).requires_grad_(False)
        self.A, self.B = nn.Linear(6, 3, bias=False), nn.Linear(3, 5, bias=False)
        self.dropout = nn.Dropout(0.5)
        self.merged = merged

    def forward(self, x: Tensor) -> Tensor:
        if self.merged:
            weight = self.base.weight + 2.0 * (self.B.weight @ self.A.weight)
            return nn.functional.linear(x, weight, self.base.bias)
        return self.base(x) + self.B(self.A(self.dropout(x))) * 2.0


def adapted(*, merged: bool) -> Problem:
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), Adapted(merged=merged)).eval()
    return problem(model, noise(3, 4), 5, (3,))


def factorised(*layers: nn.Module, images: bool = False) -> Problem:
    """Layers without anything in between, of which the last has three outputs."""
    return problem(nn.Sequential(*layers), noise(3, 4, 6, 6) if images else noise(3, 4), 3, (3,))


# --- norms --------------------------------------------------------------------------------------


def normed(*layers: nn.Module, images: bool = True, train: bool = False) -> Problem:
    """In eval mode, with statistics that say something."""
    found = factorised(*layers, images=images)
    for module in found.model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 2.0)
        if isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
            nn.init.uniform_(module.weight, 0.5, 2.0)
    found.model.train(train)
    return found


def convolutions(*, train: bool = False) -> Problem:
    return normed(
        nn.Conv2d(4, 6, 3), nn.MaxPool2d(2), nn.BatchNorm2d(6), nn.Tanh(), nn.Conv2d(6, 5, 2),
        nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5, 3), train=train,
    )  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A model and what pairs it has.

    Attributes:
        full: pairs with an M of GL(r) for each block, r > 1.
        diagonal: pairs with a scale for each feature.
        planes: pairs with a scale for each plane of rotary positions.
    """

    build: Callable[[], Problem]
    full: int = 0
    diagonal: int = 0
    planes: int = 0


MODELS: dict[str, Row] = {
    "self-attention": Row(self_attention, full=2),
    "self-attention, no bias": Row(lambda: self_attention(bias=False), full=2),
    "self-attention, sequence first": Row(lambda: self_attention(batch_first=False), full=2),
    "self-attention, weights": Row(lambda: self_attention(weights=True), full=2),
    "self-attention, weights and mask": Row(
        lambda: self_attention(weights=True, masked=True), full=2
    ),
    "cross-attention": Row(cross_attention, full=2),
    "cross-attention, kdim": Row(lambda: cross_attention(kdim=7), full=2),
    "encoder of the zoo": Row(lambda: blocks(causal=False, bias=True), full=2, diagonal=2),
    "decoder of the zoo": Row(lambda: blocks(causal=True, bias=False), full=2, diagonal=2),
    "gpt2": Row(lambda: hugging_face("GPT2LMHeadModel", GPT2), full=2, diagonal=2),
    "bert": Row(lambda: hugging_face("BertForMaskedLM", SMALL), full=2, diagonal=1),
    "vit": Row(lambda: hugging_face("ViTForImageClassification", VIT), full=2, diagonal=3),
    "llama": Row(lambda: hugging_face("LlamaForCausalLM", GROUPED), full=1, diagonal=3, planes=1),
    "llama, eager": Row(
        lambda: hugging_face("LlamaForCausalLM", GROUPED, attn_implementation="eager"),
        full=1, diagonal=3, planes=1,
    ),
    "neox, rotary in part": Row(
        lambda: hugging_face("GPTNeoXForCausalLM", SMALL, rotary_pct=0.5),
        full=2, diagonal=3, planes=1,
    ),
    "lora": Row(lambda: adapted(merged=False), full=1),
    "lora, merged": Row(lambda: adapted(merged=True), full=1),
    "three linear": Row(
        lambda: factorised(nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 3)), full=2
    ),
    "two convolutions": Row(
        lambda: factorised(
            nn.Conv2d(4, 5, 3, padding=1), nn.Conv2d(5, 2, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(72, 3), images=True,
        ),
        full=1,
    ),
    "depthwise, pointwise": Row(
        lambda: factorised(
            nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(32, 3), images=True,
        ),
        diagonal=1,
    ),
    "groups, pointwise": Row(
        lambda: factorised(
            nn.Conv2d(4, 6, 3, groups=2), nn.Conv2d(6, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(32, 3), images=True,
        ),
        full=1,
    ),
    "linear, flat, linear": Row(
        lambda: factorised(nn.Linear(6, 2), nn.Flatten(), nn.Linear(48, 3), images=True), full=1
    ),
    "convolution, pool, linear": Row(
        lambda: factorised(
            nn.Conv2d(4, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3), images=True
        ),
        diagonal=1,
    ),
    "batch norm": Row(convolutions, diagonal=2),
    "batch norm of features": Row(
        lambda: normed(
            nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3), images=False
        ),
        diagonal=1,
    ),
    "rms norm": Row(
        lambda: normed(nn.RMSNorm(4), nn.Linear(4, 3), images=False), diagonal=1
    ),
    "layer norm": Row(
        lambda: normed(nn.LayerNorm(4), nn.Linear(4, 3), images=False), diagonal=1
    ),
}  # fmt: skip


def build(name: str) -> Problem:
    """The problem of a row, from the same random numbers each time."""
    torch.manual_seed(0)
    return MODELS[name].build()


def other_inputs(found: Problem) -> Problem:
    """The same model on inputs that nobody has seen."""
    generator = torch.Generator().manual_seed(11)

    def fresh(x: Tensor) -> Tensor:
        if x.is_floating_point():
            return torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return torch.randint(0, 24, x.shape, generator=generator)

    inputs: Any = found.inputs
    if isinstance(inputs, dict):
        inputs = {name: fresh(x) for name, x in inputs.items()}
    elif isinstance(inputs, tuple):
        inputs = tuple(map(fresh, inputs))
    else:
        inputs = fresh(inputs)
    return Problem(found.model, classes, inputs, found.targets)
