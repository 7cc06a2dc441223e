"""A real cluster for the tests of this folder, and tasks on it that measure nothing."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from one_node_cluster import OneNode, UnavailableError, one_node_cluster

ROOT = Path(__file__).parents[4]
# Set where a cluster has to be; elsewhere its tests may be skipped.
REQUIRED = "TELEPORT_TESTS_NEED_SLURM"

# Stands where Python would: the task as it is, with a worker that measures nothing.
_PYTHON = f"""#!{sys.executable}
import sys
from functools import partial

sys.path.insert(0, {str(ROOT)!r})
from bench.cli.cluster import task
from bench.process.local import WorkerProcess
from bench.runner.runner import Runner

stand_in = {str(ROOT / "tests" / "soak" / "stand_in")!r}
task.Runner = partial(Runner, launch=partial(WorkerProcess, stand_in))
sys.argv = sys.argv[3:]
task.main()
"""


@pytest.fixture(scope="session")
def one_node() -> Iterator[OneNode]:
    try:
        with one_node_cluster() as cluster:
            yield cluster
    except UnavailableError as reason:
        if os.environ.get(REQUIRED):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture
def cluster(one_node: OneNode, monkeypatch: pytest.MonkeyPatch) -> OneNode:
    """A cluster that commands of this test find."""
    for name, value in one_node.variables.items():
        monkeypatch.setenv(name, value)
    return one_node


@pytest.fixture
def quick_python(tmp_path: Path) -> Path:
    """What tasks run in place of Python."""
    path = tmp_path / "python"
    path.write_text(_PYTHON)
    path.chmod(0o755)
    return path
