"""Let torchvision be imported where its kernels cannot be: its wheel is for CUDA, torch is not.

Its import registers rules for operators that only the kernels declare. Models that need no such
kernel work without.
"""

import contextlib
from importlib.util import find_spec

import torch


def declare() -> None:
    if torch.version.cuda is None and find_spec("torchvision") is not None:
        for name in ("nms", "qnms"):
            with contextlib.suppress(RuntimeError):  # declared already
                torch.library.define(
                    f"torchvision::{name}", "(Tensor b, Tensor s, float t) -> Tensor"
                )


declare()
