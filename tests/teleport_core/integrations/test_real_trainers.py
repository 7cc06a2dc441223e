"""Real trainers: whoever goes on from a checkpoint ends at the same bits; ``make integrations``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from teleport_core import Schedule

pytestmark = [pytest.mark.integrations, pytest.mark.filterwarnings("ignore")]

SAMPLES, SIZE = 40, 4
STEPS = SAMPLES // SIZE
MOVES = {"epochs": {0, 1, 2}, "at_steps": {3, 13, 16}, "batches": 3}
SCHEDULES = {
    "plain": None,
    "nothing": Schedule("identity", guard="lookahead", **MOVES),
    "teleports": Schedule(lr=1e-3, steps=2, **MOVES),
    "guarded": Schedule(lr=1e-3, steps=2, guard="lookahead", optimizer_state="reset", **MOVES),
}


def bits(model: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


class Sentences(Dataset[dict[str, Any]]):
    """Tokens, of which one is replaced at random each time they are looked at."""

    def __init__(self, *, noise: bool) -> None:
        generator = torch.Generator().manual_seed(1)
        self.tokens = torch.randint(0, 50, (SAMPLES, 8), generator=generator)
        self.noise = noise

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> dict[str, Any]:
        tokens = self.tokens[index].clone()
        if self.noise:
            tokens[torch.randint(0, 8, ())] = torch.randint(0, 50, ())
        return {"input_ids": tokens, "labels": index % 3}


def by_transformers(
    out: Path, name: str, resume: int = 0, *, noise: bool = False, **options: Any
) -> tuple[bytes, list[Any]]:
    """A tiny BERT with its dropout, three epochs, a checkpoint each half of them."""
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    from teleport_core.integrations.transformers import TeleportCallback

    set_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=16, num_labels=3,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    schedule = SCHEDULES[name]
    callbacks = [] if schedule is None else [TeleportCallback(schedule)]
    args = TrainingArguments(
        str(out), num_train_epochs=3, per_device_train_batch_size=SIZE, save_strategy="steps",
        save_steps=5, report_to=[], use_cpu=True, seed=7, disable_tqdm=True, learning_rate=1e-3,
        **options,
    )  # fmt: skip
    data = Sentences(noise=noise)
    trainer = Trainer(model=model, args=args, train_dataset=data, callbacks=callbacks)
    trainer.train(resume_from_checkpoint=str(out / f"checkpoint-{resume}") if resume else None)
    return bits(model), [results for callback in callbacks for results in callback.results]


class Resumable:
    """Batches in an order of each epoch, from where a checkpoint of Lightning's says."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.inputs = torch.randn(SAMPLES, 8, generator=generator)
        self.epoch = self.position = 0

    def __len__(self) -> int:
        return STEPS

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(self.epoch)
        order = torch.randperm(SAMPLES, generator=generator).split(SIZE)
        for index in range(self.position, STEPS):
            self.position = (index + 1) % STEPS
            self.epoch += self.position == 0
            yield self.inputs[order[index]], order[index] % 3

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        vars(self).update(state)


class ByEpoch(Sampler[int]):
    """Another order for each epoch, whatever was drawn before."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return SAMPLES

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.epoch)
        return iter(torch.randperm(SAMPLES, generator=generator).tolist())


def samples() -> TensorDataset:
    return TensorDataset(Resumable().inputs, torch.arange(SAMPLES) % 3)


def by_lightning(
    out: Path, name: str, loader: Any, resume: str = "", *, dropout: float = 0.0
) -> tuple[bytes, list[Any]]:
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import ModelCheckpoint

    from teleport_core.integrations.lightning import TeleportCallback

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Linear(8, 24), nn.BatchNorm1d(24), nn.Tanh(), nn.Dropout(dropout),
                nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 3),
            )  # fmt: skip

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x)

        def training_step(self, batch: Any, index: int) -> Tensor:
            loss = F.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 1e-2)

    pl.seed_everything(0)
    module, schedule = Module(), SCHEDULES[name]
    ours = [] if schedule is None else [TeleportCallback(schedule, F.cross_entropy)]
    theirs = [
        ModelCheckpoint(out, every_n_train_steps=5, save_top_k=-1, filename="{step}"),
        ModelCheckpoint(out, every_n_epochs=1, save_top_k=-1, filename="{epoch}"),
    ]
    trainer = pl.Trainer(
        max_epochs=3, callbacks=[*theirs, *ours], logger=False, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader, ckpt_path=str(out / f"{resume}.ckpt") if resume else None)
    return bits(module), [results for callback in ours for results in callback.results]


@pytest.mark.parametrize("name", ["teleports", "guarded"])
def test_transformers_goes_on_to_the_same_bits(tmp_path: Path, name: str) -> None:
    whole, results = by_transformers(tmp_path, name)

    assert sum(result.steps_done for found in results for result in found) == 36
    assert len(results) == 6
    # In the middle of an epoch, at its end and so before teleports, and in a later one.
    for step, left in {5: 4, 10: 4, 15: 2, 20: 1, 25: 0}.items():
        end, again = by_transformers(tmp_path, name, step)
        assert len(again) == left, step
        assert end == whole, step


@pytest.mark.parametrize("name", ["plain", "teleports"])
def test_random_samples_of_the_resumed_epoch_are_the_same_too(tmp_path: Path, name: str) -> None:
    """At an epoch's end: in the middle of one the trainer itself does not draw them again."""
    whole, _ = by_transformers(tmp_path, name, noise=True)
    end, _ = by_transformers(tmp_path, name, 10, noise=True)

    assert end == whole


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"noise": True},
        {"gradient_accumulation_steps": 3},
        {"noise": True, "dataloader_num_workers": 1, "dataloader_persistent_workers": True},
    ],
    ids=["plain", "noise", "accumulated", "workers"],
)
def test_transformers_trains_as_without_where_nothing_moves(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    plain, _ = by_transformers(tmp_path / "a", "plain", **options)
    nothing, results = by_transformers(tmp_path / "b", "nothing", **options)
    moved, _ = by_transformers(tmp_path / "c", "teleports", **options)

    assert nothing == plain
    assert moved != plain
    assert {len(found) for found in results} == {3}


# Lightning gives a loader its state back in the middle of an epoch only, and an epoch at its start.
LOADERS = {
    "resumable": (Resumable, {"step=5": 4, "step=10": 4, "step=15": 2, "step=20": 1, "step=25": 0}),
    "by epoch": (
        lambda: DataLoader(samples(), SIZE, sampler=ByEpoch()),
        {"step=10": 4, "step=20": 1, "epoch=0": 4, "epoch=1": 1},
    ),
}


@pytest.mark.parametrize("loader", list(LOADERS))
@pytest.mark.parametrize("name", ["plain", "teleports", "guarded"])
def test_lightning_goes_on_to_the_same_bits(tmp_path: Path, name: str, loader: str) -> None:
    made, places = LOADERS[loader]
    whole, results = by_lightning(tmp_path, name, made())

    steps = sum(result.steps_done for found in results for result in found)
    assert (len(results), steps) == ((0, 0) if name == "plain" else (6, 36))
    for place, left in places.items():
        end, again = by_lightning(tmp_path, name, made(), place)
        assert len(again) == (0 if name == "plain" else left), place
        assert end == whole, place


def test_lightning_trains_as_without_where_nothing_moves(tmp_path: Path) -> None:
    ends = {}
    for name in ("plain", "nothing", "teleports"):
        loader = DataLoader(samples(), SIZE, shuffle=True)
        ends[name], _ = by_lightning(tmp_path / name, name, loader, dropout=0.2)

    assert ends["nothing"] == ends["plain"]
    assert ends["teleports"] != ends["plain"]
