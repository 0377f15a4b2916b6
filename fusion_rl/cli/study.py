"""`fusion-rl study`: search settings with many trials, watch them, and take the best one on."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli import options
from fusion_rl.cli.output import log_console, one_line_warnings, print_json, print_table
from fusion_rl.cli.ui import DEFAULT_FOLDER
from fusion_rl.tuning.definition import STORAGE_VARIABLE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from fusion_rl.tuning.definition import StudyDefinition
    from fusion_rl.tuning.results import TrialRow

app = typer.Typer(help="Search settings: run studies, watch them, use what they found.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Study: its name in the folder studies, or its folder.")]
Begun = Annotated[str, typer.Argument(metavar="NAME", help="Study that has been begun.")]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar=STORAGE_VARIABLE,
        metavar="URL",
        help="Database of studies, as postgresql://USER@HOST/NAME [default: sqlite:///studies/studies.db].",
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes on this machine.")]
TrackingDir = Annotated[str, typer.Option("--tracking-dir", help="Folder of the run store.")]
Trials = Annotated[
    int | None, typer.Option("--trials", min=1, help="Trials in all, instead of the study's own number.")
]
_ROWS = 40  # trials that a table shows, the newest


@app.command("run")
def run(
    name: Name,
    workers: Workers = 1,
    storage: Storage = None,
    trials: Trials = None,
    tracking_dir: TrackingDir = DEFAULT_FOLDER,
    as_json: options.Json = False,
) -> None:
    """Begin a study, join it from another machine, or go on with it, until all its trials are over."""
    from fusion_rl.tuning.definition import read_definition

    _carry_out(read_definition(name), workers, storage, trials, tracking_dir, as_json)


@app.command("resume")
def resume(
    name: Begun,
    workers: Workers = 1,
    storage: Storage = None,
    trials: Trials = None,
    tracking_dir: Annotated[
        str | None, typer.Option("--tracking-dir", help="Folder of the run store [default: where the study began].")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Go on with a study as it was begun: its own settings, its open trials, and more trials if they are asked for."""
    from fusion_rl.tuning.storage import TRACKING, definition_of, open_begun

    study = open_begun(name, storage)
    folder = tracking_dir or str(study.user_attrs[TRACKING])
    _carry_out(definition_of(study), workers, storage, trials, folder, as_json)


@app.command("status")
def status(name: Begun, storage: Storage = None, as_json: options.Json = False) -> None:
    """Say how a study stands, and whether the run store says the same of every trial."""
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.tuning.results import counts, disagreements, rows
    from fusion_rl.tuning.storage import TRACKING, definition_of, open_begun

    with log_console().status("reading the study"):
        study = open_begun(name, storage)
        found, definition = rows(study), definition_of(study)
        problems = disagreements(study, open_store(study.user_attrs[TRACKING], create=False))
    if as_json:
        said = {"study": definition.name, "question": definition.question, "trials": [one.as_dict() for one in found]}
        print_json({**said, "states": counts(found), "budget": definition.budget, "disagreements": problems})
        return
    _print_trials(definition, found)
    for problem in problems:
        typer.secho(f"warning: MLflow and Optuna disagree: {problem}", fg=typer.colors.YELLOW, err=True)


@app.command("best")
def best(name: Begun, storage: Storage = None, as_json: options.Json = False) -> None:
    """Give the best trial: its settings, its resolved configuration, its checkpoint, and the commands to go on."""
    from fusion_rl.tuning.results import best as best_trials
    from fusion_rl.tuning.storage import TRACKING, open_begun

    study = open_begun(name, storage)
    found = best_trials(study, study.user_attrs[TRACKING])
    if as_json:
        print_json({"study": study.study_name, "best": [one.as_dict() for one in found]})
        return
    for one in found:
        typer.echo(f"trial {one.trial.number}: blocking {_blocking(one.trial)}, {one.trial.seconds:.1f} s of training")
        lines = {**one.trial.settings, "config": one.config, "checkpoint": one.checkpoint, **one.commands}
        width = max(map(len, lines))
        for head, text in lines.items():
            typer.echo(f"  {head:<{width}}  {text}")


@app.command("export")
def export(
    name: Begun,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File: .csv, .json or .parquet [default: NAME.csv].")
    ] = None,
    storage: Storage = None,
    as_json: options.Json = False,
) -> None:
    """Write all trials of a study to a file."""
    from fusion_rl.tuning.results import export as write
    from fusion_rl.tuning.results import rows
    from fusion_rl.tuning.storage import open_begun

    study = open_begun(name, storage)
    found = rows(study)
    path = write(found, output or Path(f"{study.study_name}.csv"))
    if as_json:
        print_json({"file": path.absolute(), "trials": len(found)})
        return
    typer.echo(f"{len(found)} trials: {path.absolute()}")


def _carry_out(
    definition: "StudyDefinition",
    workers: int,
    storage: str | None,
    trials: int | None,
    tracking_dir: str,
    as_json: bool,
) -> None:
    from fusion_rl.tuning.begin import with_trials
    from fusion_rl.tuning.results import counts
    from fusion_rl.tuning.run import run_study

    definition, console = with_trials(definition, trials), log_console()
    with one_line_warnings(), redirect_stdout(sys.stderr), _shown(definition, console) as show:
        found = run_study(
            definition, workers=workers, storage=storage, tracking_dir=tracking_dir, console=console, show=show
        )
    if as_json:
        print_json({"study": definition.name, "trials": [one.as_dict() for one in found], "states": counts(found)})
        return
    _print_trials(definition, found)
    typer.echo(f"next: fusion-rl study best {definition.name}")


@contextmanager
def _shown(definition: "StudyDefinition", console: "Console") -> "Iterator[Callable[[list[TrialRow]], None]]":
    """A table of the trials that lives while they do; where nobody looks at a terminal, a line when one changes."""
    if not console.is_terminal:
        told: dict[int, str] = {}

        def tell(found: "list[TrialRow]") -> None:
            for one in found:
                if told.get(one.number) != one.state:
                    told[one.number] = one.state
                    console.print(f"trial {one.number} {one.state}: {_blocking(one)} {one.why}".rstrip(), markup=False)

        yield tell
        return
    from rich.live import Live

    with Live(console=console, refresh_per_second=2) as live:
        yield lambda found: live.update(_table(definition, found))


def _print_trials(definition: "StudyDefinition", found: "list[TrialRow]") -> None:
    columns, cells = _cells(definition, found)
    print_table(columns, cells, title=_title(definition, found))


def _table(definition: "StudyDefinition", found: "list[TrialRow]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    columns, cells = _cells(definition, found[-_ROWS:])
    table = Table(*columns, title=_title(definition, found), title_justify="left")
    for row in cells:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def _title(definition: "StudyDefinition", found: "list[TrialRow]") -> str:
    from fusion_rl.tuning.results import counts

    states = ", ".join(f"{number} {state}" for state, number in counts(found).items() if number)
    return f"study {definition.name}: {states or 'no trial yet'}, of {definition.budget.trials}"


def _cells(definition: "StudyDefinition", found: "list[TrialRow]") -> tuple[list[str], list[Sequence[Any]]]:
    paths = list(definition.search)
    complete = [one.blocking for one in found if one.is_complete and one.blocking is not None]
    rows: list[Sequence[Any]] = []
    for one in found:
        is_best = one.is_complete and one.blocking == min(complete)
        note = one.why or (f"its worker died {one.left} times" if one.left else "best" if is_best else "")
        step = "" if one.step is None else f"{one.step:,}"
        seconds = "" if one.seconds is None else f"{one.seconds:.1f}"
        settings = [_short(one.settings.get(path, "")) for path in paths]
        rows.append([one.number, one.state, step, _blocking(one), seconds, *settings, note])
    return ["trial", "state", "step", "blocking", "seconds", *paths, ""], rows


def _blocking(one: "TrialRow") -> str:
    if one.blocking is None:
        return ""
    return f"{one.blocking:.5f}" + ("" if one.ci95 is None else f" ± {one.ci95:.5f}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
