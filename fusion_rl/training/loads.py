"""The same network and the same policies at several loads."""

from collections.abc import Callable, Sequence
from typing import Any

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.scenarios import ScenariosConfig
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import ConfigError
from fusion_rl.training.evaluate import Evaluation, evaluate
from fusion_rl.training.policies import Policy, find


def over_loads(
    config: ExperimentConfig,
    policies: Sequence[str | Policy],
    loads_erlang: Sequence[float],
    *,
    scenario: int = 0,
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
        told: of each load and policy before it is served.
        size: further arguments of `evaluate`: requests, lanes, seed, threads.

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
            found[load].append(evaluate(at, policy, scenario=number, setting=setting, **size))
    return found


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
        original.model_copy(update={"name": f"{original.name}-at-{number}", "load_erlang": load})
        for number, load in enumerate(sorted(set(loads_erlang)))
    )
    return config.model_copy(update={"scenarios": ScenariosConfig(copies)}) if copies else config
