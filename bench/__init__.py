"""What to run, how to time it, where to keep it, what it means.

``bench.run(spec)`` carries out a sweep and ``bench.load(path)`` reads one; both answer a
``bench.Run``. They are loaded when they are first used: the command line does without pandas.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.runs import Run, load, run

__all__ = ["Run", "load", "run"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'bench' has no attribute {name!r}")
        from bench import runs

        return getattr(runs, name)
