"""Cells: the states that a table tells apart, read from observations by part."""

from typing import Any

import numpy as np
from gymnasium import spaces

from fusion_rl.arrays import AnyArray, Ints64
from fusion_rl.errors import ConfigError

CONGESTION_PARTS = ("path_congestion", "paths_cong")  # of the unified observation and of FUSION's sets
MOST_ENTRIES = 20_000_000  # of a table; 160 MB


class Cells:
    """A numbering of (source, destination, congestion level of each candidate path).

    Args:
        observation_space: what the agent sees.
        levels: equal ranges of congestion that are told apart; 1: congestion does not count.

    Raises:
        ConfigError: the observation does not show what is needed, or there would be too many cells.
    """

    def __init__(self, observation_space: spaces.Space[Any], levels: int) -> None:
        parts: dict[str, Any] = dict(observation_space.spaces) if isinstance(observation_space, spaces.Dict) else {}
        named = [name for name in CONGESTION_PARTS if name in parts]
        if not {"source", "destination"} <= set(parts) or (levels > 1 and not named):
            needs = "source, destination" + (" and the congestion of each path" if levels > 1 else "")
            known = "unified, obs_6, obs_7, obs_8" if levels > 1 else "unified, obs_1 to obs_8"
            raise ConfigError(
                f"algorithm.observation: a table needs parts for {needs}; this one has"
                f" {', '.join(parts) or 'no parts'}: choose from {known}"
            )
        self._nodes = int(parts["source"].shape[0])
        self._levels = levels
        self._congestion = named[0] if levels > 1 else None
        paths = int(parts[named[0]].shape[0]) if levels > 1 else 0
        self.count = self._nodes**2 * levels**paths
        if self.count > MOST_ENTRIES:
            raise ConfigError(
                f"algorithm.congestion_levels: {levels} levels on {paths} paths of {self._nodes}^2 pairs are"
                f" {self.count:,} cells, more than {MOST_ENTRIES:,}: take fewer levels, or fewer network.k_paths"
            )
        self._place_values = levels ** np.arange(paths)

    def of(self, observations: dict[str, AnyArray]) -> Ints64:
        """The cell of each lane's observation, [B]."""
        pair: Ints64 = observations["source"].argmax(axis=1) * self._nodes + observations["destination"].argmax(axis=1)
        if self._congestion is None:
            return pair
        level = np.minimum((observations[self._congestion] * self._levels).astype(np.int64), self._levels - 1)
        return np.asarray(pair * self._levels**self._place_values.size + level @ self._place_values, np.int64)
