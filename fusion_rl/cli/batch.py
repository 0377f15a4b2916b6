"""`fusion-rl batch`: many runs from one plan, carried out, gone on with and looked at."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli import options
from fusion_rl.cli.output import log_console, one_line_warnings, print_json, print_table
from fusion_rl.cli.ui import DEFAULT_FOLDER
from fusion_rl.errors import UnknownNameError

if TYPE_CHECKING:
    from fusion_rl.batch.state import Batch

app = typer.Typer(help="Carry out many runs from one plan: here or in a SLURM cluster.", no_args_is_help=True)

_EXECUTORS = ("local", "slurm")
TrackingDir = Annotated[str, typer.Option("--tracking-dir", help="Folder of the run store that the batch is in.")]
Executor = Annotated[
    str | None, typer.Option("--executor", help="local: processes of this machine; slurm: jobs of a cluster.")
]
Processes = Annotated[int | None, typer.Option("--processes", min=1, help="Runs at a time.")]


@app.command("run")
def run(
    plan: Annotated[Path, typer.Argument(help="YAML file of the plan.")],
    name: Annotated[str | None, typer.Option("--name", help="Of the batch [default: the plan's].")] = None,
    executor: Executor = None,
    processes: Processes = None,
    tracking_dir: Annotated[str | None, typer.Option("--tracking-dir", help="Folder of the run store.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the plan and list its jobs; start none.")] = False,
    as_json: options.Json = False,
) -> None:
    """Carry out a plan; exit code 1 where a run did not end well."""
    _check(executor)
    given = {"name": name, "executor": executor, "processes": processes, "tracking_dir": tracking_dir}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    with one_line_warnings(), redirect_stdout(sys.stderr):
        if not dry_run:
            from fusion_rl.batch.run import run_batch

            batch = run_batch(plan, console=log_console(), **changes)
    if dry_run:
        _list(plan, changes, as_json)
    else:
        _report(batch, as_json)


@app.command("resume")
def resume(
    name: Annotated[str, typer.Argument(help="Name of the batch, or its folder.")],
    tracking_dir: TrackingDir = DEFAULT_FOLDER,
    executor: Executor = None,
    processes: Processes = None,
    as_json: options.Json = False,
) -> None:
    """Do what is left of a batch: what is done stays, what was begun goes on from its checkpoint."""
    _check(executor)
    with one_line_warnings(), redirect_stdout(sys.stderr):
        from fusion_rl.batch.run import resume_batch

        batch = resume_batch(
            name, tracking_dir=tracking_dir, executor=executor, processes=processes, console=log_console()
        )
    _report(batch, as_json)


@app.command("status")
def status(
    name: Annotated[str | None, typer.Argument(help="Name of the batch, or its folder [default: list all].")] = None,
    tracking_dir: TrackingDir = DEFAULT_FOLDER,
    as_json: options.Json = False,
) -> None:
    """Show how a batch stands, from any terminal; without a name, all batches."""
    from fusion_rl.batch import state

    if name is None:
        _list_batches(tracking_dir, as_json)
        return
    with redirect_stdout(sys.stderr):
        batch = state.find(name, tracking_dir)
    _print(batch, as_json)


def _check(executor: str | None) -> None:
    if executor is not None and executor not in _EXECUTORS:
        raise UnknownNameError("executor", executor, _EXECUTORS)


def _list(plan: Path, changes: Mapping[str, Any], as_json: bool) -> None:
    from fusion_rl.batch.jobs import jobs_of
    from fusion_rl.batch.plan import read_plan

    read, folder = read_plan(plan, **changes)
    jobs = jobs_of(read, folder)
    if as_json:
        print_json({"name": read.name, "jobs": [job.as_dict() for job in jobs]})
        return
    rows = [(job.name, job.notebook or "training", job.after or job.resume_from or "", _said(job.at)) for job in jobs]
    print_table(("job", "what", "goes on from", "at"), rows, title=f"batch {read.name}: {len(jobs)} jobs")


def _said(at: dict[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in at.items())


def _list_batches(tracking_dir: str, as_json: bool) -> None:
    from fusion_rl.batch import progress, state

    found: list[dict[str, Any]] = []
    for name in state.names(tracking_dir):
        batch = state.find(name, tracking_dir)
        found.append({"name": name, "jobs": len(batch.jobs), **progress.counts(batch)})
    if as_json:
        print_json({"batches": found})
        return
    states = [each.value for each in state.State]
    rows = [(row["name"], row["jobs"], *(row.get(each, "") for each in states)) for row in found]
    print_table(("batch", "jobs", *states), rows)


def _report(batch: "Batch", as_json: bool) -> None:
    """Print how a batch ended.

    Raises:
        typer.Exit: with 1, where a job did not end well.
    """
    rest = _print(batch, as_json)
    if rest:
        typer.echo(f"{rest} of {len(batch.jobs)} are left: fusion-rl batch resume {batch.name}", err=True)
        raise typer.Exit(1)


def _print(batch: "Batch", as_json: bool) -> int:
    """Print how a batch stands; how many of its jobs are not done."""
    from fusion_rl.batch import progress
    from fusion_rl.cli.output import result_console

    with redirect_stdout(sys.stderr):
        found = progress.rows(batch)
    rest = sum(row.state != "done" for row in found)
    if as_json:
        told = {"name": batch.name, "run_id": batch.run_id, "folder": batch.folder, "left": rest}
        print_json({**told, "jobs": [asdict(row) for row in found]})
        return rest
    result_console().print(progress.table(batch, found))
    for row in found:
        if row.state == "failed":
            typer.echo(f"{row.job} failed: {row.note}\n    its log: {batch.log_file(row.job)}", err=True)
    return rest
