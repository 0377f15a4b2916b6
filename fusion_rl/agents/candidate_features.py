"""Features candidate by candidate: what the networks of `path_networks` read of an observation of candidates.

A candidate stands where a path does elsewhere: the same weights for each, whatever its number, and for as many as
there are. Rows behind the last candidate have no part in the mean over all.
"""

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from fusion_rl.agents.path_features import as_row
from fusion_rl.domains.optical.actions import codec_of
from fusion_rl.domains.optical.candidates import COUNT, WIDTH
from fusion_rl.domains.optical.observations import OBSERVATIONS, observation_of
from fusion_rl.domains.optical.world import World
from fusion_rl.errors import ConfigError


class CandidateFeatures(BaseFeaturesExtractor):
    """An observation's rows of candidates, then the context: [B, M x F + G].

    Args:
        observation_space: by part, the candidates first.
        layout: parts and their lengths, in order.
        candidates: rows, M.

    Attributes:
        paths, path_size, context_size: M, F and G.
        presence: the entry of a row that is above 0 where there is a candidate.
    """

    def __init__(self, observation_space: spaces.Space[Any], layout: Mapping[str, int], candidates: int) -> None:
        super().__init__(observation_space, sum(layout.values()))
        self.paths, self.path_size, self.context_size = candidates, COUNT, sum(layout.values()) - candidates * COUNT
        self.presence = WIDTH
        self._parts = list(layout)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """Features of a batch."""
        return as_row(observations, self._parts)


def candidate_arguments(observation: str, action: str, world: World) -> dict[str, Any]:
    """What `CandidateFeatures` is made with for an observation and an action codec.

    Raises:
        ConfigError: one of them is not of candidates.
    """
    codec = codec_of(action)
    if OBSERVATIONS[observation].known_holding is None or codec.every_start is None:
        seen = ", ".join(name for name in OBSERVATIONS if OBSERVATIONS[name].known_holding is not None)
        raise ConfigError(
            f"algorithm.features candidates needs an observation and actions of candidates; '{observation}' and "
            f"'{action}' are not both: choose algorithm.observation from {seen}, and algorithm.action candidates:M "
            "or candidates-all:M, with M the most candidates of a request"
        )
    return {"layout": observation_of(observation, action).layout(world), "candidates": codec.parameter}
