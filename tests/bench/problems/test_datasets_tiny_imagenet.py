"""Tiny-ImageNet in folders of JPEG files; nothing outside the folder is ever read."""

import struct

import numpy as np
import pytest
import torch
from idx_files import isolate
from PIL import Image

from bench.errors import DataError
from bench.problems.datasets import load_dataset
from bench.problems.datasets.inventory import check, inventory

CLASSES = ("n02124075", "n04067472", "n01443537")


@pytest.fixture
def folder(monkeypatch, tmp_path):
    isolate(monkeypatch, tmp_path)
    folder = tmp_path / "data" / "tiny-imagenet-200"
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    for number, name in enumerate(CLASSES):
        (folder / "train" / name / "images").mkdir(parents=True)
        for index in range(2):
            save(folder / "train" / name / "images" / f"{name}_{index}.JPEG", 80 * number)
    lines = []
    for index, name in enumerate(reversed(CLASSES)):
        save(folder / "val" / "images" / f"val_{index}.JPEG", 200, "L" if index else "RGB")
        lines.append(f"val_{index}.JPEG\t{name}\t0\t0\t9\t9\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    return folder


def save(path, grey, mode="RGB", size=(64, 64), kind="JPEG"):
    Image.new(mode, size, grey if mode == "L" else (grey, 0, 255)).save(path, kind)


def load(folder):
    return load_dataset("tiny-imagenet", folder.parent)


def read_all(folder):
    data = load(folder)
    data.batch(torch.arange(len(data)))
    data.heldout_batch(9)


def refusal(folder):
    with pytest.raises(DataError) as caught:
        read_all(folder)
    return str(caught.value)


def test_folders_become_images_with_their_classes(folder):
    data = load(folder)

    assert (len(data), data.outputs, data.sample_shape) == (6, 3, (3, 64, 64))
    assert data.targets.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.heldout_targets.tolist() == [2, 1, 0]
    inputs, targets = data.batch(torch.tensor([3, 0]))
    assert targets.tolist() == [1, 0]
    assert inputs.dtype == torch.float32
    # Red, green and blue of flat colours, JPEG loses a little.
    expected = torch.tensor([[80.0, 0, 255], [0, 0, 255]]) / 255
    torch.testing.assert_close(inputs.mean(dim=(2, 3)), expected, atol=0.02, rtol=0)
    assert data.source.endswith("tiny-imagenet-200, 6 training images, 3 of val held out")


def test_grey_images_have_three_equal_channels(folder):
    inputs, _ = load(folder).heldout_batch(3)
    assert torch.equal(inputs[1, 0], inputs[1, 2])
    assert not torch.equal(inputs[0, 0], inputs[0, 2])


def test_without_val_a_fifth_is_held_out(folder):
    (folder / "val" / "val_annotations.txt").unlink()
    data = load(folder)
    assert (len(data), len(data.heldout_targets)) == (5, 1)
    assert "only train: 5 images for training, 1 held out (seed 0)" in data.source


@pytest.mark.parametrize(
    "entry", ["../../../etc", "/etc/passwd", "n0212407", "n02124075/..", "", "n01443537"]
)
def test_class_names_that_are_no_wordnet_numbers_are_not_followed(folder, entry):
    (folder / "wnids.txt").write_text(f"n01443537\n{entry}\n")
    message = refusal(folder)
    assert f"{folder / 'wnids.txt'}: expected a WordNet number in each line" in message
    assert f"found {entry!r} in line 2" in message


@pytest.mark.parametrize(
    "line",
    [
        "../../train/n02124075/images/n02124075_0.JPEG\tn02124075",
        "/etc/passwd\tn02124075",
        "val_0.JPEG\tn99999999",
        "val_0.JPEG",
    ],
)
def test_annotations_that_lead_elsewhere_are_refused(folder, line):
    (folder / "val" / "val_annotations.txt").write_text(f"{line}\n")
    message = refusal(folder)
    assert "expected val_NUMBER.JPEG and a class of wnids.txt" in message
    assert "in line 1" in message


def test_a_class_without_images_is_named(folder):
    for path in (folder / "train" / CLASSES[1] / "images").iterdir():
        path.unlink()
    assert f"{folder / 'train' / CLASSES[1] / 'images'}: expected images {CLASSES[1]}_0.JPEG" in (
        refusal(folder)
    )


def test_other_files_under_the_name_of_an_image_are_refused(folder):
    path = folder / "train" / CLASSES[0] / "images" / f"{CLASSES[0]}_0.JPEG"
    whole = path.read_bytes()
    save(path, 0, kind="PNG")
    assert f"{path}: expected a JPEG file; found something else" in refusal(folder)
    save(path, 0, size=(65, 64))
    assert f"{path}: expected 64 x 64 pixels; found 65 x 64" in refusal(folder)
    path.write_bytes(whole[: len(whole) // 2])
    assert f"{path}: expected a whole JPEG file; found" in refusal(folder)
    path.write_bytes(b"\x80\x04\x95pickled")
    assert f"{path}: expected a JPEG file" in refusal(folder)


@pytest.mark.parametrize("side", [12_000, 65_535])
def test_headers_that_promise_very_large_images_are_refused(folder, side):
    path = folder / "train" / CLASSES[0] / "images" / f"{CLASSES[0]}_0.JPEG"
    size = struct.pack(">HH", 64, 64)
    path.write_bytes(path.read_bytes().replace(size, struct.pack(">HH", side, side), 1))

    assert f"{path}: expected 64 x 64 pixels; found a header that promises far more" in refusal(
        folder
    )


def test_images_are_decoded_only_when_asked_for(folder):
    path = folder / "train" / CLASSES[0] / "images" / f"{CLASSES[0]}_0.JPEG"
    path.write_bytes(b"damaged")
    data = load(folder)
    data.batch(torch.tensor([1, 2]))
    with pytest.raises(DataError):
        data.batch(torch.tensor([0]))


def test_list_and_check(folder):
    entries = {entry.name: entry for entry in inventory(folder.parent)}
    assert (entries["tiny-imagenet"].state, entries["tiny-imagenet"].samples) == ("yes", 9)
    assert [f.shape for f in check("tiny-imagenet", folder.parent)] == [
        (6, 3, 64, 64),
        (3, 3, 64, 64),
    ]
    (folder / "val" / "images" / "val_2.JPEG").write_bytes(np.zeros(9).tobytes())
    with pytest.raises(DataError, match=r"val_2.JPEG: expected a JPEG file"):
        check("tiny-imagenet", folder.parent)


def test_a_listed_image_that_is_nowhere_is_named(folder):
    (folder / "val" / "val_annotations.txt").write_text("val_7.JPEG\tn02124075\n")
    message = refusal(folder)
    assert "expected its val_7.JPEG in" in message
    assert f"{folder / 'val' / 'n02124075'}; it is in neither" in message


@pytest.mark.parametrize("below", [".", "images"])
@pytest.mark.parametrize("listed", [True, False], ids=["with its list", "without"])
def test_val_sorted_into_class_folders_is_held_out(folder, below, listed):
    expected = load(folder).heldout_targets.tolist()
    for index, name in enumerate(reversed(CLASSES)):
        (folder / "val" / name / below).mkdir(parents=True)
        image = folder / "val" / "images" / f"val_{index}.JPEG"
        image.rename(folder / "val" / name / below / image.name)
    if not listed:
        (folder / "val" / "val_annotations.txt").unlink()

    data = load(folder)

    # Without the list its order is that of the classes.
    assert data.heldout_targets.tolist() == (expected if listed else sorted(expected))
    assert len(data.heldout_batch(9)[0]) == 3
    assert data.source.endswith("6 training images, 3 of val held out")


def test_a_val_that_cannot_be_used_is_noted(folder):
    (folder / "val" / "val_annotations.txt").unlink()
    expected = "val has neither val_annotations.txt nor class folders and is not used"
    assert load(folder).source.endswith(expected)
