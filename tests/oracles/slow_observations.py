"""FUSION's observation parts, worked out the slow way from the slow simulator's sets of slots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.oracles.slow_simulator import NodePath, SlowNetwork, SlowRequest

Parts = dict[str, list[float]]

_FOUR = "source destination request_bandwidth holding_time"
NAMES_OF_SET = {
    1: "source destination",
    2: "source destination request_bandwidth",
    3: "source destination holding_time",
    4: _FOUR,
    5: f"{_FOUR} slots_needed path_lengths",
    6: f"{_FOUR} slots_needed path_lengths paths_cong",
    7: f"{_FOUR} slots_needed path_lengths paths_cong available_slots",
    8: f"{_FOUR} slots_needed path_lengths paths_cong available_slots is_feasible",
}


def one_hot(chosen: int, size: int) -> list[float]:
    return [float(place == chosen) for place in range(size)]


def mean_share_in_use(network: SlowNetwork, path: NodePath) -> float:
    shares = [len(network.in_use.get(link, set())) / network.slots for link in network.links(path)]
    return sum(shares) / len(shares)


@dataclass(frozen=True)
class Largest:
    """What shares are of, in a network."""

    slots_needed: int
    paths: int
    km: float


def largest(network: SlowNetwork) -> Largest:
    every_path = [path for paths in network.candidates.values() for path in paths]
    widths = [network.width_of_bandwidth(path, *asked) or 0 for path in every_path for asked in network.bandwidths]
    return Largest(
        slots_needed=max(1, *widths),
        paths=max(len(paths) for paths in network.candidates.values()),
        km=max(network.total_km(path) for path in every_path),
    )


def parts(network: SlowNetwork, most: Largest, nodes: Sequence[str], request: SlowRequest) -> Parts:
    """All parts of a request at hand, on the network as its services have left it."""
    candidates = network.candidates[request.source, request.target]
    logarithm = math.log(1 + request.holding)

    def of_paths(values: list[float]) -> list[float]:
        return values + [0.0] * (most.paths - len(values))

    return {
        "source": one_hot(nodes.index(request.source), len(nodes)),
        "destination": one_hot(nodes.index(request.target), len(nodes)),
        "request_bandwidth": one_hot(
            network.bandwidths.index((request.gbps, request.width_slots)), len(network.bandwidths)
        ),
        "holding_time": [1 - 1 / (1 + logarithm)],
        "slots_needed": of_paths([(network.width(path, request) or 0) / most.slots_needed for path in candidates]),
        "path_lengths": of_paths([network.total_km(path) / most.km for path in candidates]),
        "paths_cong": of_paths([mean_share_in_use(network, path) for path in candidates]),
        "available_slots": of_paths([len(network.free_slots(path)) / network.slots for path in candidates]),
        "is_feasible": of_paths([float(network.lowest_start(path, request) is not None) for path in candidates]),
    }
