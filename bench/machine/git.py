"""Git, asked about a folder and nothing else, with the user's own configuration."""

import os
import re
import subprocess
from pathlib import Path

# All but the user's configuration, as GIT_CONFIG_COUNT or GIT_CONFIG_GLOBAL.
_POINTS_ELSEWHERE = re.compile(r"GIT_(?!CONFIG_)")


def git(
    where: Path, *arguments: str, timeout: float | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a git command in a folder, without hooks and without locks it can do without.

    Raises:
        FileNotFoundError: there is no git.
        TimeoutExpired: it took longer than ``timeout`` seconds.
    """
    # Inside a hook git's own variables point to that hook's repository.
    variables = {n: v for n, v in os.environ.items() if not _POINTS_ELSEWHERE.match(n)}
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
