"""A study begun, or gone on with: everything is checked before anything is started."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import RDBStorage
from optuna.study import Study

from fusion_rl.config import yaml_text
from fusion_rl.errors import FusionRLError, StudyError
from fusion_rl.tracking.address import resolve
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tuning import storage as storages
from fusion_rl.tuning.definition import StudyDefinition
from fusion_rl.tuning.spaces import Space, check_values, make_space
from fusion_rl.tuning.trial import STUDY_TAG, searched_by
from fusion_rl.tuning.worker import Plan, claiming

if TYPE_CHECKING:
    from fusion_rl.tracking.base import RunLog
    from fusion_rl.tracking.mlflow_store import Store


@dataclass(frozen=True)
class Opened:
    """A study that can be worked on, checked and with all that it needs open."""

    plan: Plan
    study: Study
    storage: RDBStorage
    store: "Store"


def open_study(definition: StudyDefinition, storage: str | None, tracking_dir: str | Path) -> Opened:
    """Check all of a study, and begin it where it has not been.

    Raises:
        FusionRLError: something cannot be used; nothing has been started.
    """
    from fusion_rl.envs.make import domain_of
    from fusion_rl.tracking.mlflow_store import open_store

    folder = str(Path(tracking_dir).expanduser().absolute())
    space = make_space(definition, folder)
    check_values(space)
    domain_of(space.base).prepare(space.base)
    url = storages.resolve_storage(storage)
    database = storages.open_storage(url)
    if definition.start_from is not None:
        _check_start(space)
    _check_same(definition, database, resolve(folder).uri)
    store = open_store(folder)
    with claiming(url):
        study = _begin(definition, space, database, store, folder)
    hours = definition.budget.hours
    deadline = None if hours is None else time.time() + 3600 * hours
    return Opened(Plan(definition, url, folder, definition.budget.trials, deadline), study, database, store)


def _begin(definition: StudyDefinition, space: Space, database: RDBStorage, store: "Store", folder: str) -> Study:
    """The study in its storage: the one that is there, if it is the same, or a new one."""
    if definition.name in optuna.get_all_study_names(database):
        study = storages.find_study(database, definition.name)
    else:
        study = optuna.create_study(
            study_name=definition.name, storage=database, directions=["minimize"] * len(definition.objectives)
        )
        study.set_user_attr(storages.STORE, store.uri)
        study.set_user_attr(storages.TRACKING, folder)
        if definition.try_defaults and space.defaults():
            study.enqueue_trial(space.defaults())
        run = _start_run(definition, space, store)
        run.finish(RunStatus.KILLED)  # nobody is at work on it yet
        study.set_user_attr(storages.RUN, run.run_id)
    study.set_user_attr(storages.DEFINITION, definition.model_dump(mode="json"))
    return study


def _start_run(definition: StudyDefinition, space: Space, store: "Store") -> "RunLog":
    tags = {STUDY_TAG: definition.name, **searched_by(space.base), "mlflow.note.content": definition.question}
    parameters = {
        key: json.dumps(value) for key, value in definition.fixed().items() if key not in ("name", "overrides")
    }
    name = f"study {definition.name}"
    run = store.start(name, name, parameters, tags, compared_by=list(definition.search))
    run.log_text(yaml_text.text(definition.model_dump(mode="json")), "study.yaml")
    return run


def _check_same(now: StudyDefinition, database: RDBStorage, store: str) -> None:
    """Fail where a study of this name is there, and is another one or keeps its runs elsewhere."""
    if now.name not in optuna.get_all_study_names(database):
        return
    study = storages.find_study(database, now.name)
    ours, theirs = now.fixed(), storages.definition_of(study).fixed()
    changed = ", ".join(f"{key} was {theirs[key]}, is {ours[key]}" for key in ours if ours[key] != theirs[key])
    if changed:
        raise StudyError(
            f"study {now.name} was begun with other settings: {changed}; trials of both cannot be compared: give it "
            "another name (that of its folder), or take the change back"
        )
    if study.user_attrs[storages.STORE] != store:
        raise StudyError(
            f"study {now.name} keeps its runs in {study.user_attrs[storages.STORE]}, not in {store}: give the same "
            "--tracking-dir"
        )


def _check_start(space: Space) -> None:
    """Fail where the model to begin with does not fit, with any end or choice of what is searched."""
    from fusion_rl.agents.catalog import make_agent
    from fusion_rl.envs.make import domain_of
    from fusion_rl.envs.vector import OpticalVecEnv
    from fusion_rl.training.ancestry import find_parent, inherit

    parent = find_parent(str(space.definition.start_from), space.tracking_dir)
    changes: list[dict[str, Any]] = [{}]
    for dimension in space.dimensions:
        if dimension.path.startswith(("algorithm", "network")):
            changes += [{dimension.path: value} for value in dimension.range.corners()]
    for values in changes:
        try:
            config = space.configuration(values)
        except FusionRLError:
            continue  # allowed with other values only, which `check_values` has looked at
        domain = domain_of(config)
        env = OpticalVecEnv(domain.make_simulator(config, domain.prepare(config), config.execution.lanes, 0))
        try:
            inherit(make_agent(config.algorithm, env, seed=0, device="cpu"), config, parent)
        except FusionRLError as error:
            told = "".join(f" with {path}={value}" for path, value in values.items())
            raise StudyError(f"study {space.definition.name}: start_from{told}: {error}") from error


def with_trials(definition: StudyDefinition, trials: int | None) -> StudyDefinition:
    """The same study with another number of trials; None: as it is."""
    if trials is None:
        return definition
    return definition.model_copy(update={"budget": definition.budget.model_copy(update={"trials": trials})})
