"""`fusion-rl bench`: how fast the package is on this machine."""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli.options import Json
from fusion_rl.cli.output import json_text, log_console, print_json, print_table
from fusion_rl.errors import ConfigError

if TYPE_CHECKING:
    from fusion_rl.analysis.benchmarks import Measurement

_PICTURES = (".png", ".svg", ".pdf")


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="This benchmark alone; repeatable. A wrong name lists them."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything: a rough idea.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the results into this file, as JSON.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw how cost grows into this file (.png, .svg or .pdf)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure speed, memory and start-up. Wants an otherwise idle machine."""
    _refuse_unwritable(output, plot)
    with log_console().status("loading") as status, redirect_stdout(sys.stderr):
        from fusion_rl.analysis import benchmarks
        from fusion_rl.analysis.benchmarks.plot import PANELS, cost_figure, drawable

        names = benchmarks.chosen(only or ())
        if plot is not None and not drawable(names):
            raise ConfigError(
                f"--plot {plot}: there is nothing to draw of {', '.join(names)}; there is of {', '.join(PANELS)}"
            )
        size = benchmarks.QUICK if quick else benchmarks.FULL
        measurements = benchmarks.run(names, size, starting=lambda name: status.update(f"measuring: {name}"))
        results = benchmarks.results(measurements, size)
        if output is not None:
            _write(output, lambda file: file.write_text(json_text(results) + "\n"))
        if plot is not None:
            _write(plot, cost_figure(measurements, results["machine"]).savefig)
    if as_json:
        print_json(results)
    else:
        _print(measurements, results["machine"])


def _print(measurements: Sequence["Measurement"], machine: dict[str, Any]) -> None:
    rows = []
    for one in measurements:
        told = one.conditions
        spread = f"{_short(told['min'])} .. {_short(told['max'])}"
        target = "" if told["target"] is None else _short(told["target"])
        load = f"{told['load_average']:.1f}"
        rows.append((one.name, _short(one.value), one.unit, target, spread, load, told["timed"]))
    print_table(("what", "median", "unit", "target", "min .. max", "load", "what was timed"), rows)
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    typer.echo(
        f"on {machine['cpu']}, {machine['usable_cores']} of {machine['cores']} cores usable, "
        f"{machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}, {libraries}"
    )
    typer.echo("load: the machine's load average then; an idle machine has 1 or less while one thread is measured.")
    typer.echo("--json has the conditions of each figure: network, load, paths, slots, lanes, threads, requests.")


def _refuse_unwritable(output: Path | None, plot: Path | None) -> None:
    """Say so before minutes of measuring, not after them.

    Raises:
        ConfigError: a file could not be written.
    """
    if plot is not None and plot.suffix.lower() not in _PICTURES:
        raise ConfigError(f"--plot {plot}: unknown kind of picture; known: {', '.join(_PICTURES)}")
    for option, file in (("--output", output), ("--plot", plot)):
        if file is not None and file.is_dir():
            raise ConfigError(f"{option} {file}: this is a folder; name a file in it")
        if file is not None and not os.access(file.absolute().parent, os.W_OK):
            raise ConfigError(f"{option} {file}: the folder {file.absolute().parent} is not there or not writable")


def _write(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file, which is complete or not there at all.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=file.absolute().parent) as folder:
            written = Path(folder) / file.name
            write(written)
            os.replace(written, file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror or error}") from error


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
