"""The algorithm concern: which agent learns, and its hyperparameters under Stable-Baselines3's own names.

Model defaults are Stable-Baselines3's (2.9); a preset is where values tuned for our environments go.
"""

from typing import TypeAlias

from fusion_rl.config.evolution import EvolutionConfig
from fusion_rl.config.policy_gradient import (
    A2CConfig,
    MaskablePPOConfig,
    PPOConfig,
    RecurrentPPOConfig,
    TRPOConfig,
)
from fusion_rl.config.value_based import (
    DQNConfig,
    EpsilonGreedyConfig,
    MaskedDQNConfig,
    MaskedQRDQNConfig,
    QLearningConfig,
    QRDQNConfig,
    UCBConfig,
)

AlgorithmConfig: TypeAlias = (
    MaskablePPOConfig
    | PPOConfig
    | A2CConfig
    | DQNConfig
    | QRDQNConfig
    | RecurrentPPOConfig
    | TRPOConfig
    | MaskedDQNConfig
    | MaskedQRDQNConfig
    | QLearningConfig
    | EpsilonGreedyConfig
    | UCBConfig
    | EvolutionConfig
)

# name -> settings: a new algorithm is a model, its name in AlgorithmConfig and a row here
ALGORITHM_MODELS: dict[str, type[AlgorithmConfig]] = {
    "maskable-ppo": MaskablePPOConfig,
    "ppo": PPOConfig,
    "a2c": A2CConfig,
    "dqn": DQNConfig,
    "qr-dqn": QRDQNConfig,
    "recurrent-ppo": RecurrentPPOConfig,
    "trpo": TRPOConfig,
    "masked-dqn": MaskedDQNConfig,
    "masked-qr-dqn": MaskedQRDQNConfig,
    "q-learning": QLearningConfig,
    "epsilon-greedy": EpsilonGreedyConfig,
    "ucb": UCBConfig,
    "evolution": EvolutionConfig,
}
