"""Data sets by name: what one is, where it is found, and how another package adds one."""

from bench.problems.datasets.dataset import Dataset
from bench.problems.datasets.locations import FileSet
from bench.problems.datasets.provider import FileProvider, Provider, Remote
from bench.problems.datasets.registry import dataset_names, load_dataset

__all__ = [
    "Dataset",
    "FileProvider",
    "FileSet",
    "Provider",
    "Remote",
    "dataset_names",
    "load_dataset",
]
