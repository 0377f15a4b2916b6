"""The chain of runs that trained one model, each going on from the one before."""

from pathlib import Path

import pandas as pd

from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import PARENT_CHECKPOINT_TAG, PARENT_RUN_TAG, SCENARIOS_TAG, STEPS_BEFORE_TAG, RunRecord
from fusion_rl.tracking.mlflow_store import open_store

_COLUMNS = [
    "run_id", "name", "scenarios", "load", "status", "timesteps", "steps_in_all", "service_blocking", "ci95",
    "went_on_from",
]  # fmt: skip


def lineage(tracking_dir: str | Path, run: str) -> pd.DataFrame:
    """A run and those it goes on from, the first one first; one row a run, indexed by its id.

    `timesteps` are the run's own training steps as configured, `steps_in_all` those and the ones of all runs before;
    blocking is the run's own final evaluation, on its own scenarios; `went_on_from` is what the user named.

    Args:
        tracking_dir: folder of the store.
        run: id or name of the last run.

    Raises:
        TrackingError: the store or the run cannot be found.
    """
    store = open_store(tracking_dir, create=False)
    chain = [store.find_run(run)]
    while (parent := chain[0].tags.get(PARENT_RUN_TAG)) is not None:
        if parent in (record.run_id for record in chain):
            raise TrackingError(f"the tags of run {chain[0].run_id} name {parent} as its parent, and that one descends")
        try:
            chain.insert(0, store.find_run(parent))
        except TrackingError:  # deleted: the chain is known as far as it goes
            break
    return pd.DataFrame([_row(record) for record in chain], columns=_COLUMNS).set_index("run_id")


def _row(record: RunRecord) -> dict[str, object]:
    steps = int(record.parameters.get("execution.timesteps", 0))
    return {
        "run_id": record.run_id,
        "name": record.run_name,
        "scenarios": record.tags.get(SCENARIOS_TAG),
        "load": record.tags.get("load"),
        "status": str(record.status),
        "timesteps": steps,
        "steps_in_all": int(record.tags.get(STEPS_BEFORE_TAG, 0)) + steps,
        "service_blocking": record.metrics.get("evaluation/service_blocking"),
        "ci95": record.metrics.get("evaluation/service_blocking_ci95"),
        "went_on_from": record.tags.get(PARENT_CHECKPOINT_TAG, ""),
    }
