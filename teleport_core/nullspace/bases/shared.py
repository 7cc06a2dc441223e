"""Spaces of inputs of which each rank has some columns: the same on all ranks.

Up to as many columns as features are gathered. Of more the Gram matrices are summed, in float64;
where those cannot tell the rank each rank sends the triangle of its QR factorisation.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from teleport_core.nullspace.bases.gram import gram_bases
from teleport_core.nullspace.bases.spaces import Space, of_basis, of_grams, summed_gram
from teleport_core.projection import basis_of_triangle, triangle_of
from teleport_core.rank import numerical_cut

if TYPE_CHECKING:
    from teleport_core.distributed.ranks import Ranks

_WHAT = "the inputs of a layer"


def spaces_of(
    ranks: "Ranks", pieces: Iterator[Tensor], dtype: torch.dtype, limit: int
) -> tuple[list[Space], Tensor | None]:
    """The space of every group from this rank's pieces [groups, columns, features].

    Also the columns of all ranks [groups, columns, features], where they were gathered.
    """
    held = list(pieces)
    columns, features = sum(piece.shape[1] for piece in held), held[0].shape[2]
    counts = [int(count) for (count,) in ranks.words("the columns of a layer", columns)]
    if sum(counts) <= features:
        own = torch.cat(held, 1).transpose(0, 1)
        X = ranks.gather(_WHAT, [own], [counts])[0].transpose(0, 1)
        bases = gram_bases(list(X.mT), ones=False)
        return [of_basis(each.vectors.contiguous()) for each in bases], X
    gram = summed_gram(iter(held), lambda _: False)
    assert gram is not None
    (gram,) = ranks.sum("the Gram matrices of inputs", [gram])
    found = of_grams(gram, numerical_cut((features, sum(counts)), dtype), dtype)
    doubtful = [group for group, one in enumerate(found) if one is None]
    ranks.same("the groups whose rank their Gram matrices tell", doubtful, _THREADS)
    rows = [min(count, features) for count in counts]
    for group in doubtful:
        R = triangle_of((piece[group] for piece in held), limit)
        (stacked,) = ranks.gather(_WHAT, [R], [rows])
        found[group] = of_basis(basis_of_triangle(stacked, sum(counts), dtype).vectors)
    return [one for one in found if one is not None], None


def require_same_rank(ranks: "Ranks", spaces: list[Space]) -> None:
    """Refuse ranks that round otherwise where the numerical rank rests on it.

    Raises:
        RankError: see there.
    """
    ranks.same("the free dimensions of the layers", [space.free for space in spaces], _THREADS)


_THREADS = "give all ranks as many threads, or write ranks='replicated'"
