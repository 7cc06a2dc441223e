"""Where a spec begins: a preset of the harness, ``presets/*.toml``, or a spec in a file."""

from pathlib import Path

from bench.errors import SpecError
from bench.files import read_plain
from bench.spec.checks import unknown_name
from bench.spec.spec import Spec

_FOLDER = Path(__file__).with_name("presets")


def preset_names() -> list[str]:
    """Names that ``load_preset`` accepts, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def purpose(name: str) -> str:
    """What a preset is for: the first line of its comment."""
    with (_FOLDER / f"{name}.toml").open(encoding="utf-8") as lines:
        return next(lines).removeprefix("#").strip()


def load_preset(name: str) -> Spec:
    """Read a preset by name, or a file that ends in .toml, such as a run's spec.toml.

    Raises:
        SpecError: an unknown preset, a file that is missing or damaged.
    """
    if name.endswith(".toml"):
        try:
            return Spec.from_toml(read_plain(Path(name)).decode())
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"expected a spec in {name}; {error}: name a preset instead") from error
    if name not in preset_names():
        raise unknown_name("a preset", name, preset_names())
    return Spec.from_toml((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
