"""A made-up training run, for tests alone: its losses follow formulas, nothing in it was trained.

Two optimizers, both rules of the learning rate. What each arm does is planted: the teleport is
faster by ``gain`` in steps, ``aa`` is plain once more, ``lr-gain`` a little faster than plain.
"""

import json
import math
import random
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path

import tomli_w
from msgspec.structs import replace

from bench.spec.preset import load_preset
from bench.storage import journal
from bench.storage.records import TeleportRecord, TrainingRecord, TrialRecord
from bench.training.settings import Training
from bench.training.trials import judged_trials, tuning_trials

TELEPORT = "nullspace:growth=4"
ARMS = ("plain", TELEPORT, "aa", "lr-gain", "jitter")
PLACE = {"model": "mlp", "dataset": "digits", "device": "cpu", "dtype": "float32"}
STEPS = 45  # of an epoch
BATCHES = 2
MOMENTS = (0, 1)


def settings(**changes):
    asked = {"optimizers": ("sgd", "adam"), "arms": ARMS, "seeds": 3, "epochs": 10, "lr": 2e-3}
    asked |= {"schedule": "0:2", "target_at": 0.8, "tune": 5, "tuning_seeds": 1}
    return Training(**{**asked, **changes})


def records(asked, gain=1.3, *, tuning_alone=False):
    """The journal of a whole run, trial after trial."""
    found = []
    for optimizer in asked.optimizers:
        for run in range(asked.tuning_seeds):
            for trial in tuning_trials(asked, optimizer, run):
                found += trial_records(asked, trial, gain)
        for seed in range(0 if tuning_alone else asked.seeds):
            for trial in judged_trials(asked, optimizer, seed):
                found += trial_records(asked, trial, gain)
    return found


def facts_of(asked, trial):
    lr = trial.lr if trial.lr is not None else asked.grid(trial.optimizer)[asked.tune // 2]
    return {
        **PLACE,
        "trial_id": trial.identity("here"),
        **{name: getattr(trial, name) for name in ("optimizer", "arm", "lr_rule", "role", "seed")},
        "lr": lr,
    }


def trial_records(asked, trial, gain):
    """Evaluations, teleports and the end of one trial."""
    facts = facts_of(asked, trial)
    arm = trial.arm.removeprefix("normalised+")
    speed = {TELEPORT: gain, "lr-gain": 1.05}.get(arm, 1.0) * _rate_factor(
        asked, trial, facts["lr"]
    )
    pair = random.Random(f"{trial.optimizer}{trial.seed}{trial.lr_rule}{trial.role}")
    level = pair.uniform(0.9, 1.1)
    own = 1.0 if arm in ("plain", "aa") else random.Random(facts["trial_id"]).uniform(0.99, 1.01)
    teleports = _teleports(asked, facts, level) if arm == TELEPORT else []
    found, seconds = [], 0.0
    for number in range(asked.epochs * asked.evaluations + 1):
        epoch = number / asked.evaluations
        moved = len([t for t in teleports if t.epoch < epoch])
        loss = 2.3 * level * own * math.exp(-0.35 * speed * epoch) + 0.01
        steps = round(epoch * STEPS)
        seconds += 0.002 * STEPS / asked.evaluations * pair.uniform(1, 1.2) * bool(number)
        found.append(
            TrainingRecord(
                **facts,
                epoch=epoch,
                step=steps,
                train_seconds=seconds + 0.03 * moved,
                teleport_seconds=0.03 * moved,
                gradient_equivalents=steps + 12.0 * moved,
                train_loss=loss,
                test_loss=loss * 1.1 + 0.05,
                test_metric=1 - loss / 3,
            )
        )
    end = TrialRecord(
        **facts,
        outcome="finished",
        steps=asked.epochs * STEPS,
        train_loss=found[-1].train_loss,
        test_loss=found[-1].test_loss,
    )
    return [*teleports, *found, end]


def _rate_factor(asked, trial, lr):
    """Slower away from the middle of the grid."""
    middle = asked.grid(trial.optimizer)[asked.tune // 2] if asked.tune else lr
    return 1 / (1 + 0.4 * abs(math.log10(lr / middle)))


def _teleports(asked, facts, level):
    found = []
    for moment in MOMENTS:
        loss = 2.3 * level * math.exp(-0.4 * moment)
        for batch in range(BATCHES):
            ahead = {"horizon": 10, "ahead_without": loss - 0.1, "ahead_with": loss - 0.28}
            found.append(
                TeleportRecord(
                    **facts,
                    epoch=moment,
                    step=moment * STEPS,
                    batch=batch,
                    teleport_status="CAPPED" if batch else "CONVERGED",
                    steps_done=8,
                    loss_before=loss * 1.02,
                    loss_after=loss * 1.02 * (1 + 2e-7),
                    train_loss_before=loss - 0.01 * batch,
                    train_loss_after=loss - 0.01 * (batch + 1),
                    test_loss_before=loss,
                    test_loss_after=loss + 0.004,
                    objective_before=0.5 * (1 + batch),
                    objective_after=2.0 * (1 + batch),
                    displacement=0.8,
                    seconds=0.03,
                    gradient_equivalents=12.0,
                    **(ahead if batch == BATCHES - 1 else {}),
                )
            )
    return found


def of_trial(found, optimizer, arm, rule, seed, role="test"):
    """Places in a journal of the records of one trial."""
    wanted = (optimizer, arm, rule, seed, role)
    return [
        place
        for place, r in enumerate(found)
        if (r.optimizer, r.arm, r.lr_rule, r.seed, r.role) == wanted
    ]


def changed(found, places, kind=TrainingRecord, **changes):
    """The journal with fields of some of its records put in place."""
    chosen = {place for place in places if type(found[place]) is kind}
    return [replace(r, **changes) if i in chosen else r for i, r in enumerate(found)]


def lost(found, places, outcome, epochs, **how):
    """The journal with a trial that ended after so many epochs."""
    chosen = set(places)
    kept = []
    for place, record in enumerate(found):
        if place not in chosen:
            kept.append(record)
        elif type(record) is TrialRecord:
            ended = {"outcome": outcome, "train_loss": None, "test_loss": None, "steps": 90}
            kept.append(replace(record, **ended, **how))
        elif record.epoch < epochs:
            kept.append(record)
        elif type(record) is TrainingRecord and record.epoch == epochs and outcome == "diverged":
            kept.append(replace(record, train_loss=None, test_loss=None, test_metric=None))
    return kept


def write(directory, found, asked, *, spec=True):
    """A run directory as a training run leaves it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "journal.jsonl").write_bytes(b"".join(map(journal.as_line, found)))
    if spec:
        tree = tomllib.loads(load_preset("train-quick").to_toml("teleport-bench train --seeds 3"))
        given = {name: value for name, value in asdict(asked).items() if value is not None}
        text = tomli_w.dumps({**tree, "training": given})
        (directory / "spec.toml").write_text(text, encoding="utf-8")
    facts = {"torch": "2.13.0", "cpu_model": "made up"}
    (directory / "environment.json").write_text(json.dumps(facts), encoding="utf-8")
    return directory


if __name__ == "__main__":  # a page to look at
    from reports import write_report

    asked = settings(seeds=int(sys.argv[2]) if len(sys.argv) > 2 else 10)
    found = records(asked)
    found = lost(found, of_trial(found, "sgd", TELEPORT, "tuned", 1), "diverged", 4)
    places = of_trial(found, "adam", TELEPORT, "fixed", 2)
    found = lost(found, places, "failed", 3, status="crashed", reason="the worker died: signal 9")
    found = changed(found, of_trial(found, "sgd", "aa", "fixed", 0), busy_epochs=1)
    print(write_report(write(Path(sys.argv[1]), found, asked)))
