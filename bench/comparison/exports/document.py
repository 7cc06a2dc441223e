"""A comparison as JSON with a schema version, and back."""

import json
from math import isfinite, nan
from pathlib import Path
from typing import Any

from bench.comparison.judgement import Judgement
from bench.comparison.outcome import Outcome
from bench.comparison.verdicts import CellComparison, Verdict
from bench.errors import SpecError
from bench.statistics.medians import Estimate

SCHEMA = 1
KIND = "comparison"

_PLAIN = ("cell_id", "label", "paired", "base_count", "head_count", "reason")
_NUMBERS = ("p_value", "min_effect", "base_median", "head_median")
_FACTS = ("base", "head", "strict", "environment", "benchmark", "command", "when")


def dumps(outcome: Outcome) -> str:
    """The text of ``gate.json``."""
    document = {
        "schema": SCHEMA,
        "kind": KIND,
        **{name: getattr(outcome, name) for name in _FACTS},
        "exit_code": outcome.exit_code,
        "headline": outcome.headline,
        "cells": [cell_of(judgement) for judgement in outcome.judgements],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def cell_of(judgement: Judgement) -> dict[str, Any]:
    """A cell's verdict and numbers; what is not a number is null."""
    comparison = judgement.comparison
    estimate = comparison.ratio
    return {
        **{name: getattr(comparison, name) for name in _PLAIN},
        "verdict": comparison.verdict.name,
        "clock": judgement.clock,
        "ratio": _number(estimate.value),
        "ratio_low": _number(estimate.low),
        "ratio_high": _number(estimate.high),
        "ratios": estimate.count,
        **{name: _number(getattr(comparison, name)) for name in _NUMBERS},
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


def loads(text: str, name: str) -> Outcome:
    """Read what ``dumps`` wrote; an error calls it ``name``.

    Raises:
        SpecError: no such document, or one of a later version.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise SpecError(f"expected the JSON of a comparison in {name}; {error}") from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise SpecError(f"expected the JSON of a comparison in {name}; got another kind of JSON")
    if document.get("schema") != SCHEMA:
        raise SpecError(
            f"expected schema {SCHEMA} in {name}; got {document.get('schema')!r}: use the version "
            "of teleport-bench that wrote it"
        )
    try:
        judgements = [_judgement(cell) for cell in document["cells"]]
        return Outcome(judgements=judgements, **{fact: document[fact] for fact in _FACTS})
    except KeyError as error:
        raise SpecError(f"expected {error} in {name}; it is missing: restore the file") from None


def load(path: Path) -> Outcome:
    """Read a file; see ``loads``."""
    return loads(path.read_text(encoding="utf-8"), path.name)


def _judgement(cell: dict[str, Any]) -> Judgement:
    value, low, high = (_read(cell[name]) for name in ("ratio", "ratio_low", "ratio_high"))
    facts: dict[str, Any] = {name: cell[name] for name in _PLAIN}
    facts |= {name: _read(cell[name]) for name in _NUMBERS}
    comparison = CellComparison(
        verdict=Verdict[cell["verdict"]],
        ratio=Estimate(value, low, high, cell["ratios"]),
        **facts,
    )
    return Judgement(comparison, cell["clock"])


def _read(value: float | None) -> float:
    return nan if value is None else value
