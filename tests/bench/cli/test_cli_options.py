"""Options that several commands share."""

import typing
from pathlib import Path

import pytest

from bench.cli import options
from bench.entry_points import found
from bench.errors import SpecError
from bench.spec.preset import load_preset, preset_names


@pytest.mark.parametrize("group", ["networks", "datasets"])
def test_help_names_every_network_and_data_set(group: str) -> None:
    _, option = typing.get_args({"networks": options.Model, "datasets": options.Dataset}[group])
    names = found(f"teleport_bench.{group}")
    assert len(names) > 4
    assert all(name in option.help for name in names)


def test_help_names_every_preset() -> None:
    _, option = typing.get_args(options.Preset)
    assert all(name in option.help for name in preset_names())


def test_options_replace_what_a_preset_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start = load_preset("smoke")

    found = options.spec_of(start, ["d=8,16", "l=4"], ["nullspace"], Path("data"), seed=3)

    assert found.base == {**start.base, "l": 4}
    assert [axis.name for axis in found.axes] == ["d"]
    assert [str(variant) for variant in found.variants] == ["nullspace"]
    assert (found.seed, found.threads) == (3, start.threads)
    # A worker may run elsewhere.
    assert found.data_dir == str(tmp_path / "data")
    assert options.spec_of(start, None, None) == start


def test_a_mistake_is_a_spec_error() -> None:
    with pytest.raises(SpecError, match="got 'float16'"):
        options.spec_of(load_preset("smoke"), None, None, dtype="float16")
