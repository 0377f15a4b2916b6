"""One training run: check, compare, learn, evaluate, record."""

import re
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import flatten, save_resolved
from fusion_rl.domains.base import BatchSimulator, Domain
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import ConfigError, TrainingError
from fusion_rl.tracking.base import SCENARIOS_TAG, RunLog
from fusion_rl.tracking.provenance import provenance_tags
from fusion_rl.training import checkpoints
from fusion_rl.training.ancestry import Parent, find_parent, inherit
from fusion_rl.training.compare import comparison_columns, scenario_columns
from fusion_rl.training.evaluate import Evaluation, evaluate_scenarios
from fusion_rl.training.policies import as_policy

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

LOG_EVERY = 4096  # training steps between records of losses, about


@dataclass(frozen=True)
class RunResult:
    """What a training run led to.

    Attributes:
        run_id, name: in the run log.
        steps_per_second: of learning alone, evaluations in between left out.
        checkpoint: the final one, a file.
        weights_sha256: of the policy's tensors in name order.
        evaluation: the trained policy's, greedy; of several scenarios together, with each in `by_scenario`.
        baselines: the domain's baselines on the same traffic.
        parity_disagreements: requests that VecEnv, single environment and replay decided differently.
        model: address of the stored model.
        learning_curve: (training step, service blocking, half-width) of the evaluations in between.
        training_requests: scenario -> requests of it that were decided in training.
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
    training_requests: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON types."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "algorithm": self.algorithm,
            "timesteps": self.timesteps,
            "steps_per_second": self.steps_per_second,
            "checkpoint": str(self.checkpoint),
            "weights_sha256": self.weights_sha256,
            "service_blocking": _blocking(self.evaluation),
            "baselines": {name: _blocking(evaluation) for name, evaluation in self.baselines.items()},
            "parity_disagreements": self.parity_disagreements,
            "model": self.model,
            "scenarios": {
                name: {"service_blocking": _blocking(found), "training_requests": self.training_requests[name]}
                for name, found in self.evaluation.by_scenario.items()
            },
            "conditions": self.evaluation.conditions,
        }


def _blocking(evaluation: Evaluation) -> dict[str, float]:
    estimate = evaluation.service_blocking
    return {"mean": estimate.mean, "ci95": estimate.ci95}


def train(
    config: ExperimentConfig, *, console: Console | None = None, resume_from: str | Parent | None = None
) -> RunResult:
    """Train an agent, compare it with every baseline on held-out traffic, and record all of it.

    Args:
        config: the experiment.
        console: where progress is shown; None: on standard error.
        resume_from: run, checkpoint or stored model whose weights and optimiser this new run goes on from, as
            `ancestry.find_parent` takes it; None: untrained.

    Raises:
        FusionRLError: the network, the traffic, the reward or the run store cannot be used; nothing is written.
    """
    import torch

    from fusion_rl.agents.catalog import make_agent
    from fusion_rl.envs.vector import OpticalVecEnv
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.training.scenarios import warn_of_few_lanes

    console = console or Console(stderr=True)
    execution, domain = config.execution, domain_of(config)
    if execution.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("execution.device is cuda, but torch sees no GPU here: use cpu, or auto")
    torch.set_num_threads(execution.torch_threads)
    warn_of_few_lanes(config)
    parent = find_parent(resume_from, execution.tracking_dir) if isinstance(resume_from, str) else resume_from
    setting = domain.prepare(config)
    env = OpticalVecEnv(domain.make_simulator(config, setting, execution.lanes, execution.seed))
    agent = make_agent(config.algorithm, env, seed=execution.seed, device=execution.device)
    tags = _tags(config, setting)
    if parent is not None:
        inherit(agent, config, parent)
        tags |= parent.tags()
    store = open_store(execution.tracking_dir)
    name = execution.run_name or f"{config.algorithm.name} {_loads(config)} seed {execution.seed}"
    parent_run_id = parent.run_id if parent is not None else None
    experiment = execution.experiment_name or config.name
    with store.start(experiment, name, flatten(config), tags, parent_run_id) as run:
        _record_config(run, config)
        console.print(_beginning(config, run, parent), highlight=False, markup=False, soft_wrap=True)
        baselines = _baselines(config, domain, setting, run, console)
        seconds, curve = _learn(config, setting, agent, run, console)
        evaluation = _evaluate(config, setting, agent, execution.final_requests, execution.final_lanes)
        return _conclude(config, domain, setting, agent, run, baselines, evaluation, seconds, curve)


def _beginning(config: ExperimentConfig, run: RunLog, parent: Parent | None) -> str:
    execution, names = config.execution, config.scenarios.names()
    origin = "" if parent is None else f" going on from {parent.given}"
    size = f"{execution.timesteps:,} steps on {execution.lanes} lane{'s' * (execution.lanes > 1)}"
    return f"run {run.run_id} ({run.run_name}){origin}: {size}, scenario{'s' * (len(names) > 1)} {', '.join(names)}"


def _loads(config: ExperimentConfig) -> str:
    return "+".join(f"{scenario.load_erlang:g}" for scenario in config.scenarios) + " E"


def _tags(config: ExperimentConfig, setting: Any) -> dict[str, str]:
    execution = config.execution
    hashes = {
        "topology_sha256": setting.topology.sha256(),
        "candidate_paths_sha256": setting.candidates_sha256,
        "traffic_sha256": setting.traffic_sha256(execution.eval_seed, 0, 0),
    }
    tags = provenance_tags({"training": execution.seed, "evaluation": execution.eval_seed}, hashes)
    named = {"topology": setting.topology.name, "algorithm": config.algorithm.name, "load": _loads(config)}
    named[SCENARIOS_TAG] = ", ".join(config.scenarios.names())
    return tags | named


def _record_config(run: RunLog, config: ExperimentConfig) -> None:
    with TemporaryDirectory() as folder:
        written = save_resolved(config, folder)
        for path in (written, *Path(folder).glob("inputs")):
            run.log_artifact(path, "config")


def _baselines(
    config: ExperimentConfig, domain: Domain, setting: Any, run: RunLog, console: Console
) -> dict[str, Evaluation]:
    """Every baseline on the traffic that the agent will be judged on."""
    found = {}
    with console.status("comparing the heuristics") as status:
        for name in domain.BASELINES:
            status.update(f"comparing the heuristics: {name}")
            found[name] = evaluate_scenarios(
                config,
                name,
                requests=config.execution.final_requests,
                lanes=config.execution.final_lanes,
                setting=setting,
            )
    for name, evaluation in found.items():
        run.log_metrics(_named(f"baseline/{name}", evaluation))
        for scenario, part in evaluation.by_scenario.items():
            run.log_metrics(_named(f"baseline/{name}/{scenario}", part))
    return found


def _named(prefix: str, evaluation: Evaluation) -> dict[str, float]:
    estimate = evaluation.service_blocking
    return {f"{prefix}/service_blocking": estimate.mean, f"{prefix}/service_blocking_ci95": estimate.ci95}


def _evaluate(config: ExperimentConfig, setting: Any, agent: "BaseAlgorithm", requests: int, lanes: int) -> Evaluation:
    """The agent on every scenario; what it blocks is the mean over them."""
    policy = as_policy(config.algorithm.name, agent, config)
    return evaluate_scenarios(config, policy, requests=requests, lanes=lanes, setting=setting)


def _learn(
    config: ExperimentConfig, setting: Any, agent: "BaseAlgorithm", run: RunLog, console: Console
) -> tuple[float, list[tuple[int, float, float]]]:
    """Train; returns the seconds of learning alone and the evaluations in between."""
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import Logger

    from fusion_rl.agents.catalog import callbacks_of
    from fusion_rl.training.callbacks import EpisodeBlocking, Every, ProgressBar, RunLogWriter, evaluation_metrics
    from fusion_rl.training.scenarios import ScenarioProgress

    execution = config.execution
    agent.set_logger(Logger(folder=None, output_formats=[RunLogWriter(run)]))
    curve: list[tuple[int, float, float]] = []
    evaluating = 0.0
    callbacks: list[BaseCallback] = [*callbacks_of(config.algorithm), EpisodeBlocking()]
    if len(config.scenarios) > 1:
        callbacks.append(ScenarioProgress(agent.get_env().get_attr("simulator")[0]))  # type: ignore[union-attr]
    bar = ProgressBar(execution.timesteps, console) if execution.progress else None

    def evaluate_now(step: int) -> None:
        nonlocal evaluating
        started = time.perf_counter()
        evaluation = _evaluate(config, setting, agent, execution.eval_requests, execution.eval_lanes)
        evaluating += time.perf_counter() - started
        run.log_metrics(evaluation_metrics(evaluation), step)
        estimate = evaluation.service_blocking
        curve.append((step, estimate.mean, estimate.ci95))
        if bar is not None:
            bar.note(f"blocking {estimate}")
        console.print(f"{step:,} steps: blocking {estimate}", highlight=False)

    def save(step: int) -> None:
        checkpoints.save(agent, config, _checkpoint_folder(config, run) / f"step-{step:09d}.zip")

    if execution.checkpoint_every:
        callbacks.append(Every(execution.checkpoint_every, save))
    if execution.eval_every:
        callbacks.append(Every(execution.eval_every, evaluate_now))
    if bar is not None:
        callbacks.append(bar)
    with ExitStack() as cleanup:
        if bar is not None:
            cleanup.callback(bar.stop)
        started = time.perf_counter()
        try:
            agent.learn(execution.timesteps, callback=callbacks, log_interval=_log_interval(agent, execution.timesteps))
        except ValueError as error:
            if all(bool(tensor.isfinite().all()) for tensor in agent.policy.state_dict().values()):
                raise
            raise TrainingError(
                f"after {agent.num_timesteps} steps the weights are no longer finite: lower algorithm.learning_rate"
            ) from error
        agent.logger.dump(agent.num_timesteps)  # what the last update logged
        return time.perf_counter() - started - evaluating, curve


def _log_interval(agent: "BaseAlgorithm", timesteps: int) -> int:
    """Updates (off policy: episodes) between records of losses: about LOG_EVERY steps, and 20 records at least."""
    on_policy = hasattr(agent, "rollout_buffer")
    if not on_policy:
        return agent.n_envs
    steps_an_update: int = agent.n_steps * agent.n_envs  # type: ignore[attr-defined]
    return max(1, min(LOG_EVERY, timesteps // 20) // steps_an_update)


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
    requests = _training_requests(agent)
    steps_per_second = agent.num_timesteps / seconds
    run.log_metrics(
        {"parity/disagreements": parity, "training/steps_per_second": steps_per_second}, agent.num_timesteps
    )
    checkpoint = checkpoints.save(agent, config, _checkpoint_folder(config, run) / "final.zip")
    run.log_artifact(checkpoint, "checkpoints")
    model = run.log_model(
        checkpoint,
        config.algorithm.name,
        registered_name=_model_name(config) if execution.register_model else None,
        tags={"topology": setting.topology.name, "load": _loads(config)},
    )
    run.log_table(comparison_columns(evaluation, baselines), "comparison.json")
    run.log_table(scenario_columns(evaluation, baselines, requests), "scenarios.json")
    log_run_figures(run, setting, evaluation, baselines, curve, _curve_baselines(config, setting, baselines, curve))
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
        training_requests=requests,
    )


def _curve_baselines(
    config: ExperimentConfig, setting: Any, names: Iterable[str], curve: list[tuple[int, float, float]]
) -> dict[str, Evaluation]:
    """The baselines on the traffic of the learning curve, which is shorter than that of the comparison."""
    execution = config.execution
    size: dict[str, Any] = {"requests": execution.eval_requests, "lanes": execution.eval_lanes, "setting": setting}
    return {name: evaluate_scenarios(config, name, **size) for name in names} if curve else {}


def _training_requests(agent: "BaseAlgorithm") -> dict[str, int]:
    simulator: BatchSimulator = agent.get_env().get_attr("simulator")[0]  # type: ignore[union-attr]
    return dict(zip(simulator.scenario_names, simulator.requests_by_scenario().tolist(), strict=True))


def _checkpoint_folder(config: ExperimentConfig, run: RunLog) -> Path:
    return Path(config.execution.tracking_dir) / "checkpoints" / run.run_id


def _model_name(config: ExperimentConfig) -> str:
    # The registry takes neither / nor : in a name.
    return config.execution.model_name or re.sub(r"[/:]+", "-", f"{config.name}-{config.algorithm.name}")
