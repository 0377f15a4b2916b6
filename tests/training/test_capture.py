"""The state of a training as plain data, for algorithms and callbacks with memories of other kinds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sb3_contrib import TRPO, RecurrentPPO
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical import domain
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.errors import CheckpointError
from fusion_rl.testing import tiny
from fusion_rl.training import bundle, resume
from fusion_rl.training.checkpoints import weights_sha256

SMALL: dict[str, Any] = {"seed": 3, "policy_kwargs": {"net_arch": [8]}}
AGENTS: dict[str, Any] = {
    "recurrent": lambda env: RecurrentPPO(
        "MlpLstmPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=3, policy_kwargs={"lstm_hidden_size": 4}
    ),
    "trust region": lambda env: TRPO("MlpPolicy", env, n_steps=32, batch_size=32, **SMALL),
    "n-step returns, full buffer": lambda env: DQN(
        "MlpPolicy", env, n_steps=3, buffer_size=100, learning_starts=20, batch_size=8, **SMALL
    ),
    "frugal buffer": lambda env: DQN(
        "MlpPolicy", env, buffer_size=400, learning_starts=20, batch_size=8, optimize_memory_usage=True,
        replay_buffer_kwargs={"handle_timeout_termination": False}, **SMALL,
    ),
}  # fmt: skip


def lanes(count: int = 2) -> OpticalVecEnv:
    reward = RewardConfig()
    return OpticalVecEnv(
        OpticalSimulator(tiny.setting(), num_lanes=count, observation="deeprmsa", action="path", reward=reward, seed=1)
    )


class KeepAt(BaseCallback):
    """Keeps the state of a training when it first comes to a step, and counts steps itself."""

    def __init__(self, step: int, path: Path) -> None:
        super().__init__()
        self.step, self.path, self.counted = step, path, 0

    def _on_rollout_start(self) -> None:
        assert self.model.env is not None
        if self.model.num_timesteps >= self.step and not self.path.exists():
            bundle.write(self.path, resume.capture(self.model, self.model.env, domain, [self]), {})  # type: ignore[arg-type]

    def _on_step(self) -> bool:
        self.counted += 1
        return True

    def state_dict(self) -> Mapping[str, Any]:
        return {"counted": self.counted}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.counted = state["counted"]


@pytest.mark.parametrize("kind", AGENTS)
def test_learning_that_is_restored_goes_on_alike(kind: str, tmp_path: Path) -> None:
    keep = KeepAt(190, tmp_path / "half.bundle")
    whole: BaseAlgorithm = AGENTS[kind](lanes())
    whole.learn(400, callback=keep)
    env = lanes()
    part: BaseAlgorithm = AGENTS[kind](env)
    tree, _ = bundle.read(keep.path)
    again = KeepAt(10**9, tmp_path / "none.bundle")
    resume.restore(part, env, domain, tree, [again])
    assert 0 < part.num_timesteps < 400
    part.learn(400 - part.num_timesteps, callback=again, reset_num_timesteps=False)
    assert weights_sha256(part) == weights_sha256(whole)
    assert part.num_timesteps == whole.num_timesteps
    assert again.counted == keep.counted
    assert list(part.ep_info_buffer or ()) == list(whole.ep_info_buffer or ())
    np.testing.assert_array_equal(part._last_obs, whole._last_obs)  # type: ignore[arg-type]


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    keep = KeepAt(10, tmp_path / "half.bundle")
    AGENTS["trust region"](lanes()).learn(100, callback=keep)
    env = lanes()
    other = TRPO("MlpPolicy", env, n_steps=32, batch_size=32, policy_kwargs={"net_arch": [9]})
    with pytest.raises(CheckpointError, match="does not fit this training"):
        resume.restore(other, env, domain, bundle.read(keep.path)[0])
