"""`fusion-rl compare`: policies on the same traffic over loads and seeds, recorded as a run."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from fusion_rl.cli import loads as cli_loads
from fusion_rl.cli import options
from fusion_rl.cli.evaluate import describe, interval
from fusion_rl.cli.output import log_console, one_line_warnings, print_json, print_table
from fusion_rl.errors import ConfigError

if TYPE_CHECKING:
    from fusion_rl.training.comparison import Comparison


def compare(
    policies: Annotated[
        str,
        typer.Option(
            "--policies",
            metavar="NAME,...",
            help="Heuristics, checkpoints, models:/NAME@ALIAS or runs:/ID/PATH; differences are to the first.",
        ),
    ],
    experiment: options.Experiment = None,
    network: options.Network = None,
    scenarios: options.Scenarios = None,
    settings: options.Settings = None,
    paths_file: options.PathsFile = None,
    name: options.Name = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", metavar="NAME", help="Which of the scenarios [default: the first].")
    ] = None,
    loads: Annotated[
        str | None, typer.Option(metavar="ERLANG,...", help="Nominal loads [default: the scenario's own].")
    ] = None,
    seeds: options.TrafficSeeds = None,
    requests: options.Requests = 200_000,
    lanes: options.LanesOfSeed = 16,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Cores to use [default: all; for an agent execution.torch_threads]."),
    ] = None,
    at: Annotated[
        float, typer.Option("--at", metavar="PERCENT", help="Find the load at which each policy blocks so much.")
    ] = 0.1,
    carried: Annotated[
        bool, typer.Option("--carried/--no-carried", help="Whether to look for that load, about ten evaluations each.")
    ] = True,
    plot: options.Plot = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Read zips of Stable-Baselines3's, too; reading one can run its writer's code."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Compare policies on the same requests: paired differences and ratios, load carried, beside published figures."""
    if carried and not 0 < at < 100:
        raise ConfigError(f"--at {at:g}: a percentage between 0 and 100 is needed")
    with one_line_warnings(), log_console().status("loading") as status, redirect_stdout(sys.stderr):
        config = options.resolve(
            experiment, network, scenarios, settings=settings, paths_file=paths_file, name=name
        ).config
        picture = None if plot is None else cli_loads.check_picture(plot)
        index = 0 if scenario is None else config.scenarios.names().index(config.scenarios[scenario].name)
        asked = [config.scenarios[index].load_erlang] if loads is None else cli_loads.parse_loads(loads)
        from fusion_rl.parity import published_agents
        from fusion_rl.training.charts import comparison_chart, draw
        from fusion_rl.training.comparison import compare as compare_policies

        result = compare_policies(
            config,
            [part.strip() for part in policies.split(",") if part.strip()],
            asked,
            seeds=[] if seeds is None else cli_loads.parse_numbers("--seeds", seeds),
            scenario=index,
            share=at / 100 if carried else None,
            references=published_agents.of(config, index),
            requests=requests,
            lanes=lanes,
            threads=threads,
            trust=trust,
            told=lambda what: status.update(f"measuring {what}"),
        )
        if picture is not None:
            cli_loads.write_picture(draw(comparison_chart(result.loads, result.references)), picture)
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result)


def _print(result: "Comparison") -> None:
    """Every load and policy, the loads carried, and what was published, each in a table of its own."""
    from fusion_rl.training.comparison import paired

    first = next(iter(result.loads.values()))[0]
    rows = []
    for load, found in result.loads.items():
        for one in found:
            apart = paired(found[0], one)
            differs = ("", "")
            if one is not found[0]:
                ratio = "" if apart.ratio != apart.ratio else interval(apart.ratio, apart.ratio_ci95, decimals=3)
                differs = (interval(apart.difference, apart.difference_ci95, sign="+"), ratio)
            blocked = interval(one.service_blocking.mean, one.service_blocking.ci95)
            rows.append((f"{load:g}", one.policy, blocked, *differs, f"{one.requests_per_second:,.0f}"))
    typer.echo(describe(first, with_load=False))
    columns = ("load (E)", "policy", "service blocking", f"less {first.policy}", f"/ {first.policy}", "requests/s")
    print_table(columns, rows)
    typer.echo(
        "± is the half-width of a 95 % interval over independent lanes; at each load all policies met the same "
        "requests, and differences and ratios are paired lane by lane."
    )
    for policy in result.knowing:
        typer.echo(f"{policy} is told how long each request is going to stay, which the other policies do not know")
    for policy, count in result.refusals.items():
        typer.echo(f"{policy} left {count:,} requests blocked although a candidate path had room for them")
    if result.share is not None:
        print_table((f"load carried at {result.share * 100:g} %", "Erlang"), _carried_rows(result))
    if result.references:
        print_table(
            ("published, not on these requests", "kind", "load (E)", "service blocking", "conditions", "source"),
            [
                (r.name, r.kind, f"{r.load_erlang:g}", f"{r.blocking:g}", r.conditions, r.source)
                for r in result.references
            ],
        )
    typer.echo(f"recorded as run {result.run_id}")


def _carried_rows(result: "Comparison") -> list[tuple[str, str]]:
    return [
        (policy, at if isinstance(at, str) else interval(at.load_erlang, at.ci95, decimals=1))
        for policy, at in result.carried.items()
    ]
