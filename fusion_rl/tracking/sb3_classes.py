"""Which class reads the checkpoint of which algorithm.

Apart from the wrapper that uses it, so that others can read the table without importing mlflow or torch.
"""

from __future__ import annotations

from importlib import import_module
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
}


def sb3_class(algorithm: str) -> type[BaseAlgorithm]:
    """The SB3 class of an algorithm; imports torch.

    Raises:
        UnknownNameError: if the table has no such algorithm.
    """
    if algorithm not in SB3_CLASSES:
        raise UnknownNameError("algorithm", algorithm, SB3_CLASSES)
    module, _, name = SB3_CLASSES[algorithm].partition(":")
    found: type[BaseAlgorithm] = getattr(import_module(module), name)
    return found
