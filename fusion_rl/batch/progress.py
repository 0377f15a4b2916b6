"""How a batch stands: a row for each job, from its record and its run, as a table to watch and as a frame."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from fusion_rl.batch.state import Batch, Record, State
from fusion_rl.tracking.base import ABOVE_TAG, JOB_TAG, RunRecord

if TYPE_CHECKING:
    import pandas as pd

    from fusion_rl.tracking.mlflow_store import Store

_COLOURS = {
    State.DONE: "green",
    State.RUNNING: "cyan",
    State.FAILED: "red",
    State.KILLED: "red",
    State.STOPPED: "yellow",
}


@dataclass(frozen=True)
class Row:
    """One job, to be read.

    Attributes:
        at: setting -> its value at this point of the grid.
        steps, timesteps: training steps so far, as the store knows them, and in all; None where it does not train.
        service_blocking, ci95: of the newest evaluation: the final one, once it is done.
        attempts: how often it was begun or gone on with.
        seconds: of the last attempt.
        note: the error, or what it waits for.
    """

    job: str
    step: str
    state: str
    at: dict[str, Any]
    steps: int | None
    timesteps: int | None
    service_blocking: float | None
    ci95: float | None
    attempts: int
    seconds: float | None
    run_id: str | None
    note: str


def rows(batch: Batch) -> list[Row]:
    """How all jobs of a batch stand; without the store's part where the store is away."""
    from fusion_rl.errors import TrackingError
    from fusion_rl.tracking.mlflow_store import open_store

    try:
        runs = runs_of(batch, open_store(batch.tracking_dir, create=False))
    except TrackingError:
        runs = {}
    return [_row(batch, job, record, runs.get(job)) for job, record in batch.records().items()]


def runs_of(batch: Batch, store: "Store") -> dict[str, RunRecord]:
    """Job -> the newest run that it has begun."""
    found = store.search_runs(filter_string=f"tags.`{ABOVE_TAG}` = '{batch.run_id}'")
    return {run.tags[JOB_TAG]: run for run in reversed(found) if JOB_TAG in run.tags}


def _row(batch: Batch, name: str, record: Record, run: RunRecord | None) -> Row:
    job, metrics = batch.jobs[name], run.metrics if run is not None else {}
    final = (record.result or {}).get("service_blocking", {})
    note = record.error or ""
    if record.state is State.WAITING and job.after is not None and batch.record(job.after).state is not State.DONE:
        note = f"after {job.after}"
    config = job.config
    steps = metrics.get("time/total_timesteps")
    timesteps = config.execution.timesteps if config is not None else None
    return Row(
        job=name,
        step=job.step,
        state=record.state.value,
        at=job.at,
        steps=timesteps if record.state is State.DONE else int(steps) if steps is not None else None,
        timesteps=timesteps,
        service_blocking=final.get("mean", metrics.get("evaluation/service_blocking")),
        ci95=final.get("ci95", metrics.get("evaluation/service_blocking_ci95")),
        attempts=record.attempts,
        seconds=record.seconds,
        run_id=record.run_id or (run.run_id if run is not None else None),
        note=note,
    )


def frame(batch: Batch) -> "pd.DataFrame":
    """The jobs of a batch, indexed by name: the fields of `Row`, and a column for each setting of a grid."""
    import pandas as pd

    told = [{**{key: value for key, value in asdict(row).items() if key != "at"}, **row.at} for row in rows(batch)]
    return pd.DataFrame(told).set_index("job")


def counts(batch: Batch) -> dict[str, int]:
    """State -> how many of a batch's jobs stand so."""
    states = [record.state for record in batch.records().values()]
    return {state.value: states.count(state) for state in State}


def table(batch: Batch, found: list[Row]) -> Table:
    """The rows to watch or to read."""
    done = sum(row.state == State.DONE for row in found)
    title = f"batch {batch.name}: {done} of {len(found)} done"
    shown = Table("job", "state", "steps", "service blocking", "time", "run", "", title=title, title_justify="left")
    for row in found:
        shown.add_row(
            Text(row.job),
            Text(row.state, style=_COLOURS.get(State(row.state), "")),
            Text(_steps(row), justify="right"),
            Text(_blocking(row)),
            Text(_duration(row.seconds), justify="right"),
            Text((row.run_id or "")[:8]),
            Text(row.note, overflow="fold"),
        )
    return shown


def markdown(batch: Batch, found: list[Row]) -> str:
    """The batch as its run's description in MLflow."""
    lines = [
        batch.plan.description,
        "",
        "| job | state | steps | service blocking | |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [f"| {row.job} | {row.state} | {_steps(row)} | {_blocking(row)} | {row.note[:200]} |" for row in found]
    return "\n".join(lines).strip()


def _steps(row: Row) -> str:
    if row.timesteps is None:
        return ""
    if row.steps == row.timesteps:
        return f"{row.timesteps:,}"
    return f"{row.steps or 0:,} / {row.timesteps:,}"


def _blocking(row: Row) -> str:
    if row.service_blocking is None:
        return ""
    return f"{row.service_blocking:.5f}" + (f" ± {row.ci95:.5f}" if row.ci95 is not None else "")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
