"""`create_environment`, the entry of old: kept for scripts that call it, and saying where to go."""

import warnings
from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.envs.make import create_sim_env
from fusion_rl.envs.unified import UnifiedSimEnv


class BlockingOfEpisodes(BaseCallback):
    """Logs the share of requests that were blocked in each episode as `rollout/service_blocking`."""

    def _on_training_start(self) -> None:
        self._blocked = np.zeros(self.training_env.num_envs, np.int64)
        self._requests = np.zeros(self.training_env.num_envs, np.int64)

    def _on_step(self) -> bool:
        self._requests += 1
        self._blocked += [int(info["outcome"].verdict[0] != 0) for info in self.locals["infos"]]
        for b in np.flatnonzero(self.locals["dones"]):
            self.logger.record_mean("rollout/service_blocking", self._blocked[b] / self._requests[b])
            self._blocked[b] = self._requests[b] = 0
        return True


def create_environment(
    config_path: str | Path | None = None,
) -> tuple[UnifiedSimEnv, ExperimentConfig, list[BaseCallback]]:
    """Read an experiment and make its environment.

    Deprecated: `load_config` and `create_sim_env` do this, and `train` all that follows.

    Args:
        config_path: experiment file or preset; None: the default experiment.

    Returns:
        The environment that `create_sim_env(config)` makes; the configuration; callbacks for a
        Stable-Baselines3 agent that learns on it.

    Raises:
        ConfigError: the experiment cannot be read or simulated.
    """
    warnings.warn(
        "create_environment is the entry of old: read with config = fusion_rl.load_config(config_path).config, then"
        " fusion_rl.create_sim_env(config) makes an environment, and fusion_rl.train(config) trains on many lanes",
        DeprecationWarning,
        stacklevel=2,
    )
    config = load(config_path).config
    return create_sim_env(config), config, [BlockingOfEpisodes()]
