"""Git, asked about a folder and nothing else."""

import os
import subprocess
from pathlib import Path


def git(
    where: Path, *arguments: str, timeout: float | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a git command in a folder, without hooks and without locks it can do without.

    Raises:
        FileNotFoundError: there is no git.
        TimeoutExpired: it took longer than ``timeout`` seconds.
    """
    # Inside a hook git's own variables point to that hook's repository.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        [
            *("git", "--no-optional-locks", "-c", "core.hooksPath=/dev/null"),
            *("-C", str(where), *arguments),
        ],
        env=variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        # Ctrl-C must not reach a git that is taking a checkout away.
        start_new_session=True,
    )
