"""Units of several workers keep their checkpoints in one folder, which the last of them removes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.trainer.checkpoints import FOLDER, Checkpoints


def test_workers_that_begin_and_end_units_are_not_in_each_others_way(tmp_path: Path) -> None:
    def worker(name: int) -> None:
        for round_ in range(400):
            unit = Checkpoints(tmp_path, f"{name}-{round_}")
            unit._make_folder()
            assert unit._folder.is_dir()
            unit.remove()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))

    assert not (tmp_path / FOLDER).exists()
