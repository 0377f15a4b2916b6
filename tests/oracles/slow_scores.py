"""Learned slot-capacity loss, as its file defines it, worked out the slow way from sets of slots."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp

from tests.oracles.slow_candidates import best_paths, widths_on
from tests.oracles.slow_simulator import Link, NodePath, SlowNetwork, SlowRequest, starts_of

PATHS = 10
Use = dict[Link, set[int]]  # slots in use


@dataclass(frozen=True)
class SlowScore:
    """A score with its parameters; the smaller the better."""

    network: SlowNetwork
    given: Mapping[str, float]
    mean_holding_time: float

    def scores(self, request: SlowRequest, known_holding: bool) -> dict[tuple[NodePath, int], float]:
        """Of every start on the first ten paths; where these have no room, on the first later path that has."""
        network, found = self.network, {}
        for rank, path in enumerate(network.candidates[request.source, request.target]):
            width = network.width(path, request)
            if width is None or (rank >= PATHS and found):
                continue
            for start in starts_of(network, path, request):
                slots = set(range(start, start + width))
                total = self.losses(network.in_use, path, slots) + self.others(path, rank, start, width)
                if known_holding:
                    total += self.losses_ahead(request, path, slots)
                found[path, start] = total
        return found

    def losses(self, in_use: Use, path: NodePath, slots: set[int]) -> float:
        """What routes and links lose, weighted, where so much is in use."""
        network, given, total = self.network, self.given, 0.0
        links = network.links(path)
        for route in best_paths(network):
            if not set(network.links(route)) & set(links):
                continue
            ways = self.ways(route)
            free = set(range(network.slots)) - set().union(*(in_use.get(one, set()) for one in network.links(route)))
            idle = weighted_capacity(set(range(network.slots)), ways)
            y = 1 - weighted_capacity(free, ways) / idle if idle else 0.0
            loss = weighted_capacity(free, ways) - weighted_capacity(free - slots, ways)
            scarcity = exp(given["scarcity"] * y + given["scarcity_squared"] * y * y)
            total += len(network.links(route)) ** given["hops"] * scarcity * loss
        ways = {m: given[f"link_width/{m}"] for m in range(1, 11)}
        for link in links:
            used = in_use.get(link, set())
            free = set(range(network.slots)) - used
            loss = weighted_capacity(free, ways) - weighted_capacity(free - slots, ways)
            total += 10 * exp(given["load"] * len(used) / network.slots) * loss
        return total

    def ways(self, route: NodePath) -> dict[int, float]:
        """The widths of a route's format and their weights."""
        network = self.network
        efficiency = 1.0
        if network.reach_table is not None:
            km = network.total_km(route)
            efficiency = max((se for se, reach in network.reach_table if reach is None or km <= reach), default=0.0)
        return {m: exp(self.given[f"width/{efficiency:g}/{m}"]) for m in widths_on(network, route)}

    def others(self, path: NodePath, rank: int, start: int, width: int) -> float:
        """The terms that are no losses."""
        network, given = self.network, self.given
        use = [len(network.in_use.get(link, set())) / network.slots for link in network.links(path)]
        by_width = (
            given["spectrum"] * len(use)
            + given["width_load"] * sum(use)
            + given["width_squared_load"] * sum(one * one for one in use)
            + given["width_max_load"] * max(use)
            + given["width"]
        )
        return 10 * (by_width * width + given["rank"] * rank) + 100 * (
            given["path_hops"] * len(use) + given["start"] * start / network.slots
        )

    def losses_ahead(self, request: SlowRequest, path: NodePath, slots: set[int]) -> float:
        """The losses at the times that the request reaches, in the network as it will be then if nothing else comes."""
        total = 0.0
        for quarter in range(1, 9):
            ahead = quarter * self.mean_holding_time / 4
            if request.holding > ahead:
                in_use: Use = {}
                for departure, taken, those in self.network.running:
                    if departure > request.arrival + ahead:
                        for link in self.network.links(taken):
                            in_use.setdefault(link, set()).update(those)
                weight = self.given["future"] * exp(-self.given["decay"] * quarter / 4)
                total += weight * self.losses(in_use, path, slots)
        return total


def weighted_capacity(free: set[int], ways: Mapping[int, float]) -> float:
    """Over the widths, their weight times the slots from which a block of this width is free."""
    return sum(
        weight * sum(all(slot + i in free for i in range(width)) for slot in free) for width, weight in ways.items()
    )
