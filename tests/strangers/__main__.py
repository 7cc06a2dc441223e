"""``python tests/strangers``: every model in a process of its own, into a CSV file and a page.

Rows that the file holds already are left out, so that a run goes on where it was ended.
"""

import argparse
import multiprocessing
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
# The process that models are forked from finds the same modules.
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:3])
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import page  # noqa: E402
import rows  # noqa: E402
import table  # noqa: E402
from isolation import SECONDS, run_apart  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/strangers.csv"))
    parser.add_argument("--page", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time limit of one model")
    parser.add_argument("--only", default="", help="rows whose 'library/model' holds this text")
    asked = parser.parse_args()
    libraries = [name for name in table.MODULES if table.installed(name)]
    missing = set(table.MODULES) - set(libraries)
    if missing:
        print(f"not installed, left out: {', '.join(sorted(missing))}", file=sys.stderr)
    # Libraries are imported once; each model is a fork of the process that has them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["table", *(table.MODULES[name] for name in libraries)])
    known = {(row.library, row.model) for row in rows.read(asked.out)}
    for library in libraries:
        for model in table.cases(library):
            if (library, model) in known or asked.only not in f"{library}/{model}":
                continue
            row = run_apart(context, library, model, asked.seconds)
            rows.append(asked.out, row)
            print(f"{library} {model}: {row.outcome} {row.sentence[:90]} {row.faults}", flush=True)
    if asked.page:
        models = sum(len(table.cases(library)) for library in libraries)
        asked.page.write_text(page.markdown(rows.read(asked.out), models), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
