import numpy as np
import pytest
import torch
from idx_files import DEBIAN, idx_bytes, images_of, is_here, isolate, labels_of, write, write_part

from bench.errors import DataError
from bench.problems.datasets import load_dataset


@pytest.fixture
def root(monkeypatch, tmp_path):
    """A --data-dir on a machine that has no data of its own."""
    isolate(monkeypatch, tmp_path)
    root = tmp_path / "data"
    root.mkdir()
    return root


def refusal(root):
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", root)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_train_and_test_files_become_both_parts(root, name, suffix):
    images, labels = write_part(root / name, "train", 12, suffix)
    test_images, test_labels = write_part(root / name, "t10k", 5, suffix)

    data = load_dataset(name, root)

    assert data.name == name
    assert torch.equal(data.inputs, torch.tensor(images).unsqueeze(1))
    assert data.targets.tolist() == labels.tolist()
    assert torch.equal(data.heldout_inputs, torch.tensor(test_images).unsqueeze(1))
    assert data.heldout_targets.tolist() == test_labels.tolist()
    inputs, targets = data.batch(torch.tensor([3, 1]))
    assert torch.equal(inputs, torch.tensor(images[[3, 1], None] / 255).float())
    assert targets.tolist() == labels[[3, 1]].tolist()
    assert data.targets.dtype == torch.int64
    assert data.source == f"{root / name}, 12 training samples, 5 test samples"


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_one_part_alone_is_split_and_the_source_says_so(root, part):
    images, labels = write_part(root / "mnist", part, 20)

    data = load_dataset("mnist", root)

    assert (len(data.targets), len(data.heldout_targets)) == (16, 4)
    assert data.source == (
        f"{root / 'mnist'}, only its {part} files: 16 samples for training, 4 held out (seed 0)"
    )
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    inputs = torch.cat([data.inputs, data.heldout_inputs]).squeeze(1)
    targets = torch.cat([data.targets, data.heldout_targets]).tolist()
    kept = {image.numpy().tobytes(): label for image, label in zip(inputs, targets, strict=True)}
    assert kept == label_of


def test_one_sample_alone_cannot_be_split(root):
    write_part(root / "mnist", "t10k", 1)
    assert "t10k-labels-idx1-ubyte.gz: expected at least 2 samples to split" in refusal(root)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            images_of(9),
            labels_of(8),
            "t10k-labels-idx1-ubyte: expected as many labels at byte 4 as "
            "t10k-images-idx3-ubyte has images, 9; found 8",
        ),
        (
            images_of(4),
            np.array([0, 9, 10, 200], np.uint8),
            "t10k-labels-idx1-ubyte: expected labels from 0 to 9; found 10 at byte 10",
        ),
        (
            images_of(4)[:, :27],
            labels_of(4),
            "t10k-images-idx3-ubyte: expected images, [samples, 28, 28] of bytes, at byte 0; "
            "found [4, 27, 28] of uint8",
        ),
        (images_of(4).astype("i2"), labels_of(4), "found [4, 28, 28] of int16"),
        (labels_of(4), labels_of(4), "expected images, [samples, 28, 28] of bytes, at byte 0; fou"),
        (
            images_of(4),
            images_of(4),
            "t10k-labels-idx1-ubyte: expected labels, [samples] of bytes, at byte 0; "
            "found [4, 28, 28] of uint8",
        ),
        (images_of(4), labels_of(4).astype("i4"), "found [4] of int32"),
    ],
)
def test_pairs_that_are_no_mnist_are_refused(root, images, labels, message):
    folder = root / "mnist"
    write(folder / "t10k-images-idx3-ubyte", idx_bytes(images))
    write(folder / "t10k-labels-idx1-ubyte", idx_bytes(labels))
    assert message in refusal(root)


def test_damaged_file_is_named(root):
    write_part(root / "mnist", "train", 4)
    path = root / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100])
    assert f"{path}: expected the gzip stream to go on" in refusal(root)


@pytest.mark.skipif(not is_here("mnist"), reason="MNIST is nowhere here")
def test_real_mnist():
    from bench.problems.datasets.loaders.mnist import MNIST, read_pair
    from bench.problems.datasets.locations import find

    located = find(MNIST.files, None)
    images, labels = read_pair(next(pair for pair in located.files if pair.part == "t10k"))

    assert images.shape == (10000, 28, 28)
    # How often each digit occurs in the official test set, and its first labels.
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert images.mean() == pytest.approx(33.791, abs=1e-3)


@pytest.mark.skipif(
    not (DEBIAN / "fashion-mnist").is_dir(), reason="Debian's dataset-fashion-mnist is not here"
)
def test_real_fashion_mnist_from_debian():
    data = load_dataset("fashion-mnist", DEBIAN)

    assert data.inputs.shape == (60000, 1, 28, 28)
    assert data.heldout_inputs.shape == (10000, 1, 28, 28)
    assert data.targets.bincount().tolist() == [6000] * 10
    assert data.heldout_targets.bincount().tolist() == [1000] * 10
    # The training set's mean that its users normalise with.
    assert data.inputs.float().mean().item() / 255 == pytest.approx(0.2860, abs=1e-4)
