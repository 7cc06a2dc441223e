"""Operations and bytes of one whole sample, for cells whose model is a stack of linear layers."""

from typing import TYPE_CHECKING, NamedTuple

from bench.variants import SGD, parse_variant

if TYPE_CHECKING:
    from teleport_core import Problem


class Shape(NamedTuple):
    """What the closed forms need of a problem; n counts columns, widths begin with the inputs."""

    widths: tuple[int, ...]
    n: int
    bias: bool
    itemsize: int


def sample_counts(variant: str, problems: list["Problem"], t: int) -> dict[str, int | None]:
    """``operations`` and ``bytes`` of preparing and taking ``t`` steps on every batch.

    ``operations`` adds up products and factorisations. Both are None where the model is not a
    stack of linear layers that all move, or where the method does not say what it does.
    """
    from teleport_core.operations import NOTHING, count

    chosen = SGD if variant == str(SGD) else parse_variant(variant)
    whole = NOTHING
    for problem in problems:
        shape = stack_shape(problem)
        phases = shape and count(
            chosen.method,
            chosen.options,
            shape.widths,
            shape.n,
            bias=shape.bias,
            itemsize=shape.itemsize,
        )
        if not phases:
            return {"operations": None, "bytes": None}
        whole += phases["prepare"] + phases["step"] * t
    return {"operations": whole.products + whole.factorisations, "bytes": whole.bytes}


def stack_shape(problem: "Problem") -> Shape | None:
    """The shape of a stack whose parameters all count and whose layers agree on having a bias."""
    from teleport_core.stack import read_stack

    stack = read_stack(problem)
    if isinstance(stack, str) or len(problem.counted()) != len(problem.parameters()):
        return None
    biased = {layer.bias is not None for layer in stack.layers}
    if len(biased) > 1:
        return None
    weights = [problem.parameters()[layer.weight] for layer in stack.layers]
    widths = (weights[0].shape[1], *(weight.shape[0] for weight in weights))
    columns = problem.tensors()[0].numel() // widths[0]
    return Shape(widths, columns, biased.pop(), weights[0].element_size())
