"""Parity: one trained policy, three routes through the simulator, the same decisions.

The agent decides the same traffic through the VecEnv and through the single environment, and a replay serves
the recorded decisions without any environment. Every request on which two of them differ is counted.
"""

from typing import Any

import numpy as np

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import Domain
from fusion_rl.domains.optical.pipelines.orchestrator import Decisions, room_for
from fusion_rl.envs.make import create_sim_env
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.training.policies import Agent


def disagreements(
    config: ExperimentConfig, domain: Domain, setting: Any, agent: Agent, *, seed: int, requests: int
) -> int:
    """How many of a lane's first requests VecEnv, single environment and replay decide or serve differently."""
    batched = _through_vec_env(config, domain, setting, agent, seed, requests)
    single = _through_single_env(config, setting, agent, seed, requests)
    differs = np.zeros(requests, np.bool_)
    for other in (single, domain.replay(setting, batched, seed=seed)):
        for mine, theirs in zip(batched, other, strict=True):
            differs |= mine != theirs
    return int(differs.sum())


def _through_vec_env(
    config: ExperimentConfig, domain: Domain, setting: Any, agent: Agent, seed: int, requests: int
) -> Decisions:
    # Two lanes, so that the one that is compared has a neighbour that could disturb it.
    simulator = domain.make_simulator(
        config, setting, 2, seed, scenario=0, warmup_requests=0, episode_requests=requests
    )
    env = OpticalVecEnv(simulator)
    decided = room_for(requests)
    act = agent.begin()
    observations: Any = env.reset()
    for t in range(requests):
        observations, *_ = env.step(act(observations, env.action_masks()))
        _note(decided, t, env.outcome)
    return decided


def _through_single_env(config: ExperimentConfig, setting: Any, agent: Agent, seed: int, requests: int) -> Decisions:
    env = create_sim_env(
        config, True, setting=setting, seed=seed, scenario=0, warmup_requests=0, episode_requests=requests
    )
    decided = room_for(requests)
    act = agent.begin()
    observation, _ = env.reset()
    for t in range(requests):
        action = act(_as_batch(observation), env.action_masks()[None])
        observation, _, _, _, info = env.step(int(action[0]))
        _note(decided, t, info["outcome"])
    return decided


def _note(decided: Decisions, t: int, outcome: Any) -> None:
    decided.verdict[t], decided.path[t], decided.start[t] = outcome.verdict[0], outcome.path[0], outcome.start[0]


def _as_batch(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {name: part[None] for name, part in observation.items()}
    return observation[None]
