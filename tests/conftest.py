"""Shared by all tests: one thread, so that small problems are quick and results repeat."""

import torch

torch.set_num_threads(1)
