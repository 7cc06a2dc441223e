"""The wheel and the sdist: built, installed and used from an empty directory, no source tree there.

Dependencies are those of the environment that runs the tests, so that it takes seconds.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("teleport_core", "baselines", "bench", "reports")
BESIDE = (
    "docs",
    "tests",
    "LICENSE",
    "Makefile",
    "MANIFEST.in",
    "pyproject.toml",
    "constraints.txt",
)


def call(*command: str | Path, where: Path) -> str:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=where,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, tree: Path, out: Path) -> Path:
    call(sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", out, where=tree)
    (built,) = out.iterdir()
    return built


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in (*PACKAGES, *BESIDE, *(path.name for path in ROOT.glob("*.md"))):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name, **({"ignore": ignored} if copy is shutil.copytree else {}))
    return build("sdist", tree, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / sdist.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the wheel, and shares all else."""
    environment = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", environment, where=environment)
    python = environment / "bin" / "python"
    site = Path(
        call(
            python, "-c", "import site; print(site.getsitepackages()[0])", where=environment
        ).strip()
    )
    # A plain path: links to source trees that lie there as .pth files are not followed.
    (site / "shared.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    call(*pip, "--no-index", "--no-deps", "--force-reinstall", wheel, where=environment)
    return environment / "bin"


def test_sdist_builds_the_wheel_that_the_tree_builds(
    unpacked: Path, wheel: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(unpacked, tree, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    (tmp_path / "again").mkdir()
    again = build("wheel", tree, tmp_path / "again")
    assert again.name == wheel.name
    assert contents(again) == contents(wheel)


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    there = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert there == here
    assert {f"{package}/py.typed" for package in PACKAGES} <= there


def test_smoke_from_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    where = call(
        installed / "python",
        "-c",
        "import bench, teleport_core; print(bench.__file__)",
        where=tmp_path,
    )
    assert Path(where.strip()).is_relative_to(installed.parent)
    page = call(installed / "teleport-bench", "run", "--preset", "smoke", "--quiet", where=tmp_path)
    assert (tmp_path / page.strip()).read_text().startswith("<!DOCTYPE html>")


def test_installed_version_and_methods(installed: Path, tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = call(installed / "teleport-bench", "--version", where=tmp_path)
    assert version.split() == ["teleport-bench", project["version"]]
    methods = call(installed / "teleport-bench", "methods", where=tmp_path)
    for name in project["entry-points"]["teleport_bench.methods"]:
        assert name in methods
