"""Runs in MLflow: open the store, write a run, find runs again.

``with open_store("mlruns").start("deeprmsa", "seed-1", parameters) as run: run.log_metric(...)``
"""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc import load_model as load_pyfunc

from fusion_rl.errors import TrackingError, nearest_hint
from fusion_rl.tracking import models, registry
from fusion_rl.tracking.address import Address, check_usable, resolve, ui_command
from fusion_rl.tracking.base import ABOVE_TAG, BLOCKING, STOPPED_TAG, MetricPoint, RunRecord, RunStatus
from fusion_rl.tracking.context import inherited_tags
from fusion_rl.tracking.mlflow_run import MlflowRunLog, explained, store_artifact
from fusion_rl.tracking.models import StoredPolicy
from fusion_rl.tracking.processes import HOST, PID, is_gone, is_of_this_machine, last_seen, process_tags
from fusion_rl.tracking.registry import ModelVersion, RegisteredModel
from fusion_rl.tracking.views import view_of

__all__ = ["MlflowRunLog", "Store", "StoredPolicy", "open_store", "ui_command"]

_RUNS_PER_PAGE = 1000
# MLflow then shows pages for trained models rather than for chat agents, and knows what to compare runs by
_EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": BLOCKING,
    "mlflow.experiment.primaryMetric.greaterIsBetter": "False",
}


def open_store(tracking_dir: Path | str, *, create: bool = True) -> Store:
    """Open the run store of a folder, made on first use; safe when several processes do so at once.

    Args:
        tracking_dir: gets ``mlflow.db`` and ``artifacts/``. MLFLOW_TRACKING_URI, where it names a database
            or a server, is used instead of the former (with a server, instead of both).
        create: make the store if it is not there yet.

    Raises:
        TrackingError: the folder cannot be written, the server cannot be reached, or the database is of
            another MLflow.
    """
    address = resolve(tracking_dir)
    if not create and address.database_file is not None and not address.database_file.exists():
        raise TrackingError(f"there are no runs in '{tracking_dir}': {address.database_file} does not exist")
    check_usable(address)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for chatty in ("alembic", "mlflow.pyfunc"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # it prints a traceback for each time that a database does not answer; the error says it too, in one line
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with explained(f"run store {address.uri} cannot be opened"), address.lock:
        # the first client makes the schema, and two that do so at once spoil it
        client = MlflowClient(address.uri, registry_uri=address.uri)
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    return Store(client, address)


class Store:
    """An open run store. Made by ``open_store``."""

    def __init__(self, client: MlflowClient, address: Address) -> None:
        self._client = client
        self._address = address

    @property
    def uri(self) -> str:
        """The address, as MLflow takes it."""
        return self._address.uri

    def start(
        self,
        experiment: str,
        run_name: str,
        parameters: Mapping[str, object] | None = None,
        tags: Mapping[str, object] | None = None,
        parent_run_id: str | None = None,
        compared_by: Sequence[str] = (),
    ) -> MlflowRunLog:
        """Begin a run; use it as a context so that it ends with the status that is true.

        Args:
            experiment: made if it is not there yet.
            run_name: need not be unique.
            parameters: flat settings, as ``config.load.flatten`` gives them.
            tags: such as ``provenance.provenance_tags`` gives.
            parent_run_id: shows this run under another, as trials under their study.
            compared_by: parameters that tell the runs of this experiment apart. Its first run gives it a view, in
                which MLflow's pages show them beside what each run blocks; none: no view.
        """
        given = {name: str(value) for name, value in (tags or {}).items()}
        all_tags = {"mlflow.user": _user(), **process_tags(), **inherited_tags(), **given}
        if parent_run_id is not None:
            all_tags[ABOVE_TAG] = parent_run_id
        with explained(f"run {run_name!r} cannot be started"):
            experiment_id = self._experiment_id(experiment, compared_by)
            run = self._client.create_run(experiment_id, tags=all_tags, run_name=run_name)
        log = MlflowRunLog(self._client, run.info.run_id, run_name, experiment, self._address.spool_root)
        try:
            log.log_params(parameters or {})
        except BaseException:
            log.finish(RunStatus.FAILED)
            raise
        return log

    def resume(self, run_id: str, *, finished: bool = False) -> MlflowRunLog:
        """Go on writing a run that did not finish; what its spool still holds comes to the store now.

        Args:
            run_id: which.
            finished: one that has finished, too, as a study's to which trials are added.

        Raises:
            TrackingError: there is no such run, it has finished, or a process is writing it.
        """
        record = self.find_run(run_id)
        if record.status is RunStatus.FINISHED and not finished:
            raise TrackingError(f"run {run_id} ({record.run_name}) has finished: there is nothing to resume")
        root = self._address.spool_root
        log = MlflowRunLog(self._client, record.run_id, record.run_name, record.experiment, root, resumed=True)
        try:
            with explained(f"run {run_id} cannot be resumed"):
                self._client.update_run(run_id, status=RunStatus.RUNNING.value)
                for stale in {"failure", STOPPED_TAG} & record.tags.keys():
                    self._client.delete_tag(run_id, stale)
            log.set_tags({**process_tags(), "resumed": int(record.tags.get("resumed", 0)) + 1})
            log.flush()
        except BaseException:
            log.finish(RunStatus.FAILED)
            raise
        return log

    def reap(self, silent_for: timedelta | None = None) -> list[RunRecord]:
        """Mark the runs KILLED whose process, on this machine, is gone; what their spools hold is stored first.

        Args:
            silent_for: mark those of other machines as well that have written nothing for so long. One that lives
                all the same says at its end how it ended.

        Returns:
            What they were before.
        """
        reaped = []
        for record in self.search_runs(filter_string="attributes.status = 'RUNNING'"):
            if is_gone(record.tags):
                why = f"process {record.tags[PID]} ended without a word"
            elif silent_for is not None and _is_silent(record, silent_for):
                why = f"process {record.tags.get(PID)} of {record.tags[HOST]} wrote nothing for {silent_for}"
            else:
                continue
            root = self._address.spool_root
            try:
                log = MlflowRunLog(self._client, record.run_id, record.run_name, record.experiment, root, resumed=True)
            except TrackingError:
                continue  # another process resumes or reaps it at this moment
            log.set_tags({"failure": why})
            log.finish(RunStatus.KILLED)
            reaped.append(record)
        return reaped

    def search_runs(
        self, experiment: str | None = None, filter_string: str = "", max_runs: int | None = None
    ) -> list[RunRecord]:
        """Runs, newest first.

        Args:
            experiment: its name; None for all.
            filter_string: in MLflow's language, such as ``metrics.`service_blocking` < 0.03``.
            max_runs: at most this many; None for all.
        """
        with explained("runs cannot be searched"):
            names = {found.experiment_id: found.name for found in self._experiments()}
            wanted = [number for number, name in names.items() if experiment in (None, name)]
            if not wanted:
                raise TrackingError(
                    f"unknown experiment {experiment!r}: {nearest_hint(experiment or '', names.values())}"
                )
            runs: list[RunRecord] = []
            token: str | None = None
            while max_runs is None or len(runs) < max_runs:
                page = self._client.search_runs(
                    wanted,
                    filter_string,
                    max_results=min(_RUNS_PER_PAGE, max_runs or _RUNS_PER_PAGE),
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
                runs += [_record(run, names[run.info.experiment_id]) for run in page]
                token = page.token
                if not token:
                    break
            return runs[:max_runs]

    def find_run(self, run: str) -> RunRecord:
        """The run with this id, or the only one with this name.

        Raises:
            TrackingError: there is none, with the nearest names; or several, with their ids.
        """
        quote = '"' if "'" in run else "'"
        found = self.search_runs(filter_string=f"attributes.run_id = {quote}{run}{quote}")
        found = found or self.search_runs(filter_string=f"attributes.run_name = {quote}{run}{quote}")
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(record.run_id for record in found)
            raise TrackingError(f"{len(found)} runs are named {run!r}: give one of the ids {ids}")
        names = sorted({record.run_name for record in self.search_runs()})
        raise TrackingError(f"no run has the id or name {run!r}: {nearest_hint(run, names)}")

    def metric_history(self, run_id: str, name: str) -> list[MetricPoint]:
        """All values of one metric of a run, in order of step; empty if it was never logged."""
        with explained(f"metric {name!r} of run {run_id} cannot be read"):
            points = self._client.get_metric_history(run_id, name)
        found = [MetricPoint(one.key, one.value, one.step, one.timestamp) for one in points]
        return sorted(found, key=lambda point: (point.step, point.time_ms))

    def artifact_path(self, run_id: str, path: str = "") -> Path:
        """A file or folder of a run's artifacts on this machine; copied here if it lies elsewhere."""
        with explained(f"artifact {path!r} of run {run_id} cannot be read"):
            return models.artifact(self._client, run_id, path)

    def log_artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Add a file or folder to a run, be it over: an executed notebook comes after the run it made."""
        store_artifact(self._client, run_id, path, folder)

    def stored_policy(self, uri: str) -> StoredPolicy:
        """The policy behind ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or ``runs:/ID/PATH``."""
        with explained(f"model {uri!r} cannot be read"):
            return models.stored_policy(self._client, uri)

    def load_model_artifact(self, uri: str) -> Path:
        """The SB3 zip behind a model URI, on this machine."""
        return self.stored_policy(uri).checkpoint

    def load_model(self, uri: str) -> PyFuncModel:
        """The model behind a URI, ready to predict."""
        with explained(f"model {uri!r} cannot be loaded"):
            return load_pyfunc(str(models.download(self._client, uri)))

    def registered_models(self) -> list[RegisteredModel]:
        """All registered models, by name."""
        with explained("registered models cannot be read"):
            return registry.registered_models(self._client)

    def registered_model(self, name: str) -> RegisteredModel:
        """The registered model of this name.

        Raises:
            UnknownNameError: there is none.
        """
        with explained(f"model {name!r} cannot be read"):
            return registry.registered_model(self._client, name)

    def tag_version(self, version: ModelVersion, tags: Mapping[str, object]) -> None:
        """Say something more of a version of a registered model."""
        with explained(f"tags of {version.uri} cannot be stored"):
            registry.tag_version(self._client, version, tags)

    def set_alias(self, registered_name: str, alias: str, version: int | str) -> None:
        """Point ``models:/NAME@ALIAS`` at a version; an alias that exists moves."""
        with explained(f"alias {alias!r} of model {registered_name!r} cannot be set"):
            self._client.set_registered_model_alias(registered_name, alias, str(version))

    def _experiments(self) -> Iterator[Experiment]:
        token: str | None = None
        while True:
            page = self._client.search_experiments(page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _experiment_id(self, name: str, compared_by: Sequence[str]) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                location = self._address.artifact_location(name)
                tags = _EXPERIMENT_TAGS | (view_of(compared_by) if compared_by else {})
                return str(self._client.create_experiment(name, location, tags=tags))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._client.get_experiment_by_name(name)  # another process was quicker
        if found is None or found.lifecycle_stage == "deleted":
            raise TrackingError(f"experiment {name!r} was deleted: restore it in MLflow, or use another name")
        return str(found.experiment_id)


def _is_silent(record: RunRecord, silent_for: timedelta) -> bool:
    """Whether a run of another machine has given no sign of life for so long."""
    if HOST not in record.tags or is_of_this_machine(record.tags):
        return False  # not a run of ours, or one whose process can be looked for
    return datetime.now(UTC) - max(record.started, last_seen(record.tags)) >= silent_for


def _record(run: Run, experiment: str) -> RunRecord:
    return RunRecord(
        run_id=run.info.run_id,
        run_name=run.info.run_name,
        experiment=experiment,
        status=RunStatus(run.info.status),
        started=_moment(run.info.start_time),
        ended=_moment(run.info.end_time) if run.info.end_time else None,
        parameters=run.data.params,
        metrics=run.data.metrics,
        tags=run.data.tags,
        artifact_uri=run.info.artifact_uri,
    )


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return str(os.getuid())
