"""Policies side by side on the same traffic: the baselines, and columns of tables."""

import math
from collections.abc import Iterable
from typing import Any

from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import Domain
from fusion_rl.errors import UnknownNameError
from fusion_rl.intervals import t_half_width
from fusion_rl.tracking.base import RunLog
from fusion_rl.training.evaluate import Each, Evaluation, evaluate_scenarios
from fusion_rl.training.loads import over_loads
from fusion_rl.training.policies import Policy


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
    """Half-width of the 95 % interval of the difference of two policies on the same lanes of traffic.

    Where neither blocks anything it is the larger of the two upper bounds.
    """
    if one.tally.blocked_requests == other.tally.blocked_requests == 0:
        return max(one.service_blocking.ci95, other.service_blocking.ci95)
    return t_half_width(one.tally.blocking_by_lane() - other.tally.blocking_by_lane())


def verdict(agent: str, reference: str, blocking: float, theirs: float, difference: float, half: float) -> str:
    """One plain sentence: is the agent better than a reference, worse, or is there no telling?

    Args:
        agent, reference: names.
        blocking, theirs: share of the requests that each blocks.
        difference: the reference's less the agent's, on the same traffic.
        half: half-width of its 95 % interval; nan where there is none.
    """
    figures = f"{agent} blocks {blocking:.5f} of the requests, {reference} {theirs:.5f}"
    if math.isnan(half):
        return f"Where {agent} stands against {reference} cannot be told from one lane: {figures}."
    margin = f"{abs(difference):.5f} ± {half:.5f} (95 %, paired over the lanes)"
    if abs(difference) <= half:
        return f"No difference between {agent} and {reference} beyond the interval: {figures}; they differ by {margin}."
    standing, direction = ("better", "fewer") if difference > 0 else ("worse", "more")
    relative = f", {abs(difference) / theirs:.0%} {direction}" if theirs else ""
    return f"{agent} is {standing} than {reference}: {figures}; the difference is {margin}{relative}."


def scenario_columns(
    evaluation: Evaluation, baselines: dict[str, Evaluation], requests: dict[str, int]
) -> dict[str, list[Any]]:
    """Every policy on every scenario and on all together, as columns of a table.

    Args:
        evaluation: the agent's, on several scenarios.
        baselines: the other policies, on the same.
        requests: scenario -> its requests that the agent decided in training.
    """
    columns: dict[str, list[Any]] = {"scenario": [], "load_erlang": [], "training_requests": []}
    for name, part in [*evaluation.by_scenario.items(), ("all", evaluation)]:
        rivals = {policy: other if name == "all" else other.by_scenario[name] for policy, other in baselines.items()}
        compared = comparison_columns(part, rivals)
        count = len(compared["policy"])
        loads = part.conditions["load_erlang"]
        columns["scenario"] += [name] * count
        columns["load_erlang"] += [None if isinstance(loads, Each) else loads] * count
        columns["training_requests"] += [sum(requests.values()) if name == "all" else requests[name]] * count
        for key in ("policy", "service_blocking", "ci95", "difference_to_agent", "difference_ci95"):
            columns.setdefault(key, []).extend(compared[key])
    return columns


def baselines_of(config: ExperimentConfig, domain: Domain) -> tuple[str, ...]:
    """The heuristics that an agent is compared with.

    Raises:
        UnknownNameError: execution.baselines names one that there is not.
    """
    for name in config.execution.baselines or ():
        if name not in domain.heuristic_names():
            raise UnknownNameError("heuristic", name, domain.heuristic_names(), "execution.baselines")
    return config.execution.baselines or domain.BASELINES


def compare_baselines(
    config: ExperimentConfig, domain: Domain, setting: Any, run: RunLog, console: Console
) -> dict[str, Evaluation]:
    """Every baseline on the traffic that the agent will be judged on."""
    found = {}
    with console.status("comparing the heuristics") as status:
        for name in baselines_of(config, domain):
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
        for scenario, part in evaluation.by_scenario.items() if evaluation.parts else ():
            run.log_metrics(_named(f"baseline/{name}/{scenario}", part))
    return found


def _named(prefix: str, evaluation: Evaluation) -> dict[str, float]:
    estimate = evaluation.service_blocking
    return {f"{prefix}/service_blocking": estimate.mean, f"{prefix}/service_blocking_ci95": estimate.ci95}


def final_loads(config: ExperimentConfig, policy: Policy, baselines: Iterable[str]) -> dict[float, list[Evaluation]]:
    """The agent and the baselines at each of execution.final_loads; nothing where none is asked for."""
    execution = config.execution
    size: dict[str, Any] = {"requests": execution.final_requests, "lanes": execution.final_lanes}
    return over_loads(config, [policy, *baselines], execution.final_loads, **size)


def curve_baselines(
    config: ExperimentConfig, setting: Any, names: Iterable[str], curve: list[tuple[int, float, float]]
) -> dict[str, Evaluation]:
    """The baselines on the traffic of the learning curve, which is shorter than that of the comparison."""
    execution = config.execution
    size: dict[str, Any] = {"requests": execution.eval_requests, "lanes": execution.eval_lanes, "setting": setting}
    return {name: evaluate_scenarios(config, name, **size) for name in names} if curve else {}
