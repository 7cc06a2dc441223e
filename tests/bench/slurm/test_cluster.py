"""slurm.toml: what it may say, and what a mistake in it is called."""

from pathlib import Path

import pytest
from submissions import widths

from bench.errors import SpecError
from bench.slurm.cluster import Cluster, read_cluster
from bench.slurm.directory import on_cluster

WHOLE = """
partition = "gpu,long"
time = "1-12:30:00"
cpus_per_task = 8
gpus_per_task = 1
parallel = 16
tasks = 200
python = "/env/bin/python"
setup = ["module load cuda", "source /env/bin/activate"]
options = ["--account=me", "--constraint=h200"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "slurm.toml"
    path.write_text(text)
    return path


def test_every_key_is_read(tmp_path: Path) -> None:
    cluster = read_cluster(written(tmp_path, WHOLE))

    assert cluster.partition == "gpu,long"
    assert (cluster.cpus_per_task, cluster.gpus_per_task, cluster.parallel) == (8, 1, 16)
    assert cluster.setup == ("module load cuda", "source /env/bin/activate")
    assert read_cluster(written(tmp_path, "")) == Cluster()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('partitoin = "gpu"', r"expected a key of .*slurm.toml to be one of .*did you mean 'parti"),
        ('partition = "a b"', "expected partition to name one.*got 'a b'"),
        ("partition = 3", "expected partition to name one.*got 3"),
        (
            "time = 02:00:00",
            'expected time as sbatch takes it.*write.*time = "02:30:00"',
        ),
        ('time = "two hours"', "expected time as sbatch takes it.*got 'two hours'"),
        ("cpus_per_task = 0", "expected cpus_per_task to be a whole number from 1"),
        ('gpus_per_task = "all"', "expected gpus_per_task to be a whole number"),
        ("parallel = 0", "expected parallel to be a whole number"),
        ("tasks = 0", "expected tasks to be a whole number"),
        ('setup = "module load x"', "expected setup to be a list"),
        ('setup = ["a\\nb"]', "expected one line each in setup"),
        ("python = 3", "expected python to be a text"),
        ('options = ["account=me"]', "options of sbatch that begin with a dash; got 'account=me'"),
        ('options = ["--array=0-3"]', "expected options that do not say which.*got --array"),
        ('options = ["-o x"]', "expected options that do not say which.*got -o"),
        ("x", "expected .*slurm.toml to be TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_cluster(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="expected --on to name a file that describes the cluster"):
        read_cluster(tmp_path / "none.toml")


def test_the_device_is_what_tasks_are_given() -> None:
    auto = widths(8).with_overrides(device="auto")

    assert on_cluster(auto, Cluster()).device == "cpu"
    assert on_cluster(auto, Cluster(gpus_per_task=2)).device == "cuda"
    assert on_cluster(widths(8), Cluster(gpus_per_task=1)).device == "cpu"
    with pytest.raises(SpecError, match=r"slurm.toml gives none: add gpus_per_task = 1"):
        on_cluster(auto.with_overrides(device="cuda:0"), Cluster())
    with pytest.raises(SpecError, match="expected no budget"):
        on_cluster(auto.with_overrides(budget=5.0), Cluster())
