"""A rank of a group: ``python -m bench.worker.across PARENT``, which the worker starts."""

import os
import sys

from bench.process.lifeline import die_with
from bench.process.source_tree import import_from_tree


def main() -> None:
    """Serve commands until standard input ends."""
    die_with(int(sys.argv[1]))
    # The measured code may print: its output goes to standard error, ours to the real one.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import_from_tree()
    # Imported here: torch takes seconds, may print, and must not outlive the worker meanwhile.
    from bench.worker.across.rank import serve

    serve(sys.stdin, events)
    os._exit(0)  # the others end as well: nobody waits for this one any more


if __name__ == "__main__":
    main()
