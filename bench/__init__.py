"""What to run, how to time it, where to keep it, what it means.

``bench.run(spec)`` carries out a sweep and ``bench.load(path)`` reads one; both answer a
``bench.Run``. ``bench.measure(model, loss_fn, loader)`` measures a live model in this process. They
are loaded when they are first used: the command line does without pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.notebook.measure import measure
    from bench.runs import Run, load, run

__all__ = ["Run", "load", "measure", "run"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'bench' has no attribute {name!r}")
        place = "bench.notebook.measure" if name == "measure" else "bench.runs"
        return getattr(import_module(place), name)
