"""The page: one HTML file that needs nothing else, with a policy that lets it load nothing else."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from reports.front.front import front
from reports.sections import summary
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.text.canvas import keeping

Figures = dict[str, list[Figure]]


def render(shown: Shown, sections: Sequence[Section], figures: Figures | None = None) -> str:
    """The whole page; the same run and sections give the same bytes.

    ``figures`` receives what each section draws, by its name.
    """
    fill = _filler()
    kept = [s for s in sections if not (shown.nothing_timed and getattr(s, "measured", False))]
    pieces = []
    for section in kept:
        with keeping() as drawn:
            pieces.append((section, section.render(shown, fill)))
        if figures is not None and drawn:
            figures[section.name] = drawn
    rows, run = shown.analysis.cells, shown.run
    return document(
        TEMPLATES / "report.html.j2",
        title=summary.title(rows or shown.analysis.trained),
        front=front(shown),
        paragraph=shown.counts,
        notes=run.notes,
        sections=[(section, piece) for section, piece in pieces if piece is not None],
    )


def document(template: Path, /, **values: Any) -> str:
    """A page of its own, with the one style sheet, the one script and the policy that names them.

    Args:
        template: of the whole page.
        values: what it shows; style sheet, script and policy are added.
    """
    css, script = (
        (TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js")
    )
    ours = {"css": Markup(css), "script": Markup(script), "policy": _policy(css, script)}
    return _filler()(template, **values, **ours)


def filled(template: Path, /, **values: Any) -> str:
    """A piece of HTML that stands by itself, as a notebook shows it."""
    return str(_filler()(template, **values))


def _filler() -> Fill:
    environment = _environment()

    def fill(template: Path, /, **values: Any) -> Markup:
        text = template.read_text(encoding="utf-8")
        return Markup(environment.from_string(text).render(values))  # its values were escaped

    return fill


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    return environment


def breakable(text: str) -> Markup:
    """Escaped text that may be broken behind the colons and commas of a long variant."""
    escaped = escape(text)
    for mark in (":", ","):
        escaped = escaped.replace(mark, Markup(f"{mark}<wbr>"))
    return escaped


def _policy(css: str, script: str) -> str:
    """Nothing may be fetched; the one style sheet and the one script are named by their hashes."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(css)}; script-src {_hash(script)}"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
