"""Operations and bytes of one whole sample: by closed forms, or counted as it is carried out."""

from collections.abc import Callable
from typing import NamedTuple

from bench.costs.counted import Counter
from bench.spec.variants import SGD, parse_variant
from teleport_core import Problem, available, make
from teleport_core.nullspace.half_hvp.chain import is_chain
from teleport_core.operations import NOTHING, Operations, Phases, one_gradient
from teleport_core.stack import Refusal, read_stack

Counts = dict[str, int | None]
"""``operations``, products and factorisations added up, and the products' ``bytes``."""

UNKNOWN: Counts = {"operations": None, "bytes": None}


class Shape(NamedTuple):
    """What the closed forms need of a problem; n counts columns, widths begin with the inputs."""

    widths: tuple[int, ...]
    n: int
    bias: bool
    itemsize: int


def sample_counts(variant: str, problems: list[Problem], t: int) -> Counts:
    """Closed forms for preparing and taking ``t`` steps on every batch.

    None where the model is no stack of linear layers that all move, or the method does not say.
    """
    whole = NOTHING
    for problem in problems:
        shape = stack_shape(problem)
        phases = None if shape is None else phases_of(variant, shape)
        if phases is None:
            return UNKNOWN
        whole += phases["prepare"] + phases["step"] * t
    return _counts(whole)


def phases_of(variant: str, shape: Shape) -> Phases | None:
    """Operations of preparing a batch and of a step; None for a method that does not say."""
    widths, n, bias, itemsize = shape
    if variant == str(SGD):
        return {"prepare": NOTHING, "step": one_gradient(widths, n, itemsize)}
    chosen = parse_variant(variant)
    if chosen.method not in available():
        return None
    method = make(chosen.method, **chosen.options)
    return method.operations(widths, n, bias=bias, itemsize=itemsize)


def call_counts(call: Callable[[], object], problems: list[Problem]) -> Counts:
    """What a call comes to as torch carries it out.

    Both are None where something in it cannot be counted: an operation that multiplies matrices
    and does not tell, or the replay of a CUDA graph, by which a chain's steps may be taken.
    """
    for problem in problems:
        on_cuda = any(value.is_cuda for value in problem.parameters().values())
        if on_cuda and is_chain(problem):
            return UNKNOWN
    with Counter() as counter:
        call()
    return UNKNOWN if counter.total is None else _counts(counter.total)


def _counts(whole: Operations) -> Counts:
    return {"operations": whole.products + whole.factorisations, "bytes": whole.bytes}


def stack_shape(problem: Problem) -> Shape | None:
    """The shape of a stack whose parameters all count and whose layers agree on having a bias."""
    stack = read_stack(problem)
    if isinstance(stack, Refusal) or len(problem.counted()) != len(problem.parameters()):
        return None
    biased = {layer.bias is not None for layer in stack.layers}
    if len(biased) > 1:
        return None
    weights = [problem.parameters()[layer.weight] for layer in stack.layers]
    widths = (weights[0].shape[1], *(weight.shape[0] for weight in weights))
    columns = problem.tensors()[0].numel() // widths[0]
    return Shape(widths, columns, biased.pop(), weights[0].element_size())
