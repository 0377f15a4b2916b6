"""One training run: check, compare, learn, evaluate, record."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import flatten, load, save_resolved
from fusion_rl.config.save import FILE_NAME as RESOLVED_FILE
from fusion_rl.domains.base import BatchSimulator, Domain
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import CheckpointError, ConfigError, TrainingStopped
from fusion_rl.tracking.base import BLOCKING, Example, RunLog
from fusion_rl.tracking.sb3_classes import MASKED
from fusion_rl.training import checkpoints, sanity
from fusion_rl.training.ancestry import Parent, find_parent, inherit, recorded_parent
from fusion_rl.training.bundle import SUFFIX
from fusion_rl.training.checkpoints import Kind
from fusion_rl.training.compare import (
    baselines_of,
    compare_baselines,
    comparison_columns,
    curve_baselines,
    final_loads,
    scenario_columns,
)
from fusion_rl.training.description import (
    COMPARED_BY,
    description,
    headline,
    loads_of,
    repeat_training,
    run_name,
    tags_of,
    traffic_datasets,
)
from fusion_rl.training.evaluate import Evaluation, evaluate_scenarios
from fusion_rl.training.interrupts import Interrupts
from fusion_rl.training.learn import Learning, OnEvaluation
from fusion_rl.training.mirrors import open_mirrors, require_mirrors
from fusion_rl.training.policies import as_policy
from fusion_rl.training.result import RunResult
from fusion_rl.training.resume import Tree
from fusion_rl.training.user_callbacks import checked, imported
from fusion_rl.training.warm_start import find_teacher, warm_start

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback

    from fusion_rl.tracking.mlflow_store import Store

STORE_PATIENCE_S = 300.0  # how long a run that is done waits for a store that is away


def train(
    config: ExperimentConfig,
    *,
    console: Console | None = None,
    resume_from: str | Parent | None = None,
    callbacks: "Sequence[BaseCallback]" = (),
    on_evaluation: OnEvaluation | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> RunResult:
    """Train an agent, compare it with every baseline on held-out traffic, and record all of it.

    Args:
        config: the experiment.
        console: where progress is shown; None: on standard error.
        resume_from: run, checkpoint or stored model whose weights and optimiser this new run goes on from, as
            `ancestry.find_parent` takes it; None: untrained.
        callbacks: Stable-Baselines3's, beside those of execution.callbacks. One that remembers something and is to
            survive a resume has `state_dict()` and `load_state_dict(state)`.
        on_evaluation: called with (training step, share of requests blocked) after each evaluation in between, which
            execution.eval_every asks for. It may raise TrainingStopped: the run ends there as KILLED, with the reason
            in its tag `fusion_rl.stopped`, and without the final comparison.
        parent_run_id: run under which this one is shown, as a trial under its study.
        tags: further ones of the run.

    Raises:
        TrainingStopped: as `on_evaluation` raised it.
        FusionRLError: the network, the traffic, the reward or the run store cannot be used; nothing is written.
    """
    parent = find_parent(resume_from, config.execution.tracking_dir) if isinstance(resume_from, str) else resume_from
    begin = Beginning(parent, parent_run_id, tags or {})
    return _carry_out(config, console or Console(stderr=True), begin, callbacks, on_evaluation)


def resume(
    run: str | Path,
    *,
    tracking_dir: str | Path = "mlruns",
    console: Console | None = None,
    callbacks: "Sequence[BaseCallback]" = (),
    on_evaluation: OnEvaluation | None = None,
) -> RunResult:
    """Go on with a run that was stopped or killed: the same run, with its own configuration, to the same end.

    It continues from the newest checkpoint that can be read; from the first step where there is none.

    Args:
        run: id or name of the run, or its folder of checkpoints.
        tracking_dir: folder of the run store; that of the checkpoints, where their folder is given.
        console: where progress is shown; None: on standard error.
        callbacks: as `train` takes them, and took them for this run.
        on_evaluation: as `train` takes it; told of the evaluations that follow the checkpoint, some of them perhaps
            for the second time.

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
    config = config.model_copy(update={"execution": execution})
    return _carry_out(config, console or Console(stderr=True), run_id, callbacks, on_evaluation)


def can_resume(tracking_dir: str | Path, run_id: str) -> bool:
    """Whether this machine has what a run needs to be gone on with, if it has not finished."""
    return (checkpoint_folder(tracking_dir, run_id) / "config" / RESOLVED_FILE).is_file()


@dataclass(frozen=True)
class Beginning:
    """What a new run begins with: the model that it goes on from, the run that it is shown under, and tags."""

    parent: Parent | None
    parent_run_id: str | None
    tags: Mapping[str, str]


def _carry_out(
    config: ExperimentConfig,
    console: Console,
    begin: Beginning | str,
    callbacks: "Sequence[BaseCallback]",
    on_evaluation: OnEvaluation | None,
) -> RunResult:
    """A run from its beginning, or, where that is a run's id, from where it was left, to its end."""
    import torch

    from fusion_rl.agents.catalog import make_agent
    from fusion_rl.envs.vector import OpticalVecEnv
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.training.scenarios import warn_of_few_lanes

    execution, domain = config.execution, domain_of(config)
    if execution.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("execution.device is cuda, but torch sees no GPU here: use cpu, or auto")
    require_mirrors(config)
    baselines_of(config, domain)
    callbacks = [*imported(execution.callbacks), *checked(callbacks)]
    torch.set_num_threads(execution.torch_threads)
    warn_of_few_lanes(config)
    setting = domain.prepare(config)
    env = OpticalVecEnv(domain.make_simulator(config, setting, execution.lanes, execution.seed))
    agent = make_agent(config.algorithm, env, seed=execution.seed, device=execution.device)
    teacher = find_teacher(config, domain, setting)
    resumed_id, parent = (begin, None) if isinstance(begin, str) else (None, begin.parent)
    if parent is not None:
        inherit(agent, config, parent)
    store, tags = open_store(execution.tracking_dir), tags_of(config, setting)
    for dead in store.reap():
        console.print(f"run {dead.run_id} ({dead.run_name}) was left by its process; it is marked KILLED now")
    with Interrupts() as interrupts, _open_run(store, config, tags, begin) as run:
        folder = checkpoints.Folder(checkpoint_folder(execution.tracking_dir, run.run_id), execution.checkpoint_keep)
        if resumed_id is None:
            save_resolved(config, folder.path / "config")  # before all else: it is what a resume begins with
        start = None if resumed_id is None else _start(folder, tags, console)
        if resumed_id is not None and start is None:  # it was killed before its first checkpoint
            parent = recorded_parent(store.find_run(resumed_id).tags, execution.tracking_dir)
            if parent is not None:
                inherit(agent, config, parent)
        open_mirrors(config, run, None if start is None else start["counters"]["num_timesteps"] + 1, console)
        console.print(_beginning(config, run, parent), highlight=False, markup=False, soft_wrap=True)
        learning = Learning(
            config, domain, agent, env, run, folder, {"run_id": run.run_id, "tags": tags}, interrupts,
            evaluate=lambda: _evaluate(config, setting, agent, execution.eval_requests, execution.eval_lanes),
            start=start, callbacks=callbacks, on_evaluation=on_evaluation,
        )  # fmt: skip
        if learning.start is None:
            _check_sanity(config, domain, setting, agent, run, console)
        try:
            run.log_artifact(folder.path / "config")
            if execution.system_metrics:
                run.watch_system()
            for dataset, use in traffic_datasets(config, setting):
                run.log_dataset(dataset, use)
            learning.judge_untrained()  # before all other metrics: MLflow offers the oldest one to compare runs by
            baselines = compare_baselines(config, domain, setting, run, console)
            run.describe(description(None, baselines, repeat_training()))
            if teacher is not None and learning.start is None:
                console.print(
                    f"warm start: {warm_start(config, domain, setting, agent, teacher, run)}", highlight=False
                )
            learning.carry_out(console)
            evaluation = _evaluate(config, setting, agent, execution.final_requests, execution.final_lanes)
            run.flush(patience_s=STORE_PATIENCE_S)  # what follows needs the store
            result = _conclude(
                config, domain, setting, agent, run, baselines, evaluation, learning.seconds, learning.points
            )
            if learning.stopped_early is not None:
                run.set_tags({"early_stopping": learning.stopped_early})
            return replace(result, stopped_early=learning.stopped_early)
        except TrainingStopped:
            raise
        except BaseException as error:
            error.add_note(f"to go on with it: fusion-rl train --resume {folder.path}")
            raise


def _open_run(store: "Store", config: ExperimentConfig, tags: dict[str, str], begin: Beginning | str) -> RunLog:
    execution = config.execution
    if isinstance(begin, Beginning):
        name = execution.run_name or run_name(config)
        parent = begin.parent
        tags = {**tags, **(parent.tags() if parent is not None else {}), **begin.tags}
        above = begin.parent_run_id or (parent.run_id if parent is not None else None)
        experiment = execution.experiment_name or config.name
        return store.start(experiment, name, flatten(config), tags, above, COMPARED_BY)
    logged = store.find_run(begin).parameters
    run = store.resume(begin)
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
    sanity.require_sane(findings)


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


def _beginning(config: ExperimentConfig, run: RunLog, parent: Parent | None) -> str:
    execution, names = config.execution, config.scenarios.names()
    origin = "" if parent is None else f" going on from {parent.given}"
    size = f"{execution.timesteps:,} steps on {execution.lanes} lane{'s' * (execution.lanes > 1)}"
    return f"run {run.run_id} ({run.run_name}){origin}: {size}, scenario{'s' * (len(names) > 1)} {', '.join(names)}"


def _evaluate(config: ExperimentConfig, setting: Any, agent: "BaseAlgorithm", requests: int, lanes: int) -> Evaluation:
    """The agent on every scenario; what it blocks is the mean over them."""
    policy = as_policy(config.algorithm.name, agent, config)
    return evaluate_scenarios(config, policy, requests=requests, lanes=lanes, setting=setting)


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
    parity = disagreements(
        config, domain, setting, policy, seed=execution.eval_seed, requests=execution.parity_requests
    )
    run.log_metrics(headline(evaluation) | evaluation_metrics(evaluation), agent.num_timesteps)
    requests = _training_requests(agent)
    steps_per_second = agent.num_timesteps / seconds
    run.log_metrics(
        {"parity/disagreements": parity, "training/steps_per_second": steps_per_second}, agent.num_timesteps
    )
    checkpoint = checkpoint_folder(execution.tracking_dir, run.run_id) / f"{Kind.FINAL}{SUFFIX}"
    for file in (checkpoint, checkpoint.with_suffix(".zip")):
        run.log_artifact(file, "checkpoints")
    blocking = evaluation.service_blocking
    model = run.log_model(
        checkpoint.with_suffix(".zip"),
        config.algorithm.name,
        registered_name=_model_name(config) if execution.register_model else None,
        tags={
            "algorithm": config.algorithm.name,
            "topology": setting.topology.name,
            "load": loads_of(config),
            "seed": str(execution.seed),
            BLOCKING: f"{blocking.mean:.5f} ± {blocking.ci95:.5f}",
        },
        example=_example(config, domain, setting),
        description=description(evaluation, baselines, repeat_training()),
    )
    again = [*repeat_training(), f"fusion-rl evaluate -e {RESOLVED_FILE} -p {model}"]
    run.describe(description(evaluation, baselines, again, model))
    run.log_table(comparison_columns(evaluation, baselines), "comparison.json")
    run.log_table(scenario_columns(evaluation, baselines, requests), "scenarios.json")
    on_the_way = curve_baselines(config, setting, baselines, curve)
    loads = final_loads(config, policy, baselines)
    log_run_figures(run, setting, evaluation, baselines, curve, on_the_way, loads)
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


def _example(config: ExperimentConfig, domain: Domain, setting: Any) -> Example:
    """What the first request of the evaluation shows to the agent."""
    simulator = domain.make_simulator(config, setting, 1, config.execution.eval_seed)
    simulator.reset(range(1))
    masks = simulator.masks() if config.algorithm.name in MASKED else None
    return Example(simulator.observations(), masks)


def _training_requests(agent: "BaseAlgorithm") -> dict[str, int]:
    if hasattr(agent, "requests_by_scenario"):  # it does not learn from steps of its lanes
        return dict(agent.requests_by_scenario)
    simulator: BatchSimulator = agent.get_env().get_attr("simulator")[0]  # type: ignore[union-attr]
    return dict(zip(simulator.scenario_names, simulator.requests_by_scenario().tolist(), strict=True))


def checkpoint_folder(tracking_dir: str | Path, run_id: str) -> Path:
    """Where a run keeps its checkpoints, on this machine."""
    return Path(tracking_dir) / "checkpoints" / run_id


def _model_name(config: ExperimentConfig) -> str:
    # The registry takes neither / nor : in a name.
    return config.execution.model_name or re.sub(r"[/:]+", "-", f"{config.name}-{config.algorithm.name}")
