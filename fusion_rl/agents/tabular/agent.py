"""What tabular agents share: the table, and the loop that fills it, all lanes at a time.

To the rest of the package it is an algorithm of Stable-Baselines3: callbacks, loggers, evaluation and checkpoints
treat it as one. The table is the policy's state_dict.
"""

import sys
import time
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import FloatSchedule, safe_mean

from fusion_rl.agents.masking import best_allowed, choices_after, choices_of, epsilon_greedy, masks_of, some
from fusion_rl.agents.tabular.cells import MOST_ENTRIES, Cells
from fusion_rl.arrays import AnyArray, Bools, Floats, Ints64
from fusion_rl.errors import ConfigError


class Transition(NamedTuple):
    """A step of all lanes, in cells."""

    cells: Ints64  # [B]
    actions: Ints64  # [B]
    rewards: AnyArray  # [B]
    decided: Bools  # [B] whether some action could serve the request
    next_cells: Ints64  # [B]
    next_choices: Bools  # [B, A] actions that can serve the next request


class TablePolicy(BasePolicy):
    """Value and number of tries of every action in every cell.

    Args:
        observation_space, action_space: of the environment.
        levels: congestion levels that cells tell apart.
        with_none: a last column for requests that no action can serve.
    """

    def __init__(self, observation_space: Any, action_space: Any, levels: int, with_none: bool = False) -> None:
        super().__init__(observation_space, action_space)
        self.cells = Cells(observation_space, levels)
        self._actions = int(action_space.n)
        shape = (self.cells.count, self._actions + with_none)
        if shape[0] * shape[1] > MOST_ENTRIES:
            raise ConfigError(
                f"a table of {shape[0]:,} cells x {shape[1]:,} actions has more than {MOST_ENTRIES:,} entries: take"
                " fewer algorithm.congestion_levels, fewer network.k_paths, or algorithm.action path"
            )
        self.register_buffer("value_table", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("tries_table", torch.zeros(shape, dtype=torch.int64))

    @property
    def values(self) -> Floats:
        """The whole table as numpy sees it, [cells, A or A + 1]; writing it writes the table."""
        table: Floats = self.get_buffer("value_table").numpy()
        return table

    @property
    def tries(self) -> Ints64:
        """How often each action was tried, [cells, A]; as `values`."""
        table: Ints64 = self.get_buffer("tries_table").numpy()
        return table

    def of_actions(self, cells: Ints64) -> Floats:
        """Value of each action in some cells, [B, A]; a copy."""
        return self.values[cells, : self._actions]

    def _predict(self, observation: Any, deterministic: bool = True) -> torch.Tensor:
        cells = self.cells.of({name: part.numpy() for name, part in observation.items()})
        return torch.from_numpy(self.of_actions(cells).argmax(axis=1))


class TabularAlgorithm(BaseAlgorithm):
    """The loop that fills a table. A subclass says how an action is chosen and what a transition teaches.

    Args:
        policy: "TablePolicy".
        env: the lanes.
        levels: congestion levels that cells tell apart.
        learning_rate: of Stable-Baselines3's; bandits leave it 0.
        exploration: share of random actions, a number or a function of the share of training that is left.
        seed: of exploration and of the traffic.
        device: the table is on the CPU, whatever is asked for.
        verbose: 0: says nothing.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"TablePolicy": TablePolicy}
    policy: TablePolicy
    with_none = False  # whether requests that no action can serve have a value of their own

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        *,
        levels: int = 1,
        learning_rate: Any = 0.0,
        exploration: Any = 0.0,
        seed: int | None = None,
        device: str = "cpu",
        verbose: int = 0,
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(policy, env, learning_rate, seed=seed, device="cpu", verbose=verbose, support_multi_env=True)
        self.levels = levels
        self.exploration = exploration
        self.exploration_rate = 0.0
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.exploration_schedule = FloatSchedule(self.exploration)
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)
        self.set_random_seed(self.seed)
        self.policy = TablePolicy(self.observation_space, self.action_space, self.levels, self.with_none)

    def may_try(self, masks: Bools) -> Bools:
        """Actions that may be tried while learning, [B, A]."""
        return masks

    def choose(self, cells: Ints64, masks: Bools) -> Ints64:
        """Actions to learn from, [B]."""
        best = best_allowed(self.policy.of_actions(cells), masks)
        return epsilon_greedy(best, masks, self.exploration_rate)

    def update(self, met: Transition) -> None:
        """Learn from one transition of each lane."""
        raise NotImplementedError

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 4,
        tb_log_name: str = "tabular",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train; as Stable-Baselines3's `learn`. `log_interval` counts episodes."""
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        going_on = True
        while going_on and self.num_timesteps < total_timesteps:
            callback.on_rollout_start()
            going_on = self._step(callback, log_interval)
            callback.on_rollout_end()
        callback.on_training_end()
        return self

    def _step(self, callback: BaseCallback, log_interval: int | None) -> bool:
        """One step of all lanes; whether to go on."""
        env = self.env
        assert env is not None, "learning begins with an environment"
        observations: Any = self._last_obs
        cells = self.policy.cells.of(observations)
        decided = some(choices_of(env))
        actions = self.choose(cells, self.may_try(masks_of(env)))
        new_obs, rewards, dones, infos = env.step(actions)
        self.num_timesteps += env.num_envs
        callback.update_locals(locals())
        if not callback.on_step():
            return False
        self._update_info_buffer(infos, dones)
        next_cells = self._cells_after(new_obs, dones, infos)
        next_choices = choices_after(env, dones, infos)
        self.update(Transition(cells, actions, rewards, decided, next_cells, next_choices))
        self._last_obs = new_obs  # type: ignore[assignment]
        self._n_updates += 1
        self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
        self.exploration_rate = self.exploration_schedule(self._current_progress_remaining)
        before, self._episode_num = self._episode_num, self._episode_num + int(dones.sum())
        if log_interval is not None and self._episode_num // log_interval > before // log_interval:
            self.dump_logs()
        return True

    def _cells_after(self, observations: Any, dones: AnyArray, infos: list[dict[str, Any]]) -> Ints64:
        """Cells of the observations that a step led to, [B]: of ended lanes, the terminal ones."""
        cells = self.policy.cells.of(observations)
        for lane in np.flatnonzero(dones):
            terminal = infos[lane]["terminal_observation"]
            cells[lane] = self.policy.cells.of({name: part[None] for name, part in terminal.items()})[0]
        return cells

    def dump_logs(self) -> None:
        """Write what has been learned so far into the log."""
        seconds = max((time.time_ns() - self.start_time) / 1e9, sys.float_info.epsilon)
        if self.ep_info_buffer:
            self.logger.record("rollout/ep_rew_mean", safe_mean([episode["r"] for episode in self.ep_info_buffer]))
        self.logger.record("rollout/exploration_rate", self.exploration_rate)
        self.logger.record("train/learning_rate", self.lr_schedule(self._current_progress_remaining))
        self.logger.record("train/cells_seen", int((self.policy.tries.sum(axis=1) > 0).sum()))
        self.logger.record("time/fps", int((self.num_timesteps - self._num_timesteps_at_start) / seconds))
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: Bools | None = None,
    ) -> tuple[Ints64, Any]:
        """Actions of a batch of observations, or of one.

        Args:
            observation: a dict of the parts, with or without an axis B in front.
            state, episode_start: not used.
            deterministic: true: the most valuable action; false: as training would choose at this moment.
            action_masks: [B, A] or [A]; None: everything is allowed.
        """
        batched = np.ndim(observation["source"]) == 2
        cells = self.policy.cells.of({name: np.atleast_2d(part) for name, part in observation.items()})
        values = self.policy.of_actions(cells)
        masks = np.ones(values.shape, np.bool_) if action_masks is None else np.reshape(action_masks, values.shape)
        actions = best_allowed(values, masks) if deterministic else self.choose(cells, masks)
        return (actions if batched else actions[0]), state
