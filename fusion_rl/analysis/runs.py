"""Runs as frames: all runs of a store, and one run's comparison of its agent with the heuristics."""

import math
from pathlib import Path

import pandas as pd

from fusion_rl.errors import UnknownNameError
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.compare import comparison_columns, verdict
from fusion_rl.training.result import RunResult

_SETTINGS = {
    "execution.timesteps": "timesteps",
    "execution.seed": "seed",
}
_METRICS = {
    "evaluation/service_blocking": "service_blocking",
    "evaluation/service_blocking_ci95": "ci95",
    "baseline/ksp-ff/service_blocking": "ksp_ff_blocking",
    "parity/disagreements": "parity_disagreements",
}


def checkout(start: Path | None = None) -> Path | None:
    """The nearest folder, from `start` (None: the working directory) upwards, that has a folder of notebooks."""
    here = (start or Path.cwd()).absolute()
    return next((folder for folder in (here, *here.parents) if any(folder.glob("notebooks/*.ipynb"))), None)


def store_folder(tracking_dir: str | Path) -> Path:
    """An absolute folder for runs. A relative one counts from the checkout, wherever in it the caller works.

    JupyterLab runs a notebook in the notebook's own folder and the command line in the caller's: without this
    each would have a store of its own.
    """
    return (checkout() or Path.cwd()) / Path(tracking_dir).expanduser()


def runs_frame(tracking_dir: str | Path, experiment: str | None = None) -> pd.DataFrame:
    """Training runs of a store, newest first: one row a run, indexed by its id.

    Args:
        tracking_dir: folder of the store.
        experiment: its name; None: all.

    Raises:
        TrackingError: the store cannot be read, or has no such experiment.
    """
    rows = []
    for record in open_store(tracking_dir).search_runs(experiment):
        row: dict[str, object] = {"run_id": record.run_id, "name": record.run_name, "experiment": record.experiment}
        row |= {"status": str(record.status), "started": record.started}
        row |= {name: record.tags.get(name) for name in ("algorithm", "topology", "load")}
        row |= {name: _integer(record.parameters.get(key)) for key, name in _SETTINGS.items()}
        row |= {name: record.metrics.get(key, math.nan) for key, name in _METRICS.items()}
        rows.append(row)
    columns = ["run_id", "name", "experiment", "status", "started", "algorithm", "topology", "load"]
    return pd.DataFrame(rows, columns=[*columns, *_SETTINGS.values(), *_METRICS.values()]).set_index("run_id")


def comparison(result: RunResult) -> pd.DataFrame:
    """A run's agent and the baselines on the same traffic, least blocking first, indexed by policy.

    `difference_to_agent` is the policy's blocking less the agent's, lane by lane; `difference_ci95` is the
    half-width of its 95 % interval. A difference above zero says that the agent blocks less.
    """
    return pd.DataFrame(comparison_columns(result.evaluation, result.baselines)).set_index("policy")


def stored_comparison(tracking_dir: str | Path, run_id: str) -> pd.DataFrame:
    """The comparison that a run of the store recorded, as `comparison` gives it.

    Raises:
        TrackingError: the run is unknown, or has none.
    """
    path = open_store(tracking_dir).artifact_path(run_id, "comparison.json")
    return pd.read_json(path, orient="split", dtype=False).set_index("policy")


def standing(compared: pd.DataFrame, agent: str, reference: str = "ksp-ff") -> str:
    """One plain sentence: is the agent better than a reference, worse, or is there no telling?

    Args:
        compared: what `comparison` gives.
        agent: its policy name.
        reference: whom to hold it against.

    Raises:
        UnknownNameError: one of the two is not in the comparison.
    """
    for name in (agent, reference):
        if name not in compared.index:
            raise UnknownNameError("policy", name, compared.index, "comparison")
    difference, half = compared.loc[reference, ["difference_to_agent", "difference_ci95"]].astype(float)
    blocking, theirs = compared.loc[[agent, reference], "service_blocking"].astype(float)
    return verdict(agent, reference, blocking, theirs, difference, half)


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
