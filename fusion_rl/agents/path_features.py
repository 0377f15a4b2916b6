"""Features sorted by candidate path: what the networks of `path_networks` read.

An observation has parts that describe the candidate paths, one after another, and parts that do not: the context.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.domains.optical.observations.graph import LINK_PARTS
from fusion_rl.domains.optical.world import World
from fusion_rl.errors import ConfigError

# Parts with an entry, or a group of entries, for each candidate path: those named path..., and FUSION's
_FUSION_PATH_PARTS = frozenset({"slots_needed", "path_lengths", "paths_cong", "available_slots", "is_feasible"})


def _is_of_paths(part: str) -> bool:
    return part.startswith("path") or part in _FUSION_PATH_PARTS


def columns_of(layout: Mapping[str, int], paths: int) -> tuple[list[list[int]], list[int]]:
    """Where the entries of each candidate path are in an observation row, K lists, and where the context is.

    Args:
        layout: parts of the row and their lengths, in order.
        paths: candidate paths of a pair, K. A part's entries come path by path.
    """
    of_paths: list[list[int]] = [[] for _ in range(paths)]
    context: list[int] = []
    first = 0
    for part, length in layout.items():
        columns = range(first, first + length)
        first += length
        if _is_of_paths(part):
            each = length // paths
            for path in range(paths):
                of_paths[path] += columns[path * each : (path + 1) * each]
        elif part not in LINK_PARTS:
            context += columns
    return of_paths, context


def describing_paths(world: World) -> list[str]:
    """The observations that say something of each candidate path."""
    return [name for name in OBSERVATIONS if columns_of(OBSERVATIONS[name].layout(world), world.max_paths)[0][0]]


class PathFeatures(BaseFeaturesExtractor):
    """An observation's entries in the order path by path, then the context: [B, K x F + G].

    Args:
        observation_space: flat, or by part.
        layout: parts of the row and their lengths, in order.
        paths: candidate paths of a pair, K.

    Attributes:
        paths, path_size, context_size: K, F and G.
    """

    order: torch.Tensor

    def __init__(self, observation_space: spaces.Space[Any], layout: Mapping[str, int], paths: int) -> None:
        of_paths, context = columns_of(layout, paths)
        order = [column for columns in of_paths for column in columns] + context
        super().__init__(observation_space, len(order))
        self.paths, self.path_size, self.context_size = paths, len(of_paths[0]), len(context)
        self._parts = list(layout)
        self.register_buffer("order", torch.tensor(order), persistent=False)

    def forward(self, observations: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
        """Sorted features of a batch."""
        return as_row(observations, self._parts)[:, self.order]


def as_row(observations: torch.Tensor | dict[str, torch.Tensor], parts: Sequence[str]) -> torch.Tensor:
    """Observations by part as rows, [B, D]; flat ones as they are."""
    if isinstance(observations, torch.Tensor):
        return observations
    return torch.cat([observations[part] for part in parts], dim=1)


def path_arguments(observation: str, world: World) -> dict[str, Any]:
    """What `PathFeatures` is made with for an observation of a network.

    Raises:
        ConfigError: the observation says nothing of the candidate paths.
    """
    allowed = describing_paths(world)
    if observation not in allowed:
        raise ConfigError(
            f"algorithm.features paths needs an observation that describes each candidate path;"
            f" '{observation}' does not: choose algorithm.observation from {', '.join(allowed)}"
        )
    return {"layout": OBSERVATIONS[observation].layout(world), "paths": world.max_paths}
