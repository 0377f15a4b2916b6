"""One training run: check, compare, learn, evaluate, record."""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import flatten, load, save_resolved
from fusion_rl.config.save import FILE_NAME as RESOLVED_FILE
from fusion_rl.domains.base import Domain
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import CheckpointError, ConfigError
from fusion_rl.tracking.base import RunLog
from fusion_rl.tracking.provenance import provenance_tags
from fusion_rl.training import checkpoints, sanity
from fusion_rl.training.bundle import SUFFIX
from fusion_rl.training.checkpoints import Kind
from fusion_rl.training.evaluate import Evaluation, evaluate
from fusion_rl.training.interrupts import Interrupts
from fusion_rl.training.learn import Learning
from fusion_rl.training.loads import over_loads
from fusion_rl.training.policies import Policy, as_policy
from fusion_rl.training.resume import Tree

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from fusion_rl.tracking.mlflow_store import Store

STORE_PATIENCE_S = 300.0  # how long a run that is done waits for a store that is away


@dataclass(frozen=True)
class RunResult:
    """What a training run led to.

    Attributes:
        run_id, name: in the run log.
        steps_per_second: of learning alone, evaluations in between left out.
        checkpoint: the final one, a file.
        weights_sha256: of the policy's tensors in name order.
        evaluation: the trained policy's, greedy.
        baselines: the domain's baselines on the same traffic.
        parity_disagreements: requests that VecEnv, single environment and replay decided differently.
        model: address of the stored model.
        learning_curve: (training step, service blocking, half-width) of the evaluations in between.
        other_scenarios: the trained policy on each scenario but the first, which `evaluation` is on.
        stopped_early: why training ended before its last step; None: it did not.
    """

    run_id: str
    name: str
    algorithm: str
    timesteps: int
    steps_per_second: float
    checkpoint: Path
    weights_sha256: str
    evaluation: Evaluation
    baselines: dict[str, Evaluation]
    parity_disagreements: int
    model: str
    learning_curve: list[tuple[int, float, float]]
    other_scenarios: dict[str, Evaluation]
    stopped_early: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON types."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "algorithm": self.algorithm,
            "timesteps": self.timesteps,
            "stopped_early": self.stopped_early,
            "steps_per_second": self.steps_per_second,
            "checkpoint": str(self.checkpoint),
            "weights_sha256": self.weights_sha256,
            "service_blocking": _blocking(self.evaluation),
            "baselines": {name: _blocking(evaluation) for name, evaluation in self.baselines.items()},
            "parity_disagreements": self.parity_disagreements,
            "model": self.model,
            "other_scenarios": {name: _blocking(found) for name, found in self.other_scenarios.items()},
            "conditions": self.evaluation.conditions,
        }


def _blocking(evaluation: Evaluation) -> dict[str, float]:
    estimate = evaluation.service_blocking
    return {"mean": estimate.mean, "ci95": estimate.ci95}


def train(config: ExperimentConfig, *, console: Console | None = None) -> RunResult:
    """Train an agent, compare it with every baseline on held-out traffic, and record all of it.

    Args:
        config: the experiment.
        console: where progress is shown; None: on standard error.

    Raises:
        FusionRLError: the network, the traffic, the reward or the run store cannot be used; nothing is written.
    """
    return _carry_out(config, console or Console(stderr=True), None)


def resume(run: str | Path, *, tracking_dir: str | Path = "mlruns", console: Console | None = None) -> RunResult:
    """Go on with a run that was stopped or killed: the same run, with its own configuration, to the same end.

    It continues from the newest checkpoint that can be read; from the first step where there is none.

    Args:
        run: id or name of the run, or its folder of checkpoints.
        tracking_dir: folder of the run store; that of the checkpoints, where their folder is given.
        console: where progress is shown; None: on standard error.

    Raises:
        TrackingError: there is no such run, it has finished, or a process is still writing it.
        CheckpointError: this machine has nothing to resume it from, or network or traffic are others now.
    """
    from fusion_rl.tracking.mlflow_store import open_store

    given = Path(run)
    if given.is_dir():
        run_id, tracking_dir = given.resolve().name, given.resolve().parent.parent
    else:
        run_id = open_store(tracking_dir, create=False).find_run(str(run)).run_id
    written = checkpoint_folder(tracking_dir, run_id) / "config" / RESOLVED_FILE
    if not can_resume(tracking_dir, run_id):
        raise CheckpointError(f"run {run_id} cannot be resumed here: there is no {written}")
    config = load(str(written)).config
    execution = config.execution.model_copy(update={"tracking_dir": str(tracking_dir)})
    return _carry_out(config.model_copy(update={"execution": execution}), console or Console(stderr=True), run_id)


def can_resume(tracking_dir: str | Path, run_id: str) -> bool:
    """Whether this machine has what a run needs to be gone on with, if it has not finished."""
    return (checkpoint_folder(tracking_dir, run_id) / "config" / RESOLVED_FILE).is_file()


def _carry_out(config: ExperimentConfig, console: Console, resumed_id: str | None) -> RunResult:
    """A run from its beginning, or from where it was left, to its end."""
    import torch

    from fusion_rl.agents.catalog import make_agent
    from fusion_rl.envs.vector import OpticalVecEnv
    from fusion_rl.tracking.mlflow_store import open_store

    execution, domain = config.execution, domain_of(config)
    if execution.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("execution.device is cuda, but torch sees no GPU here: use cpu, or auto")
    torch.set_num_threads(execution.torch_threads)
    setting = domain.prepare(config)
    env = OpticalVecEnv(domain.make_simulator(config, setting, execution.lanes, execution.seed))
    agent = make_agent(config.algorithm, env, seed=execution.seed, device=execution.device)
    store, tags = open_store(execution.tracking_dir), tags_of(config, setting)
    for dead in store.reap():
        console.print(f"run {dead.run_id} ({dead.run_name}) was left by its process; it is marked KILLED now")
    with Interrupts() as interrupts, _open_run(store, config, tags, resumed_id) as run:
        folder = checkpoints.Folder(checkpoint_folder(execution.tracking_dir, run.run_id), execution.checkpoint_keep)
        if resumed_id is None:
            save_resolved(config, folder.path / "config")  # before all else: it is what a resume begins with
        learning = Learning(
            config, domain, agent, env, run, folder, {"run_id": run.run_id, "tags": tags}, interrupts,
            evaluate=lambda: _evaluate(config, setting, agent, execution.eval_requests, execution.eval_lanes),
            start=None if resumed_id is None else _start(folder, tags, console),
        )  # fmt: skip
        if learning.start is None:
            _check_sanity(config, domain, setting, agent, run, console)
        try:
            run.log_artifact(folder.path / "config")
            baselines = compare_baselines(config, domain, setting, run, console)
            learning.carry_out(console)
            evaluation = _evaluate(config, setting, agent, execution.final_requests, execution.final_lanes)
            run.flush(patience_s=STORE_PATIENCE_S)  # what follows needs the store
            result = _conclude(
                config, domain, setting, agent, run, baselines, evaluation, learning.seconds, learning.points
            )
            if learning.stopped_early is not None:
                run.set_tags({"early_stopping": learning.stopped_early})
            return replace(result, stopped_early=learning.stopped_early)
        except BaseException as error:
            error.add_note(f"to go on with it: fusion-rl train --resume {folder.path}")
            raise


def _open_run(store: "Store", config: ExperimentConfig, tags: dict[str, str], resumed_id: str | None) -> RunLog:
    execution = config.execution
    if resumed_id is None:
        name = execution.run_name or f"{config.algorithm.name} {_loads(config)} seed {execution.seed}"
        return store.start(execution.experiment_name or config.name, name, flatten(config), tags)
    logged = store.find_run(resumed_id).parameters
    run = store.resume(resumed_id)
    run.log_params({name: value for name, value in flatten(config).items() if name not in logged})
    return run


def _check_sanity(
    config: ExperimentConfig, domain: Domain, setting: Any, agent: "BaseAlgorithm", run: RunLog, console: Console
) -> None:
    """Stop a training that makes no sense before it begins; what was found is shown where progress is, or if it must.

    Raises:
        TrainingError: a check failed.
    """
    findings = sanity.checked(config, domain, setting, agent, run)
    shown = findings if config.execution.progress else sanity.doubts(findings)
    if shown:
        console.print(sanity.table(shown))


def _start(folder: checkpoints.Folder, tags: dict[str, str], console: Console) -> Tree | None:
    """The state that a run goes on from; None where it has to begin anew.

    Raises:
        CheckpointError: it was learning on another network or other traffic than there are now.
    """
    found = folder.newest()
    if found is None:
        console.print(f"no checkpoint in {folder.path}: starting again from the first step")
        return None
    path, state, facts = found
    before = facts["tags"]
    other = [name for name in tags if name.endswith("_sha256") and before.get(name) != tags[name]]
    if other:
        raise CheckpointError(f"{path} cannot be resumed: {', '.join(other)} differ from when it was written")
    moved = [f"{name} {before.get(name)} -> {tags[name]}" for name in tags if _is_version(name, before, tags)]
    if moved:
        warnings.warn(f"other versions than before, so the last bits may differ: {', '.join(moved)}", stacklevel=2)
    if not facts["replay_buffer"] and not state["is_over"]:
        warnings.warn(f"{path} holds no replay buffer: what follows is not what would have followed", stacklevel=2)
    console.print(f"going on from {path.name}, step {facts['step']:,}")
    return state


def _is_version(name: str, before: dict[str, str], now: dict[str, str]) -> bool:
    return name.startswith(("library.", "code.version")) and before.get(name) != now[name]


def _loads(config: ExperimentConfig) -> str:
    return "+".join(f"{scenario.load_erlang:g}" for scenario in config.scenarios) + " E"


def tags_of(config: ExperimentConfig, setting: Any) -> dict[str, str]:
    execution = config.execution
    hashes = {
        "topology_sha256": setting.topology.sha256(),
        "candidate_paths_sha256": setting.candidates_sha256,
        "traffic_sha256": setting.traffic_sha256(execution.eval_seed, 0, 0),
    }
    tags = provenance_tags({"training": execution.seed, "evaluation": execution.eval_seed}, hashes)
    named = {"topology": setting.topology.name, "algorithm": config.algorithm.name, "load": _loads(config)}
    return tags | named


def compare_baselines(
    config: ExperimentConfig, domain: Domain, setting: Any, run: RunLog, console: Console
) -> dict[str, Evaluation]:
    """Every baseline on the traffic that the agent will be judged on."""
    found = {}
    with console.status("comparing the heuristics") as status:
        for name in domain.BASELINES:
            status.update(f"comparing the heuristics: {name}")
            found[name] = evaluate(
                config,
                name,
                requests=config.execution.final_requests,
                lanes=config.execution.final_lanes,
                setting=setting,
            )
    for name, evaluation in found.items():
        run.log_metrics({f"baseline/{name}/service_blocking": evaluation.service_blocking.mean})
        run.log_metrics({f"baseline/{name}/service_blocking_ci95": evaluation.service_blocking.ci95})
    return found


def _evaluate(
    config: ExperimentConfig, setting: Any, agent: "BaseAlgorithm", requests: int, lanes: int, scenario: int = 0
) -> Evaluation:
    policy = as_policy(config.algorithm.name, agent, config)
    return evaluate(config, policy, requests=requests, lanes=lanes, setting=setting, scenario=scenario)


def _conclude(
    config: ExperimentConfig,
    domain: Domain,
    setting: Any,
    agent: "BaseAlgorithm",
    run: RunLog,
    baselines: dict[str, Evaluation],
    evaluation: Evaluation,
    seconds: float,
    curve: list[tuple[int, float, float]],
) -> RunResult:
    from fusion_rl.training.agreement import disagreements
    from fusion_rl.training.callbacks import evaluation_metrics
    from fusion_rl.training.plots import log_run_figures

    execution = config.execution
    policy = as_policy(config.algorithm.name, agent, config)
    parity = disagreements(config, domain, setting, policy, seed=execution.eval_seed)
    run.log_metrics(evaluation_metrics(evaluation), agent.num_timesteps)
    others = _other_scenarios(config, setting, agent, run)
    steps_per_second = agent.num_timesteps / seconds
    run.log_metrics(
        {"parity/disagreements": parity, "training/steps_per_second": steps_per_second}, agent.num_timesteps
    )
    checkpoint = checkpoint_folder(execution.tracking_dir, run.run_id) / f"{Kind.FINAL}{SUFFIX}"
    for file in (checkpoint, checkpoint.with_suffix(".zip")):
        run.log_artifact(file, "checkpoints")
    model = run.log_model(
        checkpoint.with_suffix(".zip"),
        config.algorithm.name,
        registered_name=_model_name(config) if execution.register_model else None,
        tags={"topology": setting.topology.name, "load": _loads(config)},
    )
    run.log_table(comparison_columns(evaluation, baselines), "comparison.json")
    curve_baselines = _curve_baselines(config, setting, baselines, curve)
    loads = final_loads(config, policy, baselines)
    log_run_figures(run, setting, evaluation, baselines, curve, curve_baselines, loads)
    return RunResult(
        run_id=run.run_id,
        name=run.run_name,
        algorithm=config.algorithm.name,
        timesteps=agent.num_timesteps,
        steps_per_second=steps_per_second,
        checkpoint=checkpoint.resolve(),
        weights_sha256=checkpoints.weights_sha256(agent),
        evaluation=evaluation,
        baselines=baselines,
        parity_disagreements=parity,
        model=model,
        learning_curve=curve,
        other_scenarios=others,
    )


def _other_scenarios(
    config: ExperimentConfig, setting: Any, agent: "BaseAlgorithm", run: RunLog
) -> dict[str, Evaluation]:
    """The agent on each scenario but the first, recorded under the scenario's name."""
    execution, found = config.execution, {}
    for number, scenario in enumerate(list(config.scenarios)[1:], start=1):
        result = _evaluate(config, setting, agent, execution.final_requests, execution.final_lanes, number)
        blocking = {f"evaluation/{scenario.name}/service_blocking": result.service_blocking.mean}
        run.log_metrics(blocking, agent.num_timesteps)
        found[scenario.name] = result
    return found


def final_loads(config: ExperimentConfig, policy: Policy, baselines: Iterable[str]) -> dict[float, list[Evaluation]]:
    """The agent and the baselines at each of execution.final_loads; nothing where none is asked for."""
    execution = config.execution
    size: dict[str, Any] = {"requests": execution.final_requests, "lanes": execution.final_lanes}
    return over_loads(config, [policy, *baselines], execution.final_loads, **size)


def _curve_baselines(
    config: ExperimentConfig, setting: Any, names: Iterable[str], curve: list[tuple[int, float, float]]
) -> dict[str, Evaluation]:
    """The baselines on the traffic of the learning curve, which is shorter than that of the comparison."""
    execution = config.execution
    size: dict[str, Any] = {"requests": execution.eval_requests, "lanes": execution.eval_lanes, "setting": setting}
    return {name: evaluate(config, name, **size) for name in names} if curve else {}


def checkpoint_folder(tracking_dir: str | Path, run_id: str) -> Path:
    """Where a run keeps its checkpoints, on this machine."""
    return Path(tracking_dir) / "checkpoints" / run_id


def _model_name(config: ExperimentConfig) -> str:
    # The registry takes neither / nor : in a name.
    return config.execution.model_name or re.sub(r"[/:]+", "-", f"{config.name}-{config.algorithm.name}")


def comparison_columns(evaluation: Evaluation, baselines: dict[str, Evaluation]) -> dict[str, list[Any]]:
    """The trained policy and every baseline, least blocking first, as columns of a table."""
    rows = sorted([evaluation, *baselines.values()], key=lambda row: row.service_blocking.mean)
    trained = evaluation.tally.blocking_by_lane()
    return {
        "policy": [row.policy for row in rows],
        "service_blocking": [row.service_blocking.mean for row in rows],
        "ci95": [row.service_blocking.ci95 for row in rows],
        "bit_rate_blocking": [row.tally.bit_rate_blocking.mean for row in rows],
        "difference_to_agent": [float((row.tally.blocking_by_lane() - trained).mean()) for row in rows],
        "difference_ci95": [paired_half_width(row, evaluation) for row in rows],
        "requests_per_second": [row.requests_per_second for row in rows],
    }


def paired_half_width(one: Evaluation, other: Evaluation) -> float:
    """Half-width of the 95 % interval of the difference of two policies on the same lanes of traffic."""
    from fusion_rl.domains.optical.metrics import t_half_width

    return t_half_width(one.tally.blocking_by_lane() - other.tally.blocking_by_lane())
