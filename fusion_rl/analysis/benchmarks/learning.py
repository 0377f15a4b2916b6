"""Training end to end, and how near it comes to training on an environment that costs nothing."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from fusion_rl.agents.catalog import make_agent
from fusion_rl.analysis.benchmarks.environments import make_simulator
from fusion_rl.analysis.benchmarks.measure import BENCHMARKS, Measurement, Size, alternating, measured, workload
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.envs.vector import OpticalVecEnv


@BENCHMARKS.register("maskable-ppo")
def maskable_ppo(size: Size) -> Iterator[Measurement]:
    """MaskablePPO, and the same on a free environment."""
    config = workload().config
    lanes, algorithm = config.execution.lanes, config.algorithm
    torch.set_num_threads(1)
    env = OpticalVecEnv(make_simulator(lanes, algorithm.observation, algorithm.action))
    learners = [_learner(config, env), _learner(config, _FreeVecEnv(env))]
    tasks = [partial(learn, size.learning_steps) for learn in learners]
    alternating(tasks, 1)  # what is done once, is done now
    ours, ceiling = alternating(tasks, size.repetitions)
    same = {
        **workload().conditions,
        "lanes": lanes,
        "steps": size.learning_steps,
        "torch_threads": 1,
        "algorithm": algorithm.model_dump(mode="json"),
    }
    timed = "agent.learn: rollouts with masks, the resets that fall due, updates; no evaluation, no run log"
    yield measured("MaskablePPO", ours, "steps/s", timed, **same)
    timed = "the same on an environment that returns constant arrays of the same spaces"
    yield measured("MaskablePPO, free environment", ceiling, "steps/s", timed, **same)
    timed = "the first divided by the second, repetition by repetition, in turns"
    ratios = [a / b for a, b in zip(ours, ceiling, strict=True)]
    yield measured("MaskablePPO / free environment", ratios, "ratio", timed, **same)


class _FreeVecEnv(VecEnv):
    """An environment that costs nothing: it has another's spaces and always returns the same arrays."""

    def __init__(self, like: VecEnv) -> None:
        self.render_mode = None
        super().__init__(like.num_envs, like.observation_space, like.action_space)
        self._observations: Any = like.reset()
        self._masks = like.env_method("action_masks")
        self._rest: tuple[Any, ...] = (
            np.ones(self.num_envs, np.float32),
            np.zeros(self.num_envs, np.bool_),
            [{}] * self.num_envs,
        )

    def reset(self) -> Any:
        return self._observations

    def step_async(self, actions: Any) -> None:
        pass

    def step_wait(self) -> Any:
        return self._observations, *self._rest

    def close(self) -> None:
        pass

    def has_attr(self, attr_name: str) -> bool:
        return attr_name in ("action_masks", "render_mode")

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return self._masks  # the only method that an agent asks for

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


def _learner(config: ExperimentConfig, env: Any) -> Callable[[int], float]:
    """An agent as a function: learn for about so many steps, and say how many a second that were."""
    agent = make_agent(config.algorithm, env, seed=1, device="cpu")
    agent.set_logger(Logger(folder=None, output_formats=[]))

    def learn(steps: int) -> float:
        before, started = agent.num_timesteps, time.perf_counter()
        agent.learn(steps, reset_num_timesteps=False)
        return (agent.num_timesteps - before) / (time.perf_counter() - started)

    return learn
