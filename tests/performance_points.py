"""What the performance suite times: the cells of the preset gate, on a GPU where there is one."""

import os

import torch

from bench.plan.points import make_plan
from bench.spec.preset import load_preset

DEVICE = os.environ.get("TELEPORT_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")

SPEC = load_preset("gate").with_overrides(device=DEVICE)
CELLS = [
    (block.point, cell.variant)
    for block in make_plan(SPEC).blocks
    for cell in block.cells
    if str(cell.variant) != "sgd"
]
NAMES = [f"{variant} d={point.d}" for point, variant in CELLS]
