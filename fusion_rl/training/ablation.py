"""Ablation: an evolved agent against itself with one group of parameters put back to where learning began.

What a group is worth is how much more is blocked without what learning made of it, on the same requests. Groups can
stand in for each other, so what two are worth together is not the sum, and a group that is worth nothing here may be
worth something where another one is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.errors import UnknownNameError
from fusion_rl.tracking.base import RunLog
from fusion_rl.training.charts import COLOURS, MARKERS, plain
from fusion_rl.training.comparison import Comparison, compare, paired
from fusion_rl.training.evaluate import DEFAULT_LANES, DEFAULT_REQUESTS, Evaluation
from fusion_rl.training.learned_scores import LearnedScore, learned_score, put_back
from fusion_rl.training.plots import FAINT, INK, QUIET, dress, frame
from fusion_rl.training.policies import Policy

EVERYTHING = "everything"  # all groups at once: the score as learning began with it


@dataclass(frozen=True)
class Ablation:
    """What an ablation led to.

    Attributes:
        agent: its name.
        score: what it had learned.
        groups: those that were put back, by what they are worth, most first; `EVERYTHING` among them.
        comparison: the agent, and then itself without each of the groups, in their order.
    """

    agent: str
    score: LearnedScore
    groups: tuple[str, ...]
    comparison: Comparison

    def columns(self) -> dict[str, list[Any]]:
        """A row for each load and group, as columns of a table: what is blocked without what the group learned.

        `difference` and `ratio` are to the agent as it is, paired, each with the half-width of its 95 % interval.
        """
        columns: dict[str, list[Any]] = {}
        for load, (agent, *without) in self.comparison.loads.items():
            for group, one in zip(self.groups, without, strict=True):
                row = {
                    "load_erlang": load,
                    "put_back": group,
                    "parameters": len(_members(self.score, group)),
                    "service_blocking": one.service_blocking.mean,
                    "ci95": one.service_blocking.ci95,
                    **vars(paired(agent, one)),
                }
                for name, value in row.items():
                    columns.setdefault(name, []).append(value)
        return columns

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON types."""
        columns = self.columns()
        return {
            "run_id": self.comparison.run_id,
            "agent": self.agent,
            "score": self.score.score,
            "parameters": {
                group: {
                    name: {"began": self.score.first[name], "learned": self.score.learned[name]}
                    for name in self.score.groups[group]
                }
                for group in self.groups
                if group != EVERYTHING
            },
            "as_learned": {f"{load:g}": found[0].as_dict() for load, found in self.comparison.loads.items()},
            "put_back": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
        }


def ablate(
    config: ExperimentConfig,
    policy: Policy,
    loads_erlang: Sequence[float],
    *,
    groups: Sequence[str] = (),
    seeds: Sequence[int] = (),
    scenario: int = 0,
    requests: int = DEFAULT_REQUESTS,
    lanes: int = DEFAULT_LANES,
    threads: int | None = None,
    told: Callable[[str], object] = lambda what: None,
) -> Ablation:
    """Put back each group of an evolved agent's parameters, compare on the same requests, and record that as a run.

    Args:
        config: network, scenarios, and the execution's experiment, run name, run store and eval_seed.
        policy: the agent.
        loads_erlang: nominal loads of the scenario.
        groups: that are put back, one at a time; none: all of them. `EVERYTHING` is added in any case.
        seeds, scenario, requests, lanes, threads, told: as `comparison.compare` takes them.

    Raises:
        FusionRLError: the policy has no learned score, a group, load or seed cannot be used; nothing is written.
    """
    score = learned_score(policy)
    for group in groups:
        if group not in score.groups:
            raise UnknownNameError("group", group, score.groups, f"score {score.score}")
    chosen = (*dict.fromkeys(groups or score.groups), EVERYTHING)
    without = [put_back(policy, _members(score, group), f"without {group}") for group in chosen]
    run_name = config.execution.run_name or f"ablation of {policy.name}"
    execution = config.execution.model_copy(update={"run_name": run_name})
    kept: list[Ablation] = []

    def keep(run: RunLog, measured: Comparison) -> None:
        kept.append(_in_order(policy.name, score, chosen, measured))
        _record(run, kept[0])

    compare(
        config.model_copy(update={"execution": execution}),
        [policy, *without],
        loads_erlang,
        seeds=seeds,
        scenario=scenario,
        share=None,
        requests=requests,
        lanes=lanes,
        threads=threads,
        told=told,
        keep=keep,
    )
    return kept[0]


def ablation_figure(result: Ablation) -> Figure:
    """How many times as much is blocked without what each group learned, with 95 % intervals; most on top."""
    loads = result.comparison.loads
    conditions: Mapping[str, Any] = next(iter(loads.values()))[0].conditions
    if len(loads) > 1:
        conditions = {key: value for key, value in conditions.items() if not key.endswith("_erlang")}
    title = f"What {result.agent} blocks without what it learned"
    figure = frame(title, conditions, 1.1 + 0.3 * len(result.groups))
    axes = dress(figure.add_subplot())
    places = np.arange(len(result.groups))
    for number, (load, (agent, *without)) in enumerate(loads.items()):
        apart = [paired(agent, one) for one in without]
        aside = (number - (len(loads) - 1) / 2) * 0.6 / len(loads)
        axes.errorbar(
            [one.ratio for one in apart],
            places + aside,
            xerr=np.nan_to_num([one.ratio_ci95 for one in apart]),
            fmt=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            capsize=3,
            label=f"{load:g} E",
        )
    axes.axvline(1, color=QUIET, linewidth=1, zorder=0)
    axes.set_yticks(places, [f"{group}  ({len(_members(result.score, group))})" for group in result.groups], size=9)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.grid(axis="x", color=FAINT)
    axes.set(xlabel=f"blocked, as a multiple of what {result.agent} blocks", ylabel="put back (parameters)")
    if len(loads) > 1:
        axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure


def _members(score: LearnedScore, group: str) -> tuple[str, ...]:
    return tuple(score.learned) if group == EVERYTHING else score.groups[group]


def _in_order(agent: str, score: LearnedScore, groups: Sequence[str], measured: Comparison) -> Ablation:
    """The groups by what they are worth, over all loads."""

    def more(found: Sequence[Evaluation], number: int) -> float:
        return found[1 + number].service_blocking.mean - found[0].service_blocking.mean

    worth = [sum(more(found, number) for found in measured.loads.values()) for number in range(len(groups))]
    order = np.argsort(-np.array(worth), kind="stable").tolist()
    loads = {load: [found[0], *(found[1 + number] for number in order)] for load, found in measured.loads.items()}
    return Ablation(agent, score, tuple(groups[number] for number in order), replace(measured, loads=loads))


def _record(run: RunLog, result: Ablation) -> None:
    """The table, the figure and everything as JSON."""
    import json

    run.log_table(result.columns(), "ablation.json")
    run.log_text(json.dumps(plain(result.as_dict()), indent=1, allow_nan=False), "ablation_full.json")
    run.log_figure(ablation_figure(result), "figures/ablation.png")
