"""Deep Q-learning that is shown which actions are feasible.

The mask counts three times: a random action is a feasible one, the best action is the best feasible one, and what is
learned goes from one request that an action decides to another (`masked_replay`). Everything else is
Stable-Baselines3's.
"""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN
from sb3_contrib.common.utils import quantile_huber_loss
from stable_baselines3 import DQN
from torch.nn import functional

from fusion_rl.agents.masked_replay import MaskedDictReplayBuffer, MaskedReplayBuffer, MaskedSamples
from fusion_rl.agents.masking import (
    best_allowed,
    choices_after,
    choices_of,
    epsilon_greedy,
    masks_of,
    random_allowed,
    some,
)
from fusion_rl.arrays import AnyArray, Bools, Ints64

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm as _Algorithm
else:  # the mix-in comes before the classes whose methods it extends
    _Algorithm = object

_NEVER = -1e30  # value of an action that cannot be served; finite, for times 0 it has to be 0 where all are such


class _Masked(_Algorithm):
    """What masked DQN and masked QR-DQN share. A subclass says what its network's values and loss are."""

    exploration_rate: float
    _decided: Bools  # whether an action decides the request at hand of each lane, [B]
    max_grad_norm: float | None

    def _values(self, observations: Any) -> torch.Tensor:
        """Value of each action, [batch, A]."""
        raise NotImplementedError

    def _loss(self, batch: MaskedSamples) -> torch.Tensor:
        """What an update makes smaller."""
        raise NotImplementedError

    def _setup_model(self) -> None:
        by_part = isinstance(self.observation_space, spaces.Dict)
        self.replay_buffer_class = MaskedDictReplayBuffer if by_part else MaskedReplayBuffer
        self.replay_buffer_kwargs = {"n_steps": self.n_steps, "gamma": self.gamma}
        with warnings.catch_warnings():
            # that n_steps has to be given to the buffer, as it is
            warnings.filterwarnings("ignore", "`n_steps=", UserWarning)
            super()._setup_model()

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[AnyArray, AnyArray]:
        masks = masks_of(self.env)
        self._decided = some(choices_of(self.env))
        if self.num_timesteps < learning_starts:
            actions = random_allowed(masks)
        else:
            assert self._last_obs is not None, "learning begins with a reset"
            actions, _ = self.predict(self._last_obs, action_masks=masks)
        return actions, actions

    def _store_transition(
        self,
        replay_buffer: Any,
        buffer_action: AnyArray,
        new_obs: Any,
        reward: AnyArray,
        dones: AnyArray,
        infos: list[dict[str, Any]],
    ) -> None:
        replay_buffer.decided[replay_buffer.pos] = self._decided
        replay_buffer.next_masks[replay_buffer.pos] = choices_after(self.env, dones, infos)
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)

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
            observation: as the space says, with or without an axis B in front.
            state, episode_start: not used.
            deterministic: false: explore as training does at this moment, each lane by itself.
            action_masks: [B, A] or [A]; None: everything is allowed.
        """
        self.policy.set_training_mode(False)
        tensor, batched = self.policy.obs_to_tensor(observation)
        with torch.no_grad():
            values = self._values(tensor).cpu().numpy()
        masks = np.ones(values.shape, np.bool_) if action_masks is None else np.reshape(action_masks, values.shape)
        actions = best_allowed(values, masks)
        if not deterministic:
            actions = epsilon_greedy(actions, masks, self.exploration_rate)
        return (actions if batched else actions[0]), state

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Update the network `gradient_steps` times, each time from those of `batch_size` requests that are samples."""
        assert self.replay_buffer is not None, "learning begins with a replay buffer"
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        for _ in range(gradient_steps):
            batch: Any = self.replay_buffer.sample(batch_size)
            if not len(batch.rewards):
                continue
            loss = self._loss(batch)
            losses.append(loss.item())
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self.max_grad_norm is not None:
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        if losses:
            self.logger.record("train/loss", np.mean(losses))


class MaskedDQN(_Masked, DQN):  # type: ignore[misc]
    """DQN within action masks."""

    def _values(self, observations: Any) -> torch.Tensor:
        values: torch.Tensor = self.q_net(observations)
        return values

    def _loss(self, batch: MaskedSamples) -> torch.Tensor:
        with torch.no_grad():
            hoped = self.q_net_target(batch.next_observations).masked_fill(~batch.next_masks, _NEVER)
            best = hoped.max(dim=1, keepdim=True).values
            target = batch.rewards + (1.0 - batch.dones) * batch.discounts * best
        return functional.smooth_l1_loss(self.q_net(batch.observations).gather(1, batch.actions), target)


class MaskedQRDQN(_Masked, QRDQN):
    """QR-DQN within action masks."""

    def _values(self, observations: Any) -> torch.Tensor:
        values: torch.Tensor = self.quantile_net(observations).mean(dim=1)
        return values

    def _loss(self, batch: MaskedSamples) -> torch.Tensor:
        with torch.no_grad():
            quantiles = self.quantile_net_target(batch.next_observations)  # [batch, quantiles, A]
            hoped = quantiles.mean(dim=1).masked_fill(~batch.next_masks, _NEVER)
            best = self._of_action(quantiles, hoped.argmax(dim=1, keepdim=True))
            target = batch.rewards + (1.0 - batch.dones) * batch.discounts * best
        current = self._of_action(self.quantile_net(batch.observations), batch.actions)
        return quantile_huber_loss(current, target, sum_over_quantiles=True)

    def _of_action(self, quantiles: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The quantiles [batch, quantiles] of one action [batch, 1] each."""
        chosen = actions[..., None].expand(-1, self.n_quantiles, 1)
        return quantiles.gather(2, chosen).squeeze(dim=2)
