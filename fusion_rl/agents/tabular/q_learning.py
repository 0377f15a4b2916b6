"""Q-learning in a table (C. Watkins and P. Dayan, Machine Learning 8, 1992), for many lanes at a time."""

from typing import Any

import numpy as np

from fusion_rl.agents.tabular.agent import TabularAlgorithm, Transition
from fusion_rl.arrays import AnyArray, Floats, Ints64


def visits(cells: Ints64, actions: Ints64, values: AnyArray, num_actions: int) -> tuple[Ints64, Ints64, Floats]:
    """The table entries that some lanes visit: (entries, visits of each, mean of the lanes' values at each).

    Lanes that visit the same entry in one step have no order among them, so their mean counts.
    """
    entries, which, hits = np.unique(cells * num_actions + actions, return_inverse=True, return_counts=True)
    return entries, hits, np.bincount(which, weights=values) / hits


class QLearning(TabularAlgorithm):
    """Q-learning over source, destination and congestion levels, within action masks.

    A request that no action can serve is decided by none, so none is to blame for what it pays. To the task there is
    one thing to do then, to lose the request, which has a value as everything that can be done has: it stands in the
    last column of the table. A value before it builds on that one, and actions have the values of what they decided.

    Args:
        policy, env, seed, device, verbose: see `TabularAlgorithm`.
        learning_rate: share of the way from the old value to the new estimate; a number or a schedule.
        gamma: discount of the next request's value.
        exploration: share of random actions; a number or a schedule.
        congestion_levels: levels of each path's congestion.
    """

    with_none = True

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        learning_rate: Any = 0.1,
        gamma: float = 0.95,
        congestion_levels: int = 3,
        **others: Any,
    ) -> None:
        self.gamma = gamma
        super().__init__(policy, env, levels=congestion_levels, learning_rate=learning_rate, **others)

    def update(self, met: Transition) -> None:
        """Move each visited entry toward reward + gamma x value of the best that can be done with the next request."""
        values, tries = self.policy.values, self.policy.tries
        can_be_done = np.column_stack([met.next_choices, ~met.next_choices.any(axis=1)])
        hoped = np.where(can_be_done, values[met.next_cells], -np.inf).max(axis=1)
        done = np.where(met.decided, met.actions, values.shape[1] - 1)
        entries, hits, target = visits(met.cells, done, met.rewards + self.gamma * hoped, values.shape[1])
        rate = self.lr_schedule(self._current_progress_remaining)
        flat = values.reshape(-1)
        # so many visits, one after another, would go this share of the way
        flat[entries] += (1.0 - (1.0 - rate) ** hits) * (target - flat[entries])
        tries.reshape(-1)[entries] += hits
