"""Penn Treebank as a language model sees it: the next word, in sequences of 256.

One sentence a line, words separated by blanks, rare words replaced by ``<unk>``; the end of a line
counts as the word ``<eos>``. The files are tokenised already, so that words are what blanks
separate. Source: M. Marcus et al., "Building a Large Annotated Corpus of English: The Penn
Treebank" (1993), in the version of T. Mikolov et al. (2010).
"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bench.problems.datasets.dataset import Dataset
from bench.problems.datasets.loaders.sources import damaged, opened, read_text
from bench.problems.datasets.locations import FileSet, existing, locate
from bench.problems.datasets.provider import FileProvider
from bench.problems.datasets.split import HELDOUT_SHARE

if TYPE_CHECKING:
    from torch import Tensor

LENGTH = 256  # the null-space paper's
UNKNOWN = "<unk>"
END = "<eos>"
_PARTS = ("train", "valid", "test")

Files = dict[str, Path]  # part -> file, in the order of _PARTS


def read_words(path: Path) -> list[str]:
    """Every word of a file, ``<eos>`` after each line.

    Raises:
        DataError: a damaged file, one without words, or one with control characters.
    """
    text = read_text(path)
    if "\0" in text:
        raise damaged(path, "words separated by blanks", f"a zero byte at {text.index(chr(0))}")
    lines = [line.split() for line in text.split("\n")]
    words = [word for line in lines if line for word in (*line, END)]
    if not words:
        raise damaged(path, "a sentence in each line", "no words")
    return words


def vocabulary(words: list[str]) -> dict[str, int]:
    """Word -> number, the most frequent first, equally frequent ones by the alphabet."""
    counts = Counter(words)
    counts.setdefault(UNKNOWN, 0)
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: number for number, word in enumerate(ordered)}


def load(data_dir: Path | None = None) -> Dataset:
    """The training file and the test file; the vocabulary is the training file's.

    Where the training file is absent the first of the others stands in for it, and where one file
    is alone its last 20 % are held out.

    Raises:
        DataError: the files are nowhere, damaged, or too short for a sequence in each part.
    """
    located = locate(FILES, data_dir)
    files = located.files
    first, *others = files
    train = read_words(files[first])
    if others:
        heldout = read_words(files[others[-1]])
        how = f"{first} for training, {others[-1]} held out"
    else:
        cut = len(train) - int(len(train) * HELDOUT_SHARE)
        train, heldout = train[:cut], train[cut:]
        how = f"only {first}, its last {len(heldout)} words held out"
    numbers = vocabulary(train)
    source = (
        f"{located.where}, {how}; {len(train)} training words, vocabulary {len(numbers)}, "
        f"sequences of {LENGTH}"
    )
    return Dataset.from_parts(
        "ptb",
        sequences(train, numbers, files[first]),
        sequences(heldout, numbers, files[(first, *others)[-1]]),
        len(numbers),
        source,
        "tokens",
    )


def sequences(words: list[str], numbers: dict[str, int], path: Path) -> tuple["Tensor", "Tensor"]:
    """Consecutive sequences ``[samples, 256]``, and the same moved on by one word.

    Raises:
        DataError: fewer than 257 words.
    """
    import torch

    count = (len(words) - 1) // LENGTH
    if count < 1:
        raise damaged(path, f"at least {LENGTH + 1} words in each part", str(len(words)))
    unknown = numbers[UNKNOWN]
    tokens = torch.tensor([numbers.get(word, unknown) for word in words[: count * LENGTH + 1]])
    return tokens[:-1].reshape(count, LENGTH), tokens[1:].reshape(count, LENGTH)


def _find(folder: Path) -> Files | None:
    found = {part: existing(folder, f"ptb.{part}.txt") for part in _PARTS}
    files = {part: path for part, path in found.items() if path}
    return files or None


def _count(files: Files) -> None:
    """Only reading would tell; a file that is empty is noticed."""
    for path in files.values():
        with opened(path) as source:
            if not source.read(1):
                raise damaged(path, "a sentence in each line", "no words")


def _check(files: Files) -> list[tuple[Path, tuple[int, ...]]]:
    return [(path, (len(read_words(path)),)) for path in files.values()]


FILES = FileSet(
    "ptb",
    "ptb",
    "ptb.train.txt, ptb.valid.txt and ptb.test.txt",
    "put them into a folder ptb; they are in data/ of "
    "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",
    _find,
    _count,
    _check,
)
PTB = FileProvider(load, FILES)
