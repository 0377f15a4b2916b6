"""Every algorithm keeps its contract."""

from typing import Any

import pytest

from fusion_rl.config.algorithm import ALGORITHM_MODELS, AlgorithmConfig
from fusion_rl.testing.algorithm_contract import AlgorithmContract

ROLLOUTS = {"n_steps": 32, "batch_size": 128, "n_epochs": 4, "learning_rate": 3e-3}
REPLAY = {
    "observation": "unified",
    "learning_rate": 2e-3,
    "buffer_size": 5_000,
    "learning_starts": 200,
    "batch_size": 64,
    "gradient_steps": 4,
    "target_update_interval": 200,
    "exploration": {"kind": "linear", "start": 0.5, "end": 0.02},
}
QUANTILES = {**REPLAY, "learning_rate": 1e-3, "n_quantiles": 10}
QUICK: dict[str, dict[str, Any]] = {
    "maskable-ppo": ROLLOUTS,
    "ppo": ROLLOUTS,
    "recurrent-ppo": {**ROLLOUTS, "lstm_hidden_size": 16},
    "a2c": {"n_steps": 16, "learning_rate": 3e-3},
    "trpo": {"n_steps": 64, "batch_size": 128, "learning_rate": 3e-3},
    "dqn": REPLAY,
    "masked-dqn": {**REPLAY, "n_steps": 4},
    "qr-dqn": QUANTILES,
    "masked-qr-dqn": {**QUANTILES, "n_steps": 4},
    "q-learning": {"learning_rate": {"kind": "linear", "start": 0.3, "end": 0.02}},
    "epsilon-greedy": {},
    "ucb": {"confidence": 2.0},
    "evolution": {"score": "linear", "population": 6, "requests": 40, "warmup_requests": 20},
}


def quick(name: str, **changes: Any) -> AlgorithmConfig:
    """Settings that learn the tiny world in a few seconds."""
    model = ALGORITHM_MODELS[name]
    small = {"gamma": 0.9, "net_arch": [32]}
    fitting = {key: value for key, value in small.items() if key in model.model_fields}
    return model.model_validate({"name": name, **fitting, **QUICK[name], **changes})


@pytest.mark.parametrize("name", ALGORITHM_MODELS)
class TestAlgorithms(AlgorithmContract):
    steps = 8_000

    def settings(self, name: str) -> AlgorithmConfig:
        return quick(name)
