"""The copy of a trace for the TensorBoard plugin."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import cuda_trace
import pytest

from bench.plan.points import Point
from bench.profiling.cells import trace_name
from bench.profiling.convert import convert

# What the plugin takes for a trace: a worker, perhaps a number, its ending.
PLUGIN_FILE = re.compile(r"^(.*?)(\.\d+)?\.pt\.trace\.json(?:\.gz)?$")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return cuda_trace.write(tmp_path / "raw" / "cell.trace.json")


def copied(path: Path | None) -> tuple[str, dict[str, Any]]:
    assert path is not None
    text = gzip.decompress(path.read_bytes()).decode()
    return text, json.loads(text)


def test_the_raw_trace_stays_as_it_is_and_is_no_run_of_the_plugin(
    raw: Path, tmp_path: Path
) -> None:
    before = raw.read_bytes()

    path, note = convert(raw, tmp_path / "cell", "cuda_0")

    assert raw.read_bytes() == before
    assert not PLUGIN_FILE.match(raw.name)
    assert path == tmp_path / "cell" / "cuda_0.pt.trace.json.gz"
    assert PLUGIN_FILE.match(path.name)
    assert note == ""
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_categories_are_those_that_the_plugin_knows(raw: Path, tmp_path: Path) -> None:
    before = cuda_trace.document()["traceEvents"]
    _, document = copied(convert(raw, tmp_path / "cell", "cuda_0").path)
    after = document["traceEvents"]
    count = Counter(event.get("cat") for event in before)
    now = Counter(event.get("cat") for event in after)
    steps = cuda_trace.CALLS

    assert now["runtime"] == count["cuda_runtime"] + count["cuda_driver"] == 3 * steps
    assert now["user_annotation"] == steps
    assert now["cpu_op"] == count["cpu_op"] + count["user_annotation"] - steps
    assert now["forward_backward"] == count["fwdbwd"] == 2 * steps
    assert now["gpu_user_annotation"] == count["gpu_user_annotation"] - steps
    for kept in ("kernel", "gpu_memcpy", "ac2g", "cpu_instant_event", None):
        assert now[kept] == count[kept]
    assert not {"cuda_runtime", "cuda_driver", "fwdbwd"} & set(now)


def test_the_last_bracket_closes_the_events(raw: Path, tmp_path: Path) -> None:
    """The plugin writes its curves in front of it; the raw trace has one in a path behind."""
    text, _ = copied(convert(raw, tmp_path / "cell", "cuda_0").path)
    curve = ', {"ph": "C"}]}'

    assert json.loads(text[: text.rindex("]")] + curve)["traceEvents"][-1] == {"ph": "C"}
    broken = raw.read_text()
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|control"):
        json.loads(broken[: broken.rindex("]")] + curve)


def test_nothing_names_the_host_or_a_path(raw: Path, tmp_path: Path) -> None:
    text, document = copied(convert(raw, tmp_path / "cell", "cuda_0").path)

    assert "somewhere" not in text
    assert "/tmp/" not in text
    assert list(document)[-1] == "traceEvents"
    assert document["deviceProperties"] == [cuda_trace.DEVICE]


def test_the_cap_leaves_trailing_steps_out_and_says_so(raw: Path, tmp_path: Path) -> None:
    text, whole = copied(convert(raw, tmp_path / "whole", "cuda_0").path)

    path, note = convert(raw, tmp_path / "cut", "cuda_0", cap=len(text) - 1)

    cut, document = copied(path)
    assert len(cut) < len(text)
    steps = [e["name"] for e in document["traceEvents"] if e["name"].startswith("ProfilerStep#")]
    assert steps == ["ProfilerStep#2", "ProfilerStep#3"]
    assert (
        note
        == f"TensorBoard gets 2 of 3 steps, because more would pass {(len(text) - 1) / 1e6:g} MB"
    )
    one = [e for e in whole["traceEvents"] if e.get("cat") == "kernel"][: 2 * 2]
    assert [e for e in document["traceEvents"] if e.get("cat") == "kernel"] == one


def test_where_no_step_fits_there_is_no_copy_and_a_word_for_it(raw: Path, tmp_path: Path) -> None:
    path, note = convert(raw, tmp_path / "cell", "cuda_0", cap=500)

    assert path is None
    assert note == "no step of the trace fits into 0.0005 MB, so there is no copy for TensorBoard"
    assert not (tmp_path / "cell").exists()


def test_an_earlier_copy_is_replaced_whole(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = convert(raw, tmp_path / "cell", "cuda_0")
    assert path is not None
    before = path.read_bytes()
    assert convert(raw, tmp_path / "cell", "cuda_0").path == path
    assert path.read_bytes() == before

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        convert(raw, tmp_path / "cell", "cuda_0")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_names_of_traces_are_safe_and_tell_cells_apart() -> None:
    point = Point(8, 64, 32, 3, 2, "mlp", "digits", "cpu", "float32")
    variant = "nullspace:engine=textbook,tau=.99,note=a]b/../c"

    name = trace_name(variant, point, "0123456789abcdef")

    assert name == "nullspace-engine-textbook-tau-.99-note-a-b-..-c-t8-d64-n32-l3-b2-012345"
    assert len(trace_name("x" * 1000, point, "0" * 16)) < 200
