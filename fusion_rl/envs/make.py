"""From a configuration to its domain, and to an environment."""

from importlib import import_module
from typing import Any, cast

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import Domain
from fusion_rl.envs.unified import UnifiedSimEnv

DOMAINS = {"optical": "fusion_rl.domains.optical.domain"}


def domain_of(config: ExperimentConfig) -> Domain:
    """The domain that a configuration's network belongs to."""
    return cast(Domain, import_module(DOMAINS[config.network.domain]))


def create_sim_env(
    config: ExperimentConfig, *, setting: Any = None, seed: int | None = None, **episode: int | None
) -> UnifiedSimEnv:
    """A gymnasium environment of one lane.

    Args:
        config: network, scenarios, reward, and the algorithm's observation and action codec.
        setting: what the domain prepared from this configuration before; None: prepared now.
        seed: of the traffic; None: execution.seed.
        episode: `warmup_requests` and `episode_requests`, in place of the scenario's own.
    """
    domain = domain_of(config)
    setting = domain.prepare(config) if setting is None else setting
    return UnifiedSimEnv(
        domain.make_simulator(config, setting, 1, config.execution.seed if seed is None else seed, **episode)
    )
