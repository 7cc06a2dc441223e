"""The house: which package may import which, and what stays free of torch."""

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
TORCH_FREE = {
    "bench.comparison",
    "bench.entry_points",
    "bench.errors",
    "bench.files",
    "bench.plain_text",
    "bench.spec.axes",
    "bench.statistics",
    "bench.storage",
}
CLI = "bench/cli/"


def imports(source: str) -> Iterator[str]:
    """Every module a source imports, at any depth of nesting."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(path: str, source: str) -> list[str]:
    """Imports of ours that the house does not allow at ``path``."""
    package = path.split("/", maxsplit=1)[0]
    found = []
    for module in imports(source):
        target = module.split(".", maxsplit=1)[0]
        if target not in PACKAGES or target == package:
            continue
        meets = path.startswith(CLI) and target == "reports"
        if not meets and target not in ALLOWED[package]:
            found.append(f"{path} imports {module}")
        known = any(f"{module}.".startswith(f"{room}.") for room in TORCH_FREE)
        if package == "reports" and not known and module != "bench":
            found.append(f"{path} imports {module}")
    return found


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
        ("teleport_core/x.py", "import bench.spec.spec"),
        ("baselines/x.py", "from bench import spec"),
        ("bench/x.py", "def f():\n    from reports import page"),
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
    "source", ["from bench.storage import journal", "import bench.statistics.medians"]
)
def test_the_check_of_the_arrows_can_pass(source: str) -> None:
    assert violations("reports/x.py", source) == []


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


def test_reports_never_load_torch() -> None:
    loaded = loaded_by(
        "import reports; from reports.sections.registered import sections; sections()"
    )

    assert {"pandas", "matplotlib"} <= loaded
    assert "torch" not in loaded


def test_the_check_of_loaded_modules_can_fail() -> None:
    assert "torch" in loaded_by("import teleport_core")
