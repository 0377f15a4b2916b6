"""World: what does not change while traffic is served, as read-only arrays."""

from typing import Any, NamedTuple

import numpy as np

from fusion_rl.arrays import Floats, Floats32, Ints, Ints64, Words, frozen
from fusion_rl.config.network import NetworkConfig
from fusion_rl.domains.optical import modulation, rules, transmission
from fusion_rl.domains.optical.paths import CandidatePaths
from fusion_rl.domains.optical.pipelines.bitmap import WORD_BITS
from fusion_rl.domains.optical.rules import Rules
from fusion_rl.domains.optical.topology import Topology
from fusion_rl.domains.optical.traffic import BandwidthClasses
from fusion_rl.domains.optical.transmission import Transmission


class World(NamedTuple):
    """A network with its candidate paths and the bandwidth classes that its requests can have.

    The candidate paths of pair r are path_first[r] .. path_first[r + 1] - 1, best first; the links of path p
    are path_links[link_first[p]] .. path_links[link_first[p + 1] - 1], from source to destination. Where formats
    are chosen request by request, each route is listed once for each format, the most efficient first.
    """

    slots: int
    slot_width_ghz: float
    num_nodes: int
    max_paths: int  # K, routes of a pair
    formats: int  # candidates of each route, one after the other; 1 where the reach decides
    pair_source: Ints  # [R] node index
    pair_target: Ints  # [R]
    path_first: Ints64  # [R + 1]; 64 bits, so that kernels see path numbers of one type
    link_first: Ints  # [P + 1]
    path_links: Ints  # [sum of hops]
    path_hops: Ints  # [P]
    path_length_km: Floats32  # [P]
    path_efficiency: Floats32  # [P] bits/s/Hz of the best format that reaches; 0: none does
    path_width: Ints  # [P, C] slots that a request takes, guard slots included; 0: out of reach
    class_gbps: Floats  # [C]
    link_length_km: Floats32  # [L]
    beyond: Words  # [W] the bits above the last slot, which no request may use
    max_width: int  # the largest entries above, for scaling
    max_hops: int
    max_length_km: float
    max_gbps: float
    # Rules | None: how lightpaths are shared, split and protected; None: each service has its own.
    rules: Any  # Any, because kernels that read it are only compiled where it is there
    # Transmission | None: the physics of the links; None: the reach says all.
    transmission: Any


def build(
    network: NetworkConfig,
    topology: Topology,
    candidates: CandidatePaths,
    classes: BandwidthClasses,
    failures: bool = False,
) -> World:
    """The world of a network whose requests have the given bandwidth classes.

    Args:
        network: the settings.
        topology: nodes and links.
        candidates: of every pair; each route once for each format that a decision may choose.
        classes: the bandwidths that requests can have.
        failures: whether links can fail.

    Raises:
        ConfigError, TopologyError: the settings do not go together.
    """
    formats = modulation.formats_of(network)
    efficiency, required_snr_db = modulation.of_candidates(network, formats, candidates.length_km)
    lengths_km = np.array([link.length_km for link in topology.links])
    width = modulation.slots_needed(network, efficiency, classes)
    physics = None
    if network.transmission is not None:
        physics = transmission.prepare(
            network.transmission,
            slots=network.slots,
            slot_width_ghz=network.slot_width_ghz,
            guard_slots=network.guard_slots,
            link_length_km=lengths_km,
            required_snr_db=np.where(efficiency > 0, required_snr_db, 0.0),  # out of reach: never asked for
            # Lightpaths that others fill up are moved with what they carry, and filled up again.
            max_width=None if failures and network.grooming is not None else _widest(width, efficiency),
        )
    ruled = rules.needed(network, failures)
    return assemble(
        slots=network.slots,
        slot_width_ghz=network.slot_width_ghz,
        num_nodes=len(topology.nodes),
        candidates=candidates,
        efficiency=efficiency,
        width=width,
        class_gbps=classes.gbps,
        link_length_km=lengths_km,
        formats=len(formats),
        rules=rules.build(network, candidates, classes, efficiency, len(topology.edges)) if ruled else None,
        transmission=physics,
    )


def _widest(width: Ints, efficiency: Floats) -> int:
    """Slots of the widest lightpath there can be where none is both shared and moved (and whole Mb/s are asked for)."""
    return int(width.max()) + 1 if (efficiency > 0).any() else 1


def assemble(
    *,
    slots: int,
    slot_width_ghz: float,
    num_nodes: int,
    candidates: CandidatePaths,
    efficiency: Floats,
    width: Ints,
    class_gbps: Floats,
    link_length_km: Floats,
    formats: int = 1,
    rules: Rules | None = None,
    transmission: Transmission | None = None,
) -> World:
    """A world from its parts.

    Args:
        slots: of every link.
        slot_width_ghz: of a slot.
        num_nodes: nodes of the topology.
        candidates: candidate paths; a path may be listed once for each format or fibre core that it can use.
        efficiency: bits/s/Hz on each path, [P].
        width: slots that a class takes on a path, guard slots included; 0 where it cannot be used, [P, C].
        class_gbps: [C].
        link_length_km: [L].
        formats: candidates that each route is listed as, as the action codecs and observations see it.
        rules: how lightpaths are shared.
        transmission: the physics of the links.
    """
    beyond = np.zeros(-(-slots // WORD_BITS), np.uint64)
    if slots % WORD_BITS:
        beyond[-1] = np.uint64(0xFFFFFFFFFFFFFFFF) << np.uint64(slots % WORD_BITS)
    return World(
        slots=slots,
        slot_width_ghz=slot_width_ghz,
        num_nodes=num_nodes,
        max_paths=int(np.diff(candidates.path_first).max()) // formats,
        formats=formats,
        pair_source=frozen(candidates.pair_source),
        pair_target=frozen(candidates.pair_target),
        path_first=frozen(candidates.path_first.astype(np.int64)),
        link_first=frozen(candidates.link_first),
        path_links=frozen(candidates.path_links),
        path_hops=frozen(np.diff(candidates.link_first).astype(np.int32)),
        path_length_km=frozen(candidates.length_km.astype(np.float32)),
        path_efficiency=frozen(efficiency.astype(np.float32)),
        # few bytes, because a request looks at one class of many paths; what is too wide fits nowhere either way
        path_width=frozen(np.minimum(width, np.iinfo(np.int16).max).astype(np.int16)),
        class_gbps=frozen(class_gbps),
        link_length_km=frozen(link_length_km.astype(np.float32)),
        beyond=frozen(beyond),
        max_width=int(max(width.max(), 1)),
        max_hops=int(np.diff(candidates.link_first).max()),
        max_length_km=float(candidates.length_km.max()),
        max_gbps=float(class_gbps.max()),
        rules=rules,
        transmission=transmission,
    )
