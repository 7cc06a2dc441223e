"""A comparison as JUnit XML: a testcase a cell."""

import re
from xml.etree import ElementTree as ET

from bench.comparison.exports.text import ratio, row
from bench.comparison.judgement import Judgement
from bench.comparison.outcome import Outcome
from bench.comparison.verdicts import Verdict

SUITE = "teleport-bench"

_ERRORS = (Verdict.BROKEN, Verdict.MISSING, Verdict.NOT_COMPARABLE)
# XML 1.0 cannot hold these at all, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def dumps(outcome: Outcome) -> str:
    """SLOWER is a failure, a cell without a time an error; AMBIGUOUS is skipped unless strict."""
    suite = ET.Element("testsuite", name=SUITE)
    counts = dict.fromkeys(("failure", "error", "skipped"), 0)
    for judgement in outcome.judgements:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"{SUITE}.gate",
            name=_clean(judgement.comparison.label),
            time=_time(judgement.comparison.head_median),
        )
        kind = _kind(judgement.verdict, strict=outcome.strict)
        if kind:
            counts[kind] += 1
            found = ET.SubElement(case, kind, message=_clean(_message(judgement)))
            if kind != "skipped":
                found.set("type", judgement.verdict.name)
        output = ET.SubElement(case, "system-out")
        output.text = _clean(" | ".join(row(judgement)))
    suite.set("tests", str(len(outcome.judgements)))
    suite.set("failures", str(counts["failure"]))
    suite.set("errors", str(counts["error"]))
    suite.set("skipped", str(counts["skipped"]))
    ET.indent(suite)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'


def _kind(verdict: Verdict, *, strict: bool) -> str:
    if verdict is Verdict.SLOWER or (strict and verdict is Verdict.AMBIGUOUS):
        return "failure"
    if verdict in _ERRORS:
        return "error"
    return "skipped" if verdict in (Verdict.AMBIGUOUS, Verdict.NEW) else ""


def _message(judgement: Judgement) -> str:
    comparison = judgement.comparison
    words = comparison.reason or comparison.verdict.value
    measured = ratio(comparison.ratio)
    return words if measured == "-" else f"{measured}: {words}"


def _time(seconds: float) -> str:
    return f"{seconds:.9f}" if seconds == seconds else "0"  # noqa: PLR0124  (NaN: no time)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
