"""``python -m bench``, and one sentence where it cannot begin."""

import contextlib
import os
import signal
import sys
import traceback
from importlib.util import find_spec

# A machine that has torch but no registry lacks these; `make wheels` downloads them.
NEEDED = {"msgspec": "msgspec", "tomli_w": "tomli-w", "filelock": "filelock"}
_SOFTWARE = 70  # EX_SOFTWARE of sysexits.h; Python's own 1 would say "regression"
_UNREAD = 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 141


def main() -> None:
    """Run the command line; exit code 2 where a package is missing, 70 where we are at fault."""
    try:
        _main()
    except Exception as error:
        if isinstance(error, BrokenPipeError) or isinstance(error.__cause__, BrokenPipeError):
            _end_unread()
        _say_fault(error)
        sys.exit(_SOFTWARE)


def _end_unread() -> None:
    """Whoever read the output is gone; what is left in a buffer has to go somewhere."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(_UNREAD)


def _say_fault(error: Exception) -> None:
    shown = "".join(traceback.format_exception(error))
    with contextlib.suppress(OSError):
        print(  # noqa: T201
            f"{shown}teleport-bench: a fault of teleport-bench, not of what was measured: please "
            f"report it with the traceback above ({type(error).__name__})",
            file=sys.stderr,
            flush=True,
        )


def _main() -> None:
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if missing:
        print(  # noqa: T201
            f"teleport-bench: expected the packages {', '.join(NEEDED.values())}; this Python "
            f"lacks {', '.join(missing)}: pip install {' '.join(missing)}, or where there is no "
            "registry, take along the folder .wheels that `make wheels` fills (see .ci/cuda)",
            file=sys.stderr,
        )
        sys.exit(2)
    from bench.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
