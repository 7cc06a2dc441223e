"""A page in headless Chromium: what it shows, and everything it tries: scripts, requests, dialogs.

The browser is spoken to over two pipes (``--remote-debugging-pipe``), one JSON object at a time,
each ended by a zero byte; see https://chromedevtools.github.io/devtools-protocol/.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
STARTING = 60.0
SETTLING = 1.5

ENTER = """
import os, sys
_, commands, answers, *browser = sys.argv
os.dup2(int(commands), 3)
os.dup2(int(answers), 4)
os.execv(browser[0], browser)
"""
# Counted by the page itself, before any of its own scripts: what an attack would call.
WITNESS = """
for (const name of ["alert", "confirm", "prompt", "open", "fetch", "eval"])
  window[name] = () => console.error("called " + name);
"""


def browser():
    """The path of a Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Seen:
    """What a page did.

    Attributes:
        console: calls of console functions and log entries, as texts.
        errors: exceptions that no script caught.
        requests: addresses asked for, the page's own and data: left out.
        dialogs: alert and the like.
        title: of the document at the end; shows that it was read.
        scripts: script elements that the policy let in, by their beginning.
    """

    console: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    dialogs: list = field(default_factory=list)
    scripts: list = field(default_factory=list)
    title: str = ""


class Chromium:
    """One browser; use it as a context manager."""

    def __init__(self, profile):
        self._profile = profile

    def __enter__(self):
        theirs_in, ours_out = map(_high, os.pipe())
        ours_in, theirs_out = map(_high, os.pipe())
        # The browser reads from descriptor 3 and writes to 4; a root user has no sandbox.
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [
            *(sys.executable, "-c", ENTER, str(theirs_in), str(theirs_out), browser()),
            *("--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self._profile}"),
            *("--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", *flags),
            "--window-size=1280,900",
            *("--disable-background-networking", "--disable-component-update", "about:blank"),
        ]
        self._process = subprocess.Popen(
            command,
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = ours_in, ours_out
        self._rest = b""
        self._last = 0
        self._events = []
        return self

    def __exit__(self, *_):
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def opened(self, path):
        """What a file does within a moment after it was opened."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Debugger"):
            self._call(f"{domain}.enable", session)
        self._call("Page.addScriptToEvaluateOnNewDocument", session, source=WITNESS)
        self._events.clear()
        self._call("Page.navigate", session, url=path.as_uri())
        self._listen(SETTLING)
        asked = {"expression": "document.title", "returnByValue": True}
        title = self._call("Runtime.evaluate", session, **asked)["result"]["value"]
        seen = _seen(self._events, path.as_uri())
        seen.title = title
        self._call("Target.closeTarget", targetId=target)
        return seen

    @contextmanager
    def visiting(self, address, scripts):
        """A page of a server of ours; of others it gets ``scripts``, by address, and no more."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime"):
            self._call(f"{domain}.enable", session)
        self._call("Fetch.enable", session, patterns=[{"urlPattern": "https://*"}])
        self._events.clear()
        self._call("Page.navigate", session, url=address)
        try:
            yield Visit(self, session, scripts)
        finally:
            self._call("Target.closeTarget", targetId=target)

    def _call(self, method, session=None, **parameters):
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            for answer in self._received(1.0):
                if answer.get("id") == self._last:
                    assert "error" not in answer, answer
                    return answer["result"]
        raise TimeoutError(f"{method} was not answered")

    def _listen(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._received(left)

    def _received(self, seconds):
        if not select.select([self._in], [], [], seconds)[0]:
            return []
        *whole, self._rest = (self._rest + os.read(self._in, 2**20)).split(b"\0")
        messages = [json.loads(message) for message in whole]
        self._events += messages
        return messages


@dataclass
class Visit:
    """A page that is open."""

    chromium: Chromium
    session: str
    scripts: dict = field(repr=False)
    refused: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    def until(self, expression):
        """The value of a JavaScript expression once it is something; errors of it count as not."""
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            self.chromium._listen(0.1)
            self._react()
            asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
            answer = self.chromium._call("Runtime.evaluate", self.session, **asked)
            value = answer["result"].get("value")
            if value and "exceptionDetails" not in answer:
                return value
        raise TimeoutError(f"expected {expression} to become true; {self}")

    def screen(self, width, height, *, dark=False):
        """Give the page a screen of so many pixels and a colour scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        call = self.chromium._call
        call("Emulation.setDeviceMetricsOverride", self.session, **size)
        call("Emulation.setEmulatedMedia", self.session, features=[scheme])

    def _react(self):
        """Answer or refuse what the page wants of others; note its errors."""
        events = list(self.chromium._events)
        self.chromium._events.clear()
        for event in events:
            given = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                self.errors.append(given["exceptionDetails"])
            if event.get("method") != "Fetch.requestPaused":
                continue
            address, request = given["request"]["url"], {"requestId": given["requestId"]}
            if address in self.scripts:
                body = base64.b64encode(self.scripts[address].encode()).decode()
                kind = [{"name": "Content-Type", "value": "text/javascript"}]
                answer = {**request, "responseCode": 200, "responseHeaders": kind, "body": body}
                self.chromium._call("Fetch.fulfillRequest", self.session, **answer)
            else:
                self.refused.append(address)
                answer = {**request, "errorReason": "InternetDisconnected"}
                self.chromium._call("Fetch.failRequest", self.session, **answer)


def _high(descriptor):
    """Moved out of the way of 3 and 4."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


def _seen(events, own):
    seen = Seen()
    for event in events:
        given = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled":
                seen.console.append(" ".join(str(a.get("value")) for a in given["args"]))
            case "Log.entryAdded":
                seen.console.append(given["entry"]["text"])
            case "Runtime.exceptionThrown":
                seen.errors.append(given["exceptionDetails"]["text"])
            case "Network.requestWillBeSent":
                address = given["request"]["url"]
                if address != own and not address.startswith("data:"):
                    seen.requests.append(address)
            case "Page.javascriptDialogOpening":
                seen.dialogs.append(given["message"])
            case "Debugger.scriptParsed" if given["url"] == own:
                seen.scripts.append(given["startLine"])
    return seen
