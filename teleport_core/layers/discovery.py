"""Weights that may move, cut into blocks of rows that move independently of each other."""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import torch

from teleport_core.layers.layer import Layer, groups_of
from teleport_core.layers.tape import Use
from teleport_core.layers.view import View
from teleport_core.layers.watch import Seen, watch
from teleport_core.problem import Problem

Blocks = dict[tuple[int, ...] | None, list[Use]]
"""Uses of one weight by the block that they see; None where they see all of it."""


@dataclass(frozen=True)
class Layers:
    """What may move in a model, on one batch.

    Attributes:
        layers: in order of first use.
        held: counted parameters that stay -> why.
        seen: the forward pass in which they were found.
    """

    layers: list[Layer]
    held: dict[str, str]
    seen: Seen


def find_layers(problem: Problem) -> Layers:
    """Run the model once; what may move, and what stays and why."""
    seen = watch(problem)
    counted = problem.counted()
    held = {name: f"used in {why}" for name, why in seen.others.items() if name in counted}
    uses: dict[str, Blocks] = {}
    for use in seen.uses:
        if use.x.numel():
            blocks = uses.setdefault(use.weight[0], {})
            blocks.setdefault(use.weight[1].block, []).append(use)
    layers: list[Layer] = []
    for name, blocks in uses.items():
        if name in held:
            continue
        if not all(map(_alike, blocks.values())) or not _apart(name, blocks, seen):
            held[name] = "used in two orientations or shapes"
            continue
        if name in seen.rows and any(each[0].weight[1] != View() for each in blocks.values()):
            held[name] = "used in embedding and in another shape"
            continue
        for each in blocks.values():
            layers += _cut(name, each, _moving_bias(name, each, seen), seen)
    moving = {name for layer in layers for name in layer.names()}
    for name in counted:
        if name not in moving:
            held.setdefault(name, _why_held(name, seen))
    return Layers(layers, {name: held[name] for name in counted if name in held}, seen)


def linear_layers(problem: Problem) -> list[Layer]:
    """Run the model once; the layers that may move, in order of first use."""
    return find_layers(problem).layers


def _why_held(name: str, seen: Seen) -> str:
    if name in seen.rows:
        return "used in embedding"
    if any(use.bias is not None and use.bias[0] == name for use in seen.uses):
        return "a bias whose weight does not move with it"
    return "used on no sample" if any(u.weight[0] == name for u in seen.uses) else "not used"


def _alike(uses: list[Use]) -> bool:
    """Whether all uses read the weight as the same matrix, or as rows of the same matrix."""
    first = uses[0]
    weights = [use.part(use.tape.parameters) for use in uses]
    rows = [use.operator.rows(w) for use, w in zip(uses, weights, strict=True)]
    sliced = any(use.weight[1] != first.weight[1] for use in uses)
    return all(
        use.weight[1].transposed == first.weight[1].transposed
        and r.stride()[1:] == rows[0].stride()[1:]
        and r.shape[2:] == rows[0].shape[2:]
        and (r.shape == rows[0].shape or (sliced and len(r) == 1))
        for use, r in zip(uses, rows, strict=True)
    )


def _apart(name: str, blocks: Blocks, seen: Seen) -> bool:
    """Whether blocks have no entry in common, with each other or with a bias."""
    if None in blocks:
        return len(blocks) == 1
    ends = sorted((block[0], block[0] + prod(block[1:])) for block in blocks if block)
    is_bias = any(use.bias is not None and use.bias[0] == name for use in seen.uses)
    return not is_bias and all(stop <= start for (_, stop), (start, _) in pairwise(ends))


def _cut(name: str, uses: list[Use], bias: str | None, seen: Seen) -> list[Layer]:
    """Rows that are used together stay together; groups are independent."""
    tokens = [some.reshape(-1) for some in seen.rows.get(name, [])]
    looked_up = torch.unique(torch.cat(tokens)) if tokens else None
    if all(use.weight[1] == uses[0].weight[1] for use in uses):
        groups = groups_of(uses[0])
        part = uses[0].weight[1]
        return [Layer(name, bias, uses, part, group, looked_up) for group in range(groups)]
    spans = [(_span(use), use) for use in uses]
    layers: list[Layer] = []
    for (start, stop), use in sorted(spans, key=lambda each: each[0]):
        last = layers[-1].part.rows if layers else None
        if last is not None and start < last[1]:
            layers[-1].part = replace(use.weight[1], rows=(last[0], max(last[1], stop)))
            layers[-1].uses.append(use)
        else:
            part = replace(use.weight[1], rows=(start, stop))
            layers.append(Layer(name, bias, [use], part, 0, looked_up))
    return layers


def _span(use: Use) -> tuple[int, int]:
    name, view = use.weight
    whole = replace(view, rows=None)(use.tape.parameters[name])
    return view.rows or (0, len(whole))


def _moving_bias(name: str, uses: list[Use], seen: Seen) -> str | None:
    """The bias moves with its weight when the two are always used together, row by row."""
    names = {use.bias[0] if use.bias else None for use in uses}
    bias = names.pop()
    if names or bias is None or bias in seen.others or bias in seen.rows:
        return None
    if uses[0].weight[1].block is not None:  # one bias of several matrices
        return None
    if any(use.weight[0] == bias for use in seen.uses):
        return None
    partners = {use.weight[0] for use in seen.uses if use.bias and use.bias[0] == bias}
    matched = all(use.bias is not None and use.bias[1].rows == use.weight[1].rows for use in uses)
    return bias if partners == {name} and matched else None
