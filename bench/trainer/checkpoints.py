"""Trials between two of their epochs, on the disk, so that a run that was killed can go on.

A checkpoint holds the trial's records, too: it is written before they are said, so that none is
lost between the two. It is read with ``weights_only``: no code in it is executed.
"""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from bench.timing.start import copy_of, restore
from bench.trainer.run import Run

FOLDER = "checkpoints"
_TRIES = 100


class Checkpoints:
    """Those of one unit, in a folder of its own of the run directory."""

    def __init__(self, directory: Path, unit: str) -> None:
        self._folder = directory / FOLDER / unit

    def write(self, run: Run) -> None:
        """Keep a trial as it is now."""
        self._make_folder()
        path = self._path(run)
        draft = path.with_suffix(".draft")
        state: dict[str, Any] = {
            "model": copy_of(run.model),
            "optimizer": run.optimizer.state_dict(),
        }
        if run.arm.reuses:  # a teleport is compared with the gradient of the step before
            state["gradients"] = [p.grad for p in run.model.parameters()]
        torch.save({**state, "facts": run.facts()}, draft)
        draft.replace(path)

    def read(self, run: Run) -> bool:
        """Take a trial up where it was kept; False where it was not."""
        path = self._path(run)
        if not path.exists():
            return False
        kept = torch.load(path, map_location=run.study.task.point.device, weights_only=True)
        restore(run.model, kept["model"])
        run.optimizer.load_state_dict(kept["optimizer"])
        pairs = zip(run.model.parameters(), kept.get("gradients", ()), strict=False)
        for p, gradient in pairs:
            p.grad = gradient
        run.take_up(kept["facts"])
        return True

    def remove(self) -> None:
        """The unit is done."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # units of other workers are in it, or their last took it away
            self._folder.parent.rmdir()

    def _make_folder(self) -> None:
        """Make it, though another worker may take its parent away in between."""
        for _ in range(_TRIES):
            with suppress(FileNotFoundError, FileExistsError):
                self._folder.mkdir(parents=True, exist_ok=True)
                return
        self._folder.mkdir(parents=True, exist_ok=True)

    def _path(self, run: Run) -> Path:
        return self._folder / f"{run.trial['trial_id']}.pt"
