"""Bandits: for each source and destination, the candidate paths are arms that pay the reward of the request.

While it learns, a bandit may pull any arm: one that is blocked teaches. Where it is shown masks, as in evaluation,
it takes the best arm that can be served.
"""

from typing import Any

import numpy as np

from fusion_rl.agents.masking import best_allowed
from fusion_rl.agents.tabular.agent import TabularAlgorithm, Transition
from fusion_rl.agents.tabular.q_learning import visits
from fusion_rl.arrays import AnyArray, Bools, Ints64


class _Bandit(TabularAlgorithm):
    """What the bandits share: an arm's value is an average of the rewards that it paid."""

    def may_try(self, masks: Bools) -> Bools:
        """All arms."""
        return np.ones_like(masks)

    def update(self, met: Transition) -> None:
        """Average the new rewards in; that of a lost request too, which costs every arm of its pair alike."""
        values, tries = self.policy.values.reshape(-1), self.policy.tries.reshape(-1)
        entries, hits, paid = visits(met.cells, met.actions, met.rewards, self.policy.values.shape[1])
        tries[entries] += hits
        values[entries] += self.weight(hits, tries[entries]) * (paid - values[entries])

    def weight(self, hits: Ints64, tries: Ints64) -> AnyArray:
        """Weight of the mean of the newest `hits` rewards in the values of arms tried `tries` times by now."""
        return hits / tries


class EpsilonGreedyBandit(_Bandit):
    """The best arm so far, and a random one for a share of the requests.

    Args:
        policy, env, exploration, seed, device, verbose: see `TabularAlgorithm`.
        step_size: weight of the newest reward in an arm's value; None: the mean of all.
    """

    def __init__(self, policy: Any, env: Any, *, step_size: float | None = None, **others: Any) -> None:
        self.step_size = step_size
        super().__init__(policy, env, **others)

    def weight(self, hits: Ints64, tries: Ints64) -> AnyArray:
        """That of a mean, or of so many steps of a fixed size."""
        return hits / tries if self.step_size is None else 1.0 - (1.0 - self.step_size) ** hits


class UCBBandit(_Bandit):
    """The arm with the highest upper confidence bound (UCB1; P. Auer et al., Machine Learning 47, 2002).

    Args:
        policy, env, seed, device, verbose: see `TabularAlgorithm`.
        confidence: weight of the bound; 1 is UCB1 for rewards in [0, 1].
    """

    def __init__(self, policy: Any, env: Any, *, confidence: float = 1.0, **others: Any) -> None:
        self.confidence = confidence
        super().__init__(policy, env, **others)

    def choose(self, cells: Ints64, masks: Bools) -> Ints64:
        """The arm that may be best; one that was never tried first."""
        values, tries = self.policy.values[cells], self.policy.tries[cells]
        total = tries.sum(axis=1, keepdims=True)
        bound = np.sqrt(2.0 * np.log(np.maximum(total, 1)) / np.maximum(tries, 1))
        return best_allowed(np.where(tries == 0, np.inf, values + self.confidence * bound), masks)
