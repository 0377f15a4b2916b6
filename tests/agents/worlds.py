"""Small worlds for agents: the tiny network, with the agent that is asked for."""

from typing import Any

import numpy as np

from fusion_rl.agents.catalog import make_agent
from fusion_rl.config.algorithm import ALGORITHM_MODELS, AlgorithmConfig
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.testing.algorithm_contract import lanes_for


def settings_of(name: str, **values: Any) -> AlgorithmConfig:
    """Settings of an algorithm, small where nothing else is said."""
    model = ALGORITHM_MODELS[name]
    small = {
        "net_arch": [16],
        "n_steps": 16 if "ppo" in name or name in ("a2c", "trpo") else 1,
        "batch_size": 32,
        "n_epochs": 1,
        "lstm_hidden_size": 8,
        "buffer_size": 2_000,
        "learning_starts": 64,
        "n_quantiles": 5,
    }
    fitting = {key: value for key, value in small.items() if key in model.model_fields}
    return model.model_validate({"name": name, **fitting, **values})


def agent_of(name: str, **values: Any) -> tuple[Any, OpticalVecEnv]:
    """An untrained agent and the lanes that it will learn on."""
    settings = settings_of(name, **values)
    env = lanes_for(settings)
    return make_agent(settings, env, seed=1, device="cpu"), env


def seen_after(env: OpticalVecEnv, steps: int) -> Any:
    """Observations of the lanes after some random steps."""
    chooser = np.random.default_rng(1)
    observations: Any = env.reset()
    for _ in range(steps):
        actions = [chooser.choice(np.flatnonzero(mask)) for mask in env.action_masks()]
        observations, *_ = env.step(np.array(actions))
    return observations
