"""Policies compared: over loads and seeds, with paired intervals, what load each carries, and what others published.

At each load every policy meets the same requests. An interval is over independent lanes, those of all seeds side by
side; what is paired is the blocking of the same lane by two policies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import flatten
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import ConfigError
from fusion_rl.intervals import t_half_width
from fusion_rl.tracking.base import RunLog
from fusion_rl.training.compare import paired_half_width
from fusion_rl.training.evaluate import DEFAULT_LANES, DEFAULT_REQUESTS, Evaluation
from fusion_rl.training.loads import at_loads, check_agents, over_loads, over_seeds
from fusion_rl.training.policies import Policy, find, knows_holding_times

if TYPE_CHECKING:
    from fusion_rl.domains.optical.capacity.measure import LoadAt, Size

COMPARISON_TAG = "comparison_of"  # of a run that compared policies: their names
_LONGEST_NAME = 150  # of a policy in the name of a metric
SHARE = 0.001  # of the requests that may be blocked at the load that a policy is said to carry


@dataclass(frozen=True)
class Paired:
    """How a policy differs from the first on the same requests.

    Attributes:
        difference, difference_ci95: of service blocking, with the half-width of its 95 % interval.
        ratio, ratio_ci95: the same of the quotient; nan where the first blocks nothing.
    """

    difference: float
    difference_ci95: float
    ratio: float
    ratio_ci95: float


@dataclass(frozen=True)
class Reference:
    """A figure that others published, which was not measured on the requests of a comparison.

    Attributes:
        name: agent, heuristic or estimate.
        kind: what it is.
        load_erlang: nominal.
        blocking: service blocking there.
        half_width: of its interval; None: none was published.
        conditions: what it holds under, as far as that is known.
        source: where it stands.
    """

    name: str
    kind: Literal["agent", "heuristic", "estimate"]
    load_erlang: float
    blocking: float
    half_width: float | None
    conditions: str
    source: str


@dataclass(frozen=True)
class Comparison:
    """What a comparison led to.

    Attributes:
        run_id: in the run log.
        loads: nominal load, Erlang -> evaluations in the order of the policies, all seeds together; loads ascending.
        share: of the requests, for `carried`; None: it was not asked for.
        carried: policy -> load at which it blocks that share, or why none was found.
        references: what others published of the same network and traffic.
        knowing: policies that are told how long each request is going to stay, which the others are not.
    """

    run_id: str
    loads: dict[float, list[Evaluation]]
    share: float | None = None
    carried: "dict[str, LoadAt | str]" = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    knowing: tuple[str, ...] = ()

    @property
    def refusals(self) -> dict[str, int]:
        """Policy -> requests, over all loads, that it left blocked though they could be served; those with any."""
        counts: dict[str, int] = {}
        for found in self.loads.values():
            for one in found:
                counts[one.policy] = counts.get(one.policy, 0) + (one.refused or 0)
        return {policy: count for policy, count in counts.items() if count}

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON types."""
        return {
            "run_id": self.run_id,
            "loads": [
                {
                    "load_erlang": load,
                    "policies": [one.as_dict() | {"to_first": vars(paired(found[0], one))} for one in found],
                }
                for load, found in self.loads.items()
            ],
            "knowing_holding_times": self.knowing,
            "share": self.share,
            "load_carried": {
                policy: {"problem": at} if isinstance(at, str) else {"load_erlang": at.load_erlang, "ci95": at.ci95}
                for policy, at in self.carried.items()
            },
            "published": [vars(one) for one in self.references],
        }

    def columns(self) -> dict[str, list[Any]]:
        """A row for each load and policy, as columns of a table."""
        columns: dict[str, list[Any]] = {}
        for load, found in self.loads.items():
            for one in found:
                row = {
                    "load_erlang": load,
                    "policy": one.policy,
                    "service_blocking": one.service_blocking.mean,
                    "ci95": one.service_blocking.ci95,
                    **vars(paired(found[0], one)),
                    "knows_holding_times": one.policy in self.knowing,
                    "bit_rate_blocking": one.tally.bit_rate_blocking.mean,
                    "refused_requests": one.refused,
                    "requests_per_second": one.requests_per_second,
                }
                for name, value in row.items():
                    columns.setdefault(name, []).append(value)
        return columns


def compare(
    config: ExperimentConfig,
    policies: Sequence[str | Policy],
    loads_erlang: Sequence[float],
    *,
    seeds: Sequence[int] = (),
    scenario: int = 0,
    share: float | None = SHARE,
    references: Sequence[Reference] = (),
    requests: int = DEFAULT_REQUESTS,
    lanes: int = DEFAULT_LANES,
    threads: int | None = None,
    trust: bool = False,
    told: Callable[[str], object] = lambda what: None,
    keep: Callable[[RunLog, Comparison], object] = lambda run, result: None,
) -> Comparison:
    """Compare policies on the same requests, and record that as a run of its own.

    Args:
        config: network, scenarios, and the execution's experiment, run name, run store and eval_seed.
        policies: names, as `policies.find` takes them, or policies found before; differences are to the first.
        loads_erlang: nominal loads of the scenario.
        seeds: of the traffic; none: execution.eval_seed.
        scenario: whose load is changed, by position.
        share: find the load at which each policy blocks so much; None: do not.
        references: what others published, to stand beside.
        requests: that count, at each load and of each seed.
        lanes: independent networks of each seed.
        threads: cores; None: all for a heuristic, execution.torch_threads for an agent.
        trust: read zips of Stable-Baselines3's, which can run code.
        told: of each thing that is measured, before it is.
        keep: what else the run is to keep of the result.

    Raises:
        FusionRLError: a policy, load or seed cannot be used, or there is too little traffic; nothing is written.
    """
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.training.description import tags_of

    execution, domain = config.execution, domain_of(config)
    chosen_seeds = tuple(seeds) or (execution.eval_seed,)
    names = [one if isinstance(one, str) else one.name for one in policies]
    _check(names, loads_erlang, chosen_seeds, lanes, requests, share)
    at = at_loads(config, scenario, loads_erlang)
    chosen = [
        find(one, domain, execution.tracking_dir, trust=trust) if isinstance(one, str) else one for one in policies
    ]
    setting = domain.prepare(at)
    check_agents(at, setting, chosen, chosen_seeds, threads)
    size: dict[str, Any] = {"requests": requests, "lanes": lanes, "threads": threads}
    parameters = flatten(config) | {
        "compare.policies": ", ".join(names),
        "compare.loads_erlang": ", ".join(f"{load:g}" for load in sorted(set(loads_erlang))),
        "compare.seeds": ", ".join(map(str, chosen_seeds)),
        "compare.requests": requests,
        "compare.lanes": lanes,
    }
    tags = tags_of(at, setting) | {COMPARISON_TAG: ", ".join(names)}
    del tags["algorithm"]  # each policy has its own
    name = execution.run_name or f"comparison of {', '.join(names)}"
    with open_store(execution.tracking_dir).start(
        execution.experiment_name or config.name, name, parameters, tags
    ) as run:
        loads = over_loads(
            config, chosen, loads_erlang, scenario=scenario, seeds=chosen_seeds, count_refusals=True,
            told=lambda load, policy: told(f"{policy} at {load:g} E"), **size,
        )  # fmt: skip
        carried: dict[str, LoadAt | str] = {}
        if share is not None:
            for number, policy in enumerate(chosen):
                told(f"the load that {policy.name} carries")
                measured = {load: found[number].service_blocking.mean for load, found in loads.items()}
                carried[policy.name] = _carried(config, policy, scenario, chosen_seeds, share, measured, size)
        knowing = tuple(policy.name for policy in chosen if knows_holding_times(policy))
        result = Comparison(run.run_id, loads, share, carried, tuple(references), knowing)
        _record(run, result)
        keep(run, result)
    return result


def paired(first: Evaluation, other: Evaluation) -> Paired:
    """How a policy differs from the first.

    The ratio is that of the totals; its interval is the t interval of a ratio estimator, from the lanes' residuals.
    Source: W. Cochran, Sampling Techniques, 3rd edition, section 6.3 (1977).
    """
    theirs, ours = first.tally.blocking_by_lane(), other.tally.blocking_by_lane()
    difference, half_width = float((ours - theirs).mean()), paired_half_width(other, first)
    if not theirs.any():
        return Paired(difference, half_width, float("nan"), float("nan"))
    ratio = float(ours.mean() / theirs.mean())
    ratio_half_width = t_half_width(ours - ratio * theirs) / float(theirs.mean())
    return Paired(difference, half_width, ratio, ratio_half_width)


def _check(
    policies: Sequence[str],
    loads_erlang: Sequence[float],
    seeds: Sequence[int],
    lanes: int,
    requests: int,
    share: float | None,
) -> None:
    """Refuse what would be found out after minutes.

    Raises:
        ConfigError: says what is wrong.
    """
    from fusion_rl.domains.optical.capacity.measure import require_enough

    for what, given in (("policy", policies), ("seed", seeds)):
        twice = next((one for one in given if list(given).count(one) > 1), None)
        if twice is not None:
            raise ConfigError(f"{what} {twice} is given twice: name each once")
    if not policies or not loads_erlang:
        raise ConfigError("a comparison needs a policy and a load, at least")
    if lanes * len(seeds) < 2:
        raise ConfigError("one lane of one seed has no interval over lanes: ask for more lanes, or more seeds")
    if share is not None:
        require_enough(share, -(-requests // lanes) * lanes * len(seeds))


def _carried(
    config: ExperimentConfig,
    policy: Policy,
    scenario: int,
    seeds: Sequence[int],
    share: float,
    measured: dict[float, float],
    size: dict[str, Any],
) -> "LoadAt | str":
    """The load at which a policy blocks a share of the requests, looked for between those measured, or from one."""
    from fusion_rl.domains.optical.capacity.measure import Method, Size, load_at, nothing

    def blocked(setting: Any, number: int, asked: "Size", prepared: None) -> Any:
        found = over_seeds(config, policy, seeds, scenario=number, setting=setting, **size)
        return np.rint(found.tally.blocking_by_lane() * asked.lane_requests).astype(np.int64)

    start = min(measured, key=lambda load: abs(np.log(max(measured[load], 1e-9) / share)))
    setting = domain_of(config).prepare(at_loads(config, scenario, [start]))
    whole = Size(size["requests"] * len(seeds), size["lanes"] * len(seeds), seeds[0], size["threads"])
    try:
        return load_at(setting, Method("policy", policy.name, nothing, blocked), share, whole, known=measured)
    except ConfigError as error:
        return str(error)


def _record(run: RunLog, result: Comparison) -> None:
    """Metrics, the table, the figure and everything as JSON."""
    import json

    from fusion_rl.training.charts import comparison_chart, draw, plain

    for load, found in result.loads.items():
        for one in found:
            prefix, estimate = f"{_metric(one.policy)}/{load:g}E", one.service_blocking
            run.log_metrics(
                {
                    f"{prefix}/service_blocking": estimate.mean,
                    f"{prefix}/service_blocking_ci95": estimate.ci95,
                    f"{prefix}/ratio_to_first": paired(found[0], one).ratio,
                    f"{prefix}/refused_requests": float(one.refused or 0),
                    f"{prefix}/requests_per_second": one.requests_per_second,
                }
            )
    for policy, at in result.carried.items():
        if not isinstance(at, str):
            prefix = f"{_metric(policy)}/load_carried_erlang"
            run.log_metrics({prefix: at.load_erlang, f"{prefix}_ci95": at.ci95})
    run.log_table(result.columns(), "comparison.json")
    run.log_text(json.dumps(plain(result.as_dict()), indent=1, allow_nan=False), "comparison_full.json")
    run.log_figure(draw(comparison_chart(result.loads, result.references)), "figures/comparison.png")


def _metric(name: str) -> str:
    """A policy's name in the characters that a metric's may have: of a long path the end, which tells files apart."""
    allowed = "".join(c if c.isascii() and (c.isalnum() or c in "_-.:") else "_" for c in name)
    return allowed[-_LONGEST_NAME:].lstrip("._")
