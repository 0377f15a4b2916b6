"""optical-rl-gym's RMSA-v0, request for request: its random stream and its rules on our kernels.

Conditions: NSFNET, both directions of an edge share one spectrum, 100 slots of 12.5 GHz, uniform integer bit
rates 25..100 Gb/s, ceil(Gb/s / (12.5 x bits/s/Hz)) + 1 slots, exponential holding times of mean 10800, five
paths by length, shortest available path first. Source: C. Natalino and P. Monti, The Optical RL-Gym, ICTON 2020.
"""

import random
from itertools import islice

import networkx as nx
import numpy as np

from fusion_rl.arrays import Bytes, Floats, frozen
from fusion_rl.config.network import Format, NetworkConfig
from fusion_rl.domains.optical import paths, topology, world
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.metrics import Tally
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.traffic import BandwidthClasses

CONDITIONS = (
    "NSFNET, shared links, 100 slots of 12.5 GHz, 1 guard slot, k_paths=5 by km, reach 6/125, 5/250, 4/500, 3/1000, "
    "2/2000, 1 beyond (bits/s/Hz up to km), exponential holding times"
)
MEAN_HOLDING = 10_800.0
LOWEST_GBPS, HIGHEST_GBPS = 25, 100
K_PATHS = 5
REACH_TABLE = tuple(
    Format(bits_per_s_per_hz=efficiency, reach_km=reach_km)
    for efficiency, reach_km in ((6, 125), (5, 250), (4, 500), (3, 1000), (2, 2000), (1, None))
)
# Its heuristics never place a block at the last start that would fit, so slot 100 is never used: 99 are.
USABLE_SLOTS = 99


def simulate(load_erlang: float, seed: int, warmup_requests: int, requests: int) -> Tally:
    """Count what optical-rl-gym's shortest-available-path first-fit blocks.

    Args:
        load_erlang, seed: as `decide` takes them.
        warmup_requests: requests that do not count.
        requests: requests that do.
    """
    verdict, gbps = decide(load_erlang, seed, warmup_requests + requests)
    tally = Tally(1, requests, warmup_requests)
    tally.add(0, 0, verdict, gbps)
    return tally


def decide(load_erlang: float, seed: int, requests: int) -> tuple[Bytes, Floats]:
    """Serve optical-rl-gym's requests with its shortest-available-path first-fit.

    Args:
        load_erlang: arrival rate x mean holding time.
        seed: of Python's `random.Random`.
        requests: how many, from an empty network.

    Returns:
        Verdict and bit rate of each request, [requests].
    """
    network = NetworkConfig(
        topology="nsfnet",
        links="shared",
        slots=USABLE_SLOTS,
        guard_slots=1,
        reach_table=REACH_TABLE,
        k_paths=K_PATHS,
        path_order="km",
    )
    read = topology.read("nsfnet", "shared")
    bit_rates = np.arange(LOWEST_GBPS, HIGHEST_GBPS + 1)
    classes = BandwidthClasses(bit_rates.astype(np.float64), np.zeros(bit_rates.size, np.int32))
    built = world.build(network, read, _paths_by_length(read), classes)
    asked = _stream(read, load_erlang, seed, requests)
    verdict = LaneServer(built, Heuristic(ksp_ff), load_erlang).serve(asked).verdict
    return verdict, classes.gbps[asked.bandwidth_class]


def _paths_by_length(read: topology.Topology) -> paths.CandidatePaths:
    """NetworkX's own order of equally long paths is part of the rules, so NetworkX is asked."""
    graph = nx.Graph()
    for edge in read.edges:
        graph.add_edge(edge.source, edge.target, length=edge.length_km)
    number = {node: i for i, node in enumerate(read.nodes)}
    lists = []
    for source, target in zip(read.pair_source.tolist(), read.pair_target.tolist(), strict=True):
        low, high = sorted((source, target))
        found = islice(nx.shortest_simple_paths(graph, read.nodes[low], read.nodes[high], weight="length"), K_PATHS)
        forward = [tuple(number[node] for node in path) for path in found]
        lists.append(forward if source == low else [path[::-1] for path in forward])
    return paths.numbered(lists, read)


def _stream(read: topology.Topology, load_erlang: float, seed: int, count: int) -> Requests:
    draw = random.Random(seed)
    nodes = list(range(len(read.nodes)))
    uniform = np.full(len(nodes), 1.0 / len(nodes))
    between_arrivals = 1.0 / (load_erlang / MEAN_HOLDING)
    pair_of = {(int(s), int(t)): r for r, (s, t) in enumerate(zip(read.pair_source, read.pair_target, strict=True))}
    now = 0.0
    rows = []
    for _ in range(count):
        now += draw.expovariate(1.0 / between_arrivals)
        holding = draw.expovariate(1.0 / MEAN_HOLDING)
        source = draw.choices(nodes, weights=uniform.tolist())[0]
        others = uniform.copy()
        others[source] = 0.0
        others /= others.sum()
        target = draw.choices(nodes, weights=others.tolist())[0]
        rows.append((now, holding, pair_of[source, target], draw.randint(LOWEST_GBPS, HIGHEST_GBPS) - LOWEST_GBPS))
    arrival, holding_times, pair, bandwidth_class = (np.array(column) for column in zip(*rows, strict=True))
    return Requests(
        arrival=frozen(arrival),
        holding=frozen(holding_times),
        pair=frozen(pair.astype(np.int32)),
        bandwidth_class=frozen(bandwidth_class.astype(np.int32)),
        key=0,
        number=0,
    )
