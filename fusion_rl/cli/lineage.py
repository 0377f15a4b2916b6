"""`fusion-rl lineage`: the runs that trained one model, each going on from the one before."""

from pathlib import Path
from typing import Annotated

import typer

from fusion_rl.cli import options
from fusion_rl.cli.output import print_json, print_table


def lineage(
    run: Annotated[str, typer.Argument(help="Id or name of the last run.")],
    tracking_dir: Annotated[Path, typer.Option(help="Folder of the run store.")] = Path("mlruns"),
    as_json: options.Json = False,
) -> None:
    """Print a run and those it goes on from, the first one first."""
    from fusion_rl.analysis.lineage import lineage as chain_of

    chain = chain_of(tracking_dir, run).reset_index()
    if as_json:
        print_json({"runs": chain.to_dict(orient="records")})
    else:
        headings = [name.replace("_", " ") for name in chain.columns]
        print_table(headings, chain.itertuples(index=False, name=None))
