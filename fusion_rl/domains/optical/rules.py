"""Rules: how lightpaths are shared, split and protected, as read-only arrays. None where all of it is off.

Without rules a service is one lightpath of its own, and the simulator keeps no more than that.
"""

from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import Bools, Floats, Ints, Ints64, frozen
from fusion_rl.config.network import NetworkConfig
from fusion_rl.domains.optical.paths import CandidatePaths
from fusion_rl.domains.optical.traffic import BandwidthClasses
from fusion_rl.errors import ConfigError

MBPS = 1000.0  # of a Gb/s; whole numbers of Mb/s, so that what lightpaths carry comes back to 0 exactly


class Rules(NamedTuple):
    """What a lightpath may carry, and what a request may be made of."""

    class_mbps: Ints64  # [C] bandwidth asked for
    class_by_rate: Bools  # [C] False: its width in slots is given
    slot_mbps: Floats  # [P] what a slot carries on a candidate; 0 out of reach
    guard_slots: int
    path_pair: Ints  # [P]
    path_grooms: Bools  # [P] whether a decision for this candidate rides on running lightpaths first
    parts: int  # lightpaths that may share a groomed request; 0: no grooming
    grooming_by_action: bool
    segments: int  # lightpaths that a sliced request is split over; 1: no slicing
    greedy: bool
    protected: bool
    disjoint: Bools  # [P, candidates of a pair] whether two candidates of a pair share no edge; [0, 0] if not needed
    restores: bool
    legs: int  # lightpaths of one service, at most
    edges: int  # of the topology; links e and e + edges are the directions of edge e, or link e is both


def needed(network: NetworkConfig, failures: bool) -> bool:
    """Whether a network needs more than one lightpath of its own for each service."""
    return (
        network.grooming is not None
        or network.slicing is not None
        or network.protection != "none"
        or network.transmission is not None
        or failures
    )


def build(
    network: NetworkConfig,
    candidates: CandidatePaths,
    classes: BandwidthClasses,
    efficiency: Floats,
    num_edges: int,
) -> Rules:
    """The rules of a network.

    Args:
        network: the settings.
        candidates: each route once for each format (and grooming preference), [P].
        classes: bandwidths that are asked for.
        efficiency: bits/s/Hz of each candidate, [P]; 0 out of reach.
        num_edges: edges of the topology: links e and e + num_edges are the two directions of one.

    Raises:
        ConfigError: bandwidths given in slots are to be groomed or split.
    """
    grooming, slicing = network.grooming, network.slicing
    by_rate = classes.slots == 0
    if (grooming or slicing) and not by_rate.all():
        name = "grooming" if grooming else "slicing"
        raise ConfigError(
            f"network.{name} is given, but a scenario asks for widths in slots (bandwidth.kind: slots): "
            f"only bandwidths in Gb/s can be shared and split. Set {name} to null"
        )
    by_action = grooming is not None and grooming.preference == "by-action"
    counts = np.diff(candidates.path_first)
    copies = np.arange(efficiency.size) - np.repeat(candidates.path_first[:-1], counts)
    grooms = copies % 2 == 0 if by_action else np.ones(efficiency.size, np.bool_)
    segments = slicing.max_segments if slicing else 1
    parts = grooming.max_parts if grooming else 0
    protected = network.protection == "1+1"
    return Rules(
        class_mbps=frozen(np.maximum(np.rint(classes.gbps * MBPS), 1.0).astype(np.int64)),
        class_by_rate=frozen(by_rate),
        slot_mbps=frozen(network.slot_width_ghz * efficiency * MBPS),
        guard_slots=network.guard_slots,
        path_pair=frozen(np.repeat(np.arange(counts.size, dtype=np.int32), counts)),
        path_grooms=frozen(grooms & (grooming is not None)),
        parts=parts,
        grooming_by_action=by_action,
        segments=segments,
        greedy=slicing is not None and slicing.split == "greedy",
        protected=protected,
        disjoint=frozen(_disjoint(candidates, num_edges) if protected else np.zeros((0, 0), np.bool_)),
        restores=network.restoration != "none",
        legs=2 if protected else max(parts, 1) - 1 + segments,
        edges=num_edges,
    )


def _disjoint(candidates: CandidatePaths, num_edges: int) -> Bools:
    """Whether a candidate shares no edge with each candidate of its pair, in either direction."""
    edges = [
        set((candidates.path_links[first:last] % num_edges).tolist())
        for first, last in zip(candidates.link_first, candidates.link_first[1:], strict=False)
    ]
    table = np.zeros((len(edges), int(np.diff(candidates.path_first).max())), np.bool_)
    for first, last in zip(candidates.path_first, candidates.path_first[1:], strict=False):
        for path in range(first, last):
            for other in range(first, last):
                table[path, other - first] = not edges[path] & edges[other]
    return table
