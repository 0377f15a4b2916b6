"""A training that begins, or goes on where it was begun before: for jobs that are run again under the same name."""

from typing import TYPE_CHECKING

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import flatten
from fusion_rl.errors import CheckpointError, ConfigError, TrackingError
from fusion_rl.tracking.base import PARAMETER_CHARACTERS, RunRecord, RunStatus
from fusion_rl.tracking.processes import is_of_this_machine
from fusion_rl.training.run import can_resume

if TYPE_CHECKING:
    from fusion_rl.tracking.mlflow_store import Store

_SHOWN = 3  # differing settings that a message lists


def find_begun(config: ExperimentConfig) -> RunRecord | None:
    """The run that was begun with this configuration under the name execution.run_name; None where none was.

    What it is told is for the caller to act on: a FINISHED one is done, any other one is for `run.resume`.
    One that died before it had saved its configuration did nothing yet, and is passed over.

    Raises:
        ConfigError: the configuration names no run, or the run has other settings.
        CheckpointError: it was begun on another machine, and its checkpoints are not here.
        TrackingError: several runs have the name.
    """
    from fusion_rl.tracking.mlflow_store import open_store

    execution = config.execution
    if execution.run_name is None:
        raise ConfigError("a run that goes on if it was begun needs a name: give --name (execution.run_name)")
    try:
        store = open_store(execution.tracking_dir, create=False)
    except TrackingError:  # there is no store yet; one that cannot be used is told of when the run begins
        return None
    found = [run for run in _named(store, config, execution.run_name) if _counts(run, execution.tracking_dir)]
    if len(found) > 1:
        ids = ", ".join(run.run_id for run in found)
        raise TrackingError(f"{len(found)} runs are named {execution.run_name!r}: go on with one by --resume ({ids})")
    if not found:
        return None
    [run] = found
    if run.status is not RunStatus.FINISHED and not can_resume(execution.tracking_dir, run.run_id):
        raise CheckpointError(f"run {run.run_id} ({run.run_name}) was begun on another machine, and cannot go on here")
    _require_same(config, run)
    return run


def _named(store: "Store", config: ExperimentConfig, name: str) -> list[RunRecord]:
    quote = '"' if "'" in name else "'"
    experiment = config.execution.experiment_name or config.name
    found = store.search_runs(filter_string=f"attributes.run_name = {quote}{name}{quote}")
    return [run for run in found if run.experiment == experiment]


def _counts(run: RunRecord, tracking_dir: str) -> bool:
    is_known = run.status is RunStatus.FINISHED or can_resume(tracking_dir, run.run_id)
    return is_known or not is_of_this_machine(run.tags)


def _require_same(config: ExperimentConfig, run: RunRecord) -> None:
    here = {key: str(value)[:PARAMETER_CHARACTERS] for key, value in flatten(config).items()}
    differing = [
        f"{key} {run.parameters.get(key, 'not set')}, here {here.get(key, 'not set')}"
        for key in dict.fromkeys((*run.parameters, *here))
        if run.parameters.get(key) != here.get(key) and key != "execution.tracking_dir"
    ]
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise ConfigError(
            f"run {run.run_id} ({run.run_name}) was begun with other settings: {'; '.join(differing[:_SHOWN])}{more}; "
            "give another --name"
        )
