"""TensorBoard with torch-tb-profiler really reads what we write, and its page shows it."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cuda_trace
import pytest
from chromium import Chromium, Visit, browser

from bench.plan.profiles import Detail
from bench.profiling.convert import convert
from bench.profiling.record import Call, record

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("tensorboard", "torch_tb_profiler")),
    reason="needs the extra tensorboard",
)

PLUGIN = "data/plugin/pytorch_profiler"
PATIENCE = 120.0

Get = Callable[..., Any]


def recorded(folder: Path) -> Path:
    """A really recorded trace of a teleport."""
    from small_problems import classification
    from torch import nn

    from teleport_core import make

    here = classification([20, 24, 24, 3], 8, lambda: nn.LeakyReLU(0.1), bias=False)
    teleporter = make("nullspace", engine="textbook", steps=2, lr=1e-6)
    call = Call(lambda: teleporter.prepare(here), lambda state: teleporter.advance(here, state))
    path = folder / "cell.trace.json.gz"
    record(call, path, "cpu", Detail())
    return path


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """TensorBoard's; it has a recorded run, and a CUDA trace as it was and converted."""
    root = tmp_path_factory.mktemp("tensorboard")
    logs = root / "logs"
    convert(recorded(root), logs / "teleport", "cpu_0")
    raw = cuda_trace.write(logs / "raw" / "cuda_0.pt.trace.json")
    convert(raw, logs / "converted", "cuda_0")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logs), "--port", "0"]
    with (root / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1"],
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(root)},
        )
        try:
            yield listening(root / "log", server)
        finally:
            server.terminate()
            server.wait(30)
            shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def get(address: str) -> Get:
    """Asks the plugin."""
    return lambda path, **query: ask(f"{address}{PLUGIN}/{path}", query)


def listening(log: Path, server: subprocess.Popen[bytes]) -> str:
    """The address that TensorBoard prints."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = re.search(r"TensorBoard \S+ at (http://\S+/)", log.read_text())
        if found:
            return found.group(1)
        assert server.poll() is None, log.read_text()
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def ask(address: str, query: dict[str, str]) -> Any:
    request = f"{address}?{urllib.parse.urlencode(query)}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE) as answer:
        body = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
    return json.loads(body)


@pytest.fixture(scope="module")
def runs(get: Get) -> list[str]:
    """The runs, once all of them are loaded."""
    end = time.monotonic() + PATIENCE
    found: dict[str, Any] = {"runs": []}
    while time.monotonic() < end:
        found = get("runs")
        if len(found["runs"]) == 3:
            break
        time.sleep(0.5)
    names: list[str] = found["runs"]
    return names


def place(run: str) -> dict[str, str]:
    worker = "cpu_0" if run == "teleport" else "cuda_0"
    return {"run": run, "worker": worker, "span": "default"}


def operators(get: Get, run: str) -> dict[str, dict[str, Any]]:
    table = get("operation/table", group_by="Operation", **place(run))
    return {row["name"]: row for row in table["data"]}


def test_every_directory_is_a_run(runs: list[str], get: Get) -> None:
    assert runs == ["converted", "raw", "teleport"]
    assert {"Overview", "Operator", "Trace", "Memory"} <= set(get("views", run="teleport"))
    assert get("workers", run="teleport", view="Overview") == ["cpu_0"]


def test_the_overview_of_a_recorded_run_has_its_three_steps(runs: list[str], get: Get) -> None:
    overview = get("overview", **place("teleport"))

    assert [row[0] for row in overview["steps"]["rows"]] == ["2", "3", "4"]
    names = [row["name"] for row in overview["performance"][0]["children"]]
    assert "CPU Exec" in names
    assert overview["performance"][0]["value"] > 0


def test_operators_and_phases_of_a_recorded_run_have_time(runs: list[str], get: Get) -> None:
    table = operators(get, "teleport")

    for name in ("aten::mm", "aten::linalg_svd", "phase: basis", "phase: double backward"):
        assert table[name]["host_total_duration"] > 0, name


def test_the_trace_and_the_memory_of_a_recorded_run_are_there(runs: list[str], get: Get) -> None:
    trace = get("trace", **place("teleport"))
    names = {event["name"] for event in trace["traceEvents"]}

    assert {"aten::linalg_svd", "phase: basis", "call: steps", "ProfilerStep#2"} <= names
    assert get("memory", **place("teleport"))["rows"]["CPU"]


def test_cuda_operators_have_device_time_after_the_conversion_and_none_before(
    runs: list[str], get: Get
) -> None:
    before, after = operators(get, "raw"), operators(get, "converted")
    calls = cuda_trace.CALLS

    assert {row["device_total_duration"] for row in before.values()} == {0}
    assert after["aten::mm"]["device_self_duration"] == calls * cuda_trace.KERNELS[0]
    assert after["aten::linear"]["device_total_duration"] == calls * cuda_trace.KERNELS[0]
    assert after["MmBackward0"]["device_self_duration"] == calls * cuda_trace.KERNELS[1]
    assert after["aten::copy_"]["device_self_duration"] == calls * cuda_trace.COPY
    assert after["phase: forward"]["device_total_duration"] == calls * cuda_trace.KERNELS[0]
    assert "phase: forward" not in before


def test_steps_on_the_device_row_are_no_steps_of_their_own(runs: list[str], get: Get) -> None:
    def steps(run: str) -> list[str]:
        return [row[0] for row in get("overview", **place(run))["steps"]["rows"]]

    assert steps("converted") == ["2", "3", "4"]
    assert sorted(steps("raw")) == ["2", "2", "3", "3", "4", "4"]


def test_gpu_curves_are_part_of_a_trace_that_can_be_read(runs: list[str], get: Get) -> None:
    events = get("trace", **place("converted"))["traceEvents"]

    assert any(event["name"] == "GPU 0 Utilization" for event in events)
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|control"):
        get("trace", **place("raw"))


CHARTS = "https://www.gstatic.com/charts/loader.js"
POLYFILL = "https://cdnjs.cloudflare.com/ajax/libs/webcomponentsjs/0.7.24/webcomponents.min.js"
# The plugin lives in a frame of TensorBoard's page; it has three menus: runs, views, workers.
FRAME = "document.querySelector('iframe').contentDocument"
MENUS = f"{FRAME}.querySelectorAll('[aria-haspopup=listbox]')"
OPTIONS = f"[...{FRAME}.querySelectorAll('[role=option]')]"


@pytest.fixture(scope="module")
def page(
    address: str, runs: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visit]:
    """TensorBoard's page in a browser; a plain stand-in draws its charts, as Google is far away."""
    if browser() is None and not os.environ.get("CI"):
        pytest.skip("needs Chromium or Chrome on the PATH")
    charts = (Path(__file__).parents[2] / "google_charts.js").read_text()
    with (
        Chromium(tmp_path_factory.mktemp("browser")) as chromium,
        chromium.visiting(f"{address}#pytorch_profiler", {CHARTS: charts}) as visit,
    ):
        yield visit


def look_at(page: Visit, run: str, view: str) -> None:
    """Go to a view by way of another one, so that nothing of an earlier look is left."""
    choose(page, 0, run)
    choose(page, 1, "Trace")
    choose(page, 1, view)


def choose(page: Visit, menu: int, name: str) -> None:
    """Pick an entry of a menu."""
    press = "new MouseEvent('mousedown', {bubbles: true, button: 0})"
    page.until(f"{MENUS}[{menu}].dispatchEvent({press})")
    entry = f"{OPTIONS}.find((option) => option.innerText === '{name}')"
    page.until(f"({entry}.click(), true)")
    page.until(f"{MENUS}[{menu}].innerText === '{name}' && {OPTIONS}.length === 0")


def drawn(page: Visit, kind: str) -> list[dict[str, Any]]:
    """The charts of a kind, once there are any."""
    charts = f"[...{FRAME}.querySelectorAll('[data-chart]')].map((one) => one.dataset.chart)"
    wanted = f"{charts}.map(JSON.parse).filter((one) => one.kind === '{kind}')"
    found: list[dict[str, Any]] = page.until(f"((found) => found.length && found)({wanted})")
    return found


def values(chart: dict[str, Any]) -> dict[str, float]:
    return {row[0]: row[1] for row in chart["rows"]}


def test_the_page_draws_the_steps_of_a_recorded_run(page: Visit) -> None:
    look_at(page, "teleport", "Overview")

    (steps,) = drawn(page, "SteppedAreaChart")
    assert [row[0] for row in steps["rows"]] == ["2", "3", "4"]
    at = steps["columns"].index("CPU Exec")
    assert all(row[at] > 0 for row in steps["rows"])
    assert page.errors == []


def test_the_page_draws_the_operators_and_phases_of_a_recorded_run(page: Visit) -> None:
    look_at(page, "teleport", "Operator")

    own, total = drawn(page, "PieChart")
    assert min(values(own).values()) > 0
    assert "phase: double backward" in values(total)
    assert page.errors == []


def test_the_page_draws_the_memory_of_a_recorded_run(page: Visit) -> None:
    look_at(page, "teleport", "Memory")

    (curve,) = drawn(page, "LineChart")
    assert max(row[1] for row in curve["rows"]) > 0
    assert page.errors == []


def test_the_page_draws_the_kernels_of_a_converted_cuda_trace(page: Visit) -> None:
    look_at(page, "converted", "GPU Kernel")

    times = values(drawn(page, "PieChart")[0])
    calls = cuda_trace.CALLS
    assert sorted(times.values()) == sorted(calls * time for time in cuda_trace.KERNELS)
    assert page.errors == []


def test_the_page_asks_the_web_for_two_scripts_alone(page: Visit) -> None:
    """As the README says: Google's charts, and one for the trace."""
    look_at(page, "teleport", "Overview")

    assert drawn(page, "SteppedAreaChart")  # drawn by the script that was asked for
    assert set(page.refused) == {POLYFILL}
