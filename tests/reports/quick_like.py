"""A made-up run as large as that of the preset quick, for tests of the page's size alone."""

import tomllib
from pathlib import Path

import synthetic_run as synthetic
import test_profile_page as profiled

PRESET = Path(__file__).parents[2] / "bench" / "spec" / "presets" / "quick.toml"


def records():
    """Every point, variant, tau and layer of the preset, and a profile of the base point."""
    spec = tomllib.loads(PRESET.read_text())
    base, axes = spec["base"], spec["axes"]
    found = {tuple(sorted({**base, axis: v}.items())) for axis in axes for v in axes[axis]}
    noise = synthetic.random.Random(5)
    cells = []
    for number, point in enumerate(map(dict, sorted(found))):
        for place, variant in enumerate(["sgd", *spec["methods"]]):
            like = "symmetry:published=true" if "published" in variant else variant.split(":")[0]
            cell = synthetic.cell(like, point, number, noise)
            calls = [{"seconds": 0.01 * (1 + place) * noise.uniform(0.9, 1.1), "sgd_s": 0.001}] * 7
            changed = {"cell_id": f"q{number:03d}{place:02d}", "variant": variant}
            cells.append({**cell, **changed, **({"calls": calls} if place else {})})
    kept = spec["preservation"]
    curves = [
        {**synthetic.preservation(variant.split(":")[0], tau, 1e-6, 4.0), "variant": variant}
        for variant in kept["variants"]
        for tau in (kept["taus"] if variant == "nullspace" else [1.0])
    ]
    layers = [synthetic.spectrum(f"{2 * i}.weight", i + 1, 128, 0.6) for i in range(3)]
    profiles = [
        {**profiled.profile(like), "variant": variant, "cell_id": f"p{place}", **base}
        for place, (variant, like) in enumerate(
            [("sgd", "sgd"), ("nullspace", "nullspace")]
            + [(name, "symmetry:published=true") for name in spec["methods"][1:]]
        )
    ]
    return [*cells, *curves, *layers, *profiles]


def write(directory):
    """The run directory, its spec that of the preset."""
    made = synthetic.write(directory, records(), spec=False)
    command = 'command = "teleport-bench run --preset quick"\n'
    (made / "spec.toml").write_text(command + PRESET.read_text(), encoding="utf-8")
    return made
