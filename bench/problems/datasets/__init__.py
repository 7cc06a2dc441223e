"""Data sets: a bundled one, two in IDX files, and those that other packages register."""

from bench.problems.datasets.dataset import Dataset, dataset_names, load_dataset

__all__ = ["Dataset", "dataset_names", "load_dataset"]
