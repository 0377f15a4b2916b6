"""Trainings that differ in their seed alone, summarised together."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from fusion_rl.analysis.estimates import across_runs
from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import RunRecord, RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.judge import EVALUATION_TAG

_METRIC = "service_blocking"
_OVERALL = f"evaluation/{_METRIC}"
# settings that make another run and not another result
_ASIDE = (
    "name",
    "description",
    "execution.seed",
    "execution.run_name",
    "execution.experiment_name",
    "execution.model_name",
    "execution.register_model",
    "execution.tracking_dir",
    "execution.progress",
    "execution.torch_threads",
    "execution.device",
    "execution.sanity_checks",
    "execution.checkpoint",
)


def seed_summary(
    tracking_dir: str | Path, runs: Sequence[str] | None = None, experiment: str | None = None
) -> pd.DataFrame:
    """Finished trainings in groups that differ in their seed alone, least blocking first: one row a group.

    `service_blocking` is the interquartile mean over seeds and scenarios, `low` and `high` its 95 % stratified
    bootstrap interval (see `estimates`), `worst` and `best` single trainings. Of trainings with the same seed the
    newest counts: more of them would be no more evidence.

    Args:
        tracking_dir: folder of the run store.
        runs: ids or names of the trainings; None: all.
        experiment: only those of this experiment.

    Raises:
        TrackingError: the store cannot be read, a run is unknown or has not finished, or there is none at all.
    """
    rows = []
    for group in _groups(_chosen(tracking_dir, runs, experiment)):
        newest, scores = group[0], scores_of(group)
        interval = across_runs(scores)
        overall = [run.metrics[_OVERALL] for run in group]
        seeds = sorted(int(run.parameters["execution.seed"]) for run in group)
        row: dict[str, object] = {name: newest.tags.get(name, "") for name in ("algorithm", "topology", "load")}
        row |= {"timesteps": int(newest.parameters["execution.timesteps"]), "seeds": seeds}
        row |= {"scenarios": list(scores), "service_blocking": interval.estimate, "low": interval.low}
        row |= {"high": interval.high, "best": min(overall), "worst": max(overall)}
        rows.append(row | {"run_ids": [run.run_id for run in group]})
    return pd.DataFrame(rows).sort_values("service_blocking", ignore_index=True)


def scores_of(group: Iterable[RunRecord]) -> dict[str, list[float]]:
    """Scenario -> share of requests blocked of each training; all scenarios together where they are not told apart."""
    found: dict[str, list[float]] = {}
    for run in group:
        for scenario in _scenarios(run.metrics):
            found.setdefault(scenario, []).append(run.metrics[f"evaluation/{scenario}/{_METRIC}"])
        if not _scenarios(run.metrics):
            found.setdefault("all", []).append(run.metrics[_OVERALL])
    return found


def _scenarios(metrics: Mapping[str, float]) -> list[str]:
    """The scenarios that a run tells apart, where it was judged on several."""
    named = [name.split("/") for name in metrics]
    return [parts[1] for parts in named if len(parts) == 3 and parts[0] == "evaluation" and parts[2] == _METRIC]


def _chosen(tracking_dir: str | Path, runs: Sequence[str] | None, experiment: str | None) -> list[RunRecord]:
    store = open_store(tracking_dir, create=False)
    if runs is None:
        found = [run for run in store.search_runs(experiment) if _is_judged(run)]
        if not found:
            raise TrackingError(f"no finished training is in {tracking_dir}: train some, or name another folder")
        return found
    chosen = [store.find_run(run) for run in runs]
    for run in chosen:
        if not _is_judged(run):
            raise TrackingError(f"run {run.run_id} ({run.run_name}, {run.status}) is no finished training")
    return chosen


def _is_judged(run: RunRecord) -> bool:
    is_training = EVALUATION_TAG not in run.tags and "execution.seed" in run.parameters
    return run.status is RunStatus.FINISHED and is_training and _OVERALL in run.metrics


def _groups(runs: Iterable[RunRecord]) -> list[list[RunRecord]]:
    """Trainings alike in all but the seed, one of each seed, the newest."""
    groups: dict[str, dict[str, RunRecord]] = {}
    for run in sorted(runs, key=lambda run: run.started, reverse=True):
        alike = {name: text for name, text in run.parameters.items() if not name.startswith(_ASIDE)}
        groups.setdefault(json.dumps(alike, sort_keys=True), {}).setdefault(run.parameters["execution.seed"], run)
    return [list(group.values()) for group in groups.values()]
