"""Carry out a batch: begin it, or go on with what is left of it, until no job can start any more."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from fusion_rl.batch import progress
from fusion_rl.batch.executors import EXECUTORS, Runner
from fusion_rl.batch.jobs import jobs_of
from fusion_rl.batch.plan import read_plan
from fusion_rl.batch.state import LEFT_TO_DO, Batch, Record, State, create, find, names, refuse_existing
from fusion_rl.errors import BatchError, FusionRLError
from fusion_rl.tracking.base import BATCH_TAG, NOTE_TAG, RunLog, RunStatus
from fusion_rl.tracking.processes import is_here
from fusion_rl.training.interrupts import Interrupts

_LOOK_EVERY_S = 0.3  # at the records of the jobs
_SHOW_EVERY_S = 3.0  # what the run store knows


def run_batch(
    plan: str | Path | Mapping[str, Any], *, go_on: bool = False, console: Console | None = None, **changes: Any
) -> Batch:
    """Carry out a plan.

    Args:
        plan: YAML file, or its values.
        go_on: where there is a batch of this very plan already, do what is left of it; for notebooks, which are run
            again from the top.
        console: where progress is shown; None: on standard error.
        changes: what replaces the plan's own values: name, executor, processes, tracking_dir.

    Returns:
        The batch when nothing of it can start any more: `Batch.records` says how each job ended.

    Raises:
        FusionRLError: the plan, a setting in it, the run store or the executor cannot be used; nothing has started.
    """
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.training.description import COMPARED_BY

    read, folder = read_plan(plan, **changes)
    jobs = jobs_of(read, folder)
    if go_on and read.name in names(read.tracking_dir):
        begun = find(read.name, read.tracking_dir)
        if list(begun.jobs.values()) == jobs:
            return resume_batch(begun.folder, executor=read.executor, processes=read.processes, console=console)
    refuse_existing(read)
    EXECUTORS[read.executor].check()
    store = open_store(read.tracking_dir)
    told = {"jobs": len(jobs), "steps": ", ".join(read.in_order()), "executor": read.executor}
    varied = [key for key in dict.fromkeys(key for job in jobs for key in job.at) if "." in key and "*" not in key]
    tags = {BATCH_TAG: read.name, NOTE_TAG: read.description}
    run = store.start(read.name, read.name, told, tags, compared_by=varied or COMPARED_BY)
    with run:
        batch = create(read, jobs, run.run_id)
        run.log_artifact(batch.folder / "batch.json")
        return _carry_on(batch, run, read.executor, read.processes, console)


def resume_batch(
    name: str | Path,
    *,
    tracking_dir: str | Path = "mlruns",
    executor: str | None = None,
    processes: int | None = None,
    console: Console | None = None,
) -> Batch:
    """Do what is left of a batch: jobs that are done stay, those that were begun go on from their checkpoints.

    Args:
        name: of the batch, or its folder.
        tracking_dir: folder of the run store.
        executor, processes: in place of the plan's.
        console: where progress is shown; None: on standard error.

    Raises:
        BatchError: there is no such batch, or a process is at work on it.
        TrackingError: the run store cannot be used.
    """
    from fusion_rl.tracking.mlflow_store import open_store

    batch = find(name, tracking_dir)
    if all(record.state is State.DONE for record in batch.records().values()):
        return batch
    chosen = executor or batch.plan.executor
    EXECUTORS[chosen].check()
    store = open_store(batch.tracking_dir)
    with batch.lock() as is_mine:  # asked here for the plainer message; it is taken again below
        _require(batch, is_mine)
    with store.resume(batch.run_id) as run:
        return _carry_on(batch, run, chosen, processes or batch.plan.processes, console)


def _require(batch: Batch, is_mine: bool) -> None:
    if not is_mine:
        raise BatchError(
            f"another process is at work on batch {batch.name}: `fusion-rl batch status {batch.name}` shows it"
        )


def _carry_on(batch: Batch, run: RunLog, executor: str, processes: int | None, console: Console | None) -> Batch:
    """Follow the jobs to their end, and keep in the batch's run how they ended."""
    console = console or Console(stderr=True, highlight=False)
    with batch.lock() as is_mine:
        _require(batch, is_mine)
        runner = EXECUTORS[executor](batch, processes)
        try:
            with Interrupts():
                _follow(batch, runner, console)
        except KeyboardInterrupt:
            console.print("stopping: jobs that run here save what they have", highlight=False)
            said = runner.stop()
            if said:
                console.print(said, highlight=False)
            raise
        finally:
            _conclude(batch, run, console)
    if any(record.state is not State.DONE for record in batch.records().values()):
        run.finish(RunStatus.FAILED)
    return batch


def _follow(batch: Batch, runner: Runner, console: Console) -> None:
    """Start jobs as they can be started, each once, until none runs and none can start."""
    started: set[str] = set()
    with _Display(batch, console) as show:
        while True:
            records, active = batch.records(), runner.active()
            busy = active | {job for job, record in records.items() if _runs_here(record)}
            ready = [
                name
                for name, job in batch.jobs.items()
                if name not in started | busy
                and (
                    records[name].state in LEFT_TO_DO or records[name].state is State.RUNNING
                )  # on a machine elsewhere
                and (job.after is None or records[job.after].state is State.DONE)
            ]
            chosen = ready[: runner.room(len(busy))]
            runner.start(chosen)
            started |= set(chosen)
            show(records)
            if not busy and not chosen:
                return
            time.sleep(_LOOK_EVERY_S)


def _runs_here(record: Record) -> bool:
    """Whether a process of this machine is at it, be it one that an earlier process of the batch has started."""
    return record.state is State.RUNNING and is_here(record.process)


class _Display:
    """The table of a batch while it is carried out: live on a terminal, elsewhere a line for each change."""

    def __init__(self, batch: Batch, console: Console) -> None:
        self._batch = batch
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._before: dict[str, State] = {}
        self._shown = -_SHOW_EVERY_S

    def __enter__(self) -> Callable[[Mapping[str, Record]], None]:
        if self._live is not None:
            self._live.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(progress.table(self._batch, progress.rows(self._batch)), refresh=True)
            self._live.stop()

    def _show(self, records: Mapping[str, Record]) -> None:
        states = {job: record.state for job, record in records.items()}
        if self._live is None:
            for job, state in states.items():
                if state is not self._before.get(job, State.WAITING):
                    error = f": {records[job].error}" if records[job].error is not None else ""
                    self._console.print(f"{job}: {state}{error}", highlight=False, markup=False, soft_wrap=True)
        elif states != self._before or time.monotonic() - self._shown >= _SHOW_EVERY_S:
            self._shown = time.monotonic()
            self._live.update(progress.table(self._batch, progress.rows(self._batch)), refresh=True)
        self._before = states


def _conclude(batch: Batch, run: RunLog, console: Console) -> None:
    """Keep in the batch's run how its jobs stand; an error here is told and hides no other."""
    try:
        found = progress.rows(batch)
        run.log_metrics({f"jobs/{state}": count for state, count in progress.counts(batch).items()})
        run.set_tags({NOTE_TAG: progress.markdown(batch, found)[:5000]})
    except FusionRLError as error:
        console.print(f"the batch's run could not be brought up to date: {error}", markup=False, highlight=False)
