"""``teleport-bench presets``: what a run, a training or a probe may begin with."""


def presets() -> None:
    """List every preset and what it is for."""
    from bench.cli.table import print_table
    from bench.spec.preset import preset_names, purpose

    print_table(("preset", "what it is for"), [(name, purpose(name)) for name in preset_names()])
