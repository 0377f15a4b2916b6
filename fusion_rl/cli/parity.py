"""`fusion-rl parity`: our simulator beside others, request for request and figure by figure."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from fusion_rl.cli import options
from fusion_rl.cli.output import log_console, print_json, print_table
from fusion_rl.cli.ui import DEFAULT_FOLDER
from fusion_rl.errors import ConfigError

if TYPE_CHECKING:
    from fusion_rl.parity.line import Line

app = typer.Typer(help="Compare our simulator with others, published figures and theory.", no_args_is_help=True)


@app.command("fusion")
def fusion(
    erlang: Annotated[float, typer.Option(min=1e-9, help="Load of one fibre core, Erlang.")] = 400.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of FUSION's generator.")] = 1,
    requests: Annotated[int, typer.Option(min=1, help="Requests; the network starts empty and all count.")] = 6000,
    cores: Annotated[int, typer.Option(min=1, help="Fibre cores of each link.")] = 1,
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="GBPS=SHARE", help="Share of the requests at a bit rate, as 100=0.5; repeatable."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Serve FUSION's requests by FUSION's rules."""
    from fusion_rl.parity import fusion as simulator

    shares = dict(_share(text) for text in share) if share else {100: 1.0}
    tally = simulator.simulate(erlang, seed, requests, cores, shares)
    _print(
        {
            "simulator": "FUSION",
            "erlang": erlang,
            "seed": seed,
            "requests": requests,
            "cores": cores,
            "shares": shares,
            "blocked_requests": tally.blocked_requests,
            "service_blocking": tally.service_blocking.mean,
            "bit_rate_blocking": tally.bit_rate_blocking.mean,
            "conditions": simulator.CONDITIONS,
        },
        as_json,
    )


@app.command("optical-rl-gym")
def optical_rl_gym(
    load: Annotated[float, typer.Option(min=1e-9, help="Load, Erlang.")] = 250.0,
    seed: Annotated[int, typer.Option(help="Seed of Python's random.Random.")] = 1,
    warmup: Annotated[int, typer.Option(min=0, help="Requests that do not count.")] = 1000,
    requests: Annotated[int, typer.Option(min=1, help="Requests that count.")] = 4000,
    as_json: options.Json = False,
) -> None:
    """Serve optical-rl-gym's requests by its shortest-available-path first-fit."""
    from fusion_rl.parity import optical_rl_gym as simulator

    tally = simulator.simulate(load, seed, warmup, requests)
    _print(
        {
            "simulator": "optical-rl-gym RMSA-v0",
            "load": load,
            "seed": seed,
            "warmup": warmup,
            "requests": requests,
            "blocked_requests": tally.blocked_requests,
            "service_blocking": tally.service_blocking.mean,
            "bit_rate_blocking": tally.bit_rate_blocking.mean,
            "conditions": simulator.CONDITIONS,
        },
        as_json,
    )


@app.command("report")
def report(
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer requests, one load of each published group: a rough idea.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="This check alone; repeatable. A wrong name lists them."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", metavar="PRESET", help="Published figures of this experiment alone; repeatable."),
    ] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Log the report as a run in MLflow.")] = False,
    tracking_dir: Annotated[
        str | None,
        typer.Option("--tracking-dir", help="Log it as a run in this folder [default with --mlflow: mlruns]."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compare with everything there is to compare with; a line that fails makes the exit code 1."""
    folder = tracking_dir or (DEFAULT_FOLDER if mlflow else None)
    with log_console().status("loading") as status, redirect_stdout(sys.stderr):
        from fusion_rl.parity import report as checks
        from fusion_rl.parity.line import FULL, QUICK

        def tell(line: "Line") -> None:
            status.update(f"the last line: {line.compared}, {line.conditions}")

        size = replace(QUICK if quick else FULL, settings=tuple(setting or ()))
        made = checks.run(size, only or (), folder, tell)
    if as_json:
        told = {"passed": made.passed, "counts": made.counts, "quick": quick, "run_id": made.run_id}
        print_json({**told, "lines": made.lines})
    else:
        _print_report(made.lines)
        typer.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in made.counts.items()))
        if made.run_id is not None:
            typer.echo(f"run {made.run_id} in {folder}")
    if not made.passed:
        raise typer.Exit(1)


def _print_report(lines: Sequence["Line"]) -> None:
    """Print one row a line; why figures are not comparable stands below the table."""
    columns = ("what was compared", "conditions", "expected", "ours", "may differ by", "verdict")
    rows = [
        (line.compared, line.conditions, f"{line.expected:.6g}", f"{line.found:.6g}", _tolerance(line), line.verdict)
        for line in lines
    ]
    print_table(columns, rows)
    for line in lines:
        if line.reason:
            typer.echo(f"{line.verdict}: {line.compared}, {line.conditions}: {line.reason}")


def _tolerance(line: "Line") -> str:
    return "0" if line.tolerance == 0 else f"{line.tolerance:.3g} ({line.tolerance_rests_on})"


def _share(text: str) -> tuple[int, float]:
    gbps, _, share = text.partition("=")
    try:
        return int(gbps), float(share)
    except ValueError:
        raise ConfigError(f"--share {text} is not GBPS=SHARE, as 100=0.5") from None


def _print(result: dict[str, object], as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        print_table(["", "value"], list(result.items()))
