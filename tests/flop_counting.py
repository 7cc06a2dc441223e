"""Operations of real calls, as torch counts them."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from teleport_core import Problem, Status, make

aten = torch.ops.aten


def _addmm_(_: Any, a: Any, b: Any, **__: Any) -> int:
    return 2 * a[0] * a[1] * b[1]


def _mv(a: Any, b: Any, **_: Any) -> int:
    return 2 * a[0] * b[0]


def _baddbmm_(_: Any, a: Any, b: Any, **__: Any) -> int:
    return 2 * a[0] * a[1] * a[2] * b[2]


def _pointwise(x: Any, second: Any, third: Any, *_: Any, **__: Any) -> int:
    """X W^T, or with a third matrix C + X W^T, called (X, C, W)."""
    w = second if third is None else third
    return 2 * x[0] * x[1] * w[0]


# The counter knows mm, bmm and addmm, with out= too, but not mv, what works in place, and oneDNN.
MISSING = {
    aten.addmm_: _addmm_,
    aten.baddbmm_: _baddbmm_,
    aten.mv: _mv,
    torch.ops.mkldnn._linear_pointwise: _pointwise,
}


class _Nowhere:
    """In the place of what asks, by hooks on every activation, which module an operation is in."""

    parents = ("Global",)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def flops(call: Callable[[], Any]) -> int:
    counter = FlopCounterMode(display=False, custom_mapping=MISSING)
    counter.mod_tracker = _Nowhere()  # type: ignore[assignment]
    with counter:
        call()
    return counter.get_total_flops()


class Measured(NamedTuple):
    """Operations of what is done once per batch, and of each of two steps."""

    once: int
    steps: list[int]


def measured(build: Callable[[], Problem], method: str, **options: Any) -> Measured:
    """Calls of one, two and three steps; what only the first step does is counted as ``once``."""
    totals = []
    for t in (1, 2, 3):
        problem = build()
        teleporter = make(method, steps=t, lr=1e-7, **options)
        state = []
        prepare = flops(lambda made=teleporter, p=problem, s=state: s.append(made.prepare(p)))
        done = []
        advance = flops(
            lambda made=teleporter, p=problem, s=state, d=done: d.append(made.advance(p, s[0]))
        )
        assert done[0].status is Status.DONE, done[0].status
        totals.append(prepare + advance)
    steps = [later - earlier for earlier, later in pairwise(totals)]
    return Measured(totals[0] - steps[0], steps)
