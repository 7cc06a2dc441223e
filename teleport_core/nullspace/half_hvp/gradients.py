"""||g||^2 and D M of all layers with outputs of one shape, in one call each.

A small net on a GPU takes as long as its launches; on a CPU nothing is gained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.nullspace.half_hvp.layer import FrozenLayer, flat


@dataclass
class GradientsTogether:
    """Layers whose D has one shape, and whose M was formed.

    Attributes:
        D: dL/dz [layers, out, n] after each pass down; each layer's is a slice of it.
        D_before: its value one step earlier.
        along: D M [layers, out, n].
        grams: M [layers, n, n].
    """

    D: Tensor
    D_before: Tensor
    along: Tensor
    grams: Tensor

    def gradient_norm_sq(self) -> Tensor:
        """Sum of <D, D M> over the layers, each of which has just taken its D."""
        self.D, self.D_before = self.D_before, self.D
        torch.bmm(self.D, self.grams, out=self.along)
        return torch.dot(flat(self.D), flat(self.along))


def together(layers: Sequence[FrozenLayer]) -> list[FrozenLayer | GradientsTogether]:
    """The layers, those with D of one shape put together, in memory of their own."""
    alike: dict[int, list[FrozenLayer]] = {}
    for layer in layers:
        if layer.gram is not None and not layer.columns:
            alike.setdefault(layer.D.shape[0], []).append(layer)
    groups = [same for same in alike.values() if len(same) > 1]
    grouped = {layer.name for same in groups for layer in same}
    return [layer for layer in layers if layer.name not in grouped] + [*map(_together, groups)]


def _together(layers: list[FrozenLayer]) -> GradientsTogether:
    D, D_before, along = (layers[0].D.new_empty(len(layers), *layers[0].D.shape) for _ in range(3))
    grams = torch.stack([layer.gram for layer in layers if layer.gram is not None])
    for number, layer in enumerate(layers):
        layer.D, layer.D_before, layer.along = D[number], D_before[number], along[number]
        layer.gram = grams[number]
    return GradientsTogether(D, D_before, along, grams)
