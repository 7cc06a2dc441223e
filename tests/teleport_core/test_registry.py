import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from teleport_core import OptionError, available, make, registry
from teleport_core.interface import Teleporter


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    points: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    registry._addresses.cache_clear()
    yield points
    registry._addresses.cache_clear()


def test_our_methods_are_found_without_installation(entry_points: list[EntryPoint]) -> None:
    ours = "cost enorm gauge identity level_set nullspace pathcond random rescale so2 symmetry"
    assert available() == ours.split()
    assert all(isinstance(make(name), Teleporter) for name in available())


def test_a_method_of_another_package_is_found(entry_points: list[EntryPoint]) -> None:
    address = "baselines.identity:IdentityTeleporter"
    entry_points.append(EntryPoint("theirs", address, registry.GROUP))

    assert "theirs" in available()
    assert make("theirs", steps=3).steps == 3


def test_two_packages_with_one_name_are_refused(entry_points: list[EntryPoint]) -> None:
    entry_points.append(EntryPoint("nullspace", "other.package:Thing", registry.GROUP))

    with pytest.raises(OptionError, match="expected one method named 'nullspace'; both"):
        available()


def test_ours_are_those_of_pyproject_toml_and_no_module_of_core_names_a_baseline() -> None:
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())

    assert (
        registry._of_checkout(registry._PROJECT)
        == project["project"]["entry-points"][registry.GROUP]
    )
    assert not [p for p in (root / "teleport_core").rglob("*.py") if "baselines" in p.read_text()]


def test_installed_the_metadata_alone_tell_the_methods(
    entry_points: list[EntryPoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Beside an installed package lies no pyproject.toml, or that of something else."""
    monkeypatch.setattr(registry, "_PROJECT", tmp_path / "pyproject.toml")
    address = "baselines.identity:IdentityTeleporter"
    entry_points.append(EntryPoint("identity", address, registry.GROUP))

    assert available() == ["identity"]

    registry._addresses.cache_clear()
    other = f'[project]\nname = "x"\n[project.entry-points."{registry.GROUP}"]\ny = "z:Y"\n'
    (tmp_path / "pyproject.toml").write_text(other)
    assert available() == ["identity"]


class _OldInstallation:
    """An entry point as an installed package of ours left it, from before a method moved."""

    name, value = "nullspace", "teleport_core.where_it_was:NullSpaceTeleporter"
    dist = SimpleNamespace(name="teleport-bench")


def test_a_checkout_outdoes_an_older_installation_of_ours(entry_points: list[Any]) -> None:
    entry_points.append(_OldInstallation())

    assert make("nullspace").name == "nullspace"
