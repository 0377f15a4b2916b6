"""What a run says of itself to people who look at it in the run store: name, tags, headline, description, traffic."""

from collections.abc import Sequence
from typing import Any

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.save import FILE_NAME
from fusion_rl.tracking.base import BLOCKING, SCENARIOS_TAG, Dataset
from fusion_rl.tracking.provenance import provenance_tags
from fusion_rl.training.compare import comparison_columns, verdict
from fusion_rl.training.evaluate import Evaluation
from fusion_rl.training.plots import describe

_OF_SCENARIO = f"agent/{BLOCKING}/"  # MLflow orders its charts by the words before the last slash: these come first
_GAP = "\u00a0\u00a0"  # MLflow's pages leave no room between the columns of a table
COMPARED_BY = ("execution.seed", "execution.timesteps")  # what tells trainings of one experiment apart
YARDSTICK = "ksp-ff"  # the heuristic that published agents are measured against


def headline(evaluation: Evaluation) -> dict[str, float]:
    """The metrics that all runs have under the same names, so that they can be set side by side.

    Returns:
        `service_blocking` and `service_blocking_ci95` of all scenarios together, and `agent/service_blocking/SCENARIO`.
    """
    estimate = evaluation.service_blocking
    by_scenario = {_OF_SCENARIO + name: part.service_blocking.mean for name, part in evaluation.by_scenario.items()}
    return {BLOCKING: estimate.mean, f"{BLOCKING}_ci95": estimate.ci95, **by_scenario}


def run_name(config: ExperimentConfig) -> str:
    """What a training is called unless it is told: first what tells it from others, since MLflow cuts long names."""
    return f"{config.algorithm.name} s{config.execution.seed} {loads_in_brief(config)}"


def loads_of(config: ExperimentConfig) -> str:
    """The loads of all scenarios, in their order."""
    return "+".join(f"{scenario.load_erlang:g}" for scenario in config.scenarios) + " E"


def loads_in_brief(config: ExperimentConfig) -> str:
    """The same for a name that a person reads: of many scenarios how many they are, and from where to where."""
    loads = [scenario.load_erlang for scenario in config.scenarios]
    if len(loads) <= 3:
        return loads_of(config)
    return f"{len(loads)} scenarios {min(loads):g} to {max(loads):g} E"


def tags_of(config: ExperimentConfig, setting: Any) -> dict[str, str]:
    """Where a result comes from, and what people search runs by."""
    execution = config.execution
    hashes = {
        "topology_sha256": setting.topology.sha256(),
        "candidate_paths_sha256": setting.candidates_sha256,
        "traffic_sha256": setting.traffic_sha256(execution.eval_seed, 0, 0),
    }
    tags = provenance_tags({"training": execution.seed, "evaluation": execution.eval_seed}, hashes)
    named = {"topology": setting.topology.name, "algorithm": config.algorithm.name, "load": loads_of(config)}
    named[SCENARIOS_TAG] = ", ".join(config.scenarios.names())
    return tags | named


def traffic_datasets(config: ExperimentConfig, setting: Any) -> list[tuple[Dataset, str]]:
    """The traffic of a run and what each serves, told apart by the digest of its first requests."""
    execution = config.execution
    scenarios = [scenario.model_dump(mode="json", exclude_defaults=True) for scenario in config.scenarios]
    uses = {
        "training": (execution.seed, {"requests": execution.timesteps, "lanes": execution.lanes}),
        "evaluation": (execution.eval_seed, {"requests": execution.final_requests, "lanes": execution.final_lanes}),
    }
    name = ", ".join(config.scenarios.names()) if len(config.scenarios) <= 3 else f"{len(config.scenarios)} scenarios"
    return [
        (Dataset(name, setting.traffic_sha256(seed, 0, 0), {"scenarios": scenarios, "seed": seed}, size), use)
        for use, (seed, size) in uses.items()
    ]


def description(
    evaluation: Evaluation | None,
    baselines: dict[str, Evaluation],
    repeat: Sequence[str],
    model: str | None = None,
    opening: str | None = None,
) -> str:
    """A run in Markdown: where the agent stands, the comparison, its conditions, and how to do it again.

    Args:
        evaluation: the agent's; None while it is learning.
        baselines: the other policies, on the same traffic.
        repeat: commands that lead to the same result.
        model: address of the agent in the store.
        opening: the first sentence; None: how the agent stands against the yardstick.
    """
    first = evaluation or next(iter(baselines.values()))
    lines: list[str] = []
    if opening is not None:
        lines += [opening, ""]
    elif evaluation is None:
        lines += ["The agent is learning; these are the heuristics that it will be compared with.", ""]
    elif YARDSTICK in baselines:
        lines += [standing_of(evaluation, baselines[YARDSTICK]), ""]
    lines += [*_table(evaluation, baselines), ""]
    lines += [
        "95 % intervals; differences are paired, on the same requests: below zero blocks less than the agent.",
        "",
    ]
    lines += [f"- {line}" for line in describe(first.conditions).splitlines()]
    lines += ["", "**Again:**", "```sh", *repeat, "```"]
    if model is not None:
        lines += ["", f"**Model:** `{model}`"]
    return "\n".join(lines)


def standing_of(one: Evaluation, other: Evaluation) -> str:
    """One plain sentence: is a policy better than another on the same traffic, worse, or is there no telling?"""
    columns = comparison_columns(one, {other.policy: other})
    row = columns["policy"].index(other.policy)
    blocking = (one.service_blocking.mean, other.service_blocking.mean)
    difference, half = columns["difference_to_agent"][row], columns["difference_ci95"][row]
    return verdict(one.policy, other.policy, *blocking, difference, half)


def repeat_training() -> list[str]:
    """How to train the same agent from the files of its run."""
    return [f"fusion-rl train --experiment {FILE_NAME}   # from config/ among this run's artifacts"]


def _table(evaluation: Evaluation | None, baselines: dict[str, Evaluation]) -> list[str]:
    reference = evaluation or next(iter(baselines.values()))
    rivals = {name: one for name, one in baselines.items() if one is not reference}
    columns = comparison_columns(reference, rivals)
    head = ["policy", "service blocking", "bit-rate blocking", "difference to the agent"]
    head = head if evaluation is not None else head[:-1]
    lines = [f"| {f'{_GAP} | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    keys = ("policy", BLOCKING, "ci95", "bit_rate_blocking", "difference_to_agent", "difference_ci95")
    for name, mean, half, bit_rate, apart, apart_half in zip(*(columns[key] for key in keys), strict=True):
        is_agent = evaluation is not None and name == evaluation.policy
        cells = [f"**{name}**" if is_agent else name, f"{mean:.5f} ± {half:.5f}", f"{bit_rate:.5f}"]
        cells += ["" if is_agent else f"{apart:+.5f} ± {apart_half:.5f}"] * (evaluation is not None)
        lines.append(f"| {f'{_GAP} | '.join(cells)} |")
    return lines
