"""Node cuts: the links that lead from one part of a network to the rest, and what must cross them.

Whatever is done, a service whose ends lie in different parts occupies at least one link between them. Up to
`ENUMERATED_NODES` nodes every cut is looked at; beyond that those around each node, by hops, and the sweep cuts of
the graph Laplacian's first eigenvectors (the nodes of the smallest entries against the rest).
"""

from typing import NamedTuple

import networkx as nx
import numpy as np

from fusion_rl.arrays import Bools, Floats, Ints64
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.world import World

ENUMERATED_NODES = 16
_EIGENVECTORS = 8
UNREACHED = -1  # slots of a request that no candidate path can carry


class Cuts(NamedTuple):
    """Cuts from a part of the nodes to the rest, most congested first; of shared links, both ways at once."""

    part: Bools  # [M, N] nodes of the part
    links: Bools  # [M, L] links of the cut
    congestion: Floats  # [M] slots x time asked for across it / its links; only ratios mean anything

    def chosen(self, which: slice | Ints64) -> "Cuts":
        """Some of them."""
        return Cuts(self.part[which], self.links[which], self.congestion[which])


def ranked(setting: Setting, sample: Requests) -> Cuts:
    """The cuts of a network, those first that traffic like the sample asks most of for their size."""
    world, nodes = setting.world, setting.topology.nodes
    number = {name: i for i, name in enumerate(nodes)}
    source = np.array([number[link.source] for link in setting.topology.links])
    target = np.array([number[link.target] for link in setting.topology.links])
    part = _parts(setting)
    links = part[:, source] & ~part[:, target]
    asked = np.zeros((len(nodes), len(nodes)))  # slots x time by source and destination
    slots = np.maximum(narrowest(world)[sample.pair, sample.bandwidth_class], 0)
    np.add.at(asked, (world.pair_source[sample.pair], world.pair_target[sample.pair]), slots * sample.holding)
    if setting.topology.direction == "shared":
        links |= part[:, target] & ~part[:, source]
        asked += asked.T
    congestion = ((part @ asked) * ~part).sum(axis=1) / links.sum(axis=1)
    return Cuts(part, links, congestion).chosen(np.argsort(-congestion, kind="stable"))


def without_common_links(cuts: Cuts) -> Cuts:
    """The first cut, and every further one that has no link of those taken before it."""
    taken = np.zeros(cuts.links.shape[1], np.bool_)
    keep = []
    for i, links in enumerate(cuts.links):
        if not (links & taken).any():
            keep.append(i)
            taken |= links
    return cuts.chosen(np.array(keep))


def separated_pairs(setting: Setting, cuts: Cuts) -> Bools:
    """Which pairs must cross which cuts, [M, R]."""
    source, target = cuts.part[:, setting.world.pair_source], cuts.part[:, setting.world.pair_target]
    return source != target if setting.topology.direction == "shared" else source & ~target


def narrowest(world: World) -> Ints64:
    """The fewest slots that a request takes on a link, whichever candidate path it uses, [R, C]; or UNREACHED."""
    return _least_by_pair(world, np.ones(world.path_hops.size, np.int64))


def least_slots(world: World, links: Bools) -> Ints64:
    """The fewest slots that a request takes on some links, all added up, whichever candidate path it uses.

    Args:
        world: the network.
        links: which links count, [L].

    Returns:
        [R, C]; 0 for a request that a candidate path carries around them, UNREACHED for one that none can carry.
    """
    on_path = np.add.reduceat(links[world.path_links].astype(np.int64), world.link_first[:-1])
    return _least_by_pair(world, on_path)


def _least_by_pair(world: World, times: Ints64) -> Ints64:
    """Smallest width x times over the candidate paths that can carry a request, [R, C]; times: [P]."""
    width = world.path_width.astype(np.int64)
    never = np.iinfo(np.int64).max
    slots = np.where((width > 0) & (width <= world.slots), width * times[:, None], never)
    least = np.minimum.reduceat(slots, world.path_first[:-1], axis=0)
    return np.where(least == never, UNREACHED, least)


def _parts(setting: Setting) -> Bools:
    """Parts of the nodes that are looked at, each once, [M, N]; for shared links a part stands for the rest too."""
    count = len(setting.topology.nodes)
    if count <= ENUMERATED_NODES:
        codes = np.arange(1, 2 ** (count - 1))
        parts = (codes[:, None] >> np.arange(count)) & 1 == 1
    else:
        parts = np.concatenate([_around_nodes(setting), _sweeps(setting)])
        parts ^= parts[:, -1:]  # the last node always belongs to the rest
        parts = np.unique(parts[parts.any(axis=1)], axis=0)
    return parts if setting.topology.direction == "shared" else np.concatenate([parts, ~parts])


def _around_nodes(setting: Setting) -> Bools:
    """The nodes within 0, 1, 2 ... hops of each node."""
    hops = dict(nx.all_pairs_shortest_path_length(setting.topology.graph))
    nodes = setting.topology.nodes
    distance = np.array([[hops[one][other] for other in nodes] for one in nodes])
    return np.concatenate([distance <= radius for radius in range(int(distance.max()))])


def _sweeps(setting: Setting) -> Bools:
    """Nodes in the order of each of the Laplacian's first eigenvectors: the first of them, the first two, ..."""
    laplacian = nx.laplacian_matrix(setting.topology.graph, setting.topology.nodes, weight=None).toarray()
    vectors = np.linalg.eigh(laplacian.astype(np.float64)).eigenvectors[:, 1 : 1 + _EIGENVECTORS]
    rank = np.argsort(np.argsort(vectors, axis=0, kind="stable"), axis=0)
    return np.concatenate([size > rank.T for size in range(1, len(setting.topology.nodes))])
