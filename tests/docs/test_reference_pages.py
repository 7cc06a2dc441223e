"""The reference has a line for every column, field, phase and exit code, and no line too many."""

import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import synthetic_run as synthetic

from bench import errors
from bench.claims.ledger import ledger
from bench.storage.records import KINDS
from reports.report import tables_of
from teleport_core import phases

ROOT = Path(__file__).parents[2]
RECORDED = sorted((ROOT / "results").glob("**/*.csv"))


@pytest.fixture
def dictionary(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "reference"), *sys.path])
    return import_module("dictionary")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "reference"), *sys.path])
    return import_module("settings")


def test_every_column_and_field_has_a_line_and_every_line_a_name(dictionary, monkeypatch) -> None:
    words = dictionary.Words()
    monkeypatch.setattr(dictionary, "Words", lambda: words)
    columns, journal = dictionary.columns_page(), dictionary.journal_page()
    assert words.used == words.every()
    assert "| `median_s` | both phases of all batches, median over rounds in seconds |" in columns
    for tag in KINDS:
        assert f"\n## {tag}\n" in journal


def test_a_column_without_a_line_is_an_error(dictionary) -> None:
    with pytest.raises(KeyError, match="nothing_of_the_kind"):
        dictionary.Words().of("tables.runtime", "nothing_of_the_kind")


def test_every_file_that_a_report_writes_is_described(dictionary, tmp_path) -> None:
    """Also those that came from a GPU and from training: their columns are in the dictionary."""
    described = dictionary.csv_types()
    written = tables_of(synthetic.write(tmp_path / "run", synthetic.records()))
    for name, table in written.items():
        assert tuple(table.columns) == described[name].__struct_fields__, name
    for path in RECORDED:
        first = path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")
        if path.stem in described:
            assert set(first) <= set(described[path.stem].__struct_fields__), path


def test_links_to_parts_of_a_record_lead_somewhere(dictionary) -> None:
    journal = dictionary.journal_page()
    headings = {line[3:].lower() for line in journal.split("\n") if line.startswith("## ")}
    assert set(re.findall(r"\]\(#(\w+)\)", journal)) <= headings


def test_every_option_of_every_command_is_shown(settings) -> None:
    page = settings.commands_page()
    assert "Error" not in page
    for name in ("--axis", "--resume", "--strict", "--calibration", "--data-dir", "--optimizer"):
        assert name in page


def test_every_key_of_a_spec_is_shown_with_words(settings) -> None:
    page = settings.spec_page()
    assert "`minimum_effect` | ratios of time nearer to 1 count as the same. | `0.05`" in page
    wordless = re.findall(r"^\| `(\w+)` \|  \|", page, re.M)
    assert set(wordless) <= {"d", "n", "l", "dataset"}


def test_phases_and_exit_codes_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "reference" / "phases.md").read_text(encoding="utf-8")
    marked = {each.name for each in vars(phases).values() if isinstance(each, phases.Phase)}
    assert len(marked) > 8
    assert marked <= set(re.findall(r"^\| ([a-z][a-z -]+) \|", text, re.M))
    codes = (ROOT / "docs" / "reference" / "exit_codes.md").read_text(encoding="utf-8")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    used = {str(getattr(kind, "exit_code", 2)) for kind in kinds} - {"None"}
    assert {code for code in used if code.isdigit()} <= set(
        re.findall(r"^\| (\d+) \|", codes, re.M)
    )


def test_every_claim_is_on_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "reference"), *sys.path])
    page = import_module("claims").claims_page()
    for source in ledger():
        assert source.title in page
        for claim in source.claim:
            assert f"`{claim.command}`" in page
    assert all(line.count(" | ") == 3 for line in page.split("\n") if line.startswith("| <a"))
