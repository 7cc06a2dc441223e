"""Seeds as a hash of the facts one chooses to vary, so that the arms of a comparison share them.

The streams, and the facts that each depends on besides the root seed:

- ``order``, the place of a block in the run: the block;
- ``model``, the starting weights: d, l; so one start along t, n, b, dtype and device;
- ``batches``, the samples drawn: n; so one stream along t, d, l, dtype and device, of which b
  batches are the first b;
- ``factory``, what a user's own model draws without a seed of its own: d, n, l.

No stream depends on the variant: all cells of a block share weights and batches. The seeds are the
same on every machine, in every process and for every PYTHONHASHSEED.
"""

import hashlib
import json


def stable_hash(facts: object) -> str:
    """Hash anything JSON can hold to 64 hex digits; the order of a dict's keys does not count."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def seed_for(root: int, *axes: str | int) -> int:
    """A seed of 63 bits that depends on ``root`` and on each of ``axes``, in their order.

    63 bits fit torch's and Python's generators; for NumPy's legacy one take it modulo 2**32.
    """
    return int(stable_hash([root, *axes])[:16], 16) >> 1
