"""Penn Treebank: words, vocabulary, sequences, and damaged files."""

import pytest
import torch
from idx_files import is_here, isolate

from bench.errors import DataError
from bench.problems.datasets import load_dataset
from bench.problems.datasets.loaders.ptb import LENGTH, read_words, sequences, vocabulary


@pytest.fixture
def root(monkeypatch, tmp_path):
    isolate(monkeypatch, tmp_path)
    root = tmp_path / "data"
    (root / "ptb").mkdir(parents=True)
    return root


def write_part(root, part, lines):
    path = root / "ptb" / f"ptb.{part}.txt"
    path.write_text("".join(f" {line} \n" for line in lines))
    return path


SENTENCE = "the cat <unk> the mat"


def test_the_end_of_a_line_is_a_word(root):
    path = write_part(root, "train", ["a b", "c"])
    assert read_words(path) == ["a", "b", "<eos>", "c", "<eos>"]


def test_the_vocabulary_goes_by_frequency_then_alphabet():
    words = ["b", "a", "the", "the", "a", "b", "z"]
    assert vocabulary(words) == {"a": 0, "b": 1, "the": 2, "z": 3, "<unk>": 4}


def test_targets_are_the_inputs_moved_on_by_one_word(tmp_path):
    words = [str(number) for number in range(2 * LENGTH + 1)]
    numbers = {word: int(word) for word in words} | {"<unk>": 999}
    inputs, targets = sequences(words, numbers, tmp_path)
    assert inputs.shape == targets.shape == (2, LENGTH)
    assert torch.equal(inputs.flatten(), torch.arange(2 * LENGTH))
    assert torch.equal(targets, inputs + 1)


def test_words_that_the_training_file_lacks_are_unknown(root):
    write_part(root, "train", [SENTENCE] * 60)
    write_part(root, "valid", ["never read"])
    write_part(root, "test", ["the dog <unk> the mat"] * 60)

    data = load_dataset("ptb", root)

    # the (2 a line), <eos>, <unk>, cat, mat
    assert data.outputs == 5
    assert (data.task, data.sample_shape) == ("tokens", (256,))
    numbers = {"the": 0, "<eos>": 1, "<unk>": 2, "cat": 3, "mat": 4}
    line = [numbers[word] for word in [*SENTENCE.split(), "<eos>"]]
    assert data.inputs[0][:12].tolist() == line * 2
    assert data.heldout_inputs[0][:6].tolist() == [0, 2, 2, 0, 4, 1]
    assert "train for training, test held out; 360 training words, vocabulary 5" in data.source


def test_without_the_training_file_the_next_one_stands_in(root):
    write_part(root, "valid", [SENTENCE] * 60)
    write_part(root, "test", [SENTENCE] * 60)
    assert "valid for training, test held out" in load_dataset("ptb", root).source


def test_one_file_alone_is_split_in_time(root):
    write_part(root, "test", [SENTENCE] * 300)
    data = load_dataset("ptb", root)
    assert "only test, its last 360 words held out; 1440 training words" in data.source
    assert (len(data), len(data.heldout_targets)) == (5, 1)


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        (b"", "expected a sentence in each line; found no words"),
        (b" \n \n", "found no words"),
        (b"too short\n", "expected at least 257 words in each part; found 3"),
        (b"the \xff cat\n", "expected text in UTF-8"),
        (b"the \0 cat\n", "expected words separated by blanks; found a zero byte at 4"),
        (b"\x1f\x8b\x08\x00", "expected the gzip stream to go on"),
    ],
)
def test_damaged_files_are_refused_by_name(root, contents, text):
    write_part(root, "train", [SENTENCE] * 60)
    path = root / "ptb" / "ptb.test.txt"
    path.write_bytes(contents)
    with pytest.raises(DataError, match=f"{path}: .*{text}"):
        load_dataset("ptb", root)


def test_absent_files_say_where_they_are(root):
    with pytest.raises(DataError, match=r"(?s)ptb.train.txt, ptb.valid.txt and .*examples.tgz"):
        load_dataset("ptb", root)


@pytest.mark.skipif(not is_here("ptb"), reason="Penn Treebank is nowhere here")
def test_real_penn_treebank():
    data = load_dataset("ptb")
    assert data.outputs > 5000
    # About one word in twenty-one ends a sentence, and <unk> is among the most frequent words.
    share = (data.inputs == 2).float().mean().item()
    assert 0.03 < share < 0.07
    assert data.inputs.max() < data.outputs
