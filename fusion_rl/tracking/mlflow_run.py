"""A run in MLflow, being written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import mlflow.entities
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from sqlalchemy.exc import SQLAlchemyError

from fusion_rl.errors import TrackingError
from fusion_rl.tracking import models
from fusion_rl.tracking.base import PARAMETER_CHARACTERS, Dataset, Example, MetricPoint, RunLog, RunStatus
from fusion_rl.tracking.buffer import MetricBuffer
from fusion_rl.tracking.mirrors import Mirrors
from fusion_rl.tracking.processes import SEEN, now
from fusion_rl.tracking.spool import Spool

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PER_WRITE = 100  # MLflow's limit a batch, for parameters and for tags
_DIGEST_CHARACTERS = 36  # MLflow takes no longer digest of a dataset


class MlflowRunLog(RunLog):
    """A run in MLflow, being written. Made by ``Store.start`` and ``Store.resume``.

    Args:
        spool_root: folder of the file that values lie in until the store has taken them.
        resumed: the run was begun by another process.

    Raises:
        TrackingError: a process that lives is writing this run.
    """

    def __init__(
        self,
        client: MlflowClient,
        run_id: str,
        run_name: str,
        experiment: str,
        spool_root: Path,
        *,
        resumed: bool = False,
    ) -> None:
        self._client = client
        self.run_id = run_id
        self.run_name = run_name
        self.experiment = experiment
        self.status = RunStatus.RUNNING
        self._parameters: dict[str, str] = {}
        self._resumed = resumed
        self._closed = False
        self.mirrors = Mirrors()
        self._monitor: SystemMetricsMonitor | None = None
        self._lock = hold(spool_root, run_id)
        self._spool = Spool(spool_root / f"{run_id}.jsonl")
        self._metrics = MetricBuffer(self._write_metrics, self._spool)

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        for name, value in values.items():
            self._metrics.add(name, value, step)
        self.mirrors.log_metrics(values, step)

    def log_params(self, parameters: Mapping[str, object]) -> None:
        new: dict[str, str] = {}
        for name, value in parameters.items():
            text = str(value)[:PARAMETER_CHARACTERS]
            if self._parameters.get(name, text) != text:
                raise TrackingError(
                    f"parameter {name!r} of run {self.run_id} is {self._parameters[name]!r} "
                    f"and cannot become {text!r}: start another run"
                )
            new[name] = text
        pairs = [Param(name, text) for name, text in new.items()]
        with explained(f"parameters of run {self.run_id} cannot be stored"):
            for first in range(0, len(pairs), _PER_WRITE):
                self._client.log_batch(self.run_id, params=pairs[first : first + _PER_WRITE])
        self._parameters.update(new)

    def set_tags(self, tags: Mapping[str, object]) -> None:
        pairs = [RunTag(name, str(value)) for name, value in tags.items()]
        with explained(f"tags of run {self.run_id} cannot be stored"):
            for first in range(0, len(pairs), _PER_WRITE):
                self._client.log_batch(self.run_id, tags=pairs[first : first + _PER_WRITE])

    def log_dataset(self, dataset: Dataset, use: str) -> None:
        stored = mlflow.entities.Dataset(
            name=dataset.name,
            digest=dataset.sha256[:_DIGEST_CHARACTERS],
            source_type="fusion_rl",
            source=json.dumps(dataset.source),
            profile=json.dumps({**dataset.size, "sha256": dataset.sha256}),
        )
        given = mlflow.entities.DatasetInput(stored, [mlflow.entities.InputTag("mlflow.data.context", use)])
        with explained(f"dataset {dataset.name!r} of run {self.run_id} cannot be stored"):
            self._client.log_inputs(self.run_id, [given])

    def watch_system(self) -> None:
        self._monitor = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
            self.run_id, resume_logging=self._resumed, tracking_uri=self._client.tracking_uri
        )
        self._monitor.start()  # type: ignore[no-untyped-call]

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        store_artifact(self._client, self.run_id, path, folder)

    def log_text(self, text: str, path: str) -> None:
        with self._storing(path):
            self._client.log_text(self.run_id, text, path)

    def log_figure(self, figure: Figure, path: str) -> None:
        with self._storing(path):
            self._client.log_figure(self.run_id, figure, path)

    def log_table(self, columns: Mapping[str, Sequence[object]], path: str) -> None:
        with self._storing(path):
            if self._resumed and self._has(path):
                return  # stored before the run was interrupted; MLflow would append the rows once more
            self._client.log_table(self.run_id, {name: list(cells) for name, cells in columns.items()}, path)

    def log_model(
        self,
        checkpoint: Path,
        algorithm: str,
        name: str = "policy",
        registered_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        example: Example | None = None,
        description: str = "",
    ) -> str:
        with self._storing(f"model {name}"):
            return models.log_model(
                self._client,
                self.run_id,
                checkpoint,
                algorithm,
                name,
                registered_name,
                tags or {},
                example,
                description,
            )

    def flush(self, patience_s: float = 0.0) -> None:
        self._metrics.flush(patience_s)

    def history(self, *prefixes: str) -> dict[str, list[MetricPoint]]:
        self.flush()
        with explained(f"metrics of run {self.run_id} cannot be read"):
            names = [name for name in self._client.get_run(self.run_id).data.metrics if name.startswith(prefixes)]
            found = {name: self._client.get_metric_history(self.run_id, name) for name in sorted(names)}
        return {
            name: sorted(
                (MetricPoint(name, one.value, one.step, one.timestamp) for one in points), key=lambda point: point.step
            )
            for name, points in found.items()
        }

    def mark(self) -> int:
        return self._spool.mark()

    def rewind(self, mark: int) -> None:
        self._spool.rewind(mark)

    def finish(self, status: RunStatus = RunStatus.FINISHED) -> None:
        if self.status is not RunStatus.RUNNING or self._closed:
            return
        try:
            self.flush()
        except BaseException as error:
            # a run whose last values are lost did not finish
            self._end(RunStatus.after(error) if status is RunStatus.FINISHED else status)
            raise
        self._end(status)

    def _end(self, status: RunStatus) -> None:
        if self._monitor is not None:
            self._monitor.finish()  # type: ignore[no-untyped-call]
        try:
            with explained(f"run {self.run_id} cannot be ended"):
                self._client.set_terminated(self.run_id, status.value)
            self.status = status
        finally:
            self._closed = True
            self.mirrors.close(status)
            self._metrics.close()
            # a run that did not finish may be resumed, and must then know what it has said
            is_over = self.status is RunStatus.FINISHED
            self._spool.close(remove=is_over)
            self._lock.release()
            if is_over:
                Path(self._lock.lock_file).unlink(missing_ok=True)

    def _has(self, path: str) -> bool:
        folder = path.rpartition("/")[0]
        return path in {found.path for found in self._client.list_artifacts(self.run_id, folder or None)}

    def _write_metrics(self, points: Sequence[MetricPoint]) -> None:
        batch = [Metric(point.name, point.value, point.time_ms, point.step) for point in points]
        with explained(f"{len(batch)} metric values of run {self.run_id} cannot be stored"):
            self._client.log_batch(self.run_id, metrics=batch, tags=[RunTag(SEEN, now())])

    def _storing(self, what: str) -> AbstractContextManager[None]:
        return explained(f"{what!r} cannot be stored with run {self.run_id}")


def hold(spool_root: Path, run_id: str) -> filelock.FileLock:
    """Make sure that one process alone writes a run; the system lets go when the process ends.

    Raises:
        TrackingError: another does.
    """
    lock = filelock.FileLock(spool_root / f"{run_id}.lock")
    try:
        spool_root.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise TrackingError(f"run {run_id} is being written by another process, which is still at work") from error
    except OSError as error:
        raise TrackingError(f"spool folder {str(spool_root)!r} cannot be written: {error}") from error
    return lock


def store_artifact(client: MlflowClient, run_id: str, path: Path, folder: str | None) -> None:
    """Copy a file or folder to a run's artifacts."""
    with explained(f"{str(path)!r} cannot be stored with run {run_id}"):
        if not path.exists():
            raise FileNotFoundError("no such file or folder")
        client.log_artifact(run_id, str(path), folder)


@contextmanager
def explained(failure: str) -> Iterator[None]:
    """Turn what MLflow, its database or the disk raises into one line that says what failed."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, filelock.Timeout) as error:
        lines = str(error).strip().splitlines()  # SQLAlchemy adds the whole statement below the first line
        raise TrackingError(f"{failure}: {lines[0] if lines else type(error).__name__}") from error
