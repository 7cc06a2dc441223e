"""The script of an array: what sbatch reads of it, and what a shell makes of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.slurm.cluster import Cluster
from bench.slurm.script import Array, script

# Prints its words, a line each.
_ECHO = '#!/bin/bash\necho "$OMP_NUM_THREADS $PYTHONPATH"\nprintf "%s\\n" "$@"\n'


def array(directory: Path) -> Array:
    return Array("teleport-bench-1a", (7, 3, 12), 12, directory, 1800.0)


def said(text: str, index: int, folder: Path) -> list[str]:
    (folder / "job.sh").write_text(text)
    variables = {**os.environ, "SLURM_ARRAY_TASK_ID": str(index), "PYTHONPATH": "/before"}
    done = subprocess.run(
        ["bash", str(folder / "job.sh")], env=variables, capture_output=True, text=True, check=False
    )
    return [*done.stdout.splitlines(), *([] if not done.returncode else [str(done.returncode)])]


@pytest.fixture
def echo(tmp_path: Path) -> str:
    path = tmp_path / "a python"
    path.write_text(_ECHO)
    path.chmod(0o755)
    return str(path)


def test_each_task_measures_its_own_part(echo: str, tmp_path: Path) -> None:
    place = tmp_path / "it's 100 % of $HOME"
    root = tmp_path / "source tree"
    root.mkdir()
    (root / "pyproject.toml").touch()
    text = script(Cluster(python=echo, cpus_per_task=3), array(place), root)

    for index, part in enumerate((7, 3, 12)):
        first, *words = said(text, index, tmp_path)
        assert first == f"3 {root}:/before"
        assert words == ["-P", "-m", "bench.cli.cluster.task", str(place), f"{part}/12", "1800"]


def test_setup_comes_before_and_ends_a_task_when_it_fails(echo: str, tmp_path: Path) -> None:
    good = Cluster(python=echo, setup=("export OMP_NUM_THREADS=9",))
    bad = Cluster(python=echo, setup=("false",))

    assert said(script(good, array(tmp_path), tmp_path), 0, tmp_path)[0] == "9 /before"
    assert said(script(bad, array(tmp_path), tmp_path), 0, tmp_path) == ["1"]


def test_what_sbatch_reads_at_the_top() -> None:
    cluster = Cluster(
        partition="gpu", time="30", cpus_per_task=4, gpus_per_task=2, options=("--account=me",)
    )
    text = script(cluster, array(Path("/run")), Path("/none"), limit=2)

    assert [line for line in text.splitlines() if line.startswith("#SBATCH")] == [
        "#SBATCH --job-name=teleport-bench-1a",
        "#SBATCH --array=0-2%2",
        "#SBATCH --open-mode=append",
        "#SBATCH --no-requeue",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --gres=gpu:2",
        "#SBATCH --partition=gpu",
        "#SBATCH --time=30",
        "#SBATCH --account=me",
    ]
    plain = script(Cluster(), array(Path("/run")), Path("/none"))
    assert "gres" not in plain
    assert f"exec {sys.executable} -P -m" in plain
    assert "PYTHONPATH" not in plain  # an installed package is found by its own Python
