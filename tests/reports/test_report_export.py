"""Figures as files of their own."""

import pytest
import synthetic_run as synthetic

from bench.errors import SpecError, StorageError
from reports import write_report
from reports.export import FOLDER, formats

START = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    place = tmp_path_factory.mktemp("export")
    records = [*synthetic.cells()[:8], *synthetic.records()[-4:-3]]
    records[1] = {**records[1], "variant": "nullspace:a$b$"}
    directory = synthetic.write(place / "run", records)
    write_report(directory, figures=["svg", "pdf", "png"])
    return directory


def test_every_panel_is_a_file_in_every_format(exported):
    names = {path.name for path in (exported / FOLDER).iterdir()}
    panels = {name.rpartition(".")[0] for name in names}
    assert {"runtime-01", "preservation-01"} <= panels
    assert names == {f"{panel}.{kind}" for panel in panels for kind in START}
    for path in (exported / FOLDER).iterdir():
        assert path.read_bytes().startswith(START[path.suffix[1:]])


def test_a_file_names_its_curves(exported):
    text = (exported / FOLDER / "runtime-01.svg").read_text(encoding="utf-8")
    for name in ("nullspace:a$b$", "symmetry", "as many SGD steps"):
        assert f">{name}</text>" in text


def test_the_page_is_the_same_with_and_without_files(exported, tmp_path):
    page = (exported / "report.html").read_bytes()
    write_report(exported)
    assert (exported / "report.html").read_bytes() == page


def test_formats_are_read_and_others_refused():
    assert formats("svg, png,svg") == ["svg", "png"]
    with pytest.raises(SpecError, match=r"among svg, pdf, png; got gif: write for example"):
        formats("svg,gif")
    with pytest.raises(SpecError, match="got none"):
        formats(",")


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path):
    directory = synthetic.write(tmp_path / "run", synthetic.cells()[:4])
    (tmp_path / "elsewhere").mkdir()
    (directory / FOLDER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="which may lead anywhere"):
        write_report(directory, figures=["svg"])
    assert list((tmp_path / "elsewhere").iterdir()) == []
