"""A key of the code that does the measuring: times taken by different code are not compared.

What counts is what the code does: comments, docstrings and layout may change.
"""

import ast
import hashlib
from pathlib import Path

# What is built, what stands between the clocks, and how it is called.
_MEASURING = ("problems", "seeds.py", "timing", "worker")

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def benchmark_key(root: Path) -> str | None:
    """16 hex digits over a source tree's measuring code; None without such, or if no Python."""
    package = root / "bench"
    files = [file for name in _MEASURING for file in _files(package / name)]
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        try:
            code = essence(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):  # the worker will say so when it imports it
            return None
        digest.update(f"{file.relative_to(package).as_posix()}\0{code}\0".encode())
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.is_file() else []


def essence(source: str) -> str:
    """Source without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
