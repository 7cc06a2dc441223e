"""Counts in place of timing: a call of a model takes as long as it counts, a clock is not asked.

A factory returns a function of ``count``, which it calls once for each unit of its work. Models are
imported, and modules found, as by the real worker. CPU_MODEL, or a file of that name in the present
folder, is the machine.
"""

import json
import os
import random
import sys
from pathlib import Path

import bench

REAL = Path(__file__).parents[3]
bench.__path__[:] = [str(REAL / "bench")]

from bench.errors import BenchError  # noqa: E402
from bench.problems.user_code import imported  # noqa: E402
from bench.process.source_tree import import_from_tree, present_tree  # noqa: E402

UNIT_SECONDS = 0.002
NOISE = random.Random(0)
MODELS = {}


def main():
    import_from_tree()
    send({"event": "ready", "commands": ["environment", "open", "turn"]})
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "stop":
            return
        try:
            {"environment": environment, "open": opened, "turn": turn}[command["do"]](command)
        except Exception as error:
            status = "skipped" if isinstance(error, BenchError) else "crashed"
            reason = str(error) if status == "skipped" else f"{type(error).__name__}: {error}"
            send({"event": "failed", "status": status, "reason": reason})
        send({"event": "done"})


def send(message):
    sys.stdout.write(json.dumps({"v": 1, **message}) + "\n")
    sys.stdout.flush()


def environment(_command):
    here = Path("CPU_MODEL")
    model = here.read_text() if here.exists() else os.environ.get("CPU_MODEL", "made up")
    facts = {"torch": "2.13.0", "cpu_model": model}
    send({"event": "environment", "device": "cpu", "environment": facts})


def opened(command):
    address = command["point"]["model"]
    name, _, function = address.rpartition(":")
    model = getattr(imported(name, address), function)()
    for cell in command["cells"]:
        if cell["method"] == "symmetry":
            refused = {"status": "skipped", "reason": "expected a stack of nn.Linear"}
            send({"event": "cell", "cell_id": cell["cell_id"], **refused})
        MODELS[cell["cell_id"]] = model
    strays = present_tree().strays(list(sys.modules.items()))
    send({"event": "opened", "sources": [str(REAL)], "strays": strays})


def turn(command):
    samples = []
    for _ in range(command["calls"]):
        units = []
        MODELS[command["cell_id"]](lambda found=units: found.append(1))
        seconds = UNIT_SECONDS * len(units) * (1 + 0.01 * NOISE.random())
        samples.append({"clock": "wall", "seconds": seconds, "prepare_s": 0.0, "steps_s": seconds})
    send({"event": "sample", "cell_id": command["cell_id"], "samples": samples})


if __name__ == "__main__":
    main()
