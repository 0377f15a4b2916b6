"""Evaluation: any policy on the same traffic, with confidence intervals.

Lane i of an evaluation meets the same requests whatever the policy, the number of lanes and the number of
threads; each policy serves the warm-up itself, and the warm-up does not count.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import Domain, Estimate, Tally
from fusion_rl.envs.make import domain_of
from fusion_rl.training.policies import Agent, Heuristic, Policy, find, require_fit

DEFAULT_REQUESTS = 200_000
DEFAULT_LANES = 16
_BLOCK = 256  # steps between counts of an agent's decisions

Progress = Callable[[int], None]


class Each(tuple[Any, ...]):
    """A condition's value in each of several scenarios; formats as one does, the values between slashes."""

    def __format__(self, how: str) -> str:
        return "/".join(dict.fromkeys(format(value, how) for value in self))


@dataclass(frozen=True)
class Evaluation:
    """A policy's result on one scenario or several together, with what it must name to mean anything.

    Attributes:
        policy: what the user calls it.
        conditions: network, traffic and size of the evaluation.
        tally: the counts.
        requests_per_second: by wall clock, warm-up included.
        usage: utilisation and fragmentation, where the evaluation measured them.
        link_utilisation: mean share of slots in use, [L].
        parts: the scenarios by themselves, where this is of several together.
        refused: requests that were blocked though some decision could have served them; None: nobody counted.
    """

    policy: str
    conditions: dict[str, object]
    tally: Tally
    requests_per_second: float
    usage: dict[str, float]
    link_utilisation: Any = None
    parts: tuple["Evaluation", ...] = ()
    refused: int | None = None

    @property
    def service_blocking(self) -> Estimate:
        """Share of the requests that were blocked."""
        return self.tally.service_blocking

    @property
    def spread(self) -> dict[str, float]:
        """How service blocking differs between lanes: standard deviation (nan of one lane), least and most."""
        by_lane = self.tally.blocking_by_lane()
        std = float(by_lane.std(ddof=1)) if by_lane.size > 1 else float("nan")
        return {"std": std, "min": float(by_lane.min()), "max": float(by_lane.max())}

    @property
    def by_scenario(self) -> dict[str, "Evaluation"]:
        """Each scenario by itself."""
        return {str(part.conditions["scenario"]): part for part in self.parts or (self,)}

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON types."""
        service, bit_rate = self.tally.service_blocking, self.tally.bit_rate_blocking
        return {
            "policy": self.policy,
            **self.conditions,
            "service_blocking": {"mean": service.mean, "ci95": service.ci95},
            "bit_rate_blocking": {"mean": bit_rate.mean, "ci95": bit_rate.ci95},
            "ci_method": service.method,
            "service_blocking_of_lanes": self.spread,
            "blocked_requests": self.tally.blocked_requests,
            "block_reasons": self.tally.block_reasons,
            **({} if self.refused is None else {"refused_requests": self.refused}),
            **self.usage,
            "requests_per_second": self.requests_per_second,
            **({"scenarios": {name: part.as_dict() for name, part in self.by_scenario.items()}} if self.parts else {}),
        }


def evaluate(
    config: ExperimentConfig,
    policy: str | Policy = "ksp-ff",
    *,
    requests: int = DEFAULT_REQUESTS,
    lanes: int = DEFAULT_LANES,
    seed: int | None = None,
    scenario: int = 0,
    threads: int | None = None,
    setting: Any = None,
    progress: Progress | None = None,
    count_refusals: bool = False,
) -> Evaluation:
    """Serve traffic with a policy and count what it blocks.

    Args:
        config: network and scenarios.
        policy: a heuristic's name, a checkpoint, an address in the run store, or a policy found before.
        requests: requests that count, over all lanes; rounded up to a multiple of the lanes.
        lanes: independent networks. From eight on, the interval is over lanes; below, over batches.
        seed: of the traffic; None: execution.eval_seed.
        scenario: its position among the scenarios.
        threads: cores that a heuristic may use; None: all. An agent uses what torch is set to.
        setting: what the domain prepared from this configuration before; None: prepared now.
        progress: told the number of requests served since it was last called.
        count_refusals: of a policy that rollouts run, too; those of other agents always are.

    Raises:
        FusionRLError: the policy is unknown, cannot be read, or does not fit the network.
    """
    domain = domain_of(config)
    chosen = find(policy, domain, config.execution.tracking_dir) if isinstance(policy, str) else policy
    setting = domain.prepare(config) if setting is None else setting
    seed = config.execution.eval_seed if seed is None else seed
    conditions: dict[str, object] = {
        **domain.conditions(setting, scenario),
        "requests": -(-requests // lanes) * lanes,
        "lanes": lanes,
        "seed": seed,
    }
    if isinstance(chosen, Heuristic) or chosen.in_rollouts is not None:
        run_as = chosen.name if isinstance(chosen, Heuristic) else chosen.in_rollouts(setting, scenario)  # type: ignore[misc]
        rollout = domain.run_heuristic(
            setting,
            run_as,
            requests=requests,
            lanes=lanes,
            seed=seed,
            scenario=scenario,
            threads=threads,
            count_refusals=count_refusals,
        )
        return Evaluation(
            chosen.name,
            conditions | {"threads": rollout.threads},
            rollout.tally,
            rollout.requests_per_second,
            rollout.gauge.usage,
            rollout.gauge.link_utilisation,
            refused=rollout.refused,
        )
    return _evaluate_agent(config, domain, setting, chosen, requests, lanes, seed, scenario, conditions, progress)


def evaluate_scenarios(config: ExperimentConfig, policy: str | Policy, **same: Any) -> Evaluation:
    """Evaluate a policy on every scenario, each on as many requests: by themselves and together.

    Args:
        config: network and scenarios.
        policy: as `evaluate` takes it.
        same: further arguments of `evaluate`, but for the scenario.
    """
    domain = domain_of(config)
    chosen = find(policy, domain, config.execution.tracking_dir) if isinstance(policy, str) else policy
    setting = same.pop("setting", None) or domain.prepare(config)
    return together(
        [evaluate(config, chosen, scenario=s, setting=setting, **same) for s in range(len(config.scenarios))]
    )


def together(parts: Sequence[Evaluation]) -> Evaluation:
    """One policy's results on several scenarios as one: a single one as it is.

    All are of the same number of requests, so the share that is blocked is the mean over scenarios. Its interval is
    over lanes: lane i of all scenarios is one part, since their traffic may have been drawn from the same numbers.
    A condition in which the scenarios differ becomes its value in `Each`.
    """
    if len(parts) == 1:
        return parts[0]
    tally = parts[0].tally
    for part in parts[1:]:
        tally = tally.plus(part.tally)
    conditions = {
        key: value if len(values) == 1 else Each(part.conditions.get(key) for part in parts)
        for key, value in parts[0].conditions.items()
        for values in [{repr(part.conditions.get(key)) for part in parts}]
    }
    seconds = sum(part.tally.requests / part.requests_per_second for part in parts)
    return Evaluation(
        policy=parts[0].policy,
        conditions=conditions,
        tally=tally,
        requests_per_second=tally.requests / seconds,
        usage={name: float(np.mean([part.usage[name] for part in parts])) for name in parts[0].usage},
        link_utilisation=np.mean([part.link_utilisation for part in parts], axis=0),
        parts=tuple(parts),
        refused=_sum_of_refused(parts),
    )


def side_by_side(parts: Sequence[Evaluation]) -> Evaluation:
    """One policy's results with several seeds of the same traffic as one: a single one as it is.

    Every lane of every seed is an independent part. Requests and lanes are counted together; the seed becomes that
    of `Each`.
    """
    if len(parts) == 1:
        return parts[0]
    tally = parts[0].tally
    for part in parts[1:]:
        tally = tally.beside(part.tally)
    counts: dict[str, Any] = {
        name: sum(int(str(part.conditions[name])) for part in parts) for name in ("requests", "lanes")
    }
    seconds = sum(part.tally.requests / part.requests_per_second for part in parts)
    return Evaluation(
        policy=parts[0].policy,
        conditions={**parts[0].conditions, **counts, "seed": Each(part.conditions["seed"] for part in parts)},
        tally=tally,
        requests_per_second=sum(part.tally.requests for part in parts) / seconds,
        usage={name: float(np.mean([part.usage[name] for part in parts])) for name in parts[0].usage},
        link_utilisation=np.mean([part.link_utilisation for part in parts], axis=0),
        refused=_sum_of_refused(parts),
    )


def _sum_of_refused(parts: Sequence[Evaluation]) -> int | None:
    counts = [part.refused for part in parts if part.refused is not None]
    return sum(counts) if len(counts) == len(parts) else None


def _evaluate_agent(
    config: ExperimentConfig,
    domain: Domain,
    setting: Any,
    agent: Agent,
    requests: int,
    lanes: int,
    seed: int,
    scenario: int,
    conditions: dict[str, object],
    progress: Progress | None,
) -> Evaluation:
    tally = domain.make_tally(setting, scenario, requests, lanes)
    steps = tally.warmup_requests + tally.requests
    shown = config.model_copy(update={"algorithm": agent.config.algorithm})
    simulator = domain.make_simulator(
        shown, setting, lanes, seed, scenario=scenario, warmup_requests=0, episode_requests=steps
    )
    require_fit(agent, simulator)
    started = time.perf_counter()
    simulator.reset(range(lanes))
    gauge, act = domain.make_gauge(setting), agent.begin()
    refused = 0
    for first in range(0, steps, _BLOCK):
        count = min(_BLOCK, steps - first)
        verdict = np.zeros((count, lanes), np.uint8)
        gbps = np.zeros((count, lanes))
        for i in range(count):
            could, actions = simulator.servable(), act(simulator.observations(), simulator.masks())
            outcome = simulator.step(actions).outcome
            verdict[i], gbps[i] = outcome.verdict, outcome.gbps
            if first + i >= tally.warmup_requests:
                refused += int((could & (outcome.verdict != 0)).sum())
        for lane in range(lanes):
            tally.add(lane, first, verdict[:, lane], gbps[:, lane])
        if first + count > tally.warmup_requests:
            simulator.measure(gauge)
        if progress is not None:
            progress(count * lanes)
    seconds = time.perf_counter() - started
    speed = steps * lanes / seconds
    return Evaluation(agent.name, conditions, tally, speed, gauge.usage, gauge.link_utilisation, refused=refused)
