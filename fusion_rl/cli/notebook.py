"""`fusion-rl notebook`: execute a notebook headless, and say what it found."""

import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli import options
from fusion_rl.cli.evaluate import interval
from fusion_rl.cli.output import log_console, print_json, print_table
from fusion_rl.config.execution import ExecutionConfig
from fusion_rl.errors import NotebookError

if TYPE_CHECKING:
    import pandas as pd

    from fusion_rl.batch.notebooks import ExecutedNotebook, MadeRun

_YARDSTICK = "ksp-ff"  # the heuristic that published agents are measured against


def notebook(
    name: Annotated[str | None, typer.Argument(help="Notebook: its name in notebooks/, or a path.")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of the notebook. Repeatable."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="The executed notebook [default: executed/NAME-TIME.ipynb beside it]."),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the notebooks and their parameters.")] = False,
    as_json: options.Json = False,
) -> None:
    """Execute a notebook with its parameters, and keep it with the run that it makes."""
    if listing:
        _list(name, as_json)
        return
    if name is None:
        raise NotebookError("name a notebook; `fusion-rl notebook --list` shows them")
    with log_console().status("opening the notebook"):
        from fusion_rl.batch.notebooks import find_notebook, parse_parameters, run_notebook

        notebook, parameters = find_notebook(name), parse_parameters(given or ())
    with redirect_stdout(sys.stderr):  # whatever a library prints, the result stands alone on stdout
        executed = run_notebook(notebook, parameters, output)
        compared = _comparison(executed.run)
    if as_json:
        print_json(_as_dict(executed, compared))
    else:
        _report(executed, compared)


def _list(name: str | None, as_json: bool) -> None:
    from fusion_rl.batch.notebooks import find_notebook, notebook_names, notebook_parameters

    names = notebook_names() if name is None else [name]
    found = {each: notebook_parameters(find_notebook(each)) for each in names}
    if as_json:
        print_json(found)
        return
    rows = [(each, one.name, one.default, one.about) for each, known in found.items() for one in known.values()]
    print_table(("notebook", "parameter", "default", "what it is"), rows)


def _comparison(run: "MadeRun | None") -> "pd.DataFrame | None":
    if run is None:
        return None
    from fusion_rl.analysis.runs import stored_comparison

    return stored_comparison(run.tracking_dir, run.run_id)


def _as_dict(executed: "ExecutedNotebook", compared: "pd.DataFrame | None") -> dict[str, Any]:
    run = executed.run
    return {
        "notebook": executed.notebook,
        "html": executed.html,
        "run_id": run.run_id if run else None,
        "tracking_dir": run.tracking_dir if run else None,
        "comparison": compared.reset_index().to_dict("records") if compared is not None else None,
    }


def _report(executed: "ExecutedNotebook", compared: "pd.DataFrame | None") -> None:
    """Print the comparison, where the agent stands, and where to look further."""
    lines: dict[str, object] = {"notebook": executed.notebook, "html": executed.html}
    run = executed.run
    if run is not None and compared is not None:
        from fusion_rl.analysis.runs import standing

        print_table(("policy", "service blocking", f"more than {run.agent}"), _rows(compared, run.agent))
        typer.echo("± is the half-width of a 95 % interval; differences are paired, on the same requests.")
        if _YARDSTICK in compared.index:
            typer.echo(standing(compared, run.agent, _YARDSTICK))
        lines |= {"run": run.run_id, "next": f"{shlex.join(_browse(run.tracking_dir))}   browse the run in MLflow"}
    for head, text in lines.items():
        typer.echo(f"{head:<11} {text}")


def _rows(compared: "pd.DataFrame", agent: str) -> list[tuple[str, str, str]]:
    columns = compared[["service_blocking", "ci95", "difference_to_agent", "difference_ci95"]]
    return [
        (policy, interval(mean, half), "" if policy == agent else interval(more, paired, sign="+"))
        for policy, mean, half, more, paired in columns.itertuples(name=None)
    ]


def _browse(folder: Path) -> list[str]:
    default = str(ExecutionConfig.model_fields["tracking_dir"].default)
    command = ["fusion-rl", "ui"]
    return command if folder == Path(default).absolute() else [*command, "--tracking-dir", str(folder)]
