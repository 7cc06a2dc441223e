"""A package outside the source tree that brings entry points, as pip would have installed it."""

from collections.abc import Mapping
from pathlib import Path


def write_package(
    folder: Path, module: str, source: str, entries: Mapping[str, Mapping[str, str]]
) -> Path:
    """Write ``module.py`` and its metadata; put ``folder`` on the path to have it "installed".

    Args:
        entries: group -> name -> ``module:object``.
    """
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in entries.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder
