"""The section on where the time goes, from made-up profiles whose shares are known."""

import csv
import json
import math
import re

import pytest
import synthetic_run as synthetic
from msgspec.structs import replace
from page_reading import Page

from bench.errors import JournalError
from reports import write_report
from reports.profile.bars import BAR_WIDTH
from reports.tables.roofline import roof_of, share

PHASES = {
    "sgd": {"forward": 0.3, "backward": 0.6, "update": 0.1},
    "nullspace": {"basis": 0.25, "backward": 0.3, "tangent": 0.3, "update": 0.15},
    "symmetry:published=true": {"pseudo-inverse": 0.6, "double backward": 0.38, "own <b>": 0.02},
}
SECONDS = {"sgd": 0.001, "nullspace": 0.004, "symmetry:published=true": 0.1}
ROOF = {
    "copy_bytes_per_s": 1e10,
    "matmul_flop_per_s": 4e10,
    "thin_matmul_flop_per_s": 1e10,
    "matmul_size": 1024,
    "thin_matmul_size": [128, 128, 32],
    "roofline_device": "cpu",
    "roofline_dtype": "float32",
}


def usage(seconds, device=0.0):
    return {
        "calls": 2.0,
        "self_cpu_s": seconds,
        "total_cpu_s": seconds,
        "self_device_s": device,
        "total_device_s": device,
    }


def profile(variant, *, device=0.0, note="", **changes):
    seconds = SECONDS[variant]
    number = list(PHASES).index(variant)
    timed = [
        {"phase": name, "calls": 2, "self_s": part * seconds, "total_s": part * seconds}
        for name, part in PHASES[variant].items()
    ]
    traced = {
        "calls": 3,
        "call_s": 2 * seconds,
        "device_s": device or None,
        "device_busy": 0.25 if device else None,
        "launched": 80.0,
        "launched_in_steps": 64.0,
        "memory_peaks": {"cpu": 2**20, **({"cuda:0": 2**21} if device else {})},
        "phases": [{"phase": p["phase"], **usage(p["self_s"], device)} for p in timed],
        "operators": [
            {"phase": "forward", "operator": "aten::mm", **usage(seconds / 2, device)},
            {"phase": "basis", "operator": "aten::svd", **usage(seconds / 4)},
        ],
    }
    return {
        "schema": 1,
        "kind": "profile",
        "unit": "u",
        "of": 3,
        "cell_id": f"p{number}",
        "method": variant.split(":")[0],
        "variant": variant,
        **synthetic.SETTING,
        **synthetic.BASE,
        "status": "ok",
        "reason": "",
        "seconds": seconds,
        "unwatched_s": seconds * 0.98,
        "phases": timed,
        "traced": traced,
        "operations": 2_000_000,
        "bytes": 1_000_000,
        "note": note,
        "raw_trace": f"profiles/raw/{number}.trace.json.gz",
        "tensorboard": f"profiles/tensorboard/{number}",
        **changes,
    }


def report(tmp_path, records, environment=None):
    directory = synthetic.write(tmp_path / "run", records)
    facts = environment if environment is not None else ROOF
    (directory / "environment.json").write_text(json.dumps(facts))
    return directory, Page(write_report(directory).read_text(encoding="utf-8"))


def table(directory, name):
    with (directory / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def profiled(tmp_path):
    records = [*synthetic.cells(), *(profile(variant) for variant in PHASES)]
    return report(tmp_path, records)


def spaced(text):
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def cells_of(page):
    """All that is printed, a blank between any two pieces."""
    return spaced(" ".join(" ".join(page.text).split()))


def bars(directory):
    html = (directory / "report.html").read_text(encoding="utf-8")
    (section,) = re.findall(r'<section id="profile">(.*?)</section>', html, re.DOTALL)
    (stacks,) = re.findall(r'<dl class="stacks">(.*?)</dl>', section, re.DOTALL)
    return re.findall(r"<dd>(.*?)</dd>", stacks, re.DOTALL)


def test_a_bar_per_variant_is_as_long_as_its_call(profiled):
    directory, _ = profiled

    found = bars(directory)

    assert len(found) == 3
    longest = max(SECONDS.values())
    for bar, seconds in zip(found, SECONDS.values(), strict=True):
        pieces = [
            (float(x), float(width))
            for x, width in re.findall(r'<rect x="(\S+)" width="(\S+)"', bar)
        ]
        wanted = BAR_WIDTH * seconds / longest
        assert sum(width for _, width in pieces) == pytest.approx(wanted, abs=0.1)
        ends = [x + width for x, width in pieces]
        assert [x for x, _ in pieces[1:]] == pytest.approx(ends[:-1], abs=0.05)


def test_phases_are_as_wide_as_their_share_and_named_where_they_fit(profiled):
    directory, _ = profiled

    published = bars(directory)[2]

    assert 'width="360.0" height="24" fill="#d9730d"' in published
    assert ">pseudo-inverse 60 %</text>" in published
    assert ">double backward 38 %</text>" in published
    assert published.count("<text") == 2
    assert "<title>own &lt;b&gt; 2.00" in published
    assert "<b>" not in published


def test_the_share_of_the_decomposition_is_said_first(profiled):
    _, page = profiled

    said = "Basis: 25.0 % of nullspace. Pseudo-inverse: 60.0 % of symmetry:published=true."
    assert said in spaced(page.words)


def test_several_variants_share_the_sentence_of_a_phase(tmp_path):
    other = profile("nullspace") | {"variant": "nullspace:x", "cell_id": "x"}
    _, page = report(tmp_path, [profile("nullspace"), other])

    assert "Basis: 25.0 % of nullspace and 25.0 % of nullspace:x." in spaced(page.words)


def test_a_bar_is_put_into_words(profiled):
    _, page = profiled

    labels = [spaced(attrs.get("aria-label", "")) for attrs in page.all("svg")]
    assert "sgd: forward 30.0 %, backward 60.0 %, update 10.0 %" in labels


def test_traces_are_linked_and_the_command_is_given(profiled):
    _, page = profiled

    links = [attrs["href"] for attrs in page.all("a")]
    assert [link for link in links if link.startswith("profiles/")] == [
        f"profiles/raw/{number}.trace.json.gz" for number in range(3)
    ]
    assert "tensorboard --logdir run/profiles/tensorboard" in page.words
    assert {"profile.csv", "profile_phases.csv", "profile_operators.csv"} <= set(links)
    assert "style" not in {name for _, attrs in page.tags for name in attrs}


def test_tables_hold_every_cell_phase_and_operator(profiled):
    directory, _ = profiled

    cells = table(directory, "profile")
    assert [cell["variant"] for cell in cells] == list(PHASES)
    phases = table(directory, "profile_phases")
    for variant, shares in PHASES.items():
        own = {p["phase"]: float(p["share"]) for p in phases if p["variant"] == variant}
        assert own == pytest.approx(shares)
        assert list(own.values()) == sorted(own.values(), reverse=True)
    operators = table(directory, "profile_operators")
    assert [o["operator"] for o in operators[:2]] == ["aten::mm", "aten::svd"]
    assert len(operators) == 6


def test_launches_are_told_per_call_and_per_teleport_step(profiled):
    _, page = profiled

    assert "80.0 8.00 1.00 MiB" in cells_of(page)


def test_a_device_has_its_own_columns(tmp_path):
    _, page = report(tmp_path, [profile("nullspace", device=0.0005)])

    words = cells_of(page)
    assert "device busy" in words
    assert "25.0 % 1.00 MiB 2.00 MiB" in words
    assert "500 µs" in words


def test_without_profiles_nothing_is_written_and_the_page_says_how(tmp_path):
    directory, page = report(tmp_path, synthetic.cells())

    assert not list(directory.glob("profile*"))
    assert "Nothing was profiled in this run: add --profile." in page.words


def test_a_run_of_profiles_alone_misses_no_cells(tmp_path):
    _, page = report(tmp_path, [profile("nullspace")])

    assert "1 cell profiled; nothing else was asked for." in page.words
    assert "The run is not finished" not in page.words
    assert "not measured" not in page.words
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert sections == ["profile", "environment", "failures", "reading", "repeat"]
    _, page = report(tmp_path / "other", [profile("nullspace"), synthetic.cells()[0]])
    assert "The run is not finished" in page.words


def test_a_cell_that_failed_is_among_the_failures_and_has_no_bar(tmp_path):
    lost = dict.fromkeys(("seconds", "unwatched_s", "phases", "traced", "raw_trace"))
    broken = profile("symmetry:published=true", status="oom", reason="no memory", **lost)
    directory, page = report(tmp_path, [profile("nullspace"), broken])

    assert len(bars(directory)) == 1
    assert "oom: no memory" in page.words
    assert [cell["status"] for cell in table(directory, "profile")] == ["ok", "oom"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"raw_trace": "javascript:alert(1)"}, r"profile record; .*\$\.raw_trace"),
        ({"raw_trace": "profiles/../../x"}, r"profile record; .*\$\.raw_trace"),
        ({"phases": [{"phase": "basis"}]}, r"profile record; .*`calls` .*\$\.phases\[0\]"),
        ({"traced": {"calls": 3}}, r"profile record; .*`call_s` .*\$\.traced"),
        ({"seconds": "long"}, r"profile record; .*\$\.seconds"),
    ],
)
def test_a_profile_that_is_none_is_refused_by_name(tmp_path, change, words):
    with pytest.raises(JournalError, match=words):
        report(tmp_path, [profile("nullspace", **change)])


@pytest.mark.parametrize("change", [{"seconds": 0}, {"traced": None}, {"phases": []}])
def test_a_profile_with_nothing_to_show_has_no_bar(tmp_path, change):
    directory, page = report(tmp_path, [profile("sgd"), profile("nullspace", **change)])

    assert len(bars(directory)) == 1
    assert "Where the time goes" in page.words


def test_a_cut_copy_is_said_on_the_page(tmp_path):
    note = "TensorBoard gets 2 of 3 steps, because more would pass 50 MB"
    _, page = report(tmp_path, [profile("nullspace", note=note)])

    assert f"nullspace: {note}." in page.words


def test_a_cell_profiled_twice_counts_once(tmp_path):
    twice = [profile("nullspace"), profile("nullspace", seconds=0.008)]
    directory, _ = report(tmp_path, twice)

    (cell,) = table(directory, "profile")
    assert cell["seconds"] == "0.008"


def test_shares_of_the_roofline_are_appended_to_the_runtime_table(tmp_path):
    cells = synthetic.cells()
    for cell in cells:
        cell["operations"], cell["bytes"] = 8_000_000, 2_000_000
    cells[1]["operations"] = None
    directory, page = report(tmp_path, cells)

    runtime = table(directory, "runtime")
    shares = ["operations_share", "bytes_share"]
    first = list(runtime[0]).index(shares[0])
    assert list(runtime[0])[first : first + 3] == [*shares, "operations_note"]
    for row in runtime:
        median = float(row["median_s"])
        assert float(row["bytes_share"]) == pytest.approx(2e6 / median / 1e10)
        if row["cell_id"] == cells[1]["cell_id"]:
            assert row["operations_share"] == ""
        else:
            assert float(row["operations_share"]) == pytest.approx(8e6 / median / 4e10)
    words = cells_of(page)
    assert "are in runtime.csv, as operations_share and bytes_share" in words
    assert "This machine copies 10.0 GB/s (read and written) and multiplies" in words


@pytest.mark.parametrize("change", [{"roofline_dtype": "float64"}, {"roofline_device": "cuda"}])
def test_rates_of_another_dtype_or_device_are_not_compared_with(change):
    (cell,) = synthetic.structs(synthetic.cells()[:1])
    cell = replace(cell, operations=4_000_000_000)

    assert share(roof_of(ROOF), cell, "operations_share", 1.0) == pytest.approx(0.1)
    assert share(roof_of({**ROOF, **change}), cell, "operations_share", 1.0) != pytest.approx(0.1)


def test_a_rate_of_nothing_is_no_rate():
    (cell,) = synthetic.structs(synthetic.cells()[:1])
    cell = replace(cell, bytes=4_000_000_000)

    found = share(roof_of({**ROOF, "copy_bytes_per_s": 0}), cell, "bytes_share", 1.0)

    assert math.isnan(found)


def test_a_machine_that_was_not_measured_leaves_the_columns_empty(tmp_path):
    directory, page = report(tmp_path, synthetic.cells(), environment={"torch": "2"})

    assert {row["bytes_share"] for row in table(directory, "runtime")} == {""}
    assert "This machine copies" not in page.words
