"""Measures nothing, in a few milliseconds a block.

Every cell that is finished is noted in the file WITNESS before the runner hears of it. FAULTS is
the share of cells that end in a fault; which cell has which is a function of its id and of LOT.
FAULTS_AT=24:raises,32:segfaults gives the blocks of these widths faults by name.
"""

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1


def main():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    send({"event": "ready", "waits": True})
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "stop":
            return
        if command["do"] == "environment":
            send({"event": "environment", "device": "cpu", "environment": {"torch": "stand-in"}})
        elif command["do"] == "block":
            block(command)
        send({"event": "done"})


def send(message):
    sys.stdout.write(json.dumps({"v": 1, **message}) + "\n")
    sys.stdout.flush()


def block(command):
    cells = list(command["cells"])
    steps = command["point"]["t"] * command["point"]["b"]
    for number in range(3):
        for cell in list(cells):
            send({"event": "note", "cell_id": cell["cell_id"]})
            time.sleep(0.001)
            fault = fault_at(cell, command["point"]) or fault_of(cell)
            if fault is not None and number == 1:
                fault(cell)
                cells.remove(cell)
                continue
            sample = {"round": number, "clock": "wall", "seconds": 0.3, "prepare_s": 0.1}
            samples = [{**sample, "steps_s": 0.2}]
            send({"event": "sample", "cell_id": cell["cell_id"], "samples": samples})
    for cell in cells:
        finish(cell, {"status": "ok", "reason": "", "steps_done": steps})


def finish(cell, facts):
    if not cell.get("reference"):
        witness = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(witness, f"{cell['cell_id']}\n".encode())
        os.close(witness)
    send({"event": "cell", "cell_id": cell["cell_id"], **facts})
    if not sys.stdin.readline():
        sys.exit("the runner has ended")


def fault_at(cell, point):
    named = dict(item.split(":") for item in os.environ.get("FAULTS_AT", "").split(",") if item)
    name = named.get(str(point["d"]))
    return globals()[name] if name and cell["method"] != "sgd" else None


def fault_of(cell):
    lot = random.Random(os.environ.get("LOT", "") + cell["cell_id"])
    share = float(os.environ.get("FAULTS", "0"))
    if cell["method"] == "sgd" or lot.random() >= share:
        return None
    return lot.choice(FAULTS)


def raises(cell):
    finish(cell, {"status": "crashed", "reason": "ValueError: \x1b[31m=cmd|' /C calc'!A0\u202e"})


def runs_out_of_memory(cell):
    finish(cell, {"status": "oom", "reason": "MemoryError: "})


def is_invalid(cell):
    finish(cell, {"status": "invalid", "reason": "0 of 2 steps were carried out (NON_FINITE)"})


def segfaults(_cell):
    print("about to fall", file=sys.stderr, flush=True)
    ctypes.string_at(0)


def is_killed(_cell):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(_cell):
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    while True:
        pass


def waits(_cell):
    time.sleep(600)


def is_cancelled(_cell):
    task = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    subprocess.run(["scancel", task], check=True)
    time.sleep(600)


def ends(_cell):
    sys.exit(3)


def talks_nonsense(_cell):
    print("this is no message", flush=True)
    time.sleep(60)


def floods(_cell):
    for _ in range(20_000):
        print("x" * 200, file=sys.stderr)
    os.abort()


def retires(cell):
    finish(cell, {"status": "crashed", "reason": "an illegal memory access"})
    send({"event": "retire", "reason": "the CUDA context is unusable"})
    sys.exit(0)


FAULTS = (
    *(raises, runs_out_of_memory, is_invalid, segfaults, is_killed),
    *(hangs, ends, talks_nonsense, floods, retires),
)
STATUSES = {
    "raises": "crashed",
    "runs_out_of_memory": "oom",
    "is_invalid": "invalid",
    "segfaults": "crashed",
    "is_killed": "oom",
    "hangs": "timeout",
    "ends": "crashed",
    "talks_nonsense": "crashed",
    "floods": "crashed",
    "retires": "crashed",
}

if __name__ == "__main__":
    main()
