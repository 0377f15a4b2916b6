"""FUSION's simulator, request for request: its random stream and its rules on our kernels.

Conditions: FUSION's NSFNET, both directions of an edge share one spectrum, 320 slots of 12.5 GHz for each fibre
core, exponential holding times of mean 0.2, four paths by length for each ordered pair, for each path the
formats from the shortest reach up, for each format the cores in order, lowest start, one guard slot; the
network is empty at the start and every request counts. Source: FUSION (Flexible Unified System for Intelligent
Optical Networking), its default bandwidth and format table.
"""

from collections.abc import Mapping
from itertools import islice

import networkx as nx
import numpy as np

from fusion_rl.arrays import Bytes, Floats, Ints, frozen
from fusion_rl.domains.optical import paths, topology, world
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.metrics import Tally
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.errors import TrafficError

CONDITIONS = (
    "NSFNET of FUSION, shared links, 320 slots of 12.5 GHz a core, 1 guard slot, k_paths=4 by km, exponential "
    "holding times, no warm-up"
)
SLOTS = 320
SLOT_WIDTH_GHZ = 12.5
GUARD_SLOTS = 1
MEAN_HOLDING = 0.2
K_PATHS = 4
GBPS = (25, 50, 100, 200, 400)
# formats from the shortest reach up: for each bit rate (longest path in km, slots)
FORMATS = {
    "64-QAM": ((3664, 1), (1832, 1), (916, 2), (458, 3), (229, 6)),
    "16-QAM": ((9500, 1), (4750, 1), (2375, 2), (1187, 4), (594, 8)),
    "QPSK": ((22160, 1), (11080, 2), (5540, 4), (2770, 8), (1385, 16)),
}
# FUSION numbers nodes in the order in which its topology file first names them
NODE_ORDER_TOPOLOGY = "nsfnet-fusion"


def simulate(
    erlang: float, seed: int, requests: int, cores: int = 1, shares: Mapping[int, float] | None = None
) -> Tally:
    """Count what FUSION's shortest-path-first allocation blocks; see `decide` for the arguments and errors."""
    verdict, gbps = decide(erlang, seed, requests, cores, shares)
    tally = Tally(1, requests, 0)
    tally.add(0, 0, verdict, gbps)
    return tally


def decide(
    erlang: float, seed: int, requests: int, cores: int = 1, shares: Mapping[int, float] | None = None
) -> tuple[Bytes, Floats]:
    """Serve FUSION's requests as its shortest-path-first allocation does.

    Args:
        erlang: load of one core.
        seed: of numpy's legacy generator.
        requests: how many; all count.
        cores: spectra of a link.
        shares: Gb/s -> share of the requests, exact in number; None: all at 100 Gb/s.

    Returns:
        Verdict and bit rate of each request, [requests].

    Raises:
        TrafficError: a bit rate is not FUSION's, or the shares do not make up the requests.
    """
    quotas = _quotas(requests, {100: 1.0} if shares is None else shares)
    read = topology.read(NODE_ORDER_TOPOLOGY, "shared")
    candidates, widths = _candidates(read, cores)
    built = world.assemble(
        slots=SLOTS,
        slot_width_ghz=SLOT_WIDTH_GHZ,
        num_nodes=len(read.nodes),
        candidates=candidates,
        efficiency=np.ones(len(candidates.nodes)),
        width=widths,
        class_gbps=np.array(GBPS, np.float64),
        link_length_km=np.tile([link.length_km for link in read.links], cores),
    )
    asked = _stream(read, cores * erlang / MEAN_HOLDING, seed, requests, quotas)
    verdict = LaneServer(built, Heuristic(ksp_ff), cores * erlang).serve(asked).verdict
    return verdict, built.class_gbps[asked.bandwidth_class]


def _quotas(requests: int, shares: Mapping[int, float]) -> list[int]:
    unknown = sorted(set(shares) - set(GBPS))
    if unknown:
        raise TrafficError(f"FUSION has no bit rate of {unknown[0]} Gb/s; it has {', '.join(map(str, GBPS))}")
    quotas = [int(shares.get(gbps, 0.0) * requests) for gbps in GBPS]
    if sum(quotas) != requests:
        raise TrafficError(
            f"the shares make {sum(quotas)} requests of {requests}: each share x requests, rounded down, must "
            "sum to the requests"
        )
    return quotas


def _candidates(read: topology.Topology, cores: int) -> tuple[paths.CandidatePaths, Ints]:
    """Every path once for each format and core, in the order of trial, and the slots it takes for each bit rate."""
    graph = nx.Graph()
    for edge in read.edges:
        graph.add_edge(edge.source, edge.target, length=edge.length_km)
    number = {node: i for i, node in enumerate(read.nodes)}
    lists, formats, path_cores = [], [], []
    for source, target in zip(read.pair_source, read.pair_target, strict=True):
        by_length = nx.shortest_simple_paths(graph, read.nodes[source], read.nodes[target], weight="length")
        trials = [
            (tuple(number[node] for node in path), form, core)
            for path in islice(by_length, K_PATHS)
            for form in FORMATS
            for core in range(cores)
        ]
        lists.append([nodes for nodes, _, _ in trials])
        formats += [form for _, form, _ in trials]
        path_cores += [core for _, _, core in trials]
    candidates = paths.numbered(lists, read)
    reach_km = np.array([[reach for reach, _ in FORMATS[form]] for form in formats])
    slots = np.array([[count for _, count in FORMATS[form]] for form in formats])
    widths = np.where(candidates.length_km[:, None] <= reach_km, slots + GUARD_SLOTS, 0).astype(np.int32)
    core_of_link = np.repeat(np.array(path_cores, np.int32), np.diff(candidates.link_first))
    candidates.path_links[:] += core_of_link * len(read.links)
    return candidates, widths


def _stream(read: topology.Topology, rate: float, seed: int, count: int, quotas: list[int]) -> Requests:
    draw = np.random.RandomState(seed)  # the legacy generator is FUSION's
    order = list(dict.fromkeys(node for edge in read.edges for node in (edge.source, edge.target)))
    number = [read.nodes.index(node) for node in order]
    nodes = len(order)
    pair_of = {(int(s), int(t)): r for r, (s, t) in enumerate(zip(read.pair_source, read.pair_target, strict=True))}
    left = list(quotas)
    now = 0.0
    arrival, holding = np.zeros(count), np.zeros(count)
    pair, bandwidth_class = np.zeros(count, np.int32), np.zeros(count, np.int32)
    for i in range(count):
        now += -np.log(draw.uniform(0, 1)) / rate
        arrival[i] = now
        holding[i] = -np.log(draw.uniform(0, 1)) / (1 / MEAN_HOLDING)
        source = target = int(draw.uniform(0, 1) * nodes)
        while target == source:
            target = int(draw.uniform(0, 1) * nodes)
        kind = int(draw.uniform(0, 1) * len(GBPS))
        while left[kind] == 0:
            kind = int(draw.uniform(0, 1) * len(GBPS))
        left[kind] -= 1
        pair[i] = pair_of[number[source], number[target]]
        bandwidth_class[i] = kind
    return Requests(frozen(arrival), frozen(holding), frozen(pair), frozen(bandwidth_class), key=0, number=0)
