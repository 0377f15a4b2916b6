"""What an agent that only predicts is made on: an environment's spaces, and nothing to step."""

from typing import Any, NoReturn

from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv


class SpacesOnly(VecEnv):
    """As many lanes as an agent was trained on, none of which can be stepped.

    Args:
        num_envs: lanes.
        observation_space, action_space: of each.
    """

    def __init__(self, num_envs: int, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.render_mode = None
        super().__init__(num_envs, observation_space, action_space)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute, once for each lane."""
        return [getattr(self, attr_name)] * self.num_envs

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """No lane is wrapped."""
        return [False] * self.num_envs

    def close(self) -> None:
        """Nothing is held."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("these are an agent's spaces, without an environment")

    reset = step_async = step_wait = set_attr = env_method = _refuse
