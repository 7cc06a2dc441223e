"""What moves in a step: a layer by itself, or all groups of one weight together."""

from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.layers import Layer
from teleport_core.layers.layer import groups_of
from teleport_core.nullspace.bases.spaces import Space
from teleport_core.nullspace.traced.groups import GroupsProjector, GroupsUpdate, together
from teleport_core.nullspace.traced.updates import (
    Order,
    Tangents,
    Update,
    cheapest,
    free_update,
    of_part,
    with_ones,
)


@dataclass
class Moving:
    """A layer with something free and something beneath it that moves.

    ``order`` is that of the products that give its update; ``tangents`` has for each use the place
    of R{x} in what the tangent pass returns, or None.
    """

    layer: Layer
    tangents: list[int | None]
    space: Space
    order: Order

    def update(self, found: Tangents) -> Update:
        """The step's update."""
        given = [None if i is None else found[i] for i in self.tangents]
        return free_update(self.order, self.layer, self.space, given)


@dataclass
class MovingGroups:
    """The groups of one weight, of which ``layer`` is any; those that stay gain nothing."""

    layer: Layer
    tangents: list[int | None]
    projector: GroupsProjector

    def update(self, found: Tangents) -> GroupsUpdate:
        """The step's update of all groups: D R{X}^T once, then the projections."""
        given = [None if i is None else found[i] for i in self.tangents]
        total = of_part(self.layer, given)
        if total is None:
            total = torch.zeros_like(
                self.layer.part(self.layer.uses[0].tape.parameters[self.layer.weight])
            )
        rows = self.layer.uses[0].operator.rows(total).flatten(2)
        return GroupsUpdate(self.projector.project(with_ones(rows, self.layer)))


def bound(each: Moving | MovingGroups, found: Tangents) -> Tensor:
    """A bound of ||D R{X}^T||."""
    sizes = [
        torch.linalg.vector_norm(use.D) * torch.linalg.vector_norm(found[i])
        for use, i in zip(each.layer.uses, each.tangents, strict=True)
        if use.D is not None and i is not None and found[i] is not None
    ]
    return torch.stack(sizes).sum() if sizes else torch.zeros(())


def arranged(
    movers: list[Layer], spaces: dict[int, Space], places: dict[int, list[int | None]]
) -> list[Moving | MovingGroups]:
    """The layers that move; groups of one weight together. Spaces and tangents by id of a layer."""
    found: list[Moving | MovingGroups] = []
    groups: dict[str, list[Layer]] = {}
    for layer in movers:
        if groups_of(layer.uses[0]) > 1 and layer.looked_up is None:
            groups.setdefault(layer.weight, []).append(layer)
        else:
            space = spaces[id(layer)]
            found.append(Moving(layer, places[id(layer)], space, cheapest(layer, space)))
    for same in groups.values():
        projector = together(groups_of(same[0].uses[0]), {x.group: spaces[id(x)] for x in same})
        found.append(MovingGroups(same[0], places[id(same[0])], projector))
    return found
