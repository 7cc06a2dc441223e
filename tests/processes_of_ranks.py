"""A process that forks the ranks of one group, which run ``one_of_ranks.py``."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent


def answers(checks: str, store: Path, world: int = 3) -> tuple[dict[int, Any], list[int]]:
    """What every rank said that came to its end, and how each ended, as a process does."""
    command = [sys.executable, str(TESTS / "one_of_ranks.py"), checks, str(world), str(store)]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    ended: list[int] = json.loads(done.stdout.splitlines()[-1])
    assert all(code <= 0 for code in ended), done.stderr
    files = {rank: Path(f"{store}.{rank}") for rank in range(world) if not ended[rank]}
    return {rank: json.loads(file.read_text()) for rank, file in files.items()}, ended


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
