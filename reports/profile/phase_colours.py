"""The colours of the phases, the same in bars and flame graphs."""

# In the order of a call; what the papers call the bottleneck stands out.
COLOURS = {
    "basis": "#b5400f",
    "pseudo-inverse": "#d9730d",
    "inverse": "#e8a33d",
    "capture": "#8c6bb1",
    "forward": "#a9c7e0",
    "backward": "#6b9cc4",
    "double backward": "#2f5f8a",
    "tangent": "#3f8f8b",
    "projection": "#7fb069",
    "update": "#c9b458",
    "check": "#b8b0a5",
    "graph": "#9c7a5b",
    "other": "#dedbd7",
}
UNKNOWN_COLOUR = "#8a8a8a"
_LIGHT_INK = {"basis", "double backward", "tangent", "capture"}


def colour_of(phase: str) -> str:
    """The colour of a phase; of one that nobody here knows a grey."""
    return COLOURS.get(phase, UNKNOWN_COLOUR)


def is_dark(phase: str) -> bool:
    """Whether letters on it are white."""
    return phase in _LIGHT_INK


def ordered(phases: set[str]) -> list[str]:
    """Phases in the order of a call, those that nobody here knows behind."""
    return [*(name for name in COLOURS if name in phases), *sorted(phases - set(COLOURS))]
