"""Runs that are submitted to a cluster, and a SLURM that does as a test says."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.plan.shards import Shard, share
from bench.slurm.ledger import Place
from bench.slurm.scheduler import Scheduler, SchedulerError, Seen, Tasks
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.spec.variants import parse_variant
from bench.storage.journal import Journal
from bench.storage.run_directory import open_run, write_environment

Called = Callable[..., tuple[int, str, str]]

ENVIRONMENT = {"torch": "2.13.0", "cpu_model": "made up", "torch_threads": 1}


def widths(*levels: int) -> Spec:
    """A block for each width, with ``sgd`` and one cell more, and nothing beside the clock."""
    spec = load_preset("smoke").with_overrides(
        device="cpu",
        axes=(parse_axis(f"d={','.join(map(str, levels))}"), parse_axis("t=1")),
        variants=(parse_variant("identity"),),
    )
    return replace(spec, preservation=replace(spec.preservation, enabled=False))


def measure(
    place: Place, spec: Spec, part: Shard, status: str = "ok", **environment: object
) -> None:
    """What a task leaves, made up; cells of one status, or none at all where that is empty."""
    path = place.part(part.index).path
    run = open_run(path, spec, "teleport-bench run", resume=True)
    write_environment(run, {**ENVIRONMENT, **environment})
    with Journal(run.journal) as journal:
        for unit in make_units(share(make_plan(spec), part), [], part) if status else []:
            for cell_id in unit.cell_ids:
                facts = {"method": "m", "variant": "v", **unit.base}
                journal.append({**facts, "cell_id": cell_id, "status": status})


class MadeUpScheduler(Scheduler):
    """Keeps what is submitted; a test says in ``states`` where each task stands."""

    def __init__(self) -> None:
        self.scripts: list[str] = []
        self.states: dict[tuple[str, int], str] = {}
        self.cancelled: list[str] = []
        self.fault = ""

    def submit(self, script: Path, output: Path) -> str:
        if self.fault:
            raise SchedulerError(self.fault)
        text = script.read_text()
        self.scripts.append(text)
        parts = parts_of(text)
        self.states |= {(script.stem, index): "PENDING" for index in range(len(parts))}
        return str(len(self.scripts))

    def tasks(self, names: Sequence[str]) -> Tasks:
        if self.fault:
            raise SchedulerError(self.fault)
        return {
            place: Seen(state, f"1_{place[1]}", "None")
            for place, state in self.states.items()
            if place[0] in names
        }

    def cancel(self, names: Iterable[str]) -> None:
        self.cancelled += names

    def all_are(self, state: str) -> None:
        """Bring every task that is not over into a state."""
        for place, before in self.states.items():
            if before in {"PENDING", "RUNNING"}:
                self.states[place] = state


def parts_of(script: str) -> list[int]:
    """Which parts the tasks of a script measure."""
    line = next(line for line in script.splitlines() if line.startswith("parts=("))
    return [int(word) for word in line.removeprefix("parts=(").removesuffix(")").split()]
