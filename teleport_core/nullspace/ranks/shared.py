"""What the generic engine sums over ranks: gradients, Gram matrices and updates, all of them dense.

Whatever is written into the weights comes out of a sum, so that it is the same on all ranks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from teleport_core.layers.discovery import Layers
from teleport_core.layers.layer import Layer
from teleport_core.nullspace.bases.shared import require_same_rank, spaces_of
from teleport_core.nullspace.bases.spaces import Space, same_inputs
from teleport_core.nullspace.traced.groups import GroupsUpdate
from teleport_core.nullspace.traced.updates import Update
from teleport_core.phases import BASIS
from teleport_core.problem import Parameters

if TYPE_CHECKING:
    from teleport_core.distributed.ranks import Ranks

_CURE = (
    "have the samples of every rank pass through all parts of the model, or write "
    "ranks='replicated'"
)


@dataclass(frozen=True)
class Shared:
    """Ranks that saw the same layers, each on samples of its own.

    Attributes:
        names: parameters that take part in the loss.
    """

    ranks: "Ranks"
    names: list[str]

    @classmethod
    def of(cls, ranks: "Ranks", found: Layers) -> Self:
        """Agree on the layers; rows that any rank looks up stay on all.

        Raises:
            RankError: ranks found other layers.
        """
        seen = found.seen
        uses = [part[0] for use in seen.uses for part in (use.weight, use.bias) if part]
        names = sorted(n for n in {*uses, *seen.others, *seen.rows} if seen.leaves[n].requires_grad)
        facts = [
            (x.weight, x.bias, x.group, x.part, x.data_fed, x.shape, x.looked_up is None)
            for x in found.layers
        ]
        ranks.same("the layers that may move", (facts, sorted(found.held), names), _CURE)
        for layer in found.layers:
            if layer.looked_up is not None:
                rows = layer.looked_up
                counts = [int(n) for (n,) in ranks.words("rows that are looked up", len(rows))]
                (union,) = ranks.gather("rows that are looked up", [rows], [counts])
                layer.looked_up = torch.unique(union)
        return cls(ranks, names)

    def spaces(self, layers: list[Layer], limit: int) -> list[Space]:
        """The space of every layer's inputs on all ranks; those of equal inputs once."""
        known: dict[object, list[Space]] = {}
        found = []
        with BASIS:
            for layer in layers:
                key = same_inputs(layer)
                if key not in known:
                    dtype = layer.uses[0].x.dtype
                    known[key], _ = spaces_of(self.ranks, layer.pieces(limit), dtype, limit)
                found.append(known[key][layer.group])
        require_same_rank(self.ranks, found)
        return found

    def summed(self, gradients: Mapping[str, Tensor], parameters: Parameters) -> Parameters:
        """The gradient of the loss of all ranks, by name; zeros where a rank does not reach it."""
        own = [
            gradients[name] if name in gradients else torch.zeros_like(parameters[name])
            for name in self.names
        ]
        return dict(zip(self.names, self.ranks.sum("the gradients", own), strict=True))

    def whole(
        self, updates: list[Update | GroupsUpdate], bounds: list[Tensor]
    ) -> tuple[list[Update | GroupsUpdate], list[Tensor]]:
        """The updates by the samples of all ranks, and bounds of what was projected."""
        matrices = [update.matrix() for update in updates]
        sizes = [bound.to(matrices[0]).reshape(1) for bound in bounds]
        found = self.ranks.sum("the updates", [*matrices, *sizes])
        whole = [
            GroupsUpdate(one) if isinstance(update, GroupsUpdate) else Update(None, one)
            for update, one in zip(updates, found[: len(updates)], strict=True)
        ]
        return whole, found[len(updates) :]
