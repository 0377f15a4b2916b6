"""One job of a batch, in a process of its own: `python -m fusion_rl.batch.worker FOLDER JOB`.

It goes on from where the job was left, does nothing that is done, and keeps in the job's record how it ended.
"""

import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusion_rl.batch.jobs import Job
from fusion_rl.batch.state import Batch, Record, State, find, now
from fusion_rl.errors import BatchError, FusionRLError, NotebookError
from fusion_rl.tracking.base import ABOVE_TAG, BATCH_TAG, JOB_TAG, RunRecord, RunStatus
from fusion_rl.tracking.processes import process_tags
from fusion_rl.training.interrupts import Interrupts

EXIT_CODES = {State.DONE: 0, State.FAILED: 1, State.STOPPED: 130, State.RUNNING: 3}


def carry_out(batch: Batch, name: str) -> State:
    """Do a job, or what is left of it.

    Returns:
        How it ended; RUNNING: another process is at it, and this one did nothing.
    """
    with batch.lock(name) as is_mine:
        if not is_mine:
            return State.RUNNING
        before = batch.record(name)
        if before.state is State.DONE:
            return State.DONE
        job = batch.jobs[name]
        record = Record(State.RUNNING, before.attempts + 1, now(), process=process_tags(), run_id=before.run_id)
        batch.write(name, record)
        try:
            with Interrupts():
                found = _do(batch, job)
        except KeyboardInterrupt:
            found = {"state": State.STOPPED}
        except FusionRLError as error:
            found = {"state": State.FAILED, "error": str(error)}
        except Exception as error:  # whatever breaks down in there is this job's end, not the batch's
            traceback.print_exc()
            found = {"state": State.FAILED, "error": " ".join(f"{type(error).__name__}: {error}".split())}
        if "run_id" not in found:
            run = run_of(batch, name)
            found["run_id"] = run.run_id if run is not None else None
        batch.write(name, replace(record, ended=now(), **found))
        return State(found["state"])


def _do(batch: Batch, job: Job) -> dict[str, Any]:
    return _train(batch, job) if job.config is not None else _execute(batch, job)


def run_of(batch: Batch, job: str) -> RunRecord | None:
    """The newest run that a job has begun, if it has."""
    from fusion_rl.tracking.mlflow_store import open_store

    mine = f"tags.`{ABOVE_TAG}` = '{batch.run_id}' and tags.`{JOB_TAG}` = '{job}'"
    found = open_store(batch.tracking_dir, create=False).search_runs(filter_string=mine, max_runs=1)
    return found[0] if found else None


def tags_of(batch: Batch, job: str) -> dict[str, str]:
    """What the runs of a job say of where they belong."""
    return {BATCH_TAG: batch.name, JOB_TAG: job}


def _train(batch: Batch, job: Job) -> dict[str, Any]:
    from rich.console import Console

    from fusion_rl.training.run import can_resume, resume, train

    assert job.config is not None
    begun, console = run_of(batch, job.name), Console(stderr=True, highlight=False)
    if begun is not None and begun.status is RunStatus.FINISHED:  # killed before its record was written
        return {"state": State.DONE, "run_id": begun.run_id, "result": _recorded(begun)}
    if begun is not None and can_resume(batch.tracking_dir, begun.run_id):
        result = resume(begun.run_id, tracking_dir=batch.tracking_dir, console=console)
    else:
        origin = job.resume_from if job.after is None else str(best_checkpoint(batch, job.after))
        result = train(
            job.config,
            console=console,
            resume_from=origin,
            parent_run_id=batch.run_id,
            tags=tags_of(batch, job.name),
        )
    told = result.as_dict()
    kept = {key: told[key] for key in ("service_blocking", "timesteps", "checkpoint", "weights_sha256", "scenarios")}
    return {"state": State.DONE, "run_id": result.run_id, "result": kept}


def _recorded(run: RunRecord) -> dict[str, Any]:
    """What the store knows of the result of a run that finished."""
    blocking = {
        "mean": run.metrics.get("evaluation/service_blocking"),
        "ci95": run.metrics.get("evaluation/service_blocking_ci95"),
    }
    return {"service_blocking": blocking}


def best_checkpoint(batch: Batch, job: str) -> Path:
    """The checkpoint of a job's run that blocked least in evaluations on the way; the final one, if there were none.

    Raises:
        BatchError: the job is not done, or its checkpoints are gone.
    """
    from fusion_rl.training.checkpoints import Kind
    from fusion_rl.training.run import checkpoint_folder

    record = batch.record(job)
    if record.state is not State.DONE or record.run_id is None:
        raise BatchError(f"job {job} is {record.state}: there is nothing to go on from yet")
    folder = checkpoint_folder(batch.tracking_dir, record.run_id)
    for kind in (Kind.BEST, Kind.FINAL):
        if (folder / f"{kind}.bundle").is_file():
            return folder / f"{kind}.bundle"
    raise BatchError(f"job {job} has left no checkpoint in {folder}")


def _execute(batch: Batch, job: Job) -> dict[str, Any]:
    from fusion_rl.batch.notebooks import run_notebook
    from fusion_rl.tracking.context import handing_down
    from fusion_rl.tracking.mlflow_store import open_store

    assert job.notebook is not None
    made, tags, store = batch.notebook(job.name), tags_of(batch, job.name), open_store(batch.tracking_dir)
    failure: NotebookError | None = None
    try:
        with handing_down(tags, batch.run_id):
            executed = run_notebook(job.notebook, job.parameters, made)
        if executed.run is not None:
            return {"state": State.DONE, "run_id": executed.run.run_id, "notebook": str(made)}
    except NotebookError as error:
        failure = error
    found = run_of(batch, job.name)
    if found is None:  # the notebook made none: its page and its end have to stand somewhere
        status = RunStatus.FINISHED if failure is None else RunStatus.FAILED
        run = store.start(batch.name, job.name, job.parameters, tags, batch.run_id)
        run.finish(status)
        found = store.find_run(run.run_id)
    for page in (made, made.with_suffix(".html")):
        if page.is_file():
            store.log_artifact(found.run_id, page, "notebook")
    if failure is not None:
        return {"state": State.FAILED, "error": str(failure), "run_id": found.run_id, "notebook": str(made)}
    return {"state": State.DONE, "run_id": found.run_id, "notebook": str(made)}


def main(arguments: list[str]) -> int:
    """Carry out one job: the folder of its batch, and its name."""
    folder, name = arguments
    batch = find(folder)
    os.chdir(batch.working_dir)
    return EXIT_CODES[carry_out(batch, name)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
