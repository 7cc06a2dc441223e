"""How to read the page: the words of what the run has."""

from types import SimpleNamespace

import jinja2
import pytest

from reports.sections.ending import Reading


def reading(*variants: str) -> str:
    shown = SimpleNamespace(
        analysis=SimpleNamespace(training=None),
        nothing_timed=False,
        run=SimpleNamespace(profiles=[], cells=[SimpleNamespace(variant=v) for v in variants]),
    )

    def fill(template, **values):
        return jinja2.Template(template.read_text(encoding="utf-8")).render(values)

    return str(Reading().render(shown, fill))  # type: ignore[arg-type]


@pytest.mark.parametrize("variants", [("nullspace", "sgd"), ("nullspace:tau=0.9",), ()])
def test_nothing_is_said_of_options_that_nobody_gave(variants: tuple[str, ...]) -> None:
    assert "No effect on times" not in reading(*variants)


def test_options_without_effect_on_times_are_named_once() -> None:
    text = reading("sgd", "nullspace:cap=0.5,lr=0.1", "nullspace:cap=0.5,lr=0.1", "symmetry:lr=2")

    said = "<dd>lr and cap of nullspace:cap=0.5,lr=0.1; lr of symmetry:lr=2: every cell is timed"
    assert said in text
