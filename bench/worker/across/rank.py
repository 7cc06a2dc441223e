"""One rank: its share of each batch, and the calls that it makes with all others.

The worker sends every rank of a group the same commands, and each answers with one line:
    {"do": "join", "rank", "ranks", "store", "backend", "threads", ...}  join the group
    {"do": "place", "n"}                  build the model and this rank's share of n samples
    {"do": "time", "n", "t", "variant", "way"}   one call of t steps between the clocks
    {"do": "count", ...}                  one more, whose operations are counted
"""

import gc
import traceback
import warnings
from dataclasses import dataclass, field, replace
from typing import Any, TextIO

import torch
import torch.distributed as dist
from torch import Tensor

from bench.costs.closed_forms import call_counts
from bench.errors import SpecError
from bench.measurements.ranks import ALONE
from bench.plan.points import Point
from bench.problems.build import build
from bench.problems.factory import Batch
from bench.process.protocol import Message, parse, send
from bench.spec.variants import parse_variant
from bench.timing.clock import WallClock
from bench.timing.rounds import options_at, quiet_collector
from bench.timing.start import Values, copy_of, restore
from bench.timing.whole_calls import timed_call
from bench.worker.failures import reason_of, status_of
from teleport_core import ModelError, OptionError, Problem, RankError, TeleportWarning, teleport
from teleport_core.distributed.exchange import answers
from teleport_core.torch_private import tree_leaves, tree_map


@dataclass(frozen=True)
class _Place:
    """The model with this rank's share of a batch, and where every call starts."""

    problem: Problem
    start: Values
    samples: int  # of all ranks


@dataclass
class Rank:
    """One process of a group that it has joined."""

    rank: int
    ranks: int
    facts: Message
    point: Point
    _places: dict[int, _Place] = field(default_factory=dict)

    @classmethod
    def joined(cls, command: Message) -> "Rank":
        """Join the group of a command."""
        torch.set_num_threads(command["threads"])
        point = Point(**command["point"])
        rank, ranks, on = command["rank"], command["ranks"], dict[str, Any]()
        if point.device.startswith("cuda"):
            point = replace(point, device=f"cuda:{rank}")
            torch.cuda.set_device(rank)
            on = {"device_id": torch.device(point.device)}
        store = f"file://{command['store']}"
        group: dict[str, Any] = {"init_method": store, "rank": rank, "world_size": ranks}
        dist.init_process_group(command["backend"], **group, **on)
        return cls(rank, ranks, command, point)

    def answer(self, command: Message) -> Message:
        """Carry a command out."""
        place = self._place(command["n"])
        if command["do"] == "place":
            return {"samples": place.samples}
        options = self._options(command)
        restore(place.problem.model, place.start)
        with warnings.catch_warnings():
            warnings.simplefilter("error", TeleportWarning)
            if command["do"] == "count":
                return self._counted(place, command, options)
            return self._timed(place, command, options)

    def _place(self, n: int) -> _Place:
        if n not in self._places:
            point = replace(self.point, n=n, b=1)
            facts = {name: self.facts[name] for name in ("seed", "bias", "data_dir")}
            built = build(point, **facts)
            batch = built.batches[0]
            samples = _samples(batch)
            if samples < self.ranks:
                raise SpecError(
                    f"expected a sample for every rank at least; got {samples} samples for "
                    f"{self.ranks} ranks: write a larger n, or fewer ranks"
                )
            shard = share(batch, samples, self.rank, self.ranks)
            problem = Problem(built.model, built.loss_fn, *shard)
            self._places[n] = _Place(problem, copy_of(built.model), samples)
        return self._places[n]

    def _options(self, command: Message) -> dict[str, Any]:
        options = options_at(parse_variant(command["variant"]), command["t"])
        shared = {} if command["way"] == ALONE else {"ranks": command["way"]}
        return {**options, **shared, "process_group": dist.group.WORLD}

    def _timed(self, place: _Place, command: Message, options: dict[str, Any]) -> Message:
        method, clock = parse_variant(command["variant"]).method, WallClock(self.point.device)
        with quiet_collector():
            with answers("the beginning of a call"):
                dist.barrier()
            seconds, result = timed_call(place.problem, method, options, clock)
        return {
            "seconds": seconds,
            "prepare_s": result.seconds.prepare,
            "steps_s": result.seconds.steps,
            "floats": result.across.floats,
            "bytes": result.across.bytes,
        }

    def _counted(self, place: _Place, command: Message, options: dict[str, Any]) -> Message:
        problem, method = place.problem, parse_variant(command["variant"]).method
        batch = (problem.inputs, problem.targets)

        def call() -> None:
            teleport(problem.model, problem.loss_fn, batch, method=method, **options)

        found = call_counts(call, [problem])["operations"]
        gc.collect()
        gc.freeze()  # all that is imported by now: to collect before each call is quick then
        return {"operations": found}


def share(batch: Batch, samples: int, rank: int, ranks: int) -> Batch:
    """The samples of one rank, as evenly as they divide; those of all ranks make the batch."""
    first, last = (at * samples // ranks for at in (rank, rank + 1))

    def own(value: Any) -> Any:
        return value[first:last] if isinstance(value, Tensor) else value

    inputs, targets = batch
    return tree_map(own, inputs), tree_map(own, targets)


def serve(commands: TextIO, events: TextIO) -> None:
    """Join the group of the first command, and answer all others."""
    rank: Rank | None = None
    for line in commands:
        command = parse(line)
        try:
            if rank is None:
                rank = Rank.joined(command)
                answer: Message = {}
            else:
                answer = rank.answer(command)
        except Exception as error:
            traceback.print_exc()
            answer = _failure(error)
        send(events, answer)


def _failure(error: Exception) -> Message:
    """What is wrong; whether that is a refusal, and whether another rank says more of it."""
    return {
        "status": status_of(error),
        "reason": reason_of(error),
        "refused": isinstance(error, (ModelError, OptionError, SpecError)),
        "of_another": isinstance(error, RankError),
    }


def _samples(batch: Batch) -> int:
    leaves = [leaf for leaf in tree_leaves(batch[0]) if isinstance(leaf, Tensor)]
    return len(leaves[0]) if leaves else 0
