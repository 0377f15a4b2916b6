"""Where studies are kept: an Optuna storage in a database, its samplers and its pruners."""

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from fusion_rl.errors import StudyError, UnknownNameError
from fusion_rl.tracking.address import Address
from fusion_rl.tuning.definition import FOLDER, STORAGE_VARIABLE, StudyDefinition, root

if TYPE_CHECKING:
    from optuna.study import Study

DEFAULT_STORAGE = f"sqlite:///{FOLDER}/studies.db"
DEFINITION, RUN = "definition", "run_id"  # attributes of a study: what it was begun with, and its run
STORE, TRACKING = "run_store", "tracking_dir"  # where its runs are, and where their checkpoints
HEARTBEAT_S, GRACE_S = 10, 60  # a worker shows life so often; silent for so long, it is taken for dead
_CONNECT_S = 10
_BUSY_S = 60  # how long an sqlite file may be busy with another process

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed, deterministic_objective=False),
    "cmaes": lambda seed: CmaEsSampler(seed=seed),
    "nsga2": lambda seed: NSGAIISampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
}


def make_sampler(definition: StudyDefinition, number: int) -> BaseSampler:
    """What proposes one trial's values. Each trial has its own: a study that is gone on with proposes the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[definition.sampler](definition.sampler_seed * 1_000_003 + number)


def make_pruner(definition: StudyDefinition, eval_every: int) -> BasePruner:
    """What ends trials that fall behind.

    Args:
        definition: the study's.
        eval_every: training steps between two evaluations.
    """
    most = definition.seeds * definition.budget.timesteps
    least = min(eval_every, most)
    pruners: dict[str, Callable[[], BasePruner]] = {
        "asha": lambda: SuccessiveHalvingPruner(min_resource=least, reduction_factor=3),
        "hyperband": lambda: HyperbandPruner(min_resource=least, max_resource=most, reduction_factor=3),
        "median": lambda: MedianPruner(n_startup_trials=4),
        "none": NopPruner,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return pruners[definition.pruner]()


def resolve_storage(url: str | None = None) -> str:
    """A storage's address; a relative sqlite file lies under the folder that has the studies.

    Args:
        url: of a database; None: what the environment variable names, else the default.

    Raises:
        StudyError: it is not the URL of a database.
    """
    parsed = _parsed(url or os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE)
    if parsed.get_backend_name() != "sqlite":
        return parsed.render_as_string(hide_password=False)
    if not parsed.database or parsed.database == ":memory:":
        raise StudyError("storage sqlite:// without a file cannot be shared: write sqlite:///FILE")
    return f"sqlite:///{(root() / Path(parsed.database).expanduser()).absolute()}"


def shown(url: str) -> str:
    """A storage's address without its password."""
    return _parsed(url).render_as_string(hide_password=True)


def open_storage(url: str, *, create: bool = True) -> RDBStorage:
    """Open a storage, made on first use; safe when several processes do so at once.

    Args:
        url: as `resolve_storage` gives it.
        create: make it if it is not there yet.

    Raises:
        StudyError: it does not answer, its driver is missing, or another Optuna made it.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    parsed = _parsed(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            file = Path(str(parsed.database))
            if not create and not file.is_file():
                raise StudyError(f"there are no studies in {file}: it does not exist")
            file.parent.mkdir(parents=True, exist_ok=True)
        _knock(parsed)
        # two processes that make the tables at once spoil them
        with Address(url, None, Path()).lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return RDBStorage(
                url,
                engine_kwargs={"connect_args": _connect_arguments(parsed), "pool_pre_ping": True},
                heartbeat_interval=HEARTBEAT_S,
                grace_period=GRACE_S,
            )
    except (SQLAlchemyError, StorageInternalError, ImportError, OSError, RuntimeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise StudyError(f"study storage {shown(url)} cannot be opened: {reason[0]}") from error


def find_study(storage: RDBStorage, name: str) -> "Study":
    """The study of that name.

    Raises:
        UnknownNameError: there is none; names the nearest.
    """
    names = optuna.get_all_study_names(storage)
    if name not in names:
        raise UnknownNameError("study", name, names, f"storage {shown(storage.url)}")
    return optuna.load_study(study_name=name, storage=storage, sampler=RandomSampler(), pruner=NopPruner())


def open_begun(name: str, url: str | None = None) -> "Study":
    """A study that has been begun.

    Args:
        name: its name, or its folder.
        url: as `resolve_storage` takes it.

    Raises:
        StudyError, UnknownNameError: the storage is not there or does not answer, or there is no such study.
    """
    return find_study(open_storage(resolve_storage(url), create=False), Path(name).name)


def definition_of(study: "Study") -> StudyDefinition:
    """What a study was begun with."""
    values: Mapping[str, Any] = study.user_attrs[DEFINITION]
    return StudyDefinition.model_validate(values)


def _knock(url: URL) -> None:
    """Fail at once where no database answers."""
    engine = sqlalchemy.create_engine(url, connect_args=_connect_arguments(url))
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _connect_arguments(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": _BUSY_S}
    return {"connect_timeout": _CONNECT_S} if url.get_backend_name() in ("postgresql", "mysql", "mariadb") else {}


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except SQLAlchemyError as error:
        raise StudyError(
            f"storage '{url}' is not the URL of a database: write sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from error
