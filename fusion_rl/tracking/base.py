"""What training and the notebooks know of tracking: a run to write to, and records of past runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fusion_rl.errors import TrainingStopped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion_rl.arrays import AnyArray
    from fusion_rl.tracking.mirrors import Mirrors


# tags of a run that goes on from another one's model
PARENT_RUN_TAG = "fusion_rl.parent_run"
PARENT_CHECKPOINT_TAG = "fusion_rl.parent_checkpoint"
STEPS_BEFORE_TAG = "fusion_rl.steps_before"  # training steps in all runs before this one
SCENARIOS_TAG = "scenarios"
ABOVE_TAG = "mlflow.parentRunId"  # run under which MLflow shows this one
NOTE_TAG = "mlflow.note.content"  # what MLflow shows as a run's description, Markdown
BATCH_TAG = "batch"  # name of the batch that a run belongs to
JOB_TAG = "batch.job"  # its job there
STUDY_TAG = "study"  # name of the study that a run is a trial of
STOPPED_TAG = "fusion_rl.stopped"  # why who looked on at a training ended it

BLOCKING = "service_blocking"  # the metric that all runs have, whatever made them: the first to compare them by


PARAMETER_CHARACTERS = 6000  # MLflow cuts longer ones


class RunStatus(StrEnum):
    """How a run stands. A run whose process was killed outright stays RUNNING: nobody was left to say so."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @classmethod
    def after(cls, error: BaseException) -> RunStatus:
        """How a run ends that this exception ended."""
        return cls.KILLED if isinstance(error, KeyboardInterrupt | TrainingStopped) else cls.FAILED


@dataclass(frozen=True)
class MetricPoint:
    """One value of one metric.

    Attributes:
        name: letters, digits, ``_ - . / :`` and blanks.
        value: may be NaN; MLflow stores an infinity as the largest float.
        step: what the values are ordered by, such as environment steps so far.
        time_ms: when it was measured, milliseconds since 1970.
    """

    name: str
    value: float
    step: int
    time_ms: int


@dataclass(frozen=True)
class Dataset:
    """What a run learned from or was judged on.

    Attributes:
        name: for people; need not be unique.
        sha256: of the content; two of the same name are told apart by it.
        source: where it comes from, as JSON types.
        size: how much of it was used.
    """

    name: str
    sha256: str
    source: Mapping[str, object]
    size: Mapping[str, int]


@dataclass(frozen=True)
class RunRecord:
    """A run as the store knows it.

    Attributes:
        parameters: dotted setting -> its value as text (cut at PARAMETER_CHARACTERS).
        metrics: metric -> its latest value.
        artifact_uri: the folder of its files.
    """

    run_id: str
    run_name: str
    experiment: str
    status: RunStatus
    started: datetime
    ended: datetime | None
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    artifact_uri: str


@dataclass(frozen=True)
class Example:
    """A request that a stored model can answer, shown with it.

    Attributes:
        observations: as the policy sees them, [n, ...], or by name.
        masks: actions that can be served, [n, A]; None where the policy takes none.
    """

    observations: AnyArray | dict[str, AnyArray]
    masks: AnyArray | None = None


class RunLog(ABC):
    """One run while it is being written. Used as a context, it ends with the status that is true:

    FINISHED, KILLED after an interrupt from the keyboard or a TrainingStopped, FAILED after any other exception.
    """

    run_id: str
    run_name: str
    experiment: str
    status: RunStatus
    mirrors: Mirrors

    def log_metric(self, name: str, value: float, step: int = 0) -> None:
        """Record one value of one metric."""
        self.log_metrics({name: value}, step)

    @abstractmethod
    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record one value of each metric. Values may be held back until ``flush``."""

    @abstractmethod
    def log_params(self, parameters: Mapping[str, object]) -> None:
        """Record settings. A setting that already has another value is an error: a run has one truth."""

    @abstractmethod
    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set tags; unlike a setting, a tag may change."""

    def describe(self, text: str) -> None:
        """Set the run's description, Markdown; it replaces the one before."""
        self.set_tags({NOTE_TAG: text})

    @abstractmethod
    def log_dataset(self, dataset: Dataset, use: str) -> None:
        """Name a dataset among the run's inputs, and what it is used for, as `training` or `evaluation`."""

    @abstractmethod
    def watch_system(self) -> None:
        """Record use of processors, memory, disk and network until the run ends, every ten seconds."""

    @abstractmethod
    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or a folder with all in it, to the run's artifacts."""

    @abstractmethod
    def log_text(self, text: str, path: str) -> None:
        """Write text to ``path`` among the run's artifacts."""

    @abstractmethod
    def log_figure(self, figure: Figure, path: str) -> None:
        """Write a figure to ``path``; its ending (.png, .svg) says how."""

    @abstractmethod
    def log_table(self, columns: Mapping[str, Sequence[object]], path: str) -> None:
        """Write a table to ``path`` (.json or .parquet); rows for a path that exists are appended."""

    @abstractmethod
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
        """Store a saved SB3 policy as a model that loads and predicts by itself.

        Args:
            checkpoint: the zip that SB3's ``save`` wrote.
            algorithm: its name in ``sb3_classes.SB3_CLASSES``.
            name: what the model is called inside the run.
            registered_name: also make it the newest version of this registered model.
            tags: of the model, and of the version.
            example: a request that it can answer; None: zeros.
            description: of the version, Markdown.

        Returns:
            ``models:/REGISTERED/VERSION``, or ``models:/MODEL_ID`` where it was not registered.
        """

    @abstractmethod
    def flush(self, patience_s: float = 0.0) -> None:
        """Write everything that was held back, or raise TrackingError.

        Args:
            patience_s: keep trying for so long, where the store is away.
        """

    @abstractmethod
    def history(self, *prefixes: str) -> dict[str, list[MetricPoint]]:
        """Every value so far of the metrics whose names begin so, in order of step, whatever process logged it.

        Raises:
            TrackingError: the store is away.
        """

    @abstractmethod
    def mark(self) -> int:
        """How much has been logged, for a checkpoint to hold; all of it survives whatever happens next."""

    @abstractmethod
    def rewind(self, mark: int) -> None:
        """Go on from a checkpoint: what was logged after this mark will be logged again, and is kept once."""

    @abstractmethod
    def finish(self, status: RunStatus = RunStatus.FINISHED) -> None:
        """Flush and end the run. A second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish(RunStatus.FINISHED)
            return
        status = RunStatus.after(error)
        try:
            self.finish(status)
            stopped = isinstance(error, TrainingStopped)
            self.set_tags({STOPPED_TAG: error} if stopped else {"failure": f"{type(error).__name__}: {error}"})
        except Exception as lost:
            # the reason why the run ended matters more than the log that could not record it
            error.add_note(f"run {self.run_id} could not be marked {status}: {lost}")
