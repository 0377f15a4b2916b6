"""Deep Q-learning that is shown which actions are feasible.

The mask counts three times: a random action is a feasible one, the best action is the best feasible one, and the
target hopes for no more than the next request's feasible actions. Everything else is Stable-Baselines3's.
"""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN
from sb3_contrib.common.utils import quantile_huber_loss
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from torch.nn import functional

from fusion_rl.agents.masking import best_allowed, epsilon_greedy, masks_after, masks_of, random_allowed
from fusion_rl.arrays import AnyArray, Bools, Ints64

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm as _Algorithm

    _Buffer: TypeAlias = ReplayBuffer
else:  # the mix-ins come before the classes whose methods they extend
    _Algorithm = _Buffer = object


class MaskedSamples(NamedTuple):
    """Transitions from a replay buffer, [batch, ...]; `next_masks` [batch, A] belong to the next observations."""

    observations: Any
    actions: torch.Tensor
    next_observations: Any
    dones: torch.Tensor
    rewards: torch.Tensor
    next_masks: torch.Tensor


class _NextMasks(_Buffer):
    """A replay buffer that also keeps which actions the next request allows, `next_masks` [size, B, A]."""

    def __init__(self, buffer_size: int, observation_space: Any, action_space: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(buffer_size, observation_space, action_space, *args, **kwargs)
        self.next_masks = np.ones((self.buffer_size, self.n_envs, int(action_space.n)), np.bool_)

    def _get_samples(self, batch_inds: AnyArray, env: Any = None) -> MaskedSamples:  # type: ignore[override]
        lanes = np.random.randint(0, self.n_envs, size=len(batch_inds))  # noqa: NPY002  # as Stable-Baselines3
        at = (batch_inds, lanes)

        def rows(stored: Any) -> Any:
            if isinstance(stored, dict):
                return {name: self.to_torch(part[at]) for name, part in stored.items()}
            return self.to_torch(stored[at])

        # An episode that a time limit ended has a future all the same.
        dones = self.dones[at] * (1.0 - self.timeouts[at])
        return MaskedSamples(
            rows(self.observations),
            self.to_torch(self.actions[at]).long(),
            rows(self.next_observations),
            self.to_torch(dones).reshape(-1, 1),
            self.to_torch(self.rewards[at]).reshape(-1, 1),
            self.to_torch(self.next_masks[at]),
        )


class MaskedReplayBuffer(_NextMasks, ReplayBuffer):
    """For flat observations."""


class MaskedDictReplayBuffer(_NextMasks, DictReplayBuffer):  # type: ignore[misc]
    """For observations by part."""


class _Masked(_Algorithm):
    """What masked DQN and masked QR-DQN share. A subclass says what its network's values and loss are."""

    exploration_rate: float
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
        super()._setup_model()

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[AnyArray, AnyArray]:
        masks = masks_of(self.env)
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
        replay_buffer.next_masks[replay_buffer.pos] = masks_after(self.env, dones, infos)
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
        """Update the network `gradient_steps` times."""
        assert self.replay_buffer is not None, "learning begins with a replay buffer"
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        for _ in range(gradient_steps):
            batch: Any = self.replay_buffer.sample(batch_size)
            loss = self._loss(batch)
            losses.append(loss.item())
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self.max_grad_norm is not None:
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", np.mean(losses))


class MaskedDQN(_Masked, DQN):  # type: ignore[misc]
    """DQN within action masks."""

    def _values(self, observations: Any) -> torch.Tensor:
        values: torch.Tensor = self.q_net(observations)
        return values

    def _loss(self, batch: MaskedSamples) -> torch.Tensor:
        with torch.no_grad():
            hoped = self.q_net_target(batch.next_observations).masked_fill(~batch.next_masks, -torch.inf)
            best = hoped.max(dim=1, keepdim=True).values
            target = batch.rewards + (1.0 - batch.dones) * self.gamma * best
        return functional.smooth_l1_loss(self.q_net(batch.observations).gather(1, batch.actions), target)


class MaskedQRDQN(_Masked, QRDQN):
    """QR-DQN within action masks."""

    def _values(self, observations: Any) -> torch.Tensor:
        values: torch.Tensor = self.quantile_net(observations).mean(dim=1)
        return values

    def _loss(self, batch: MaskedSamples) -> torch.Tensor:
        with torch.no_grad():
            quantiles = self.quantile_net_target(batch.next_observations)  # [batch, quantiles, A]
            hoped = quantiles.mean(dim=1).masked_fill(~batch.next_masks, -torch.inf)
            best = self._of_action(quantiles, hoped.argmax(dim=1, keepdim=True))
            target = batch.rewards + (1.0 - batch.dones) * self.gamma * best
        current = self._of_action(self.quantile_net(batch.observations), batch.actions)
        return quantile_huber_loss(current, target, sum_over_quantiles=True)

    def _of_action(self, quantiles: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The quantiles [batch, quantiles] of one action [batch, 1] each."""
        chosen = actions[..., None].expand(-1, self.n_quantiles, 1)
        return quantiles.gather(2, chosen).squeeze(dim=2)
