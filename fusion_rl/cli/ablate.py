"""`fusion-rl ablate`: what an evolved agent blocks without what each group of its parameters learned."""

import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli import loads as cli_loads
from fusion_rl.cli import options
from fusion_rl.cli.evaluate import describe, interval
from fusion_rl.cli.output import log_console, one_line_warnings, print_json, print_table
from fusion_rl.cli.ui import DEFAULT_FOLDER

if TYPE_CHECKING:
    from fusion_rl.config.experiment import ExperimentConfig
    from fusion_rl.training.ablation import Ablation


def ablate(
    policy: Annotated[
        str,
        typer.Argument(metavar="AGENT", help="An evolved agent: run, checkpoint, models:/NAME@ALIAS or runs:/ID/PATH."),
    ],
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", "-e", help="Where: preset or YAML file [default: where the agent was trained]."),
    ] = None,
    settings: options.Settings = None,
    name: options.Name = None,
    loads: Annotated[
        str | None, typer.Option(metavar="ERLANG,...", help="Nominal loads [default: the first scenario's own].")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(metavar="GROUP,...", help="Groups of parameters that are put back [default: each of them]."),
    ] = None,
    seeds: options.TrafficSeeds = None,
    requests: options.Requests = 200_000,
    lanes: options.LanesOfSeed = 16,
    threads: Annotated[int | None, typer.Option(min=1, help="Cores to use [default: all].")] = None,
    plot: options.Plot = None,
    tracking_dir: Annotated[str, typer.Option("--tracking-dir", help="Folder of the runs.")] = DEFAULT_FOLDER,
    as_json: options.Json = False,
) -> None:
    """Compare an evolved agent with itself, one group of parameters put back to where learning began at a time."""
    with one_line_warnings(), log_console().status("loading") as status, redirect_stdout(sys.stderr):
        picture = None if plot is None else cli_loads.check_picture(plot)
        from fusion_rl.analysis.compare_models import experiment_of, short
        from fusion_rl.training.ablation import ablate as put_back_and_compare
        from fusion_rl.training.ablation import ablation_figure
        from fusion_rl.training.ancestry import find_parent
        from fusion_rl.training.policies import as_policy

        checkpoint = find_parent(policy, tracking_dir).checkpoint
        agent = as_policy(short(policy), checkpoint.agent, checkpoint.config)
        where = experiment or _where_trained(experiment_of(agent, tracking_dir))
        given = [f"execution.tracking_dir={json.dumps(tracking_dir)}", *(settings or ())]
        config = options.resolve(where, settings=given, name=name).config
        result = put_back_and_compare(
            config,
            agent,
            [config.scenarios[0].load_erlang] if loads is None else cli_loads.parse_loads(loads),
            groups=[] if groups is None else [part.strip() for part in groups.split(",") if part.strip()],
            seeds=[] if seeds is None else cli_loads.parse_numbers("--seeds", seeds),
            requests=requests,
            lanes=lanes,
            threads=threads,
            told=lambda what: status.update(f"measuring {what}"),
        )
        if picture is not None:
            cli_loads.write_picture(ablation_figure(result), picture)
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result)


def _where_trained(config: "ExperimentConfig") -> dict[str, Any]:
    """The experiment of a training, for a run that has a name of its own."""
    execution = config.execution.model_copy(update={"run_name": None})
    return config.model_copy(update={"execution": execution}).model_dump(mode="json")


def _print(result: "Ablation") -> None:
    columns, loads = result.columns(), result.comparison.loads
    agents = {load: found[0] for load, found in loads.items()}
    rows = []
    for row in (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)):
        blocked = interval(row["service_blocking"], row["ci95"])
        ratio = "" if row["ratio"] != row["ratio"] else interval(row["ratio"], row["ratio_ci95"], decimals=3)
        differs = interval(row["difference"], row["difference_ci95"], sign="+")
        rows.append((f"{row['load_erlang']:g}", row["put_back"], row["parameters"], blocked, differs, ratio))
    typer.echo(describe(next(iter(agents.values())), with_load=False))
    for load, agent in agents.items():
        blocking = agent.service_blocking
        typer.echo(f"{result.agent} as it learned blocks {interval(blocking.mean, blocking.ci95)} at {load:g} E")
    headings = ("load (E)", "put back", "parameters", "service blocking", "more than as learned", "/ as learned")
    print_table(headings, rows)
    typer.echo(
        "± is the half-width of a 95 % interval over independent lanes; all met the same requests, and differences and "
        "ratios are paired lane by lane. Groups can stand in for each other: what they are worth does not add up."
    )
    typer.echo(f"recorded as run {result.comparison.run_id}")
