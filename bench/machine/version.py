"""Which version of the project this is."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
_PROJECT = "teleport-bench"


def project_version(root: Path = CHECKOUT) -> str | None:
    """A checkout's own file before the installed package, which may be another one."""
    file = root / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text()).get("project", {})
        if project.get("name") == _PROJECT:
            return str(project["version"])
    try:
        return version(_PROJECT)
    except PackageNotFoundError:
        return None
