"""A slow, obvious simulator of elastic optical networks: what the fast one is compared with.

Slots are Python sets, running services a plain list, widths exact fractions. It shares no code with the package.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

NodePath = tuple[str, ...]
Link = tuple[str, str]
Choice = tuple[NodePath, int] | None  # a path and its first slot, or a refusal
Decision = tuple[str, NodePath | None, int | None]  # accepted | spectrum | reach, the path and its first slot


@dataclass(frozen=True)
class SlowRequest:
    """One request; `width_slots` above 0 is its width on every path, otherwise the bit rate decides.

    `key` and `number` are what the random heuristic draws from.
    """

    arrival: float
    holding: float
    source: str
    target: str
    gbps: float
    width_slots: int
    key: int
    number: int


@dataclass
class SlowNetwork:
    """A network in use.

    `reach_table` lists (bits/s/Hz, km or None for any length); None where there are no formats.
    """

    lengths_km: dict[Link, float]  # each edge once
    directed: bool
    slots: int
    guard_slots: int
    slot_width_ghz: float
    reach_table: list[tuple[float, float | None]] | None
    candidates: dict[Link, list[NodePath]]  # source and target -> paths, best first
    bandwidths: list[tuple[float, int]]  # all that requests can ask for: (Gb/s, width in slots or 0)
    in_use: dict[Link, set[int]] = field(default_factory=dict)
    running: list[tuple[float, NodePath, set[int]]] = field(default_factory=list)  # departure, path, slots

    def link(self, one: str, other: str) -> Link:
        """The spectrum that is used from one node to the next."""
        return (one, other) if self.directed else (min(one, other), max(one, other))

    def links(self, path: NodePath) -> list[Link]:
        return [self.link(one, other) for one, other in pairwise(path)]

    def total_km(self, path: NodePath) -> float:
        both_ways = self.lengths_km | {(b, a): km for (a, b), km in self.lengths_km.items()}
        return sum(both_ways[step] for step in pairwise(path))

    def width(self, path: NodePath, request: SlowRequest) -> int | None:
        """Slots that a request takes on a path, guard included; None where no format reaches."""
        return self.width_of_bandwidth(path, request.gbps, request.width_slots)

    def width_of_bandwidth(self, path: NodePath, gbps: float, width_slots: int) -> int | None:
        """The same for a bit rate, or for a width in slots above 0."""
        efficiency = 1.0
        if self.reach_table is not None:
            total_km = self.total_km(path)
            reaching = [se for se, reach_km in self.reach_table if reach_km is None or total_km <= reach_km]
            if not reaching:
                return None
            efficiency = max(reaching)
        carried = Fraction(self.slot_width_ghz) * Fraction(efficiency)
        return (width_slots or math.ceil(Fraction(gbps) / carried)) + self.guard_slots

    def free_slots(self, path: NodePath) -> list[int]:
        """Slots that no link of a path uses, in order."""
        used = set().union(*(self.in_use.get(link, set()) for link in self.links(path)))
        return [slot for slot in range(self.slots) if slot not in used]

    def blocks(self, path: NodePath) -> list[list[int]]:
        """The free slots of a path, cut into runs of neighbours."""
        runs: list[list[int]] = []
        for slot in self.free_slots(path):
            if runs and runs[-1][-1] == slot - 1:
                runs[-1].append(slot)
            else:
                runs.append([slot])
        return runs

    def lowest_start(self, path: NodePath, request: SlowRequest) -> int | None:
        """The lowest slot of a path from which a request fits."""
        width = self.width(path, request)
        if width is None:
            return None
        return next((block[0] for block in self.blocks(path) if len(block) >= width), None)

    def paths_with_room(self, request: SlowRequest) -> list[tuple[NodePath, int]]:
        """The candidate paths on which a request fits, best first, each with its lowest start."""
        starts = [(path, self.lowest_start(path, request)) for path in self.candidates[request.source, request.target]]
        return [(path, start) for path, start in starts if start is not None]

    def release(self, now: float) -> None:
        """Free what has departed by now."""
        for departure, path, slots in self.running:
            if departure <= now:
                for link in self.links(path):
                    self.in_use[link] -= slots
        self.running = [service for service in self.running if service[0] > now]

    def serve(self, request: SlowRequest, heuristic: Callable[["SlowNetwork", SlowRequest], Choice]) -> Decision:
        """Release, decide, and take the spectrum."""
        self.release(request.arrival)
        choice = heuristic(self, request)
        if choice is None:
            paths = self.candidates[request.source, request.target]
            out_of_reach = all(self.width(path, request) is None for path in paths)
            return ("reach" if out_of_reach else "spectrum"), None, None
        path, start = choice
        width = self.width(path, request)
        assert width is not None, "a path within reach was chosen"
        slots = set(range(start, start + width))
        assert max(slots) < self.slots, "within the band"
        for link in self.links(path):
            assert not self.in_use.setdefault(link, set()) & slots, "no slot serves two"
            self.in_use[link] |= slots
        self.running.append((request.arrival + request.holding, path, slots))
        return "accepted", path, start


def ksp_ff(network: SlowNetwork, request: SlowRequest) -> Choice:
    return next(iter(network.paths_with_room(request)), None)


def ff_ksp(network: SlowNetwork, request: SlowRequest) -> Choice:
    return min(network.paths_with_room(request), key=lambda choice: choice[1], default=None)


def sp_ff(network: SlowNetwork, request: SlowRequest) -> Choice:
    best = network.candidates[request.source, request.target][0]
    start = network.lowest_start(best, request)
    return None if start is None else (best, start)


def ksp_bf(network: SlowNetwork, request: SlowRequest) -> Choice:
    for path, _ in network.paths_with_room(request):
        width = network.width(path, request)
        assert width is not None
        long_enough = [block for block in network.blocks(path) if len(block) >= width]
        return path, min(long_enough, key=len)[0]
    return None


def least_congested(network: SlowNetwork, request: SlowRequest) -> Choice:
    def busiest(choice: tuple[NodePath, int]) -> int:
        return max(len(network.in_use.get(link, set())) for link in network.links(choice[0]))

    return min(network.paths_with_room(request), key=busiest, default=None)


def exact_fit(network: SlowNetwork, request: SlowRequest) -> Choice:
    for path, lowest in network.paths_with_room(request):
        filled = [block[0] for block in network.blocks(path) if len(block) == network.width(path, request)]
        return path, (filled or [lowest])[0]
    return None


def starts_of(network: SlowNetwork, path: NodePath, request: SlowRequest) -> list[int]:
    """Every slot of a path from which a request fits, lowest first."""
    width = network.width(path, request)
    assert width is not None
    free = set(network.free_slots(path))
    return [start for start in sorted(free) if set(range(start, start + width)) <= free]


def last_fit(network: SlowNetwork, request: SlowRequest) -> Choice:
    for path, _ in network.paths_with_room(request):
        return path, starts_of(network, path, request)[-1]
    return None


def most_used(network: SlowNetwork, request: SlowRequest) -> Choice:
    for path, _ in network.paths_with_room(request):

        def used_on_links(start: int) -> int:
            return sum(start in slots for slots in network.in_use.values())

        return path, max(starts_of(network, path, request), key=used_on_links)
    return None


def sap_ff(network: SlowNetwork, request: SlowRequest) -> Choice:
    return min(network.paths_with_room(request), key=lambda choice: network.total_km(choice[0]), default=None)


def random_path(network: SlowNetwork, request: SlowRequest) -> Choice:
    """The n-th path with room replaces the one before it with probability 1/n."""
    chosen = None
    for n, choice in enumerate(network.paths_with_room(request), start=1):
        if looks_random(request.key, request.number * 64 + n + 1) * n < 1:
            chosen = choice
    return chosen


def looks_random(key: int, counter: int) -> Fraction:
    """splitmix64 of a key and a counter, as a number in [0, 1) (Steele, Lea and Flood 2014)."""
    bits = (key + counter * 0x9E3779B97F4A7C15) % 2**64
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) % 2**64
    bits ^= bits >> 31
    return Fraction(bits >> 11, 2**53)


def capacity(free: set[int], widths: set[int]) -> int:
    """In how many ways a block of one of the widths fits into free slots."""
    return sum(all(slot in free for slot in range(start, start + width)) for width in widths for start in free)


def _all_starts(network: SlowNetwork, path: NodePath, request: SlowRequest) -> list[tuple[NodePath, int, int]]:
    """Every place of a request on a path, with what it costs the best path of every pair that shares a link."""
    width = network.width(path, request)
    assert width is not None
    routes = []
    for candidates in network.candidates.values():
        if set(network.links(candidates[0])) & set(network.links(path)):
            widths = {network.width_of_bandwidth(candidates[0], gbps, slots) for gbps, slots in network.bandwidths}
            routes.append((set(network.free_slots(candidates[0])), {width for width in widths if width is not None}))
    before = [capacity(free, widths) for free, widths in routes]
    offers = []
    for block in network.blocks(path):
        for start in block[: max(0, len(block) - width + 1)]:
            taken = set(range(start, start + width))
            after = [capacity(free - taken, widths) for free, widths in routes]
            offers.append((path, start, sum(before) - sum(after)))
    return offers


def mscl(network: SlowNetwork, request: SlowRequest) -> Choice:
    offers = [o for path, _ in network.paths_with_room(request) for o in _all_starts(network, path, request)]
    best = min(offers, key=lambda offer: offer[2], default=None)
    return None if best is None else best[:2]


def mscl_first_path(network: SlowNetwork, request: SlowRequest) -> Choice:
    for path, _ in network.paths_with_room(request):
        return min(_all_starts(network, path, request), key=lambda offer: offer[2])[:2]
    return None


HEURISTICS: dict[str, Callable[[SlowNetwork, SlowRequest], Choice]] = {
    "ksp-ff": ksp_ff,
    "ff-ksp": ff_ksp,
    "sp-ff": sp_ff,
    "ksp-bf": ksp_bf,
    "exact-fit": exact_fit,
    "last-fit": last_fit,
    "most-used": most_used,
    "sap-ff": sap_ff,
    "least-congested": least_congested,
    "random": random_path,
    "mscl": mscl,
    "mscl-first-path": mscl_first_path,
}
