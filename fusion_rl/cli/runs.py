"""`fusion-rl runs`: what the run store holds, and the runs that their processes left behind."""

import re
from datetime import timedelta
from typing import Annotated

import typer

from fusion_rl.cli import options
from fusion_rl.cli.output import log_console, print_json, print_table
from fusion_rl.cli.ui import DEFAULT_FOLDER
from fusion_rl.errors import ConfigError

app = typer.Typer(help="List runs, and mark those whose process is gone.", no_args_is_help=True)

TrackingDir = Annotated[str, typer.Option("--tracking-dir", help="Folder of the runs.")]


@app.command("list")
def list_runs(
    tracking_dir: TrackingDir = DEFAULT_FOLDER,
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="Only those of this experiment.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="At most this many, the newest.")] = 50,
    as_json: options.Json = False,
) -> None:
    """List runs, newest first, and say which of them can be gone on with here."""
    from fusion_rl.tracking.base import RunStatus
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.training.run import can_resume

    with log_console().status("reading the runs"):
        records = open_store(tracking_dir, create=False).search_runs(experiment, max_runs=most)
    rows = [
        {
            "run_id": record.run_id,
            "name": record.run_name,
            "experiment": record.experiment,
            "status": record.status.value,
            "started": record.started.isoformat(timespec="seconds"),
            "can_be_resumed": record.status is not RunStatus.FINISHED and can_resume(tracking_dir, record.run_id),
        }
        for record in records
    ]
    if as_json:
        print_json({"runs": rows})
        return
    print_table(list(rows[0]) if rows else ["run_id"], [list(row.values()) for row in rows])


@app.command("reap")
def reap(
    tracking_dir: TrackingDir = DEFAULT_FOLDER,
    silent_for: Annotated[
        str | None,
        typer.Option(
            "--silent-for",
            metavar="TIME",
            help="Runs of other machines, too, that have written nothing for so long: 45s, 30m, 12h, 2d.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Mark the runs KILLED whose process, on this machine, is gone; every training does so when it starts."""
    limit = None if silent_for is None else _duration(silent_for)
    from fusion_rl.tracking.mlflow_store import open_store

    with log_console().status("looking for runs without a process"):
        reaped = open_store(tracking_dir, create=False).reap(limit)
    if as_json:
        print_json({"reaped": [{"run_id": run.run_id, "name": run.run_name} for run in reaped]})
        return
    for run in reaped:
        typer.echo(f"{run.run_id} ({run.run_name}) is marked KILLED")
    typer.echo(f"{len(reaped)} runs were left by their processes")


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smhd])", text.strip())
    if match is None:
        raise ConfigError(f"--silent-for is '{text}': give a number and a unit, as 45s, 30m, 12h or 2d")
    number, unit = match.groups()
    return timedelta(seconds=float(number) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit])


@app.command("summary")
def summary(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Ids or names of trainings [default: all].")
    ] = None,
    tracking_dir: TrackingDir = DEFAULT_FOLDER,
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="Only those of this experiment.")] = None,
    as_json: options.Json = False,
) -> None:
    """Summarise finished trainings that differ in their seed alone: interquartile means with bootstrap intervals."""
    from fusion_rl.analysis.seeds import seed_summary

    with log_console().status("reading the runs"):
        found = seed_summary(tracking_dir, runs or None, experiment)
    if as_json:
        print_json({"groups": found.to_dict("records")})
        return
    columns = (
        "algorithm",
        "topology",
        "load",
        "timesteps",
        "seeds",
        "service blocking",
        "95 % interval",
        "single runs",
    )
    rows = []
    for row in found.itertuples():
        limits = "one training: none" if row.low != row.low else f"{row.low:.5f} .. {row.high:.5f}"
        seeds = ", ".join(str(seed) for seed in row.seeds)
        singles = f"{row.best:.5f} .. {row.worst:.5f}"
        blocking = f"{row.service_blocking:.5f}"
        rows.append((row.algorithm, row.topology, row.load, f"{row.timesteps:,}", seeds, blocking, limits, singles))
    print_table(columns, rows)
    typer.echo("service blocking: interquartile mean over seeds and scenarios; interval: stratified bootstrap, 95 %.")
