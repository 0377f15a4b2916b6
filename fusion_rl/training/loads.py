"""The same network and the same policies at several loads."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.scenarios import ScenariosConfig
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import ConfigError
from fusion_rl.training.evaluate import Evaluation, evaluate, side_by_side
from fusion_rl.training.policies import Agent, Policy, find, require_fit


def over_loads(
    config: ExperimentConfig,
    policies: Sequence[str | Policy],
    loads_erlang: Sequence[float],
    *,
    scenario: int = 0,
    seeds: Sequence[int | None] = (None,),
    told: Callable[[float, str], object] = lambda load, policy: None,
    **size: Any,
) -> dict[float, list[Evaluation]]:
    """Evaluate policies at several loads; at each of them all meet the same requests.

    The loads share their random numbers: at twice the load the same requests arrive in half the time. So what
    differs between two loads is the load, as far as that can be.

    Args:
        config: network and scenarios.
        policies: as `evaluate` takes them.
        loads_erlang: nominal loads, Erlang.
        scenario: whose load is changed, by position.
        seeds: of the traffic; None: execution.eval_seed. Their lanes count side by side.
        told: of each load and policy before it is served.
        size: further arguments of `evaluate`: requests and lanes (of each seed), threads, count_refusals.

    Returns:
        Load -> evaluations, in the order of the policies; loads ascending.

    Raises:
        FusionRLError: a load or policy cannot be used, or the scenario replays a trace.
    """
    at = at_loads(config, scenario, loads_erlang)
    if not loads_erlang:
        return {}
    domain = domain_of(at)
    chosen = [
        find(policy, domain, config.execution.tracking_dir) if isinstance(policy, str) else policy
        for policy in policies
    ]
    setting = domain.prepare(at)
    found: dict[float, list[Evaluation]] = {}
    for number, load in enumerate(sorted(set(loads_erlang))):
        found[load] = []
        for policy in chosen:
            told(load, policy.name)
            found[load].append(over_seeds(at, policy, seeds, scenario=number, setting=setting, **size))
    return found


def over_seeds(config: ExperimentConfig, policy: str | Policy, seeds: Sequence[int | None], **size: Any) -> Evaluation:
    """Evaluate a policy on the traffic of several seeds, whose lanes count side by side."""
    return side_by_side([evaluate(config, policy, seed=seed, **size) for seed in seeds])


def at_loads(config: ExperimentConfig, scenario: int, loads_erlang: Sequence[float]) -> ExperimentConfig:
    """The configuration with one scenario in as many copies as there are loads, ascending.

    Raises:
        ConfigError: a load is not above 0, or the scenario replays a trace, whose load is what it is.
    """
    original = config.scenarios[scenario]
    if loads_erlang and original.trace is not None:
        raise ConfigError(f"loads cannot change what trace {original.trace} offers: leave them out")
    wrong = next((load for load in loads_erlang if not 0 < load < float("inf")), None)
    if wrong is not None:
        raise ConfigError(f"a load must be above 0 Erlang, not {wrong:g}")
    copies = tuple(
        original.model_copy(update={"name": f"{original.name}-at-{_in_a_name(load)}", "load_erlang": load})
        for load in sorted(set(loads_erlang))
    )
    return config.model_copy(update={"scenarios": ScenariosConfig(copies)}) if copies else config


def _in_a_name(number: float) -> str:
    """A number as names of scenarios may have it: no point, no plus."""
    return f"{number:.15g}".replace(".", "_").replace("+", "")


def check_agents(
    config: ExperimentConfig,
    setting: Any,
    policies: Sequence[Policy],
    seeds: Sequence[int | None] = (None,),
    threads: int | None = None,
) -> None:
    """Refuse an agent that does not fit before anything is served, and say so if it would meet familiar traffic.

    Args:
        config: network, scenarios and execution.
        setting: what the domain prepared from it.
        policies: agents among them get as many cores as torch may use.
        seeds: of the traffic; None: execution.eval_seed.
        threads: cores; None: execution.torch_threads.

    Raises:
        PolicyError: an agent was trained on other observations or actions.
    """
    agents = [policy for policy in policies if isinstance(policy, Agent)]
    if not agents:
        return
    import torch

    torch.set_num_threads(config.execution.torch_threads if threads is None else threads)
    met = [config.execution.eval_seed if seed is None else seed for seed in seeds]
    for agent in agents:
        if agent.in_rollouts is None:  # else it fits any network
            shown = config.model_copy(update={"algorithm": agent.config.algorithm})
            require_fit(agent, domain_of(config).make_simulator(shown, setting, 1, 0))
        if agent.config.execution.seed in met:
            warnings.warn(
                f"policy {agent.name} was trained with seed {agent.config.execution.seed} too: on this traffic "
                "it may look better than it is; another --seed is fairer",
                stacklevel=2,
            )
