"""How a schedule is carried out: operation by operation, or as one CUDA graph.

A graph takes some 17 ms to capture, fifteen times as long as to replay it. It is kept as long as
the model lives and used again, by any teleporter, for every batch of the same shape on the same
weights: what the batch determines is copied into the tensors that the graph reads.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from teleport_core.nullspace.half_hvp.cap_rule import DeviceDecision, HostDecision, Outcome
from teleport_core.nullspace.half_hvp.projection import TogetherProjected
from teleport_core.nullspace.half_hvp.schedule import Schedule
from teleport_core.phases import GRAPH
from teleport_core.torch_private import copy_all

Replay = Callable[[], None]
# (a rehearsal that moves nothing, what is recorded) -> its replay.
Record = Callable[[Callable[[], None], Callable[[], None]], Replay]

# Graphs kept for shapes that come back, such as a shorter last batch.
_KEPT = 4


class Eager:
    """One operation after the other; the host decides."""

    def __init__(self, schedule: Schedule, cap: float) -> None:
        self.schedule = schedule
        self._decision = HostDecision(cap)

    def run(self, steps: int) -> Outcome:
        """Take at most ``steps`` steps from the present weights."""
        self._decision.begin(steps)
        self.schedule.run(self._decision)
        return self._decision.outcome()


class Recorded:
    """All steps in one recording; the device decides and the host waits once, at the end.

    Without a CAP the recording always writes all steps.
    """

    def __init__(self, schedule: Schedule, cap: float, record: Record) -> None:
        self.schedule = schedule
        self._eager = Eager(schedule, cap)
        steps, device = schedule.steps, schedule.top_norm_sq.device
        rehearsed = DeviceDecision(cap, steps, device)
        rehearsed.begin(0)  # with no step allowed it adds zeros to the weights
        self._decision = DeviceDecision(cap, steps, device, masks=cap < math.inf)
        self._replay = record(lambda: schedule.run(rehearsed), lambda: schedule.run(self._decision))

    def run(self, steps: int) -> Outcome:
        """Take at most ``steps`` steps from the present weights."""
        if steps < self.schedule.steps and not self._decision.masks:
            return self._eager.run(steps)
        self._decision.begin(steps)
        with GRAPH:
            self._replay()
        return self._decision.outcome()

    def load(self, schedule: Schedule) -> None:
        """Take over what another batch of the same shape determined."""
        copy_all(_values(self.schedule), _values(schedule))


Loop = Eager | Recorded


def record_cuda_graph(rehearse: Callable[[], None], body: Callable[[], None]) -> Replay:
    """Rehearse on a stream of its own, as libraries allocate on first use; then capture."""
    rehearsal = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    rehearsal.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(rehearsal):
        rehearse()
        rehearse()
    torch.cuda.current_stream().wait_stream(rehearsal)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        body()
    replay: Replay = graph.replay
    return replay


@dataclass
class _Kept:
    key: tuple[Any, ...]
    loop: Recorded
    user: Callable[[], object | None]


@dataclass
class Recordings:
    """The recordings of one model; one is given out again once its last user is gone."""

    record: Record = record_cuda_graph
    _kept: list[_Kept] = field(default_factory=list)

    def records(self, device: torch.device) -> bool:
        """Whether steps on ``device`` are recorded."""
        return device.type == "cuda" or self.record is not record_cuda_graph

    def loop_for(self, schedule: Schedule, cap: float, user: object) -> Loop:
        """A loop for ``schedule`` that stays its own while ``user`` lives."""
        if not self.records(schedule.top_norm_sq.device):
            return Eager(schedule, cap)
        key = (cap, *_key(schedule))
        for kept in self._kept:
            if kept.key == key and kept.user() is None:
                kept.loop.load(schedule)
                kept.user = ref(user)
                return kept.loop
        loop = Recorded(schedule, cap, self.record)
        self._kept = [*self._kept[1 - _KEPT :], _Kept(key, loop, ref(user))]
        return loop


_OF_MODELS: WeakKeyDictionary[nn.Module, Recordings] = WeakKeyDictionary()


def recordings_of(model: nn.Module) -> Recordings:
    """What was recorded of a model so far; gone with the model."""
    return _OF_MODELS.setdefault(model, Recordings())


def _values(schedule: Schedule) -> list[Tensor]:
    """Everything that a batch determines and the steps read."""
    found = [schedule.top_norm_sq, schedule.layers[-1].D]
    for layer in schedule.layers:
        found.append(layer.slope)
        found += [layer.inputs if layer.gram is None else layer.gram]
    for mover in schedule.movers:
        if isinstance(mover, TogetherProjected):
            found += [mover.bases] + ([] if mover.last_rows is None else [mover.last_rows])
        elif mover.layer.basis is not None:
            found.append(mover.layer.basis)
    return found


def _key(schedule: Schedule) -> tuple[Any, ...]:
    """Weights by address, and the layout of everything that will be copied."""
    layers = [
        (layer.weight.data_ptr(), layer.weight.stride(), layer.counts, layer.data_fed)
        for layer in schedule.layers
    ]
    biases = [layer.bias.data_ptr() for layer in schedule.layers if layer.bias is not None]
    moving = [tuple(layer.name for layer in mover.layers) for mover in schedule.movers]
    values = [(tuple(v.shape), v.stride(), v.dtype) for v in _values(schedule)]
    return (schedule.lr, schedule.steps, *layers, *biases, *moving, *values)
