"""Which class reads the checkpoint of which algorithm.

Apart from the wrapper that uses it, so that others can read the table without importing mlflow or torch.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fusion_rl.errors import UnknownNameError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

SB3_CLASSES = {
    "maskable-ppo": "sb3_contrib:MaskablePPO",
    "ppo": "stable_baselines3:PPO",
    "a2c": "stable_baselines3:A2C",
    "dqn": "stable_baselines3:DQN",
    "qr-dqn": "sb3_contrib:QRDQN",
    "recurrent-ppo": "sb3_contrib:RecurrentPPO",
    "trpo": "sb3_contrib:TRPO",
    "masked-dqn": "fusion_rl.agents.masked_dqn:MaskedDQN",
    "masked-qr-dqn": "fusion_rl.agents.masked_dqn:MaskedQRDQN",
    "q-learning": "fusion_rl.agents.tabular.q_learning:QLearning",
    "epsilon-greedy": "fusion_rl.agents.tabular.bandits:EpsilonGreedyBandit",
    "ucb": "fusion_rl.agents.tabular.bandits:UCBBandit",
    "evolution": "fusion_rl.agents.evolution.agent:Evolution",
}
# those that are shown which actions can be served
MASKED = {"maskable-ppo", "masked-dqn", "masked-qr-dqn", "q-learning", "epsilon-greedy", "ucb", "evolution"}
# those that remember earlier requests
RECURRENT = frozenset({"recurrent-ppo"})


def sb3_class(algorithm: str) -> type[BaseAlgorithm]:
    """The class of an algorithm, SB3's or one that is used like those; imports torch.

    Raises:
        UnknownNameError: if the table has no such algorithm.
    """
    if algorithm not in SB3_CLASSES:
        raise UnknownNameError("algorithm", algorithm, SB3_CLASSES)
    module, _, name = SB3_CLASSES[algorithm].partition(":")
    found: type[BaseAlgorithm] = getattr(import_module(module), name)
    return found


def load_zip(algorithm: str, path: str | Path, device: str = "cpu") -> BaseAlgorithm:
    """The agent in a zip that its class saved. It unpickles: a zip from a stranger runs the stranger's code.

    Raises:
        UnknownNameError: if the table has no such algorithm.
        Exception: whatever Stable-Baselines3 lets through of zipfile, pickle and torch.
    """
    with warnings.catch_warnings():
        # of a DQN that was saved with its buffer of returns of several steps: Stable-Baselines3 takes these for ignored
        warnings.filterwarnings("ignore", "`n_steps=", UserWarning)
        return sb3_class(algorithm).load(path, device=device)
