"""The house: which package and which room may import which, and what stays free of torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PACKAGES = ("teleport_core", "baselines", "bench", "reports")
ALLOWED = {
    "teleport_core": set(),
    "baselines": {"teleport_core"},
    "bench": {"teleport_core"},
    "reports": {"bench"},
}
# What reports may know of bench; none of it imports torch.
FOR_REPORTS = {
    "bench.comparison",
    "bench.entry_points",
    "bench.errors",
    "bench.files",
    "bench.plain_text",
    "bench.spec.axes",
    "bench.spec.variants",
    "bench.statistics",
    "bench.storage",
    "bench.training",
}
# Experiments are about the methods and test functions themselves, by name.
WITH_BASELINES = "bench/experiments/"
# Where bench and reports meet.
MEETING = ("bench/cli/", "bench/runs.py", "bench/notebook/")

# room of bench -> the rooms it may import, lowest floor first: each may import only rooms above it
# in this table, hence there is no cycle. The modules of bench/ itself are the ground.
ROOMS = {
    "statistics": set(),
    "claims": set(),
    "spec": set(),
    "machine": set(),
    "process": set(),
    "storage": {"machine", "spec"},
    "plan": {"spec", "storage"},
    "training": {"spec", "statistics", "storage"},
    "measurements": {"plan", "spec", "storage", "training"},
    "timing": {"spec", "statistics"},
    "costs": {"spec"},
    "leases": {"process"},
    "runner": {"leases", "measurements", "plan", "process", "spec", "storage"},
    "parallel": {"leases", "plan", "process", "runner", "spec", "storage"},
    "slurm": {"measurements", "plan", "process", "runner", "spec", "storage"},
    "comparison": {"machine", "spec", "statistics", "storage"},
    "problems": {"plan", "spec"},
    "profiling": {"costs", "plan", "spec", "timing"},
    "preservation": {"problems", "timing"},
    "probing": {"problems", "spec", "timing"},
    "gate": {"comparison", "machine", "plan", "process", "spec", "storage"},
    "trainer": {
        *("costs", "plan", "problems", "process", "spec", "storage", "timing", "training"),
    },
    "worker": {
        *("costs", "machine", "measurements", "plan", "preservation", "problems", "process"),
        *("probing", "profiling", "spec", "timing", "trainer"),
    },
    "notebook": {"spec", "statistics", "timing"},
    "experiments": {"claims"},
    "cli": {
        *("claims", "comparison", "gate", "machine", "measurements", "plan", "problems", "process"),
        *("parallel", "runner", "slurm", "spec", "storage", "training"),
    },
}
# The worker's side, which imports torch like any torch code; nothing else may import it. A longer
# path counts before a shorter one.
WITH_TORCH = {
    "bench/timing/": True,
    "bench/costs/": True,
    "bench/problems/": True,
    "bench/problems/datasets/": False,  # "data list" is quick; the loaders import torch late
    "bench/profiling/": True,
    "bench/preservation/": True,
    "bench/probing/": True,
    "bench/trainer/": True,
    "bench/worker/": True,
    "bench/notebook/": True,
    "bench/experiments/": True,
    "bench/machine/environment.py": True,
}
# Asked for the environment itself, and for a live model.
MEETS_TORCH = {
    "bench/cli/looking/env.py": "bench.machine.environment",
    "bench/__init__.py": "bench.notebook.measure",  # for type checkers; loaded when it is called
}

# On the worker's side, and why: torch takes seconds, may print, and must not outlive the runner.
LATE = {
    "bench/worker/__main__.py": ["bench.worker.commands"],
    "bench/experiments/__main__.py": ["bench.experiments.carrying"],
}

# rooms of teleport_core that stand above the rest -> who may import them.
ABOVE = {
    "teleport_core.training": (
        *("teleport_core/__init__.py", "teleport_core/advice/", "teleport_core/integrations/"),
    ),
    "teleport_core.advice": ("teleport_core/__init__.py",),
    "teleport_core.integrations": (),
}

MOST_MODULES = {"bench/": 8, "teleport_core/": 18}
MOST_IN_A_FOLDER = 12


def imports(source: str) -> Iterator[tuple[str, bool]]:
    """Every module a source imports, and whether it does so when it is loaded."""
    tree = ast.parse(source)
    at_the_top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in at_the_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = (ROOT / f"{inner.replace('.', '/')}.py").exists()
                is_package = (ROOT / inner.replace(".", "/")).is_dir()
                yield (inner if is_module or is_package else node.module, id(node) in at_the_top)


def has_torch(path: str) -> bool:
    """Whether a file, or the module at it, is on the worker's side."""
    known = [place for place in WITH_TORCH if path.startswith(place)]
    return WITH_TORCH[max(known, key=len)] if known else False


def path_of(module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}/" if (ROOT / path).is_dir() else f"{path}.py"


def room_of(path: str) -> str:
    """The room of bench; "" for the modules of bench/ itself."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else ""


def violations(path: str, source: str) -> list[str]:
    """Imports that the house does not allow at ``path``."""
    found = [f"{path} imports {m}" for m, _ in imports(source) if not _package_allows(path, m)]
    found += [f"{path} imports {m}" for m, _ in imports(source) if not _is_below(path, m)]
    if path.startswith("bench/"):
        found += [f"{path} imports {m}" for m, top in imports(source) if not _allows(path, m, top)]
    return found


def _is_below(path: str, module: str) -> bool:
    """Whether a module is no room above the place that imports it."""
    for room, allowed in ABOVE.items():
        if f"{module}.".startswith(f"{room}.") and path.startswith("teleport_core/"):
            return path.startswith((f"{room.replace('.', '/')}/", *allowed))
    return True


def _package_allows(path: str, module: str) -> bool:
    package, target = path.split("/", maxsplit=1)[0], module.split(".", maxsplit=1)[0]
    if target not in PACKAGES or target == package:
        return True
    if path.startswith(MEETING) and target == "reports":
        return True
    if path.startswith(WITH_BASELINES) and target == "baselines":
        return True
    if target not in ALLOWED[package]:
        return False
    known = any(f"{module}.".startswith(f"{room}.") for room in FOR_REPORTS)
    return package != "reports" or module == "bench" or known


def _allows(path: str, module: str, top: bool) -> bool:
    """Rooms of bench, and the two sides of it."""
    package = module.split(".", maxsplit=1)[0]
    if package in {"torch", "teleport_core", "baselines"}:
        return has_torch(path) or (path.startswith("bench/problems/datasets/") and not top)
    if package != "bench":
        return True
    if has_torch(path_of(module)) and not has_torch(path):
        return MEETS_TORCH.get(path) == module
    ours, theirs = room_of(path), room_of(path_of(module))
    if path == "bench/runs.py":
        ours = "cli"
    if ours == "":
        return theirs == "" or (path == "bench/__main__.py" and theirs == "cli")
    return theirs in {"", ours} | ROOMS[ours]


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_imports_follow_the_arrows() -> None:
    found = [
        line
        for path in sources()
        for line in violations(path.relative_to(ROOT).as_posix(), path.read_text())
    ]

    assert found == []
    assert len(sources()) > 30


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bench/plan/x.py", "import torch"),
        ("bench/plan/x.py", "def f():\n    import torch"),
        ("bench/problems/datasets/x.py", "import torch"),
        ("bench/machine/git.py", "from bench.machine.environment import describe"),
        ("bench/cli/x.py", "from bench.problems.build import build"),
        ("bench/cli/x.py", "from bench.timing import clock"),
        ("bench/runner/x.py", "from bench.worker.block import run_block"),
        ("bench/spec/x.py", "from bench.plan.points import Plan"),
        ("bench/seeds.py", "from bench.spec import axes"),
        ("teleport_core/x.py", "import bench.spec.spec"),
        ("teleport_core/x.py", "from teleport_core.training import Schedule"),
        ("teleport_core/training/x.py", "from teleport_core.integrations import loop"),
        ("teleport_core/training/x.py", "from teleport_core.advice import advise"),
        ("baselines/x.py", "from bench import spec"),
        ("bench/x.py", "def f():\n    from reports import page"),
        ("bench/runsheet.py", "import reports"),
        ("bench/runs.py", "import baselines"),
        ("bench/x.py", "import baselines"),
        ("reports/x.py", "from bench.runner.runner import Runner"),
        ("reports/x.py", "from bench import runner"),
        ("reports/x.py", "from bench.spec.spec import Spec"),
        ("reports/x.py", "import teleport_core"),
    ],
)
def test_the_check_of_the_arrows_can_fail(path: str, source: str) -> None:
    assert violations(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("reports/x.py", "from bench.storage import journal"),
        ("reports/x.py", "import bench.statistics.medians"),
        ("bench/problems/x.py", "import torch\nfrom bench.plan.points import Point"),
        ("bench/problems/datasets/loaders/x.py", "def f():\n    import torch"),
        ("bench/machine/environment.py", "import torch"),
        ("teleport_core/integrations/x.py", "from teleport_core.training.call import Call"),
        ("bench/cli/x.py", "from bench.problems.datasets import inventory"),
        ("bench/cli/x.py", "from reports import report"),
    ],
)
def test_the_check_of_the_arrows_can_pass(path: str, source: str) -> None:
    assert violations(path, source) == []


def test_the_table_of_rooms_is_the_house() -> None:
    rooms = {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")}
    assert set(ROOMS) == rooms
    floors = list(ROOMS)
    for room, below in ROOMS.items():
        assert below <= set(floors[: floors.index(room)]), room


def test_no_folder_holds_too_much() -> None:
    for package in PACKAGES:
        for folder in [ROOT / package, *(ROOT / package).rglob("*/")]:
            place = f"{folder.relative_to(ROOT).as_posix()}/"
            modules = [p.name for p in folder.glob("*.py") if p.name != "__init__.py"]
            assert len(modules) <= MOST_MODULES.get(place, MOST_IN_A_FOLDER), place


def test_the_workers_side_imports_at_the_top() -> None:
    late: dict[str, list[str]] = {}
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        if place.startswith("bench/") and has_torch(place):
            for module, top in imports(path.read_text()):
                if not top and module.split(".", maxsplit=1)[0] in {"torch", *PACKAGES}:
                    late.setdefault(place, []).append(module)

    assert late == LATE


def loaded_by(statement: str) -> set[str]:
    """Top-level modules loaded by a statement in a fresh interpreter."""
    code = f"import sys; {statement}; print(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_the_command_line_loads_nothing_heavy() -> None:
    loaded = loaded_by("import bench.cli.app")

    assert "typer" in loaded
    assert not loaded & {"torch", "pandas", "matplotlib", "seaborn", "sklearn", "scipy", "pooch"}


def test_bench_itself_loads_nothing_and_a_run_no_torch() -> None:
    assert not loaded_by("import bench") & {"torch", "pandas", "msgspec", "typer"}
    loaded = loaded_by("import bench; bench.run, bench.load")

    assert "pandas" in loaded
    assert "torch" not in loaded


def test_reports_never_load_torch() -> None:
    loaded = loaded_by(
        "import reports; from reports.sections.registered import sections; sections()"
    )

    assert {"pandas", "matplotlib"} <= loaded
    assert "torch" not in loaded


def test_the_mathematics_loads_no_other_trainer() -> None:
    loaded = loaded_by("import teleport_core; teleport_core.Schedule")

    assert not loaded & {"transformers", "accelerate", "lightning", "pytorch_lightning"}


def test_the_check_of_loaded_modules_can_fail() -> None:
    assert "torch" in loaded_by("import teleport_core")
