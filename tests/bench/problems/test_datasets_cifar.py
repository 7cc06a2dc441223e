"""CIFAR's binary version: official records, and every way in which a file can be another."""

import gzip

import numpy as np
import pytest
import torch
from idx_files import is_here, isolate

from bench.errors import DataError
from bench.problems.datasets import load_dataset
from bench.problems.datasets.inventory import check, inventory
from bench.problems.datasets.loaders.cifar import KINDS

TEN, HUNDRED = KINDS["cifar-10"], KINDS["cifar-100"]


@pytest.fixture
def root(monkeypatch, tmp_path):
    isolate(monkeypatch, tmp_path)
    root = tmp_path / "data"
    root.mkdir()
    return root


def write_batch(folder, file, kind, count, seed=0):
    random = np.random.default_rng(seed)
    labels = np.stack([random.integers(0, values, count) for values in kind.labels], axis=1)
    pixels = random.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    records = np.concatenate([labels.astype(np.uint8), pixels.reshape(count, -1)], axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(records.tobytes())
    return pixels, labels[:, -1]


def refusal(root, name="cifar-10"):
    with pytest.raises(DataError) as caught:
        load_dataset(name, root)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_records_become_images_with_their_labels(root, kind):
    folder = root / kind.folder
    parts = [write_batch(folder, file, kind, 4, seed) for seed, file in enumerate(kind.train)]
    pixels, labels = write_batch(folder, kind.test, kind, 3, 9)

    data = load_dataset(kind.name, root)

    assert torch.equal(data.inputs, torch.tensor(np.concatenate([p for p, _ in parts])))
    assert data.targets.tolist() == np.concatenate([y for _, y in parts]).tolist()
    assert torch.equal(data.heldout_inputs, torch.tensor(pixels))
    assert data.heldout_targets.tolist() == labels.tolist()
    assert data.outputs == kind.labels[-1]
    inputs, _ = data.batch(torch.tensor([2]))
    assert torch.equal(inputs[0], torch.tensor(parts[0][0][2] / 255).float())
    assert data.source == f"{folder}, {4 * len(kind.train)} training samples, 3 test samples"


def test_some_of_the_files_are_said_to_be_some(root):
    write_batch(root / TEN.folder, "data_batch_2.bin", TEN, 4)
    write_batch(root / TEN.folder, "test_batch.bin", TEN, 3)
    assert "4 training samples (1 of 5 files), 3 test" in load_dataset("cifar-10", root).source


def test_one_part_alone_is_split(root):
    write_batch(root / TEN.folder, "test_batch.bin", TEN, 10)
    data = load_dataset("cifar-10", root)
    assert (len(data), len(data.heldout_targets)) == (8, 2)
    assert "only test_batch.bin: 8 samples for training, 2 held out (seed 0)" in data.source


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda b: b[:-1], "expected records of 3073 bytes, .*; found 9218 bytes, 3072 after the"),
        (lambda b: b + b"\x80", "found 9220 bytes, 1 after the last whole record"),
        (lambda b: b"", "found 0 bytes, 0 after"),
        (lambda b: b[:3073] + b"\x0a" + b[3074:], "labels from 0 to 9 .*; found 10 at byte 3073"),
        (gzip.compress, "expected records of 3073 bytes"),
    ],
)
def test_other_contents_are_refused_by_name(root, change, text):
    write_batch(root / TEN.folder, "data_batch_1.bin", TEN, 3)
    path = root / TEN.folder / "data_batch_1.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=f"{path}: .*{text}"):
        load_dataset("cifar-10", root)


def test_a_packed_file_whose_length_happens_to_fit_is_refused(root):
    folder = root / TEN.folder
    folder.mkdir()
    packed = gzip.compress(np.random.default_rng(0).bytes(3000), compresslevel=0)
    (folder / "data_batch_1.bin").write_bytes(packed + bytes(3073 - len(packed)))
    assert "expected uncompressed records, as in the official archive" in refusal(root)


def test_both_labels_of_cifar_100_are_checked(root):
    write_batch(root / HUNDRED.folder, "train.bin", HUNDRED, 3)
    path = root / HUNDRED.folder / "train.bin"
    contents = bytearray(path.read_bytes())
    contents[0] = 20
    path.write_bytes(contents)
    assert "labels from 0 to 19 at byte 0 of each record; found 20" in refusal(root, "cifar-100")


def test_the_python_version_is_refused_and_never_opened(root):
    folder = root / TEN.folder
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"\x80\x04cos\nsystem\n(S'touch /tmp/x'\ntR.")
    message = refusal(root)
    assert "found the Python version, which is pickled and never read" in message
    assert "cifar-10-binary.tar.gz and unpack it" in message


def test_the_python_version_in_its_own_folder_is_refused_too(root):
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"\x80\x04.")
    assert "found the Python version, which is pickled" in refusal(root)


def test_absent_files_say_what_to_put_where(root):
    message = refusal(root)
    assert "data_batch_1.bin and test_batch.bin of the binary version; they are in none" in message
    assert f"--data-dir: {root / 'cifar-10-batches-bin'}" in message


def test_list_and_check(root):
    write_batch(root / TEN.folder, "data_batch_1.bin", TEN, 4)
    write_batch(root / TEN.folder, "test_batch.bin", TEN, 3)
    entries = {entry.name: entry for entry in inventory(root)}
    assert (entries["cifar-10"].state, entries["cifar-10"].samples) == ("yes", 7)
    assert entries["cifar-100"].state == "no"
    files = check("cifar-10", root)
    assert [file.shape for file in files] == [(4, 3, 32, 32), (3, 3, 32, 32)]
    assert files[0].note == "whole; no official hash is known"
    (root / TEN.folder / "test_batch.bin").write_bytes(b"x")
    assert {entry.name: entry.state for entry in inventory(root)}["cifar-10"] == "damaged"


@pytest.mark.skipif(not is_here("cifar-10"), reason="CIFAR-10 is nowhere here")
def test_real_cifar_10():
    data = load_dataset("cifar-10")
    assert data.sample_shape == (3, 32, 32)
    # Balanced classes, whole or in part; photographs are brighter at the top (the sky).
    counts = data.heldout_targets.bincount()
    assert counts.min() == counts.max()
    mean = data.inputs[:2000].float().mean(dim=(0, 1, 3))
    assert mean[:8].mean() > mean[-8:].mean()
    assert data.inputs[:2000].float().mean().item() / 255 == pytest.approx(0.473, abs=0.02)
