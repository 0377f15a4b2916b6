"""From a configuration to its domain, and to an environment."""

import os
from importlib import import_module
from typing import Any, cast

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import Domain
from fusion_rl.envs.unified import UnifiedSimEnv
from fusion_rl.errors import UnknownNameError

DOMAINS = {"optical": "fusion_rl.domains.optical.domain"}

# environment variables that choose for callers who do not, each with its values; the first that is set counts
SWITCHES = {
    "USE_UNIFIED_ENV": {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False},
    "RL_ENV_TYPE": {"unified": True, "legacy": False},
}


def domain_of(config: ExperimentConfig) -> Domain:
    """The domain that a configuration's network belongs to."""
    return cast(Domain, import_module(DOMAINS[config.network.domain]))


def create_sim_env(
    config: ExperimentConfig,
    use_unified: bool | None = None,
    *,
    setting: Any = None,
    seed: int | None = None,
    **episode: int | None,
) -> UnifiedSimEnv:
    """A gymnasium environment of one lane.

    Args:
        config: network, scenarios, reward, and the algorithm's observation and action codec.
        use_unified: whether it is `UnifiedSimEnv`, which shows the algorithm's observation, whatever it is, or
            `GeneralSimEnv` of old, which shows one of FUSION's sets: the algorithm's observation if that is one
            (obs_1 .. obs_8), and otherwise obs_8. None: as USE_UNIFIED_ENV says, or else RL_ENV_TYPE, or else
            unified. Both decide the same requests alike.
        setting: what the domain prepared from this configuration before; None: prepared now.
        seed: of the traffic; None: execution.seed.
        episode: `warmup_requests` and `episode_requests`, in place of the scenario's own; `scenario`, its number (of
            several, its one lane otherwise runs the next one each episode).

    Raises:
        UnknownNameError: an environment variable has a value that means nothing, or an entry has no such name.
        ConfigError, TopologyError, TrafficError: the configuration cannot be simulated.
    """
    unified = unified_by_environment() if use_unified is None else use_unified
    kind: type[UnifiedSimEnv] = UnifiedSimEnv
    if not unified:
        # here, since it is the optical domain's: the other domains do not load that one's simulator
        from fusion_rl.envs.legacy import GeneralSimEnv, with_observation_set

        kind, config = GeneralSimEnv, with_observation_set(config)
    domain = domain_of(config)
    setting = domain.prepare(config) if setting is None else setting
    return kind(domain.make_simulator(config, setting, 1, config.execution.seed if seed is None else seed, **episode))


def unified_by_environment() -> bool:
    """Whether the environment variables ask for the unified environment, which they do if none is set.

    Raises:
        UnknownNameError: the value of the one that counts means nothing.
    """
    for variable, values in SWITCHES.items():
        given = os.environ.get(variable)
        if given is not None:
            if given.strip().lower() not in values:
                raise UnknownNameError("value", given, values, where=f"environment variable {variable}")
            return values[given.strip().lower()]
    return True
