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

_NUMBERS = ("p_value", "min_effect", "base_median", "head_median")
_FACTS = ("base", "head", "strict", "environment", "benchmark", "command", "when")


def dumps(outcome: Outcome) -> str:
    """The text of ``gate.json``; what is not a number is null."""
    document = {
        "schema": SCHEMA,
        "kind": KIND,
        **{name: getattr(outcome, name) for name in _FACTS},
        "exit_code": outcome.exit_code,
        "headline": outcome.headline,
        "cells": [_cell(judgement) for judgement in outcome.judgements],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _cell(judgement: Judgement) -> dict[str, Any]:
    comparison = judgement.comparison
    estimate = comparison.ratio
    return {
        "cell_id": comparison.cell_id,
        "label": comparison.label,
        "verdict": comparison.verdict.name,
        "clock": judgement.clock,
        "ratio": _number(estimate.value),
        "ratio_low": _number(estimate.low),
        "ratio_high": _number(estimate.high),
        "ratios": estimate.count,
        "paired": comparison.paired,
        "base_count": comparison.base_count,
        "head_count": comparison.head_count,
        "reason": comparison.reason,
        **{name: _number(getattr(comparison, name)) for name in _NUMBERS},
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


def loads(text: str, name: str) -> Outcome:
    """Read what ``dumps`` wrote, in any schema version so far.

    Args:
        text: the document.
        name: what to call it in an error.

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
    comparison = CellComparison(
        cell_id=cell["cell_id"],
        label=cell["label"],
        verdict=Verdict[cell["verdict"]],
        ratio=Estimate(value, low, high, cell["ratios"]),
        paired=cell["paired"],
        base_count=cell["base_count"],
        head_count=cell["head_count"],
        reason=cell["reason"],
        **{name: _read(cell[name]) for name in _NUMBERS},
    )
    return Judgement(comparison, cell["clock"])


def _read(value: float | None) -> float:
    return nan if value is None else value
