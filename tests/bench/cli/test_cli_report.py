"""``report``: figures as files, and two runs side by side."""

from collections.abc import Callable
from pathlib import Path

import synthetic_run as synthetic

Called = Callable[..., tuple[int, str, str]]


def test_two_directories_are_put_side_by_side(command: Called, tmp_path: Path) -> None:
    first, second = (synthetic.write(tmp_path / name, synthetic.cells()[:4]) for name in "ab")

    code, printed, _ = command("report", first, second)

    assert (code, printed) == (0, f"{second / 'comparison.html'}\n")
    assert (second / "comparison.csv").is_file()
    assert not (first / "report.html").exists()


def test_figures_are_written_in_the_formats_that_are_asked_for(
    command: Called, tmp_path: Path
) -> None:
    directory = synthetic.write(tmp_path / "run", synthetic.cells()[:4])

    assert command("report", directory, "--figures", "svg")[0] in (0, 4)
    assert {path.suffix for path in (directory / "figures").iterdir()} == {".svg"}
    code, _, errors = command("report", directory, "--figures", "gif")
    assert code == 2
    assert "expected formats among svg, pdf, png; got gif" in errors


def test_options_of_one_run_are_refused_with_two(command: Called, tmp_path: Path) -> None:
    directory = synthetic.write(tmp_path / "run", synthetic.cells()[:4])

    code, _, errors = command("report", directory, directory, "--figures", "svg")

    assert code == 2
    assert "expected --history and --figures with one run; got two" in errors
