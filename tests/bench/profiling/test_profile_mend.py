"""Names with quotes in a trace, as torch writes them and as JSON wants them."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import record_function

from bench.plan.profiles import Detail
from bench.profiling.mend import mend
from bench.profiling.record import Call, record
from bench.profiling.trace import load

# What torch makes of a name: others than these it writes as numbers, without quotes.
NAMES = {
    'part "a"': 'part "a"', '"': '"', 'a\\"b': 'a/"b', "back\\slash": "back/slash",
    '", "pid": 3': '", "pid": 3', 'end",': 'end",',
}  # fmt: skip


def ranged(name: str) -> Callable[[], Any]:
    def run() -> Any:
        with record_function(name):
            return torch.ones(2)

    return run


@pytest.mark.parametrize("name", [*NAMES, "tab\there", "umlaut ü"])
def test_a_range_of_any_name_is_found_under_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.trace.json.gz"

    record(Call(ranged(name), lambda _: None), path, "cpu", Detail())

    found = {event.get("name") for event in load(path)["traceEvents"]}
    assert name not in NAMES or NAMES[name] in found


def test_a_file_whose_name_holds_quotes_is_no_harm(tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    source = "def made(torch):\n    return torch.ones(2) + 1\n"
    exec(compile(source, 'made "by hand".py', "exec"), scope)
    path = tmp_path / "a.trace.json.gz"

    record(Call(lambda: scope["made"](torch), lambda _: None), path, "cpu", Detail(stacks=True))

    names = [str(event.get("name")) for event in load(path)["traceEvents"]]
    assert any(name.startswith('made "by hand".py(1): made') for name in names)


def test_fields_in_one_line_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    line = '"ph": "X", "cat": "cpu_op", "name": "say "hi", twice", "pid": 3, "tid": "x"'
    path.write_bytes(gzip.compress(f'{{"traceEvents": [{{\n{line}\n}}]}}'.encode()))

    mend(path)

    (event,) = load(path)["traceEvents"]
    assert (event["name"], event["pid"], event["tid"]) == ('say "hi", twice', 3, "x")


def test_a_file_that_is_json_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b'{"traceEvents": []}'))
    before = path.read_bytes()
    mend(path)
    assert path.read_bytes() == before
