"""Which version of a user's own model was measured: digests of its file and of those beside it."""

import ast
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

KEY = "model_code"


def model_code(address: str) -> dict[str, str]:
    """File name -> digest, of ``path/to/file.py:factory`` or a module of the present directory.

    Of what it imports the files beside it count. Empty for a network of ours, and for an installed
    module, whose version its package tells.
    """
    module, _, function = address.rpartition(":")
    if not function or not module:
        return {}
    path = Path(module) if module.endswith(".py") else Path(*module.split(".")).with_suffix(".py")
    found: dict[str, str] = {}
    left = [path]
    while left:
        one = left.pop()
        if one.name in found or not one.is_file():
            continue
        source = one.read_bytes()
        found[one.name] = sha256(source).hexdigest()[:16]
        left += [path.parent / f"{name}.py" for name in _imported(source)]
    return dict(sorted(found.items()))


def _imported(source: bytes) -> Iterator[str]:
    """Modules that a file imports by a plain name."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # the import itself will say so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if "." not in alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and "." not in node.module:
            yield node.module


def changed_code(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Files of the model that differ between two environments; none where one does not know."""
    was, now = one.get(KEY), other.get(KEY)
    if not isinstance(was, dict) or not isinstance(now, dict):
        return []
    return sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
