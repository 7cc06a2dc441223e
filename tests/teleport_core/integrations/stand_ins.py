"""The callbacks upon empty base classes, as their libraries are not installed for every test."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

BASES = {"transformers": "TrainerCallback", "lightning.pytorch": "Callback"}
HERE = "teleport_core.integrations"


def upon_stand_ins(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Library -> our module for it, imported upon a stand-in for the library."""
    monkeypatch.setitem(sys.modules, "lightning", ModuleType("lightning"))
    for library, base in BASES.items():
        stand_in = ModuleType(library)
        setattr(stand_in, base, type(base, (), {}))
        monkeypatch.setitem(sys.modules, library, stand_in)
    return {name: again(name, monkeypatch) for name in ("transformers", "lightning")}


def again(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One of our modules, imported anew; the one that was there is there again afterwards."""
    full = f"{HERE}.{name}"
    monkeypatch.delitem(sys.modules, full, raising=False)
    package = import_module(HERE)
    monkeypatch.delattr(package, name, raising=False)
    found = import_module(full)
    monkeypatch.setitem(sys.modules, full, found)
    return found
