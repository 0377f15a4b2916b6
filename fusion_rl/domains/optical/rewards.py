"""Rewards by name. A reward is a function of the outcomes of all lanes at once, so it may be plain numpy.

Register your own from a notebook::

    @REWARDS.register("my-reward", replace=True)
    def my_reward(config: RewardConfig, world: World) -> RewardFunction:
        weight = config.parameters.get("weight", 1.0)
        return lambda outcome: np.where(outcome.verdict == ACCEPTED, weight, -1.0).astype(np.float32)
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fusion_rl.arrays import Floats32
from fusion_rl.catalog import Catalog
from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical.pipelines.batch import Outcome
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED
from fusion_rl.domains.optical.world import World
from fusion_rl.errors import ConfigError

RewardFunction: TypeAlias = Callable[[Outcome], Floats32]
RewardMaker: TypeAlias = Callable[[RewardConfig, World], RewardFunction]

REWARDS: Catalog[RewardMaker] = Catalog("reward")


@REWARDS.register("service")
def service(config: RewardConfig, world: World) -> RewardFunction:
    """`success` for a served request, `block` for a blocked one.

    With `bandwidth_weighted`, both count in proportion to the request's bandwidth, 1 for the largest.
    `efficiency_weight` adds, for a served request, that weight times its resource efficiency: Gb/s carried for
    each GHz and hop that it takes, as a share of the most that the formats allow, in (0, 1]. `grooming_bonus` adds
    that much times the share of the request that rides on lightpaths which ran before; `slicing_penalty` takes that
    much for each lightpath beyond the first that a sliced request needs.
    """
    if config.parameters:
        raise ConfigError(f"reward 'service' has no parameters {sorted(config.parameters)}; set its own fields")
    best = float(world.path_efficiency.max()) or 1.0
    slot_ghz = world.slot_width_ghz
    own_lightpaths = 2 if world.rules is not None and world.rules.protected else 1

    def reward(outcome: Outcome) -> Floats32:
        served = outcome.verdict == ACCEPTED
        value = np.where(served, config.success, config.block)
        if config.bandwidth_weighted:
            value = value * (outcome.gbps / world.max_gbps)
        if config.efficiency_weight:
            lit = outcome.slot_hops > 0  # a request that rides on running lightpaths takes nothing: 1
            taken_ghz = np.maximum(outcome.slot_hops, 1) * slot_ghz
            share = (outcome.gbps - outcome.groomed_gbps) / (taken_ghz * best)
            value = value + served * config.efficiency_weight * np.where(lit, share, 1.0)
        if config.grooming_bonus:
            value = value + config.grooming_bonus * outcome.groomed_gbps / outcome.gbps
        if config.slicing_penalty:
            value = value - config.slicing_penalty * np.maximum(outcome.lightpaths - own_lightpaths, 0)
        return value.astype(np.float32)

    return reward
