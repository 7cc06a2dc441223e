"""Sections of the page: ours in their order, and one from a package outside the source tree."""

import base64
import hashlib
import re

import pytest
import synthetic_run as synthetic
from outside_package import write_package
from page_reading import Page

from bench.errors import RegistrationError
from reports import write_report
from reports.run.run import load
from reports.sections.registered import GROUP, sections

TOY = """
from pathlib import Path

import pandas as pd

TEMPLATE = Path(__file__).with_name("toy.html.j2")


class Weather:
    name, title, order = "weather", "Weather", 45

    def tables(self, found):
        seen = found.run.others.get("weather", [])
        return {"weather": pd.DataFrame({"city": [record["city"] for record in seen]})}

    def render(self, shown, fill):
        seen = shown.run.others.get("weather")
        return fill(TEMPLATE, cities=[record["city"] for record in seen]) if seen else None


class Taken(Weather):
    name = "taken"
    order = 46
"""
TEMPLATE = """{% from "macros.html.j2" import legend %}
<h2>The weather</h2>
{% for city in cities %}
<p>{{ city }}</p>
{% endfor %}
{{ legend([]) }}
"""
TRAINING = ["pays", "curves", "rates", "sources", "trials"]
RECORD = {"schema": 1, "kind": "weather", "city": "<script>alert(1)</script> = Basel"}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs the toy with the given entries of our group."""

    def install(**entries):
        folder = write_package(tmp_path / "site", "toy_weather", TOY, {GROUP: entries})
        (folder / "toy.html.j2").write_text(TEMPLATE)
        monkeypatch.syspath_prepend(str(folder))

    return install


def test_ours_are_found_in_the_order_of_the_page():
    found = sections()
    assert len(found) == 23
    orders = [section.order for section in found]
    assert orders == sorted(set(orders))
    names = [section.name for section in found]
    first = ("descents", "networks", "probe")
    assert [name for name in names if name not in first][:6] == [*TRAINING, "runtime"]
    assert names.index("probe") < names.index("runtime")


def test_a_section_from_outside_brings_a_file_a_link_and_its_piece(installed, report_of):
    installed(weather="toy_weather:Weather")

    directory, page = report_of([*synthetic.cells()[:4], RECORD])

    names = [attrs["id"] for attrs in page.all("section")]
    assert names[names.index("schedule") + 1] == "weather"
    links = [attrs["href"] for attrs in page.all("a")]
    assert {"#weather", "weather.csv"} <= set(links)
    assert "The weather" in page.words
    assert (directory / "weather.csv").read_text().startswith("city\n")
    # What it was given is text, and the policy still allows our own style and script alone.
    assert "<script>alert(1)</script> = Basel" in page.words
    html = (directory / "report.html").read_text(encoding="utf-8")
    (script,) = re.findall("<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert policy.endswith(f"script-src 'sha256-{digest}'")


def test_a_section_may_have_nothing_to_show(installed, report_of):
    installed(weather="toy_weather:Weather")

    _, page = report_of(synthetic.cells()[:4])

    assert "weather" not in [attrs["id"] for attrs in page.all("section")]
    assert "#weather" not in [attrs["href"] for attrs in page.all("a")]


def test_two_sections_cannot_write_one_file(installed, tmp_path):
    installed(weather="toy_weather:Weather", taken="toy_weather:Taken")
    directory = synthetic.write(tmp_path / "run", [RECORD])

    with pytest.raises(RegistrationError, match=r"one section to write weather\.csv; taken is"):
        write_report(directory)
    assert not (directory / "report.html").exists()


def test_records_of_a_kind_that_nobody_knows_are_kept_and_said(tmp_path):
    directory = synthetic.write(tmp_path / "run", [RECORD, RECORD])

    run = load(directory)
    page = Page(write_report(directory).read_text(encoding="utf-8"))

    assert len(run.others["weather"]) == 2
    assert "The journal holds 2 of the kind weather, which nothing here knows" in page.words


def test_why_operations_are_not_known_is_shown(report_of):
    cells = synthetic.cells()[:4]
    cells[1]["operations_note"] = "the counter met an operator it does not know"
    directory, page = report_of(cells)

    assert "why operations are not known" in page.words
    assert cells[1]["operations_note"] in page.words
    assert cells[1]["operations_note"] in (directory / "runtime.csv").read_text()
