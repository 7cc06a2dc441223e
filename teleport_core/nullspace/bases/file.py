"""The file of kept bases: tensors, texts and numbers, read without executing anything in it."""

import pickle
from os import PathLike
from typing import Any

import torch

from teleport_core.errors import OptionError

_FORMAT = "teleport_core.nullspace.Bases/1"


def write(path: str | PathLike[str], content: dict[str, Any]) -> None:
    """Write ``content`` with the name of the format."""
    torch.save({"format": _FORMAT, **content}, path)


def read(path: str | PathLike[str]) -> dict[str, Any]:
    """What ``write`` wrote, tensors in the memory of the CPU.

    Raises:
        OptionError: it is another file.
        OSError: it cannot be read.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise _no_bases(path) from error
    if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
        raise _no_bases(path)
    return content


def _no_bases(path: str | PathLike[str]) -> OptionError:
    return OptionError(
        f"expected a file that Bases.save wrote, in the format {_FORMAT}; {path} is another one: "
        "call teleport_core.nullspace.keep_bases and save what it returns"
    )
