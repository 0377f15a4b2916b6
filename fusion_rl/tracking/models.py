"""Models in MLflow: a saved policy goes in as a model that predicts by itself, and its zip comes out again.

Only client calls that name their store, none of MLflow's globals: two stores in one process stay apart.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from fusion_rl.errors import CheckpointError, TrackingError, UnknownNameError, nearest_hint
from fusion_rl.tracking.base import Example
from fusion_rl.tracking.pyfunc import ALGORITHM, CHECKPOINT, input_example, signature_of, zeros_for
from fusion_rl.tracking.sb3_classes import load_zip

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

_MODEL_CODE = Path(__file__).with_name("model_code.py")
_REQUIRED = ("fusion_rl", "torch", "stable-baselines3", "sb3-contrib", "gymnasium", "numpy", "mlflow")
_URI_FORMS = "models:/NAME@ALIAS, models:/NAME/VERSION or runs:/RUN_ID/PATH"


@dataclass(frozen=True)
class StoredPolicy:
    """A policy found in the store.

    Attributes:
        checkpoint: the SB3 zip, on this machine.
        algorithm: whose class reads it; None for a bare zip, which does not say.
        run_id: the run that made it; None for a bare zip.
    """

    checkpoint: Path
    algorithm: str | None
    run_id: str | None


def log_model(
    client: MlflowClient,
    run_id: str,
    checkpoint: Path,
    algorithm: str,
    name: str,
    registered_name: str | None,
    tags: Mapping[str, str],
    example: Example | None,
    description: str,
) -> str:
    """Store a checkpoint as a model of a run; see ``RunLog.log_model``.

    A run has one model of a name: what a run that was interrupted had stored or registered is not made again.

    Raises:
        CheckpointError: the file is not there, or is no policy of this algorithm.
        UnknownNameError: no such algorithm.
    """
    logged = _logged_before(client, run_id, name) or _store_model(
        client, run_id, checkpoint, algorithm, name, tags, example
    )
    if registered_name is None:
        return f"models:/{logged.model_id}"
    _make_registered_model(client, registered_name)
    made = _registered_before(client, run_id, registered_name) or client.create_model_version(
        registered_name,
        logged.artifact_location,
        run_id=run_id,
        tags=dict(tags),
        description=description,
        model_id=logged.model_id,
    )
    return f"models:/{registered_name}/{made.version}"


def _logged_before(client: MlflowClient, run_id: str, name: str) -> LoggedModel | None:
    run = client.get_run(run_id)
    for output in run.outputs.model_outputs if run.outputs else ():
        logged = client.get_logged_model(output.model_id)
        if logged.name == name:
            return logged
    return None


def _registered_before(client: MlflowClient, run_id: str, registered_name: str) -> ModelVersion | None:
    found = client.search_model_versions(f"run_id = '{run_id}'")
    return next((version for version in found if version.name == registered_name), None)


def _store_model(
    client: MlflowClient,
    run_id: str,
    checkpoint: Path,
    algorithm: str,
    name: str,
    tags: Mapping[str, str],
    example: Example | None,
) -> LoggedModel:
    policy = _load_checkpoint(checkpoint, algorithm)
    experiment_id = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(
        experiment_id, name, source_run_id=run_id, tags=dict(tags), model_type=algorithm
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            staged = Path(folder) / "model"
            mlflow.pyfunc.save_model(
                str(staged),
                mlflow_model=Model(run_id=run_id, model_id=logged.model_id, model_uuid=logged.model_id),
                python_model=str(_MODEL_CODE),
                artifacts={CHECKPOINT: checkpoint.resolve().as_uri()},
                model_config={ALGORITHM: algorithm},
                signature=signature_of(policy, algorithm),
                input_example=input_example(example) if example is not None else zeros_for(policy),
                # named outright: MLflow would otherwise load the model in another process to find out
                pip_requirements=[f"{package}=={version(package)}" for package in _REQUIRED],
            )
            client.log_model_artifacts(logged.model_id, str(staged))
    except BaseException:
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
        raise
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return logged


def artifact(client: MlflowClient, run_id: str, path: str) -> Path:
    """A file or folder of a run, or its model of that name, on this machine."""
    where = _location_in_run(client, run_id, path)
    return Path(download_artifacts(where, tracking_uri=client.tracking_uri))


def download(client: MlflowClient, uri: str) -> Path:
    """The folder or file behind a model URI, on this machine.

    Raises:
        TrackingError: the URI has another form, or nothing is there.
    """
    if not uri.startswith(("models:/", "runs:/")):
        raise TrackingError(f"{uri!r} is no model URI: give {_URI_FORMS}")
    try:
        return Path(download_artifacts(_location(client, uri), tracking_uri=client.tracking_uri))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"model {uri!r} cannot be read: {_reason(client, uri, error)}") from error


def stored_policy(client: MlflowClient, uri: str) -> StoredPolicy:
    """Find the SB3 zip behind a model URI; a zip or bundle among a run's artifacts stands for itself.

    Raises:
        TrackingError: nothing there, or not a model that holds a policy.
    """
    found = download(client, uri)
    if found.is_file() and found.suffix in (".zip", ".bundle"):
        return StoredPolicy(found, algorithm=None, run_id=None)
    if not (found / "MLmodel").is_file():
        raise TrackingError(f"model {uri!r} is neither a zip that SB3 wrote nor an MLflow model")
    model = Model.load(str(found))
    flavor = model.flavors.get("python_function", {})
    try:
        checkpoint = found / flavor["artifacts"][CHECKPOINT]["path"]
        algorithm = str(flavor["config"][ALGORITHM])
    except KeyError as error:
        raise TrackingError(f"model {uri!r} was not logged by fusion_rl: it holds no {error}") from error
    return StoredPolicy(checkpoint, algorithm, model.run_id)


def _location(client: MlflowClient, uri: str) -> str:
    """Where the files behind a URI are.

    MLflow's own look-up of ``models:/``, and of a run's models, asks its global registry instead of this
    store, and makes an empty database in the current folder where there is none.
    """
    scheme, _, path = uri.partition(":/")
    if scheme == "runs":
        return _location_in_run(client, *path.partition("/")[::2])
    if scheme != "models":
        return uri
    if "@" in path:
        name, _, alias = path.rpartition("@")
        version = str(client.get_model_version_by_alias(name, alias).version)
    elif "/" in path:
        name, _, version = path.rpartition("/")
    else:
        return str(client.get_logged_model(path).artifact_location)
    # a version may have been registered elsewhere, as a reference to a logged model
    return _location(client, client.get_model_version_download_uri(name, version))


def _location_in_run(client: MlflowClient, run_id: str, path: str) -> str:
    """A run's model of that name, else the file or folder at that path of its artifacts."""
    run = client.get_run(run_id)
    for output in run.outputs.model_outputs if run.outputs else ():
        logged = client.get_logged_model(output.model_id)
        if logged.name == path:
            return str(logged.artifact_location)
    return f"{run.info.artifact_uri}/{path}"


def _load_checkpoint(checkpoint: Path, algorithm: str) -> BaseAlgorithm:
    """Read the zip once before anything is stored, so that what is stored can be read."""
    if not checkpoint.is_file():
        raise CheckpointError(f"checkpoint {str(checkpoint)!r} does not exist")
    try:
        return load_zip(algorithm, checkpoint)
    except UnknownNameError:
        raise
    except Exception as error:  # SB3 lets through whatever zipfile, pickle and torch raise
        raise CheckpointError(
            f"checkpoint {str(checkpoint)!r} cannot be read as a {algorithm} policy: {error}"
        ) from error


def _make_registered_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _reason(client: MlflowClient, uri: str, error: Exception) -> str:
    """Why a model was not found: the registered names, where its own is not one of them."""
    if uri.startswith("models:/"):
        name = uri.removeprefix("models:/").partition("@")[0].partition("/")[0]
        known = [model.name for model in client.search_registered_models()]
        if name not in known and not name.startswith("m-"):
            return f"no registered model {name!r}; {nearest_hint(name, known)}"
    return str(error)
