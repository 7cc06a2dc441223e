"""A row in a process of its own, with a limit to its time and to its memory."""

import os
import resource
from multiprocessing.connection import Connection
from typing import Any

import psutil
import table
from trial import Row, trial

SECONDS = 60.0
MORE_MEMORY = 8 * 2**30


def run_apart(context: Any, library: str, model: str, seconds: float) -> Row:
    """The row, or one that says that the process did not live to tell."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, library, model))
    process.start()
    theirs.close()
    row = Row(library=library, model=model)
    try:
        if ours.poll(seconds):
            row = ours.recv()
        else:
            row.outcome, row.sentence = "time", f"not done after {seconds:g} s"
    except EOFError:
        process.join()
        row.outcome, row.sentence = "crash", f"exit code {process.exitcode}"
    process.kill()
    process.join()
    return row


def _child(pipe: Connection, library: str, model: str) -> None:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    limit = psutil.Process().memory_info().vms + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        row = trial(model, table.cases(library)[model])
    except Exception as error:
        row = Row(model=model, outcome="crash", sentence=f"{type(error).__name__}: {error}")
    row.library = library
    pipe.send(row)
