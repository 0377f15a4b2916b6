"""`fusion-rl bench`: how fast the package is on this machine."""

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from fusion_rl.cli.options import Json
from fusion_rl.cli.output import log_console, print_json, print_table


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="This benchmark alone; repeatable. A wrong name lists them."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything: a rough idea.")] = False,
    as_json: Json = False,
) -> None:
    """Measure speed, memory and start-up. Wants an otherwise idle machine."""
    with log_console().status("loading") as status, redirect_stdout(sys.stderr):
        from fusion_rl.analysis import benchmarks

        size = benchmarks.QUICK if quick else benchmarks.FULL
        machine = benchmarks.machine()
        results = benchmarks.run(only or (), size, starting=lambda name: status.update(f"measuring: {name}"))
    if as_json:
        print_json({"machine": machine, "quick": quick, "results": results})
        return
    rows = []
    for result in results:
        told = result.conditions
        spread = f"{_short(told['min'])} .. {_short(told['max'])}"
        rows.append(
            (result.name, _short(result.value), result.unit, spread, f"{told['load_average']:.1f}", told["timed"])
        )
    print_table(("what", "median", "unit", "min .. max", "load", "what was timed"), rows)
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    typer.echo(
        f"on {machine['cpu']}, {machine['usable_cores']} of {machine['cores']} cores usable, "
        f"{machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}, {libraries}"
    )
    typer.echo("load: the machine's load average then; an idle machine has 1 or less while one thread is measured.")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
