"""A graph network over the topology: what each candidate path goes through, from the state of its links.

Links tell the nodes at their ends what they know, nodes tell the links that leave and enter them, and so on for some
rounds. A candidate path is then described by the mean over its links, beside its own entries of the observation.
Scheme: message passing as in RouteNet (K. Rusek et al., IEEE J. Sel. Areas Commun. 38(10), 2020), with nodes in
between.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from fusion_rl.agents.path_features import as_row, columns_of
from fusion_rl.arrays import AnyArray, Floats32, Ints64
from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.domains.optical.observations.graph import LINK_PARTS
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.errors import ConfigError


class GraphFeatures(BaseFeaturesExtractor):
    """Features path by path, then the context, [B, K x F + G]; F and G each include `units` learned ones.

    Args:
        observation_space: by part, with the link parts.
        layout: parts of the row and their lengths, in order.
        paths: candidate paths of a pair, K.
        leaving, entering: share of each node in what a link of it says, [N, L]; for shared links they are equal.
        path_links: links of the candidate paths of pair source x N + destination, [N x N, K, hops]; L where a path
            has no more, or there is none.
        link_length: of each link, as a share of the longest, [L].
        rounds: of messages.
        units: numbers that a link knows.

    Attributes:
        paths, path_size, context_size: K, F and G.
    """

    leaving: torch.Tensor
    entering: torch.Tensor
    path_links: torch.Tensor
    link_length: torch.Tensor
    order: torch.Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        layout: Mapping[str, int],
        paths: int,
        leaving: AnyArray,
        entering: AnyArray,
        path_links: AnyArray,
        link_length: AnyArray,
        rounds: int,
        units: int,
    ) -> None:
        of_paths, context = columns_of(layout, paths)
        path_size, context_size = len(of_paths[0]) + units, len(context) + units
        super().__init__(observation_space, paths * path_size + context_size)
        self.paths, self.path_size, self.context_size = paths, path_size, context_size
        self._parts = list(layout)
        tables = {"leaving": leaving, "entering": entering, "path_links": path_links, "link_length": link_length}
        tables["order"] = np.array([column for columns in of_paths for column in columns] + context)
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(table), persistent=False)
        self.first = nn.Sequential(nn.Linear(len(LINK_PARTS) + 1, units), nn.Tanh())
        self.to_nodes = nn.ModuleList(nn.Sequential(nn.Linear(2 * units, units), nn.Tanh()) for _ in range(rounds))
        self.to_links = nn.ModuleList(nn.Sequential(nn.Linear(3 * units, units), nn.Tanh()) for _ in range(rounds))

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """Features of a batch."""
        links = self._links(observations)
        pair = observations["source"].argmax(1) * self.leaving.shape[0] + observations["destination"].argmax(1)
        # what is said of paths: the mean over their links; nothing stands for a link that is not there
        padded = torch.cat([links, links.new_zeros(links.shape[0], 1, links.shape[2])], dim=1)
        on_path = self.path_links[pair]
        lanes = torch.arange(links.shape[0], device=links.device)[:, None, None]
        hops = (on_path < links.shape[1]).sum(dim=2, keepdim=True).clamp(min=1)
        learned = padded[lanes, on_path].sum(dim=2) / hops
        entries = as_row(observations, self._parts)[:, self.order]
        size = self.path_size - learned.shape[2]
        own = entries[:, : self.paths * size].reshape(-1, self.paths, size)
        described = torch.cat([own, learned], dim=2).flatten(1)
        return torch.cat([described, entries[:, self.paths * size :], links.mean(dim=1)], dim=1)

    def _links(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """What the links know in the end, [B, L, units]."""
        length = self.link_length.expand_as(observations[LINK_PARTS[0]])
        links: torch.Tensor = self.first(torch.stack([*(observations[part] for part in LINK_PARTS), length], dim=2))
        for to_nodes, to_links in zip(self.to_nodes, self.to_links, strict=True):
            nodes = to_nodes(torch.cat([_mean(self.leaving, links), _mean(self.entering, links)], dim=2))
            ends = [_mean(self.leaving.T, nodes), _mean(self.entering.T, nodes)]
            links = to_links(torch.cat([links, *ends], dim=2))
        return links


def _mean(incidence: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
    """What each row of an incidence matrix [M, J] hears on average of what the columns say, [B, J, H] to [B, M, H]."""
    return (incidence / incidence.sum(dim=1, keepdim=True).clamp(min=1)) @ said


def graph_arguments(observation: str, setting: Setting, rounds: int, units: int) -> dict[str, Any]:
    """What `GraphFeatures` is made with for an observation of a network.

    Raises:
        ConfigError: the observation does not show the links.
    """
    layout = OBSERVATIONS[observation].layout(setting.world)
    if not set(LINK_PARTS) <= set(layout):
        raise ConfigError(
            "algorithm.features graph needs an observation that shows every link;"
            f" '{observation}' does not: choose algorithm.observation graph"
        )
    leaving, entering = incidence(setting)
    length = setting.world.link_length_km
    return {
        "layout": layout,
        "paths": setting.world.max_paths,
        "leaving": leaving,
        "entering": entering,
        "path_links": links_of_pairs(setting),
        "link_length": length / length.max(),
        "rounds": rounds,
        "units": units,
    }


def incidence(setting: Setting) -> tuple[Floats32, Floats32]:
    """Which links leave and which enter each node, two matrices [N, L]; a shared link does both at both ends."""
    topology = setting.topology
    number = {name: index for index, name in enumerate(topology.nodes)}
    leaving = np.zeros((len(topology.nodes), len(topology.links)), np.float32)
    entering = np.zeros_like(leaving)
    for link, ends in enumerate(topology.links):
        leaving[number[ends.source], link] = entering[number[ends.target], link] = 1.0
    if topology.direction == "shared":
        leaving = entering = leaving + entering
    return leaving, entering


def links_of_pairs(setting: Setting) -> Ints64:
    """Links of the candidate paths of pair source x N + destination, [N x N, K, hops], filled up with L."""
    world = setting.world
    links = world.link_length_km.size
    table = np.full((world.num_nodes**2, world.max_paths, world.max_hops), links, np.int64)
    for pair, (first, last) in enumerate(pairwise(world.path_first)):
        at = world.pair_source[pair] * world.num_nodes + world.pair_target[pair]
        for rank, path in enumerate(range(first, last)):
            hops = world.path_links[world.link_first[path] : world.link_first[path + 1]]
            table[at, rank, : hops.size] = hops
    return table
