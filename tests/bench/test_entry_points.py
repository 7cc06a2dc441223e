"""Entries by name: ours from pyproject.toml without installation, others' from their packages."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from outside_package import write_package

from bench import entry_points
from bench.entry_points import found, load
from bench.errors import RegistrationError

ROOT = Path(__file__).parents[2]
GROUP = "teleport_bench.methods"


def install(monkeypatch, folder: Path, module: str, **points: str) -> None:
    write_package(folder, module, "thing = 'outside'\n", {GROUP: points})
    monkeypatch.syspath_prepend(str(folder))


def test_ours_are_read_from_the_checkout():
    assert list(found(GROUP))[:3] == ["nullspace", "symmetry", "identity"]
    assert load(found(GROUP)["identity"]).__name__ == "IdentityTeleporter"
    assert found("teleport_bench.nothing") == {}


def test_an_outside_package_adds_an_entry(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "outside_one", extra="outside_one:thing")
    assert load(found(GROUP)["extra"]) == "outside"


def test_two_packages_with_one_name_are_refused(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "outside_two", nullspace="outside_two:thing")
    with pytest.raises(RegistrationError, match=r"'nullspace' in .*; both tele.* and outside_two"):
        found(GROUP)


def test_an_entry_of_our_own_older_installation_does_not_count(monkeypatch, tmp_path):
    """Else a checkout beside it would refuse every entry that has moved since."""
    write_package(tmp_path, "old", "", {GROUP: {"nullspace": "old:gone", "left": "old:gone"}})
    metadata = tmp_path / "old-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Name: old", "Name: teleport-bench"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "left" not in found(GROUP)
    monkeypatch.setattr(entry_points, "_PROJECT", tmp_path / "absent.toml")
    with pytest.raises(RegistrationError, match="old:gone"):  # no checkout: what is installed
        found(GROUP)


@pytest.mark.parametrize("value", ["not_installed:thing", "outside_three:absent"])
def test_an_entry_that_leads_nowhere_is_named(monkeypatch, tmp_path, value):
    install(monkeypatch, tmp_path, "outside_three", extra=value)
    with pytest.raises(RegistrationError, match=f"'extra' of {GROUP} at {value}; .*: install what"):
        load(found(GROUP)["extra"])


def test_another_projects_file_beside_the_package_is_not_ours(monkeypatch, tmp_path):
    other = tmp_path / "pyproject.toml"
    other.write_text((ROOT / "pyproject.toml").read_text().replace('"teleport-bench"', '"other"'))
    assert entry_points._checkout(other) == {}
    other.write_text("[project\n")
    entry_points._checkout.cache_clear()
    assert entry_points._checkout(other) == {}


def test_a_copied_checkout_needs_no_installation(tmp_path):
    shutil.copytree(ROOT / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    code = f"from bench.entry_points import found; print(*found({GROUP!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[:3] == ["nullspace", "symmetry", "identity"]
