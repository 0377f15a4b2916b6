"""The state of a batch, in a folder that every process reads: its jobs, and one record a job.

::

    TRACKING_DIR/batches/NAME/
      batch.json        plan, jobs with their resolved settings, run of the batch; written once
      jobs/JOB.json     how a job stands; written by the process that carries it out, and by nobody else
      jobs/JOB.log      what that process said
      notebooks/        executed ones, and their HTML
      slurm/            what submitit keeps of jobs in a cluster's queue

A file appears whole under its name or not at all. A job's lock is held by whoever carries it out and falls with its
process, so that no two ever do.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import filelock

from fusion_rl.batch.jobs import Job
from fusion_rl.batch.plan import Plan
from fusion_rl.errors import BatchError, nearest_hint
from fusion_rl.tracking.processes import is_gone

_FOLDER = "batches"
_ABOUT = "batch.json"


class State(StrEnum):
    """How a job stands."""

    WAITING = "waiting"  # not begun
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # an error ended it
    STOPPED = "stopped"  # a signal ended it, and what it had was saved
    KILLED = "killed"  # its process is gone without a word


LEFT_TO_DO = (State.WAITING, State.FAILED, State.STOPPED, State.KILLED)


@dataclass(frozen=True)
class Record:
    """What is known of one job.

    Attributes:
        attempts: how often it was begun or gone on with.
        process: whose it is, as `tracking.processes` tells.
        seconds: of the last attempt.
        run_id: its run, once it is known.
        error: why it failed, in one line; of a notebook with the cell.
        result: of a training that is done, as `RunResult.as_dict`.
        notebook: the executed one.
    """

    state: State = State.WAITING
    attempts: int = 0
    started: str | None = None
    ended: str | None = None
    process: dict[str, str] = field(default_factory=dict)
    run_id: str | None = None
    error: str | None = None
    result: dict[str, Any] | None = None
    notebook: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long its last attempt took, or has taken so far."""
        if self.started is None:
            return None
        end = datetime.fromisoformat(self.ended) if self.ended is not None else datetime.now(UTC)
        return (end - datetime.fromisoformat(self.started)).total_seconds()


class Batch:
    """A batch that exists. Made by `create` and `find`.

    Attributes:
        folder: where its state is.
        plan, jobs: what is to be done; each job stands behind the one that it goes on from.
        run_id: its run in the store, under which those of its jobs are shown.
        working_dir: where its processes work.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder = folder
        self.plan = Plan.model_validate(about["plan"])
        self.jobs = {job.name: job for job in map(Job.from_dict, about["jobs"])}
        self.run_id: str = about["run_id"]
        self.working_dir = Path(about["working_dir"])

    @property
    def name(self) -> str:
        """Its name."""
        return self.plan.name

    @property
    def tracking_dir(self) -> Path:
        """The folder of its runs."""
        return self.folder.parent.parent

    def record(self, job: str) -> Record:
        """How a job stands; one whose process, on this machine, is gone without a word is KILLED.

        Raises:
            BatchError: the record cannot be read.
        """
        path = self.folder / "jobs" / f"{job}.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Record()
        except (OSError, ValueError) as error:
            raise BatchError(f"{path} cannot be read: {error}") from error
        found = Record(**{**told, "state": State(told["state"])})
        return replace(found, state=State.KILLED) if found.state is State.RUNNING and is_gone(found.process) else found

    def records(self) -> dict[str, Record]:
        """How all jobs stand."""
        return {job: self.record(job) for job in self.jobs}

    def write(self, job: str, record: Record) -> None:
        """Keep how a job stands; only for who holds its lock."""
        write_json(self.folder / "jobs" / f"{job}.json", asdict(record))

    def log_file(self, job: str) -> Path:
        """What a job's processes say."""
        return self.folder / "jobs" / f"{job}.log"

    def notebook(self, job: str) -> Path:
        """Where a job's executed notebook goes."""
        return self.folder / "notebooks" / f"{job}.ipynb"

    @contextmanager
    def lock(self, job: str | None = None) -> Iterator[bool]:
        """Hold a job, or the batch as a whole; False where another process does."""
        lock = filelock.FileLock(self.folder / (f"jobs/{job}.lock" if job is not None else "batch.lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def create(plan: Plan, jobs: list[Job], run_id: str) -> Batch:
    """Write down a new batch.

    Raises:
        BatchError: it cannot be written, or there is one of this name already.
    """
    folder = folder_of(plan.name, plan.tracking_dir)
    refuse_existing(plan)
    about = {
        "plan": plan.model_dump(mode="json"),
        "jobs": [job.as_dict() for job in jobs],
        "run_id": run_id,
        "working_dir": str(Path.cwd()),
    }
    try:
        for inner in ("jobs", "notebooks"):
            (folder / inner).mkdir(parents=True, exist_ok=True)
        write_json(folder / _ABOUT, about)  # last: it is what makes the folder a batch
    except OSError as error:
        raise BatchError(f"batch {plan.name} cannot be written to {folder}: {error.strerror}") from error
    return Batch(folder, about)


def refuse_existing(plan: Plan) -> None:
    """Raise BatchError where a batch of this name exists."""
    if (folder_of(plan.name, plan.tracking_dir) / _ABOUT).exists():
        raise BatchError(
            f"there is a batch {plan.name} in {plan.tracking_dir} already: `fusion-rl batch resume {plan.name}` does "
            "what is left of it; --name begins another one"
        )


def find(name: str | Path, tracking_dir: str | Path = "mlruns") -> Batch:
    """A batch by its name, or by its folder.

    Raises:
        BatchError: there is none, with the nearest names, or its state cannot be read.
    """
    given = Path(name)
    folder = given.absolute() if (given / _ABOUT).is_file() else folder_of(str(name), tracking_dir)
    if not (folder / _ABOUT).is_file():
        raise BatchError(f"no batch {str(name)!r} in {tracking_dir}: {nearest_hint(str(name), names(tracking_dir))}")
    try:
        return Batch(folder, json.loads((folder / _ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BatchError(f"batch {name} cannot be read from {folder}: {error}") from error


def names(tracking_dir: str | Path) -> list[str]:
    """The batches of a run store's folder."""
    return sorted(path.parent.name for path in (Path(tracking_dir) / _FOLDER).glob(f"*/{_ABOUT}"))


def folder_of(name: str, tracking_dir: str | Path) -> Path:
    """Where the batch of this name keeps its state."""
    return Path(tracking_dir).absolute() / _FOLDER / name


def write_json(path: Path, value: Any) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def now() -> str:
    """This moment, as records write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
