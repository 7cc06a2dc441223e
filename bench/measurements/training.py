"""Training experiments: all arms of one optimizer and seed, in turns, in one unit of work."""

from dataclasses import asdict
from typing import Any

from bench.plan.points import Plan, Point
from bench.plan.units import Unit, common
from bench.seeds import stable_hash
from bench.spec.spec import Spec, device_kind
from bench.spec.variants import Variant
from bench.storage.training_records import TeleportRecord, TrainingRecord, TrialRecord
from bench.training.arms import all_arms
from bench.training.settings import Training as Settings
from bench.training.trials import Trial, judged_trials, tuning_trials


class Training:
    """The [training] section of a spec; its base says what the teleports are like."""

    name = "training"
    settings = Settings
    records = (TrainingRecord, TeleportRecord, TrialRecord)
    runs = "bench.worker.training:run_training"

    def units(self, plan: Plan) -> list[Unit]:
        """For every optimizer first what finds learning rates and targets, then what is judged."""
        settings: Settings | None = plan.spec.sections.get(self.name)
        if settings is None:
            return []
        found: list[Unit] = []
        for optimizer in settings.optimizers:
            runs = range(settings.tuning_seeds)
            tuning = [
                _unit(plan.spec, settings, tuning_trials(settings, optimizer, run)) for run in runs
            ]
            needed = tuple(unit.unit for unit in tuning) if settings.tune else ()
            found += tuning
            found += [
                _unit(plan.spec, settings, judged_trials(settings, optimizer, seed), needed)
                for seed in range(settings.seeds)
            ]
        return found


def point_of_training(spec: Spec) -> Point:
    """Where a spec trains: its base."""
    return Point(
        **spec.base, model=spec.model, dataset=spec.data, device=spec.device, dtype=spec.dtype
    )


def _unit(spec: Spec, settings: Settings, trials: list[Trial], needs: tuple[str, ...] = ()) -> Unit:
    point = point_of_training(spec)
    facts = common(spec, point)
    place = {**facts, "point": {**facts["point"], "device": device_kind(spec.device)}}
    del place["data_dir"]
    study = _decisive(settings)
    listed = [{**asdict(trial), "trial_id": trial.identity([place, study])} for trial in trials]
    first = listed[0]
    unit = stable_hash(["training", [trial["trial_id"] for trial in listed]])[:16]
    role = {"tuning": "tuning", "test": "judged"}[str(first["role"])]
    return Unit(
        unit=unit,
        label=f"{first['optimizer']}, seed {first['seed']} ({role}), {len(trials)} trials",
        command={
            "do": "training",
            "unit": unit,
            "trials": listed,
            "settings": asdict(settings),
            "variants": _methods(settings),
            **facts,
        },
        base={
            "kind": "trial",
            "unit": unit,
            "outcome": "failed",
            **first,
            "lr": first["lr"] or 0.0,
            **asdict(point),
        },
        cell_ids=(str(first["trial_id"]),),
        needs=needs,
        kind=f"{first['optimizer']} {role}",
        group=f"training {first['optimizer']}" if settings.tune else unit,
    )


def _methods(settings: Settings) -> list[str]:
    """The teleports of all arms as variants, for the check before anything is begun."""
    arms = [arm for arm in all_arms(settings.arms) if arm.variant is not None]
    return [str(Variant(arm.variant.method, arm.method_options)) for arm in arms if arm.variant]


def _decisive(settings: Settings) -> dict[str, Any]:
    """What decides the course of a trial: not who else is trained, nor how they are judged."""
    without = ("optimizers", "arms", "seeds", "tune", "tuning_seeds", "target_at", "lr")
    words = ("minimum_effect", "figure", "reduced")
    return {k: v for k, v in asdict(settings).items() if k not in (*without, *words)}


TRAINING = Training()
