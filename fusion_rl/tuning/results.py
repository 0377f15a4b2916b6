"""What a study has led to: its trials, the best of them, whether MLflow says the same, and files for other tools."""

import json
import math
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from fusion_rl.config.save import FILE_NAME as RESOLVED_FILE
from fusion_rl.errors import ConfigError, StudyError
from fusion_rl.tracking.base import STOPPED_TAG, RunRecord, RunStatus
from fusion_rl.training.bundle import SUFFIX
from fusion_rl.training.checkpoints import Kind
from fusion_rl.training.run import checkpoint_folder
from fusion_rl.tuning import storage as storages
from fusion_rl.tuning.definition import PREFIX
from fusion_rl.tuning.trial import BLOCKING, LEFT, STATE_TAG, TRIAL_TAG
from fusion_rl.tuning.worker import BEST_RUN, CI95, FAILURE, RUNS, SECONDS

if TYPE_CHECKING:
    import pandas as pd

    from fusion_rl.tracking.mlflow_store import Store

ENDINGS = (".csv", ".json", ".parquet")
# how MLflow says what Optuna says
_STATUS = {
    TrialState.COMPLETE: RunStatus.FINISHED,
    TrialState.PRUNED: RunStatus.KILLED,
    TrialState.FAIL: RunStatus.FAILED,
    TrialState.RUNNING: RunStatus.RUNNING,
}


@dataclass(frozen=True)
class TrialRow:
    """A trial as people want to see it.

    Attributes:
        state: complete, pruned, fail, running or waiting.
        step: training step that it was last judged at, over all its seeds; None: not yet.
        blocking: share of requests blocked; of a trial that is not complete, as it was last judged.
        ci95: half-width of its 95 % interval; None where the trial is not complete.
        seconds: of training.
        settings: what is searched -> its value.
        left: how often its worker died.
        why: why it failed.
        run_id: its run in MLflow.
        runs, best_run: those of its trainings, and of that with the least blocking.
    """

    number: int
    state: str
    step: int | None
    blocking: float | None
    ci95: float | None
    seconds: float | None
    settings: dict[str, Any]
    left: int
    why: str
    run_id: str | None
    runs: tuple[str, ...]
    best_run: str | None

    @property
    def is_complete(self) -> bool:
        """Whether its value counts."""
        return self.state == "complete"

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Best:
    """A trial that nothing beats.

    Attributes:
        trial: which.
        config: its resolved configuration, a file: that of the training with the least blocking.
        checkpoint: what this training ended with.
    """

    trial: TrialRow
    config: Path
    checkpoint: Path

    @property
    def commands(self) -> dict[str, str]:
        """How it is gone on with: what it does -> the command."""
        return {
            "train it again": shlex.join(["fusion-rl", "train", "--experiment", str(self.config)]),
            "go on from it": shlex.join(
                ["fusion-rl", "train", "--experiment", str(self.config), "--resume-from", str(self.checkpoint)]
            ),
            "judge it": shlex.join(
                ["fusion-rl", "evaluate", "--experiment", str(self.config), "--policy", str(self.checkpoint)]
            ),
        }

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON types."""
        said = {"config": str(self.config), "checkpoint": str(self.checkpoint), "commands": self.commands}
        return {"trial": self.trial.as_dict(), **said}


def rows(study: Study) -> list[TrialRow]:
    """Every trial of a study, in order."""
    return [_row(trial) for trial in study.get_trials(deepcopy=False)]


def _row(trial: FrozenTrial) -> TrialRow:
    told, between = trial.user_attrs, trial.intermediate_values
    step = max(between) if between else None
    finite = told.get(CI95) is not None and math.isfinite(told[CI95])
    return TrialRow(
        number=trial.number,
        state=trial.state.name.lower(),
        step=step,
        blocking=told.get("blocking", between[step] if step is not None else None),
        ci95=told[CI95] if finite else None,
        seconds=told.get(SECONDS),
        settings={path: _setting(trial, path) for path in trial.params},
        left=told.get(LEFT, 0),
        why=told.get(FAILURE, ""),
        run_id=told.get("run_id"),
        runs=tuple(told.get(RUNS, ())),
        best_run=told.get(BEST_RUN),
    )


def _setting(trial: FrozenTrial, path: str) -> Any:
    return trial.params[path]


def best(study: Study, tracking_dir: str) -> list[Best]:
    """The trials that nothing beats: one where there is a single objective, else those of the Pareto front.

    Raises:
        StudyError: no trial is complete yet.
    """
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise StudyError(
            f"study {study.study_name} has no complete trial yet: fusion-rl study status {study.study_name}"
        )
    single = len(study.directions) == 1
    found = [_row(trial) for trial in ([study.best_trial] if single else study.best_trials)]
    return [_best(row, tracking_dir) for row in found]


def _best(row: TrialRow, tracking_dir: str) -> Best:
    assert row.best_run is not None  # a complete trial has it
    folder = checkpoint_folder(tracking_dir, row.best_run).absolute()
    return Best(row, folder / "config" / RESOLVED_FILE, folder / f"{Kind.FINAL}{SUFFIX}")


def best_of(name: str, storage: str | None = None) -> Best:
    """The best trial of a study as `study:NAME` means it: the one with the least blocking.

    Args:
        name: of the study, with `study:` before it or without.
        storage: URL; None: that of the environment variable, else the default.

    Raises:
        StudyError, UnknownNameError: there is no such study, it has no complete trial, or its checkpoint is not here.
    """
    study = storages.open_begun(name.removeprefix(PREFIX), storage)
    found = min(best(study, study.user_attrs[storages.TRACKING]), key=lambda one: one.trial.blocking or 0.0)
    for path in (found.config, found.checkpoint):
        if not path.is_file():
            raise StudyError(f"study {study.study_name}: its best trial's {path} is not on this machine")
    return found


def disagreements(study: Study, store: "Store") -> list[str]:
    """Where MLflow says something else of a trial than Optuna; a trial that waits has nothing to say yet."""
    records = store.search_runs(
        f"study {study.study_name}", f"tags.`mlflow.parentRunId` = '{study.user_attrs['run_id']}'"
    )
    by_number: dict[int, list[RunRecord]] = {}
    for record in records:
        by_number.setdefault(int(record.tags[TRIAL_TAG]), []).append(record)
    found = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state is TrialState.WAITING:
            continue
        runs = by_number.pop(trial.number, [])
        if len(runs) != 1:
            found.append(f"trial {trial.number} has {len(runs)} runs")
        else:
            found += [f"trial {trial.number}: {problem}" for problem in _differences(trial, runs[0])]
    return found + [f"run of a trial {number} that there is not" for number in by_number]


def _differences(trial: FrozenTrial, run: RunRecord) -> list[str]:
    found = []
    if run.status is not _STATUS[trial.state]:
        found.append(f"{trial.state.name} in Optuna, {run.status} in MLflow")
    if trial.state.is_finished() and run.tags.get(STATE_TAG) != trial.state.name:
        found.append(f"{trial.state.name} in Optuna, tag {run.tags.get(STATE_TAG)} in MLflow")
    if (trial.state is TrialState.PRUNED) != (STOPPED_TAG in run.tags):
        found.append(f"{trial.state.name} in Optuna, and the tag {STOPPED_TAG} does not fit")
    if trial.state is TrialState.COMPLETE and run.metrics.get(BLOCKING) != trial.user_attrs["blocking"]:
        found.append(f"blocking {trial.user_attrs['blocking']} in Optuna, {run.metrics.get(BLOCKING)} in MLflow")
    told = {path: str(value) for path, value in trial.params.items()}
    if told != dict(run.parameters):
        found.append(f"{told} in Optuna, {dict(run.parameters)} in MLflow")
    return found


def frame(found: list[TrialRow]) -> "pd.DataFrame":
    """Trials as a frame, one row each, a column for each setting."""
    import pandas as pd

    plain = [{**one.as_dict(), **one.settings} for one in found]
    for row in plain:
        del row["settings"]
        row["runs"] = " ".join(row["runs"])
    return pd.DataFrame(plain)


def export(found: list[TrialRow], path: str | Path) -> Path:
    """Write trials to a file; its ending says how.

    Raises:
        ConfigError: the ending is none of .csv, .json and .parquet, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ConfigError(f"export to '{path}': its ending must be one of {', '.join(ENDINGS)}")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            unfinished.write_text(json.dumps({"trials": [one.as_dict() for one in found]}, indent=1), encoding="utf-8")
        elif path.suffix == ".csv":
            frame(found).to_csv(unfinished, index=False)
        else:
            frame(found).to_parquet(unfinished, index=False)
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigError(f"trials cannot be written to {path}: {error.strerror or error}") from error
    return path


def counts(found: list[TrialRow]) -> Mapping[str, int]:
    """State -> how many trials."""
    states = [state.name.lower() for state in TrialState]
    return {state: sum(one.state == state for one in found) for state in states}
