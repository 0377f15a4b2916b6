"""From an algorithm's settings to an agent.

The class of each algorithm stands in `fusion_rl.tracking.sb3_classes`, which a stored model needs too; this
module knows how an agent is made.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from fusion_rl.arrays import AnyArray, Bools, Ints64
from fusion_rl.config.agent import NetworkAgent
from fusion_rl.config.algorithm import AlgorithmConfig
from fusion_rl.config.evolution import EvolutionConfig
from fusion_rl.config.schedule import LAWS
from fusion_rl.config.value_based import DQNFamily
from fusion_rl.errors import ConfigError, PolicyError
from fusion_rl.tracking.sb3_classes import MASKED, sb3_class

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import VecEnv

Act = Callable[[AnyArray | dict[str, AnyArray], Bools], Ints64]

# the policies of `path_networks`, by algorithm
_PATH_POLICIES = {
    "maskable-ppo": "MaskablePathPolicy",
    "ppo": "PathPolicy",
    "a2c": "PathPolicy",
    "trpo": "PathPolicy",
    "dqn": "PathDQNPolicy",
    "masked-dqn": "PathDQNPolicy",
    "qr-dqn": "PathQRDQNPolicy",
    "masked-qr-dqn": "PathQRDQNPolicy",
}


def make_agent(settings: AlgorithmConfig, env: "VecEnv", *, seed: int, device: str) -> "BaseAlgorithm":
    """An untrained agent on an environment.

    Args:
        settings: algorithm, hyperparameters and network.
        env: what it will be trained on.
        seed: of the initial weights, of exploration, and of the traffic.
        device: "cpu", "cuda" or "auto".

    Raises:
        ConfigError: the observation lacks what the algorithm or its network reads.
        PolicyError: the environment lacks it.
    """
    from fusion_rl.agents.schedules import as_schedule

    policy, arguments = _policy(settings, env)
    agent = sb3_class(settings.name)(
        policy, env, seed=seed, device=device, verbose=0, **arguments, **_hyperparameters(settings)
    )
    if isinstance(settings, DQNFamily) and settings.exploration is not None:
        agent.exploration_schedule = as_schedule(settings.exploration)  # type: ignore[attr-defined]
    return agent


def callbacks_of(settings: AlgorithmConfig) -> "list[BaseCallback]":
    """What has to run beside learning for the settings to hold."""
    from fusion_rl.agents.schedules import EntropyCoefficient, as_schedule

    weight = getattr(settings, "ent_coef", None)
    return [EntropyCoefficient(as_schedule(weight))] if isinstance(weight, LAWS) else []


def _hyperparameters(settings: AlgorithmConfig) -> dict[str, Any]:
    """Arguments of the algorithm's class, laws as schedules."""
    from fusion_rl.agents.schedules import as_schedule

    given = settings.hyperparameters()
    laws = {name: as_schedule(value) for name, value in given.items() if isinstance(value, LAWS)}
    if "ent_coef" in laws:
        return given | laws | {"ent_coef": laws["ent_coef"](1.0)}  # a number, which the callback changes
    return given | laws


def _policy(settings: AlgorithmConfig, env: "VecEnv") -> tuple[Any, dict[str, Any]]:
    """The policy's class or name, and the arguments that go with it."""
    by_part = isinstance(env.observation_space, spaces.Dict)
    if isinstance(settings, EvolutionConfig):
        return "ScorePolicy", {}
    if not isinstance(settings, NetworkAgent):
        return "TablePolicy", {}
    if by_part and isinstance(settings, DQNFamily) and settings.n_steps > 1 and settings.name not in MASKED:
        raise ConfigError(
            f"algorithm.n_steps of {settings.name} must be 1 with the observation '{settings.observation}': returns of"
            f" more steps need a flat one, as deeprmsa, or masked-{settings.name}"
        )
    from torch import nn

    activations = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}
    arguments = {
        "net_arch": list(settings.net_arch),
        "activation_fn": activations[settings.activation],
        **settings.policy_arguments(),
    }
    if settings.features == "mlp":
        recurrent = "Lstm" if settings.name == "recurrent-ppo" else ""
        return f"{'MultiInput' if by_part else 'Mlp'}{recurrent}Policy", {"policy_kwargs": arguments}
    if not env.has_attr("simulator"):
        raise PolicyError(f"algorithm.features {settings.features} needs lanes of our simulator, as OpticalVecEnv has")
    from fusion_rl.agents import path_networks

    extractor, made_with = _extractor(settings, env.get_attr("simulator")[0].setting)
    arguments |= {"features_extractor_class": extractor, "features_extractor_kwargs": made_with}
    return getattr(path_networks, _PATH_POLICIES[settings.name]), {"policy_kwargs": arguments}


def _extractor(settings: NetworkAgent, setting: Any) -> tuple[type[Any], dict[str, Any]]:
    from fusion_rl.agents.candidate_features import CandidateFeatures, candidate_arguments
    from fusion_rl.agents.graph_features import GraphFeatures, graph_arguments
    from fusion_rl.agents.path_features import PathFeatures, path_arguments

    if settings.features == "paths":
        return PathFeatures, path_arguments(settings.observation, setting.world)
    if settings.features == "candidates":
        return CandidateFeatures, candidate_arguments(settings.observation, settings.action, setting.world)
    rounds, units = settings.graph_rounds, settings.graph_units
    return GraphFeatures, graph_arguments(settings.observation, setting, rounds, units)


def greedy(agent: "BaseAlgorithm", algorithm: str) -> Act:
    """The agent's best action for each lane, as a function (observations, masks [B, A]) -> actions [B].

    The function remembers what a recurrent agent remembers, so one of them serves one run of consecutive requests
    on the same lanes.
    """
    state: Any = None

    def act(observations: AnyArray | dict[str, AnyArray], masks: Bools) -> Ints64:
        nonlocal state
        shown: dict[str, Any] = {"action_masks": masks} if algorithm in MASKED else {}
        actions, state = agent.predict(observations, state=state, deterministic=True, **shown)
        return np.asarray(actions, np.int64)

    return act
