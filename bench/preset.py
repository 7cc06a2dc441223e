"""The presets that come with the harness: specs in ``bench/presets/*.toml``."""

from pathlib import Path

from bench.require import unknown_name
from bench.spec import Spec

_FOLDER = Path(__file__).with_name("presets")


def preset_names() -> list[str]:
    """Names that ``load_preset`` accepts, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_preset(name: str) -> Spec:
    """Read a preset; SpecError for an unknown one."""
    if name not in preset_names():
        raise unknown_name("a preset", name, preset_names())
    return Spec.from_toml((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
