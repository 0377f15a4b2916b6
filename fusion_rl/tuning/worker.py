"""A worker: takes one trial after the other, shows that it lives, and takes up what dead workers left."""

import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import Trial, TrialState
from rich.console import Console

from fusion_rl.errors import TrackingError, TrainingStopped
from fusion_rl.tracking.address import Address
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.tracking.processes import is_gone, process_tags
from fusion_rl.training.interrupts import Interrupts
from fusion_rl.tuning import storage as storages
from fusion_rl.tuning.definition import StudyDefinition
from fusion_rl.tuning.spaces import make_space
from fusion_rl.tuning.trial import LEFT, WORKER, Outcome, TakenOver, Trials

FAILURE = "failure"  # why a trial failed
CI95, SECONDS, RUNS, BEST_RUN = "ci95", "seconds", "runs", "best_run"  # of a trial that is complete
_CLAIM_S = 600  # a proposal takes seconds, on a busy machine a minute
_LOST = (TrackingError, optuna.exceptions.StorageInternalError)  # no fault of the trial's


@dataclass(frozen=True)
class Plan:
    """What every worker of a study is told.

    Attributes:
        definition: the study's.
        storage: URL of the database that it is in.
        tracking_dir: folder of the run store, absolute.
        trials: how many there shall be in all.
        deadline: no trial begins after this, seconds since 1970; None: no limit.
    """

    definition: StudyDefinition
    storage: str
    tracking_dir: str
    trials: int
    deadline: float | None = None


def work(plan: Plan, console: Console | None = None, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Carry out trials until there is none left, or time is up.

    Args:
        plan: of the study, which has been begun.
        console: where progress is shown; None: on standard error.
        goes_on: asked before each trial whether this worker shall take another.

    Returns:
        How many trials it took.

    Raises:
        StudyError, TrackingError: the storage or the run store does not answer any more.
        KeyboardInterrupt: a signal ended it; its trial waits for another worker.
    """
    console = console or Console(stderr=True)
    storage = storages.open_storage(plan.storage, create=False)
    space = make_space(plan.definition, plan.tracking_dir)
    study = storages.find_study(storage, plan.definition.name)
    study.pruner = storages.make_pruner(plan.definition, space.base.execution.eval_every)
    worker = process_tags()
    trials = Trials(space, open_store(plan.tracking_dir), study.user_attrs[storages.RUN], worker, console)
    taken = 0
    with Interrupts():
        while goes_on():
            if plan.deadline is not None and time.time() > plan.deadline:
                break
            trial = _claim(study, storage, plan, worker, trials)
            if trial is None:
                break
            taken += 1
            _carry_out(study, storage, trial, trials)
    return taken


def _claim(study: Study, storage: RDBStorage, plan: Plan, worker: Mapping[str, str], trials: Trials) -> Trial | None:
    """The next trial: one that waits, else a new one; None where there are enough.

    Workers of one machine take turns, so there is never one trial too many; one on another machine may begin one at the
    same moment.
    """
    with claiming(plan.storage):
        take_up(study, storage)
        known = study.get_trials(deepcopy=False)
        if len(known) >= plan.trials and all(trial.state is not TrialState.WAITING for trial in known):
            return None
        study.sampler = storages.make_sampler(plan.definition, len(known))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Heartbeat of storage")  # this worker shows its own
            trial = study.ask()
        trial.set_user_attr(WORKER, dict(worker))
        storage.record_heartbeat(_id_of(study, storage, trial.number))
        trials.space.suggest(trial)
        return trial


def _carry_out(study: Study, storage: RDBStorage, trial: Trial, trials: Trials) -> None:
    """A trial to its true end in Optuna; its run in MLflow has come to it before."""
    number = trial.number
    with _Heartbeat(storage, _id_of(study, storage, number)):
        try:
            outcome = trials.carry_out(trial)
        except TakenOver as stopped:
            trials.console.print(str(stopped))
            return
        except TrainingStopped as stopped:
            trials.console.print(f"trial {number}: {stopped}", highlight=False)
            study.tell(number, state=TrialState.PRUNED)
            return
        except (KeyboardInterrupt, *_LOST):
            storage.set_trial_state_values(_id_of(study, storage, number), TrialState.WAITING)
            raise
        except Exception as error:
            trials.console.print(f"trial {number} failed: {type(error).__name__}: {error}", markup=False)
            trial.set_user_attr(FAILURE, f"{type(error).__name__}: {error}")
            study.tell(number, state=TrialState.FAIL)
            return
        _record(trial, outcome)
        measured = {"blocking": outcome.blocking, "time": outcome.seconds}
        study.tell(number, [measured[name] for name in trials.space.definition.objectives])


def _record(trial: Trial, outcome: Outcome) -> None:
    told: dict[str, Any] = {SECONDS: outcome.seconds, RUNS: outcome.runs, BEST_RUN: outcome.best_run}
    told |= {CI95: outcome.ci95, "blocking": outcome.blocking}
    for name, value in told.items():
        trial.set_user_attr(name, value)


def take_up(study: Study, storage: RDBStorage) -> list[int]:
    """Let trials wait for another worker whose own is dead.

    A worker is dead where its process on this machine has ended, or where it has shown no life for too long.

    Returns:
        The numbers of these trials.
    """
    running = {
        _id_of(study, storage, trial.number): trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    }
    if not running:
        return []
    seen = {trial_id: _heartbeat(storage, trial_id) for trial_id in running}
    stale = set(storage._get_stale_trial_ids(storage.get_study_id_from_name(study.study_name)))
    found = []
    for trial_id, trial in running.items():
        if trial_id not in stale and not is_gone(trial.user_attrs.get(WORKER, {})):
            continue
        if not _beats_first(storage, trial_id, seen[trial_id]):
            continue  # another machine has noticed, too
        left = int(trial.user_attrs.get(LEFT, 0)) + 1
        storage.set_trial_user_attr(trial_id, LEFT, left)
        storage.set_trial_state_values(trial_id, TrialState.WAITING)
        found.append(trial.number)
    return found


def claiming(url: str) -> FileLock:
    """Held by whoever takes a trial on this machine."""
    return FileLock(f"{Address(url, None, Path()).lock.lock_file}.claim", timeout=_CLAIM_S)


def _id_of(study: Study, storage: RDBStorage, number: int) -> int:
    study_id = storage.get_study_id_from_name(study.study_name)
    return int(storage.get_trial_id_from_study_id_trial_number(study_id, number))


_BEATS = sqlalchemy.table("trial_heartbeats", sqlalchemy.column("trial_id"), sqlalchemy.column("heartbeat"))
# as text: what a database stores for a moment does not always equal what its driver makes of it
_MOMENT: sqlalchemy.ColumnElement[str] = sqlalchemy.cast(_BEATS.c.heartbeat, sqlalchemy.String(40))


def _heartbeat(storage: RDBStorage, trial_id: int) -> str | None:
    with storage.engine.connect() as connection:
        found = connection.execute(sqlalchemy.select(_MOMENT).where(_BEATS.c.trial_id == trial_id)).scalar()
    return None if found is None else str(found)


def _beats_first(storage: RDBStorage, trial_id: int, seen: str | None) -> bool:
    """Renew a dead worker's heartbeat; false where somebody else has done so since it was seen."""
    if seen is None:
        storage.record_heartbeat(trial_id)
        return True
    renewed = sqlalchemy.update(_BEATS).where(_BEATS.c.trial_id == trial_id, sqlalchemy.literal(seen) == _MOMENT)
    with storage.engine.begin() as connection:
        return connection.execute(renewed.values(heartbeat=sqlalchemy.func.current_timestamp())).rowcount == 1


class _Heartbeat:
    """Shows that the worker of a trial lives, while it is entered."""

    def __init__(self, storage: RDBStorage, trial_id: int) -> None:
        self._storage, self._trial_id = storage, trial_id
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name=f"heartbeat of trial {trial_id}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._over.wait(storages.HEARTBEAT_S):
                try:
                    self._storage.record_heartbeat(self._trial_id)
                except optuna.exceptions.StorageInternalError:
                    continue  # the storage is away: the next beat may meet it again
        finally:
            self._storage.remove_session()  # a session belongs to its thread
