"""Which parameters share memory, and which merely lie in one buffer."""

import pytest
import torch
from torch import Tensor

from teleport_core.verification.overlap import overlapping

BUFFER = torch.randn(6, 6)

ROWS: dict[str, tuple[dict[str, Tensor], tuple[str, str] | None]] = {
    "apart": ({"a": torch.ones(6), "b": torch.ones(6)}, None),
    "the same": ({"a": BUFFER, "b": BUFFER}, ("a", "b")),
    "the same, transposed": ({"a": BUFFER, "b": BUFFER.T}, ("a", "b")),
    "rows apart": ({"a": BUFFER[:3], "b": BUFFER[3:]}, None),
    "a row in common": ({"a": BUFFER[:4], "b": BUFFER[3:]}, ("a", "b")),
    "columns apart": ({"a": BUFFER[:, :3], "b": BUFFER[:, 3:]}, None),
    "a column in common": ({"a": BUFFER[:, :3], "b": BUFFER[:, 2:]}, ("a", "b")),
    "first and last of three": (
        {"a": BUFFER[:, :3], "b": BUFFER[:, 4:], "c": BUFFER[5:, :1]}, ("a", "c"),
    ),
    "expanded": ({"a": torch.ones(1, 6).expand(6, 6)}, ("a", "a")),
    "another dtype, in common": ({"a": BUFFER, "b": BUFFER.view(torch.int16)[5:, 11:]}, ("a", "b")),
    "another dtype, apart": ({"a": BUFFER[:5], "b": BUFFER.view(torch.int16)[5:]}, None),
    "empty": ({"a": torch.ones(0, 3), "b": torch.ones(0, 3)}, None),
    "no memory": ({n: torch.ones(3, device="meta") for n in "ab"}, None),
}  # fmt: skip


@pytest.mark.parametrize("row", list(ROWS))
def test_overlap(row: str) -> None:
    parameters, expected = ROWS[row]
    found = overlapping(parameters)
    assert (found and tuple(sorted(found))) == expected
