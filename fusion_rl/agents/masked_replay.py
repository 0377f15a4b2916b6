"""What masked deep Q-learning learns from: returns from requests that an action decided to requests that one decides.

The task is a semi-Markov one. Its decisions are made where some action can serve the request; a request that none can
serve is a stretch of time, with its reward, that passes between two decisions. So with d(1), d(2) ... the numbers of
the later requests that an action decides, and m the first of them that is at least n, the target of the action taken at
request 0 is

    r(0) + gamma r(1) + ... + gamma^(m-1) r(m-1) + gamma^m max over the actions that can serve request m of Q(m, .)

Losses on the way are in it, and count against the decisions that led there; no action's value is learned from, nor
read off, where it decided nothing. m is a stopping time, known without looking ahead, so for n = 1 this is Q-learning
for semi-Markov decision processes (S. Bradtke and M. Duff, NIPS 1994), unbiased; for larger n it is the return of n
steps of the policy that acted then (uncorrected, as in M. Hessel et al., Rainbow, AAAI 2018).

A return ends sooner where the episode or what is stored does: with a decision there, its value takes over; without
one its future is not known, and it is no sample. Episodes end by a time limit, so that is one return in some thousand.
"""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import torch
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from fusion_rl.arrays import AnyArray, Bools, Floats, Ints64

if TYPE_CHECKING:
    _Buffer: TypeAlias = ReplayBuffer
else:  # the mix-in comes before the classes whose methods it extends
    _Buffer = object


class MaskedSamples(NamedTuple):
    """Returns from a replay buffer, [batch, ...].

    `rewards` are summed and discounted over the requests of a return; `discounts` weigh the value that follows, in
    `next_observations`, where `next_masks` [batch, A] can be served.
    """

    observations: Any
    actions: torch.Tensor
    next_observations: Any
    dones: torch.Tensor
    rewards: torch.Tensor
    discounts: torch.Tensor
    next_masks: torch.Tensor


class Returns(NamedTuple):
    """Returns from some requests on, [batch]."""

    usable: Bools  # an action decided the request, and the future after the return is known
    rewards: Floats
    discounts: Floats  # of the value that follows
    last: Ints64  # row of the last request


class _Masked(_Buffer):
    """A replay buffer that keeps which requests actions decide.

    Args:
        buffer_size, observation_space, action_space, args, kwargs: of Stable-Baselines3's buffers.
        n_steps: requests that a return spans at least.
        gamma: discount of the next request's return.

    Attributes:
        decided: whether an action could serve the request, [size, B].
        next_masks: actions that can serve the next one, [size, B, A].
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: Any,
        action_space: Any,
        *args: Any,
        n_steps: int,
        gamma: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(buffer_size, observation_space, action_space, *args, **kwargs)
        self.n_steps, self.gamma = n_steps, gamma
        self.decided = np.ones((self.buffer_size, self.n_envs), np.bool_)
        self.next_masks = np.ones((self.buffer_size, self.n_envs, int(action_space.n)), np.bool_)

    def returns(self, rows: Ints64, lanes: Ints64) -> Returns:
        """The returns of requests that are stored, [batch]."""
        newest = (self.pos - 1) % self.buffer_size
        steps = np.arange(self.n_steps)
        span = (rows[:, None] + steps) % self.buffer_size
        is_end = (self.dones[span, lanes[:, None]] > 0) | (span == newest) | (steps == self.n_steps - 1)
        length = is_end.argmax(axis=1) + 1
        weights = np.where(steps < length[:, None], self.gamma**steps, 0.0)
        rewards: Floats = (self.rewards[span, lanes[:, None]] * weights).sum(axis=1)
        discounts: Floats = self.gamma ** length.astype(np.float64)
        last: Ints64 = (rows + length - 1) % self.buffer_size
        while (lost := self._goes_on(last, lanes, newest)).any():
            last[lost] = (last[lost] + 1) % self.buffer_size
            rewards[lost] += discounts[lost] * self.rewards[last[lost], lanes[lost]]
            discounts[lost] *= self.gamma
        is_known = self.next_masks[last, lanes].any(axis=1) | (self._terminations(last, lanes) > 0)
        return Returns(self.decided[rows, lanes] & is_known, rewards, discounts, last)

    def _goes_on(self, last: Ints64, lanes: Ints64, newest: int) -> Bools:
        """Returns that ended before a request which no action decides, and whose next request is stored."""
        is_end = (self.dones[last, lanes] > 0) | (last == newest)
        return np.asarray(~is_end & ~self.next_masks[last, lanes].any(axis=1))

    def _terminations(self, rows: Ints64, lanes: Ints64) -> AnyArray:
        """1 where there is no future: an episode that a time limit ended has one all the same."""
        ended: AnyArray = self.dones[rows, lanes] * (1.0 - self.timeouts[rows, lanes])
        return ended

    def _get_samples(self, batch_inds: AnyArray, env: Any = None) -> MaskedSamples:  # type: ignore[override]
        """Those of the requests in some rows, of a random lane each, that are samples."""
        lanes = np.random.randint(0, self.n_envs, size=len(batch_inds))  # noqa: NPY002  # as Stable-Baselines3
        found = self.returns(batch_inds, lanes)
        kept = found.usable
        first, last = (batch_inds[kept], lanes[kept]), (found.last[kept], lanes[kept])

        def rows(stored: Any, at: Any) -> Any:
            if isinstance(stored, dict):
                return {name: self.to_torch(part[at]) for name, part in stored.items()}
            return self.to_torch(stored[at])

        def column(values: AnyArray) -> torch.Tensor:
            return self.to_torch(values.astype(np.float32)).reshape(-1, 1)

        return MaskedSamples(
            rows(self.observations, first),
            self.to_torch(self.actions[first]).long(),
            rows(self.next_observations, last),
            column(self._terminations(*last)),
            column(found.rewards[kept]),
            column(found.discounts[kept]),
            self.to_torch(self.next_masks[last]),
        )


class MaskedReplayBuffer(_Masked, ReplayBuffer):
    """For flat observations."""


class MaskedDictReplayBuffer(_Masked, DictReplayBuffer):  # type: ignore[misc]
    """For observations by part."""
