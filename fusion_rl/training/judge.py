"""An agent judged as after its training, without training: the comparison, the figures, a run of its own."""

import warnings
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import flatten
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import PolicyError
from fusion_rl.training.compare import baselines_of, compare_baselines, comparison_columns, final_loads
from fusion_rl.training.description import description, headline, tags_of
from fusion_rl.training.evaluate import Evaluation, evaluate_scenarios
from fusion_rl.training.policies import Agent, find, require_fit

EVALUATION_TAG = "evaluation_of"  # of a run that judged an agent and trained none: the agent's address


@dataclass(frozen=True)
class Judgement:
    """What judging an agent led to.

    Attributes:
        run_id, name: in the run log.
        policy: the agent's address.
        evaluation: the agent's, greedy; of several scenarios together, with each in `by_scenario`.
        baselines: the domain's baselines on the same traffic.
        loads: load, Erlang -> the agent and the baselines at it, for each of execution.final_loads.
    """

    run_id: str
    name: str
    policy: str
    evaluation: Evaluation
    baselines: dict[str, Evaluation]
    loads: dict[float, list[Evaluation]]

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON types."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "evaluation": self.evaluation.as_dict(),
            "baselines": {name: one.as_dict() for name, one in self.baselines.items()},
            "scenarios": {name: one.as_dict() for name, one in self.evaluation.by_scenario.items()},
            "loads": {f"{load:g}": [one.as_dict() for one in found] for load, found in self.loads.items()},
        }


def judge(config: ExperimentConfig, policy: str, *, trust: bool = False, console: Console | None = None) -> Judgement:
    """Evaluate a trained agent, compare it with every baseline, and record that as a run of its own.

    Args:
        config: network, scenarios and execution (final_requests, final_lanes, final_loads, eval_seed); the algorithm
            is the agent's own.
        policy: a checkpoint, or an address in the run store.
        trust: read a zip of Stable-Baselines3's, which can run code.
        console: where progress is shown; None: on standard error.

    Raises:
        FusionRLError: the agent cannot be read or does not fit the network; nothing is written.
    """
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.training.callbacks import evaluation_metrics
    from fusion_rl.training.plots import log_run_figures

    domain, execution = domain_of(config), config.execution
    agent = find(policy, domain, execution.tracking_dir, trust=trust)
    if not isinstance(agent, Agent):
        raise PolicyError(f"'{policy}' is a heuristic: `fusion-rl evaluate --policy {policy}` judges it")
    config = config.model_copy(update={"algorithm": agent.config.algorithm})
    setting = domain.prepare(config)
    require_fit(agent, domain.make_simulator(config, setting, 1, 0))
    if agent.config.execution.seed == execution.eval_seed:
        warnings.warn(
            f"policy {policy} was trained with seed {execution.eval_seed} too: on this traffic it may look better than"
            " it is; another execution.eval_seed is fairer",
            stacklevel=2,
        )
    size: dict[str, Any] = {
        "requests": execution.final_requests,
        "lanes": execution.final_lanes,
        "setting": setting,
    }
    name = execution.run_name or f"evaluation of {config.algorithm.name}"
    tags = tags_of(config, setting) | {EVALUATION_TAG: policy}
    console = console or Console(stderr=True)
    baselines_of(config, domain)
    store = open_store(execution.tracking_dir)
    with store.start(execution.experiment_name or config.name, name, flatten(config), tags) as run:
        baselines = compare_baselines(config, domain, setting, run, console)
        with console.status(f"judging {policy}"):
            evaluation = evaluate_scenarios(config, agent, **size)
            loads = final_loads(config, agent, baselines)
        run.log_metrics(headline(evaluation) | evaluation_metrics(evaluation))
        run.log_table(comparison_columns(evaluation, baselines), "comparison.json")
        again = [f"fusion-rl train --eval-only {policy} --experiment {config.name}"]
        run.describe(description(evaluation, baselines, again))
        log_run_figures(run, setting, evaluation, baselines, [], {}, loads)
        return Judgement(run.run_id, run.run_name, policy, evaluation, baselines, loads)
