"""The directory of a run on a cluster: made when it is submitted, entered again to go on."""

from dataclasses import replace

from bench.errors import JournalError, RunError, SpecError
from bench.slurm.cluster import Cluster
from bench.slurm.ledger import Ledger, Place
from bench.slurm.parts import part_count
from bench.spec.spec import Spec, device_kind
from bench.storage.mismatch import spec_differences
from bench.storage.run_directory import check_place, check_spec, open_run, read_spec


def on_cluster(spec: Spec, cluster: Cluster) -> Spec:
    """The spec as tasks carry it out: the device "auto" is what they are given.

    Raises:
        SpecError: a device that no task has, or a budget.
    """
    if spec.budget is not None:
        raise SpecError(
            "expected no budget of seconds on a cluster; a task ends by the time in slurm.toml, "
            "and --resume goes on: leave --budget out"
        )
    if spec.device == "auto":
        return replace(spec, device="cuda" if cluster.gpus_per_task else "cpu")
    if device_kind(spec.device) == "cuda" and not cluster.gpus_per_task:
        raise SpecError(
            f"expected GPUs for tasks with the device {spec.device}; slurm.toml gives none: add "
            "gpus_per_task = 1, or write --device cpu"
        )
    return spec


def check(place: Place, spec: Spec, *, resume: bool) -> None:
    """Refuse a directory whose run is not this one, taken up again; nothing is written.

    Raises:
        RunError: it holds a run and ``resume`` is off, none that was submitted and it is on, or it
            cannot be written.
        JournalError: with ``resume``, the run there is of another spec.
    """
    check_place(place.run.path)
    if resume:
        place.read()
        before = read_spec(place.run)
        if before.digest() != spec.digest():
            raise JournalError(
                f"expected the spec that {place.run.path} was submitted with; "
                f"{'; '.join(spec_differences(before, spec))}: choose another --out"
            )
        return
    if place.exists and place.read().submissions:
        raise RunError(
            f"expected an empty --out; a run was submitted from {place.run.path}: add --resume to "
            "go on with it, or choose another directory"
        )
    check_spec(place.run, spec, resume=False)


def prepare(place: Place, spec: Spec, cluster: Cluster, command: str, *, resume: bool) -> None:
    """Make the directory of a run, or enter one again; the caller holds its lock.

    Raises:
        BenchError: what ``check`` refuses, or it cannot be written.
    """
    check(place, spec, resume=resume)
    if resume:
        return
    open_run(place.run.path, spec, command, resume=False)
    try:
        place.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"expected to write into {place.run.path}; {error.strerror}: choose another --out"
        ) from error
    place.write(Ledger(count=part_count(spec, cluster.tasks)))
