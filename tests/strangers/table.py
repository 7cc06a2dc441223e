"""All libraries in one table; each has a module of its own, imported where it is asked for."""

import importlib
from importlib.util import find_spec

import kernels  # noqa: F401  # before any library is imported
from case import Cases

MODULES = {
    "torch_geometric": "from_geometric",
    "peft": "from_peft",
    "transformers": "from_transformers",
    "diffusers": "from_diffusers",
    "torchvision": "from_torchvision",
    "timm": "from_timm",
}


def cases(library: str) -> Cases:
    """The rows of one library."""
    found: Cases = importlib.import_module(MODULES[library]).CASES
    return found


def installed(library: str) -> bool:
    return find_spec(library) is not None
