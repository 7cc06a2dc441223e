"""The last two sections: how to read the page, and how to repeat the run."""

from markupsafe import Markup

from bench.spec.variants import not_timed
from reports.sections.section import TEMPLATES, Fill, Section, Shown


class Reading(Section):
    """The words that the page uses."""

    name, title, order = "reading", "How to read", 130

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """A list of terms, those of what the run has."""
        training = shown.analysis.training is not None
        timed = not training or not shown.nothing_timed or bool(shown.run.profiles)
        return fill(
            TEMPLATES / "reading.html.j2", timed=timed, training=training, untimed=_untimed(shown)
        )


def _untimed(shown: Shown) -> list[str]:
    """Timed variants with options that have no effect on times, with those."""
    variants = dict.fromkeys(cell.variant for cell in shown.run.cells)
    options = {variant: not_timed(variant) for variant in variants}
    return [f"{' and '.join(names)} of {variant}" for variant, names in options.items() if names]


class Repeat(Section):
    """The command of the run and its files."""

    name, title, order = "repeat", "Repeat", 140

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """The command, and links to every file."""
        command = (shown.run.spec or {}).get("command", "")
        return fill(TEMPLATES / "repeat.html.j2", command=command, files=shown.files)
