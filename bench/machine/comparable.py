"""Whether times from two environments may be compared.

What changes by itself (load, free memory) never enters the key.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Two runs whose entries agree here may be compared; of the driver only the major version counts.
COMPARABLE = (
    *("cpu_model", "physical_cores", "affinity_cores"),
    *("torch", "torch_threads", "cpu_matmul_precision", "deterministic_algorithms"),
    *("gpu_name", "gpu_capability", "cuda", "tf32_matmul", "tf32_cudnn", "cudnn_benchmark"),
)


def comparable_key(environment: Mapping[str, Any]) -> str:
    """16 hex digits that agree exactly when times from two environments may be compared."""
    chosen = {name: environment.get(name) for name in COMPARABLE}
    driver = environment.get("driver")
    chosen["driver_major"] = str(driver).partition(".")[0] if driver else None
    text = json.dumps(chosen, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
