"""The figures of a page as files of their own, for a paper or slides.

On the page legends are HTML; a file has its own, with the names of the curves below the panel.
"""

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench.errors import SpecError, StorageError
from bench.files import write_whole
from reports.page import Figures
from reports.run.harmless import shortened
from reports.text.canvas import look

FOLDER = "figures"
FORMATS = ("svg", "pdf", "png")
_DPI = 200
_LONGEST = 60
_NO_DATE: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def formats(text: str) -> list[str]:
    """The formats of ``svg,pdf,png``.

    Raises:
        SpecError: one that is none of these, or none at all.
    """
    asked = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in FORMATS]
    if unknown or not asked:
        raise SpecError(
            f"expected formats among {', '.join(FORMATS)}; got {', '.join(unknown) or 'none'}: "
            "write for example --figures svg,pdf"
        )
    return list(dict.fromkeys(asked))


def write_figures(directory: Path, figures: Figures, kinds: Sequence[str]) -> list[Path]:
    """Write ``figures/runtime-01.svg`` and so on into a run directory; the paths.

    Sections count their figures from 1, in the order of the page.

    Raises:
        bench.errors.StorageError: a file cannot be written.
    """
    folder = _folder(directory)
    written = []
    for section, own in figures.items():
        for number, figure in enumerate(own, 1):
            _add_legend(figure)
            for kind in kinds:
                path = folder / f"{section}-{number:02d}.{kind}"
                write_whole(path, _bytes(figure, kind))
                written.append(path)
    return written


def _folder(directory: Path) -> Path:
    folder = directory / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"expected a folder {folder}; {error.strerror}: make room") from error
    if folder.is_symlink():
        raise StorageError(
            f"expected {folder} to be a folder of the run; it is a link, which may lead anywhere: "
            "remove it"
        )
    return folder


def _add_legend(figure: Figure) -> None:
    """Names of the curves, each once; a dollar sign is no formula."""
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(shortened(name, _LONGEST).replace("$", r"\$"), handle)
    if entries:
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0)}
        figure.legend([*entries.values()], [*entries], frameon=False, **place)


def _bytes(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    with look(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name in a script the font lacks
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=_NO_DATE[kind], bbox_inches="tight")
    return buffer.getvalue()
