"""A training that may have been begun before: for notebooks, which run again from the top and train no step twice."""

import json
from typing import TYPE_CHECKING

from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.envs.make import domain_of
from fusion_rl.tracking.base import RunRecord, RunStatus
from fusion_rl.training import bundle, checkpoints
from fusion_rl.training.begun import find_begun
from fusion_rl.training.checkpoints import Kind
from fusion_rl.training.compare import baselines_of
from fusion_rl.training.evaluate import evaluate_scenarios
from fusion_rl.training.policies import as_policy
from fusion_rl.training.result import RunResult
from fusion_rl.training.run import checkpoint_folder, resume, train

if TYPE_CHECKING:
    from fusion_rl.tracking.mlflow_store import Store


def train_or_resume(config: ExperimentConfig, *, console: Console | None = None) -> RunResult:
    """`run.train`; where the run that execution.run_name names was begun before, what is left of it.

    A batch names the runs of its notebooks, so that one that was stopped or killed goes on from its checkpoint. The
    agent of a run that has finished is judged again, from its final checkpoint and on the same traffic.

    Raises:
        FusionRLError: as `run.train`, `run.resume` and `begun.find_begun` raise it.
    """
    begun = find_begun(config) if config.execution.run_name is not None else None
    if begun is None:
        return train(config, console=console)
    if begun.status is RunStatus.FINISHED:
        return result_of(config, begun)
    return resume(begun.run_id, tracking_dir=config.execution.tracking_dir, console=console)


def result_of(config: ExperimentConfig, run: RunRecord) -> RunResult:
    """The result of a run that has finished; its agent and the baselines are judged again, nothing is recorded.

    Args:
        config: what it was trained with.
        run: in the store of the configuration.

    Raises:
        CheckpointError: its final checkpoint is not on this machine.
    """
    from fusion_rl.tracking.mlflow_store import open_store

    execution, domain = config.execution, domain_of(config)
    path = checkpoint_folder(execution.tracking_dir, run.run_id) / f"{Kind.FINAL}{bundle.SUFFIX}"
    agent = checkpoints.read(path).agent
    state, _ = bundle.read(path)
    setting = domain.prepare(config)
    size = {"requests": execution.final_requests, "lanes": execution.final_lanes, "setting": setting}
    baselines = {name: evaluate_scenarios(config, name, **size) for name in baselines_of(config, domain)}
    return RunResult(
        run_id=run.run_id,
        name=run.run_name,
        algorithm=config.algorithm.name,
        timesteps=agent.num_timesteps,
        steps_per_second=run.metrics["training/steps_per_second"],
        checkpoint=path.resolve(),
        weights_sha256=checkpoints.weights_sha256(agent),
        evaluation=evaluate_scenarios(config, as_policy(config.algorithm.name, agent, config), **size),
        baselines=baselines,
        parity_disagreements=int(run.metrics["parity/disagreements"]),
        model=f"runs:/{run.run_id}/checkpoints/{path.name}",
        learning_curve=[tuple(point) for point in state["points"]],
        training_requests=_training_requests(open_store(execution.tracking_dir, create=False), run.run_id),
        stopped_early=run.tags.get("early_stopping"),
    )


def _training_requests(store: "Store", run_id: str) -> dict[str, int]:
    """Scenario -> its requests that were decided in training, as the run recorded them."""
    told = json.loads(store.artifact_path(run_id, "scenarios.json").read_text(encoding="utf-8"))
    rows = [dict(zip(told["columns"], row, strict=True)) for row in told["data"]]
    return {row["scenario"]: int(row["training_requests"]) for row in rows if row["scenario"] != "all"}
