"""`fusion-rl capacity`: how little can be blocked, beside what heuristics block."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli import options
from fusion_rl.cli.evaluate import interval
from fusion_rl.cli.output import log_console, one_line_warnings, print_json, print_table
from fusion_rl.errors import ConfigError

if TYPE_CHECKING:
    from fusion_rl.domains.optical.capacity.measure import Method, Size
    from fusion_rl.domains.optical.setting import Setting

BESIDE = ("mscl", "ksp-ff")


def capacity(
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="Bound, estimate or heuristic; repeatable. A wrong name lists them "
            f"[default: all bounds and estimates, {', '.join(BESIDE)}].",
        ),
    ] = None,
    experiment: options.Experiment = None,
    network: options.Network = None,
    scenarios: options.Scenarios = None,
    settings: options.Settings = None,
    load: options.Load = None,
    paths_file: options.PathsFile = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", metavar="NAME", help="Which of the scenarios [default: the first].")
    ] = None,
    at: Annotated[
        float | None,
        typer.Option("--at", metavar="PERCENT", help="Find the load at which each blocks so much, as 0.1."),
    ] = None,
    requests: Annotated[int, typer.Option(min=1, help="Requests that count, over all lanes.")] = 200_000,
    lanes: Annotated[int, typer.Option(min=2, help="Independent networks.")] = 16,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the traffic [default: execution.eval_seed].")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Cores to use [default: all].")] = None,
    as_json: options.Json = False,
) -> None:
    """Say how little can be blocked at all: a proven bound, estimates, and heuristics beside them."""
    if at is not None and not 0 < at < 100:
        raise ConfigError(f"--at {at:g}: a percentage between 0 and 100 is needed")
    with one_line_warnings(), log_console().status("loading") as status, redirect_stdout(sys.stderr):
        config = options.resolve(
            experiment, network, scenarios, settings=settings, load_erlang=load, paths_file=paths_file
        ).config
        from fusion_rl.domains.optical import capacity as estimates
        from fusion_rl.domains.optical import domain
        from fusion_rl.domains.optical.capacity import measure
        from fusion_rl.parity import published_loads

        index = 0 if scenario is None else config.scenarios.names().index(config.scenarios[scenario].name)
        trace = config.scenarios[index].trace
        if trace is not None and (load is not None or at is not None):
            raise ConfigError(f"the load of trace {trace} cannot be changed: leave out --load and --at")
        chosen = {name: estimates.find(name) for name in method or (*estimates.METHODS.names(), *BESIDE)}
        setting = domain.prepare(config)
        size = measure.Size(requests, lanes, config.execution.eval_seed if seed is None else seed, threads)
        measure.check(setting, index, size)
        found = []
        for name, one in chosen.items():
            status.update(name)
            found.append(_measured(setting, index, name, one, size, at))
    conditions = {
        **domain.conditions(setting, index),
        "requests": size.lane_requests * lanes,
        "lanes": lanes,
        "seed": size.seed,
    }
    if at is not None:  # the loads are the result
        del conditions["load_erlang"], conditions["offered_erlang"]
    published = published_loads.of(config, index)
    if as_json:
        told = {"share": published_loads.SHARE, "load_erlang": published, "remark": published_loads.REMARK}
        print_json({"conditions": conditions, "methods": found, "published": told if published else None})
        return
    _print(found, at)
    print_table(("condition", "value"), conditions.items())
    if published:
        figures = ", ".join(f"{name} {value:g} E" for name, value in published.items())
        typer.echo(f"published for {published_loads.SHARE * 100:g} %: {figures} ({published_loads.REMARK})")


def _measured(
    setting: "Setting", scenario: int, name: str, method: "Method", size: "Size", at: float | None
) -> dict[str, Any]:
    """One method's figures, as JSON types."""
    from fusion_rl.domains.optical.capacity import measure

    told: dict[str, Any] = {"name": name, "kind": method.kind, "about": method.about}
    if at is None:
        blocked = measure.measure(setting, method, size, scenario)
        there = measure.blocking(blocked, size)
        told["blocked_requests"] = int(blocked.sum())
    else:
        result = measure.load_at(setting, method, at / 100, size, scenario)
        there = result.blocking
        told["load_erlang"] = {"mean": result.load_erlang, "ci95": result.ci95}
    return told | {"service_blocking": {"mean": there.mean, "ci95": there.ci95}}


def _print(found: list[dict[str, Any]], at: float | None) -> None:
    """Print one row a method."""
    loads = () if at is None else (f"load at {at:g} %, E",)
    rows = []
    for one in found:
        load = one.get("load_erlang")
        columns = () if load is None else (interval(load["mean"], load["ci95"], decimals=1),)
        blocking = one["service_blocking"]
        rows.append((one["name"], *columns, interval(blocking["mean"], blocking["ci95"]), one["kind"], one["about"]))
    print_table(("method", *loads, "service blocking", "kind", "what it is"), rows)
    typer.echo(
        "± is the half-width of a 95 % interval over lanes; all met the same random numbers. A proven bound: no policy "
        "on these candidate paths blocks less. An estimate: some rules are left out, but wiser decisions might "
        "block less. A policy: what a heuristic blocks."
    )
