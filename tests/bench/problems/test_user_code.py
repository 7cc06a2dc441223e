"""Files of the user's, whatever they are called and whatever they do when they are executed."""

import itertools
import pickle
import statistics
import subprocess
import sys
from collections import UserDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from bench.errors import SpecError
from bench.machine.model_code import model_code
from bench.plan.points import Point
from bench.problems import factory
from bench.problems.build import build
from bench.problems.factory import call_factory, load_factory
from bench.problems.user_code import called, imported

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file and answers with its path; what is imported is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def to(name: str, text: str = "def make(): return 3\n") -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return to


@pytest.mark.parametrize(
    "name", ["statistics", "bench", "random", "types", "numpy", "torch", "teleport_core"]
)
def test_a_file_hides_no_module_of_its_name(name: str, write: Write) -> None:
    before = sys.modules.get(name)

    assert load_factory(f"{write(f'{name}.py')}:make")() == 3

    assert sys.modules.get(name) is before


def test_a_file_is_executed_once(write: Write) -> None:
    path = write("once.py", "made = []\ndef make(): made.append(1); return len(made)\n")
    assert [load_factory(f"{path}:make")(), load_factory(f"{path}:make")()] == [1, 2]


PACKAGE_OF_THE_USERS = {
    "bench/__init__.py": "value = 7\n",
    "bench/models.py": "from bench import value\ndef make():\n    import bench.late\n    "
    "return value + bench.late.value\n",
    "bench/late.py": "value = 1\n",
    "own.py": "from bench.models import make\n",
}


@pytest.mark.parametrize("address", ["own.py:make", "bench.models:make"])
def test_a_package_of_the_users_that_is_called_as_ours(
    address: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: m for name, m in sys.modules.items() if name.partition(".")[0] == "bench"}
    for name, text in PACKAGE_OF_THE_USERS.items():
        write(name, text)
    monkeypatch.chdir(tmp_path)

    assert called(load_factory(address), address, {}) == 8

    after = {name: m for name, m in sys.modules.items() if name.partition(".")[0] == "bench"}
    assert after == before
    assert {"bench/models.py", "bench/__init__.py"} <= set(model_code(address))


def test_a_file_of_the_users_that_is_called_as_a_library(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("statistics.py", "def make(): return 5\n")
    monkeypatch.chdir(tmp_path)
    assert load_factory("statistics:make")() == 5
    assert sys.modules["statistics"] is statistics


def test_two_files_of_one_name_are_two_modules(write: Write) -> None:
    paths = [write(f"{folder}/same.py", f"def make(): return {folder!r}\n") for folder in "ab"]
    assert [load_factory(f"{path}:make")() for path in paths] == ["a", "b"]


def test_objects_of_a_file_can_be_pickled(write: Write) -> None:
    text = (
        "from dataclasses import dataclass\n\n"
        "@dataclass\nclass Made:\n    a: 'int' = 3\n\ndef make(): return Made()\n"
    )
    made = load_factory(f"{write('pickled.py', text)}:make")()
    assert pickle.loads(pickle.dumps(made)) == made


def test_files_beside_it_are_found_behind_what_is_installed(write: Write) -> None:
    write("beside_it.py", "value = 7\n")
    for name in ("statistics", "tabnanny"):  # imported already, and not yet
        write(f"{name}.py", "raise RuntimeError('in the way')\n")
    sys.modules.pop("tabnanny", None)
    text = (
        "import statistics, tabnanny\nfrom beside_it import value\n"
        "def make(): return statistics, value\n"
    )
    assert load_factory(f"{write('main_file.py', text)}:make")() == (statistics, 7)
    sys.modules.pop("beside_it")


def test_a_failed_import_leaves_nothing_behind_and_is_tried_again(write: Write) -> None:
    path = write("mended.py", "import not_there_at_all\n")
    before = set(sys.modules)
    with pytest.raises(SpecError, match="it raised ModuleNotFoundError: No module named"):
        imported(path, "x:make")
    assert set(sys.modules) == before
    write("mended.py")
    assert load_factory(f"{path}:make")() == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys; sys.exit('trained')\n", r"it called sys.exit\('trained'\): keep what"),
        ("import sys; sys.exit()\n", r"it called sys.exit\(\): keep what"),
        ("raise KeyboardInterrupt\n", "it raised KeyboardInterrupt$"),
    ],
)
def test_a_file_that_ends_the_program_is_refused(text: str, words: str, write: Write) -> None:
    with pytest.raises(SpecError, match=words):
        imported(write("ends.py", text), "ends.py:make")


def point(model: str, **values: Any) -> Point:
    letters = {"t": 2, "d": 8, "n": 4, "l": 3, "b": 2, "dataset": "own", "device": "cpu"}
    return Point(**{**letters, "dtype": "float64", "model": model, **values})


def test_a_function_that_ends_the_program_is_refused(write: Write) -> None:
    path = write("ends_later.py", "import sys\ndef make(): sys.exit(3)\n")
    with pytest.raises(SpecError, match=r"to return; it called sys.exit\(3\): keep what"):
        call_factory(point(f"{path}:make"), 0, ())


@pytest.mark.long
def test_a_file_that_kills_its_process_is_refused_before_anything_is_written(
    write: Write, tmp_path: Path
) -> None:
    path, out = write("kills.py", "import os; os._exit(3)\n"), tmp_path / "out"
    command = [sys.executable, "-m", "bench", "run", "--preset", "smoke", "--out", str(out)]
    done = subprocess.run(
        [*command, "--model", f"{path}:make"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "kills.py:make'; the worker ended with exit code 3" in done.stderr
    assert not out.exists()


def pairs() -> Iterator[Any]:
    while True:
        yield torch.randn(4, 6), torch.zeros(4, 3)


def loaders() -> dict[str, Any]:
    data = TensorDataset(torch.randn(40, 6), torch.zeros(40, 3))
    return {
        "generator": pairs(),
        "cycled loader": itertools.cycle(DataLoader(data, 4)),
        "long list": [next(pairs()) for _ in range(9)],
    }


@pytest.mark.parametrize("kind", ["generator", "cycled loader", "long list"])
def test_as_many_batches_are_taken_as_are_needed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def counted() -> Iterator[Any]:
        for pair in loaders()[kind]:
            taken.append(pair)
            yield pair

    monkeypatch.setattr(
        factory, "load_factory", lambda _: lambda: (nn.Linear(6, 3), F.mse_loss, counted())
    )
    _, _, batches, heldout = call_factory(point("x:make"), 0, ())
    assert (len(batches), heldout is not None, len(taken)) == (2, True, 3)


class Phase(nn.Module):
    """Weights and buffers of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.real, self.phase = nn.Linear(6, 3), nn.Parameter(torch.randn(3, dtype=torch.cfloat))
        self.register_buffer("turn", torch.full((3,), 1j))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("dtype", "wide"), [("float32", torch.complex64), ("float64", torch.complex128)]
)
def test_what_is_complex_stays_complex(
    dtype: str, wide: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Phase()
    phase = model.phase.detach().clone()
    inputs = UserDict(x=torch.randn(4, 6), z=torch.full((4,), 2j), i=torch.arange(4))
    made = (model, F.mse_loss, [(inputs, torch.zeros(4, 3))])
    monkeypatch.setattr(factory, "load_factory", lambda _: lambda: made)

    built = build(point("x:make", dtype=dtype), seed=0, bias=True, data_dir=None)

    real = getattr(torch, dtype)
    assert (model.real.weight.dtype, model.phase.dtype, model.turn.dtype) == (real, wide, wide)
    assert model.count.dtype == torch.int64
    torch.testing.assert_close(model.phase.detach().to(torch.cfloat), phase)
    given, _ = built.batches[0]
    assert [given[name].dtype for name in "xzi"] == [real, wide, torch.int64]
