"""The command line as text, for whoever wants to repeat what it did."""

import shlex
import sys


def command() -> str:
    """The command line as it was given."""
    return shlex.join(["teleport-bench", *sys.argv[1:]])


def repeatable() -> str:
    """The command line that repeats a run, wherever its results go."""
    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if word == "--out":
            next(words, None)
        elif word != "--resume" and not word.startswith("--out="):
            kept.append(word)
    return shlex.join(["teleport-bench", *kept])
