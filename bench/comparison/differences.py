"""Why two measurements are not comparable: the facts that differ, each with both values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.comparison.judgement import Judgement
from bench.comparison.verdicts import Verdict
from bench.storage.mismatch import code_differences, environment_differences


def facts_differences(base: Mapping[str, Any], head: Mapping[str, Any]) -> list[str]:
    """Of two environments what keeps their times from being put beside each other."""
    return [*environment_differences(base, head), *code_differences(base, head)]


def explained(judgements: Iterable[Judgement], differences: Sequence[str]) -> list[Judgement]:
    """Judgements whose NOT COMPARABLE cells say what differs; keys stay where nothing is known."""
    reason = "; ".join(differences)
    return [
        replace(judgement, comparison=replace(judgement.comparison, reason=reason))
        if reason and judgement.verdict is Verdict.NOT_COMPARABLE
        else judgement
        for judgement in judgements
    ]
