"""LSTM, GRU and plain recurrent layers, step by step: each weight is used at every time step."""

# ruff: noqa: A002  (an adapter has the argument names of its function)

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from teleport_core.errors import ModelError

States = tuple[Tensor, ...]
Weights = Sequence[Tensor | None]
Cell = Callable[[Tensor, States, Weights], States]
"""(W_ih x + b_ih of one step, states, [W_hh, b_hh, W_hr]) -> the next states, output first."""


def _lstm_cell(x: Tensor, states: States, weights: Weights) -> States:
    h, c = states
    i, f, g, o = (x + _hidden(h, weights)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    projection = weights[2]
    return (h if projection is None else F.linear(h, projection)), c


def _gru_cell(x: Tensor, states: States, weights: Weights) -> States:
    (h,) = states
    x_r, x_z, x_n = x.chunk(3, -1)
    h_r, h_z, h_n = _hidden(h, weights).chunk(3, -1)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
    return ((1 - z) * n + z * h,)


def _plain_cell(
    activation: Callable[[Tensor], Tensor], x: Tensor, states: States, weights: Weights
) -> States:
    return (activation(x + _hidden(states[0], weights)),)


def _hidden(h: Tensor, weights: Weights) -> Tensor:
    assert weights[0] is not None
    return F.linear(h, weights[0], weights[1])


_tanh_cell: Cell = partial(_plain_cell, torch.tanh)
_relu_cell: Cell = partial(_plain_cell, torch.relu)


def _layers(
    cell: Cell,
    x: Tensor,
    starts: Sequence[States],
    weights: Sequence[Sequence[Tensor | None]],
    directions: int,
) -> tuple[Tensor, list[States]]:
    """All layers over x [time, n, features]; the outputs and every layer's last states."""
    ends = []
    for first in range(0, len(weights), directions):
        outputs = []
        for k in range(directions):
            given, states = weights[first + k], starts[first + k]
            assert given[0] is not None
            steps = F.linear(x, given[0], given[1]).unbind()
            seen = []
            for step in reversed(steps) if k else steps:
                states = cell(step, states, given[2:])
                seen.append(states[0])
            outputs.append(torch.stack(seen[::-1] if k else seen))
            ends.append(states)
        x = torch.cat(outputs, -1)
    return x, ends


def _run(
    cell: Cell,
    x: Tensor,
    starts: Sequence[Tensor],
    flat: Sequence[Tensor],
    options: Sequence[bool | int | float],
) -> tuple[Tensor, list[Tensor]]:
    """Outputs and last states, from the arguments that torch.lstm and its like take."""
    bias, layers, _, _, bidirectional, batch_first = options
    directions = 2 if bidirectional else 1
    count = int(layers) * directions
    size = len(flat) // count
    parts = (list(flat[i * size : (i + 1) * size]) for i in range(count))
    weights = [_named(part, bool(bias)) for part in parts]
    x = x.transpose(0, 1) if batch_first else x
    states = [tuple(start[i] for start in starts) for i in range(count)]
    x, ends = _layers(cell, x, states, weights, directions)
    x = x.transpose(0, 1) if batch_first else x
    return x, [torch.stack(each) for each in zip(*ends, strict=True)]


def _named(part: list[Tensor], bias: bool) -> list[Tensor | None]:
    """[W_ih, b_ih, W_hh, b_hh, W_hr], None where there is none."""
    w_ih, w_hh, *rest = part
    b_ih, b_hh = (rest.pop(0), rest.pop(0)) if bias else (None, None)
    return [w_ih, b_ih, w_hh, b_hh, rest[0] if rest else None]


def _refuse_packed(hx: object) -> None:
    if isinstance(hx, Tensor) and hx.dtype == torch.int64:
        raise ModelError(
            "expected a recurrent layer on padded sequences; got a PackedSequence: pad the batch "
            "and mask the loss"
        )


def lstm(input: Tensor, hx: Sequence[Tensor], flat: Sequence[Tensor], *options: bool) -> States:
    """``torch.lstm``, as nn.LSTM calls it."""
    _refuse_packed(hx)
    x, (h, c) = _run(_lstm_cell, input, hx, flat, options)
    return x, h, c


def _single(
    cell: Cell, input: Tensor, hx: Tensor, flat: Sequence[Tensor], *options: bool
) -> States:
    """``torch.gru``, ``torch.rnn_tanh`` and ``torch.rnn_relu``."""
    _refuse_packed(hx)
    x, (h,) = _run(cell, input, [hx], flat, options)
    return x, h


gru = partial(_single, _gru_cell)
rnn_tanh = partial(_single, _tanh_cell)
rnn_relu = partial(_single, _relu_cell)


def _one_step(
    cell: Cell,
    input: Tensor,
    hx: Tensor | Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> States | Tensor:
    """``torch.lstm_cell`` and its like, as nn.LSTMCell calls them."""
    single = isinstance(hx, Tensor)
    states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    ends = cell(F.linear(input, w_ih, b_ih), states, [w_hh, b_hh, None])
    return ends[0] if single else ends


lstm_cell = partial(_one_step, _lstm_cell)
gru_cell = partial(_one_step, _gru_cell)
rnn_tanh_cell = partial(_one_step, _tanh_cell)
rnn_relu_cell = partial(_one_step, _relu_cell)
