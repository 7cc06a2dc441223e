"""A report of hostile strings in a real browser: no script of theirs runs, nothing is asked for."""

import html
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import synthetic_run as synthetic
from chromium import Chromium, browser

from reports import write_report

if browser() is None and not os.environ.get("CI"):
    pytest.skip("needs Chromium or Chrome on the PATH", allow_module_level=True)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    assert browser(), "expected chromium or google-chrome on the PATH; there is none: install one"
    with Chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def server():
    """Its address, and the paths that anybody asked it for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}", asked
    serving.shutdown()
    thread.join()
    serving.server_close()


def attacks(address):
    """Each would do something if the page took it for more than text."""
    return [
        "<script>alert(1)</script>",
        "</style></script><script>fetch('" + address + "/fetch')</script>",
        f'"><img src="{address}/img" onerror="alert(2)">',
        "' autofocus onfocus='alert(3)' x='",
        f'<link rel="stylesheet" href="{address}/css"><meta http-equiv="refresh" '
        f'content="0;url={address}/refresh">',
        "<svg onload=alert(4)><animate onbegin=alert(5) attributeName=x dur=1s>",
        f'<iframe srcdoc="<script>parent.alert(6)</script>" src="{address}/frame"></iframe>',
        f"<base href='{address}/'><style>@import url({address}/import)</style>",
        "javascript:alert(7)",
        f"--></title></textarea><body onload=alert(8) background={address}/body>",
        "{{ self.__init__.__globals__ }}{% for x in y %}",
        "<details open ontoggle=alert(9)><input autofocus onfocus=alert(10)>",
    ]


def hostile_run(directory, texts):
    """Every text stands in every field that can hold one."""
    records = []
    base = synthetic.cells()
    for number, text in enumerate(map("".join, zip(*[iter(texts)] * 3, strict=True))):
        cell = {**base[4 * number + 1], "model": text, "dataset": text, "device": text}
        records += [
            {**base[4 * number], "model": text, "dataset": text, "device": text},
            {**cell, "variant": f"nullspace:{text}", "memory_note": text, "flags": [text]},
            {
                **synthetic.broken(cell, "crashed", text),
                "cell_id": f"{text}{number}",
                "variant": text,
                "method": text,
            },
            {**synthetic.preservation("nullspace", 1.0, 1e-7, 4.0), "variant": text, "start": text},
            {**synthetic.spectrum("0.weight", 1, 8, 0.5), "layer": text, "model": text},
        ]
    synthetic.write(directory, records)
    command = "".join(texts).replace("\\", "").replace('"', "'")
    (directory / "spec.toml").write_text(f'command = "{command}"\n', encoding="utf-8")
    return directory


def test_a_report_of_hostile_strings_runs_nothing_and_asks_for_nothing(chromium, server, tmp_path):
    address, asked = server
    page = write_report(hostile_run(tmp_path / "run", attacks(address)))
    text = page.read_text(encoding="utf-8")
    # They are in the page, as text.
    assert "alert(2)" in text
    assert f"{address}/frame" in html.unescape(text)

    seen = chromium.opened(page)

    assert seen.title
    assert (seen.console, seen.errors, seen.dialogs) == ([], [], [])
    assert seen.requests == []
    assert len(seen.scripts) <= 1  # the page's own
    assert asked == []


def test_the_listener_hears_what_an_attack_does(chromium, server, tmp_path):
    address, asked = server
    page = tmp_path / "page.html"
    body = "".join(f"<p>{attack}</p>" for attack in attacks(address)[:3])
    page.write_text(f"<!doctype html><title>open</title>{body}", encoding="utf-8")

    seen = chromium.opened(page)

    assert "called alert" in seen.console
    assert "called fetch" in seen.console
    assert f"{address}/img" in seen.requests
    assert "/img" in asked
    assert seen.scripts


def test_an_ordinary_report_opens_without_a_complaint(chromium, run_dir):
    seen = chromium.opened(run_dir / "report.html")

    assert seen.title
    assert (seen.console, seen.errors, seen.dialogs, seen.requests) == ([], [], [], [])
    assert len(seen.scripts) == 1
