from collections.abc import Iterator
from importlib.metadata import EntryPoint

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
    assert available() == ["identity", "nullspace", "symmetry"]
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


def test_names_of_the_installed_package_are_the_built_in_ones() -> None:
    """pyproject.toml and the table here must say the same."""
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())

    assert project["project"]["entry-points"][registry.GROUP] == registry._OURS
