"""A trace that torch's profiler wrote, as JSON: it does not escape quotes in names.

Names come from ranges of the model's own and, with stacks, from files and functions.
"""

import gzip
import json
import re
from pathlib import Path

# A name stands in a line of its own, or before the process it belongs to.
_BEFORE_PROCESS = re.compile(r'^(.*?"name": ")(.*)(", "pid": .*)$')
_ALONE = re.compile(r'^(\s*"name": ")(.*)("\s*,?\s*)$')
_ESCAPED_OR_QUOTE = re.compile(r'\\.|"')


def mend(path: Path) -> None:
    """Escape what torch left unescaped, in place; a file that is JSON stays as it is."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace")
    try:
        json.loads(text)
    except ValueError:
        lines = map(_escaped, text.split("\n"))
        path.write_bytes(gzip.compress("\n".join(lines).encode("utf-8"), compresslevel=1))


def _escaped(line: str) -> str:
    found = _ALONE.match(line) or _BEFORE_PROCESS.match(line)
    if found is None:
        return line
    before, name, after = found.groups()
    return before + _ESCAPED_OR_QUOTE.sub(_escape, name) + after


def _escape(found: "re.Match[str]") -> str:
    return '\\"' if found[0] == '"' else found[0]
