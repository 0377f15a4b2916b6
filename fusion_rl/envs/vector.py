"""Many lanes as a Stable-Baselines3 VecEnv, stepped together in machine code."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from fusion_rl.arrays import AnyArray, Bools
from fusion_rl.domains.base import BatchSimulator


class OpticalVecEnv(VecEnv):
    """The lanes of a simulator, side by side in one process.

    A lane whose episode ends is reset at once. Its info then holds what Stable-Baselines3 looks for (`episode`,
    `terminal_observation`, `TimeLimit.truncated`), `terminal_choices` for the masked agents, and
    `service_blocking`, the share of the episode's requests that were blocked, and `scenario`, whose they were.

    Args:
        simulator: the lanes.
    """

    def __init__(self, simulator: BatchSimulator) -> None:
        self.simulator = simulator
        self.render_mode = None
        super().__init__(simulator.num_lanes, simulator.observation_space, simulator.action_space)
        self.outcome: Any = None  # the domain's record of the last step
        self._actions = np.zeros(self.num_envs, np.int64)
        self._returns = np.zeros(self.num_envs)
        self._blocked = np.zeros(self.num_envs, np.int64)
        self._lengths = np.zeros(self.num_envs, np.int64)

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the next reset. All lanes take one seed: a lane's number is part of its traffic's seed anyway."""
        self._seeds = [seed] * self.num_envs
        return self._seeds

    def reset(self) -> VecEnvObs:
        """Begin a new episode on every lane; with the seeds that `seed` left, if it was called."""
        seeded = self._seeds[0] is not None
        self.simulator.reset(range(self.num_envs), self._seeds if seeded else None)
        self._reset_seeds()
        self._reset_options()
        for counts in (self._returns, self._blocked, self._lengths):
            counts[:] = 0
        return self.simulator.observations()

    def step_async(self, actions: AnyArray) -> None:
        """Take the actions of the next step, [B]."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Carry the actions out."""
        step = self.simulator.step(self._actions)
        self.outcome = step.outcome
        observations = self.simulator.observations()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._returns += step.reward
        self._blocked += step.outcome.verdict != 0
        self._lengths += 1
        ended = np.flatnonzero(step.ended)
        if ended.size:
            choices = self.choices()
            for b in ended:
                infos[b] = self._episode_info(int(b), observations)
                infos[b]["terminal_choices"] = choices[b]
            self.simulator.reset(ended.tolist())
            observations = self.simulator.observations()
        return observations, step.reward, step.ended, infos

    def episodes(self) -> dict[str, AnyArray]:
        """What the episodes under way have come to so far; copies."""
        return {"returns": self._returns.copy(), "blocked": self._blocked.copy(), "lengths": self._lengths.copy()}

    def go_on(self, episodes: dict[str, AnyArray]) -> None:
        """Go on with episodes that another process began, whose simulator was restored; no reset follows."""
        self._returns[:], self._blocked[:] = episodes["returns"], episodes["blocked"]
        self._lengths[:] = episodes["lengths"]
        self._reset_seeds()

    def action_masks(self) -> Bools:
        """Actions that can be served, [B, A]; one is left where none can."""
        return self.simulator.masks()

    def choices(self) -> Bools:
        """Actions that can be served, [B, A]; none where none can: such a request is lost whatever is done."""
        return self.simulator.masks() & self.simulator.servable()[:, None]

    def close(self) -> None:
        """Release the simulator."""
        self.simulator.close()

    def has_attr(self, attr_name: str) -> bool:
        """Whether the lanes have an attribute (MaskablePPO asks for `action_masks`)."""
        return hasattr(self, attr_name)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute, once for each lane."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute; the lanes share it."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of this object whose result has a row for each lane; returns the rows asked for."""
        rows = getattr(self, method_name)(*method_args, **method_kwargs)
        if indices is None:
            return list(rows)
        return [rows[b] for b in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """No lane is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def _get_indices(self, indices: int | Iterable[int] | None) -> Sequence[int]:
        return list(super()._get_indices(indices))

    def _episode_info(self, b: int, observations: AnyArray | dict[str, AnyArray]) -> dict[str, Any]:
        length = int(self._lengths[b])
        info = {
            "episode": {"r": float(self._returns[b]), "l": length, "t": 0.0},
            "service_blocking": self._blocked[b] / length,
            "scenario": self.simulator.scenario_names[self.simulator.scenario_of(b)],
            "TimeLimit.truncated": True,
            "terminal_observation": (
                {name: part[b] for name, part in observations.items()}
                if isinstance(observations, dict)
                else observations[b]
            ),
        }
        self._returns[b] = self._blocked[b] = self._lengths[b] = 0
        return info
