"""Small IDX files, and a machine without any data set, for the tests of the loaders."""

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.problems.datasets import Remote, locations
from bench.problems.datasets.loaders import mnist
from bench.problems.datasets.registry import provider_of

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
DEBIAN = Path("/usr/share/datasets")


def is_here(name):
    """Whether the real files of a data set are anywhere on this machine."""
    return locations.find(provider_of(name).files, None) is not None


def header(code, shape):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)


def idx_bytes(array):
    kind = array.dtype.str[1:]
    return header(CODES[kind], array.shape) + array.astype(f">{kind}").tobytes()


def write(path, contents):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(contents) if path.suffix == ".gz" else contents)
    return path


def images_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def labels_of(count):
    return (np.arange(count) % 10).astype(np.uint8)


def write_part(folder, part, count, suffix=".gz"):
    """Images and labels of one part under their official names."""
    images, labels = images_of(count), labels_of(count)
    write(folder / f"{part}-images-idx3-ubyte{suffix}", idx_bytes(images))
    write(folder / f"{part}-labels-idx1-ubyte{suffix}", idx_bytes(labels))
    return images, labels


def publish_mnist(monkeypatch, address, md5):
    """Have MNIST under another address, or with other official hashes."""
    provider = replace(mnist.MNIST, remote=Remote(address, md5))
    monkeypatch.setattr(mnist, "MNIST", provider)


def isolate(monkeypatch, tmp_path):
    """Point every place but --data-dir below tmp_path, where nothing is; return the roots."""
    roots = {
        "variable": tmp_path / "variable",
        "cache": tmp_path / "cache",
        "shared": tmp_path / "shared" / "data",
        "debian": tmp_path / "debian",
    }
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "pyproject.toml").touch()
    monkeypatch.setenv("TELEPORT_DATA", str(roots["variable"]))
    monkeypatch.setattr("pooch.os_cache", lambda project: roots["cache"])
    monkeypatch.setattr(locations, "_CHECKOUT", checkout)
    monkeypatch.setattr(locations, "_DEBIAN", roots["debian"])
    return roots
