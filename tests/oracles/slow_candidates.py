"""The features of candidate decisions, worked out the slow way from the slow simulator's sets of slots."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.oracles.slow_simulator import NodePath, SlowNetwork, SlowRequest, capacity, starts_of

Candidate = tuple[NodePath, int]


def candidates(network: SlowNetwork, request: SlowRequest, every_start: bool) -> list[Candidate]:
    """Path by path the starts at both edges of each block that is long enough, or all starts."""
    found = []
    for path, _ in network.paths_with_room(request):
        starts = starts_of(network, path, request)
        edges = [start for start in starts if start - 1 not in starts or start + 1 not in starts]
        found += [(path, start) for start in (starts if every_start else edges)]
    return found


def best_paths(network: SlowNetwork) -> list[NodePath]:
    """Of each pair the best-ranked path within reach for some bandwidth; the best-ranked one where none is."""
    return [
        next((path for path in paths if widths_on(network, path)), paths[0]) for paths in network.candidates.values()
    ]


def widths_on(network: SlowNetwork, path: NodePath) -> set[int]:
    """All that requests can take on a path."""
    widths = {network.width_of_bandwidth(path, gbps, slots) for gbps, slots in network.bandwidths}
    return {width for width in widths if width is not None and width <= network.slots}


def run_around(free: set[int], slots: set[int]) -> tuple[int, int]:
    """The free slots right below a block and right above it, how many each."""
    below, above = 0, 0
    while min(slots) - below - 1 in free:
        below += 1
    while max(slots) + above + 1 in free:
        above += 1
    return below, above


@dataclass(frozen=True)
class SlowFeatures:
    """The features of one network's candidates."""

    network: SlowNetwork
    routes: list[NodePath]
    route_widths: list[set[int]]
    widths: set[int]
    route_loss_unit: float

    @classmethod
    def of(cls, network: SlowNetwork, links: int) -> "SlowFeatures":
        """`links` of the network, those without a route included."""
        routes = best_paths(network)
        route_widths = [widths_on(network, route) for route in routes]
        passing = sum(
            len(widths) * len(network.links(route)) for route, widths in zip(routes, route_widths, strict=True)
        )
        return cls(network, routes, route_widths, set().union(*route_widths), max(10 * passing / links, 1.0))

    def loss(self, free: set[int], slots: set[int]) -> float:
        if not self.widths:
            return 0.0
        return (capacity(free, self.widths) - capacity(free - slots, self.widths)) / len(self.widths)

    def rows(self, request: SlowRequest, links: int, every_start: bool) -> Iterator[tuple[Candidate, dict[str, float]]]:
        """Every candidate with its features."""
        network, all_slots = self.network, set(range(self.network.slots))
        paths = network.candidates[request.source, request.target]
        in_use = sum(len(slots) for slots in network.in_use.values()) / (links * network.slots)
        largest = max(gbps for gbps, _ in network.bandwidths)
        for path, start in candidates(network, request, every_start):
            width = network.width(path, request)
            assert width is not None
            slots = set(range(start, start + width))
            used = [network.in_use.get(link, set()) for link in network.links(path)]
            free = [all_slots - those for those in used]
            share = [len(those) / network.slots for those in used]
            around = [run_around(those, slots) for those in free]
            losses = [self.loss(those, slots) for those in free]
            hops, free_on_path = len(used), set(network.free_slots(path))
            yield (
                (path, start),
                {
                    "spectrum_used": hops * width / 20,
                    "hops": hops / 5,
                    "width": width / 8,
                    "mean_utilisation": sum(share) / hops,
                    "max_utilisation": max(share),
                    "squared_utilisation": sum(one * one for one in share) / 3,
                    "path_free": len(free_on_path) / network.slots,
                    "rank": paths.index(path) / 10,
                    "network_utilisation": in_use,
                    "start": start / network.slots,
                    "start_hops": start / network.slots * hops / 5,
                    "cuts": sum(below > 0 and above > 0 for below, above in around) / hops,
                    "link_fits": sum(below == above == 0 for below, above in around) / hops,
                    "path_fit": float(run_around(free_on_path, slots) == (0, 0)),
                    "small_gaps": sum(below in (1, 2) or above in (1, 2) for below, above in around) / hops,
                    "gaps": sum(min(gap, 10) for gaps in around for gap in gaps) / (10 * hops),
                    "link_loss": sum(losses) / 10,
                    "loaded_link_loss": sum(loss * one for loss, one in zip(losses, share, strict=True)) / 5,
                    "max_link_loss": max(losses) / 3,
                    "path_loss": self.loss(free_on_path, slots) / 10,
                    "bandwidth": request.gbps / largest,
                    "route_loss": self.route_loss(path, slots) / self.route_loss_unit,
                },
            )

    def route_loss(self, path: NodePath, slots: set[int]) -> float:
        """What the routes that share a link with a path lose."""
        total = 0
        for route, widths in zip(self.routes, self.route_widths, strict=True):
            if set(self.network.links(route)) & set(self.network.links(path)):
                free = set(self.network.free_slots(route))
                total += capacity(free, widths) - capacity(free - slots, widths)
        return total
