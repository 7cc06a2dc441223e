"""Time series: windows and their targets, what is standardised on what, and damaged texts."""

import gzip

import numpy as np
import pytest
import torch
from idx_files import is_here, isolate

from bench.errors import DataError
from bench.problems.datasets import load_dataset
from bench.problems.datasets.loaders.series import AHEAD, WINDOW, read_series, standardised, windows
from bench.problems.datasets.registry import provider_of

POINTS = 1000  # 800 for training, 200 held out


@pytest.fixture
def root(monkeypatch, tmp_path):
    isolate(monkeypatch, tmp_path)
    root = tmp_path / "data"
    root.mkdir()
    return root


def write_series(root, values, name="exchange_rate", packed=True):
    folder = root / name
    folder.mkdir(exist_ok=True)
    text = "".join(",".join(f"{value:.6f}" for value in row) + "\n" for row in values)
    path = folder / (f"{name}.txt.gz" if packed else f"{name}.txt")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


def noise(columns=3, points=POINTS):
    return np.random.default_rng(0).normal(5.0, 2.0, (points, columns)).round(6)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["electricity", "exchange_rate", "traffic"])
def test_the_target_is_the_point_a_day_after_the_window(root, name, packed):
    values = noise()
    write_series(root, values, name, packed)

    data = load_dataset(name, root)

    scaled = torch.tensor((values - values[:800].mean(0)) / values[:800].std(0)).float()
    assert (data.task, data.outputs, data.sample_shape) == ("values", 3, (168, 3))
    assert len(data) == 800 - 168 - 24 + 1
    inputs, targets = data.batch(torch.tensor([0, 7, len(data) - 1]))
    for row, start in enumerate((0, 7, len(data) - 1)):
        torch.testing.assert_close(inputs[row], scaled[start : start + 168])
        torch.testing.assert_close(targets[row], scaled[start + 168 + 23])
    assert "3 series of 1000 points, standardised on the first 800; 609 windows" in data.source


def test_no_window_or_target_crosses_into_the_held_out_part(root):
    values = noise()
    values[800:] += 1000.0  # nothing of the held-out part may be seen in the training part
    write_series(root, values)
    data = load_dataset("exchange_rate", root)
    assert data.inputs[:].abs().max() < 10
    assert data.targets.abs().max() < 10
    assert data.heldout_inputs[:].min() > 100
    assert data.heldout_targets.min() > 100


def test_a_series_without_change_is_centred_and_not_divided():
    values = np.column_stack([np.full(10, 0.1), np.arange(10.0)])
    scaled = standardised(values, 8)
    np.testing.assert_allclose(scaled[:, 0], 0.0, atol=1e-12)
    np.testing.assert_allclose(scaled[:8, 1].std(), 1.0)
    np.testing.assert_allclose(scaled[:8, 1].mean(), 0.0, atol=1e-12)


def test_windows_share_the_memory_of_the_series():
    values = torch.randn(400, 2)
    inputs, targets = windows(values)
    assert inputs.shape == (400 - WINDOW - AHEAD + 1, WINDOW, 2)
    assert len(targets) == len(inputs)
    assert inputs.untyped_storage().data_ptr() == values.untyped_storage().data_ptr()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a line of numbers for each point in time; found nothing"),
        ("1,2\n3\n", "numbers separated by commas, as many in each line; found .*columns changed"),
        ("1,2\n3,x\n", "could not convert string 'x' to float64 at row 1, column 2"),
        ("1,2\n3,nan\n", "expected finite numbers; found nan in line 2, column 2"),
        ("inf,2\n", "found inf in line 1, column 1"),
        ("1 2\n3 4\n", "could not convert string '1 2'"),
    ],
)
def test_other_texts_are_refused_by_name(tmp_path, text, message):
    path = tmp_path / "exchange_rate.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=f"{path}: .*{message}"):
        read_series(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "traffic.txt"
    path.write_bytes(b"1,2\n\xff\xfe,3\n")
    with pytest.raises(DataError, match="expected text in UTF-8; found invalid start byte at byte"):
        read_series(path)


def test_a_truncated_archive_is_refused(root):
    path = write_series(root, noise())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=f"{path}: expected the gzip stream to go on"):
        load_dataset("exchange_rate", root)


def test_a_bomb_is_not_inflated(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.problems.datasets.loaders.sources.MAX_BYTES", 1000)
    path = tmp_path / "exchange_rate.txt.gz"
    path.write_bytes(gzip.compress(b"1,2\n" * 10_000))
    with pytest.raises(DataError, match=r"expected at most 1000 bytes .*; found more"):
        read_series(path)


def test_too_few_points_for_a_held_out_window_are_refused(root):
    write_series(root, noise(points=959))
    with pytest.raises(DataError, match="expected at least 960 points in time; found 959 lines"):
        load_dataset("exchange_rate", root)
    write_series(root, noise(points=960))
    assert len(load_dataset("exchange_rate", root).heldout_targets) == 1


def test_the_names_are_those_of_the_repository():
    names = ["electricity", "exchange_rate", "traffic"]
    assert [provider_of(name).files.folder for name in names] == names


@pytest.mark.skipif(not is_here("exchange_rate"), reason="exchange_rate is nowhere here")
def test_real_exchange_rates():
    data = load_dataset("exchange_rate")
    assert data.outputs == 8
    assert "8 series of 7588 points, standardised on the first 6071" in data.source
    # Rates move by less than a deviation in a day and more than that over the years.
    assert (data.inputs[0][1:] - data.inputs[0][:-1]).abs().max() < 1.0
    assert (data.inputs[0][0] - data.inputs[5000][0]).abs().max() > 1.0
