"""`fusion-rl`: the commands, and how they end.

An error of ours or a wrong option is one line on stderr and exit code 2; Ctrl-C is 130. A traceback is a bug.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from fusion_rl import __version__
from fusion_rl.cli import (
    ablate,
    batch,
    bench,
    capacity,
    compare,
    config,
    doctor,
    evaluate,
    lineage,
    models,
    notebook,
    parity,
    runs,
    study,
    topologies,
    train,
    ui,
)
from fusion_rl.errors import FusionRLError

app = typer.Typer(
    name="fusion-rl",
    help="Reinforcement learning for elastic optical networks: train, compare, track.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# A command is a module of this package that imports heavy libraries inside its function, and a line here:
# app.command("train")(train.train) for a function, app.add_typer(config.app, name="config") for a group.
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("ablate")(ablate.ablate)
app.command("lineage")(lineage.lineage)
app.command("notebook")(notebook.notebook)
app.add_typer(batch.app, name="batch")
app.add_typer(topologies.app, name="topologies")
app.command("bench")(bench.bench)
app.command("capacity")(capacity.capacity)
app.command("ui")(ui.ui)
app.command("doctor")(doctor.doctor)
app.add_typer(parity.app, name="parity")
app.add_typer(config.app, name="config")
app.add_typer(runs.app, name="runs")
app.add_typer(study.app, name="study")
app.add_typer(models.app, name="models")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fusion-rl {__version__}")
        raise typer.Exit


@app.callback()
def _help_when_nothing_is_asked(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its code.

    Args:
        arguments: what follows `fusion-rl`; None: what this process was started with.
    """
    try:
        code = app(args=arguments, prog_name="fusion-rl", standalone_mode=False)
    except FusionRLError as error:
        code = _fail(str(error))
    except typer.TyperException as error:  # an unknown command or option, a value of the wrong type
        code = _fail(error.format_message())
    except typer.Abort:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> int:
    typer.secho(f"error: {' '.join(message.split())}", fg=typer.colors.RED, err=True)
    return 2


if __name__ == "__main__":
    main()
