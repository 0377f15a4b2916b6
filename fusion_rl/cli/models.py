"""`fusion-rl models`: registered models, their versions, and which of them counts."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli import options
from fusion_rl.cli.output import log_console, one_line_warnings, print_json, print_table
from fusion_rl.cli.ui import DEFAULT_FOLDER

if TYPE_CHECKING:
    from fusion_rl.tracking.registry import ModelVersion

REFUSED = 1  # exit code where the alias did not move

app = typer.Typer(help="List registered models, and promote a version that is better.", no_args_is_help=True)

TrackingDir = Annotated[str, typer.Option("--tracking-dir", help="Folder of the runs.")]


@app.command("list")
def list_models(tracking_dir: TrackingDir = DEFAULT_FOLDER, as_json: options.Json = False) -> None:
    """List the registered models."""
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.training.promote import CHAMPION

    with log_console().status("reading the models"):
        models = open_store(tracking_dir, create=False).registered_models()
    rows = [
        {
            "name": model.name,
            "versions": len(model.versions),
            "newest": model.versions[0].version if model.versions else None,
            "champion": model.aliases.get(CHAMPION),
            "updated": model.updated.isoformat(timespec="seconds"),
        }
        for model in models
    ]
    if as_json:
        print_json({"models": rows})
        return
    columns = ("name", "versions", "newest", "champion", "updated")
    print_table(columns, [["" if row[key] is None else row[key] for key in columns] for row in rows])


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Name of the registered model.")],
    tracking_dir: TrackingDir = DEFAULT_FOLDER,
    as_json: options.Json = False,
) -> None:
    """Show the versions of a model, newest first: what each blocks, and what came of its last challenge."""
    from fusion_rl.tracking.mlflow_store import open_store

    with log_console().status("reading the model"):
        model = open_store(tracking_dir, create=False).registered_model(name)
    rows = [_row(version) for version in model.versions]
    if as_json:
        print_json({"name": name, "aliases": dict(model.aliases), "versions": rows})
        return
    columns = ("version", "aliases", "algorithm", "topology", "load", "seed", "service_blocking", "created", "run_id")
    headings = [column.replace("_", " ") for column in columns]
    cells = [[", ".join(row[key]) if key == "aliases" else row[key] for key in columns] for row in rows]
    print_table(headings, cells)
    for row in rows:
        if row["promotion"]:
            typer.echo(row["promotion"])


@app.command("promote")
def promote(
    model: Annotated[str, typer.Argument(metavar="NAME[/VERSION]", help="The challenger [default: the newest].")],
    alias: Annotated[str, typer.Option("--alias", help="What it would become.")] = "champion",
    against: Annotated[
        str, typer.Option("--against", metavar="HEURISTIC", help="Whom the first one with this alias has to beat.")
    ] = "ksp-ff",
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", "-e", help="Where they meet: preset or YAML file [default: the champion's own]."),
    ] = None,
    requests: Annotated[int, typer.Option("--requests", min=1, help="Requests of each scenario.")] = 200_000,
    lanes: Annotated[int, typer.Option("--lanes", min=2, help="Independent networks.")] = 16,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the traffic, new to both.")] = 20_000,
    tracking_dir: TrackingDir = DEFAULT_FOLDER,
    as_json: options.Json = False,
) -> None:
    """Give an alias to a version, if it blocks less than the one that has it, beyond the interval.

    Both serve the same requests, drawn from a seed that neither was trained or judged with. Exits with 1 where the
    alias stays where it is; the evaluation is kept as a run either way.
    """
    from fusion_rl.training.promote import promote as carry_out

    name, _, version = model.partition("/")
    with one_line_warnings():
        config = options.resolve(experiment).config if experiment is not None else None
        found = carry_out(
            name, version or None, alias=alias, tracking_dir=tracking_dir, experiment=config, against=against,
            requests=requests, lanes=lanes, seed=seed, console=log_console(),
        )  # fmt: skip
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo(found.told)
        typer.echo(f"run {found.run_id}")
    if not found.promoted:
        raise typer.Exit(REFUSED)


def _row(version: "ModelVersion") -> dict[str, Any]:
    said = ("algorithm", "topology", "load", "seed", "service_blocking", "promotion")
    return {
        "version": version.version,
        "aliases": list(version.aliases),
        **{key: version.tags.get(key, "") for key in said},
        "created": version.created.isoformat(timespec="seconds"),
        "run_id": version.run_id,
        "uri": version.uri,
    }
