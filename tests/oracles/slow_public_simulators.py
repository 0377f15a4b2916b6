"""FUSION and optical-rl-gym as their rules read, slot by slot in plain Python, with nothing of the package.

Sources: FUSION's shortest-path-first allocation with its default bandwidth and format table; optical-rl-gym's RMSA-v0
with its shortest-available-path first-fit. Both directions of an edge share one spectrum in both.
"""

import csv
import random
from collections.abc import Iterator
from itertools import islice, pairwise
from math import ceil, inf, log
from pathlib import Path

import networkx as nx
import numpy as np

TOPOLOGIES = Path(__file__).resolve().parents[2] / "fusion_rl" / "domains" / "optical" / "data" / "topologies"

# Gb/s -> (longest path in km, slots), from the shortest reach up
FUSION_FORMATS = {
    25: [(3664, 1), (9500, 1), (22160, 1)],
    50: [(1832, 1), (4750, 1), (11080, 2)],
    100: [(916, 2), (2375, 2), (5540, 4)],
    200: [(458, 3), (1187, 4), (2770, 8)],
    400: [(229, 6), (594, 8), (1385, 16)],
}
GYM_REACH = [(6, 125.0), (5, 250.0), (4, 500.0), (3, 1000.0), (2, 2000.0), (1, inf)]  # bits/s/Hz up to km

Slot = tuple[int, frozenset[str], int]  # core, ends of the edge, number


class Fibres:
    """Which slots are in use, and until when."""

    def __init__(self, topology: str) -> None:
        lines = (TOPOLOGIES / f"{topology}.csv").read_text().splitlines()
        self.graph = nx.Graph()
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            self.graph.add_edge(row["source"], row["target"], km=float(row["length_km"]))
        self._until: dict[Slot, float] = {}

    def paths(self, source: str, target: str, count: int) -> list[list[str]]:
        """The shortest, by km."""
        return list(islice(nx.shortest_simple_paths(self.graph, source, target, weight="km"), count))

    def length_km(self, path: list[str]) -> float:
        return float(nx.path_weight(self.graph, path, weight="km"))

    def release(self, now: float) -> None:
        self._until = {slot: until for slot, until in self._until.items() if until > now}

    def take(self, path: list[str], width: int, starts: range, until: float, core: int = 0) -> bool:
        """Hold the lowest free block of so many slots, if there is one."""
        for start in starts:
            block = [(core, frozenset(ends), slot) for ends in pairwise(path) for slot in range(start, start + width)]
            if not any(slot in self._until for slot in block):
                self._until.update(dict.fromkeys(block, until))
                return True
        return False


def fusion(erlang: float, seed: int, requests: int, cores: int, shares: dict[int, float]) -> Iterator[tuple[bool, int]]:
    """Whether FUSION serves each request, and its Gb/s."""
    draw = np.random.RandomState(seed)

    def uniform() -> float:
        return float(draw.uniform(0, 1))

    fibres = Fibres("nsfnet-fusion")
    nodes, rates = list(fibres.graph), list(FUSION_FORMATS)
    left = {gbps: int(shares.get(gbps, 0) * requests) for gbps in rates}
    now = 0.0
    for _ in range(requests):
        now += -log(uniform()) / (cores * erlang / 0.2)
        holding = -log(uniform()) / (1 / 0.2)
        source = target = int(uniform() * 14)
        while target == source:
            target = int(uniform() * 14)
        gbps = rates[int(uniform() * 5)]
        while not left[gbps]:
            gbps = rates[int(uniform() * 5)]
        left[gbps] -= 1
        fibres.release(now)
        yield (
            any(
                fibres.take(path, slots + 1, range(320 - slots), now + holding, core)
                for path in fibres.paths(nodes[source], nodes[target], 4)
                for reach_km, slots in FUSION_FORMATS[gbps]
                if fibres.length_km(path) <= reach_km
                for core in range(cores)
            ),
            gbps,
        )


def optical_rl_gym(load: float, seed: int, requests: int) -> Iterator[tuple[bool, int]]:
    """Whether optical-rl-gym serves each request, and its Gb/s."""
    draw = random.Random(seed)
    fibres = Fibres("nsfnet")
    nodes = sorted(fibres.graph, key=int)
    now = 0.0
    for _ in range(requests):
        now += draw.expovariate(1 / (1 / (load / 10_800)))
        until = now + draw.expovariate(1 / 10_800)
        weights = np.full(14, 1 / 14)
        source = draw.choices(nodes, weights.tolist())[0]
        weights[nodes.index(source)] = 0
        target = draw.choices(nodes, (weights / weights.sum()).tolist())[0]
        gbps = draw.randint(25, 100)
        fibres.release(now)
        served = False
        for path in fibres.paths(*sorted((source, target), key=int), 5):
            efficiency = next(bits for bits, reach_km in GYM_REACH if fibres.length_km(path) <= reach_km)
            width = ceil(gbps / (12.5 * efficiency)) + 1
            served = served or fibres.take(path, width, range(100 - width), until)  # never the last start
        yield served, gbps
