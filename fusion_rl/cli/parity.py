"""`fusion-rl parity`: our simulator beside others, request for request."""

from typing import Annotated

import typer

from fusion_rl.cli import options
from fusion_rl.cli.output import print_json, print_table
from fusion_rl.errors import ConfigError

app = typer.Typer(help="Compare our simulator with public ones, on their own request streams.", no_args_is_help=True)


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
