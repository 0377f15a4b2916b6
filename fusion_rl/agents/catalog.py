"""From an algorithm's settings to an agent.

The class of each algorithm stands in `fusion_rl.tracking.sb3_classes`, which a stored model needs too; this
module knows how an agent is made.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from fusion_rl.arrays import AnyArray, Bools, Ints64
from fusion_rl.config.algorithm import AlgorithmConfig
from fusion_rl.tracking.sb3_classes import sb3_class

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

MASKED = frozenset({"maskable-ppo"})  # algorithms that are shown which actions can be served

Act = Callable[[AnyArray | dict[str, AnyArray], Bools], Ints64]


def make_agent(settings: AlgorithmConfig, env: "VecEnv", *, seed: int, device: str) -> "BaseAlgorithm":
    """An untrained agent on an environment.

    Args:
        settings: algorithm, hyperparameters and network.
        env: what it will be trained on.
        seed: of the initial weights, of exploration, and of the traffic.
        device: "cpu", "cuda" or "auto".
    """
    from torch import nn

    activations = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}
    policy = settings.policy or default_policy(env.observation_space)
    return sb3_class(settings.name)(
        policy,
        env,
        policy_kwargs={
            "net_arch": list(settings.net_arch),
            "activation_fn": activations[settings.activation],
            **settings.policy_arguments(),
        },
        seed=seed,
        device=device,
        verbose=0,
        **settings.hyperparameters(),
    )


def default_policy(space: spaces.Space[Any]) -> str:
    """The usual policy for an observation space."""
    return "MultiInputPolicy" if isinstance(space, spaces.Dict) else "MlpPolicy"


def greedy(agent: "BaseAlgorithm", algorithm: str) -> Act:
    """The agent's best action for each lane, as a function (observations, masks [B, A]) -> actions [B]."""

    def act(observations: AnyArray | dict[str, AnyArray], masks: Bools) -> Ints64:
        shown: dict[str, Any] = {"action_masks": masks} if algorithm in MASKED else {}
        actions, _ = agent.predict(observations, deterministic=True, **shown)
        return np.asarray(actions, np.int64)

    return act
