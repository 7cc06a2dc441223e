"""What may be asked for: the commands with their options, the sections of a spec, the presets."""

import inspect
import re
from collections.abc import Iterator
from importlib import resources

from typer.testing import CliRunner

from bench.cli.app import COMMANDS, app
from bench.spec.preservation import Preservation
from bench.spec.preset import load_preset, preset_names, purpose
from bench.spec.sampling import Sampling
from bench.spec.sections import brought
from bench.spec.spec import Spec

_WIDE = {"COLUMNS": "96", "TERMINAL_WIDTH": "96"}
_FIELD = re.compile(r"^    (\w+): (.+?)(?: = (.+?))?(?:  # (.+))?$", re.MULTILINE)


def commands_page() -> str:
    """The help of every command, as it is shown."""
    lines = ["# Command line"]
    for name in COMMANDS:
        lines += ["", f"## {name}", "", "```text", _help(name), "```"]
        if name == "data":
            for part in ("list", "check", "fetch"):
                lines += ["", f"### {name} {part}", "", "```text", _help(name, part), "```"]
    return "\n".join(lines) + "\n"


def _help(*command: str) -> str:
    done = CliRunner().invoke(app, [*command, "--help"], prog_name="teleport-bench", env=_WIDE)
    return done.output.strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def spec_page() -> str:
    """The keys of ``spec.toml``, section by section."""
    lines = [
        "# spec.toml",
        "",
        "A run directory keeps what was asked for in `spec.toml`; a preset is such a file. "
        "`run --preset DIR/spec.toml` repeats a run, and a key that is left out has its default. "
        "Methods are written as on the command line.",
        "",
        "## At the top",
        "",
        *_keys(Spec, ("axes", "variants", "sampling", "preservation", "sections")),
        '| `methods` | what is timed: `["nullspace", "symmetry:published=true"]`, say | |',
        "",
        "`[base]` and `[axes]` have a key for each letter: t, d, n, l and b.",
    ]
    for name, kind in {"sampling": Sampling, "preservation": Preservation, **brought()}.items():
        lines += ["", f"## [{name}]", "", _first(kind), "", *_keys(kind, ())]
    return "\n".join(lines) + "\n"


def _first(kind: type) -> str:
    return (kind.__doc__ or "").strip().split("\n\n")[0].replace("``", "`").replace("\n    ", " ")


def _told(kind: type) -> dict[str, str]:
    """What the docstring says of each attribute."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    listed = listed.split("\n\n")[0]
    return dict(re.findall(r"(?m)^    (\w+): ((?:.|\n {8})+)", listed))


def _keys(kind: type, without: tuple[str, ...]) -> Iterator[str]:
    told = _told(kind)
    yield from ("| key | | default |", "|---|---|---|")
    for name, _, default, comment in _FIELD.findall(inspect.getsource(kind)):
        if name not in without and not name.startswith("_"):
            text = told.get(name) or re.sub(r"noqa: \w+ +\((.*)\)", r"\1", comment)
            yield f"| `{name}` | {_cell(text)} | {f'`{default}`' if default else ''} |"


def presets_page() -> str:
    """What every preset is for, and its spec as it is shipped."""
    lines = ["# Presets", "", "| preset | what it is for |", "|---|---|"]
    lines += [f"| [{name}](#{name}) | {_cell(purpose(name))} |" for name in preset_names()]
    for name in preset_names():
        load_preset(name)  # what is shown can be run
        text = (resources.files("bench.spec") / "presets" / f"{name}.toml").read_text("utf-8")
        lines += ["", f"## {name}", "", "```toml", text.rstrip(), "```"]
    return "\n".join(lines) + "\n"
