"""Coverage-guided fuzzing of every reader of foreign input; see ``fuzz_targets``.

    python tests/fuzz/fuzz_parsers.py             every target, ten minutes in all
    python tests/fuzz/fuzz_parsers.py SECONDS     every target, so long in all
    python tests/fuzz/fuzz_parsers.py NAME [libFuzzer's options]

An input that breaks a target is kept as ``crash-*`` in the present directory. Linux and macOS.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve()
for place in (HERE.parents[2], HERE.parents[1], HERE.parents[1] / "reports"):
    sys.path.insert(0, str(place))

import atheris  # noqa: E402

with atheris.instrument_imports(include=["bench", "reports"]):
    from fuzz_targets import SEEDS, TARGETS, TOKENS

from watching import watched  # noqa: E402

from bench.errors import BenchError  # noqa: E402

TEN_MINUTES = 600
# A minute-long input or one that takes gigabytes is a bug as well.
LIMITS = ("-timeout=20", "-rss_limit_mb=3000", "-max_len=8192", "-print_final_stats=1")


def fuzz(name, options):
    """One target until an option or a bug ends it, and this process with it."""
    place = Path(os.environ.get("FUZZ_PLACE") or tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus, folder = place / "corpus", place / "folder"
    corpus.mkdir()
    folder.mkdir()
    for number, seed in enumerate([*SEEDS[name], *TOKENS]):
        (corpus / str(number)).write_bytes(seed)

    def one_input(data):
        with watched(folder) as touched, suppress(BenchError):
            TARGETS[name](data, folder)
        assert touched == []

    atheris.Setup([sys.argv[0], *LIMITS, *options, str(corpus)], one_input)
    atheris.Fuzz()


def every(seconds):
    """Each target in a process of its own; the names of those that fell."""
    share = max(1, seconds // len(TARGETS))
    fallen = []
    for name in TARGETS:
        # libFuzzer ends its process without cleaning up.
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, str(HERE), name, f"-max_total_time={share}"]
            if subprocess.call(command, env={**os.environ, "FUZZ_PLACE": place}):
                fallen.append(name)
    print(f"{len(TARGETS)} targets, {share} s each; fallen: {', '.join(fallen) or 'none'}")
    return len(fallen)


if __name__ == "__main__":
    first = sys.argv[1] if len(sys.argv) > 1 else str(TEN_MINUTES)
    if first.isdigit():
        sys.exit(every(int(first)))
    fuzz(first, sys.argv[2:])
