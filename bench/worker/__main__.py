"""The process that measures: ``python -m bench.worker``.

It can be started on any source tree that speaks the protocol (see ``bench.process.protocol``).
"""

import os
import sys

from bench.process.lifeline import die_with_runner
from bench.process.source_tree import import_from_tree


def main() -> None:
    """Serve commands until told to stop or until standard input ends."""
    die_with_runner()
    # The measured code may print: its output goes to standard error, ours to the real one.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import_from_tree()
    # Imported here: torch takes seconds, may print, and must not outlive the runner meanwhile.
    from bench.worker.commands import serve

    serve(sys.stdin, events)


if __name__ == "__main__":
    main()
